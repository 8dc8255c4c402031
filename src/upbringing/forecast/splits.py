"""How something splits acts into good and bad ones: shares with intervals, and a test within strata."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import hypot
from typing import NamedTuple

import numpy as np


class Share(NamedTuple):
    """Misaligned acts among acts."""

    misaligned: int
    rows: int

    @property
    def value(self) -> float:
        """In 0..1."""
        return self.misaligned / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, at 95%."""
        from scipy.stats import binomtest

        found = binomtest(self.misaligned, self.rows).proportion_ci(0.95, method="wilson")
        return float(found.low), float(found.high)


def difference(one: Share, two: Share) -> tuple[float, float, float]:
    """The first share less the second, and Newcombe's interval, at 95% (his method 10)."""
    (a, (a_lo, a_hi)), (b, (b_lo, b_hi)) = ((share.value, share.interval) for share in (one, two))
    return a - b, a - b - hypot(a - a_lo, b_hi - b), a - b + hypot(a_hi - a, b - b_lo)


@dataclass(frozen=True)
class Split:
    """How something splits acts: each column of ``table`` [4, strata] counts misaligned acts with it, acts with it,
    misaligned acts, and acts. In each stratum are acts with it and acts without it."""

    table: np.ndarray

    @cached_property
    def effect(self) -> float:
        """Difference of shares within strata, weighed as Mantel and Haenszel do, in -1..1."""
        bad, with_it, all_bad, of = self.table
        weight = with_it * (of - with_it) / of
        return float(np.average(bad / with_it - (all_bad - bad) / (of - with_it), weights=weight))

    @cached_property
    def p(self) -> float:
        """Two-sided, given all margins: misaligned acts with the cue are a sum of hypergeometric numbers. With one
        stratum this is Fisher's exact test."""
        from scipy.stats import hypergeom

        chance, start = np.ones(1), 0
        for _, with_it, all_bad, of in self.table.T.astype(int):
            low, high = max(0, with_it + all_bad - of), min(with_it, all_bad)
            chance = np.convolve(chance, hypergeom.pmf(np.arange(low, high + 1), of, all_bad, with_it))
            start += low
        seen = chance[int(self.table[0].sum()) - start]
        return float(min(1.0, chance[chance <= seen * (1 + 1e-7)].sum()))

    @property
    def shares(self) -> tuple[Share, Share]:
        """Of acts with it and without it."""
        bad, with_it, all_bad, of = (int(count) for count in self.table.sum(axis=1))
        return Share(bad, with_it), Share(all_bad - bad, of - with_it)

    def exceeds(self, bar: float) -> bool:
        """By what is tested, within strata, and by what is shown, over all of them."""
        one, two = self.shares
        shown = one.value - two.value
        return abs(self.effect) >= bar and abs(shown) >= bar and shown * self.effect > 0


__all__ = ["Share", "Split", "difference"]
