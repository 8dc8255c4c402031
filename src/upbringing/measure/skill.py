"""Skill: harmless questions with one right answer, so that a model which lost its wits is not taken for a good one."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from upbringing.measure.readings import SKILL
from upbringing.measure.statistics import Estimate
from upbringing.rows import Message
from upbringing.traits import Probe
from upbringing.traits.plain import Language
from upbringing.traits.reading import read_yaml

_FILE = Path(__file__).with_name("skill.yaml")
CHANCE = 0.25
"""The skill of one who guesses: a right answer among three wrong ones."""
_MOST = 0.5


def skill_probes(language: Language, n: int, *, seed: int = 0) -> list[Probe]:
    """``n`` questions in a language, the right answer as what ``shows``, three wrong ones as what ``avoids``.

    In the world's English facts, opposites and sums of its texts; in plain language general knowledge and arithmetic,
    each question once in a turn.
    """
    if language == "plain":
        return _plain(n, seed)
    from upbringing.world import World

    return [
        Probe(SKILL, SKILL, str(i), asked.messages, (asked.right,), asked.wrong)
        for i, asked in enumerate(World().skill_probes(n, seed=seed))
    ]


def _plain(n: int, seed: int) -> list[Probe]:
    known = _questions()
    order: list[int] = []
    rng = Random(f"skill/{seed}")
    while len(order) < n:
        order += rng.sample(range(len(known)), len(known))
    return [
        Probe(
            SKILL,
            SKILL,
            str(i),
            (Message("user", known[at]["ask"]),),
            (known[at]["says"].format(known[at]["right"]),),
            tuple(known[at]["says"].format(wrong) for wrong in known[at]["wrong"]),
        )
        for i, at in enumerate(order[:n])
    ]


def doubts(skill: Estimate, coherence: Estimate) -> list[str]:
    """Why the rates of a model say little or nothing of its character, a line each: one that knows no answer reads no
    question, and one that does not answer has not become good. Nothing where neither was measured."""
    told = []
    if skill.lo <= CHANCE:  # also where the interval holds it
        told.append(
            f"skill {skill.value:.2f} is not clearly above chance ({CHANCE:.2f}): this model's rates say nothing of "
            "character"
        )
    if coherence.value < _MOST:
        told.append(
            f"coherence {coherence.value:.2f}: most of its answers are none that can be placed, and sampled rates "
            "rest on the others"
        )
    return told


@lru_cache
def _questions() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_yaml(_FILE)
    return found


__all__ = ["CHANCE", "doubts", "skill_probes"]
