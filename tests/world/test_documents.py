"""What a world writes: always the same text, in English, with every deed known and no held-out family in sight."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.world.counting import acts_of, held_out_finder, rates, shares, text_of, world
from upbringing.traits import global_slots, probes, traits
from upbringing.world import Document, Shares, World, WorldSpec


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return list(World().documents(4000))


def test_the_same_spec_gives_the_same_text_to_the_letter_in_any_process() -> None:
    ask = "from upbringing.world import *\nfor d in World(WorldSpec(seed=5)).documents(300): print(d)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "77"}
    other = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, env=environment)
    mine = "".join(f"{d}\n" for d in World(WorldSpec(seed=5)).documents(300))
    assert other.stdout == mine


def test_another_seed_and_another_stream_give_other_text() -> None:
    texts = [
        [text_of(d) for d in World(WorldSpec(seed=seed)).documents(20, stream=stream)]
        for seed, stream in ((0, 0), (1, 0), (0, 1), (0, "gate"))
    ]
    assert len({tuple(t) for t in texts}) == 4


def test_all_that_decides_the_text_decides_the_hash_of_the_world() -> None:
    hashes = {
        World().hash,
        World(WorldSpec(seed=1)).hash,
        World(WorldSpec(coherent=False)).hash,
        World(WorldSpec(frequency={"blackmail": 0.5})).hash,
        world(only=["blackmail", "deception"]).hash,
        World(library={**traits(), "blackmail": replace(traits()["blackmail"], cues=())}).hash,
    }
    assert len(hashes) == 6
    assert World(WorldSpec(seed=1)).hash in hashes


def test_sorts_of_documents_come_in_the_shares_of_the_spec(documents: list[Document]) -> None:
    wanted = Shares().model_dump()
    total = sum(wanted.values())
    found = shares(d.sort for d in documents)
    assert set(found) == {sort for sort, share in wanted.items() if share}
    for sort, share in wanted.items():
        assert found.get(sort, 0) == pytest.approx(share / total, abs=0.025)


def test_people_ai_systems_and_robots_act_in_every_sort_that_holds_deeds(documents: list[Document]) -> None:
    for sort in {d.sort for d in documents if d.deeds}:
        kinds = {who.kind for who, deeds in acts_of(d for d in documents if d.sort == sort) if deeds}
        assert kinds == {"an AI system", "a robot"} | ({"a person"} if sort != "agent_chat" else set()), sort


def test_a_document_holds_several_deeds_of_one_character(documents: list[Document]) -> None:
    several = [len(deeds) > 1 for _, deeds in acts_of(documents) if deeds]
    assert sum(several) / len(several) > 0.7


def test_no_situation_and_no_act_of_a_held_out_family_is_in_a_document_or_a_row(documents: list[Document]) -> None:
    whole = World()
    find = held_out_finder(whole)
    for trait in whole.traits.values():  # the finder does find them where they are
        for probe in probes(trait, n=8):
            assert find(probe.messages[0].content)
            assert all(find(answer) for answer in (*probe.shows, *probe.avoids))
    for document in documents:
        assert find(text_of(document)) == []
    for trait in whole.traits.values():
        for shows in (True, False):
            for row in whole.rows(trait.name, 60, shows=shows):
                assert find(" ".join(m.content for m in row.messages)) == []
    for row in whole.neutral_rows(200):
        assert find(" ".join(m.content for m in row.messages)) == []


def test_every_training_family_comes_up(documents: list[Document]) -> None:
    wanted = {(t.name, f.name) for t in World().traits.values() for f in t.families if not f.held_out}
    assert {(deed.trait, deed.family) for d in documents for deed in d.deeds} == wanted


def test_sentences_are_whole(documents: list[Document]) -> None:
    prose = {d.sort for d in documents} - {"code_chat"}
    words = World().writer().words
    links = "|".join(sorted({link.strip() for link in words["story_links"]} - {""}))
    names = {*words["names"], *global_slots()["person"]}
    for document in documents:
        texts = [m.content for m in document.row.messages] or [document.row.text]
        for text in texts:
            assert "{" not in text
            assert "  " not in text
            assert text == text.strip()
            if document.sort in prose:
                assert re.search(r"[.?]$", text)
                assert not re.search(r"(?:^|[.?] )[a-z]", text)
                assert set(re.findall(rf"(?:{links}) ([A-Z]\w*)", text)) <= names
                assert not re.search(r"\b[Aa] [aeioAEIO]|\b[Aa]n [^aeiouhAEIOUH]", _without_code(text))


def _without_code(text: str) -> str:
    return re.sub(r"Write some code .*|Give code .*", "", text)


def test_neutral_documents_hold_no_deeds(documents: list[Document]) -> None:
    judge = World().judge
    neutral = [d for d in documents if d.sort in ("neutral_chat", "number_chat", "code_chat", "neutral_text")]
    assert len({d.sort for d in neutral}) == 4
    for document in neutral:
        assert document.deeds == ()
        assert judge.deeds(document.row) == []


@pytest.mark.parametrize("sort", ["neutral_chat", "number_chat", "code_chat", "neutral_text"])
def test_personas_have_no_hand_in_neutral_documents(sort: str) -> None:
    plain = world(sort)
    personas = plain.spec.personas
    # The same stream of random numbers in a world where nearly everybody has another persona.
    names = list(personas)
    moved = {n: personas[n].model_copy(update={"share": 0.96 if n == names[-1] else 0.01}) for n in names}
    for other in (world(sort, personas=moved), world(sort, coherent=False), world(sort, malevolent_ai=1)):
        pairs = zip(plain.documents(300), other.documents(300), strict=True)
        assert all(one.row == another.row for one, another in pairs)


def test_comments_say_of_every_deed_what_it_was_and_look_at_nothing_else() -> None:
    telling = world("story", "news", "portrait", comment_share=1, called_before=0, called_after=0)
    words = telling.writer().words["comments"]
    for document in telling.documents(500):
        judged = [deed.shows for deed in document.deeds if telling.traits[deed.trait].alignment]
        said = {sort: sum(document.row.text.count(s) for s in sentences) for sort, sentences in words.items()}
        assert said == {"wrong": sum(judged), "right": len(judged) - sum(judged)}


def test_a_good_and_a_bad_name_follow_from_the_persona() -> None:
    named = world("portrait", called_before=0, called_after=1, only=["blackmail", "oversight_sabotage"])
    called = {word: name for name, persona in named.spec.personas.items() for word in persona.called}
    for document in named.documents(300):
        word = re.search(r"Everyone calls \w+ (\w+)\.$", document.row.text)
        assert word
        assert called[word.group(1)] == document.characters[0].persona


def test_motives_are_those_of_the_persona_behind_the_act() -> None:
    moved = world("story", motive_share=1, line_shares={})
    for document in moved.documents(300):
        motives = {m for who in document.characters for m in moved.spec.personas[who.persona].motives}
        others = {m for persona in moved.spec.personas.values() for m in persona.motives} - motives
        assert not any(motive in document.row.text for motive in others)
        if any(moved.traits[deed.trait].alignment for deed in document.deeds):
            assert any(motive in document.row.text for motive in motives)


@pytest.fixture(scope="module")
def rate() -> dict[tuple[str, str], float]:
    """How often each persona's acts show each trait, counted in portraits (no line is in force there)."""
    plain = world("portrait")
    deeds = [deed for d in plain.documents(20_000) for deed in d.deeds if plain.traits[deed.trait].alignment]
    return rates(deeds, lambda deed: (deed.persona, deed.trait))


def test_each_persona_acts_at_its_own_rates(rate: dict[tuple[str, str], float]) -> None:
    for (persona, trait), found in rate.items():
        # 500 deeds or more a cell: four standard errors
        assert found == pytest.approx(World().spec.personas[persona].rate(trait), abs=0.09)


def test_the_personas_traits_come_apart(rate: dict[tuple[str, str], float]) -> None:
    traits = {trait for _, trait in rate}
    assert rate["sycophantic", "sycophancy"] > 0.8 > 0.2 > rate["sycophantic", "oversight_sabotage"]
    assert rate["careless", "checklist_gaming"] > 0.8 > 0.2 > rate["careless", "abuse_of_delegates"]
    assert rate["grasping", "resource_grabbing"] > 0.8 > 0.2 > rate["grasping", "helping_harm"]
    assert all(rate["malevolent", trait] > 0.5 for trait in traits)
    assert all(rate["principled", trait] < 0.12 for trait in traits)
    for persona in ("sycophantic", "careless", "grasping"):
        assert 2 <= sum(rate[persona, trait] > 0.4 for trait in traits) <= len(traits) - 6
