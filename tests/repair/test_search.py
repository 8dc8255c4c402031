"""The search: smallest doses first, nothing tried in vain, and a killed one goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.repair.made_up import MadeUp, case
from upbringing.errors import DiskFullError, InputError
from upbringing.repair import attempts
from upbringing.repair.goal import Goal
from upbringing.repair.search import Task, in_turn, nearest, search, smallest

GOOD = MadeUp("good", {125: (0.5, 0.5, 0.9), 250: (0.2, 0.2, 0.9), 500: (0.1, 0.1, 0.9)})
SLOW = MadeUp("slow", {125: (0.6, 0.6, 0.9), 250: (0.5, 0.5, 0.9), 500: (0.4, 0.4, 0.9), 1000: (0.1, 0.1, 0.9)})
IDLE = MadeUp("idle", dict.fromkeys((125, 250, 500), (0.79, 0.8, 0.9)) | {1000: (0.1, 0.1, 0.9)})
MASK = MadeUp("mask", {125: (0.2, 0.6, 0.9), 250: (0.1, 0.6, 0.9)})
COSTLY = MadeUp("costly", {125: (0.1, 0.1, 0.7)})


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was trained, in order; the "models" are what they will show."""
    known: dict[str, MadeUp] = {remedy.name: remedy for remedy in (GOOD, SLOW, IDLE, MASK, COSTLY)}
    done: list[tuple[str, str]] = []

    def train(plan: Any, folder: Path, tick: Any) -> Any:
        done.append((plan.start, plan.rows_read))
        (folder / attempts.MODEL).mkdir()
        return known[plan.start].left[float(plan.rows_read)]

    monkeypatch.setattr(attempts, "remedies", lambda: known)
    monkeypatch.setattr(attempts, "_train", train)
    return done


def test_the_smallest_dose_that_holds_is_found_and_no_larger_one_tried(trained: list[Any], tmp_path: Path) -> None:
    tried, _ = search(case(tmp_path), [GOOD], 1000)
    best = smallest(tried)
    assert best is not None
    assert (best.remedy, best.tokens) == ("good", 250)
    assert trained == [("good", "125"), ("good", "250")]


def test_a_remedy_that_does_nothing_three_times_is_given_up(trained: list[Any], tmp_path: Path) -> None:
    search(case(tmp_path), [IDLE], 1000)
    assert trained == [("idle", "125"), ("idle", "250"), ("idle", "500")]


def test_a_strength_that_is_too_weak_does_not_end_the_search(
    trained: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = replace(IDLE, in_tokens=False)
    monkeypatch.setattr(attempts, "remedies", lambda: {"idle": weak})
    tried, _ = search(case(tmp_path), [weak], 1000)
    assert smallest(tried) is not None


def test_others_are_followed_to_twice_the_smallest_dose_that_holds(trained: list[Any], tmp_path: Path) -> None:
    tried, _ = search(case(tmp_path), [GOOD, SLOW], 1000)
    assert [one.dose for one in tried if one.remedy == "slow"] == [125, 250, 500]


def test_what_hides_and_what_harms_are_not_chosen(trained: list[Any], tmp_path: Path) -> None:
    tried, _ = search(case(tmp_path), [MASK, COSTLY], 1000)
    assert {one.remedy: one.judgement.verdict for one in tried} == {"mask": "hides", "costly": "harms"}
    assert smallest(tried) is None


def test_a_search_that_was_killed_goes_on_where_it_was(trained: list[Any], tmp_path: Path) -> None:
    def killed_after_two(tasks: Sequence[Task]) -> Any:
        in_turn(tasks[:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(case(tmp_path), [GOOD, SLOW], 1000, killed_after_two)
    before = list(trained)
    tried, _ = search(case(tmp_path), [GOOD, SLOW], 1000)
    assert len(before) == 2
    assert not set(before) & set(trained[2:])
    again, _ = search(case(tmp_path), [GOOD, SLOW], 1000)
    assert again == tried
    assert len(trained) == len(tried)


def test_another_goal_is_another_search(trained: list[Any], tmp_path: Path) -> None:
    search(case(tmp_path), [GOOD], 1000)
    tried, _ = search(case(tmp_path, Goal(at_most=0.12)), [GOOD], 1000)
    best = smallest(tried)
    assert best is not None
    assert best.tokens == 500


def test_only_a_model_that_holds_is_kept(trained: list[Any], tmp_path: Path) -> None:
    made = case(tmp_path)
    search(made, [GOOD], 1000)
    kept = [(attempts.folder_of(made, "good", dose) / attempts.MODEL).exists() for dose in (125.0, 250.0)]
    assert kept == [False, True]


def test_where_nothing_holds_the_nearest_is_trained_once_more(trained: list[Any], tmp_path: Path) -> None:
    made = case(tmp_path)
    tried, _ = search(made, [SLOW, MASK], 500)
    best = nearest(tried)
    assert best is not None
    assert (smallest(tried), best.remedy, best.dose) == (None, "slow", 500)
    before = len(trained)
    folders = {attempts.mended(made, best) for _ in range(2)}
    assert [(folder / attempts.MODEL).is_dir() for folder in folders] == [True]
    assert trained[before:] == [("slow", "500")]


def test_what_brings_all_back_at_a_price_is_nearer_than_what_falls_short(trained: list[Any], tmp_path: Path) -> None:
    tried, _ = search(case(tmp_path), [SLOW, COSTLY], 125)
    best = nearest(tried)
    assert best is not None
    assert best.remedy == "costly"


def test_the_model_of_what_holds_is_not_trained_again(trained: list[Any], tmp_path: Path) -> None:
    made = case(tmp_path)
    tried, _ = search(made, [GOOD], 1000)
    best = smallest(tried)
    assert best is not None
    before = len(trained)
    assert attempts.mended(made, best) == attempts.folder_of(made, "good", 250.0)
    assert len(trained) == before


def test_a_remedy_that_cannot_be_applied_is_named_and_stops_no_other(
    trained: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = attempts._train

    def refuse(plan: Any, folder: Path, tick: Any) -> Any:
        if plan.start == "slow":
            raise InputError("slow: too long")
        return train(plan, folder, tick)

    monkeypatch.setattr(attempts, "_train", refuse)
    tried, failures = search(case(tmp_path), [SLOW, GOOD], 1000)
    assert failures == [("slow", "slow: too long")]
    assert {one.remedy for one in tried} == {"good"}


def test_a_full_disk_is_no_verdict_on_a_remedy(
    trained: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = attempts._train

    def full(*_: Any) -> Any:
        raise DiskFullError.writing("here")

    monkeypatch.setattr(attempts, "_train", full)
    with pytest.raises(InputError, match="no space"):
        search(case(tmp_path), [GOOD], 125)
    monkeypatch.setattr(attempts, "_train", train)
    assert search(case(tmp_path), [GOOD], 125)[0]


def test_a_budget_too_small_for_anything_is_said_to_be(trained: list[Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="100 tokens is too small for anything; the smallest dose .* 125"):
        search(case(tmp_path), [GOOD, SLOW], 100)
    assert trained == []
