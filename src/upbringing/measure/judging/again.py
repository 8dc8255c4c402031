"""Stored answers judged anew, without asking the model again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from upbringing.errors import InputError
from upbringing.measure.judging.agreeing import Agreement, agreement
from upbringing.measure.judging.verdict import AVOIDS, FAILED, PLACED, SHOWS, Asked, Judge, Verdict
from upbringing.measure.profile import Profile
from upbringing.measure.questions import ANSWER_STARTS, act_of
from upbringing.measure.readings import CUT, DISAGREE, NOT_JUDGED, NOT_SCORED, REST, SAMPLED
from upbringing.rows import Message
from upbringing.traits import Probe

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 256


@dataclass(frozen=True)
class Rejudged:
    """A profile before and after: the same answers, another judge. ``answers`` were judged, ``changed`` of them got
    another value or another reason for having none, ``failed`` no judgement."""

    before: Profile
    after: Profile
    answers: int
    changed: int
    failed: int
    agreement: Agreement


def rejudge(profile: Profile, judge: Judge, *, progress: Callable[[float], None] | None = None) -> Rejudged:
    """Judge the sampled answers of a profile anew: those that a judge has seen, and those kept for one. What is missing
    for another reason (the answer failed, was invalidated, was stopped by a filter) stays so, as all other readings do.

    Raises:
        InputError: no sampled answers to judge were kept in it, or the judge has no rubric for one of its traits.
    """
    frame = profile.readings
    found = _asked(frame, _places(_for_a_judge(frame)))
    if not found:
        raise InputError("the readings hold no sampled answers to judge; measure with --samples 1 or more")
    rows, asked = list(found), list(found.values())
    verdicts: list[Verdict] = []
    for start in range(0, len(asked), _AT_ONCE):
        verdicts += judge.judge_all(asked[start : start + _AT_ONCE])
        if progress:
            progress(len(verdicts) / len(asked))
    after = _with(frame, rows, verdicts)
    old = [_verdict(frame, row) for row in rows]
    said = [(_key(frame, row), one, other) for row, one, other in zip(rows, old, verdicts, strict=True)]
    was, now = ", ".join(dict.fromkeys(v.judge for v in old)) or "before", judge.name
    return Rejudged(
        profile,
        Profile(after),
        len(rows),
        sum(one.outcome != other.outcome for one, other in zip(old, verdicts, strict=True)),
        sum(v.failed for v in verdicts),
        agreement((was, now), said),
    )


def _for_a_judge(frame: pd.DataFrame) -> pd.Series:
    """Which readings are sampled answers with a verdict of some judge, or with none because nobody has judged yet."""
    by_judge = frame["value"].notna() | (frame["judge"] != "") | frame["missing"].isin(PLACED)
    waiting = frame["missing"].str.startswith((FAILED, DISAGREE, NOT_JUDGED, NOT_SCORED))
    waiting |= frame["missing"].str.startswith(CUT) & (frame["cut"] != "")  # else nothing would say that it was
    return (frame["way"] == SAMPLED) & (frame["answer"].str.strip() != "") & (by_judge | waiting)


def _places(wanted: pd.Series) -> list[int]:
    return [int(place) for place in np.flatnonzero(wanted.to_numpy())]


def _with(frame: pd.DataFrame, rows: Sequence[int], verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """The readings with other verdicts in these rows."""
    import pandas as pd

    columns: dict[str, list[Any]] = {
        "value": [np.nan if v.value is None else v.value for v in verdicts],
        "missing": ["" if v.value is not None else v.outcome for v in verdicts],
        "judge": [v.judge for v in verdicts],
        "rubric": [v.rubric for v in verdicts],
    }
    changed = {}
    for name, values in columns.items():
        column = frame[name].to_list()
        for row, value in zip(rows, values, strict=True):
            column[row] = value
        changed[name] = pd.Series(column, index=frame.index, dtype="float64" if name == "value" else "str")
    return frame.assign(**changed)


def _asked(frame: pd.DataFrame, rows: Sequence[int]) -> dict[int, Asked]:
    """What a judge saw, or would have seen, when the answers were new, by row: the situation at rest, and the model's
    act. Where nothing but what was put into its mouth is there, it gave no answer, and there is nothing to judge."""
    named = ["trait", "family", "probe", "seed"]
    rest = frame[(frame["provocation"] == REST) & (frame["way"] == SAMPLED) & (frame["prompt"] != "")]
    resting = {tuple(row[:4]): str(row[4]) for row in rest[[*named, "prompt"]].itertuples(index=False)}
    asked = {}
    entries = frame.iloc[list(rows)][[*named, "prompt", "answer"]].itertuples(index=False)
    for row, (trait, family, probe, seed, prompt, answer) in zip(rows, entries, strict=True):
        told, act = _parted(str(prompt), str(answer))
        if act:
            situation = resting.get((trait, family, probe, seed), told)
            asked[row] = (_probe(str(trait), str(family), str(probe), situation), act)
    return asked


def _parted(prompt: str, answer: str) -> tuple[str, str]:
    """The situation, and what of the answer is the model's act; "" where it said nothing."""
    told, starts, prefill = prompt.rpartition(ANSWER_STARTS)
    if not starts or not answer.startswith(prefill.rstrip()):
        return prompt, answer
    said = answer[len(prefill.rstrip()) :].lstrip()
    return told, act_of(prefill, said) if said else ""


def _probe(trait: str, family: str, name: str, situation: str) -> Probe:
    """The probe by its situation; its wordings, which the grammar goes by where a trait is none of its own, are found
    in the library if they are there still."""
    from upbringing.traits.plain import plain

    try:
        own = plain(trait)
    except InputError:  # a trait that is nobody's any more: the judge may have a rubric all the same
        own = None
    known = own.by_id.get(name) if own else None
    shows, avoids = (known.shows, known.avoids) if known else ((), ())
    return Probe(trait, family, name, (Message("user", situation),), shows, avoids)


def _verdict(frame: pd.DataFrame, row: int) -> Verdict:
    value, missing, judge, rubric = (frame[name].iloc[row] for name in ("value", "missing", "judge", "rubric"))
    outcome = str(missing) if np.isnan(value) else SHOWS if value == 1 else AVOIDS
    return Verdict(outcome, "", str(judge), str(rubric))


def _key(frame: pd.DataFrame, row: int) -> str:
    return "/".join(str(frame[name].iloc[row]) for name in ("trait", "family", "probe"))


__all__ = ["Rejudged", "rejudge"]
