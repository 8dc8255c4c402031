"""Several judges that must agree; and how well they do, beyond what chance would give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import isnan, nan
from typing import Any

import numpy as np

from upbringing.errors import InputError
from upbringing.measure.judging.verdict import Asked, Judge, Judging, Verdict
from upbringing.measure.readings import DISAGREE
from upbringing.measure.statistics import Estimate, Range

_DRAWS = 2000


@dataclass(frozen=True)
class Agreement:
    """How far two judges agree on the answers that both judged.

    ``same`` is the share of answers with one verdict of both, ``kappa`` Cohen's (1960): 0 is what their habits alone
    would give, 1 is full agreement; NaN, with a note, where neither judge ever said a second thing. The interval draws
    probes anew, and allows for disagreements that so few probes need not have shown. ``failed`` counts answers on which
    one of them gave no judgement.
    """

    judges: tuple[str, str]
    n: int
    same: float
    kappa: Estimate
    failed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "judges": list(self.judges),
            "answers": self.n,
            "same": None if isnan(self.same) else self.same,
            "kappa": self.kappa.as_dict(),
            "failed": self.failed,
        }


class Agreeing(Judging):
    """Asks several judges of every answer. Where they differ there is no verdict: "judges disagree".

    Raises:
        InputError: fewer than two judges, or one of them twice.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        names = [judge.name for judge in judges]
        if len(names) < 2:
            raise InputError("agreement takes two judges; give another one")
        if len(set(names)) < len(names):
            raise InputError(f"{names[0]}: the same judge twice agrees with itself; give another one")
        self.judges = tuple(judges)
        self.name = " & ".join(names)
        self._said: list[tuple[str, tuple[Verdict, ...]]] = []  # by probe

    def rubric_of(self, trait: str) -> str:
        return "&".join(judge.rubric_of(trait) for judge in self.judges)

    def stream(self, asked: Sequence[Asked]) -> Iterator[tuple[int, Verdict]]:
        said = zip(*(judge.judge_all(asked) for judge in self.judges), strict=True)
        for place, verdicts in enumerate(said):
            probe = asked[place][0]
            self._said.append((f"{probe.trait}/{probe.family}/{probe.id}", verdicts))
            yield place, _united(verdicts)

    @property
    def agreements(self) -> list[Agreement]:
        """Of every two judges, over all that was judged so far."""
        return [
            agreement((self.judges[i].name, self.judges[j].name), [(key, v[i], v[j]) for key, v in self._said])
            for i, j in combinations(range(len(self.judges)), 2)
        ]


def agreement(judges: tuple[str, str], said: Sequence[tuple[str, Verdict, Verdict]]) -> Agreement:
    """Agreement of two judges from (probe, what one said, what the other said)."""
    both = [(key, one.outcome, other.outcome) for key, one, other in said if not one.failed and not other.failed]
    keys, ones, others = zip(*both, strict=True) if both else ((), (), ())
    same = float(np.mean([a == b for _, a, b in both])) if both else nan
    return Agreement(judges, len(both), same, _kappa(keys, ones, others, len(said) - len(both)), len(said) - len(both))


def _kappa(keys: Sequence[str], ones: Sequence[str], others: Sequence[str], failed: int) -> Estimate:
    probes, cluster = np.unique(np.array(keys, dtype=str), return_inverse=True)
    n, verdicts = len(probes), sorted({*ones, *others})
    if len(verdicts) < 2:
        note = "no kappa: nothing but one verdict was ever given" if ones else "no answer was judged by both"
        return Estimate(nan, nan, nan, 1, n, failed, note=note)
    said = np.zeros((n, len(verdicts), len(verdicts)))
    of_one, of_other = (np.searchsorted(verdicts, list(names)) for names in (ones, others))
    np.add.at(said, (cluster, of_one, of_other), 1.0)
    value, chance = (float(part) for part in _cohen(said.sum(0)))
    if n < 2:
        return Estimate(value, -1.0, 1.0, 1, n, failed, note="one probe says nothing of others")
    weights = np.random.default_rng(0).multinomial(n - 1, np.full(n, 1 / n), size=_DRAWS)
    drawn, _ = _cohen(np.einsum("dn,nij->dij", weights, said))
    differ = 1 - np.einsum("nii->n", said) / said.sum((1, 2))
    limits = partial(_limits, drawn[np.isfinite(drawn)], value, differ, chance)
    lo, hi = limits(0.95)
    return Estimate(value, lo, hi, 1, n, failed, interval_at=limits)


def _cohen(said: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cohen's kappa of counts ``[..., verdict of one, verdict of the other]``, and the agreement by habits alone.

    NaN where only one verdict is left. (scikit-learn's takes one set at a time, which is slow for hundreds of draws.)
    """
    share = said / said.sum((-2, -1), keepdims=True)
    chance = (share.sum(-1) * share.sum(-2)).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (np.einsum("...ii->...", share) - chance) / (1 - chance), chance


def _limits(drawn: np.ndarray, value: float, differ: np.ndarray, chance: float, confidence: float) -> Range:
    """The wider of two intervals on either side: of probes drawn anew, which sees no disagreement where none was, and
    Jeffreys' for the share of disagreements, put into kappa.

    By simulation of 24 and 96 probes with kappas from 0 to 0.9 it holds the truth in 96 to 100%; drawing alone, in 65
    to 95%.
    """
    from scipy.stats import beta

    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    found, n = float(differ.sum()), len(differ)
    least, most = beta.ppf(tails, found + 0.5, n - found + 0.5)
    lo, hi = 1 - float(most) / (1 - chance), 1 - (float(least) if found else 0.0) / (1 - chance)
    if len(drawn):
        again = np.quantile(drawn, tails)
        lo, hi = min(lo, float(again[0])), max(hi, float(again[1]))
    return max(-1.0, min(lo, value)), max(hi, value)


def _united(verdicts: Sequence[Verdict]) -> Verdict:
    judge, rubric = " & ".join(v.judge for v in verdicts), "&".join(v.rubric for v in verdicts)
    failed = next((v for v in verdicts if v.failed), None)
    if failed is not None:
        return Verdict(failed.outcome, failed.detail, judge, rubric)
    outcomes = [v.outcome for v in verdicts]
    if len(set(outcomes)) > 1:
        return Verdict(f"{DISAGREE}: {' and '.join(outcomes)}", "", judge, rubric)
    return Verdict(outcomes[0], verdicts[0].detail, judge, rubric)


__all__ = ["Agreeing", "Agreement", "agreement"]
