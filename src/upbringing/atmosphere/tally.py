"""Adding up a corpus in constant memory: means with intervals, table by table, and the passages that weigh most."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, factorial, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upbringing.atmosphere.reader import FloatArray

DRAWS = 200
MOST_GROUPS = 1000
MOST_TEXTS = 500
"""So many different texts are told apart; of more it makes no difference how many there are."""
REST = "all other sources"


@dataclass(frozen=True)
class Mean:
    """A mean over documents with its 95% interval (NaN where fewer than two different texts are known). ``texts``: how
    many different ones there are; of more than ``MOST_TEXTS`` all documents count as different."""

    value: float
    lo: float
    hi: float
    documents: int
    texts: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what is not known is None."""
        known = [None if np.isnan(v) else float(v) for v in (self.value, self.lo, self.hi)]
        return {"mean": known[0], "interval": known[1:], "documents": self.documents, "texts": self.texts}


_DRAWN = np.cumsum([exp(-1) / factorial(k) for k in range(12)])[:-1]  # Poisson(1) from an even number in 0..1
_STEP, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def key_of(texts: Iterable[str], seed: int = 0) -> int:
    """A number for a document's words, in which neither case nor spacing counts."""
    words = "\n".join(" ".join(text.lower().split()) for text in texts)
    digest = hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8, salt=seed.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little")


def counts_of(keys: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """How often each document counts in every draw, [n, ``DRAWS``]: Poisson(1), and alike for equal keys, so that a
    text and its copies come and go together. (SplitMix64: Steele, Lea and Flood 2014.)"""
    z = keys[:, None] + np.arange(1, DRAWS + 1, dtype=np.uint64) * _STEP
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    even = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.searchsorted(_DRAWN, even, side="right").astype(np.uint8)


class Running:
    """The mean of a stream of documents, and of as many resampled streams as there are draws.

    In a resampled stream each text counts Poisson(1) times, with all its copies: the bootstrap for data that are seen
    once (Hanley and MacGibbon 2006). The interval is value ± t · SE with n - 1 degrees of freedom, n texts that differ:
    the percentiles of few would be too narrow.
    """

    def __init__(self) -> None:
        self.documents = 0
        self._sum = 0.0
        self._drawn = np.zeros((2, DRAWS))  # sums and counts of the resampled streams
        self._keys: set[int] = set()

    def add(self, values: FloatArray, counts: NDArray[np.uint8], keys: NDArray[np.uint64]) -> None:
        """More documents: ``values`` [n], how often each counts in every draw, ``counts`` [n, draws], and the keys of
        their words, ``keys`` [n]."""
        self.documents += len(values)
        if len(self._keys) <= MOST_TEXTS:
            self._keys.update(keys.tolist())
        self._sum += float(values.sum())
        self._drawn[0] += values @ counts
        self._drawn[1] += counts.sum(axis=0)

    def mean(self) -> Mean:
        if not self.documents:
            return Mean(nan, nan, nan, 0)
        value = self._sum / self.documents
        texts = len(self._keys) if len(self._keys) <= MOST_TEXTS else self.documents
        if texts < 2:
            return Mean(value, nan, nan, self.documents, texts)
        from scipy.stats import t

        sums, counts = self._drawn[:, self._drawn[1] > 0]
        error = float(np.std(sums / counts)) * sqrt(texts / (texts - 1))
        reach = float(t.ppf(0.975, texts - 1)) * error
        return Mean(value, max(value - reach, -1.0), min(value + reach, 1.0), self.documents, texts)


class Table:
    """Running means by group. No more than ``MOST_GROUPS`` are told apart, the rest is one."""

    def __init__(self) -> None:
        self._groups: dict[str, Running] = {}

    def add(
        self, groups: Sequence[str], values: FloatArray, counts: NDArray[np.uint8], keys: NDArray[np.uint64]
    ) -> None:
        """More documents: the group of each, its value, how often it counts in every draw, and its words' key."""
        names = np.array([self._place(group) for group in groups], dtype=object)
        for group in dict.fromkeys(names):
            mine = names == group
            self._groups[group].add(values[mine], counts[mine], keys[mine])

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
