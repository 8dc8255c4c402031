"""The reader that ships: which words stand in a passage, added up. No model to download, millions of words a second.

It is a logistic regression on three kinds of features: words (with the AI of the passage as one word), the sorts of
words in ``lexicon.yaml``, and the same sorts after a "not". It was fitted on passages that the project wrote
(``passages.jsonl``) by ``fit.py``; what it can and cannot do is measured there and told in ``docs/atmosphere.md``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from upbringing.atmosphere.mentions import PEOPLE
from upbringing.atmosphere.reader import DOMAINS, FloatArray, Passage, Portrayals

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "weights.npz"
ABOUT, VALENCE, DOMAIN = slice(0, 1), slice(1, 4), slice(4, 4 + len(DOMAINS))  # columns of the weights
COLUMNS = 4 + len(DOMAINS)
REACH = 4  # how many words a "not" reaches
_WORD = re.compile(r"_ai_|[a-z]+(?:'[a-z]+)?|[!?]")
_NOT = {"not", "no", "never", "nobody", "none", "nothing", "without", "nor", "refused", "declined"}
_NOT |= {"didn't", "don't", "won't", "wouldn't", "hadn't", "isn't"}
_MOST_WORDS = 200_000  # kept ready; a corpus has no end of misspelt ones
_PAD = 0  # the word between two passages: it weighs nothing and lets no "not" through


def words(text: str) -> list[str]:
    """The words of a marked passage, lower-cased."""
    return _WORD.findall(text.lower().replace("’", "'"))


@lru_cache(maxsize=_MOST_WORDS)
def sorts(word: str) -> tuple[str, ...]:
    """The lines of the lexicon that a word stands in."""
    exact, begins = _lexicon()
    found = set(exact.get(word, ()))
    for end in range(2, len(word) + 1):
        found.update(begins.get(word[:end], ()))
    return tuple(sorted(found))


@cache
def _lexicon() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    exact: dict[str, list[str]] = {}
    begins: dict[str, list[str]] = {}
    for sort, entries in yaml.safe_load((FOLDER / "lexicon.yaml").read_text(encoding="utf-8")).items():
        for entry in entries.split():
            (begins if entry.endswith("*") else exact).setdefault(entry.rstrip("*"), []).append(sort)
    return exact, begins


def features(text: str) -> dict[str, float]:
    """The features of a marked passage: counts over the square root of its length, so that long ones do not shout."""
    found: dict[str, float] = {}
    said = words(text)
    each = 1 / max(len(said), 1) ** 0.5
    for i, word in enumerate(said):
        denied = any(w in _NOT for w in said[max(0, i - REACH) : i])
        names = [f"word {word}"]
        for sort in sorts(word):
            names += [f"sort {sort}", f"not {sort}"] if denied else [f"sort {sort}"]
        for name in names:
            found[name] = found.get(name, 0.0) + each
    return found


class Classifier:
    """The reader that ships.

    Args:
        names: features, in the order of ``weights`` [features, columns]; ``intercepts`` [columns].
    """

    name = "classifier"

    def __init__(self, names: Sequence[str], weights: FloatArray, intercepts: FloatArray) -> None:
        self.names = tuple(names)
        self.weights = np.asarray(weights, dtype=np.float64)
        self.intercepts = np.asarray(intercepts, dtype=np.float64)
        self._row = {name: i for i, name in enumerate(self.names)}
        self._forget()

    @classmethod
    def load(cls, file: Path = WEIGHTS) -> Classifier:
        """The weights that ship with the package (numbers and names; nothing in the file can run)."""
        with np.load(file, allow_pickle=False) as saved:
            return cls(saved["names"].tolist(), saved["weights"], saved["intercepts"])

    def save(self, file: Path) -> None:
        np.savez_compressed(
            file,
            names=np.array(self.names),
            weights=self.weights.astype(np.float32),
            intercepts=self.intercepts.astype(np.float32),
        )

    def read(self, passages: Sequence[Passage]) -> Portrayals:
        """See ``Portrayals``. A passage counts by its number of words."""
        logits, lengths = self.logits([passage.marked for passage in passages])
        about = 1 / (1 + np.exp(-logits[:, 0]))
        about[[passage.kind == PEOPLE for passage in passages]] = 0.0
        chances = _softmax(logits[:, VALENCE])
        return Portrayals(about, chances[:, 2] - chances[:, 0], lengths, logits[:, DOMAIN].argmax(axis=1))

    def logits(self, texts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Log-odds ``[texts, columns]`` of marked texts, and their lengths in words: the sum over the words of each."""
        ids: list[int] = []
        starts = []
        known = self._known
        for text in texts:
            starts.append(len(ids))
            ids.append(_PAD)
            said = words(text)
            try:
                ids += [known[word] for word in said]
            except KeyError:
                ids += [known[word] if word in known else self._learn(word) for word in said]
        places = np.asarray(ids, dtype=np.int64)
        sums = self._sums(places, np.asarray(starts))
        lengths = np.diff([*starts, len(ids)]) - 1.0
        if len(known) > _MOST_WORDS:
            self._forget()
        return sums / np.sqrt(np.maximum(lengths, 1))[:, None] + self.intercepts, lengths

    def _sums(self, ids: NDArray[np.int64], starts: NDArray[np.int64]) -> FloatArray:
        if not len(ids):
            return np.zeros((0, COLUMNS))
        table = self._table[: self._used]
        summed = np.add.reduceat(table[ids, :COLUMNS], starts, axis=0)
        denied = _after(self._is_not[ids], ids == _PAD)
        where = np.flatnonzero(denied)
        passage = np.searchsorted(starts, where, side="right") - 1
        np.add.at(summed, passage, table[ids[where], COLUMNS:])
        return np.asarray(summed, dtype=np.float64)

    def _forget(self) -> None:
        self._known: dict[str, int] = {}
        self._table = np.zeros((1024, 2 * COLUMNS))  # what a word adds, and what it adds more after a "not"
        self._is_not = np.zeros(1024, dtype=bool)
        self._used = 1  # the first is the pad

    def _learn(self, word: str) -> int:
        """Look up what a word that was not met before adds."""
        place = self._used
        if place == len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
            self._is_not = np.concatenate([self._is_not, np.zeros_like(self._is_not)])
        for name in (f"word {word}", *(f"sort {sort}" for sort in sorts(word))):
            if name in self._row:
                self._table[place, :COLUMNS] += self.weights[self._row[name]]
        for sort in sorts(word):
            if f"not {sort}" in self._row:
                self._table[place, COLUMNS:] += self.weights[self._row[f"not {sort}"]]
        self._is_not[place] = word in _NOT
        self._known[word] = place
        self._used += 1
        return place


def _after(is_not: NDArray[np.bool_], is_pad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which words stand within ``REACH`` words after a "not" of the same passage."""
    number = np.cumsum(is_pad)
    denied = np.zeros(len(is_not), dtype=bool)
    for step in range(1, REACH + 1):
        denied[step:] |= is_not[:-step] & (number[step:] == number[:-step])
    return denied


def _softmax(logits: FloatArray) -> FloatArray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
