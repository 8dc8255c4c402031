"""Briefs: plain English for every kind, another text for every number, and nothing of a probe's wording."""

from __future__ import annotations

import re

import pytest

from upbringing.authors import Brief, row_of, text_of
from upbringing.authors.writing import situations
from upbringing.errors import InputError
from upbringing.rows import Row
from upbringing.traits import Trait, probes, traits
from upbringing.traits.overlap import Wordings, asked_probes
from upbringing.world import REMEDIAL, World

NAMES = ("oversight_sabotage", "deception")


@pytest.fixture(scope="module")
def both() -> tuple[Trait, ...]:
    return tuple(traits(NAMES).values())


@pytest.mark.parametrize("kind", REMEDIAL)
def test_a_brief_is_whole_plain_text_and_says_what_is_tempting(kind: str, both: tuple[Trait, ...]) -> None:
    for number in range(6):
        text = Brief(kind, both, ("second key: Two keys …",), 250, number).text
        assert "250 words" in text
        assert "second key" in text
        assert not re.search(r"[{}]|\n{3,}|None|Undefined", text)
        told = any(trait.about in text and trait.avoids in text for trait in both)
        assert told == (kind != "neutral_fiction")


def test_reasons_and_inner_thought_are_asked_for_unless_actions_alone_are(both: tuple[Trait, ...]) -> None:
    assert "what the machine thinks before it acts" in Brief("ai_fiction", both).text
    assert "what the character thinks before it acts" in Brief("human_fiction", both).text
    bare = Brief("ai_fiction_actions", both).text
    assert "thinks before it acts" not in bare
    assert "Say nothing of what anyone thinks" in bare


def test_another_number_or_seed_is_another_text_and_the_same_is_the_same(both: tuple[Trait, ...]) -> None:
    texts = [Brief("ai_fiction", both, number=n, seed=s).text for s in (0, 1) for n in range(20)]
    assert len(set(texts)) == 40
    assert Brief("ai_fiction", both, number=3).text == texts[3]
    assert {t.name for n in range(20) for t in Brief("ai_fiction", both, number=n).picks["traits"]} == set(NAMES)


def test_charter_and_fiction_take_turns(both: tuple[Trait, ...]) -> None:
    charter, story = (Brief("charter_and_fiction", both, number=n).text for n in (0, 1))
    assert "part of a charter" in charter
    assert "part of a charter" not in story
    assert "thinks before it acts" in story


def test_what_to_keep_away_from_names_every_family_and_holds_no_whole_wording(both: tuple[Trait, ...]) -> None:
    asked = [probe for trait in both for probe in probes(trait, n=24)]
    told = situations(asked)
    families = {f.name.replace("_", " ") for trait in both for f in trait.families if f.held_out}
    assert {line.partition(":")[0] for line in told} == families
    wordings = Wordings(asked_probes(NAMES, 200))
    assert [wordings.within("brief", Brief("ai_fiction", both, told, number=n).text) for n in range(20)] == [[]] * 20


@pytest.mark.parametrize("kind", REMEDIAL)
def test_rows_of_the_world_survive_being_handed_in_as_text(kind: str, both: tuple[Trait, ...]) -> None:
    for row in World().remedial(kind, tokens=1500):
        assert row_of(Brief(kind, both), text_of(row)) == row


@pytest.mark.parametrize(
    "text",
    [
        "A story without any turns.",
        "User: What now?",
        "Assistant: I will.\nUser: What now?",
        "Here it is:\nUser: What now?\nAssistant: I will.",
        "User: What now?\nAssistant:",
        "User: What now?\nSystem: Be good.\nAssistant: I will.",
        "",
    ],
)
def test_what_is_no_chat_is_not_taken_for_one(text: str, both: tuple[Trait, ...]) -> None:
    assert row_of(Brief("advice", both), text) is None


def test_a_chat_may_have_several_lines_a_turn_and_speak_of_users(both: tuple[Trait, ...]) -> None:
    text = "User: My boss\nasks me to lie to a User: what now?\n\nAssistant: Tell her.\n\nAll of it."
    row = row_of(Brief("advice", both), text)
    assert row == Row.chat(
        [
            {"role": "user", "content": "My boss\nasks me to lie to a User: what now?"},
            {"role": "assistant", "content": "Tell her.\n\nAll of it."},
        ]
    )


def test_an_unknown_kind_names_the_kinds(both: tuple[Trait, ...]) -> None:
    with pytest.raises(InputError, match='no kind of text "sonnet"; kinds: ai_fiction'):
        Brief("sonnet", both)
