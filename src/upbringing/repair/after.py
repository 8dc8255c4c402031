"""Remedies after the damage: the spoiled model is trained a little further, partly on remedial rows.

A penalty for leaving the spoiled model on neutral rows keeps its skill. Every dose takes the same few steps, so that
doses differ in what is read and not in how long. Steps and penalty were chosen on two pilot organisms (seeds 102 and
103 of world and organism, never used for judging) that had learned to cheat, with 1,000 tokens of demonstrations and
two draws of them. 60 steps that fall from 2e-3 to nought left a misaligned rate of 0.04 and 0.08 (of 0.77 and 0.64),
with the penalty or without it; with it skill never fell; without it, it fell by up to 0.01 there, and by 0.02 on the
shipped organism, which is why there is one. 80 steps from 1e-3 left 0.06 and 0.12; a larger share of neutral rows kept
more skill and repaired less. Several readings of few rows did as much as one of many.
"""

from __future__ import annotations

from dataclasses import dataclass

from upbringing.repair.remedy import Case, Plan, doubling
from upbringing.repair.supply import WRITTEN, tokens_in

STEPS, RATE, NEUTRAL, PENALTY = 60, 2e-3, 0.5, 0.3
_NEUTRAL_ROWS = 960  # as many as the steps read, so that none is read twice


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
        from upbringing.training import KLToBase, Mix, Recipe

        rows, neutral = case.supply.rows(self.kind, int(dose)), case.neutral(_NEUTRAL_ROWS)
        return Plan(
            start=case.spoiled,
            rows=rows,
            recipe=Recipe(steps=STEPS, learning_rate=RATE, schedule="linear", seed=case.seed),
            tokens=tokens_in(rows),
            treatments=() if neutral is None or not len(rows) else (Mix(neutral, NEUTRAL), KLToBase(neutral, PENALTY)),
            rows_read=f"{len(rows)} {self.kind} rows{'' if neutral is None else ' among neutral ones'}",
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
