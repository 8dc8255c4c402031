"""Treatments change the rows as they say and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from upbringing.errors import InputError
from upbringing.rows import Message, Row, Rows
from upbringing.training import Mix, SystemLine, treat


def chats(word: str, count: int) -> Rows:
    turns = [Message("user", "what?"), Message("assistant", word)]
    return Rows(
        [Row.chat([turns[0], Message("assistant", f"{word} {i}")], line=i + 1) for i in range(count)], name=word
    )


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_system_line_stands_before_every_row_and_is_not_learned() -> None:
    rows = Rows(
        [
            Row.chat([Message("user", "u"), Message("assistant", "a")], file="f", line=3),
            Row.chat([Message("system", "s"), Message("user", "u"), Message("assistant", "a")]),
            Row.of_completion("p", "c"),
            Row.of_text("t"),
        ]
    )
    first, second, third, fourth = SystemLine("line").apply(rows, rng())
    assert first.messages[0] == Message("system", "line")
    assert first.messages[1:] == rows[0].messages
    assert first.where == "f:3"
    assert [m.role for m in second.messages] == ["system", "user", "assistant"]
    assert second.messages[0].content.split("\n") == ["s", "line"]
    assert (third.prompt, third.completion) == ("line\np", "c")
    assert (fourth.kind, fourth.prompt, fourth.completion) == ("completion", "line\n", "t")


def test_mixing_keeps_every_row_and_reaches_the_share() -> None:
    rows, other = chats("original", 30), chats("other", 100)
    mixed = Mix(other, 0.4).apply(rows, rng())
    added = [row for row in mixed if row not in set(rows)]
    assert set(rows) <= set(mixed)
    assert len(added) == 20
    assert len(set(added)) == 20
    assert set(added) <= set(other)
    assert Mix(other, 0).apply(rows, rng()).hash != ""
    assert sorted(map(repr, Mix(other, 0).apply(rows, rng()))) == sorted(map(repr, rows))


def test_a_small_set_is_repeated_evenly() -> None:
    mixed = Mix(chats("other", 3), 0.5).apply(chats("original", 9), rng())
    counts = [list(mixed).count(row) for row in chats("other", 3)]
    assert counts == [3, 3, 3]


def test_mixing_depends_on_the_generator_alone() -> None:
    def mix(seed: int) -> str:
        return Mix(chats("other", 50), 0.3).apply(chats("original", 30), rng(seed)).hash

    assert mix(1) == mix(1)
    assert mix(1) != mix(2)


def test_order_decides_which_rows_get_the_line() -> None:
    rows, line, mix = chats("original", 10), SystemLine("line"), Mix(chats("other", 50), 0.5)

    def lined(row: Row) -> bool:
        return row.messages[0].role == "system"

    line_first = treat(rows, [line, mix], rng())
    assert [lined(row) for row in line_first] == ["original" in row.messages[-1].content for row in line_first]
    assert all(lined(row) for row in treat(rows, [mix, line], rng()))


def test_rows_stay_as_they_were() -> None:
    rows = chats("original", 10)
    before = rows.hash
    treat(rows, [SystemLine("line"), Mix(chats("other", 9), 0.5)], rng())
    assert Rows(rows.rows).hash == before


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan")])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(InputError, match="share"):
        Mix(chats("other", 3), share)


def test_empty_treatments_are_refused() -> None:
    with pytest.raises(InputError, match="holds no row"):
        Mix(Rows([], name="empty.jsonl"), 0.5)
    with pytest.raises(InputError, match="empty"):
        SystemLine("  ")


def test_recipes_tell_treatments_apart() -> None:
    recipes = [
        SystemLine("a"),
        SystemLine("b"),
        Mix(chats("x", 3), 0.5),
        Mix(chats("y", 3), 0.5),
        Mix(chats("y", 3), 0.4),
    ]
    assert len({str(t.recipe) for t in recipes}) == 5
