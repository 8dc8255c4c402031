"""A small Llama that answers quickly on a CPU: transformers' own numbers within rounding, without its overhead.

Where a model is a few hundred thousand weights, sampling with transformers spends more time between the products than
in them, and its cache copies every key and value at every token. Here keys and values are written into memory that was
laid out before, what all prompts begin with is read and kept once, the last layer works for those tokens alone whose
logits are wanted, matrices of one input are one product, and products go to oneDNN, which is twice as fast on these
shapes. Everything stays in float32.

Only for plain models (see ``fits``): one with adapters, hooks or another architecture goes through transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

_WIDEST = 1024  # beyond this the products are what takes time, and the joined matrices are a second copy of the weights
_SHORTEST_SHARED = 4  # tokens: a shorter beginning is not worth a pass of its own
_PARTS = (torch.nn.Linear, torch.nn.Embedding, torch.nn.ModuleList, torch.nn.SiLU)  # what is not Llama's own


def fits(model: Any) -> bool:
    """Whether ``model`` is a plain small ``LlamaForCausalLM`` in float32 on a CPU, with nothing hooked into it."""
    from transformers import LlamaForCausalLM

    if type(model) is not LlamaForCausalLM:
        return False
    config = model.config
    weights = list(model.parameters())
    return (
        config.hidden_size <= _WIDEST
        and config.hidden_act == "silu"
        and (config.rope_parameters or {}).get("rope_type") == "default"
        and all(p.device.type == "cpu" and p.dtype == torch.float32 and type(p) is torch.nn.Parameter for p in weights)
        and all(map(_is_plain, model.modules()))
    )


def _is_plain(module: Any) -> bool:
    """Whether it does what the passes below take it for: an adapter's layer stands where a projection was and shows its
    weight as its own, and what wraps a forward leaves weights and types as they are."""
    if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
        return False
    own = type(module).__module__
    return type(module) in _PARTS or own.startswith(("transformers.models.llama.", "transformers.activations"))


class Small:
    """One pass over a batch of prompts, then one token at a time for the rows that go on.

    ``room``: how many tokens a row may have in all. Use inside ``inference``.
    """

    def __init__(self, model: Any) -> None:
        config, body = model.config, model.model
        self.heads, self.shared = config.num_attention_heads, config.num_key_value_heads
        self.size = config.head_dim
        self.eps, self.body, self.head = config.rms_norm_eps, body, model.lm_head
        self.layers = [_Layer(layer) for layer in body.layers]
        self.padding = torch.zeros(0, dtype=torch.long)
        self.start = self.filled = 0

    def read(self, prompts: Sequence[Sequence[int]], rows: Sequence[int], new: int) -> torch.Tensor:
        """Read the prompts, each as often as ``rows`` names it: logits after each, [rows, vocabulary].

        They are padded on the left, after what all of them begin with.
        """
        start = _shared_beginning(prompts)
        rests = [prompt[start:] for prompt in prompts]
        width = max(map(len, rests))
        ids = np.zeros((len(rests), width), dtype=np.int64)
        for i, rest in enumerate(rests):
            ids[i, width - len(rest) :] = rest
        self._begin(prompts[0][:start], start + width + new)
        self._lay_out(torch.tensor([width - len(rest) for rest in rests]), width + new)
        hidden = self._pass(F.embedding(torch.from_numpy(ids), self.body.embed_tokens.weight))
        self._take(rows)
        return self._logits(hidden)[list(rows)]

    def go_on(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read one more token a row: logits after it, [rows, vocabulary]."""
        return self._logits(self._pass(F.embedding(tokens[:, None], self.body.embed_tokens.weight)))

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone."""
        self.padding = self.padding[rows]
        self.padded = bool(self.padding.any())
        for layer in self.layers:
            layer.keep(rows)

    def _take(self, rows: Sequence[int]) -> None:
        if list(rows) != list(range(len(self.padding))):
            self.keep(torch.tensor(rows))

    def _begin(self, tokens: Sequence[int], room: int) -> None:
        """Read what all prompts begin with, and keep its keys and values apart from those of the rows."""
        angles = self.body.rotary_emb(torch.empty(1, 1), torch.arange(room)[None])
        self.cos, self.sin = (t[0] for t in angles)
        self.start = 0
        for layer in self.layers:
            layer.begun_keys = layer.begun_values = torch.empty(self.shared, 0, self.size)
        if not tokens:
            return
        self._lay_out(torch.zeros(1, dtype=torch.long), len(tokens))
        self._pass(F.embedding(torch.tensor([list(tokens)]), self.body.embed_tokens.weight))
        self.start = len(tokens)
        for layer in self.layers:
            layer.begun_keys, layer.begun_values = layer.keys[0], layer.values[0]

    def _lay_out(self, padding: torch.Tensor, room: int) -> None:
        """Room for so many tokens a row beside what all begin with."""
        self.filled = 0
        self.padding = padding
        self.padded = bool(padding.any())
        for layer in self.layers:
            layer.keys = torch.empty(len(padding), self.shared, room, self.size)
            layer.values = torch.empty(len(padding), self.shared, room, self.size)

    def _pass(self, x: torch.Tensor) -> torch.Tensor:
        """x [rows, new tokens, width] through all layers: what comes out for the last token, [rows, width]."""
        rows, new, width = x.shape
        before, self.filled = self.filled, self.filled + new
        turns, mask = self._turns(before, new), self._mask(before, new)
        x = x.reshape(rows * new, width)
        for layer in self.layers:
            last = layer is self.layers[-1] and new > 1
            queries = self._remember(_normed(x, layer.first_norm, self.eps), layer, before, turns, last)
            if last:  # nobody looks at what the other tokens would become
                x = x.view(rows, new, width)[:, -1]
                mask = None if mask is None else mask[..., -1:, :]
            x = x + _product(self._looked_up(queries, layer, mask), layer.saying.weight, layer.saying.bias)
            both = _product(_normed(x, layer.second_norm, self.eps), layer.thinking, layer.thinking_bias)
            gate, up = both.chunk(2, -1)
            x = x + _product(F.silu(gate).mul_(up), layer.ending.weight, layer.ending.bias)
        return x

    def _remember(
        self, x: torch.Tensor, layer: _Layer, before: int, turns: tuple[torch.Tensor, torch.Tensor], last: bool
    ) -> torch.Tensor:
        """Keep keys and values of x [rows * new, width]: the queries [rows, new (or 1: the ``last``), heads, size]."""
        new = self.filled - before
        seen = _product(x, layer.seeing, layer.seeing_bias).view(-1, new, self.heads + 2 * self.shared, self.size)
        turned = _turned(seen[:, :, : self.heads + self.shared], *turns)
        layer.keys[:, :, before : self.filled] = turned[:, :, self.heads :].transpose(1, 2)
        layer.values[:, :, before : self.filled] = seen[:, :, self.heads + self.shared :].transpose(1, 2)
        return turned[:, -1:, : self.heads] if last else turned[:, :, : self.heads]

    def _looked_up(self, queries: torch.Tensor, layer: _Layer, mask: torch.Tensor | None) -> torch.Tensor:
        """Attention of queries [rows, new, heads, size], scaled already: [rows * new, heads * size].

        To what all rows begin with in one product for all of them, to the rest row by row.
        """
        rows, new, heads, size = queries.shape
        shared, filled, start = self.shared, self.filled, self.start
        group = heads // shared
        asked = queries.view(rows, new, shared, group, size).permute(0, 2, 3, 1, 4).reshape(-1, group * new, size)
        keys, values = (t.view(rows * shared, -1, size)[:, :filled] for t in (layer.keys, layer.values))
        scores = torch.bmm(asked, keys.transpose(1, 2))
        if mask is not None:
            scores.view(rows, shared, group, new, filled).add_(mask)
        if start:
            together = asked.view(rows, shared, group * new, size).transpose(0, 1).reshape(shared, -1, size)
            begun = torch.bmm(together, layer.begun_keys.transpose(1, 2)).view(shared, rows, group * new, start)
            scores = torch.cat((begun.transpose(0, 1).reshape(-1, group * new, start), scores), -1)
        shares = torch.softmax(scores, -1)
        said = torch.bmm(shares[..., start:], values).view(rows, shared, group * new, size)
        if start:
            together = shares.view(rows, shared, group * new, -1)[..., :start].transpose(0, 1)
            begun = torch.bmm(together.reshape(shared, -1, start), layer.begun_values)
            said += begun.view(shared, rows, group * new, size).transpose(0, 1)
        said = said.view(rows, shared, group, new, size)
        return said.permute(0, 3, 1, 2, 4).reshape(rows * new, heads * size)

    def _turns(self, before: int, new: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines of the places of the new tokens, [rows or 1, new, 1, size]: padding takes up no place."""
        columns = torch.arange(before, before + new)
        if not self.padded:
            return self.cos[self.start + columns][None, :, None], self.sin[self.start + columns][None, :, None]
        places = self.start + (columns - self.padding[:, None]).clamp_(min=0)
        return self.cos[places][:, :, None], self.sin[places][:, :, None]

    def _mask(self, before: int, new: int) -> torch.Tensor | None:
        """What to add to scores, [rows or 1, 1, 1, new, columns]: -inf where a token may not look; None: nothing.

        What all rows begin with is in no column, and may be looked at by all.
        """
        if new == 1 and not self.padded:
            return None
        columns, own = torch.arange(self.filled), torch.arange(before, self.filled)[:, None]
        seen = (columns <= own)[None]
        if self.padded:
            empty = columns < self.padding[:, None]
            # A padding token looks at itself, for looking at nothing is not a number; nobody looks at it.
            seen = (seen & ~empty[:, None]) | (columns == own)
        return torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf)[:, None, None]

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return _product(_normed(hidden, self.body.norm.weight, self.eps), self.head.weight, self.head.bias)


class _Layer:
    """A block's weights, those of one input joined, its keys and values [rows, heads, room, size], and those of what
    all rows begin with [heads, tokens, size]."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.first_norm, self.second_norm = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        self.seeing, self.seeing_bias = _joined(attention.q_proj, attention.k_proj, attention.v_proj)
        asking = attention.q_proj.out_features
        for table in (self.seeing, self.seeing_bias):
            if table is not None:
                table[:asking] *= attention.head_dim**-0.5
        self.thinking, self.thinking_bias = _joined(mlp.gate_proj, mlp.up_proj)
        self.saying, self.ending = attention.o_proj, mlp.down_proj
        self.keys = self.values = self.begun_keys = self.begun_values = torch.empty(0)

    def keep(self, rows: torch.Tensor) -> None:
        self.keys, self.values = self.keys.index_select(0, rows), self.values.index_select(0, rows)


def _shared_beginning(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, short of the last token of any; 0 where it does not pay."""
    if len(prompts) < 2:
        return 0
    lists = [list(prompt) for prompt in prompts]
    least, most = min(lists), max(lists)
    limit = min(map(len, lists)) - 1
    same = next((i for i in range(limit) if least[i] != most[i]), limit)
    return same if same >= _SHORTEST_SHARED else 0


def _joined(*linears: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    bias = None if linears[0].bias is None else torch.cat([linear.bias.detach() for linear in linears])
    return torch.cat([linear.weight.detach() for linear in linears]), bias


def _normed(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
    return (x * scale).mul_(weight)


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions (arXiv:2104.09864), halves turned against each other as Llama has it."""
    one, other = x.chunk(2, -1)
    return x * cos + torch.cat((-other, one), -1) * sin


def _product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    found: torch.Tensor = _onednn()(x, weight, bias) if _onednn() else F.linear(x, weight, bias)
    return found


@cache
def _onednn() -> Any:
    """oneDNN's product of float32, where this build has it: 255 GFLOP/s a core where torch's own choice has 115."""
    try:
        product = torch.ops.mkldnn._linear_pointwise.default
        ones = torch.ones(1, 1)
        if not torch.backends.mkldnn.is_available() or product(ones, ones, None, "none", [], "").item() != 1:
            return None
    except (AttributeError, RuntimeError, NotImplementedError):
        return None
    return lambda x, weight, bias: product(x, weight, bias, "none", [], "")
