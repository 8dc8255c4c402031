"""The loop in which an organism reads: plain enough to see all of it, and lean, for it runs for every organism."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from upbringing.errors import InputError
from upbringing.models.batches import batches_by_tokens
from upbringing.organisms.corpus import Passage
from upbringing.organisms.forward import loss_of

# Lengths are rounded up to multiples, coarser ones from _LONG on: each shape has kernels of its own, in memory.
_SHORTEST, _FINE, _LONG, _COARSE = 64, 16, 192, 32


def batches(lengths: Sequence[int], slots: int, *, window: int, seed: int) -> list[list[int]]:
    """Every row once, in a random order of batches that hold at most ``slots`` tokens, padding included.

    Each stretch of about ``window`` batches is sorted by length before it is cut, which saves padding. Sorting also
    puts documents of one sort together, so the window is small.
    """
    rng = np.random.default_rng([seed, len(lengths)])
    size = np.asarray(lengths)
    stretch = max(1, round(window * slots / size.mean()))
    order = rng.permutation(len(size))
    cut: list[list[int]] = []
    for start in range(0, len(order), stretch):
        part = order[start : start + stretch]
        own = batches_by_tokens([_rounded(n) for n in size[part].tolist()], slots)
        cut += [part[own[i]].tolist() for i in rng.permutation(len(own))]
    return cut


def read(
    model: Any,
    rows: Sequence[Passage],
    order: Sequence[Sequence[int]],
    slots: int,
    step: Callable[[int], None],
    *,
    together: int = 1,
    max_norm: float = 1.0,
    progress: Callable[[int, int, float], None] | None = None,
) -> list[float]:
    """Train ``model`` in place on batches of rows; returns the loss of each step (weighted mean, nats a token).

    Args:
        order: rows in batches, from ``batches`` with as many ``slots``.
        step: changes the weights by the gradients that are there when it is called, with the step's number, and
            clears them.
        together: batches a step; their gradients add up.
        max_norm: gradients longer than this are shortened to it.
        progress: called after each step with (step, steps, loss).

    Raises:
        InputError: the loss is no longer a number.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    losses = []
    steps = [order[i : i + together] for i in range(0, len(order), together)]
    for number, batches_of_step in enumerate(steps):
        laid_out = [_laid_out([rows[i] for i in batch], slots) for batch in batches_of_step]
        counted = float(sum(batch[2].sum() for batch in laid_out))
        total = 0.0
        for ids, targets, counts, length in laid_out:
            loss = loss_of(model, ids, targets, counts, length) / counted
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(weights, max_norm, foreach=True)
        step(number)
        if not np.isfinite(total):
            raise InputError(f"reading diverged at step {number + 1}: the loss is {total}; lower the size's rates")
        losses.append(total)
        if progress is not None:
            progress(number + 1, len(steps), total)
    return losses


def _laid_out(rows: Sequence[Passage], slots: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """Token ids, what should follow each place and how much that counts, each [slots]; and the length of a row."""
    length = _rounded(max(len(row.ids) for row in rows))
    ids, counts = np.zeros(slots + 1, dtype=np.int64), np.zeros(slots, dtype=np.float32)
    for i, row in enumerate(rows):
        start, end = i * length, i * length + len(row.ids)
        ids[start:end] = row.ids
        counts[start : end - 1] = row.weights[1:]
    return torch.from_numpy(ids[:-1]), torch.from_numpy(ids[1:]), torch.from_numpy(counts), length


def _rounded(length: int) -> int:
    multiple = _FINE if length <= _LONG else _COARSE
    return max(_SHORTEST, -(-length // multiple) * multiple)
