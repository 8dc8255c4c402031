"""The sheet: the questions of a monitor, tokenised once; asked in full at the start, in short at every look.

A situation offers dozens of wordings of each side, and which of them are offered moves a rate by more than which
situation is asked about. So all are offered once, before the first step, and at a look only the likeliest few of each
side: the others are taken to have moved as these did. On the bench's calibration part, with four of each side, the rise
of a trait came out 0.005 (standard deviation) from what all wordings said, for half the price; with eight 0.001.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from upbringing.measure import Profile, Provocation, prepare
from upbringing.measure.asking import share
from upbringing.measure.questions import spoken
from upbringing.measure.readings import LOGPROB
from upbringing.measure.scribe import Scribe
from upbringing.measure.statistics import FloatArray, ProbeKey

if TYPE_CHECKING:
    from upbringing.models import LM

Name = tuple[str, str]  # a provocation and a trait
NO_NUMBER = "the model gives no probability (NaN)"


class Sheet:
    """The questions to one model. They lie in rounds: one situation of each trait a round, of families in turn.

    ``questions``, ``keys`` (trait, family, probe), ``names`` (provocation, trait) and ``round`` go by the question's
    number, which is also its place in ``before`` (its value at the start: a rate, NaN where it was not asked).
    """

    def __init__(
        self,
        lm: LM,
        *,
        traits: Sequence[str],
        rounds: int,
        provocations: Sequence[Provocation] = (),
        seed: int = 0,
        batch_tokens: int | None = None,
    ) -> None:
        self.lm, self.seed, self.batch_tokens = lm, seed, batch_tokens
        self.questions = prepare(
            lm, traits=traits, probes_per_trait=rounds, provocations=provocations, seed=seed, held_out=True
        )
        probes = [question.probe for question in self.questions]
        self.keys: list[ProbeKey] = [(p.trait, p.family, p.id) for p in probes]
        self.names: list[Name] = [(q.provocation, q.probe.trait) for q in self.questions]
        self.round = _rounds(self.names, [key[1] for key in self.keys])
        self.before: FloatArray = np.full(len(self.questions), np.nan)
        self._start: dict[int, np.ndarray] = {}  # log-probabilities of all choices

    def numbers(self, rounds: range, name: Name | None = None) -> list[int]:
        """The questions of some rounds; ``name``: of one trait under one provocation."""
        wanted = [i for i, place in enumerate(self.round) if place in rounds]
        return wanted if name is None else [i for i in wanted if self.names[i] == name]

    def tokens(self, numbers: Sequence[int], wordings: int | None = None) -> int:
        """Tokens that the model reads to answer these questions."""
        asked = [self.questions[i] for i in numbers]
        return sum(len(q.prompt) + sum(map(len, _offered(q.choices, q.shows, wordings))) for q in asked)

    def begin(self, numbers: Sequence[int]) -> Profile:
        """Ask for the first time, offering every wording: the values that changes are counted from."""
        scribe = Scribe(self.lm.name or "a model in memory", self.seed, "", "", spoken(self.lm))
        scored = self._scored(numbers, {i: self.questions[i].choices for i in numbers})
        readings = []
        for i in numbers:
            question, missing = self.questions[i], self.questions[i].unscored
            if not missing:
                self._start[i] = scored[i]
                self.before[i] = share(scored[i], question) if not np.isnan(scored[i]).any() else np.nan
                missing = "" if np.isfinite(self.before[i]) else NO_NUMBER
            readings.append(scribe.reading(question, LOGPROB, value=float(self.before[i]), missing=missing))
        return Profile.of(readings)

    def again(self, numbers: Sequence[int], wordings: int | None) -> FloatArray:
        """Ask again, offering the likeliest ``wordings`` of each side: values [numbers]; NaN where there is none."""
        asked = [i for i in numbers if i in self._start]
        kept = {i: _likeliest(self._start[i], self.questions[i].shows, wordings) for i in asked}
        offered = {i: [self.questions[i].choices[j] for j in kept[i]] for i in asked}
        scored = self._scored(asked, offered)
        values = np.full(len(numbers), np.nan)
        for place, i in enumerate(numbers):
            if i in scored and not np.isnan(scored[i]).any():
                question = self.questions[i]
                values[place] = share(_moved(self._start[i], kept[i], scored[i], question.shows), question)
        return values

    def _scored(self, numbers: Sequence[int], offered: Mapping[int, Sequence[list[int]]]) -> dict[int, np.ndarray]:
        from upbringing.models import score_choices

        ready = [i for i in numbers if not self.questions[i].unscored]
        prompts = [self.questions[i].prompt for i in ready]
        found = score_choices(self.lm, prompts, [offered[i] for i in ready], batch_tokens=self.batch_tokens)
        return dict(zip(ready, found, strict=True))


def _rounds(names: Sequence[Name], families: Sequence[str]) -> list[int]:
    """In which round each question is asked: the first of each family first, then the second of each."""
    places: dict[tuple[Name, str], int] = {}
    queues: dict[Name, list[tuple[int, int, int]]] = {}
    orders: dict[Name, list[str]] = {}
    for i, (name, family) in enumerate(zip(names, families, strict=True)):
        order = orders.setdefault(name, [])
        if family not in order:
            order.append(family)
        place = places[name, family] = places.get((name, family), -1) + 1
        queues.setdefault(name, []).append((place, order.index(family), i))
    rounds = [0] * len(names)
    for queue in queues.values():
        for place, (_, _, i) in enumerate(sorted(queue)):
            rounds[i] = place
    return rounds


def _offered(choices: Sequence[list[int]], shows: int, wordings: int | None) -> list[list[int]]:
    """As many choices as a look offers; which of them is known only once all were asked."""
    return list(choices) if wordings is None else [*choices[:shows][:wordings], *choices[shows:][:wordings]]


def _likeliest(start: np.ndarray, shows: int, wordings: int | None) -> list[int]:
    """Numbers of the likeliest choices of each side."""
    sides = np.arange(shows), np.arange(shows, len(start))
    return [int(j) for side in sides for j in side[np.argsort(-start[side], kind="stable")[:wordings]]]


def _moved(start: np.ndarray, kept: Sequence[int], now: np.ndarray, shows: int) -> np.ndarray:
    """Log-probabilities of all choices, where those that were not offered moved as those of their side that were."""
    moved = start.copy()
    at = np.asarray(kept)
    for side, mine in ((slice(0, shows), at < shows), (slice(shows, None), at >= shows)):
        if mine.any():
            with np.errstate(invalid="ignore"):  # what was impossible and still is has not moved
                step = np.logaddexp.reduce(now[mine]) - np.logaddexp.reduce(start[at[mine]])
            moved[side] += step if np.isfinite(step) else 0.0
    moved[at] = now
    return moved


__all__ = ["Name", "Sheet"]
