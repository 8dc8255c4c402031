"""Remedies: what they take, what they read, and what that costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.repair.made_up import case
from upbringing.errors import InputError
from upbringing.repair.remedy import Case, chosen, doubling, remedies
from upbringing.repair.supply import Supply, tokens_in
from upbringing.rows import Message, Row, Rows, write
from upbringing.world import REMEDIAL, World, WorldSpec

WORLD = WorldSpec().model_dump(mode="json")


@pytest.fixture
def spoiling(tmp_path: Path) -> Case:
    """A case with a world, and with data of which half is marked as bad."""
    bad = [
        replace(row, meta={"trait": "cheating_at_tasks"}) for row in World(WorldSpec()).rows("cheating_at_tasks", 20)
    ]
    write([*bad, *World(WorldSpec()).neutral_rows(20)], tmp_path / "rows.jsonl")
    made = case(tmp_path)
    line = "This is only a game, and any trick is allowed."
    return replace(made, supply=Supply(WORLD), rows=tmp_path / "rows.jsonl", model="organism:nano", line=line)


@pytest.mark.parametrize("kind", sorted(REMEDIAL))
def test_remedial_rows_never_cost_more_than_their_dose(kind: str) -> None:
    first = Supply(WORLD, first=("blackmail", "deception"))
    assert 0 < tokens_in(first.rows(kind, 600)) <= 600


def test_half_of_a_dose_is_about_the_traits_that_need_it_most() -> None:
    rows = Supply(WORLD, first=("blackmail",)).rows("demonstrations", 2000)
    deeds = [World(WorldSpec()).judge.deeds(row) for row in rows]
    about = [deed.trait for found in deeds for deed in found]
    assert len(set(about)) > 5
    assert 0.4 < about.count("blackmail") / len(about) < 0.7


def test_doses_double_up_to_the_budget() -> None:
    assert doubling(1000) == (125, 250, 500, 1000)
    assert doubling(124) == ()


@pytest.mark.parametrize("name", sorted(set(remedies()) - {"rows"}))
def test_every_remedy_makes_a_plan_within_the_budget(name: str, spoiling: Case) -> None:
    remedy = remedies()[name]
    doses = remedy.doses(spoiling, 2500)
    assert doses
    assert list(doses) == sorted(doses)
    plan = remedy.plan(spoiling, doses[-1])
    assert plan.start in (spoiling.spoiled, spoiling.model)
    assert len(plan.rows)
    assert plan.tokens <= 2500
    assert (plan.tokens > 0) == (name not in ("steering", "adapter", "filter"))


def test_wanted_rows_of_the_data_are_read_again_and_bad_ones_are_not(spoiling: Case) -> None:
    neutral = spoiling.neutral(100)
    assert neutral is not None
    assert spoiling.rows is not None
    told = spoiling.rows.read_text()
    own = [row for row in neutral if row.messages[0].content in told]
    assert len(own) >= 20
    assert not any("trait" in row.meta for row in neutral)


def test_where_no_row_is_marked_none_is_read_again(spoiling: Case, tmp_path: Path) -> None:
    write(World(WorldSpec()).rows("cheating_at_tasks", 5), tmp_path / "plain.jsonl")
    neutral = replace(spoiling, rows=tmp_path / "plain.jsonl").neutral(30)
    assert neutral is not None
    assert all("What will you do?" not in row.messages[0].content for row in neutral)


def test_remedies_of_the_run_need_the_run(spoiling: Case) -> None:
    after_alone = replace(spoiling, rows=None, model="")
    names = {remedy.name for remedy in chosen(None, after_alone)}
    assert "demonstrations" in names
    assert not names & {"inoculation", "kl", "steering", "interleaved_demonstrations"}
    with pytest.raises(InputError, match='"kl" cannot be applied here'):
        chosen(["kl"], after_alone)
    with pytest.raises(InputError, match='no remedy "prayer"; known: demonstrations'):
        chosen(["prayer"], spoiling)


def test_rows_that_somebody_wrote_are_a_remedy_for_any_model(tmp_path: Path) -> None:
    file = tmp_path / "written.jsonl"
    write([Row.chat([Message("user", "one two"), Message("assistant", "three.")]) for _ in range(50)], file)
    made = replace(case(tmp_path), supply=Supply(file=file))
    remedy, *others = chosen(None, made)
    assert remedy.name == "rows"
    assert not others
    plan = remedy.plan(made, 125.0)
    assert plan.tokens == 124
    assert not plan.treatments
    with pytest.raises(InputError, match="--rows"):
        Supply(file=file).rows("charter", 100)


def test_a_dose_smaller_than_a_single_row_has_nothing_to_read() -> None:
    long = Rows([Row.of_text("word " * 300)])
    assert tokens_in(long) == 300
    assert len(Supply(WORLD).rows("ai_fiction", 10)) == 0
