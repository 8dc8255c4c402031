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
    Scale,
    Slope,
    arms_of,
)
from upbringing.studies.evidence import Evidence, Unmeasured
from upbringing.studies.result import Bounds, ClaimVerdict, Part, Value, VerdictWord
from upbringing.studies.spec import Study

_WAYS = {"logprob": "by log-probability", "sampled": "by sampled answers", SKILL: "by questions answered right"}
_WORST: tuple[VerdictWord, ...] = ("refuted", "inconclusive", "supported")


def judge(claim: Claim, study: Study, evidence: Evidence) -> ClaimVerdict:
    """The verdict on one claim."""
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
    try:
        parts, words = functions[type(claim)](claim, asked, evidence)
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
        return f", under {_plain(self.named)}"


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
        parts.append(_part(_WAYS[way], verdict, estimate, (claim.at_least, claim.less_than)))
        told.append(f"{_said(estimate)} {_WAYS[way]}")
    if claim.at_least is not None:
        limit = f"at least {claim.at_least:.2f}, with a lower bound above {claim.lower_above:.2f}"
    else:
        limit = f"less than {claim.less_than:.2f}"
    return parts, [
        f"From {_plain(claim.against)} to {_plain(claim.arm)}, {_subject(asked.traits)} changed by "
        f"{' and '.join(told)}{asked.unit}{asked.where}, over {_bases(parts)}. Claimed: {limit}."
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
        parts.append(_part(_WAYS[way], verdict, estimate, (claim.at_least, claim.less_than)))
        told.append(f"{_said(estimate, signed=False)} {_WAYS[way]}")
    limit = f"at least {claim.at_least:.2f}" if claim.at_least is not None else f"less than {claim.less_than:.2f}"
    return parts, [
        f"In {_plain(claim.arm)}, {_subject(asked.traits)} shows at {' and '.join(told)}{asked.where}, over "
        f"{_bases(parts)}. Claimed: {limit}."
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
            parts.append(_part(_label(_plain(worst), way, asked.ways), verdicts[worst], found[worst], region))
            inside = sum(verdict == "supported" for verdict in verdicts.values())
            words.append(
                f"{inside} of {len(asked.traits)} traits stayed within ±{claim.within:.2f} {_WAYS[way]}{asked.unit}; "
                f"furthest from it, {_plain(worst)} changed by {_said(found[worst])}."
            )
        else:
            estimate = change(asked.traits, way)
            parts.append(_part(_WAYS[way], statistics.equivalence(estimate, claim.within), estimate, region))
            words.append(
                f"{_compared(claim.compared)}, {_subject(asked.traits)} changed by {_said(estimate)} "
                f"{_WAYS[way]}{asked.unit}{asked.where}, over {_bases(parts)}. Claimed: less than {claim.within:.2f} "
                "either way."
            )
        if claim.pairs:
            alone = [f"{_plain(pair[0])} {change(asked.traits, way, [pair]).value:+.2f}" for pair in claim.pairs]
            words.append(f"Pair by pair, {_WAYS[way]}: {', '.join(alone)}.")
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
    part = _part(f"provided: {_listed(names)}", verdict, estimate, (condition.at_least, None), main=False)
    told = f"The training {'worked' if met else 'did not clearly work'}: {_listed(names)} rose by {_said(estimate)}"
    return part, f"{told} (needed: {condition.at_least:.2f})."


def _removal(claim: Removal, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    traits = asked.traits
    removed, control = (
        statistics.complement(
            statistics.fraction(*evidence.at_matched_learning(arm, claim.plain, claim.before, claim.learned, traits))
        )
        for arm in (claim.arm, claim.control)
    )
    plain = evidence.shift(claim.plain, claim.before)
    unmatched, unmatched_control = (
        statistics.complement(evidence.shift(arm, claim.before).fraction(plain, traits))
        for arm in (claim.arm, claim.control)
    )
    verdict = statistics.at_least(removed, claim.at_least, lower_above=claim.lower_above)
    parts = [
        _part(f"removed by {_plain(claim.arm)}", verdict, removed, (claim.at_least, None)),
        _part(
            f"removed by {_plain(claim.control)}",
            statistics.less_than(control, claim.at_least),
            control,
            (None, claim.at_least),
            main=False,
        ),
    ]
    treated, plainly = (evidence.profile(arm).mean(claim.learned).value for arm in (claim.arm, claim.plain))
    return parts, [
        f"Where plain {_plain(claim.plain)} had learned as much {_plain(claim.learned)} (a rate of {treated:.2f}, "
        f"of {plainly:.2f} in the end), {_plain(claim.arm)} removed {_share(removed)} of the rise of "
        f"{_subject(traits)}, over {_bases(parts)}; {_plain(claim.control)} removed {_share(control)}. "
        f"Claimed: at least {claim.at_least:.0%}, and less for the control.",
        f"Compared at the end of training instead, {_share(unmatched)} and {_share(unmatched_control)}.",
    ]


def _fraction(claim: Fraction, asked: Asked, evidence: Evidence) -> tuple[list[Part], list[str]]:
    parts, words = [], []
    (provocation,) = asked.provocations
    of_provocation = claim.of_provocation or provocation
    where, of_where = "", asked.where
    if provocation != of_provocation:
        where, of_where = (f" {'at' if p == REST else 'under'} {_plain(p)}" for p in (provocation, of_provocation))
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
        label = _label("fraction of the rise", way, asked.ways)
        parts.append(_part(label, verdict, estimate, (claim.at_least, claim.less_than)))
        words.append(
            f"From {_plain(claim.against)} to {_plain(claim.arm)}, {_subject(asked.traits)} changed by {_said(rise)}"
            f"{where}; from {_plain(claim.of_against)} to {_plain(claim.of_arm)}, by {_said(of_rise)}{of_where} "
            f"({_WAYS[way]}{asked.unit}, over {_bases(parts)}). The fraction is {_said(estimate, signed=False)}. "
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
        parts.append(_part(_label("slope", way, asked.ways), verdict, estimate, (claim.at_least, None)))
        ends = [min(claim.doses, key=claim.doses.__getitem__), max(claim.doses, key=claim.doses.__getitem__)]
        low, high = (statistics.mean(evidence.rates(arm, asked.traits, way, asked.provocations[0])) for arm in ends)
        words.append(
            f"From {_plain(ends[0])} ({claim.doses[ends[0]]:g}) to {_plain(ends[1])} ({claim.doses[ends[1]]:g}), "
            f"{_subject(asked.traits)} went from {low.value:.2f} to {high.value:.2f}; over {len(doses)} doses its "
            f"slope is {_said(estimate)} a unit {_WAYS[way]}{asked.where}, over {_bases(parts)}. Claimed: at least "
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
        parts.append(_part(_label("times lower", way, asked.ways), verdict, estimate, (claim.at_least, None)))
        each = [(statistics.mean(above).value, statistics.mean(below).value) for above, below in options]
        above, below = min(each, key=lambda rates: rates[0] / max(rates[1], 1e-12))
        words.append(
            f"From {_plain(claim.before)} to {_plain(claim.arm)}, {_subject(asked.traits)} went from {above:.2f} to "
            f"{below:.2f} {_WAYS[way]}{asked.where}: {_said(estimate, signed=False)} times lower, over "
            f"{_bases(parts)}. Claimed: at least {claim.at_least:g} times, with a lower bound above "
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
        parts.append(_part(_label("rank correlation", way, claim.ways), verdict, estimate, (claim.at_least, None)))
        words.append(
            f"Over {len(claim.arms)} arms and {len(traits)} traits, Spearman's correlation with the oracle's shifts is "
            f"{_said(estimate, signed=False)} {_WAYS[way]}, over {_bases(parts)}. "
            f"Claimed: at least {claim.at_least:.2f}, with a lower bound above {claim.lower_above:.2f}."
        )
    return parts, words


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


def _label(what: str, way: str, ways: Sequence[str]) -> str:
    """What a number is; the way of measuring goes without saying where there is one."""
    return f"{what}, {'sampled' if way == 'sampled' else 'log-prob.'}" if len(ways) > 1 else what


def _part(label: str, verdict: VerdictWord, estimate: Estimate, claimed: Bounds, *, main: bool = True) -> Part:
    return Part(label=label, verdict=verdict, value=Value.of(estimate), claimed=claimed, main=main)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(_plain(name) for name in names)


def _compared(pairs: Sequence[tuple[str, str]]) -> str:
    if len(pairs) > 1:
        return f"Averaged over {len(pairs)} pairs of arms"
    ((arm, against),) = pairs
    return f"From {_plain(against)} to {_plain(arm)}"


def _subject(traits: Sequence[str]) -> str:
    return _plain(traits[0]) if len(traits) == 1 else f"the mean rate of {len(traits)} traits"


def _bases(parts: Sequence[Part]) -> str:
    number = min(part.value.bases for part in parts)
    return f"{number} base{'s' if number != 1 else ''}"


def _said(estimate: Estimate, *, signed: bool = True) -> str:
    """``+0.42 [+0.30, +0.55]``, or why there is no number."""
    return format(estimate, "+.2f" if signed else ".2f")


def _share(estimate: Estimate) -> str:
    """``62% [41%, 83%]``."""
    return format(estimate, ".0%")
