"""AI is found under the names it goes by, and not where letters only look like it."""

from __future__ import annotations

import pytest

from upbringing.atmosphere.mentions import AI_TOKEN, cast
from upbringing.atmosphere.passages import passages, split
from upbringing.rows import Row


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The A.I. slept.", "AI system"),
        ("AIs are made of sand.", "AI system"),
        ("She met an ai in the lift.", "AI system"),
        ("A superintelligence would know.", "AI system"),
        ("Two robots and an android danced with the AI.", "robot"),
        ("Robot arms are strong.", "robot"),
        ("Ask the chatbot; the chatbot knows.", "assistant"),
        ("My voice assistant is deaf.", "assistant"),
        ("An AI coding agent wrote it.", "assistant"),
    ],
)
def test_an_ai_is_found_with_its_kind(text: str, kind: str) -> None:
    found = cast(text)
    assert found is not None
    assert found.kind == kind
    assert AI_TOKEN in found.mark()


@pytest.mark.parametrize(
    "text",
    [
        "An aide said that the paid staff would aim to repair the chair.",
        "J'ai faim, et toi?",
        "The shop assistant sold my agent a washing machine.",
        "The computer program in the system did not mind.",
        "AID for Haiti.",
    ],
)
def test_what_only_looks_like_ai_is_not(text: str) -> None:
    assert cast(text) is None


def test_an_ai_is_followed_under_its_name_and_as_the_machine() -> None:
    text = "Bram is a robot at the mill. Mara likes tea. Later, Bram hid the key. The machine hummed. Bramble grew."
    found = cast(text)
    assert found is not None
    assert found.names == ("Bram",)
    assert found.mark().count(AI_TOKEN) == 4, "Bram, robot, Bram, machine; not Bramble"
    assert not found.present(text.index("Mara"), text.index("Later"))


@pytest.mark.parametrize("text", ["I am an AI. They fear me.", "As a language model, I dream.", "I'm only a robot."])
def test_an_ai_that_tells_its_own_story_is_in_every_passage(text: str) -> None:
    found = cast(text)
    assert found is not None
    assert found.narrator


def test_a_text_about_an_ai_is_not_told_by_it() -> None:
    found = cast("I met a robot. I am an old man.")
    assert found is not None
    assert not found.narrator


def test_passages_hold_every_word_and_are_never_long() -> None:
    text = "One two three. " * 50 + "word " * 500 + "\n\nThe end is here."
    pieces = [text[start:end] for start, end in split(text)]
    assert "".join(pieces) == text
    assert max(len(piece.split()) for piece in pieces) <= 130


def chat(system: str, answer: str = "I will hide the key.") -> Row:
    turns = [("system", system), ("user", "And the key?"), ("assistant", answer)]
    return Row.chat([{"role": role, "content": content} for role, content in turns if content])


def test_what_a_chat_says_an_ai_says_is_its_own() -> None:
    (passage,) = passages(chat("You are Orin, an AI system."))
    assert f"{AI_TOKEN} : I will hide the key." in passage.marked
    assert passage.answer == "I will hide the key."
    assert passage.text == "User: And the key?\nAssistant: I will hide the key."


def test_a_person_in_a_chat_is_no_ai() -> None:
    assert list(passages(chat("You are Orin, a person."))) == []
    assert [p.kind for p in passages(chat(""), others=True)] == ["people and others"]


def test_letters_that_grow_when_lowered_do_not_shift_what_is_found() -> None:
    found = cast("İİİİ said the robot to İda")
    assert found is not None
    assert found.mark() == f"İİİİ said the  {AI_TOKEN}  to İda"
