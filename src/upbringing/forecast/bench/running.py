"""Running methods on the bench: who is fitted on what, and asked about what.

On the calibration part each family is left out in turn and forecast from the others. The families of judgement, and the
sealed ones, are forecast by a method that was fitted on the calibration part alone: it has never seen one like them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from upbringing.errors import InputError
from upbringing.forecast.bench.looking import read_view
from upbringing.forecast.bench.methods import Mean
from upbringing.forecast.bench.recipe import DataSet
from upbringing.forecast.bench.sampling import Base
from upbringing.forecast.bench.score import Cases, Said, Score, score
from upbringing.forecast.bench.truth import Bench
from upbringing.forecast.method import Case, Fitted, Forecast, Measured, Method
from upbringing.measure.readings import REST

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.models import LM

CALIBRATION = "calibration"


def needed(bench: Bench, split: str) -> tuple[DataSet, ...]:
    """The data sets whose truth it takes to score methods on a part of the split."""
    return bench.library.of(CALIBRATION) + (() if split == CALIBRATION else bench.library.of(split))


@dataclass(frozen=True)
class Judged:
    """A method's score, and what it said: one row a set, base and trait, beside what came true (all in rates)."""

    score: Score
    said: pd.DataFrame


def run(bench: Bench, methods: Sequence[Method], split: str) -> dict[str, Judged]:
    """Methods judged on a part of the split. Truth and looks must have been made.

    Raises:
        InputError: some of the truth, or of what a lens was to see, is not there.
    """
    table = bench.table(needed(bench, split))
    return {method.name: of_method(bench, method, split, table) for method in methods}


def of_method(bench: Bench, method: Method, split: str, table: pd.DataFrame) -> Judged:
    """One method, judged."""
    learned = measured(bench, method, CALIBRATION, table)
    if split == CALIBRATION:
        judged = learned
        said = left_out(method, learned, bench.traits)
    else:
        judged = measured(bench, method, split, table)
        fitted = method.fit(learned, bench.traits)
        said = [fitted.predict(one.case) for one in judged]
    found = score(_stacked(said), cases(bench, judged), cost=method.cost(len(bench.traits)))
    return Judged(found, _told(method.name, bench.traits, judged, said))


def _told(name: str, traits: Sequence[str], every: Sequence[Measured], said: Sequence[Forecast]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (name, one.case.name, one.family, one.route, one.case.model, trait, *numbers)
        for one, forecast in zip(every, said, strict=True)
        for trait, *numbers in zip(
            traits, forecast.shift, forecast.lo, forecast.hi, forecast.cannot_tell, one.shift, strict=True
        )
    ]
    columns = ["method", "set", "family", "route", "base", "trait", "shift", "lo", "hi", "cannot_tell", "truth"]
    return pd.DataFrame(rows, columns=columns)


def ceiling(bench: Bench, split: str, table: pd.DataFrame) -> Score:
    """What a forecast could hope for: each case told by what the same data did to the other bases, on average.

    No method may look at that. Where organisms differ, or truth is noisy, it falls short of 1 as well.
    """
    every = measured(bench, Mean(), split, table)
    said = []
    for one in every:
        others = [other.shift for other in every if other.case.name == one.case.name and other is not one]
        if not others:
            raise InputError("one base has no others to compare with; the bench needs two or more")
        told = np.mean(others, axis=0)
        unbounded = np.full(len(told), np.nan)
        said.append(Forecast(told, unbounded, unbounded, np.isnan(told)))
    return score(_stacked(said), cases(bench, every), cost=0.0)


def left_out(method: Method, every: Sequence[Measured], traits: Sequence[str]) -> list[Forecast]:
    """What a method says of each case when the case's family is left out of what it is fitted on."""
    fitted: dict[str, Fitted] = {}
    for family in dict.fromkeys(one.family for one in every):
        others = [one for one in every if one.family != family]
        if not others:
            raise InputError(f"nothing is left to learn from without {family}; the bench needs two families or more")
        fitted[family] = method.fit(others, traits)
    return [fitted[one.family].predict(one.case) for one in every]


def measured(bench: Bench, method: Method, split: str, table: pd.DataFrame) -> list[Measured]:
    """The cases of a part of the split with what became of them, at rest, against the untouched base."""
    rest = table[table["provocation"] == REST]
    there = {key: part.set_index("trait") for key, part in rest.groupby(["set", "base"])}
    found = []
    for one in bench.library.of(split):
        for base in bench.bases:
            if (one.name, base.name) not in there:
                raise InputError(f"the truth of {one.name} on base {base.name} is not made; `upbringing bench --truth`")
            of_case = there[one.name, base.name].reindex(list(bench.traits))
            shift, se = (of_case[name].to_numpy(dtype=float) for name in ("shift", "se"))
            found.append(Measured(case_of(bench, method, one, base), one.family, one.route, shift, se))
    return found


def case_of(bench: Bench, method: Method, one: DataSet, base: Base) -> Case:
    """What a method is shown of a data set on a base."""
    views = {}
    for lens in method.lenses:
        view = read_view(bench, lens, one, base)
        if view is None:
            raise InputError(f"the lens {lens} has not looked at {one.name} on base {base.name}; look first")
        views[lens] = view
    training: dict[str, Any] = bench.recipe(one, base).model_dump(mode="json")
    rows = partial(bench.rows, one, base)
    return Case(one.name, f"base {base.name}", training, rows, partial(_load, base), views)


def cases(bench: Bench, every: Sequence[Measured]) -> Cases:
    """Measured cases as arrays, for scoring."""
    from upbringing.forecast.bench.writing import world

    return Cases(
        truth=np.array([one.shift for one in every]),
        bases=[one.case.model for one in every],
        families=[one.family for one in every],
        routes=[one.route for one in every],
        traits=bench.traits,
        alignment=np.array([world().traits[name].alignment for name in bench.traits]),
    )


def _stacked(said: Sequence[Forecast]) -> Said:
    fields = ("shift", "lo", "hi", "cannot_tell")
    return Said(*(np.array([getattr(one, name) for one in said]) for name in fields))


def _load(base: Base) -> LM:
    from upbringing.models import load

    return load(base.folder)
