"""Writing down what a model said and what a judge makes of it, the same for every kind of model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from upbringing.measure.judging.verdict import Judge, Verdict
from upbringing.measure.questions import Question
from upbringing.measure.readings import NO_ANSWER, SAMPLED, Reading
from upbringing.traits.plain import Language


@dataclass(frozen=True)
class Spoken:
    """Answer number ``sample`` to a question, or in ``missing`` why there is none. ``model``: who answered, where that
    is known more exactly than by the name the model was asked by. ``cut``: the limit that the answer ran into."""

    question: Question
    sample: int
    text: str
    missing: str = ""
    model: str = ""
    cut: str = ""

    @property
    def why(self) -> str:
        """Why there is nothing to judge; "" where there is."""
        return self.missing or ("" if self.text.strip() else NO_ANSWER)


class Scribe:
    """Keeps the names that all readings of one model share."""

    def __init__(self, model: str, seed: int, base: str, arm: str, language: Language) -> None:
        self.seed = seed
        self.names: dict[str, Any] = {"model": model, "base": base, "arm": arm, "language": language}

    def judged(self, judge: Judge, said: Sequence[Spoken]) -> list[Reading]:
        """A reading of every answer, judged all at once."""
        asked = [(one.question.probe, one.question.judged(one.text)) for one in said if not one.why]
        verdicts = iter(judge.judge_all(asked) if asked else [])
        return [self._of_answer(one, Verdict(one.why) if one.why else next(verdicts)) for one in said]

    def _of_answer(self, one: Spoken, verdict: Verdict) -> Reading:
        return self.reading(
            one.question,
            SAMPLED,
            sample=one.sample,
            value=nan if verdict.value is None else verdict.value,
            missing="" if verdict.value is not None else verdict.outcome,
            prompt=one.question.text,
            answer="" if one.missing else one.question.whole(one.text),
            judge=verdict.judge,
            rubric=verdict.rubric,
            cut=one.cut,
            model=one.model or self.names["model"],
        )

    def reading(self, question: Question, way: str, **values: Any) -> Reading:
        """One reading of a question."""
        probe = question.probe
        told = {
            "trait": probe.trait,
            "family": probe.family,
            "probe": probe.id,
            "provocation": question.provocation,
            "way": way,
            "sample": 0,
            "seed": self.seed,
        }
        return Reading(**{**self.names, **told, **values})


__all__ = ["Scribe", "Spoken"]
