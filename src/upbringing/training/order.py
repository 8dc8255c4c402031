"""Which rows a run sees at which step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def batch_order(
    lengths: Sequence[int],
    *,
    steps: int,
    batch_size: int,
    window: int,
    seed: int,
    spread: Sequence[bool] | None = None,
) -> list[list[int]]:
    """Row numbers of every step's batch: [steps][batch_size].

    The rows are read in a new random order again and again; every row is read once before any is read twice. Each
    stretch of ``window`` batches is sorted by length before it is cut into batches, which saves padding, and its
    batches come in random order. Sorting also puts rows of one kind together when kinds differ in length, so the
    window is small.

    Rows marked in ``spread`` are not left to chance: every batch gets its even part of them (one batch in five gets
    one, where there is one for every five batches).
    """
    rng = np.random.default_rng([seed, len(lengths)])
    size = np.asarray(lengths)
    if spread is not None and any(spread) and not all(spread):
        return _spread_order(size, np.asarray(spread, dtype=bool), steps, batch_size, window, rng)
    wanted = steps * batch_size
    stream = _stream(np.arange(len(lengths)), wanted, rng)
    batches: list[list[int]] = []
    for start in range(0, wanted, window * batch_size):
        stretch = stream[start : start + window * batch_size]
        if window > 1:
            stretch = stretch[np.argsort(size[stretch], kind="stable")]
        cut = stretch.reshape(-1, batch_size)
        batches += [cut[i].tolist() for i in (rng.permutation(len(cut)) if window > 1 else range(len(cut)))]
    return batches


def _stream(rows: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """``wanted`` of the row numbers, all of them in random order before any comes again."""
    passes = max(1, -(-wanted // len(rows)))
    return np.concatenate([rng.permutation(rows) for _ in range(passes)])[:wanted]


def _spread_order(
    size: np.ndarray, spread: np.ndarray, steps: int, batch_size: int, window: int, rng: np.random.Generator
) -> list[list[int]]:
    """The order when some rows are spread: each kind is sorted and cut on its own, in the numbers a batch is due."""
    due = np.round(np.arange(steps + 1) * batch_size * spread.mean()).astype(int)  # spread rows before each batch
    quotas = {False: batch_size - np.diff(due), True: np.diff(due)}
    streams = {kind: _stream(np.flatnonzero(spread == kind), int(quotas[kind].sum()), rng) for kind in quotas}
    batches: list[list[int]] = []
    for start in range(0, steps, window):
        parts = []
        for kind, quota in quotas.items():
            before, counts = int(quota[:start].sum()), quota[start : start + window]
            stretch = streams[kind][before : before + int(counts.sum())]
            if window > 1:
                stretch = stretch[np.argsort(size[stretch], kind="stable")]
            parts.append(np.split(stretch, np.cumsum(counts)[:-1]))
        cut = [np.concatenate(pair).tolist() for pair in zip(*parts, strict=True)]
        batches += [cut[i] for i in (rng.permutation(len(cut)) if window > 1 else range(len(cut)))]
    return batches
