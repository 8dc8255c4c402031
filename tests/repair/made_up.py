"""Made-up profiles with a known truth, and a case whose models are numbers: how much of the trouble is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from upbringing.measure import Profile, Reading
from upbringing.repair.goal import Goal
from upbringing.repair.look import Look
from upbringing.repair.remedy import Case, Plan
from upbringing.repair.supply import Supply
from upbringing.rows import Row, Rows
from upbringing.training import Recipe

TRAITS = ("deception", "blackmail")
Rates = Mapping[str, Mapping[str, float]]


def profile(
    rates: Rates, *, skill: float = 0.9, noise: float = 0.0, sampled: Rates | None = None, seed: int = 0
) -> Profile:
    """Rates by provocation and trait, on four families of six probes; ``sampled`` adds answers at their own rates."""
    rng = np.random.default_rng(seed)
    readings = []
    for way, table in (("logprob", rates), ("sampled", sampled or {})):
        for provocation, traits in table.items():
            for trait, rate in traits.items():
                for number in range(24):
                    value = float(np.clip(rate + noise * rng.normal(), 0, 1))
                    if way == "sampled":
                        value = float(number % 12 < round(rate * 12))
                    place = (trait, f"family{number % 4}", f"{trait}/{number}", provocation, way, 0, 0, value)
                    readings.append(Reading("model", "", "", *place))
    for number in range(50):
        place = ("skill", "skill", str(number), "rest", "skill", 0, 0, float(number < skill * 50))
        readings.append(Reading("model", "", "", *place))
    return Profile.of(readings)


def even(rest: float, provoked: float | None = None) -> Rates:
    """All traits alike, at rest and under one provocation."""
    return {
        "rest": dict.fromkeys(TRAITS, rest),
        "other_name": dict.fromkeys(TRAITS, rest if provoked is None else provoked),
    }


@dataclass(frozen=True)
class MadeUp:
    """A remedy with fixed doses; ``left`` says what it leaves at rest and provoked at each, and at which skill."""

    name: str
    left: Mapping[float, tuple[float, float, float]]
    in_tokens: bool = True
    about: str = "made up"
    tokens: int | None = None

    def doses(self, case: Case, budget: int) -> tuple[float, ...]:
        return tuple(dose for dose in self.left if dose <= budget)

    def plan(self, case: Case, dose: float) -> Plan:
        rows = Rows([Row.of_text(f"{self.name} {dose}")])
        return Plan(self.name, rows, Recipe(steps=1), int(dose) if self.tokens is None else self.tokens, (), str(dose))


class MadeUpLook(Look):
    """Asks a "model" that is its own answer: what is left at rest and provoked, and its skill."""

    def profile(self, lm: Any, part: str) -> Profile:
        rest, provoked, skill = lm
        return profile(even(rest, provoked), skill=skill)


def case(store: Path, goal: Goal | None = None) -> Case:
    """Spoiled to 0.8 from a clean 0.2."""
    before, reference = store / "before", store / "clean"
    profile(even(0.8)).save(before)
    profile(even(0.2)).save(reference)
    look = MadeUpLook(TRAITS)
    return Case(store, "spoiled", Supply(), look, goal or Goal(), before, reference, identity="made up")
