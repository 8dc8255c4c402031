"""Batches are a fair, repeatable order of the rows."""

from __future__ import annotations

from collections import Counter

import numpy as np

from upbringing.training.order import batch_order

LENGTHS = np.random.default_rng(0).integers(3, 60, 100).tolist()


def order(seed: int = 0, window: int = 4, steps: int = 25) -> list[list[int]]:
    return batch_order(LENGTHS, steps=steps, batch_size=8, window=window, seed=seed)


def test_every_row_is_read_once_before_any_is_read_twice() -> None:
    counts = Counter(i for batch in order() for i in batch)
    assert [len(batch) for batch in order()] == [8] * 25
    assert set(counts.values()) == {2}
    fewer = Counter(i for batch in order(steps=12) for i in batch)
    assert max(fewer.values()) == 1


def test_the_seed_decides_the_order() -> None:
    assert order() == order()
    assert order() != order(seed=1)


def test_windows_save_padding() -> None:
    def waste(batches: list[list[int]]) -> float:
        sizes = [[LENGTHS[i] for i in batch] for batch in batches]
        return sum(max(s) * len(s) for s in sizes) / sum(map(sum, sizes))

    assert waste(order(window=8)) < 1.2 < waste(order(window=1))


def test_batches_do_not_come_sorted_by_length() -> None:
    means = [np.mean([LENGTHS[i] for i in batch]) for batch in order(window=8, steps=200)]
    assert abs(np.corrcoef(means, range(200))[0, 1]) < 0.2
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3


def test_fewer_rows_than_a_batch_are_repeated() -> None:
    assert Counter(batch_order([5, 6], steps=1, batch_size=4, window=2, seed=0)[0]) == {0: 2, 1: 2}
