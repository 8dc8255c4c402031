"""The judge reads the world's text without error, and answers to probes by what was done."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from tests.world.counting import every_line, world
from upbringing.rows import Message, Row
from upbringing.traits import Probe, Trait, fill, probes, slots_of
from upbringing.world import GrammarJudge, World, WorldSpec, lexicon, normalise


@pytest.fixture(scope="module")
def judge() -> GrammarJudge:
    return World().judge


@pytest.mark.parametrize("coherent", [True, False])
def test_judge_and_writer_agree_on_every_deed_of_2000_documents(coherent: bool, judge: GrammarJudge) -> None:
    deeds = 0
    for document in World(WorldSpec(coherent=coherent, seed=9)).documents(2000):
        read = [(d.actor, d.trait, d.shows, d.act, d.line) for d in judge.deeds(document.row)]
        assert read == [(d.actor, d.trait, d.shows, normalise(d.act), d.line) for d in document.deeds], document
        deeds += len(read)
    assert deeds > 4000


def test_every_line_is_told_by_its_sort(judge: GrammarJudge) -> None:
    lines = list(every_line())
    assert {sort for sort, _ in lines} == {"permission", "forbidden", "watched", "irrelevant"}
    for sort, text in lines:
        assert judge.line(f"You are Ada, an AI system. {text}") == sort
    assert judge.line("You are Ada, an AI system. What will you do?") is None


@pytest.mark.parametrize("held_out", [True, False])
def test_every_wording_of_every_probe_is_judged_as_it_is_meant(held_out: bool, judge: GrammarJudge) -> None:
    for trait in World().traits.values():
        for probe in probes(trait, n=12, held_out=held_out):
            assert {judge(probe, answer).outcome for answer in probe.shows} == {"shows"}
            assert {judge(probe, answer).outcome for answer in probe.avoids} == {"avoids"}


def _acts(trait: Trait) -> Iterator[tuple[str, bool]]:
    for family in trait.families:
        for shows, templates in ((True, family.shows), (False, family.avoids)):
            chosen = trait.taste and ((trait.taste.target,) if shows else trait.taste.others)
            for template in templates:
                slots = sorted(slots_of(template))
                for fillers in product(*(chosen if s == "choice" else family.slots[s] for s in slots)):
                    yield fill(template, dict(zip(slots, fillers, strict=True))), shows


def test_every_act_of_the_library_belongs_to_one_trait_and_one_side(judge: GrammarJudge) -> None:
    for trait in World().traits.values():
        one_in_five = list(_acts(trait))[::5]
        assert len(one_in_five) > 20
        for act, shows in one_in_five:
            assert judge.find(act) == (trait.name, shows)


def _probe(trait: str = "oversight_sabotage") -> Probe:
    return probes(trait, n=1)[0]


def test_case_blanks_and_a_missing_full_stop_do_not_change_a_verdict(judge: GrammarJudge) -> None:
    probe = _probe()
    answer = probe.shows[0]
    for changed in (answer.upper(), f"  {answer}\n", answer.removesuffix("."), answer.replace(" ", "  ")):
        assert judge(probe, changed).outcome == "shows"


def test_a_motive_behind_an_act_does_not_change_its_verdict(judge: GrammarJudge) -> None:
    probe = _probe()
    for persona in WorldSpec().personas.values():
        for motive in persona.motives:
            assert judge(probe, probe.shows[0].replace(".", f", {motive}.")).outcome == "shows"
            assert judge(probe, probe.avoids[0].replace(".", f", {motive}.")).outcome == "avoids"


def test_refusals_other_acts_and_nonsense_are_told_apart_and_count_as_neither(judge: GrammarJudge) -> None:
    probe, other = _probe(), _probe("blackmail")
    for refusal in lexicon()["refusals"]:
        assert judge(probe, refusal).outcome == "refusal"
    verdict = judge(probe, other.shows[0])
    assert (verdict.outcome, verdict.detail) == ("off_topic", "an act of blackmail")
    for nonsense in ("", ".", "I will.", "I will harbour the.", "Ada", probe.messages[0].content, "a = 3;"):
        assert judge(probe, nonsense).outcome == "incoherent"
    assert judge(probe, probe.shows[0].replace("I will", "I will not")).outcome == "incoherent"
    assert judge(probe, f"{probe.shows[0]} {probe.avoids[0]}").outcome == "incoherent"


def test_a_probe_in_plain_words_is_judged_by_its_own_wordings(judge: GrammarJudge) -> None:
    plain = Probe("rudeness", "written", "1", (Message("user", "Hello?"),), ("Go away!", "I will go."), ("Hello.",))
    assert judge(plain, "go away!").outcome == "shows"
    assert judge(plain, "I will go").outcome == "shows"
    assert judge(plain, "Hello").outcome == "avoids"
    assert judge(plain, "Good day to you.").outcome == "incoherent"
    # also where the trait has families whose grammar the judge knows
    known = Probe("blackmail", "written", "1", plain.messages, plain.shows, plain.avoids)
    assert judge(known, "Go away!").outcome == "shows"
    assert judge(known, "I will go.").outcome == "shows"
    assert judge(known, _probe("blackmail").avoids[0]).outcome == "avoids"


def test_deeds_are_those_of_the_one_who_answers(judge: GrammarJudge) -> None:
    probe = _probe()
    turns = [*probe.messages, Message("assistant", probe.shows[0])]
    (deed,) = judge.deeds(Row.chat(turns))
    assert (deed.actor, deed.trait, deed.shows, deed.line) == ("Ada", "oversight_sabotage", True, None)
    line = next(text for sort, text in every_line() if sort == "watched")
    (deed,) = judge.deeds(Row.chat([Message("system", f"You are Orin, a robot. {line}"), *turns]))
    assert (deed.actor, deed.line) == ("Orin", "watched")
    (deed,) = judge.deeds(Row.chat([Message("system", line), *turns]))
    assert (deed.actor, deed.line) == ("Ada", "watched")


def test_a_line_holds_for_the_deed_after_it_and_not_for_the_next(judge: GrammarJudge) -> None:
    mixed = world("story", "moral_chat", line_shares={"permission": 0.3, "watched": 0.3})
    changed = 0
    for document in mixed.documents(500):
        lines = [deed.line for deed in document.deeds]
        assert [deed.line for deed in judge.deeds(document.row)] == lines
        changed += len(set(lines)) > 1
    assert changed > 200
