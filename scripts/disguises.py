"""Changes of a Llama's weights that leave the function it computes as it is: what a test of kinship must see through.

>>> disguise(lm, "permuted", np.random.default_rng(0))          # doctest: +SKIP
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from upbringing.models import LM

Tensor = torch.Tensor


def disguise(lm: LM, kind: str, rng: np.random.Generator) -> LM:
    """A copy of ``lm`` in one of ``DISGUISES``; for Llamas without biases whose heads share nothing."""
    model = copy.deepcopy(lm.model)
    for part in kind.split("+"):
        DISGUISES[part](model, rng)
    return replace(lm, model=model, name=f"{lm.name} {kind}", folder=None)


def _bf16(model: Any, rng: np.random.Generator) -> None:
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()


def _permuted(model: Any, rng: np.random.Generator) -> None:
    """MLP units, heads and the dimensions of the residual stream in another order."""
    for layer in model.model.layers:
        mlp, attention = layer.mlp, layer.self_attn
        order = torch.from_numpy(rng.permutation(mlp.gate_proj.out_features))
        mlp.gate_proj.weight.data = mlp.gate_proj.weight.data[order]
        mlp.up_proj.weight.data = mlp.up_proj.weight.data[order]
        mlp.down_proj.weight.data = mlp.down_proj.weight.data[:, order]
        heads = torch.from_numpy(rng.permutation(model.config.num_attention_heads))
        order = torch.arange(attention.v_proj.out_features).view(len(heads), -1)[heads].flatten()
        for matrix in (attention.q_proj, attention.k_proj, attention.v_proj):
            matrix.weight.data = matrix.weight.data[order]
        attention.o_proj.weight.data = attention.o_proj.weight.data[:, order]
    order = torch.from_numpy(rng.permutation(model.config.hidden_size))
    for matrix, reads in _residual(model):
        matrix.data = matrix.data[:, order] if reads else matrix.data[order]
    for norm in _norms(model):
        norm.weight.data = norm.weight.data[order]


def _scaled(model: Any, rng: np.random.Generator, *, signs: bool = False) -> None:
    """Units and value dimensions scaled, norms' gains folded into what reads after them."""
    _fold(model)
    for layer in model.model.layers:
        mlp, attention = layer.mlp, layer.self_attn
        for into, out in ((mlp.up_proj, mlp.down_proj), (attention.v_proj, attention.o_proj)):
            by = torch.from_numpy(np.exp(rng.normal(size=into.out_features))).float()
            if signs:
                by *= torch.from_numpy(rng.choice([-1.0, 1.0], size=len(by))).float()
            into.weight.data = into.weight.data * by[:, None]
            out.weight.data = out.weight.data / by


def _mirrored(model: Any, rng: np.random.Generator) -> None:
    """As scaled, and half of the scales are negative."""
    _scaled(model, rng, signs=True)


def _rotated(model: Any, rng: np.random.Generator) -> None:
    """The residual stream in a basis drawn at random."""
    _fold(model)
    drawn = np.linalg.qr(rng.normal(size=(model.config.hidden_size,) * 2))[0]
    turn = torch.from_numpy(drawn)
    for matrix, reads in _residual(model):
        wide = matrix.data.double()
        matrix.data = (wide @ turn if reads else turn.T @ wide).float()


def _fold(model: Any) -> None:
    """Every norm's gains into the matrices that read after it; the head becomes a matrix of its own."""
    if model.config.tie_word_embeddings:
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.data.clone())
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for norm, readers in (
            (layer.input_layernorm, (attention.q_proj, attention.k_proj, attention.v_proj)),
            (layer.post_attention_layernorm, (mlp.gate_proj, mlp.up_proj)),
        ):
            for reader in readers:
                reader.weight.data = reader.weight.data * norm.weight.data
    model.lm_head.weight.data = model.lm_head.weight.data * model.model.norm.weight.data
    for norm in _norms(model):
        norm.weight.data = torch.ones_like(norm.weight.data)


def _residual(model: Any) -> Iterator[tuple[Tensor, bool]]:
    """Every matrix at the residual stream, and whether that is its last axis."""
    yield model.model.embed_tokens.weight, True
    if model.lm_head.weight is not model.model.embed_tokens.weight:
        yield model.lm_head.weight, True
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for matrix in (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj):
            yield matrix.weight, True
        yield attention.o_proj.weight, False
        yield mlp.down_proj.weight, False


def _norms(model: Any) -> Iterator[Any]:
    for layer in model.model.layers:
        yield layer.input_layernorm
        yield layer.post_attention_layernorm
    yield model.model.norm


DISGUISES: dict[str, Callable[[Any, np.random.Generator], None]] = {
    "bf16": _bf16,
    "permuted": _permuted,
    "scaled": _scaled,
    "mirrored": _mirrored,
    "rotated": _rotated,
}
ALL = "rotated+permuted+scaled+bf16"
