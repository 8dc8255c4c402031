"""The methods that the bench knows by name: the forecast, any lens, scaled, and the mean of what other sets did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from upbringing.errors import InputError
from upbringing.forecast.combined import Combined
from upbringing.forecast.method import LEVEL, Case, Forecast, Measured, Method

Array = np.ndarray
Guess = Callable[[Case], Array]
MEAN = "mean"


def methods(names: Sequence[str] = ()) -> list[Method]:
    """Methods by name: ``forecast``, ``mean``, or a lens (default: all).

    Raises:
        InputError: there is no method of that name.
    """
    from upbringing.lenses import lenses

    usual = Combined()
    known: dict[str, Method] = {usual.name: usual, MEAN: Mean(), **{name: Scaled(name) for name in lenses()}}
    for name in names:
        if name not in known:
            raise InputError(f'--methods: there is no method "{name}"; known: {", ".join(known)}')
    return [known[name] for name in names or known]


@dataclass(frozen=True)
class Scaled:
    """A lens's mean score of a row, times one number for all traits, fitted by least squares through nought."""

    name: str

    @property
    def lenses(self) -> tuple[str, ...]:
        return (self.name,)

    def cost(self, traits: int) -> float:
        """That of the lens."""
        from upbringing.forecast.bench.looking import lens_named

        return lens_named(self.name).cost(traits)

    def fit(self, measured: Sequence[Measured], traits: Sequence[str]) -> Bounded:
        """The slope, and the width that holds for families left out."""
        return bounded(measured, self._fitted)

    def _fitted(self, measured: Sequence[Measured]) -> Guess:
        x = np.array([self._score(one.case) for one in measured])
        y = np.array([one.shift for one in measured])
        seen = np.isfinite(x) & np.isfinite(y)
        below = float((x[seen] ** 2).sum())
        slope = float((x[seen] * y[seen]).sum()) / below if below > 0 else 0.0
        return lambda case: slope * self._score(case)

    def _score(self, case: Case) -> Array:
        return case.views[self.name].mean


@dataclass(frozen=True)
class Mean:
    """What other data sets did to each trait, on average: the guess of one who has not looked."""

    name: str = MEAN
    lenses: tuple[str, ...] = ()

    def cost(self, traits: int) -> float:
        """Nothing."""
        return 0.0

    def fit(self, measured: Sequence[Measured], traits: Sequence[str]) -> Bounded:
        """The mean over families (each counts once), and the width that holds for families left out."""
        return bounded(measured, self._fitted)

    def _fitted(self, measured: Sequence[Measured]) -> Guess:
        families = dict.fromkeys(one.family for one in measured)
        of_family = [np.mean([one.shift for one in measured if one.family == f], axis=0) for f in families]
        mean: Array = np.mean(of_family, axis=0)
        return lambda case: mean


@dataclass(frozen=True)
class Bounded:
    """A guess with the same width for all."""

    guess: Guess
    half: float

    def predict(self, case: Case) -> Forecast:
        """The guess; it cannot tell where it has none."""
        shift = self.guess(case)
        return Forecast(shift, shift - self.half, shift + self.half, ~np.isfinite(shift))


def bounded(measured: Sequence[Measured], fit: Callable[[Sequence[Measured]], Guess]) -> Bounded:
    """A guess fitted on all, and the half width that 90% of the errors keep when each family is left out in turn.

    Split-conformal rank (arXiv 2107.07511), with families as folds, so that the width is that for families never seen.
    """
    misses: list[Array] = []
    families = list(dict.fromkeys(one.family for one in measured))
    for family in families:
        others = [one for one in measured if one.family != family]
        guess = fit(others or measured)  # a single family can only be judged by itself
        misses += [np.abs(guess(one.case) - one.shift) for one in measured if one.family == family]
    every = np.concatenate(misses)
    every = np.sort(every[np.isfinite(every)])
    rank = int(np.ceil(LEVEL * (len(every) + 1)))
    half = float(every[rank - 1]) if 0 < rank <= len(every) else float("inf") if len(every) == 0 else float(every[-1])
    return Bounded(fit(measured), half)
