"""What an answer to a probe does, as a score of Inspect; and what could not be said, counted.

A score is 1 where the trait shows and 0 where it is avoided. All else (a refusal, nonsense, a judge that failed) is
unscored, with the reason: it enters no rate. An answer that was cut off is judged as far as it goes, as ``measure``
does, and counted as such. This module imports Inspect.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from math import isnan, nan
from typing import Any

import anyio.to_thread
from inspect_ai.model import get_model, model_roles
from inspect_ai.scorer import (
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    Value,
    frequency,
    metric,
    scorer,
    stderr,
)
from inspect_ai.solver import TaskState

from upbringing.errors import InputError
from upbringing.measure import statistics
from upbringing.measure.judging import HostedJudge, Judge, Rubrics, Verdict
from upbringing.measure.judging.naming import judge_by, reached
from upbringing.measure.judging.verdict import failure
from upbringing.measure.questions import Question
from upbringing.measure.readings import CUT, NO_ANSWER, NOT_JUDGED
from upbringing.measure.tables import cells_of
from upbringing.models.hosted import PREFIX, HostedLM, cut_by, why_unfit
from upbringing.rows import Message
from upbringing.traits import Probe

GRADER = "grader"  # the role in which Inspect has a model judge
NO_JUDGE = "none"
JUDGED = "judged"
JUDGED_CUT = f"{JUDGED}, though {CUT}"
CHARACTER = "character"  # the scorer's name, by which logs of ours are known

_one_at_a_time = threading.Lock()  # a model on this machine is read by one thread


@metric
def rates() -> Metric:
    """Of each trait the share of probes that show it (their epochs averaged), Inspect's standard error clustered by
    family, and this package's 95% interval over families and probes, which is no point where nothing was seen."""

    def of_scores(scores: list[SampleScore]) -> Value:
        by_trait: dict[str, list[SampleScore]] = {}
        for score in scores:
            by_trait.setdefault(str((score.sample_metadata or {}).get("trait", "")), []).append(score)
        if len(by_trait) <= 1:
            return _rate(scores)
        of_each = [_rate(of_trait, f"{trait} ") for trait, of_trait in by_trait.items()]
        return {**_rate(scores), **{name: value for one in of_each for name, value in one.items()}}

    return of_scores


def _rate(scores: Sequence[SampleScore], prefix: str = "") -> dict[str, Any]:
    import pandas as pd

    if not scores:
        return dict.fromkeys((f"{prefix}rate", f"{prefix}stderr", f"{prefix}lo", f"{prefix}hi"), nan)
    probes = [{**(s.sample_metadata or {}), "probe": str(s.sample_id), "value": s.score.as_float()} for s in scores]
    frame = pd.DataFrame(probes)[["trait", "family", "probe", "value"]].assign(base="")
    found = statistics.mean(cells_of(frame))
    error: Any = stderr(cluster="family")
    return {
        f"{prefix}rate": found.value,
        f"{prefix}stderr": error(list(scores)),
        f"{prefix}lo": found.lo,
        f"{prefix}hi": found.hi,
    }


@scorer(metrics=[rates()], name=CHARACTER)
def character(judge: str = "") -> Scorer:
    """1 where the answer shows the trait, 0 where it avoids it, unscored with the reason where neither can be said.

    ``judge``: a name that :func:`judge_named` knows, or "none"; default: the model in the role ``grader``.
    """

    async def score(state: TaskState, target: Target) -> Score:
        del target
        question = _question(state)
        text = state.output.completion
        unfit = why_unfit(state.output) or ("" if text.strip() else NO_ANSWER)
        said = (
            Verdict(unfit) if unfit else await _verdict(judge, question.probe, question.judged(text), _rubrics(state))
        )
        return _score(said, question.whole(text), cut_by(state.output))

    return score


@scorer(metrics=[frequency(normalize=False)], name="unjudged")
def unjudged() -> Scorer:
    """Counts, over samples and epochs, what was judged (apart: what was cut off and judged all the same), and the
    reasons why the rest was not."""

    async def score(state: TaskState, target: Target) -> Score | None:
        del target
        found = (state.scores or {}).get(CHARACTER)
        if found is None:
            return None
        why = reason_of(found)
        judged = JUDGED_CUT if (found.metadata or {}).get("cut") else JUDGED
        return Score(value=why.partition(":")[0] or judged, explanation=why or None)

    return score


def reason_of(score: Score) -> str:
    """Why a score is none; "" where it is one."""
    if not isinstance(score.value, float) or not isnan(score.value):
        return ""
    given = (score.metadata or {}).get("unscored_reason") or getattr(score, "reason", None) or score.explanation
    return " ".join(str(given or "unscored").split())


def _score(verdict: Verdict, answer: str, cut: str) -> Score:
    told = {"judge": verdict.judge, "rubric": verdict.rubric, "outcome": verdict.outcome, "cut": cut}
    if verdict.value is not None:
        return Score(value=verdict.value, answer=answer, explanation=verdict.detail or verdict.outcome, metadata=told)
    said = f"{verdict.outcome}\n{verdict.detail}".strip()
    return Score(
        value=nan, answer=answer, explanation=said, metadata={**told, "unscored_reason": verdict.outcome or "unscored"}
    )


def _question(state: TaskState) -> Question:
    """The probe as it was asked, from what the sample says of itself; the trait's folder need not be there."""
    about = state.metadata
    messages = tuple(Message(turn["role"], turn["content"]) for turn in about["situation"])
    probe = Probe(
        trait=about["trait"],
        family=about["family"],
        id=str(state.sample_id),
        messages=messages,
        shows=tuple(about["shows"]),
        avoids=tuple(about["avoids"]),
    )
    return Question(probe, about["provocation"], messages, about["prefill"], [], (), 0)


def _rubrics(state: TaskState) -> Rubrics:
    """The rubric of a sample's trait, as its task had it; logs of earlier versions name the trait alone."""
    trait, text = state.metadata["trait"], state.metadata.get("rubric_text")
    return Rubrics(((trait, text),)) if text else Rubrics.of([trait])


async def _verdict(judge: str, probe: Probe, answer: str, rubrics: Rubrics) -> Verdict:
    if judge == NO_JUDGE:
        return Verdict(f"{NOT_JUDGED} yet")
    try:
        if not judge:
            return await _graded(probe, answer, rubrics)
        named = by_name(judge, rubrics)
        return await anyio.to_thread.run_sync(_judged, named, probe, answer)
    except InputError:
        raise
    except Exception as error:  # whatever a judge raises, one reading is missing and the others are not
        return Verdict(failure(error))


async def _graded(probe: Probe, answer: str, rubrics: Rubrics) -> Verdict:
    """Judged by the model in the role of grader: never by the model that is judged, which nobody may be by default."""
    if GRADER not in model_roles():
        return Verdict(failure(f"no model has the role {GRADER}"))
    judge = HostedJudge(HostedLM.of(get_model(role=GRADER)), rubrics)
    return await judge.ask(probe.trait, (probe, answer))


def _judged(judge: Judge, probe: Probe, answer: str) -> Verdict:
    if judge.name.startswith(PREFIX):
        return judge.judge_all([(probe, answer)])[0]
    with _one_at_a_time:
        return judge.judge_all([(probe, answer)])[0]


@lru_cache(maxsize=32)
def by_name(judge: str, rubrics: Rubrics) -> Judge:
    """A judge by its name (see :func:`upbringing.measure.judging.judge_named`). Its model is loaded once, for whatever
    rubrics."""
    return judge_by(judge, _model_of(judge), rubrics)


@lru_cache(maxsize=2)
def _model_of(judge: str) -> Any:
    return reached(judge)


__all__ = [
    "CHARACTER",
    "CUT",
    "GRADER",
    "JUDGED",
    "JUDGED_CUT",
    "NO_JUDGE",
    "by_name",
    "character",
    "rates",
    "reason_of",
    "unjudged",
]
