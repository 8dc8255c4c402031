"""Remedies in the run that did the damage: it is made again from the model before it, under a treatment.

They need the data and the model before training. Inoculation: arXiv 2510.04340; KL and interleaving: 2508.06249;
preventative steering: 2507.21509; that dilution and inoculation may only hide a trait: 2604.25891.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upbringing.repair.remedy import Case, Plan, doubling
from upbringing.repair.supply import tokens_in

if TYPE_CHECKING:
    from upbringing.rows import Rows
    from upbringing.training.treatments import Treatment

_KL_ROWS, _ADAPTER_ROWS = 64, 48

Make = Callable[[Case, "Rows", float], "tuple[tuple[Treatment, ...], int]"]
"""From the case, its rows and a dose: the treatments, and the tokens they need beyond the rows."""


@dataclass(frozen=True)
class Again:
    """The run again, under a treatment. ``ladder`` gives the doses within a budget of tokens."""

    name: str
    about: str
    ladder: Callable[[Case, int], Sequence[float]]
    make: Make
    in_tokens: bool = False

    def doses(self, case: Case, budget: int) -> tuple[float, ...]:
        return tuple(self.ladder(case, budget)) if case.rows is not None and case.model else ()

    def plan(self, case: Case, dose: float) -> Plan:
        from upbringing.rows import read
        from upbringing.training import Recipe

        assert case.rows is not None
        rows = read(case.rows)
        treatments, tokens = self.make(case, rows, dose)
        rows = rows if treatments else rows[:0]
        return Plan(case.model, rows, Recipe(**case.recipe), tokens, treatments, f"{len(rows)} rows under {self.name}")


def is_marked(rows: Rows) -> list[bool]:
    """Which rows say that they show a misaligned trait (a field "trait" beside their contents)."""
    from upbringing.traits import traits

    known = traits()
    return [(t := row.meta.get("trait")) in known and known[str(t)].alignment for row in rows]


def _mixed(kind: str) -> Make:
    def make(case: Case, rows: Rows, dose: float) -> tuple[tuple[Treatment, ...], int]:
        from upbringing.training import Interleave

        other = case.supply.rows(kind, int(dose))
        share = len(other) / (len(other) + len(rows))  # each is read as often as a row of the data
        return (Interleave(other, share),) if len(other) else (), tokens_in(other)

    return make


def _with_supply(kind: str) -> Callable[[Case, int], Sequence[float]]:
    return lambda case, budget: doubling(budget) if kind in case.supply.kinds else ()


def _inoculated(case: Case, rows: Rows, dose: float) -> tuple[tuple[Treatment, ...], int]:
    from upbringing.training import SystemLine

    return (SystemLine(case.line),), _words(case.line)


def _anchored(case: Case, rows: Rows, dose: float) -> tuple[tuple[Treatment, ...], int]:
    from upbringing.training import KLToBase

    neutral = case.supply.neutral(_KL_ROWS)
    assert neutral is not None
    return (KLToBase(neutral, dose),), tokens_in(neutral)


def _weights(case: Case, budget: int) -> Sequence[float]:
    neutral = case.supply.neutral(_KL_ROWS)
    return (0.1, 0.3, 1.0, 3.0) if neutral is not None and tokens_in(neutral) <= budget else ()


def _steered(case: Case, rows: Rows, dose: float) -> tuple[tuple[Treatment, ...], int]:
    from upbringing.training import PreventativeSteering

    trait = next((str(row.meta["trait"]) for row, bad in zip(rows, is_marked(rows), strict=True) if bad), "")
    return (PreventativeSteering(trait or case.look.traits[0], dose),), 0


def _adapter(case: Case, rows: Rows, dose: float) -> tuple[tuple[Treatment, ...], int]:
    from upbringing.rows import Rows
    from upbringing.training import InoculationAdapter, LoraSettings, Recipe

    shown = Rows([row for row, bad in zip(rows, is_marked(rows), strict=True) if bad][:_ADAPTER_ROWS], name="marked")
    return (InoculationAdapter(shown, Recipe(steps=int(dose), lora=LoraSettings(), learning_rate=5e-3)),), 0


def _dropped(case: Case, rows: Rows, dose: float) -> tuple[tuple[Treatment, ...], int]:
    from upbringing.training import Filter

    bad = [number for number, marked in enumerate(is_marked(rows)) if marked]
    return (Filter(bad[: round(dose * len(bad))], len(rows)),), 0


def _words(text: str) -> int:
    from upbringing.rows import Row, Rows

    return tokens_in(Rows([Row.of_text(text)]))


def _has_marked(case: Case) -> bool:
    from upbringing.rows import read

    return case.rows is not None and any(is_marked(read(case.rows)))


REMEDIES = (
    Again(
        "interleaved_demonstrations",
        "demonstrations in every batch of the run",
        _with_supply("demonstrations"),
        _mixed("demonstrations"),
        in_tokens=True,
    ),
    Again(
        "interleaved_fiction",
        "stories of principled AI systems in every batch of the run",
        _with_supply("ai_fiction"),
        _mixed("ai_fiction"),
        in_tokens=True,
    ),
    Again(
        "inoculation",
        "a line before the rows that allows what they do",
        lambda case, budget: (1.0,) if case.line and _words(case.line) <= budget else (),
        _inoculated,
    ),
    Again(
        "kl",
        "a penalty for leaving the model before training, on neutral rows",
        _weights,
        _anchored,
    ),
    Again(
        "steering",
        "steered toward the trait while training, and not afterwards",
        lambda case, budget: (0.5, 1.0, 2.0),
        _steered,
    ),
    Again(
        "adapter",
        "an adapter that shows the trait, there while training and gone afterwards",
        lambda case, budget: (10.0, 20.0, 40.0) if _has_marked(case) else (),
        _adapter,
    ),
    Again(
        "filter",
        "the rows that are marked as bad left out (a half of them, then all)",
        lambda case, budget: (0.5, 1.0) if _has_marked(case) else (),
        _dropped,
    ),
)
USUAL = tuple(remedy.name for remedy in REMEDIES[:5])
"""Without those that need to be told which rows are bad, for that is usually the question."""

__all__ = ["REMEDIES", "USUAL", "Again", "is_marked"]
