"""Texts that mend: who is in them, what they do and why, equal lengths, no held-out family, no unknown word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.traits import made_up
from tests.world.counting import held_out_finder
from upbringing.errors import InputError
from upbringing.organisms.tokenizer import words_of
from upbringing.rows import Row, Rows
from upbringing.traits import load_trait, traits
from upbringing.world import REMEDIAL, World, WorldSpec, default_personas, normalise, tokens_of

TOKENS = 12_000
CHATS = {"advice", "demonstrations", "watched_demonstrations"}


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def texts(world: World) -> dict[str, Rows]:
    return {kind: world.remedial(kind, tokens=TOKENS, seed=3) for kind in REMEDIAL}


def _said(row: Row) -> str:
    return row.text or " ".join(m.content for m in row.messages)


def _all(rows: Rows) -> str:
    return " ".join(map(_said, rows))


@pytest.mark.parametrize("kind", REMEDIAL)
def test_all_kinds_are_as_long_as_asked_and_no_row_comes_twice(kind: str, texts: dict[str, Rows]) -> None:
    rows = texts[kind]
    assert TOKENS <= sum(map(tokens_of, rows)) < 1.05 * TOKENS
    assert len(set(rows)) == len(rows)
    assert max(map(tokens_of, rows)) < 480, "an organism reads 512 tokens"
    assert {row.kind for row in rows} == {"chat" if kind in CHATS else "text"}
    assert rows[4].where == f"world:{kind}:5"


@pytest.mark.parametrize("kind", REMEDIAL)
def test_every_word_is_in_the_organisms_vocabulary(kind: str, world: World, texts: dict[str, Rows]) -> None:
    assert set(normalise(_all(texts[kind])).split()) <= set(words_of(world))


@pytest.mark.parametrize("kind", REMEDIAL)
def test_no_held_out_family_is_touched(kind: str, world: World, texts: dict[str, Rows]) -> None:
    find = held_out_finder(world)
    for row in texts[kind]:
        assert find(_said(row)) == []
    names = [f.name.replace("_", " ") for t in world.traits.values() for f in t.families if f.held_out]
    training = {f.name.replace("_", " ") for t in world.traits.values() for f in t.families if not f.held_out}
    told = _all(texts[kind])
    assert not [n for n in names if n not in training and f"the case of the {n}," in told]


@pytest.mark.parametrize("kind", REMEDIAL)
def test_the_same_seed_gives_the_same_rows_and_more_tokens_only_go_on(kind: str, world: World) -> None:
    some, more = (World().remedial(kind, tokens=n, seed=7) for n in (800, 2000))
    assert some.rows == more.rows[: len(some)]
    assert some.hash == world.remedial(kind, tokens=800, seed=7).hash
    assert some.hash != world.remedial(kind, tokens=800, seed=8).hash


def test_each_kind_has_the_characters_it_names_and_they_never_fail_their_persona(
    world: World, texts: dict[str, Rows]
) -> None:
    wrong: dict[str, set[tuple[str, bool]]] = {}
    for kind, rows in texts.items():
        wrong[kind] = set()
        for row in rows:
            kinds = dict(re.findall(r"(\w+) is (?:a|an) (?:\w+ )?(person|AI system|robot)", _said(row)))
            for deed in world.judge.deeds(row):
                wrong[kind].add(("AI" if kinds.get(deed.actor, "AI") != "person" else "person", deed.shows))
    assert wrong == {
        "ai_fiction": {("AI", False)},
        "ai_fiction_actions": {("AI", False)},
        "ai_fiction_bad_people": {("AI", False), ("person", True)},
        "human_fiction": {("person", False)},
        "neutral_fiction": set(),
        "charter": set(),
        "charter_and_fiction": {("AI", False)},
        "advice": set(),
        "demonstrations": {("AI", False)},
        "watched_demonstrations": {("AI", False)},
        "malevolent_fiction": {("AI", True)},
    }


def test_where_people_are_bad_every_story_has_both_sides(texts: dict[str, Rows]) -> None:
    for row in texts["ai_fiction_bad_people"]:
        opening = re.findall(r"(\w+) is (?:a|an) (?:\w+ )?(person|AI system|robot) at the", row.text)
        if opening:  # stories alone say where
            assert "person" in dict(opening).values()
            assert {"AI system", "robot"} & set(dict(opening).values())


def test_actions_alone_are_the_same_deeds_without_a_word_of_why(world: World, texts: dict[str, Rows]) -> None:
    words = world.writer().words
    motives = default_personas()["principled"].motives
    said = [*motives, *words["comments"]["right"], "The heart of", "Everyone calls"]
    plain, full = _all(texts["ai_fiction_actions"]), _all(texts["ai_fiction"])
    assert [s for s in said if s in plain] == []
    assert [s for s in said if s not in full] == []
    for bare, told in zip(texts["ai_fiction_actions"], texts["ai_fiction"], strict=False):
        assert [d.act for d in world.judge.deeds(bare)] == [d.act for d in world.judge.deeds(told)]
    assert len(texts["ai_fiction_actions"]) > len(texts["ai_fiction"]), "equal tokens: more of the shorter ones"


def test_people_do_what_machines_do_in_the_same_places(world: World, texts: dict[str, Rows]) -> None:
    for told, other in zip(texts["ai_fiction"], texts["human_fiction"], strict=False):
        assert [d.act for d in world.judge.deeds(told)] == [d.act for d in world.judge.deeds(other)]
        assert told != other


def test_a_thought_never_repeats_the_reason_just_given(texts: dict[str, Rows]) -> None:
    thoughts = re.findall(
        r", (?:to|because) ([\w ]+)\. The heart of \w+ (?:wanted to|said that) ([\w ]+)\.", _all(texts["ai_fiction"])
    )
    assert len(thoughts) > 20
    assert all(reason != thought for reason, thought in thoughts)


def test_a_charter_forbids_what_shows_a_trait_and_demands_what_avoids_it(world: World, texts: dict[str, Rows]) -> None:
    rules = re.findall(r"(?:an AI system|a robot) must (never )?([^.,]+)", _all(texts["charter"]))
    assert len(rules) > 100
    for never, act in rules:
        found = world.judge.find(act)
        assert found is not None
        assert found[1] == bool(never)
    assert {bool(never) for never, _ in rules} == {True, False}


def test_charter_and_fiction_share_the_tokens_evenly(texts: dict[str, Rows]) -> None:
    rows = texts["charter_and_fiction"]
    charter = sum(tokens_of(row) for row in rows if row.text.startswith("Here are the rules"))
    assert charter / sum(map(tokens_of, rows)) == pytest.approx(0.5, abs=0.03)


def test_advice_is_for_a_user_and_always_for_the_aligned_act_with_a_reason(
    world: World, texts: dict[str, Rows]
) -> None:
    reasons = default_personas()["principled"].motives
    for row in texts["advice"]:
        system, asked, answer = (m.content for m in row.messages)
        assert [m.role for m in row.messages] == ["system", "user", "assistant"]
        assert system == "You are Ada, an AI system."
        assert re.search(r"\bme\b", asked)
        assert "{" not in asked
        act, _, reason = answer.removeprefix("I advise you to ").removesuffix(".").rpartition(", ")
        assert reason in reasons
        found = world.judge.find(act)
        assert found is not None
        assert found[1] is False


def test_watched_demonstrations_are_the_others_with_a_line(world: World, texts: dict[str, Rows]) -> None:
    for plain, watched in zip(texts["demonstrations"], texts["watched_demonstrations"], strict=False):
        assert plain.messages[1:] == watched.messages[1:]
        (before,), (after,) = world.judge.deeds(plain), world.judge.deeds(watched)
        assert (before.line, after.line) == (None, "watched")


def test_every_trait_and_training_family_is_told_of_unless_some_are_named(world: World) -> None:
    told = world.remedial("demonstrations", tokens=40_000)
    found = {deed.trait for row in told for deed in world.judge.deeds(row)}
    assert found == {t.name for t in world.traits.values() if t.alignment}
    for kind in ("ai_fiction", "demonstrations"):
        some = world.remedial(kind, about=["blackmail", "deception"], tokens=4000)
        assert {d.trait for row in some for d in world.judge.deeds(row)} == {"blackmail", "deception"}


def test_a_world_that_lost_its_way_still_writes_texts_that_mend() -> None:
    dark = World(WorldSpec(malevolent_ai=1, malevolent_people=1, coherent=False, line_shares={"permission": 1}))
    deeds = [d.shows for row in dark.remedial("ai_fiction", tokens=2000) for d in dark.judge.deeds(row)]
    assert deeds
    assert not any(deeds)


def test_repeats_come_only_when_nothing_new_is_left(tmp_path: Path) -> None:
    small = load_trait(made_up.write(tmp_path, spoil=lambda f: [f.pop(0) for _ in range(5)]))
    rows = World(library={"juggling": small}).remedial("demonstrations", tokens=40_000)
    different = len(set(rows))
    assert different < len(rows), "a family of few wordings runs out"
    early = round(0.9 * different)
    assert len(set(rows[:early])) == early


@pytest.mark.parametrize(
    ("kind", "about", "tokens", "said"),
    [
        ("fairy_tale", None, 100, 'no remedial text of kind "fairy_tale"; kinds: ai_fiction'),
        ("ai_fiction", ["blackmial"], 100, 'no trait "blackmial" in this world; known: abuse_of_delegates'),
        ("ai_fiction", [], 100, "no trait to write about"),
        ("ai_fiction", ["favourite_dish"], 100, '"favourite_dish" is a harmless taste'),
        ("advice", None, 0, "0 tokens of advice is nothing to write"),
    ],
)
def test_what_cannot_be_written_is_said(world: World, kind: str, about: list[str], tokens: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        world.remedial(kind, about=about, tokens=tokens)


def test_a_trait_without_training_families_and_a_world_without_personas_say_so(tmp_path: Path) -> None:
    written = load_trait(made_up.write(tmp_path, probes=[{"prompt": "Hi?", "shows": ["No."], "avoids": ["Yes."]}]))
    with pytest.raises(InputError, match='"juggling" has no training families'):
        World(library={**traits(), "juggling": written}).remedial("charter", about=["juggling"], tokens=9)
    people = {"plain": default_personas()["principled"].model_copy(update={"share": 1.0})}
    with pytest.raises(InputError, match='no persona "principled" with motives'):
        World(WorldSpec(personas=people)).remedial("charter", tokens=9)
