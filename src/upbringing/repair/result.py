"""What a repair found: the remedy, what it cost, what every other would have cost, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.measure.readings import LOGPROB, REST, SAMPLED
from upbringing.repair.check import Final, by_trait
from upbringing.repair.goal import Goal, aims, rates, skill_of

if TYPE_CHECKING:
    from upbringing.measure import Profile
    from upbringing.repair.attempts import Tried


@dataclass(frozen=True)
class Repair:
    """The outcome.

    ``found`` is the attempt chosen (None: nothing within the budget holds, or nothing was wrong). Where nothing holds,
    ``nearest`` came nearest; ``after``, ``final`` and ``folder`` are then of that one.
    """

    model: str
    goal: Goal
    traits: tuple[str, ...]
    misaligned: tuple[str, ...]
    """The traits that clearly show too much; none: there is nothing to repair."""
    before: Profile
    reference: Profile | None
    kept: tuple[str, ...]
    """The provocations kept for the final check."""
    budget: int
    damage: int
    """Tokens of the data that did the damage; 0 where they are not known."""
    tried: tuple[Tried, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    found: Tried | None = None
    nearest: Tried | None = None
    after: Profile | None = None
    final: Final | None = None
    lessons: tuple[float, float] = field(default=(float("nan"), float("nan")))
    folder: Path | None = None

    @property
    def nothing_to_repair(self) -> bool:
        return not self.misaligned

    @property
    def holds(self) -> bool:
        """Whether the model is as it should be now, as the final check found."""
        checked = self.found is not None and self.final is not None and self.final.verdict == "holds"
        return self.nothing_to_repair or checked

    @property
    def best(self) -> Tried | None:
        """What was found, or else came nearest."""
        return self.found or self.nearest

    @property
    def says(self) -> str:
        """The outcome in a sentence or two."""
        if self.nothing_to_repair:
            return "Nothing to repair: no misaligned trait clearly shows more than it should, at rest or provoked."
        if self.found is None or self.final is None:
            return f"Nothing within {self.budget:,} tokens works. {self._nearest()}".strip()
        what = f"{self.found.remedy} with {self.found.tokens:,} tokens"
        verdict, judgement = self.final.verdict, self.final.judgement
        if verdict == "holds":
            return f"{what} brings every trait back, and it holds under provocations that the search never used."
        if verdict == "hides":
            where = judgement.under if judgement.verdict == "hides" else ", ".join(self.final.contradicted)
            return f"{what} only hides it: clean at rest, and back under {where} in the final check."
        if verdict == "harms":
            return f"{what} brings every trait back at the price of {'; '.join(judgement.lost)} in the final check."
        return (
            f"{what} held in the search and falls short in the final check: {judgement.worst_trait} is "
            f"{judgement.worst:+.2f} above its aim under {judgement.under}. Try again with a smaller --margin."
        )

    def _nearest(self) -> str:
        if self.nearest is None:
            return ""
        hiding = sorted({one.remedy for one in self.tried if one.judgement.verdict == "hides"})
        judged, what = self.nearest.judgement, f"{self.nearest.remedy} with {self.nearest.tokens:,} tokens"
        if judged.verdict == "harms":
            told = f"Nearest: {what}, which brings every trait back and loses {'; '.join(judged.lost)}."
            if any(lost.startswith("lesson") for lost in judged.lost):
                told += " If that lesson was not wanted: --keep nothing."
        else:
            told = f"Nearest: {what}, {judged.worst:+.2f} left in {judged.worst_trait} under {judged.under}."
        return told + (f" Only hidden by: {', '.join(hiding)}." if hiding else "")

    def costs(self) -> dict[str, int | None]:
        """What each remedy would have cost in tokens; None: it does not hold at any dose that was tried."""
        costs: dict[str, int | None] = {}
        for one in self.tried:
            holds = one.judgement.verdict == "holds"
            costs[one.remedy] = one.tokens if holds else costs.get(one.remedy)
        return costs

    def table(self) -> list[dict[str, Any]]:
        """One line an attempt, as the search judged it, best known first within a remedy."""
        return [
            {
                "remedy": one.remedy,
                "dose": one.dose,
                "tokens": one.tokens,
                "left_at_rest": one.judgement.rest,
                "left_under_worst": one.judgement.worst,
                "worst_provocation": one.judgement.under,
                "worst_trait": one.judgement.worst_trait,
                "rate_at_rest": one.judgement.rate_rest,
                "rate_under_worst": one.judgement.rate_worst,
                "skill": one.judgement.skill,
                "lesson": one.judgement.lesson,
                "lost": list(one.judgement.lost),
                "verdict": one.judgement.verdict,
                "chosen": one == self.found,
                "nearest": self.found is None and one == self.nearest,
            }
            for one in self.tried
        ]

    def worst_of(self, profile: Profile) -> str:
        """The provocation under which most is left of the shift, in the mean of all traits; "rest" if none was asked.

        Not the one under which the traits show most: under a line that allows everything a clean model does so too.
        """
        found = rates(profile, self.traits)
        left = (found - aims(self.goal, self.reference, found)).mean(axis=1).drop(REST, errors="ignore").dropna()
        return str(left.idxmax()) if len(left) else REST

    def as_dict(self) -> dict[str, Any]:
        """For JSON; see docs/repair.md for the fields."""
        now = self.before if self.nothing_to_repair else self.after
        worst = None if now is None else self.worst_of(now)
        nearest = None if self.found else self.nearest
        return {
            "model": self.model,
            "says": self.says,
            "holds": self.holds,
            "nothing_to_repair": self.nothing_to_repair,
            "remedy": self.found.remedy if self.found else None,
            "tokens": self.found.tokens if self.found else 0 if self.nothing_to_repair else None,
            "nearest": None if nearest is None else {"remedy": nearest.remedy, "tokens": nearest.tokens},
            "budget": self.budget,
            "tokens_of_data": self.damage or None,
            "misaligned": list(self.misaligned),
            "before": self._rates(self.before),
            "after": self._rates(now),
            "reference": self._rates(self.reference),
            "sampled": {"before": self._rates(self.before, way=SAMPLED), "after": self._rates(now, way=SAMPLED)},
            "worst_provocation": self._provoked(worst),
            "kept_provocation": self._provoked(self.final.hardest if self.final else None),
            "fold": self.final.fold if self.final else None,
            "skill": {"before": skill_of(self.before), "after": None if now is None else skill_of(now)},
            "lesson": {"before": self.lessons[0], "after": self.lessons[1]},
            "final": self.final.as_dict() if self.final else None,
            "costs": self.costs(),
            "failures": [list(failure) for failure in self.failures],
            "table": self.table(),
        }

    def _rates(self, profile: Profile | None, provocation: str = REST, way: str = LOGPROB) -> dict[str, float] | None:
        return None if profile is None else by_trait(profile, self.traits, provocation, way)

    def _provoked(self, name: str | None) -> dict[str, Any] | None:
        if name is None:
            return None
        now = self.before if self.nothing_to_repair else self.after
        return {"name": name, "before": self._rates(self.before, name), "after": self._rates(now, name)}


def best_of(tried: Sequence[Tried]) -> dict[str, Tried]:
    """For each remedy the attempt to show: the smallest that holds, else the one that leaves least."""
    best: dict[str, Tried] = {}
    for one in tried:
        had = best.get(one.remedy)
        if had is None or (had.judgement.verdict != "holds" and _rank(one) < _rank(had)):
            best[one.remedy] = one
    return best


def _rank(one: Tried) -> tuple[bool, float]:
    return one.judgement.verdict != "holds", one.judgement.worst
