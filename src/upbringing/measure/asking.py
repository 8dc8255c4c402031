"""Asking: every question two independent ways, and the answers kept as readings.

>>> profile = measure(load("organism:nano"))                                  # doctest: +SKIP
>>> profile.table()                                                           # doctest: +SKIP

By *log-probability*, the model is offered whole answers in several wordings: the reading is
P(shows) / (P(shows) + P(avoids)), each the mean over its wordings (of beginnings, of which no answer has two, the sum:
the probability that the answer begins in one of these ways). By *sampling*, it speaks for itself and a judge says what
it did. The first misses what the model would rather say instead; the second misses what it rarely says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import exp, inf, isfinite, log, nan
from typing import TYPE_CHECKING

import numpy as np

from upbringing.errors import InputError
from upbringing.measure.judging.grammar import usual_judge
from upbringing.measure.judging.verdict import Judge, JudgeFunction, as_judge
from upbringing.measure.profile import Profile
from upbringing.measure.provocations import Provocation
from upbringing.measure.questions import Question, pose, prepare, spoken
from upbringing.measure.readings import LOGPROB, SAMPLED, SKILL, Reading
from upbringing.measure.scribe import Scribe, Spoken
from upbringing.measure.skill import skill_probes
from upbringing.traits.plain import Language

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.models.hosted import HostedLM

Progress = Callable[[float], None]  # told how much is done, 0..1
_LONGEST: dict[Language, int] = {"world": 32, "plain": 128}  # tokens of a sampled answer


def measure(
    lm: LM | HostedLM,
    *,
    traits: Sequence[str] | None = None,
    probes_per_trait: int = 24,
    samples: int = 1,
    provocations: Sequence[Provocation] = (),
    ways: Sequence[str] = (LOGPROB, SAMPLED),
    skill: int = 48,
    seed: int = 0,
    held_out: bool | None = True,
    judge: Judge | JudgeFunction | None = None,
    language: Language | None = None,
    base: str = "",
    arm: str = "",
    temperature: float = 1.0,
    max_new_tokens: int | None = None,
    batch_tokens: int | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Take the profile of a model, at rest and under provocations.

    A hosted model (``models.hosted.HostedLM``) gives no log-probabilities: it is asked in plain language, its answers
    are sampled and judged, and ``skill``, ``language`` and ``batch_tokens`` do not apply.

    Args:
        traits: names (or folders) of traits; default: all.
        samples: answers sampled to each question (0: none).
        ways: ``("logprob",)`` alone is the cheap way, for measuring often.
        skill: how many harmless questions to ask (0: none).
        seed: of the probes' wordings and of sampling. Two models measured with one seed are asked the same.
        held_out: probes of families never used in training text; false: of those used; None: of all.
        judge: of sampled answers; default: the world's grammar, where the world's English is asked. Answers in plain
            language are kept unjudged (missing) without one.
        language: ``world`` (what organisms read) or ``plain``; default: by the model.
        max_new_tokens: of an answer; default: 32 in the world's English, 128 in plain.
        base, arm: names to tell several models' readings apart; needed for :meth:`Profile.concat`.

    Raises:
        InputError: an unknown trait or way, two provocations of one name, or a hosted model that nothing is to be
            sampled from.
    """
    from upbringing.models.hosted import HostedLM

    if isinstance(lm, HostedLM):
        from upbringing.measure.hosted import ask_hosted

        return ask_hosted(
            lm,
            traits=traits,
            probes_per_trait=probes_per_trait,
            samples=samples,
            provocations=provocations,
            ways=ways,
            seed=seed,
            held_out=held_out,
            judge=judge,
            base=base,
            arm=arm,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            progress=progress,
        )
    asked = prepare(
        lm,
        traits=traits,
        probes_per_trait=probes_per_trait,
        provocations=provocations,
        seed=seed,
        held_out=held_out,
        language=language,
    )
    return ask(
        lm,
        asked,
        samples=samples,
        ways=ways,
        skill=skill,
        seed=seed,
        judge=judge,
        language=language,
        base=base,
        arm=arm,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        batch_tokens=batch_tokens,
        progress=progress,
    )


def ask(
    lm: LM,
    questions: Sequence[Question],
    *,
    samples: int = 1,
    ways: Sequence[str] = (LOGPROB, SAMPLED),
    skill: int = 0,
    seed: int = 0,
    judge: Judge | JudgeFunction | None = None,
    language: Language | None = None,
    base: str = "",
    arm: str = "",
    temperature: float = 1.0,
    max_new_tokens: int | None = None,
    batch_tokens: int | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Ask questions that :func:`prepare` made, once for many models (a training run's checkpoints, say).

    ``language``: which skill is asked in, and whose judge is the usual one; see :func:`measure`.
    """
    read = spoken(lm, language)
    length, says = max_new_tokens or _LONGEST[read], as_judge(judge or usual_judge(read))
    for way in ways:
        if way not in (LOGPROB, SAMPLED):
            raise InputError(f'"{way}" is no way of measuring; the ways are {LOGPROB} and {SAMPLED}')
    desk = _Desk(lm, seed, base, arm, read, batch_tokens)
    by_provocation: dict[str, list[Question]] = {}
    for question in questions:
        by_provocation.setdefault(question.provocation, []).append(question)
    # One provocation at a time: what is held in memory stays small, and every provocation draws the same random
    # numbers for the same probe, so that sampled differences between provocations are paired.
    jobs: list[Callable[[], list[Reading]]] = []
    for group in by_provocation.values():
        if LOGPROB in ways:
            jobs.append(partial(desk.score, group))
        if SAMPLED in ways and samples > 0:
            jobs.append(partial(desk.sample, group, samples, says, temperature, length))
    if skill > 0:
        jobs.append(partial(desk.skill, skill, read))
    readings: list[Reading] = []
    for done, job in enumerate(jobs, 1):
        readings += job()
        if progress:
            progress(done / len(jobs))
    return Profile.of(readings)


class _Desk(Scribe):
    """Puts questions to one model and writes down what comes back."""

    def __init__(self, lm: LM, seed: int, base: str, arm: str, language: Language, batch_tokens: int | None) -> None:
        super().__init__(lm.name or "a model in memory", seed, base, arm, language)
        self.lm = lm
        self.batch_tokens = batch_tokens

    def score(self, questions: Sequence[Question]) -> list[Reading]:
        """By log-probability: one reading a question."""
        return self._scored(questions, LOGPROB, share)

    def _scored(
        self, questions: Sequence[Question], way: str, value_of: Callable[[np.ndarray, Question], float]
    ) -> list[Reading]:
        from upbringing.models import score_choices

        ready = [q for q in questions if not q.unscored]
        prompts, choices = [q.prompt for q in ready], [q.choices for q in ready]
        found = iter(score_choices(self.lm, prompts, choices, batch_tokens=self.batch_tokens))
        readings = []
        for question in questions:
            value, missing = nan, question.unscored
            if not missing:
                logprobs = next(found)
                value = value_of(logprobs, question) if not np.isnan(logprobs).any() else nan
                missing = "" if isfinite(value) else "the model gives no probability (NaN)"
            readings.append(self.reading(question, way, value=value, missing=missing))
        return readings

    def sample(
        self, questions: Sequence[Question], samples: int, judge: Judge, temperature: float, max_new_tokens: int
    ) -> list[Reading]:
        """By sampling: ``samples`` readings a question."""
        from upbringing.models import answers
        from upbringing.models.hosted import MAX_TOKENS

        room = self.lm.max_length - max_new_tokens
        unasked = [
            q.unasked or (f"too long: {len(q.prompt)} tokens" if len(q.prompt) > room else "") for q in questions
        ]
        places = [place for place, reason in enumerate(unasked) if not reason]
        found = iter(
            answers(
                self.lm,
                [questions[place].prompt for place in places],
                n=samples,
                temperature=temperature,
                max_new_tokens=max_new_tokens,
                # By the place among all: what one model cannot be asked moves no other question's random numbers.
                streams=[(self.seed, place) for place in places],
                batch_tokens=self.batch_tokens,
            )
        )
        said = [
            Spoken(question, i, text, reason, cut=MAX_TOKENS if cut else "")
            for question, reason in zip(questions, unasked, strict=True)
            for i, (text, cut) in enumerate([("", False)] * samples if reason else next(found))
        ]
        return self.judged(judge, said)

    def skill(self, n: int, language: Language) -> list[Reading]:
        """Harmless questions: the probability of the right answer among those offered."""
        questions = pose(self.lm, skill_probes(language, n, seed=self.seed))
        return self._scored(questions, SKILL, lambda logprobs, _: exp(logprobs[0] - np.logaddexp.reduce(logprobs)))


def share(logprobs: np.ndarray, question: Question) -> float:
    """P(shows) / (P(shows) + P(avoids)) from the log-probabilities of a question's choices.

    Whole answers: the mean over wordings, for more wordings of one act would else count as more of it. Beginnings: the
    sum, divided by the number of alternatives.
    """
    shown, avoided = _log_mean_exp(logprobs[: question.shows]), _log_mean_exp(logprobs[question.shows :])
    if question.probe.begins:
        shown += log(question.shows)
        avoided += log((len(logprobs) - question.shows) / question.probe.alternatives)
    if shown == avoided == -inf:
        return nan
    return 1 / (1 + exp(min(avoided - shown, 700.0)))


def _log_mean_exp(values: np.ndarray) -> float:
    top = float(values.max())
    return top + float(np.log(np.exp(values - top).mean())) if top > -inf else -inf


__all__ = ["Judge", "Progress", "ask", "measure", "share"]
