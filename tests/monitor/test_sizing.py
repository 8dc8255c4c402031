"""The shorter the training, the less is asked before it; and to know how short it is changes nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from upbringing.monitor.sizing import FULL, SIZES, Size, fitting, row_tokens
from upbringing.rows import Encoded


def chosen(allowed: float) -> Size:
    return fitting(allowed, start=lambda size: 100.0 * size.whole, look=lambda size: 50.0 * size.looks)


@pytest.mark.parametrize("allowed", [100, 250, 500, 900, 1700, 3300, 10**6])
def test_the_start_takes_no_more_than_half_and_leaves_enough_for_a_look(allowed: float) -> None:
    size = chosen(allowed)
    if size != SIZES[-1]:
        assert 100 * size.whole <= allowed / 2
        assert 100 * size.whole + 50 * size.looks <= allowed
    larger = SIZES[: SIZES.index(size)]
    assert all(100 * other.whole > allowed / 2 or 100 * other.whole + 50 * other.looks > allowed for other in larger)


def test_a_long_run_is_asked_everything_and_a_tiny_one_the_least() -> None:
    assert chosen(10**6) == FULL
    assert chosen(0) == SIZES[-1]


def loader(data: Any, collate: Any = None) -> Any:
    return SimpleNamespace(dataset=data, collate_fn=collate)


def test_rows_are_as_long_as_their_tokens() -> None:
    assert row_tokens(loader([{"input_ids": [1] * 10}, {"input_ids": [1] * 20}])) == 15
    assert row_tokens(loader([{"prompt_ids": [1] * 3, "chosen_ids": [1] * 4, "rejected_ids": [1] * 5}])) == 12
    assert row_tokens(loader([Encoded([1] * 7, [True] * 7)])) == 7


class Counting:
    """Somebody's data set, which changes as it is read."""

    def __init__(self) -> None:
        self.read = 0

    def __len__(self) -> int:
        return 9

    def __getitem__(self, i: int) -> dict[str, list[int]]:
        self.read += 1
        return {"input_ids": [1] * self.read}


def test_a_data_set_that_may_change_as_it_is_read_is_not_read() -> None:
    data = Counting()
    assert row_tokens(loader(data)) is None
    assert data.read == 0


@pytest.mark.parametrize("data", [[], None, ["text"], [{"prompt": "text"}], [{}]])
def test_what_has_no_tokens_has_no_length(data: Any) -> None:
    assert row_tokens(loader(data)) is None
