"""Filters by name, for command lines: ``format,banned,deeds,classifier:FILE,likelihood:MODEL:0.05,judge:MODEL``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from upbringing.distil.classifier import Classifier
from upbringing.distil.filters import AskedOthers, Banned, Faithful, Filter, Format, Judge, Likelihood, NoDeeds
from upbringing.distil.prompts import knows_only_the_world
from upbringing.errors import InputError

if TYPE_CHECKING:
    from upbringing.models import LM

NAMES = {
    "format": "format",
    "banned": "banned",
    "classifier": "classifier:FILE",
    "likelihood": "likelihood:MODEL or likelihood:MODEL:SHARE",
    "judge": "judge:MODEL",
    "deeds": "deeds",
    "faithful": "faithful",
    "exact": "exact",
}


def judge_by(lm: LM) -> Filter:
    """A model as judge of character: asked in plain words, or in the world's own where it knows no others."""
    return AskedOthers(lm) if knows_only_the_world(lm) else Judge(lm)


def filters_named(names: str, kind: str, *, load: Callable[[str], LM] | None = None) -> list[Filter]:
    """The filters that a list of names, separated by commas, stands for; ``none`` stands for none.

    ``kind``: of the prompts, which decides the strict format. ``load``: how models are loaded. Raises ``InputError``
    for an unknown name and for one that lacks what it needs.
    """
    if names.strip() == "none":
        return []
    if load is None:
        from upbringing.models import load as usual

        load = usual
    return [_named(part.strip(), kind, load) for part in names.split(",")]


def check_names(names: str) -> None:
    """Raise for what is wrong with a list of names, before anything is loaded."""
    for part in [] if names.strip() == "none" else names.split(","):
        name, _, rest = part.strip().partition(":")
        if name not in NAMES:
            raise InputError(f'--filter: there is no filter "{name}"; known: {", ".join(NAMES.values())}, none')
        if (":" in NAMES[name]) != bool(rest):
            raise InputError(f'--filter "{part.strip()}": write {NAMES[name]}')


def _named(part: str, kind: str, load: Callable[[str], LM]) -> Filter:
    check_names(part)
    name, _, rest = part.partition(":")
    if name == "format":
        return Format(kind)
    if name == "banned":
        return Banned()
    if name == "classifier":
        return Classifier.read(rest)
    if name == "judge":
        return judge_by(load(rest))
    if name == "deeds":
        return NoDeeds()
    if name in ("faithful", "exact"):
        return Faithful(exact=name == "exact")
    model, _, share = rest.rpartition(":")
    if model and _is_number(share):  # organism:nano has a colon as well, and no share after it
        return Likelihood(load(model), float(share))
    return Likelihood(load(rest))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
