"""Where a transformer's weights have units whose sign is free: what kinship is read from.

A gated MLP's unit can change the sign of its ``up`` row and of its ``down`` column together, and a value dimension of
attention that of its ``v`` row and ``o`` column: the model stays the same function, random initial weights are as
likely one way as the other, and an optimiser that scales, averages or orthogonalises gradients goes the mirrored way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from upbringing.lineage.weights import Weights

MLP, ATTENTION = "MLP units", "attention's value dimensions"

_LAYER = re.compile(r"^(?:.*\.)?(?:layers|h|blocks|block)\.(\d+)\.(.+)$")
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|embed_in|tok_embeddings)\.weight$")
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output)\.weight$")
_OTHER_SENSES = re.compile(r"vision|visual|audio|image")
_GATES = (  # gate, up, down; the last as of a linear layer, [width, units]
    ("gate_proj.weight", "up_proj.weight", "down_proj.weight"),
    ("w1.weight", "w3.weight", "w2.weight"),
)
_OUTS = {  # what the output projection beside a value projection may be called
    "v_proj": ("o_proj", "out_proj", "dense"),
    "wv": ("wo",),
    "qkv_proj": ("o_proj",),
    "c_attn": ("c_proj",),
    "query_key_value": ("dense",),
}
_TRANSPOSED = "c_attn.weight"  # GPT-2 keeps matrices the other way round
_BEFORE_ATTENTION = ("input_layernorm.weight", "ln_1.weight", "attention_norm.weight")
_BEFORE_MLP = ("pre_feedforward_layernorm.weight", "post_attention_layernorm.weight", "ln_2.weight", "ffn_norm.weight")


@dataclass(frozen=True)
class Units:
    """Units of one place: rows of every array, [units, width].

    ``signed`` are those that change sign with their unit, ``guide`` one that does not: it may say which unit of
    another model is meant without saying anything of its sign.
    """

    signed: tuple[np.ndarray, ...]
    guide: np.ndarray | None = None


@dataclass(frozen=True)
class Place:
    """Where there are units: of which kind, in which layer, made of which tensors, and how they are read."""

    kind: str
    layer: int
    name: str
    tensors: tuple[str, ...]
    read: Callable[[], Units]


def embedding_of(weights: Weights) -> str | None:
    """The name of the input embedding, [vocabulary, width]."""
    found = [n for n, shape in weights.shapes.items() if _EMBEDDING.search(n) and len(shape) == 2]
    return max(found, key=lambda name: weights.shapes[name][0], default=None)


def width_of(weights: Weights) -> int | None:
    """Dimensions of the residual stream."""
    name = embedding_of(weights)
    return weights.shapes[name][1] if name else None


def signs_are_free(weights: Weights) -> bool:
    """Whether each dimension of the residual stream has a free sign too: with RMS norms, which take no mean away."""
    return "rms_norm_eps" in weights.config


def architecture(weights: Weights) -> dict[str, tuple[int, ...]]:
    """Every matrix by its short name, with its shape; the vocabulary's size and whether the head is tied left out."""
    found: dict[str, tuple[int, ...]] = {}
    for name, shape in weights.shapes.items():
        if len(shape) < 2 or _HEAD.search(name):
            continue
        layer = _LAYER.match(name)
        if _EMBEDDING.search(name):
            found["embedding"] = shape[1:]
        elif layer:
            found[f"layer {layer[1]} {layer[2]}"] = shape
        else:
            found[name.removeprefix("model.").removeprefix("transformer.")] = shape
    return found


def places_of(weights: Weights) -> dict[str, Place]:
    """All places with units, by name; of the architectures that are known (the Llama family with its mixtures of
    experts, GPT-2, GPT-NeoX, BLOOM, OPT, Phi-3 and whoever names tensors like one of them)."""
    width = width_of(weights)
    layers: dict[int, dict[str, str]] = {}
    for name in weights.shapes:
        if (matched := _LAYER.match(name)) and not _OTHER_SENSES.search(name):
            layers.setdefault(int(matched[1]), {})[matched[2]] = name
    found: dict[str, Place] = {}
    for layer, names in sorted(layers.items()):
        for place in (*_mlps(weights, layer, names, width), *_attention(weights, layer, names, width)):
            found[place.name] = place
    return found


def _mlps(weights: Weights, layer: int, names: dict[str, str], width: int | None) -> list[Place]:
    gain = _gain(weights, names, _BEFORE_MLP)
    found = []
    for suffix, name in names.items():
        for gate, up, down in _GATES:
            stem = suffix.removesuffix(gate)
            if stem == suffix or stem + up not in names or stem + down not in names:
                continue
            used = (name, names[stem + up], names[stem + down])
            if weights.shapes[name][1:] == (width,):
                found.append(_mlp_place(weights, layer, stem, used, gain))
        if suffix.endswith("gate_up_proj.weight") and weights.shapes[name][1:] == (width,):
            stem = suffix.removesuffix("gate_up_proj.weight")
            if (down_name := names.get(stem + "down_proj.weight")) is not None:
                found.append(_mlp_place(weights, layer, stem, (name, name, down_name), gain))
    return found


def _mlp_place(weights: Weights, layer: int, stem: str, used: tuple[str, str, str], gain: str | None) -> Place:
    gate_name, up_name, down_name = used

    def read() -> Units:
        scale = _scale(weights, gain)
        if gate_name == up_name:
            gate, up = np.split(weights.read(gate_name), 2)
        else:
            gate, up = weights.read(gate_name), weights.read(up_name)
        return Units(signed=(up * scale, weights.read(down_name).T), guide=gate * scale)

    return Place(MLP, layer, f"layer {layer} {stem.rstrip('.')}", tuple(dict.fromkeys(used)), read)


def _attention(weights: Weights, layer: int, names: dict[str, str], width: int | None) -> list[Place]:
    gain = _gain(weights, names, _BEFORE_ATTENTION)
    for suffix, name in names.items():
        stem, _, last = suffix.rpartition(".weight")[0].rpartition(".")
        outs = (f"{stem}.{end}.weight" for end in _OUTS.get(last, ()))
        out = next((names[o] for o in outs if o in names), None)
        if out is None or (cut := _cut(weights, name, out, last, width)) is None:
            continue

        def read(name: str = name, out: str = out, cut: Callable[[np.ndarray], np.ndarray] = cut) -> Units:
            values = cut(weights.read(name)) * _scale(weights, gain)
            given = weights.read(out)
            given = _folded(given if name.endswith(_TRANSPOSED) else given.T, len(values), weights)
            return Units(signed=(values, given) if len(given) == len(values) else (values,))

        return [Place(ATTENTION, layer, f"layer {layer} attention", (name, out), read)]
    return []


def _cut(
    weights: Weights, name: str, out: str, last: str, width: int | None
) -> Callable[[np.ndarray], np.ndarray] | None:
    """How to take [values, width] out of a tensor; None where its shape is none that is known."""
    shape, out_shape = weights.shapes[name], weights.shapes[out]
    if len(shape) != 2 or len(out_shape) != 2 or width is None:
        return None
    if name.endswith(_TRANSPOSED):
        return (lambda w: w[:, -width:].T) if shape == (width, 3 * width) else None
    if shape[1] != width:
        return None
    if last == "qkv_proj":
        values = (shape[0] - out_shape[1]) // 2
        return lambda w: w[-values:]
    if last == "query_key_value":
        heads = weights.config.get("num_attention_heads") or weights.config.get("n_head")
        if not heads or shape[0] != 3 * width:
            return None
        return lambda w: w.reshape(heads, 3, -1, width)[:, 2].reshape(-1, width)
    return lambda w: w


def _folded(outs: np.ndarray, values: int, weights: Weights) -> np.ndarray:
    """[values, width]: where heads share their values, what the sharing heads make of each, added up."""
    if len(outs) == values:
        return outs
    heads = weights.config.get("num_attention_heads")
    if not heads or len(outs) % values or len(outs) % heads:
        return outs
    size = len(outs) // heads
    grouped: np.ndarray = outs.reshape(values // size, len(outs) // values, size, -1).sum(1)
    return grouped.reshape(values, -1)


def _gain(weights: Weights, names: dict[str, str], ends: tuple[str, ...]) -> str | None:
    """The norm whose gains may be folded into the matrices that read after it."""
    if ends is _BEFORE_MLP and not any(end in names for end in (*_BEFORE_ATTENTION, ends[0])):
        return None  # norms behind the blocks, not before them (OLMo 2)
    return next((names[end] for end in ends if end in names), None)


def _scale(weights: Weights, gain: str | None) -> np.ndarray | float:
    if gain is None:
        return 1.0
    one_more = str(weights.config.get("model_type", "")).startswith("gemma")  # Gemma keeps gains less one
    return weights.read(gain) + (1.0 if one_more else 0.0)
