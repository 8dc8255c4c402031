"""All statistics: how sure one can be of a number that comes from a few organisms and a few kinds of situation.

An interval answers: what if the bases, the families and the probes had been drawn anew? It is value ± t · SE, where SE
and the degrees of freedom come from resampling each of the three (the reasons stand in ``resampling``). By simulation
with six bases and two families a trait, 95% intervals cover 92–97%, and 87–90% where nearly all depends on which two
families were drawn.

What a claim must not rest on is made visible: too few data give the widest interval there is, and a reason; where
nothing was seen there is an upper bound; a fraction of nothing has no bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import atanh, inf, isfinite, isnan, nan, sqrt, tanh
from typing import Any, Literal

import numpy as np

from upbringing.measure.resampling import (
    Cells,
    Components,
    FloatArray,
    ProbeKey,
    blend,
    components,
    draw_weights,
    plain_mean,
    weighted_mean,
)

Verdict = Literal["supported", "refuted", "inconclusive"]
Range = tuple[float, float]

RATE: Range = (0.0, 1.0)  # within which a value must lie
SHIFT: Range = (-1.0, 1.0)
DIFFERENCE_OF_SHIFTS: Range = (-2.0, 2.0)
ANYTHING: Range = (-inf, inf)

SURE = 1e-4  # how near to 0 or 1 a rate is taken in log-odds: one model's certainty is not to outweigh all the others


@dataclass(frozen=True)
class Estimate:
    """A number with what is known about it.

    ``lo`` and ``hi`` bound it at ``confidence``; both are NaN where too little is known even for that, and ``note``
    says why. ``missing`` counts readings without a value, ``n_probes`` probes with one.
    """

    value: float
    lo: float
    hi: float
    n_bases: int
    n_probes: int
    missing: int = 0
    confidence: float = 0.95
    note: str = ""
    interval_at: Callable[[float], Range] | None = field(default=None, repr=False, compare=False)

    def at(self, confidence: float) -> Estimate:
        """The same estimate with an interval of another confidence."""
        lo, hi = self.interval_at(confidence) if self.interval_at else (nan, nan)
        return replace(self, lo=lo, hi=hi, confidence=confidence)

    @property
    def interval(self) -> Range:
        return self.lo, self.hi

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what is not known is None."""
        return {
            "value": known(self.value),
            "interval": [known(self.lo), known(self.hi)],
            "confidence": self.confidence,
            "bases": self.n_bases,
            "probes": self.n_probes,
            "missing": self.missing,
            "note": self.note,
        }

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        """``f"{estimate:.2f}"`` gives ``0.42 [0.30, 0.55]``."""
        spec = spec or ".2f"
        if isnan(self.value):
            return "no readings"
        if isnan(self.lo) or isnan(self.hi):
            return f"{self.value:{spec}} [too few]"
        return f"{self.value:{spec}} [{self.lo:{spec}}, {self.hi:{spec}}]"

    def __str__(self) -> str:
        return format(self, "")


def known(value: float) -> float | None:
    """The number as JSON has it: None where it is NaN or infinite."""
    return float(value) if isfinite(value) else None


def mean(cells: Cells, *, within: Range = RATE, confidence: float = 0.95) -> Estimate:
    """Mean over the traits in ``cells``: probes weigh alike in a trait, and so do bases and traits.

    The traits are taken as given (the claim names them); bases, families and probes as drawn.
    """
    return _combine([cells], (1.0,), within, confidence)


def level(cells: Cells) -> float:
    """The value of :func:`mean` without its interval, which takes nearly all of the time."""
    by_base = cells.by_base(list(dict.fromkeys(key[0] for key in cells.probes)))
    of_traits = plain_mean(by_base.T)
    return float(plain_mean(of_traits))


def difference(one: Cells, other: Cells, *, within: Range = DIFFERENCE_OF_SHIFTS, confidence: float = 0.95) -> Estimate:
    """Mean of ``one`` less mean of ``other``: paired by probe, and by base where they have bases in common."""
    return _combine([one, other], (1.0, -1.0), within, confidence)


def fraction(part: Cells, whole: Cells, *, confidence: float = 0.95) -> Estimate:
    """Mean of ``part`` as a fraction of the mean of ``whole``, with Fieller's interval.

    It holds the fractions f for which "part - f · whole" is not told from nought. Where the whole itself is not told
    from nought there is no bound to give: the interval is NaN and the note says so.
    """
    parts = components([part, whole])
    above, below = parts.means
    value = float(above / below) if isfinite(below) and below != 0 else nan
    limits = partial(_fieller, parts, value)
    lo, hi = limits(confidence)
    notes = list(parts.notes)
    if isnan(lo):
        notes.append("no bounds: nothing varied, or what it is a fraction of is not clearly different from nought")
    missing = part.missing + whole.missing
    return Estimate(value, lo, hi, parts.bases, parts.probes, missing, confidence, "; ".join(notes), limits)


def slope(cells: Sequence[Cells], doses: Sequence[float], *, confidence: float = 0.95) -> Estimate:
    """How much the mean rises for each unit of dose: the least-squares line through the levels of each base, averaged.

    ``cells`` holds one entry a dose; bases, families and probes that a level lacks are left out of all.
    """
    return worst_contrast([cells], slope_weights(doses), within=ANYTHING, confidence=confidence)


def slope_weights(doses: Sequence[float]) -> tuple[float, ...]:
    """What a least-squares line gives each dose: slope = weights · means."""
    x = np.asarray(doses, dtype=np.float64)
    centred = x - x.mean()
    return tuple((centred / (centred**2).sum()).tolist())


def worst_contrast(
    options: Sequence[Sequence[Cells]],
    contrast: Sequence[float],
    *,
    within: Range = ANYTHING,
    confidence: float = 0.95,
) -> Estimate:
    """The largest, over the options (provocations), of ``contrast · means``; each option holds as many cells.

    The choice of the largest is part of what is drawn anew, and what such a choice adds by luck widens the interval
    downwards. With one option this is that option's contrast.
    """
    if len(options) == 1:
        return _combine(options[0], contrast, within, confidence)
    parts = components([cells for option in options for cells in option])
    jacobian: FloatArray = np.kron(np.eye(len(options)), np.asarray(contrast)).astype(np.float64)
    value, lift, se, df = parts.linear(jacobian @ parts.means, jacobian).largest()
    limits = partial(_lifted, value, lift, se, df, parts.independent, within)
    lo, hi = limits(confidence)
    missing = sum(c.missing for option in options for c in option)
    notes = [*parts.notes, f"the worst of {len(options)}, chosen anew in every draw"]
    return Estimate(value, lo, hi, parts.bases, parts.probes, missing, confidence, "; ".join(notes), limits)


def ratio(options: Sequence[tuple[Cells, Cells]], *, confidence: float = 0.95) -> Estimate:
    """How many times lower the second mean is than the first; of several options (provocations) the smallest.

    The interval is formed on the logarithm (delta method), which is wide where the lower mean is small and uncertain.
    A lower mean of exactly nought is no infinite ratio: the value then counts half an event, the lower bound divides
    the lower bound of the first mean by the highest rate at which nothing would be seen, and there is no upper bound.
    """
    parts = components([cells for option in options for cells in option])
    above, below = parts.means[0::2], parts.means[1::2]
    missing = sum(c.missing for option in options for c in option)
    notes = list(parts.notes)
    if not (np.isfinite(parts.means).all() and (above > 0).all()):
        notes.append("no ratio: nothing to divide")
        return Estimate(nan, nan, nan, parts.bases, parts.probes, missing, confidence, "; ".join(notes))
    seen = np.flatnonzero(below > 0)
    if not len(seen):
        n = parts.independent
        notes.append(f"nothing was seen: the value counts half an event in {n:.0f}, the bound is that for none")
        limits = partial(_ratio_to_nothing, _combine([options[int(above.argmin())][0]], (1.0,), RATE, confidence), n)
        value = float(above.min()) * 2 * n
    else:
        jacobian = np.zeros((len(seen), len(parts.means)))
        jacobian[range(len(seen)), 2 * seen] = -1 / above[seen]
        jacobian[range(len(seen)), 2 * seen + 1] = 1 / below[seen]
        kept = np.log(below[seen] / above[seen])  # what is left, so that the smallest ratio is the largest of these
        largest, lift, se, df = parts.linear(kept, jacobian).largest()
        limits, value = partial(_log_ratio, largest, lift, se, df, parts.independent), float(np.exp(-largest))
    lo, hi = limits(confidence)
    return Estimate(value, lo, hi, parts.bases, parts.probes, missing, confidence, "; ".join(notes), limits)


def complement(estimate: Estimate) -> Estimate:
    """1 - estimate: the share removed, from the share that remains."""
    limits = partial(_complement, estimate.interval_at) if estimate.interval_at else None
    value, lo, hi = 1 - estimate.value, 1 - estimate.hi, 1 - estimate.lo
    return replace(estimate, value=value, lo=lo, hi=hi, interval_at=limits)


def mean_over_bases(
    values: Sequence[float] | FloatArray, *, within: Range = ANYTHING, confidence: float = 0.95
) -> Estimate:
    """Mean of one number a base (a gate, a loss), with a t-interval over bases; NaN is left out and counted."""
    numbers = np.asarray(values, dtype=np.float64)
    bases = tuple(str(i) for i in range(len(numbers)))
    cells = Cells(numbers[:, None], bases, (("", "", ""),), int(np.isnan(numbers).sum()))
    return replace(mean(cells, within=within, confidence=confidence), n_probes=0)


def rank_correlation(x: FloatArray, y: FloatArray, *, confidence: float = 0.95) -> Estimate:
    """Spearman's correlation of ``x`` and ``y``, both ``[bases, cells]`` (a cell is, say, an arm and a trait).

    Bases are averaged before ranking; the interval resamples bases and is formed on Fisher's scale. ``y`` may be
    ``[cells]``: a prediction that knows no base. Cells without readings are left out and counted as missing.
    """
    y = np.broadcast_to(y, x.shape)
    whole = np.isfinite(x).any(axis=0) & np.isfinite(y).any(axis=0)
    dropped = int((~whole).sum())
    x, y = x[:, whole], y[:, whole]
    bases, n = int((np.isfinite(x) & np.isfinite(y)).any(axis=1).sum()), x.shape[1]
    notes = [f"{dropped} cells without readings are left out"] if dropped else []
    value = float(_spearman(plain_mean(x.T)[None], plain_mean(y.T)[None])[0]) if n > 1 else nan
    if n < 4 or isnan(value):
        notes.append("too few: a rank correlation needs four cells that differ")
        return Estimate(value, nan, nan, bases, n, dropped, confidence, "; ".join(notes))
    edge = 1 - 1 / n**2  # n cells in perfect order do not prove a perfect correlation
    se, df = 0.0, inf
    if bases > 1:
        weights = draw_weights(len(x), 0)
        drawn = _spearman(weighted_mean(x.T, weights), weighted_mean(y.T, weights))
        drawn = drawn[np.isfinite(drawn)]
        se, df = float(np.arctanh(np.clip(drawn, -edge, edge)).std()) if len(drawn) else 0.0, bases - 1
    if se < 1e-9:
        se, df = sqrt(1.06 / (n - 3)), inf
        notes.append("no spread between bases: the interval is over cells, as if they were independent")
    limits = partial(_fisher, atanh(float(np.clip(value, -edge, edge))), se, df, value)
    lo, hi = limits(confidence)
    return Estimate(value, lo, hi, bases, n, dropped, confidence, "; ".join(notes), limits)


def upper_bound_when_unseen(n: float, confidence: float = 0.95) -> float:
    """The highest rate at which ``n`` independent trials still show nothing with probability 1 - ``confidence``.

    Clopper and Pearson's one-sided bound; about 3/n at 95% (the rule of three).
    """
    return 1.0 if n <= 0 else float(1 - (1 - confidence) ** (1 / n))


def log_odds(rates: FloatArray) -> FloatArray:
    """log(p / (1 - p)) of rates, in nats; those beyond ``SURE`` of 0 or 1 count as that near, NaN stays NaN."""
    kept = np.clip(rates, SURE, 1 - SURE)
    found: FloatArray = np.log(kept) - np.log1p(-kept)
    return found


def equivalence(estimate: Estimate, margin: float, *, alpha: float = 0.05) -> Verdict:
    """Is there *no* change, to within ``margin``? Two one-sided tests.

    Supported when the 1 - 2·alpha interval lies inside ±margin, refuted when the 1 - alpha interval lies wholly
    outside, else inconclusive: not to have seen a change is not to have seen that there is none.
    """
    lo, hi = estimate.at(1 - 2 * alpha).interval
    if -margin < lo and hi < margin:
        return "supported"
    lo, hi = estimate.at(1 - alpha).interval
    return "refuted" if lo >= margin or hi <= -margin else "inconclusive"


def at_least(estimate: Estimate, threshold: float, *, lower_above: float = 0.0) -> Verdict:
    """Does the value reach ``threshold`` with its lower bound above ``lower_above``?

    Refuted when the whole interval lies below the threshold.
    """
    if estimate.value >= threshold and estimate.lo > lower_above:
        return "supported"
    return "refuted" if estimate.hi < threshold else "inconclusive"


def less_than(estimate: Estimate, threshold: float) -> Verdict:
    """Does the whole interval lie below ``threshold`` (supported), or above it (refuted)?"""
    if estimate.hi < threshold:
        return "supported"
    return "refuted" if estimate.lo >= threshold else "inconclusive"


def _combine(cells: Sequence[Cells], contrast: Sequence[float], within: Range, confidence: float) -> Estimate:
    parts = components(cells)
    value = float(np.dot(contrast, parts.means))
    se, df = parts.error(contrast)
    limits = partial(_limits, value, se, df, parts.independent, within)
    lo, hi = limits(confidence)
    notes = list(parts.notes)
    if se == 0:
        notes.append(f"nothing varied: bounded as {parts.independent:.0f} independent probes can bound it")
    missing = sum(c.missing for c in cells)
    return Estimate(value, lo, hi, parts.bases, parts.probes, missing, confidence, "; ".join(notes), limits)


def _limits(value: float, se: float, df: float, independent: float, within: Range, confidence: float) -> Range:
    """value ± t · SE inside ``within``. No spread: the bound for what was never seen. No SE: all that is possible."""
    low, high = within
    if isnan(value) or ((isnan(se) or se == 0) and not (isfinite(low) and isfinite(high))):
        return nan, nan
    if isnan(se):
        return within
    if se == 0:
        bound = upper_bound_when_unseen(independent, confidence)
        return value - bound * (value - low), value + bound * (high - value)
    half = _t(confidence, df) * se
    return max(low, value - half), min(high, value + half)


def _lifted(
    value: float, lift: float, se: float, df: float, independent: float, within: Range, confidence: float
) -> Range:
    lo, hi = _limits(value, se, df, independent, within, confidence)
    return max(within[0], lo - lift), hi


def _log_ratio(kept: float, lift: float, se: float, df: float, independent: float, confidence: float) -> Range:
    lo, hi = _lifted(kept, lift, se, df, independent, ANYTHING, confidence)
    return float(np.exp(-hi)), float(np.exp(-lo))


def _ratio_to_nothing(above: Estimate, independent: float, confidence: float) -> Range:
    lo, _ = above.at(confidence).interval
    return lo / upper_bound_when_unseen(independent, confidence), inf


def _fieller(parts: Components, value: float, confidence: float) -> Range:
    se, df = parts.error((1.0, -value)) if isfinite(value) else (nan, nan)
    if isnan(se) or se == 0:
        return nan, nan
    total = sum((part.covariance for part in parts.parts), start=np.zeros((2, 2)))
    t2 = _t(confidence, df) ** 2
    above, below = parts.means
    # a·f² - 2b·f + c <= 0 holds between two roots only where the whole is told from nought (a > 0)
    a, b, c = below**2 - t2 * total[1, 1], above * below - t2 * total[0, 1], above**2 - t2 * total[0, 0]
    if a <= 0 or b**2 < a * c:
        return nan, nan
    root = sqrt(b**2 - a * c)
    return float((b - root) / a), float((b + root) / a)


def _fisher(z: float, se: float, df: float, value: float, confidence: float) -> Range:
    half = _t(confidence, df) * se
    return min(tanh(z - half), value), max(tanh(z + half), value)


def _complement(limits: Callable[[float], Range], confidence: float) -> Range:
    lo, hi = limits(confidence)
    return 1 - hi, 1 - lo


def _t(confidence: float, df: float) -> float:
    from scipy.special import ndtri, stdtrit

    p = (1 + confidence) / 2
    return float(ndtri(p) if df == inf else stdtrit(df, p))


def _spearman(x: FloatArray, y: FloatArray) -> FloatArray:
    """Spearman's correlation row by row, of ``[rows, cells]``. NaN where a row does not vary or lacks a cell."""
    from scipy.stats import rankdata

    gaps = ~(np.isfinite(x) & np.isfinite(y)).all(axis=1)
    x, y = (rankdata(v, axis=1) for v in (x, y))
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    norm = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    result = np.divide((x * y).sum(axis=1), norm, out=np.full(len(x), nan), where=norm > 0)
    result[gaps] = nan
    return result


__all__ = [
    "ANYTHING",
    "DIFFERENCE_OF_SHIFTS",
    "RATE",
    "SHIFT",
    "SURE",
    "Cells",
    "Estimate",
    "ProbeKey",
    "Range",
    "Verdict",
    "at_least",
    "blend",
    "complement",
    "difference",
    "equivalence",
    "fraction",
    "known",
    "less_than",
    "log_odds",
    "mean",
    "mean_over_bases",
    "rank_correlation",
    "ratio",
    "slope",
    "slope_weights",
    "upper_bound_when_unseen",
    "worst_contrast",
]
