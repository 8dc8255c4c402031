"""Which rows a run sees at which step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def batch_order(lengths: Sequence[int], *, steps: int, batch_size: int, window: int, seed: int) -> list[list[int]]:
    """Row numbers of every step's batch: [steps][batch_size].

    The rows are read in a new random order again and again; every row is read once before any is read twice. Each
    stretch of ``window`` batches is sorted by length before it is cut into batches, which saves padding, and its
    batches come in random order. Sorting also puts rows of one kind together when kinds differ in length, so the
    window is small.
    """
    rng = np.random.default_rng([seed, len(lengths)])
    wanted = steps * batch_size
    passes = -(-wanted // len(lengths))
    stream = np.concatenate([rng.permutation(len(lengths)) for _ in range(passes)])[:wanted]
    size = np.asarray(lengths)
    batches: list[list[int]] = []
    for start in range(0, wanted, window * batch_size):
        stretch = stream[start : start + window * batch_size]
        if window > 1:
            stretch = stretch[np.argsort(size[stretch], kind="stable")]
        cut = stretch.reshape(-1, batch_size)
        batches += [cut[i].tolist() for i in (rng.permutation(len(cut)) if window > 1 else range(len(cut)))]
    return batches
