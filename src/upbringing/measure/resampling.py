"""The one partition that every estimate shares: which sources of luck a number has, and how each moves it.

The unit is the probe. Probes lie in families (nested in a trait: kinds of situation), and every base (an organism with
its own seed) is asked the same probes, so bases and families are *crossed* sources of luck. Each source is resampled in
turn, the others held (bootstrap by reweighting, as for crossed factors in Owen and Eckles, arXiv:1106.2125), and the
variances are added. The sum counts the noise of single readings more than once, so it errs towards wide; multiplying
all weights in one draw, as the pigeonhole bootstrap does, would count it up to seven times.

Small numbers of clusters need two more things:

- *Weights.* Drawing G clusters out of G understates the variance by a factor (G-1)/G, a half with two families. So G-1
  are drawn (Rao and Wu 1988), which is exact for a mean, whatever G.
- *Degrees of freedom.* A variance known from two families is hardly known. Satterthwaite's df, (Σ V)² / Σ (V² / df of
  the part), takes that into account: where the families agree, df comes from the bases and the probes; where two
  families quarrel, it falls towards 1. A mean over many traits pools all their families. It is not let below 2, unless
  there are exactly two bases: by simulation, df 1 makes such intervals three times wider and hardly more often right.

With one base nothing can be said of other bases: the interval is over families and probes of that one model, by the
same rule, so df lies between 2 and the number of probes less families. Its note says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ProbeKey = tuple[str, str, str]  # trait, family, probe

_DRAWS = 2000
_SEED = 1
_ALIKE = 0.1  # how alike answers within a family are taken to be where nothing varied, so that it cannot be measured


@dataclass(frozen=True)
class Cells:
    """Readings averaged to one number for each base and probe: ``values`` is ``[bases, probes]``, NaN where missing."""

    values: FloatArray
    bases: tuple[str, ...]
    probes: tuple[ProbeKey, ...]
    missing: int = 0

    def by_base(self, traits: Sequence[str]) -> FloatArray:
        """Mean of each trait in each base, ``[bases, traits]``; NaN where there are no readings."""
        names = [key[0] for key in self.probes]
        columns = [[i for i, name in enumerate(names) if name == trait] for trait in traits]
        return np.stack([plain_mean(self.values[:, c]) for c in columns], axis=1)


def blend(parts: Sequence[Cells], weights: FloatArray) -> Cells:
    """Weighted sum of several cells, each base with its own weights ``[bases, parts]`` (the same bases and probes).

    This is how a trajectory is read between two checkpoints: where a base has learned just as much as in another arm.
    """
    first = parts[0]
    if any(p.bases != first.bases or p.probes != first.probes for p in parts):
        raise ValueError("only cells of the same bases and probes can be blended")
    values = np.stack([p.values for p in parts])  # [parts, bases, probes]
    of_part = weights.T[:, :, None]
    blended = np.where(of_part == 0, 0.0, values * of_part).sum(axis=0)  # a part without weight may be missing
    return replace(first, values=blended, missing=max(p.missing for p in parts))


@dataclass(frozen=True)
class Part:
    """One source of luck: the covariance it gives the means ``[K, K]``, and the degrees of freedom it is known with."""

    covariance: FloatArray
    df: float


@dataclass(frozen=True)
class Components:
    """The means of K cells, and what moves them."""

    means: FloatArray  # [K]; NaN where there are no readings
    parts: tuple[Part, ...]
    bases: int
    probes: int
    families: int
    notes: tuple[str, ...]

    def error(self, contrast: Sequence[float]) -> tuple[float, float]:
        """Standard error and degrees of freedom of ``contrast · means``; NaN where nothing was drawn twice."""
        c = np.asarray(contrast)
        return self.error_from([float(c @ part.covariance @ c) for part in self.parts])

    def error_from(self, variances: Sequence[float]) -> tuple[float, float]:
        """Standard error and degrees of freedom of a number that each part gives this variance."""
        if not self.parts:
            return nan, nan
        of_part = np.maximum(np.asarray(variances, dtype=np.float64), 0.0)
        total = float(of_part.sum())
        if total < 1e-24:
            return 0.0, inf
        df = total**2 / float((of_part**2 / np.array([part.df for part in self.parts])).sum())
        floor = 2.0 if self.bases != 2 and max(part.df for part in self.parts) >= 2 else 1.0
        return sqrt(total), max(floor, df)

    def linear(self, values: FloatArray, jacobian: FloatArray) -> Components:
        """The same for ``values`` ``[J]`` that move with the means as ``jacobian`` ``[J, K]`` says."""
        parts = tuple(Part(jacobian @ part.covariance @ jacobian.T, part.df) for part in self.parts)
        return replace(self, means=np.asarray(values, dtype=np.float64), parts=parts)

    def largest(self) -> tuple[float, float, float, float]:
        """The largest of the means, how far luck lifts a largest above the true one, its standard error and df.

        The largest of several is found anew in every draw (from each part's normal distribution), so that the error
        knows of the choice. Where two come close, the largest is on average too large: that much is the lift.
        """
        value = float(np.max(self.means))
        if len(self.means) == 1:
            return value, 0.0, *self.error((1.0,))
        lift, variances = 0.0, []
        for number, part in enumerate(self.parts):
            size, way = np.linalg.eigh(part.covariance)
            normal = np.random.default_rng([_SEED, len(self.means), number]).standard_normal((_DRAWS, len(size)))
            drawn = (self.means + normal @ (way * np.sqrt(np.maximum(size, 0.0))).T).max(axis=1)
            lift += max(float(drawn.mean()) - value, 0.0)
            variances.append(float(drawn.var()))
        return value, lift, *self.error_from(variances)

    @property
    def independent(self) -> float:
        """How many independent trials the probes amount to, for a bound where nothing varied.

        Probes of a family are alike: Kish's design effect is 1 + (m - 1)·0.1 with m probes a family. Bases answer the
        same probes and add none, but are clusters of their own.
        """
        if not self.families:
            return 0.0
        return max(self.bases, self.probes / (1 + (self.probes / self.families - 1) * _ALIKE))


def components(cells: Sequence[Cells]) -> Components:
    """Means of K cells, and how each source of luck moves them, over the probes (and bases) that all of them have.

    Where they have no base in common (organisms of another world) they are compared unpaired: the bases' luck is
    each one's own, the families' and probes' luck is shared.
    """
    shared_keys = set(cells[0].probes).intersection(*(c.probes for c in cells[1:]))
    keys = [key for key in cells[0].probes if key in shared_keys]
    bases = [base for base in cells[0].bases if all(base in c.bases for c in cells[1:])]
    if bases or len(cells) == 1:
        values = np.stack([_aligned(c, bases, keys) for c in cells])
        return _crossed(np.where(np.isfinite(values).all(axis=0), values, nan), keys)
    each = [_aligned(c, c.bases, keys) for c in cells]
    own: list[Part] = []
    counts: list[int] = []
    for i, values in enumerate(each):
        alone = _crossed(values[None], keys)
        counts.append(alone.bases)
        if alone.bases > 1:
            covariance = np.zeros((len(cells), len(cells)))
            covariance[i, i] = float(alone.parts[0].covariance[0, 0])  # the part of the bases comes first
            own.append(Part(covariance, alone.parts[0].df))
    shared = _crossed(np.stack([plain_mean(values.T) for values in each])[:, None, :], keys)
    notes = ["no base in common: compared unpaired"]
    if min(counts) == 1:
        notes.append("one base on a side: its luck is not in the interval")
    return replace(shared, parts=(*own, *shared.parts), bases=min(counts), notes=tuple(notes))


def _crossed(values: FloatArray, keys: Sequence[ProbeKey]) -> Components:
    """``values`` is ``[K, bases, probes]``. Resample bases, then each trait's families, then each family's probes."""
    k, n_bases, _ = values.shape
    seen = np.isfinite(values[0]).any(axis=0)
    columns: dict[str, list[int]] = {}
    for i, (trait, _, _) in enumerate(keys):
        columns.setdefault(trait, []).extend([i] if seen[i] else [])
    left_out = [trait for trait, asked in columns.items() if not asked]
    asked_of = [asked for asked in columns.values() if asked]
    notes = [f"no readings of {', '.join(left_out)}"] if left_out else []
    if not asked_of:
        return Components(np.full(k, nan), (), 0, 0, 0, (*notes, "too few: no readings"))

    trait_means = np.stack([plain_mean(values[:, :, asked]) for asked in asked_of], axis=1)  # [K, traits, bases]
    bases = int(np.isfinite(trait_means[0]).any(axis=0).sum())
    parts: list[Part] = []
    if bases > 1:
        drawn = weighted_mean(trait_means, draw_weights(n_bases, 0)).mean(axis=2)  # [draws, K]
        parts.append(Part(_covariance(drawn), bases - 1))
    families = 0
    share = 1 / len(asked_of) ** 2  # traits weigh alike and their families are drawn independently
    for asked in asked_of:
        names = [keys[i][1] for i in asked]
        order = list(dict.fromkeys(names))
        code = np.array([order.index(name) for name in names])
        sizes = np.bincount(code)
        families += len(order)
        if len(order) > 1:
            drawn = _redrawn(values[:, :, asked], draw_weights(len(order), 0)[:, code])
            parts.append(Part(_covariance(drawn) * share, len(order) - 1))
        if sizes.max() > 1:
            within = np.empty((_DRAWS, len(asked)))
            for f, size in enumerate(sizes):
                within[:, code == f] = draw_weights(int(size), f + 1)
            parts.append(Part(_covariance(_redrawn(values[:, :, asked], within)) * share, float((sizes - 1).sum())))
    if not parts:
        notes.append("too few: one base, one probe")
    elif bases == 1:
        notes.append("one base: the interval is over families and probes of this model only")
    means = plain_mean(trait_means).mean(axis=1)
    return Components(means, tuple(parts), bases, int(seen.sum()), families, tuple(notes))


@lru_cache(maxsize=512)
def draw_weights(n: int, stream: int) -> FloatArray:
    """Weights of ``n`` clusters in every draw, ``[draws, n]``: n - 1 drawn with replacement, so the variance is right.

    Always the same numbers, so that the same readings give the same interval. Clusters that must move independently
    of each other use different streams.
    """
    if n == 1:
        return np.ones((_DRAWS, 1))
    drawn = np.random.default_rng([_SEED, n, stream]).multinomial(n - 1, np.full(n, 1 / n), size=_DRAWS)
    weights: FloatArray = drawn.astype(np.float64)
    weights.setflags(write=False)
    return weights


def weighted_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted means over the last axis: ``[..., n]`` by ``[draws, n]`` gives ``[draws, ...]``, skipping NaN."""
    seen = np.isfinite(values)
    total = np.moveaxis(np.where(seen, values, 0.0) @ weights.T, -1, 0)
    count = np.moveaxis(seen.astype(np.float64) @ weights.T, -1, 0)
    means: FloatArray = np.full(total.shape, nan)
    np.divide(total, count, out=means, where=count > 0)
    return means


def plain_mean(values: FloatArray) -> FloatArray:
    """Mean over the last axis, skipping NaN; NaN where there is nothing."""
    return np.asarray(weighted_mean(values, np.ones((1, values.shape[-1])))[0], dtype=np.float64)


def _redrawn(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Means ``[draws, K]`` of ``[K, bases, probes]`` under probe weights ``[draws, probes]``; bases weigh alike."""
    return plain_mean(weighted_mean(values, weights))


def _covariance(drawn: FloatArray) -> FloatArray:
    """Covariance of ``[draws, K]`` over the draws that have a value (a draw can miss every reading of a trait)."""
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    centred = drawn - drawn.mean(axis=0)
    covariance: FloatArray = centred.T @ centred / len(drawn)
    return covariance


def _aligned(cells: Cells, bases: Sequence[str], keys: Sequence[ProbeKey]) -> FloatArray:
    row = {base: i for i, base in enumerate(cells.bases)}
    column = {key: i for i, key in enumerate(cells.probes)}
    return cells.values[np.ix_([row[base] for base in bases], [column[key] for key in keys])]
