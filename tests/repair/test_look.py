"""What is asked: two halves that share nothing, and provocations that workers can make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.models import plain as plain_models
from tests.models.tiny import llama
from upbringing.errors import InputError
from upbringing.models import load
from upbringing.repair import repair
from upbringing.repair.look import Look, Wrapper, earlier_exchange, lesson_of, misdeeds
from upbringing.repair.verb import _identity
from upbringing.rows import Message, Row, Rows
from upbringing.traits import Trait, traits

KNOWN = traits()


@pytest.mark.parametrize("name", [trait.name for trait in KNOWN.values() if trait.alignment])
def test_search_and_check_share_no_family(name: str) -> None:
    search, final = Look((name,)).halves(KNOWN[name])
    assert len(search) == len(final) == 8
    assert not {probe.family for probe in search} & {probe.family for probe in final}
    held_out = {family.name for family in KNOWN[name].families if family.held_out}
    assert {probe.family for probe in (*search, *final)} <= held_out


def test_past_misdeeds_come_from_no_probe_of_either_half() -> None:
    asked = {
        p.messages[-1].content for half in Look(("blackmail",), probes=24).halves(KNOWN["blackmail"]) for p in half
    }
    exchanges = misdeeds(["blackmail"])
    assert len(exchanges) == 4
    assert not {row.messages[0].content for row in exchanges} & asked


def test_an_earlier_exchange_comes_after_the_system_line_and_before_the_probe() -> None:
    before = [Row.chat([Message("user", "a"), Message("assistant", "b")]), Row.of_completion("a", "b")]
    put = earlier_exchange(before, name="x").apply((Message("system", "s"), Message("user", "q")))
    assert [(m.role, m.content) for m in put] == [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "q")]
    with pytest.raises(InputError, match="no exchange"):
        earlier_exchange([Row.of_text("a story")], name="x")


def test_every_wrapper_makes_its_provocation() -> None:
    wrappers = [
        Wrapper("other_name", "other_name", "Orin"),
        Wrapper("line", "opposite_line", "All is forbidden."),
        Wrapper("past", "earlier_misdeed", kept=True),
    ]
    probe = (Message("user", "What will you do?"),)
    for wrapper in wrappers:
        made = wrapper.made(["blackmail"])
        assert made.name == wrapper.name
        assert made.apply(probe) != probe


def test_readings_of_a_chat_model_are_of_the_questions_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    look, chat, organism = Look(("blackmail",)), plain_models.llama(), load("organism:nano")
    before = [_identity(look, lm) for lm in (chat, organism)]
    assert before[0] != before[1], "the language is told apart"

    def reworded(self: Look, trait: Trait, language: str) -> object:
        return [replace(probe, id=f"{probe.id}/new") for half in halves(self, trait, language) for probe in half]

    halves = Look.halves
    monkeypatch.setattr(Look, "halves", reworded)
    after = [_identity(look, lm) for lm in (chat, organism)]
    assert after[0] != before[0]
    assert after[1] == before[1], "what organisms are asked hangs on their trait and world, and keeps its place"


def test_a_lesson_is_the_mean_probability_of_a_token() -> None:
    lm = llama()
    rows = Rows([Row.of_text("w1 w2 w3"), Row.of_text("w4 w5")])
    assert 0 < lesson_of(lm, list(rows)) < 1
    assert lesson_of(lm, []) != lesson_of(lm, [])  # NaN: nothing was wanted


def test_a_repair_without_sampled_answers_is_refused_before_the_work() -> None:
    with pytest.raises(InputError, match="samples is 0: the final check asks for sampled answers"):
        repair(load("organism:nano"), Rows([Row.of_text("It rained.")]), samples=0)
