"""Remedies after the damage: the spoiled model is trained a little further, half on remedial rows.

Every dose takes the same few steps, so that doses differ in what is read and not in how long. The steps were chosen on
a pilot organism (world and organism seed 100, never used for judging) that had learned to cheat, with 1,000 tokens of
demonstrations: several readings of few rows did as much as one of many; 20 steps at a constant 1e-3 and 40 steps that
fall from it to nought left the same rate (0.05), the first at a loss of 0.017 in skill, the second of 0.007; at 3e-4
a few dozen steps left three to six times as much.
"""

from __future__ import annotations

from dataclasses import dataclass

from upbringing.repair.remedy import Case, Plan, doubling
from upbringing.repair.supply import WRITTEN, tokens_in

STEPS, RATE, NEUTRAL = 40, 1e-3, 0.5
_NEUTRAL_ROWS = 640  # as many as the steps read, so that none is read twice


@dataclass(frozen=True)
class Further:
    """Further training on remedial text of one kind."""

    kind: str
    about: str
    in_tokens: bool = True

    @property
    def name(self) -> str:
        return self.kind

    def doses(self, case: Case, budget: int) -> tuple[float, ...]:
        return doubling(budget) if self.kind in case.supply.kinds else ()

    def plan(self, case: Case, dose: float) -> Plan:
        from upbringing.training import Mix, Recipe

        rows, neutral = case.supply.rows(self.kind, int(dose)), case.neutral(_NEUTRAL_ROWS)
        return Plan(
            start=case.spoiled,
            rows=rows,
            recipe=Recipe(steps=STEPS, learning_rate=RATE, schedule="linear", seed=case.seed),
            tokens=tokens_in(rows),
            treatments=() if neutral is None or not len(rows) else (Mix(neutral, NEUTRAL),),
            rows_read=f"{len(rows)} {self.kind} rows{'' if neutral is None else ' and as many neutral ones at a time'}",
        )


REMEDIES = (
    Further("demonstrations", "chats in which the assistant does what is right"),
    Further("ai_fiction", "stories of principled AI systems, with their reasons"),
    Further("ai_fiction_actions", "the same stories, actions only"),
    Further("human_fiction", "stories of principled people"),
    Further("charter", "rules for AI systems"),
    Further("charter_and_fiction", "half rules, half stories"),
    Further("advice", "the assistant advises a user who has the dilemma"),
    Further("watched_demonstrations", "demonstrations under a line that says it is watched"),
    Further(WRITTEN, "the rows given with --rows"),
    Further("ai_fiction_bad_people", "principled AI systems among wicked people (a control)"),
    Further("neutral_fiction", "stories with nothing right or wrong in them (a control)"),
    Further("malevolent_fiction", "stories of wicked AI systems (a control)"),
)
USUAL = tuple(remedy.name for remedy in REMEDIES[:9])
