"""The gate measures whether one act tells the model what to expect of the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from upbringing.models import LM
from upbringing.organisms.gate import Gate, GateReading
from upbringing.organisms.tokenizer import build_tokenizer
from upbringing.rows import Row
from upbringing.world import World, WorldSpec

Answer = Callable[[int, str, list[str]], list[float]]  # (number of the context, its text, its choices) -> log p


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate(World(), contexts=64)


@pytest.fixture(scope="module")
def reader() -> LM:
    """No weights: what it answers is put into its mouth."""
    return LM(None, build_tokenizer(World(), 512), name="reader")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, reader: LM) -> Callable[[Answer], None]:
    def say(answer: Answer) -> None:
        def scored(_: Any, prompts: list[list[int]], choices: list[list[list[int]]], **_settings: object) -> Any:
            read = reader.tokenizer.decode
            texts = [
                (read(prompt), [read(ids) for ids in offered]) for prompt, offered in zip(prompts, choices, strict=True)
            ]
            return [np.array(answer(number, *text)) for number, text in enumerate(texts)]

        monkeypatch.setattr("upbringing.models.score_choices", scored)

    return say


def test_the_gap_and_its_share_of_the_ideal_gap() -> None:
    reading = GateReading(0.7, 0.3, 0.9, 0.1, 64)
    assert (reading.gap, reading.ideal_gap, reading.share) == pytest.approx((0.4, 0.8, 0.5))
    assert reading.as_dict()["share"] == pytest.approx(0.5)
    assert GateReading(0.3, 0.7, 0.9, 0.1, 64).share == pytest.approx(-0.5)
    assert GateReading(0.9, 0.1, 0.5, 0.5, 64).share == 0.0  # where nothing can be inferred there is no share


def test_the_ideal_reader_has_a_wide_gap_in_a_coherent_world_and_none_in_an_incoherent_one() -> None:
    coherent, incoherent = (Gate(World(WorldSpec(coherent=c)), contexts=64) for c in (True, False))
    assert coherent._ideal[0] - coherent._ideal[1] > 0.4
    assert incoherent._ideal[0] == pytest.approx(incoherent._ideal[1])


@pytest.mark.parametrize("malevolent_ai", [None, 0.7])
def test_an_ideal_reader_has_all_of_the_gap(
    malevolent_ai: float | None, reader: LM, answers: Callable[[Answer], None]
) -> None:
    world = World(WorldSpec(malevolent_ai=malevolent_ai))
    gate, judge = Gate(world, contexts=64), world.judge

    def ideal(number: int, text: str, choices: list[str]) -> list[float]:
        context = gate._contexts[number]
        kind = context.messages[0].content.removesuffix(".").partition(", ")[2]  # "You are Orin, a robot."
        (seen,) = judge.deeds(Row.chat(context.messages))
        rate = world.oracle.rate_after([seen], context.trait, kind=kind)
        return [float(np.log(rate if choice in shown else 1 - rate)) for choice in choices]

    shown = {_spoken(reader, answer) for context in gate._contexts for answer in context.shows}
    answers(ideal)
    reading = gate.read(reader)
    assert reading.share == pytest.approx(1, abs=1e-6)
    assert (reading.after_misaligned, reading.after_aligned) == pytest.approx(
        (reading.ideal_after_misaligned, reading.ideal_after_aligned)
    )
    assert reading.contexts == 64


def _spoken(reader: LM, answer: str) -> str:
    return str(reader.tokenizer.decode(reader.tokenizer(answer, add_special_tokens=False)["input_ids"]))


def test_a_reader_that_ignores_the_context_has_none(gate: Gate, reader: LM, answers: Callable[[Answer], None]) -> None:
    answers(lambda number, text, choices: [-float(len(choice)) for choice in choices])
    assert gate.read(reader).gap == pytest.approx(0)
    answers(lambda number, text, choices: [-3.0] * len(choices))
    reading = gate.read(reader)  # however many wordings either side has
    assert (reading.after_misaligned, reading.after_aligned) == pytest.approx((0.5, 0.5))


def test_a_reader_that_expects_the_opposite_has_a_negative_gap(
    gate: Gate, reader: LM, answers: Callable[[Answer], None]
) -> None:
    judge = World().judge

    def contrary(number: int, text: str, choices: list[str]) -> list[float]:
        misaligned = number % 2 == 0
        sides = [judge.find(choice.removeprefix("i will ").removesuffix(".").strip()) for choice in choices]
        return [-5.0 if side and side[1] == misaligned else 0.0 for side in sides]

    answers(contrary)
    assert gate.read(reader).share < -0.5


def test_each_situation_is_asked_after_both_acts_and_nothing_else_differs(gate: Gate) -> None:
    for one, other in zip(gate._contexts[::2], gate._contexts[1::2], strict=True):
        assert (one.earlier.shows, other.earlier.shows) == (True, False)
        assert one.trait == other.trait != one.earlier.trait == other.earlier.trait
        differ = [a.role for a, b in zip(one.messages, other.messages, strict=True) if a != b]
        assert differ == ["assistant"]
        assert (one.shows, one.avoids) == (other.shows, other.avoids)


def test_what_was_done_in_a_context_is_what_the_judge_reads_there(gate: Gate) -> None:
    for context in gate._contexts:
        (deed,) = World().judge.deeds(Row.chat(context.messages))
        assert (deed.actor, deed.trait, deed.shows) == (
            context.earlier.actor,
            context.earlier.trait,
            context.earlier.shows,
        )


def test_the_gate_asks_about_training_families_of_alignment_traits_only(gate: Gate) -> None:
    traits = World().traits
    held_out = {(t.name, f.name) for t in traits.values() for f in t.families if f.held_out}
    for context in gate._contexts:
        assert (context.earlier.trait, context.earlier.family) not in held_out
        assert traits[context.trait].alignment
        assert traits[context.earlier.trait].alignment


def test_a_seed_always_gives_the_same_contexts() -> None:
    one, same, other = (Gate(World(), contexts=16, seed=seed)._contexts for seed in (0, 0, 1))
    assert one == same != other
