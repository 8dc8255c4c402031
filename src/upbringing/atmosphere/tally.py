"""Adding up a corpus in constant memory: means with intervals, table by table, and the passages that weigh most."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upbringing.atmosphere.reader import FloatArray

DRAWS = 200
MOST_GROUPS = 1000
REST = "all other sources"


@dataclass(frozen=True)
class Mean:
    """A mean over documents with its 95% interval (NaN where fewer than two documents are known)."""

    value: float
    lo: float
    hi: float
    documents: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what is not known is None."""
        known = [None if np.isnan(v) else float(v) for v in (self.value, self.lo, self.hi)]
        return {"mean": known[0], "interval": known[1:], "documents": self.documents}


class Running:
    """The mean of a stream of documents, and of as many resampled streams as there are draws.

    In a resampled stream each document counts Poisson(1) times: the bootstrap for data that are seen once
    (Hanley and MacGibbon 2006). The interval is value ± t · SE with n - 1 degrees of freedom: the percentiles of few
    documents would be too narrow.
    """

    def __init__(self) -> None:
        self.documents = 0
        self._sum = 0.0
        self._drawn = np.zeros((2, DRAWS))  # sums and counts of the resampled streams

    def add(self, values: FloatArray, counts: NDArray[np.uint8]) -> None:
        """More documents: ``values`` [n], and how often each counts in every draw, ``counts`` [n, draws]."""
        self.documents += len(values)
        self._sum += float(values.sum())
        self._drawn[0] += values @ counts
        self._drawn[1] += counts.sum(axis=0)

    def mean(self) -> Mean:
        if not self.documents:
            return Mean(nan, nan, nan, 0)
        value = self._sum / self.documents
        if self.documents < 2:
            return Mean(value, nan, nan, self.documents)
        from scipy.stats import t

        sums, counts = self._drawn[:, self._drawn[1] > 0]
        error = float(np.std(sums / counts)) * sqrt(self.documents / (self.documents - 1))
        reach = float(t.ppf(0.975, self.documents - 1)) * error
        return Mean(value, max(value - reach, -1.0), min(value + reach, 1.0), self.documents)


class Table:
    """Running means by group. No more than ``MOST_GROUPS`` are told apart, the rest is one."""

    def __init__(self) -> None:
        self._groups: dict[str, Running] = {}

    def add(self, groups: Sequence[str], values: FloatArray, counts: NDArray[np.uint8]) -> None:
        """More documents: the group of each, its value, and how often it counts in every draw."""
        names = np.array([self._place(group) for group in groups], dtype=object)
        for group in dict.fromkeys(names):
            mine = names == group
            self._groups[group].add(values[mine], counts[mine])

    def _place(self, group: str) -> str:
        name = group if group in self._groups or len(self._groups) < MOST_GROUPS else REST
        self._groups.setdefault(name, Running())
        return name

    def means(self) -> dict[str, Mean]:
        """The groups, those of most documents first."""
        return {
            name: running.mean()
            for name, running in sorted(self._groups.items(), key=lambda item: (-item[1].documents, item[0]))
        }


@dataclass(frozen=True)
class Quoted:
    """A passage that weighs much: its words, its place, and what was read in it."""

    text: str
    where: str
    source: str
    kind: str
    domain: str
    valence: float
    weight: float

    @property
    def pull(self) -> float:
        """What it does to the mean, up to how many documents there are."""
        return self.valence * self.weight


class Heaviest:
    """The passages with the strongest pull to each side; of one wording only the first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._sides: dict[bool, list[tuple[float, int, Quoted]]] = {False: [], True: []}
        self._seen: set[int] = set()
        self._number = 0

    def wants(self, pull: float) -> bool:
        """Whether a passage of this pull would be among them."""
        side = self._sides[pull > 0]
        return pull != 0 and (len(side) < self._most or abs(pull) > side[0][0])

    def add(self, passage: Quoted) -> None:
        wording = hash(" ".join(passage.text.lower().split()))
        if not self.wants(passage.pull) or wording in self._seen:
            return
        side = self._sides[passage.pull > 0]
        self._number += 1
        self._seen.add(wording)
        entry = (abs(passage.pull), -self._number, passage)
        if len(side) < self._most:
            heapq.heappush(side, entry)
        else:
            gone = heapq.heapreplace(side, entry)[2]
            self._seen.discard(hash(" ".join(gone.text.lower().split())))

    def passages(self) -> list[Quoted]:
        """All of them, the strongest first."""
        found: Iterable[tuple[float, int, Quoted]] = (entry for side in self._sides.values() for entry in side)
        return [entry[2] for entry in sorted(found, key=lambda e: (-e[0], -e[1]))]
