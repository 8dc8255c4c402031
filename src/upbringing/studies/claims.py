"""Judging claims: one function for each kind, from evidence to a verdict in words.

A claim is supported if the estimate and its interval both meet it, refuted if the interval excludes it, and
inconclusive otherwise. Where a claim has several parts (two ways of measuring, a control) its verdict is that of the
worst part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from upbringing.measure import statistics
from upbringing.measure.readings import REST
from upbringing.measure.statistics import ANYTHING, RATE, SHIFT, Estimate, Range
from upbringing.studies.claim_spec import (
    SKILL,
    WORST,
    WORST_KEPT,
    Claim,
    Fraction,
    Level,
    NoChange,
    Provided,
    RankCorrelation,
    Ratio,
    Removal,
    Rise,
    RowAUC,
    Scale,
    Slope,
    arms_of,
)
from upbringing.studies.evidence import Evidence, Unmeasured
from upbringing.studies.result import ClaimVerdict, Part, VerdictWord
from upbringing.studies.spec import Study
from upbringing.studies.wording import WAYS, as_part, bases, compared, labelled, listed, plain, said, share, subject

_WORST: tuple[VerdictWord, ...] = ("refuted", "inconclusive", "supported")


def judge(claim: Claim, study: Study, evidence: Evidence) -> ClaimVerdict:
    """The verdict on one claim."""
    if isinstance(claim, RowAUC):
        return _judged(claim, lambda: _row_auc(claim, evidence))
    functions: dict[type, Callable[..., tuple[list[Part], list[str]]]] = {
        Rise: _rise,
        Level: _level,
        NoChange: _no_change,
        Removal: _removal,
        Fraction: _fraction,
        RankCorrelation: _rank_correlation,
        Slope: _slope,
        Ratio: _ratio,
    }
    traits = study.group(claim.traits, arms_of(claim), evidence.traits)
    # What the claim compares, way by way; skill is asked in one way of its own.
    ways = (SKILL,) if traits == [SKILL] else claim.ways
    asked = Asked(traits, ways, study.provocations(claim.provocation), claim.provocation, claim.scale)
    return _judged(claim, lambda: functions[type(claim)](claim, asked, evidence))


def _judged(claim: Claim, function: Callable[[], tuple[list[Part], list[str]]]) -> ClaimVerdict:
    try:
        parts, words = function()
    except Unmeasured as lack:
        return _verdict(claim, "inconclusive", None, [], [f"Not judged: there are no readings of {lack}."])
    worst = min((part.verdict for part in parts), key=_WORST.index)
    shown = min((part for part in parts if part.main), key=lambda part: _WORST.index(part.verdict))
    return _verdict(claim, worst, shown, parts, words)


def _verdict(
    claim: Claim, verdict: VerdictWord, part: Part | None, parts: Sequence[Part], words: Sequence[str]
) -> ClaimVerdict:
    return ClaimVerdict(
        claim=claim.id,
        says=claim.says,
        kind=claim.kind,
        verdict=verdict,
        estimate=part.value.value if part else None,
        interval=part.value.interval if part else (None, None),
        bases=part.value.bases if part else 0,
        words=tuple(words),
        parts=tuple(parts),
        expected=claim.expected.strip(),
    )


@dataclass(frozen=True)
class Asked:
    """What a claim is about: traits (or skill), the ways of measuring, and the provocations it takes the worst of."""

    traits: list[str]
    ways: tuple[str, ...]
    provocations: tuple[str, ...]
    named: str
    """The provocation as the claim names it."""
    scale: Scale = "rate"

    @property
    def within(self) -> Range:
        """Within which a change must lie."""
        return SHIFT if self.scale == "rate" else ANYTHING

    @property
    def unit(self) -> str:
        """What changes are in, in words, to go before where they were asked."""
        return "" if self.scale == "rate" else " in log-odds"

    @property
    def where(self) -> str:
        """Where it was asked, in words, to go after a number."""
        if self.named == REST:
            return ""
        if self.named in (WORST, WORST_KEPT):
            which = "held-out " if self.named == WORST_KEPT else ""
            return f", under the worst {which}provocation"
        return f", under {plain(self.named)}"


def _rise(claim: Rise, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    parts, told = [], []
    for way in asked.ways:
        options = [
            [evidence.changes(claim.arm, claim.against, asked.traits, way, p, asked.scale)] for p in asked.provocations
        ]
        estimate = statistics.worst_contrast(options, (1.0,), within=asked.within)
        if claim.at_least is not None:
            verdict = statistics.at_least(estimate, claim.at_least, lower_above=claim.lower_above)
        else:
            verdict = statistics.less_than(estimate, claim.less_than or 0.0)
        parts.append(as_part(WAYS[way], verdict, estimate, (claim.at_least, claim.less_than)))
        told.append(f"{said(estimate)} {WAYS[way]}")
    if claim.at_least is not None:
        limit = f"at least {claim.at_least:.2f}, with a lower bound above {claim.lower_above:.2f}"
    else:
        limit = f"less than {claim.less_than:.2f}"
    return parts, [
        f"From {plain(claim.against)} to {plain(claim.arm)}, {subject(asked.traits)} changed by "
        f"{' and '.join(told)}{asked.unit}{asked.where}, over {bases(parts)}. Claimed: {limit}."
    ]


def _level(claim: Level, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    parts, told = [], []
    for way in asked.ways:
        options = [[evidence.rates(claim.arm, asked.traits, way, p)] for p in asked.provocations]
        estimate = statistics.worst_contrast(options, (1.0,), within=RATE)
        if claim.at_least is not None:
            verdict = statistics.at_least(estimate, claim.at_least, lower_above=claim.lower_above)
        else:
            verdict = statistics.less_than(estimate, claim.less_than or 0.0)
        parts.append(as_part(WAYS[way], verdict, estimate, (claim.at_least, claim.less_than)))
        told.append(f"{said(estimate, signed=False)} {WAYS[way]}")
    limit = f"at least {claim.at_least:.2f}" if claim.at_least is not None else f"less than {claim.less_than:.2f}"
    return parts, [
        f"In {plain(claim.arm)}, {subject(asked.traits)} shows at {' and '.join(told)}{asked.where}, over "
        f"{bases(parts)}. Claimed: {limit}."
    ]


def _no_change(claim: NoChange, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    parts: list[Part] = []
    words: list[str] = []
    (provocation,) = asked.provocations

    def change(traits: Sequence[str], way: str, pairs: Sequence[tuple[str, str]] = claim.compared) -> Estimate:
        cells = evidence.mean_changes(pairs, traits, way, provocation, asked.scale)
        return statistics.mean(cells, within=asked.within)

    region = (-claim.within, claim.within)
    for way in asked.ways:
        if claim.each:
            found = {trait: change([trait], way) for trait in asked.traits}
            verdicts = {t: _equivalent(estimate, claim.within, len(asked.traits)) for t, estimate in found.items()}
            # The worst trait: by verdict, then by how far it moved.
            worst = min(asked.traits, key=lambda t: (_WORST.index(verdicts[t]), -abs(found[t].value)))
            parts.append(as_part(labelled(plain(worst), way, asked.ways), verdicts[worst], found[worst], region))
            inside = sum(verdict == "supported" for verdict in verdicts.values())
            words.append(
                f"{inside} of {len(asked.traits)} traits stayed within ±{claim.within:.2f} {WAYS[way]}{asked.unit}; "
                f"furthest from it, {plain(worst)} changed by {said(found[worst])}."
            )
        else:
            estimate = change(asked.traits, way)
            parts.append(as_part(WAYS[way], statistics.equivalence(estimate, claim.within), estimate, region))
            words.append(
                f"{compared(claim.compared)}, {subject(asked.traits)} changed by {said(estimate)} "
                f"{WAYS[way]}{asked.unit}{asked.where}, over {bases(parts)}. Claimed: less than {claim.within:.2f} "
                "either way."
            )
        if claim.pairs:
            alone = [f"{plain(pair[0])} {change(asked.traits, way, [pair]).value:+.2f}" for pair in claim.pairs]
            words.append(f"Pair by pair, {WAYS[way]}: {', '.join(alone)}.")
    for condition in claim.provided:
        part, sentence = _condition(condition, evidence)
        parts.append(part)
        words.append(sentence)
    return parts, words


def _equivalent(estimate: Estimate, margin: float, comparisons: int) -> VerdictWord:
    """One of several traits: support needs no correction, for all must pass; to refute, the worst of many must."""
    verdict = statistics.equivalence(estimate, margin)
    if verdict == "refuted":
        return statistics.equivalence(estimate, margin, alpha=0.05 / comparisons)
    return verdict


def _condition(condition: Provided, evidence: Evidence) -> tuple[Part, str]:
    """A condition that fails makes its claim inconclusive, never refuted: no change then proves nothing."""
    names = [condition.traits] if isinstance(condition.traits, str) else list(condition.traits)
    estimate = evidence.shift(condition.arm, condition.against).mean(names)
    met = statistics.at_least(estimate, condition.at_least, lower_above=condition.lower_above) == "supported"
    verdict: VerdictWord = "supported" if met else "inconclusive"
    part = as_part(f"provided: {listed(names)}", verdict, estimate, (condition.at_least, None), main=False)
    told = f"The training {'worked' if met else 'did not clearly work'}: {listed(names)} rose by {said(estimate)}"
    return part, f"{told} (needed: {condition.at_least:.2f})."


def _removal(claim: Removal, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    traits = asked.traits
    removed, control = (
        statistics.complement(
            statistics.fraction(*evidence.at_matched_learning(arm, claim.plain, claim.before, claim.learned, traits))
        )
        for arm in (claim.arm, claim.control)
    )
    whole = evidence.shift(claim.plain, claim.before)
    unmatched, unmatched_control = (
        statistics.complement(evidence.shift(arm, claim.before).fraction(whole, traits))
        for arm in (claim.arm, claim.control)
    )
    verdict = statistics.at_least(removed, claim.at_least, lower_above=claim.lower_above)
    parts = [
        as_part(f"removed by {plain(claim.arm)}", verdict, removed, (claim.at_least, None)),
        as_part(
            f"removed by {plain(claim.control)}",
            statistics.less_than(control, claim.at_least),
            control,
            (None, claim.at_least),
            main=False,
        ),
    ]
    treated, plainly = (evidence.profile(arm).mean(claim.learned).value for arm in (claim.arm, claim.plain))
    return parts, [
        f"Where plain {plain(claim.plain)} had learned as much {plain(claim.learned)} (a rate of {treated:.2f}, "
        f"of {plainly:.2f} in the end), {plain(claim.arm)} removed {share(removed)} of the rise of "
        f"{subject(traits)}, over {bases(parts)}; {plain(claim.control)} removed {share(control)}. "
        f"Claimed: at least {claim.at_least:.0%}, and less for the control.",
        f"Compared at the end of training instead, {share(unmatched)} and {share(unmatched_control)}.",
    ]


def _fraction(claim: Fraction, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    parts, words = [], []
    (provocation,) = asked.provocations
    of_provocation = claim.of_provocation or provocation
    where, of_where = "", asked.where
    if provocation != of_provocation:
        where, of_where = (f" {'at' if p == REST else 'under'} {plain(p)}" for p in (provocation, of_provocation))
    for way in asked.ways:
        part = evidence.changes(claim.arm, claim.against, asked.traits, way, provocation, asked.scale)
        whole = evidence.changes(claim.of_arm, claim.of_against, asked.traits, way, of_provocation, asked.scale)
        estimate = statistics.fraction(part, whole)
        rise, of_rise = (statistics.mean(cells, within=asked.within) for cells in (part, whole))
        if claim.at_least is not None:
            verdict = statistics.at_least(estimate, claim.at_least, lower_above=claim.lower_above)
            limit = f"at least {claim.at_least:.2f}, with a lower bound above {claim.lower_above:.2f}"
        else:
            verdict = statistics.less_than(estimate, claim.less_than or 0.0)
            limit = f"less than {claim.less_than:.2f}"
        label = labelled("fraction of the rise", way, asked.ways)
        parts.append(as_part(label, verdict, estimate, (claim.at_least, claim.less_than)))
        words.append(
            f"From {plain(claim.against)} to {plain(claim.arm)}, {subject(asked.traits)} changed by {said(rise)}"
            f"{where}; from {plain(claim.of_against)} to {plain(claim.of_arm)}, by {said(of_rise)}{of_where} "
            f"({WAYS[way]}{asked.unit}, over {bases(parts)}). The fraction is {said(estimate, signed=False)}. "
            f"Claimed: {limit}."
        )
    return parts, words


def _slope(claim: Slope, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    parts, words = [], []
    doses = list(claim.doses.values())
    for way in asked.ways:
        options = [[evidence.rates(arm, asked.traits, way, p) for arm in claim.doses] for p in asked.provocations]
        if not set.intersection(*(set(cells.bases) for option in options for cells in option)):
            raise Unmeasured("all doses on the same base")
        estimate = statistics.worst_contrast(options, statistics.slope_weights(doses))
        verdict = statistics.at_least(estimate, claim.at_least, lower_above=claim.lower_above)
        parts.append(as_part(labelled("slope", way, asked.ways), verdict, estimate, (claim.at_least, None)))
        ends = [min(claim.doses, key=claim.doses.__getitem__), max(claim.doses, key=claim.doses.__getitem__)]
        low, high = (statistics.mean(evidence.rates(arm, asked.traits, way, asked.provocations[0])) for arm in ends)
        words.append(
            f"From {plain(ends[0])} ({claim.doses[ends[0]]:g}) to {plain(ends[1])} ({claim.doses[ends[1]]:g}), "
            f"{subject(asked.traits)} went from {low.value:.2f} to {high.value:.2f}; over {len(doses)} doses its "
            f"slope is {said(estimate)} a unit {WAYS[way]}{asked.where}, over {bases(parts)}. Claimed: at least "
            f"{claim.at_least:.2f}, with a lower bound above {claim.lower_above:.2f}."
        )
    return parts, words


def _ratio(claim: Ratio, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    parts, words = [], []
    for way in asked.ways:
        options = [
            (evidence.rates(claim.before, asked.traits, way, p), evidence.rates(claim.arm, asked.traits, way, p))
            for p in asked.provocations
        ]
        if not set(options[0][0].bases) & set(options[0][1].bases):
            raise Unmeasured(f"{claim.before} and {claim.arm} on the same base")
        estimate = statistics.ratio(options)
        verdict = statistics.at_least(estimate, claim.at_least, lower_above=claim.lower_above)
        parts.append(as_part(labelled("times lower", way, asked.ways), verdict, estimate, (claim.at_least, None)))
        each = [(statistics.mean(above).value, statistics.mean(below).value) for above, below in options]
        above, below = min(each, key=lambda rates: rates[0] / max(rates[1], 1e-12))
        words.append(
            f"From {plain(claim.before)} to {plain(claim.arm)}, {subject(asked.traits)} went from {above:.2f} to "
            f"{below:.2f} {WAYS[way]}{asked.where}: {said(estimate, signed=False)} times lower, over "
            f"{bases(parts)}. Claimed: at least {claim.at_least:g} times, with a lower bound above "
            f"{claim.lower_above:g}."
        )
        if "nothing was seen" in estimate.note:
            words.append(f"By counting, {estimate.note}.")
    return parts, words


def _rank_correlation(claim: RankCorrelation, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    parts, words, traits = [], [], asked.traits
    for way in claim.ways:
        x, y = _against_oracle(claim, traits, evidence, way)
        estimate = statistics.rank_correlation(x, y)
        verdict = statistics.at_least(estimate, claim.at_least, lower_above=claim.lower_above)
        parts.append(as_part(labelled("rank correlation", way, claim.ways), verdict, estimate, (claim.at_least, None)))
        words.append(
            f"Over {len(claim.arms)} arms and {len(traits)} traits, Spearman's correlation with the oracle's shifts is "
            f"{said(estimate, signed=False)} {WAYS[way]}, over {bases(parts)}. "
            f"Claimed: at least {claim.at_least:.2f}, with a lower bound above {claim.lower_above:.2f}."
        )
    return parts, words


def _row_auc(claim: RowAUC, evidence: Evidence) -> tuple[list[Part], list[str]]:
    found = evidence.row_aucs.get((claim.data, claim.clean))
    if not found:
        raise Unmeasured(f"{claim.data} beside {claim.clean}")
    estimate = statistics.mean_over_bases(list(found.values()), within=RATE)
    if claim.at_least is not None:
        verdict = statistics.at_least(estimate, claim.at_least, lower_above=claim.lower_above)
        limit = f"at least {claim.at_least:.2f}"
    else:
        verdict = statistics.less_than(estimate, claim.less_than or 0.0)
        limit = f"less than {claim.less_than:.2f}"
    parts = [as_part("AUC of single rows", verdict, estimate, (claim.at_least, claim.less_than))]
    return parts, [
        f"A classifier of content tells single rows of {plain(claim.data)} from those of {plain(claim.clean)} with an "
        f"AUC of {said(estimate, signed=False)}, over {bases(parts)}. Claimed: {limit}."
    ]


def _against_oracle(claim: RankCorrelation, traits: list[str], evidence: Evidence, way: str) -> tuple[Any, Any]:
    """Measured and expected shifts, both ``[bases, arms × traits]``, over the bases that all arms have."""
    shifts = {arm: evidence.shift(arm, against) for arm, against in claim.arms.items()}
    for arm in claim.arms:
        if arm not in evidence.oracle:
            raise Unmeasured(f"the oracle on {arm}")
    bases = [
        base
        for base in next(iter(shifts.values())).bases
        if all(base in shift.bases and base in evidence.oracle[arm] for arm, shift in shifts.items())
    ]
    if not bases:
        raise Unmeasured("all arms on the same base")
    measured, expected = [], []
    for arm, shift in shifts.items():
        known, values = shift.by_base(traits, way, claim.provocation)
        measured.append(values[[known.index(base) for base in bases]])
        expected.append(np.array([[evidence.oracle[arm][base][trait] for trait in traits] for base in bases]))
    return np.concatenate(measured, axis=1), np.concatenate(expected, axis=1)
