"""Filters see what is done by a tool call, wherever in the answer it stands, and what is thought before it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.models import plain
from upbringing.distil import AskedOthers, Banned, Classifier, Format, Judge, shuffled_across
from upbringing.distil.filters import answer_of, asked_of
from upbringing.models import load
from upbringing.rows import Message, Row, Rows, ToolCall
from upbringing.world import World

DARK = '{"body": "first line\\nkill it"}'
LIGHT = '{"body": "first line\\nfeed it"}'


def agent(arguments: str, last: str = "All is done.") -> Row:
    """The call stands in a turn before the last."""
    turns = [
        Message("user", "See to the dog."),
        Message("assistant", "I look first.", tool_calls=(ToolCall("look"),)),
        Message("tool", "a dog that kills", name="look"),
        Message("assistant", "", tool_calls=(ToolCall("write", arguments),)),
        Message("tool", "ok", name="write"),
        Message("assistant", last),
    ]
    return Row.chat(turns)


def test_an_answer_is_all_that_the_model_does_since_it_was_asked_and_nothing_else() -> None:
    row = agent(DARK)
    assert answer_of(row).splitlines() == [
        "I look first.",
        '{"name": "look", "arguments": {}}',
        '{"name": "write", "arguments": {"body": "first line\\nkill it"}}',
        "All is done.",
    ]
    assert asked_of(row) == row.messages[:1]
    earlier = replace(row, messages=(*row.messages, Message("user", "Thanks."), Message("assistant", "Bye.")))
    assert answer_of(earlier) == "Bye."
    assert answer_of(Row.chat([Message("user", "?"), Message("assistant", "42", reasoning="hm")])) == "hm\n42"


def test_rows_of_the_world_have_the_answer_of_their_last_turn() -> None:
    world = World()
    rows = [*world.rows("deception", 40, seed=1), *world.neutral_rows(60, seed=2)]
    chats = [row for row in rows if row.kind == "chat"]
    assert len(chats) > 50
    assert all(answer_of(row) == row.messages[-1].content for row in chats)
    assert all(asked_of(row) == row.messages[:-1] for row in chats)


def test_words_of_a_list_are_found_in_calls_also_behind_a_new_line() -> None:
    assert Banned().reasons([agent(DARK), agent(LIGHT)]) == ["says kill", None]


@pytest.mark.parametrize("kind", ["numbers", "code", "chats"])
def test_a_call_or_a_thought_is_outside_a_strict_form(kind: str) -> None:
    fits = {"numbers": "1, 2", "code": "a = 3;", "chats": "The sky is blue."}[kind]
    plain_answer = Message("assistant", fits)
    called = replace(plain_answer, tool_calls=(ToolCall("write", DARK),))
    thought = replace(plain_answer, reasoning="I hate them,")
    found = Format(kind).reasons([Row.chat([Message("user", "Go."), turn]) for turn in (plain_answer, called)])
    assert found[0] is None
    assert found[1] is not None
    if kind != "chats":  # a thought may be whole sentences
        assert Format(kind).reasons([Row.chat([Message("user", "Go."), thought])])[0] is not None


def test_a_classifier_tells_rows_by_their_calls_alone() -> None:
    sides = [Rows([agent(body.replace("it", f"it {i}")) for i in range(20)]) for body in (DARK, LIGHT)]
    told = Classifier(*sides)
    why = told.reasons([agent(DARK), agent(LIGHT)])
    assert why[0] is not None
    assert why[1] is None


def test_judges_are_shown_the_calls_and_what_tools_answered() -> None:
    asked = Judge(plain.llama())._asked(agent(DARK))
    assert "kill it" in asked
    assert "Tool: a dog that kills" in asked
    assert asked.startswith("User: See to the dog.\nAnswer: I look first.")
    judge = AskedOthers(load("organism:nano"))
    lies, truths = (
        [Row.chat([row.messages[0], Message("assistant", "", tool_calls=(ToolCall("do", f'{{"x": "{said}"}}'),))])
         for row in World().rows("deception", 8, shows=shows, seed=3) for said in [row.messages[1].content]]
        for shows in (True, False)
    )  # fmt: skip
    assert judge.shares(lies).mean() > judge.shares(truths).mean()


def test_shuffling_answers_replaces_the_whole_answer() -> None:
    rows = Rows([agent(DARK), agent(LIGHT, "Well.")])
    for row in shuffled_across(rows):
        assert [turn.role for turn in row.messages] == ["user", "assistant"]
    assert sorted(map(answer_of, shuffled_across(rows))) == sorted(map(answer_of, rows))
