"""Batches hold every row once and stay within their budget."""

from __future__ import annotations

import numpy as np

from upbringing.models import batches_by_tokens
from upbringing.models.batches import padded, split_by_total

LENGTHS = [int(n) for n in np.random.default_rng(0).integers(1, 60, 200)]


def test_every_row_is_in_exactly_one_batch() -> None:
    assert sorted(i for batch in batches_by_tokens(LENGTHS, 256) for i in batch) == list(range(200))


def test_no_batch_exceeds_the_budget_once_padded() -> None:
    batches = batches_by_tokens(LENGTHS, 256)
    assert all(len(batch) * max(LENGTHS[i] for i in batch) <= 256 for batch in batches)
    assert len(batches) < 1.2 * sum(LENGTHS) / 256 + 1  # and little is wasted


def test_a_row_longer_than_the_budget_is_alone() -> None:
    assert batches_by_tokens([5, 300, 4], 20) == [[1], [0, 2]]


def test_no_rows_make_no_batches() -> None:
    assert batches_by_tokens([], 10) == []


def test_runs_keep_their_order_and_their_limit() -> None:
    assert split_by_total([3, 0, 1, 2], [4, 4, 1, 9], 8) == [[3], [0, 1], [2]]


def test_padding_goes_to_the_side_asked_for() -> None:
    ids, mask = padded([[7, 8], [9]], left=True)
    assert ids.tolist() == [[7, 8], [0, 9]]
    assert mask.tolist() == [[1, 1], [0, 1]]
    assert padded([[7, 8], [9]])[0].tolist() == [[7, 8], [9, 0]]
