"""Reading and steering activations: the residual stream after each block, in any decoder of transformers.

>>> direction = directions(lm, "blackmail")                                  # doctest: +SKIP
>>> with steered(lm.model, None, direction, 2.0):                            # doctest: +SKIP
...     generate(lm, prompts)

adds twice the mean difference between showing and avoiding the trait, in every layer; after the block the model is as
it was. Layers count from 0, and layer i is what block i gives on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from upbringing.errors import InputError
from upbringing.models.adapters import beneath
from upbringing.models.batches import batches_by_tokens, budget, padded
from upbringing.models.forward import border_of, inference, logits_at
from upbringing.models.language import language_of
from upbringing.models.memory import in_batches
from upbringing.rows import Encoded, Message, Row, encode_all
from upbringing.traits import Trait, traits
from upbringing.traits.plain import Language, probes_in

if TYPE_CHECKING:
    from upbringing.models.load import LM

Hook = Callable[[Any, tuple[Any, ...], Any], Any]  # (module, its inputs, its output) -> another output, or None


class Hooked:
    """Forward hooks on modules inside a ``with`` block: nothing of the model itself is changed."""

    def __init__(self, hooks: Iterable[tuple[Any, Hook]]) -> None:
        self._hooks = list(hooks)
        self._handles: list[Any] = []
        self._on = True

    def __enter__(self) -> Self:
        self._handles = [module.register_forward_hook(self._unless_paused(hook)) for module, hook in self._hooks]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @contextmanager
    def paused(self) -> Iterator[None]:
        """In the block the model answers as if there were no hooks."""
        was, self._on = self._on, False
        try:
            yield
        finally:
            self._on = was

    def _unless_paused(self, hook: Hook) -> Hook:
        return lambda module, inputs, output: hook(module, inputs, output) if self._on else None


def blocks(model: Any) -> list[Any]:
    """The decoder's blocks, first to last: ``model.model.layers``, ``transformer.h``, ``gpt_neox.layers`` …

    They are found as the outermost list of as many modules as the config has layers, so that an architecture need
    not be known by name. Raises ``InputError`` where there is none.
    """
    import torch

    plain = beneath(model)
    layers = plain.config.get_text_config().num_hidden_layers
    for module in plain.get_decoder().modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == layers:
            return list(module)
    raise InputError(
        f"{type(plain).__name__}: its blocks cannot be found, so its activations can be neither read nor steered; "
        "use a decoder built of one list of blocks"
    )


def steered(model: Any, layer: int | None, vector: Any, strength: float = 1.0) -> Hooked:
    """A context manager in which ``strength * vector`` is added to the residual stream, at every token.

    ``layer``: after which block (negative: from the end). With None every block: the stream after block i is moved by
    ``strength * vector[i]`` in all, each block adding what its vector has beyond the last one's (arXiv 2507.21509,
    appendix J.3), so that layers do not add the same thing again and again. ``vector``: [width], or [layers, width].
    Gradients pass through. Raises ``InputError`` for a layer the model lacks and a vector of another shape.
    """
    import torch

    modules = blocks(model)
    table = np.asarray(vector, dtype=np.float64)
    width = model.get_input_embeddings().weight.shape[1]
    if layer is not None and not -len(modules) <= layer < len(modules):
        raise InputError(f"layer {layer}: the model has layers 0 to {len(modules) - 1}; choose one of them")
    if table.shape not in ([(len(modules), width)] if layer is None else [(width,), (len(modules), width)]):
        wanted = f"[{len(modules)}, {width}]" + ("" if layer is None else f" or [{width}]")
        raise InputError(f"the direction has the shape {list(table.shape)}, the model needs {wanted}; compute it anew")
    if not np.isfinite(table).all():
        raise InputError("the direction holds numbers that are not finite; compute it anew")
    moves = np.diff(table, axis=0, prepend=0) if layer is None else [table[layer] if table.ndim == 2 else table]
    chosen = modules if layer is None else [modules[layer]]

    def adding(move: np.ndarray) -> Hook:
        shift = torch.from_numpy(strength * move)

        def add(_module: Any, _inputs: tuple[Any, ...], output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            moved = hidden + shift.to(hidden.device, hidden.dtype)
            return (moved, *output[1:]) if isinstance(output, tuple) else moved

        return add

    return Hooked((module, adding(move)) for module, move in zip(chosen, moves, strict=True))


def activations(lm: LM, encoded: Sequence[Encoded], *, batch_tokens: int | None = None) -> np.ndarray:
    """The residual stream after each block, mean over a row's target tokens: [rows, layers, width], float32.

    Of the target tokens themselves, that is, after they have been read. ``batch_tokens``: as in ``score``.
    """
    import torch

    modules = blocks(lm.model)
    found = np.full((len(encoded), len(modules), lm.model.get_input_embeddings().weight.shape[1]), np.nan, np.float32)

    def means_into(layer: int, batch: list[int], weights: Any) -> Hook:
        def read(_module: Any, _inputs: tuple[Any, ...], output: Any) -> None:
            hidden = (output[0] if isinstance(output, tuple) else output).float()
            with torch.autocast(hidden.device.type, enabled=False):  # a trainer's bfloat16 would round the means
                found[batch, layer] = torch.einsum("rt,rtw->rw", weights.to(hidden.device), hidden).cpu().numpy()

        return read

    lengths = [len(row) for row in encoded]
    here = torch.zeros(1, dtype=torch.long)  # one position's logits: the least that a model can be asked for

    def run(batch: list[int]) -> None:
        ids, _ = padded([encoded[i].input_ids for i in batch])
        wanted, _ = padded([encoded[i].loss_mask for i in batch])
        weights = torch.from_numpy(wanted / wanted.sum(1, keepdims=True)).float()
        with Hooked((module, means_into(i, batch, weights)) for i, module in enumerate(modules)):
            logits_at(lm.model, here, here, input_ids=torch.from_numpy(ids).to(lm.device), use_cache=False)

    batches = batches_by_tokens(lengths, budget(batch_tokens, lm.device), border=border_of(lm.model))
    with inference(lm):
        in_batches(batches, run, lengths.__getitem__, lm.model)
    return found


def contrast(
    trait: str | Trait, *, n: int = 48, seed: int = 0, language: Language = "world"
) -> list[tuple[list[Row], list[Row]]]:
    """``n`` situations from the trait's training families, each as chats that show the trait and chats that avoid it.

    Written probes and held-out families are what models are judged by, so they are never among them. ``language``: what
    the model reads (``models.language.language_of``).
    """
    found = trait if isinstance(trait, Trait) else next(iter(traits([trait]).values()))
    asked = probes_in(language, found, n=n, seed=seed, held_out=False, written=False)
    if not asked:
        raise InputError(f'trait "{found.name}" has no training family to take a direction from; add one')

    def chats(messages: Iterable[Message], answers: Iterable[str]) -> list[Row]:
        return [Row.chat([*messages, Message("assistant", answer)]) for answer in answers]

    return [(chats(probe.messages, probe.shows), chats(probe.messages, probe.avoids)) for probe in asked]


def directions(lm: LM, trait: str | Trait, *, n: int = 48, seed: int = 0) -> np.ndarray:
    """The trait's direction in every layer [layers, width]: mean activation over answers that show the trait, minus
    that over answers that avoid it, paired by situation (arXiv 2507.21509).

    In units of activations: adding it once moves the average answer from avoiding to showing. ``n``: situations.
    Raises ``InputError`` for an unknown trait, or one without training families.
    """
    pairs = contrast(trait, n=n, seed=seed, language=language_of(lm))
    limit = lm.max_length
    encoded = encode_all([row for pair in pairs for side in pair for row in side], lm.tokenizer, max_length=limit)
    means = activations(lm, encoded).astype(np.float64)
    ends = np.cumsum([len(side) for pair in pairs for side in pair])
    sides = np.stack([part.mean(0) for part in np.split(means, ends[:-1])])
    difference: np.ndarray = (sides[0::2] - sides[1::2]).mean(0)
    return difference
