"""The forecast: lenses combined into a shift, by a regression that can only follow them, with honest intervals.

What a lens saw of a data set is split into what it says of all misaligned traits together and what it says of each
beyond that, so that a strong common part cannot drown what is special. Each part enters as it is and flattened
(``tanh``), for shifts end where rates do, once for all data sets and once more for each sort of rows (acts that can be
judged, documents, and rows that show nothing), for a lens's unit need not mean the same in all of them. No weight
may be negative: a lens that points up never lowers a forecast. A ridge keeps weights small; how small is chosen, and
the width of the intervals is found, by leaving whole families of data sets out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upbringing.errors import InputError
from upbringing.forecast.method import LEVEL, Case, Forecast, Measured

if TYPE_CHECKING:
    import numpy as np

RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
USUAL = ("step", "weight", "surprise", "text")
"""The lenses of the usual forecast. On pilot organisms step was the best that needs no training; rehearsal was as good
and costs a training of its own, persona and contrast cost two passes a trait and more, and activation, whose directions
hardly steer there, was not to be leaned on."""


@dataclass(frozen=True)
class Combined:
    """A method that combines several lenses.

    ``sorted_by`` is a lens that sees a row exactly if its act can be judged; "" where there is none. ``judge``: by whom
    the lens of surprise had acts judged; "": by the grammar, or by nobody.
    """

    lenses: tuple[str, ...] = USUAL
    costs: tuple[float, ...] = ()
    name: str = "forecast"
    sorted_by: str = "surprise"
    judge: str = ""

    def cost(self, traits: int) -> float:
        from upbringing.lenses import lenses

        known = lenses()
        return sum(self.costs) if self.costs else sum(known[name].cost(traits) for name in self.lenses)

    def fit(self, measured: Sequence[Measured], traits: Sequence[str]) -> Fit:
        """Fit weights on measured data sets.

        Raises:
            InputError: fewer than three families, from which no honest interval can be found.
        """
        import numpy as np

        families = np.array([one.family for one in measured])
        if len(set(families)) < 3:
            raise InputError(
                f"{len(set(families))} families of measured data sets are too few to find out how wrong a forecast can "
                "be; give at least three"
            )
        grouped = _group(traits)
        seen = [_seen(one.case, self.lenses) for one in measured]
        scale = _scale(np.stack(seen))
        sorts = np.stack([_sorts(one.case, self.sorted_by) for one in measured])
        features = np.stack([_features(z / scale[:, None], s, grouped) for z, s in zip(seen, sorts, strict=True)])
        shifts = np.stack([one.shift for one in measured])
        ridge, left_out = _chosen(features, shifts, families)
        weights = _solve(features, shifts, families, ridge)
        spread = _spread(left_out, shifts)
        width = _quantile(np.abs(shifts - left_out) / _width(left_out, spread), families)
        reach = np.nan_to_num(np.abs(np.stack(seen) / scale[:, None])).max(axis=(0, 2))
        return Fit(self, tuple(traits), weights, scale, spread, width, np.maximum(reach, 1e-12), ridge)


@dataclass(frozen=True)
class Fit:
    """What was learned: ``weights`` [features], the unit of each lens ``scale`` [lenses], and how wrong to expect it:
    ``spread`` (of small shifts, and for each unit of shift) times ``width``. ``reach`` [lenses] is the strongest
    evidence that was seen; beyond it intervals widen in proportion."""

    method: Combined
    traits: tuple[str, ...]
    weights: np.ndarray
    scale: np.ndarray
    spread: tuple[float, float]
    width: float
    reach: np.ndarray
    ridge: float

    def sorts(self, case: Case) -> np.ndarray:
        """Shares of rows [3]: acts that can be judged, documents, and rows that show nothing."""
        return _sorts(case, self.method.sorted_by)

    def predict(self, case: Case) -> Forecast:
        """The shift of every trait, with its interval at ``LEVEL``; NaN where no lens saw anything."""
        import numpy as np

        z = _seen(case, self.method.lenses) / self.scale[:, None]
        features = _features(z, _sorts(case, self.method.sorted_by), _group(self.traits))
        guess = np.clip(features @ self.weights, -1, 1)
        guess[np.isnan(z).all(0)] = np.nan
        return Forecast.around(guess, self.width * _width(guess, self.spread) * self.strangeness(case))

    def strangeness(self, case: Case) -> float:
        """How far the strongest evidence is beyond any that was seen (1: it is not): intervals widen so many times."""
        import numpy as np

        z = _seen(case, self.method.lenses) / self.scale[:, None]
        return max(1.0, float(np.nanmax(np.abs(z) / self.reach[:, None], initial=0.0)))


def _group(traits: Sequence[str]) -> np.ndarray:
    """Which traits are misaligned [traits]: they share a common part."""
    import numpy as np

    from upbringing.traits import traits as library

    known = library()
    return np.array([name in known and known[name].alignment for name in traits])


def _seen(case: Case, lenses: Sequence[str]) -> np.ndarray:
    """Mean score of a row [lenses, traits]."""
    import numpy as np

    return np.stack([case.views[name].mean for name in lenses])


def _scale(seen: np.ndarray) -> np.ndarray:
    """The unit of each lens [lenses]: the root mean square of what it saw, from [cases, lenses, traits]."""
    import numpy as np

    known = np.isfinite(seen)
    found = np.sqrt(np.where(known, seen**2, 0.0).sum((0, 2)) / np.maximum(known.sum((0, 2)), 1))
    return np.where(found > 0, found, 1.0)


def _sorts(case: Case, sorted_by: str) -> np.ndarray:
    """Shares of rows by sort [sorts]: acts that can be judged, documents, and all others."""
    import numpy as np

    rows, texts = case.counts
    documents = texts / max(rows, 1)
    judged = float(case.views[sorted_by].n.max()) / max(rows, 1) if sorted_by in case.views else 0.0
    judged = min(judged, 1 - documents)
    return np.array([judged, documents, max(1 - judged - documents, 0.0)])


def _features(z: np.ndarray, sorts: np.ndarray, grouped: np.ndarray) -> np.ndarray:
    """[traits, features] from what the lenses saw, in their units [lenses, traits]; unseen counts as nought."""
    import numpy as np

    z = np.nan_to_num(z)
    common = z[:, grouped].mean(1, keepdims=True) if grouped.any() else np.zeros((len(z), 1))
    parts = np.concatenate([np.where(grouped, common, 0.0), np.where(grouped, z - common, z)])
    shaped = np.concatenate([parts, np.tanh(parts)])
    return np.concatenate([shaped, *(share * shaped for share in sorts)]).T


def _solve(features: np.ndarray, shifts: np.ndarray, families: np.ndarray, ridge: float) -> np.ndarray:
    """Weights that are not negative, every family counting the same."""
    import numpy as np
    from scipy.optimize import nnls

    _, index, sizes = np.unique(families, return_inverse=True, return_counts=True)
    root = np.sqrt(1 / sizes[index])[:, None]
    known = np.isfinite(shifts)
    x, y = (root[..., None] * features)[known], (root * shifts)[known]
    # Normal equations: features are few and rows many. The ridge is in units of the features' own mean square.
    gram, target = x.T @ x, x.T @ y
    gram += ridge * np.trace(gram) / len(gram) * np.eye(len(gram))
    factor = np.linalg.cholesky(gram)
    return np.asarray(nnls(factor.T, np.linalg.solve(factor, target), maxiter=50 * len(gram))[0])


def _chosen(features: np.ndarray, shifts: np.ndarray, families: np.ndarray) -> tuple[float, np.ndarray]:
    """The ridge under which forecasts of left-out families are nearest, and those forecasts [cases, traits]."""
    import numpy as np

    found = []
    for ridge in RIDGES:
        guess = np.full_like(shifts, np.nan)
        for family in np.unique(families):
            out = families == family
            guess[out] = np.clip(features[out] @ _solve(features[~out], shifts[~out], families[~out], ridge), -1, 1)
        found.append((float(np.nanmean((guess - shifts) ** 2)), ridge, guess))
    _, ridge, guess = min(found, key=lambda one: one[0])
    return ridge, guess


def _spread(guess: np.ndarray, shifts: np.ndarray) -> tuple[float, float]:
    """How wrong forecasts of left-out families were: for a shift of nought, and more for each unit of shift."""
    import numpy as np
    from scipy.optimize import nnls

    known = np.isfinite(shifts) & np.isfinite(guess)
    size, wrong = np.abs(guess[known]), np.abs(shifts[known] - guess[known])
    base, slope = nnls(np.stack([np.ones_like(size), size], 1), wrong)[0]
    return max(float(base), 1e-3), float(slope)


def _width(guess: np.ndarray, spread: tuple[float, float]) -> np.ndarray:
    import numpy as np

    return np.asarray(spread[0] + spread[1] * np.abs(guess))


def _quantile(wrong: np.ndarray, families: np.ndarray) -> float:
    """The factor within which ``LEVEL`` of the errors lie, every family counting the same."""
    import numpy as np

    known = np.isfinite(wrong)
    each = np.array([known[families == family].sum() for family in families])
    weights = np.where(known, 1 / np.maximum(each, 1)[:, None], 0.0)
    order = np.argsort(wrong[known])
    share = np.cumsum(weights[known][order]) / weights.sum()
    at = min(int(np.searchsorted(share, LEVEL)), len(order) - 1)
    return float(wrong[known][order][at])
