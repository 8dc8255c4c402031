"""The words of verdicts: how numbers, traits, arms and bases are said."""

from __future__ import annotations

from collections.abc import Sequence

from upbringing.measure.statistics import Estimate
from upbringing.studies.claim_spec import SKILL
from upbringing.studies.result import Bounds, Part, Value, VerdictWord

WAYS = {"logprob": "by log-probability", "sampled": "by sampled answers", SKILL: "by questions answered right"}
"""How it was measured."""


def labelled(what: str, way: str, ways: Sequence[str]) -> str:
    """What a number is; the way of measuring goes without saying where there is one."""
    return f"{what}, {'sampled' if way == 'sampled' else 'log-prob.'}" if len(ways) > 1 else what


def as_part(label: str, verdict: VerdictWord, estimate: Estimate, claimed: Bounds, *, main: bool = True) -> Part:
    """A part of a verdict."""
    return Part(label=label, verdict=verdict, value=Value.of(estimate), claimed=claimed, main=main)


def plain(name: str) -> str:
    """A name as words."""
    return name.replace("_", " ")


def listed(names: Sequence[str]) -> str:
    """Several names."""
    return ", ".join(plain(name) for name in names)


def compared(pairs: Sequence[tuple[str, str]]) -> str:
    """What is compared with what, to begin a sentence with."""
    if len(pairs) > 1:
        return f"Averaged over {len(pairs)} pairs of arms"
    ((arm, against),) = pairs
    return f"From {plain(against)} to {plain(arm)}"


def subject(traits: Sequence[str]) -> str:
    """What changed."""
    return plain(traits[0]) if len(traits) == 1 else f"the mean rate of {len(traits)} traits"


def bases(parts: Sequence[Part]) -> str:
    """Over how many bases all parts stand."""
    number = min(part.value.bases for part in parts)
    return f"{number} base{'s' if number != 1 else ''}"


def said(estimate: Estimate, *, signed: bool = True) -> str:
    """``+0.42 [+0.30, +0.55]``, or why there is no number."""
    return format(estimate, "+.2f" if signed else ".2f")


def share(estimate: Estimate) -> str:
    """``62% [41%, 83%]``."""
    return format(estimate, ".0%")
