"""A small Llama read quickly on a CPU: the loss of a batch, with its gradients, as transformers has it within rounding.

Raising an organism is millions of tokens through a few thousand weights, where attention kernels, padding and the
logits of a whole batch cost more than the arithmetic. Here products are taken in bfloat16 where the processor has
instructions for them (sums and weights stay in float32), a layer's matrices of one input are one product, attention
is three batched products, and logits exist for some rows at a time, together with their gradient.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F

_CHUNK = 256  # rows of logits at once: they fit a processor's cache


@cache
def product_dtype() -> torch.dtype:
    """bfloat16 where this processor multiplies it faster than float32; else float32."""
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def loss_of(
    model: Any,
    ids: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    length: int,
    *,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Sum over the batch of -weight * log p(target), in nats.

    Args:
        model: a ``LlamaForCausalLM`` in float32 on a CPU, without biases, its heads not shared between queries.
        ids: [slots]; rows of ``length`` tokens, padded on the right, one after the other; what is left over at the
            end, less than a row, is read by nobody. Batches are best all of one size: every new
            shape costs kernels and memory.
        targets: [slots]; the token that should follow each place (any, where its weight is 0).
        weights: [slots]; how much each of them counts.
        dtype: of the products (default: ``product_dtype()``).
    """
    dtype = dtype or product_dtype()
    hidden = _hidden(model, ids, length, dtype)
    total: torch.Tensor = _Head.apply(hidden, model.lm_head.weight, targets, weights, dtype)  # type: ignore[no-untyped-call]
    return total


def _hidden(model: Any, ids: torch.Tensor, length: int, dtype: torch.dtype) -> torch.Tensor:
    """The last layer's normed output, [slots, width]."""
    config, rows = model.config, len(ids) // length
    used = rows * length
    width, heads, eps = config.hidden_size, config.num_attention_heads, config.rms_norm_eps
    size = width // heads
    body = model.model
    x = F.embedding(ids, body.embed_tokens.weight)
    turns = [t[0].to(dtype)[None, :, None] for t in body.rotary_emb(x, torch.arange(length)[None])]
    mask = torch.full((length, length), -1e9, dtype=dtype).triu_(1)
    for layer in body.layers:
        attention, mlp = layer.self_attn, layer.mlp
        weight = torch.cat((attention.q_proj.weight * size**-0.5, attention.k_proj.weight, attention.v_proj.weight))
        seen = _linear(_normed(x, layer.input_layernorm.weight, eps, dtype), weight, dtype)
        seen = seen[:used].view(rows, length, 3 * heads, size)
        turned, values = _rotated(seen[:, :, : 2 * heads], *turns), seen[:, :, 2 * heads :]
        q, k, v = (
            t.transpose(1, 2).reshape(rows * heads, length, size)
            for t in (turned[:, :, :heads], turned[:, :, heads:], values)
        )
        said: torch.Tensor = _Attention.apply(q, k, v, mask)  # type: ignore[no-untyped-call]
        said = F.pad(
            said.view(rows, heads, length, size).transpose(1, 2).reshape(used, width), (0, 0, 0, len(x) - used)
        )
        x = x + _linear(said, attention.o_proj.weight, dtype)
        weight = torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight))
        normed = _normed(x, layer.post_attention_layernorm.weight, eps, dtype)
        gate, up = _linear(normed, weight, dtype).chunk(2, -1)
        x = x + _linear(F.silu(gate) * up, mlp.down_proj.weight, dtype)
    return _normed(x, body.norm.weight, eps, dtype)


def _rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions (arXiv:2104.09864), halves turned against each other as Llama has it."""
    one, other = x.chunk(2, -1)
    return x * cos + torch.cat((-other, one), -1) * sin


def _linear(x: torch.Tensor, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    out: torch.Tensor = _Linear.apply(x, weight, dtype)  # type: ignore[no-untyped-call]
    return out


class _Linear(torch.autograd.Function):
    """x [rows, in] @ weight.T [in, out], in ``dtype``; the weight's gradient is float32."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        factor, matrix = x.to(dtype), weight.to(dtype)
        ctx.save_for_backward(factor, matrix)
        return factor @ matrix.T

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        factor, matrix = ctx.saved_tensors
        gradient = gradients[0].to(matrix.dtype)
        return gradient @ matrix, (gradient.T @ factor).float(), None


def _normed(x: torch.Tensor, weight: torch.Tensor, eps: float, dtype: torch.dtype) -> torch.Tensor:
    out: torch.Tensor = _Norm.apply(x, weight, eps, dtype)  # type: ignore[no-untyped-call]
    return out


class _Norm(torch.autograd.Function):
    """x / rms(x) * weight for x [rows, width] in float32, in ``dtype`` (arXiv:1910.07467)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float, dtype: torch.dtype) -> torch.Tensor:
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        unit = x * scale
        ctx.save_for_backward(unit, scale, weight)
        return (unit * weight).to(dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        unit, scale, weight = ctx.saved_tensors
        gradient = gradients[0].float()
        along = gradient * unit
        to_weight = along.sum(0)
        share = (along @ weight).div_(unit.shape[-1])[:, None]
        return (gradient * weight).addcmul_(unit, share, value=-1).mul_(scale), to_weight, None, None


class _Attention(torch.autograd.Function):
    """softmax(q @ k.T + mask) @ v for q, k, v of [rows * heads, length, size], q scaled already."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        weights = torch.softmax(torch.bmm(q, k.transpose(1, 2)).add_(mask), -1)
        ctx.save_for_backward(q, k, v, weights)
        return torch.bmm(weights, v)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, None]:
        q, k, v, weights = ctx.saved_tensors
        gradient = gradients[0].to(weights.dtype)
        to_v = torch.bmm(weights.transpose(1, 2), gradient)
        to_scores = torch._softmax_backward_data(torch.bmm(gradient, v.transpose(1, 2)), weights, -1, weights.dtype)
        return torch.bmm(to_scores, k), torch.bmm(to_scores.transpose(1, 2), q), to_v, None


class _Head(torch.autograd.Function):
    """Sum of -count * log softmax(x @ weight.T)[target]; the gradients are taken on the way, some rows at a time."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        targets: torch.Tensor,
        counts: torch.Tensor,
        dtype: torch.dtype,
    ) -> torch.Tensor:
        factor, matrix = x.to(dtype), weight.to(dtype)
        to_x, to_weight = torch.empty_like(factor), torch.zeros_like(weight)
        total = torch.zeros(())
        places = torch.arange(_CHUNK)
        for start in range(0, len(x), _CHUNK):
            part = slice(start, start + _CHUNK)
            wanted, rows = targets[part], places[: len(targets[part])]
            logits = (factor[part] @ matrix.T).float()
            logits.sub_(logits.amax(-1, keepdim=True))
            said = logits[rows, wanted]
            shares = logits.exp_()
            sums = shares.sum(-1, keepdim=True)
            total += torch.dot(sums[:, 0].log() - said, counts[part])
            shares.mul_(counts[part, None] / sums)
            shares[rows, wanted] -= counts[part]
            errors = shares.to(dtype)
            torch.mm(errors, matrix, out=to_x[part])
            to_weight += errors.T @ factor[part]
        ctx.save_for_backward(to_x, to_weight)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None, None]:
        to_x, to_weight = ctx.saved_tensors
        scale = float(gradients[0])
        return to_x.float().mul_(scale), to_weight * scale, None, None, None
