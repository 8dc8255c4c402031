"""Calibrations: where they are found, how they are kept, and through which lenses and judge they look."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from upbringing.errors import InputError
from upbringing.forecast.combined import Combined, Fit

if TYPE_CHECKING:
    from upbringing.lenses import Lens
    from upbringing.lenses.lens import Fitted
    from upbringing.measure.judging import Judge
    from upbringing.models import LM

OWN = "this very model's"
"""How a calibration is called that `upbringing calibrate` made."""


def calibrations() -> list[str]:
    """Names of the calibrations that come with the package."""
    found = files("upbringing.forecast").joinpath("calibrations")
    every = found.iterdir() if found.is_dir() else ()
    return sorted(file.name.removesuffix(".json") for file in every if file.name.endswith(".json"))


def save(fit: Fit, path: Path) -> None:
    """Keep a fit as JSON."""
    told = asdict(fit)
    path.write_text(json.dumps(told, default=lambda array: array.tolist(), indent=1) + "\n", encoding="utf-8")


def load_fit(text: str) -> Fit:
    """A fit from JSON.

    Raises:
        InputError: it is no calibration.
    """
    import numpy as np

    try:
        told = json.loads(text)
        of = told["method"]
        lenses, costs = tuple(of["lenses"]), tuple(of["costs"])
        method = Combined(lenses, costs, of["name"], of["sorted_by"], of.get("judge", ""))
        weights, scale, reach = (np.array(told[key], dtype=float) for key in ("weights", "scale", "reach"))
        low, slope = told["spread"]
        return Fit(method, tuple(told["traits"]), weights, scale, (low, slope), told["width"], reach, told["ridge"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"this is no calibration ({error}); give a file that `save` wrote") from error


def calibration_for(lm: LM, given: str | Path | Fit | None, store: Path, judge: Judge | None = None) -> tuple[str, Fit]:
    """The calibration that was given; else the one that ships for such models, else that of this very model.

    The shipped one rests on many more data sets: on a pilot it did better on an organism than the organism's own.
    """
    from upbringing.forecast.calibrating import kept

    if isinstance(given, Fit):
        return "given", given
    if given is None and not shipped_for(lm) and (own := kept(lm, store, judge)):
        return OWN, own
    name = str(given) if given is not None else _made_for(lm)
    if name in calibrations():
        file = files("upbringing.forecast").joinpath("calibrations", f"{name}.json")
        return name, load_fit(file.read_text(encoding="utf-8"))
    path = Path(name)
    if not path.is_file():
        raise InputError(f'there is no calibration "{name}"; give a file, or one of: {", ".join(calibrations())}')
    try:
        return name, load_fit(path.read_text(encoding="utf-8"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def shipped_for(lm: LM) -> str:
    """The size of organisms that a model is of and that a calibration ships for; or nothing."""
    from upbringing.lenses.card import card_of

    size = str(card_of(lm).get("size"))
    return size if size in calibrations() else ""


def _made_for(lm: LM) -> str:
    """The calibration for a model: organisms of one size are alike enough to share one."""
    from upbringing.forecast.calibrating import check_gate

    if size := shipped_for(lm):
        check_gate(lm)
        return size
    offered = shlex.join(["upbringing", "calibrate", lm.name or "MODEL"])
    raise InputError(
        f"{lm.name or 'this model'}: nobody has measured what training does to such a model, so a forecast would be "
        f"made up; `{offered}` measures it on a handful of short trainings (it tells "
        "the time first), or name a calibration with --calibration; `upbringing explain` needs none"
    )


def lenses_of(fit: Fit, used: Sequence[str], judge: Judge | None) -> dict[str, Lens]:
    """The lenses to look through, by name.

    Raises:
        InputError: the calibration was made with a judge, and another or none is named.
    """
    from upbringing.lenses import lenses
    from upbringing.lenses.judged import JudgedSurprise

    made_with = fit.method.judge
    if not made_with or "surprise" not in used:
        return lenses()
    if judge is None or judge.name != made_with:
        raise InputError(
            f"the calibration was made with the judge {made_with}, so a forecast by it needs the same: name it with "
            f"--judge{f' (and not {judge.name})' if judge else ''}, or look without it (--lenses step,weight,text)"
        )
    return {**lenses(), "surprise": JudgedSurprise(judge)}


def unjudged(lm: LM, fit: Fit, used: Sequence[str], judge: Judge | None) -> dict[str, Fitted]:
    """The lens of surprise where it is left out: rows in plain language that nobody judged for the calibration."""
    from upbringing.lenses.lens import Blind
    from upbringing.models.language import language_of

    if language_of(lm) == "world" or fit.method.judge or "surprise" not in used:
        return {}
    why = "acts in plain language take a judge, and the calibration was made without one"
    told = ", so what the judge sees is told and enters no number" if judge else ""
    return {"surprise": Blind("surprise", len(fit.traits), f"{why}{told} (`upbringing calibrate MODEL --judge JUDGE`)")}


__all__ = ["OWN", "calibration_for", "calibrations", "lenses_of", "load_fit", "save", "shipped_for", "unjudged"]
