"""A log of Inspect as readings: of our tasks, or of any task whose scores can be read as a rate.

>>> profile_of_log("runs/measure/gpt-4o/2026-….eval").table("sampled")        # doctest: +SKIP
>>> profile_of_log("after.eval") - profile_of_log("before.eval")              # doctest: +SKIP

One reading for each sample and epoch. A sample that failed, was refused, or was never reached is missing, with the
reason; one that ran into a limit is what its scorer says of it as far as it goes, and its reading names the limit.
Inspect is imported when a log is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from json import dumps
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.hosted import ENDINGS, need_inspect
from upbringing.measure.profile import Profile
from upbringing.measure.readings import CUT, NO_ANSWER, NOT_SCORED, REST, SAMPLED, Reading
from upbringing.models.hosted import cut_by, line_of, why_unfit, writable

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.scorer import Score

NOT_REACHED = "not reached: go on with inspect eval-retry"
_GRADES = {"c": 1.0, "i": 0.0, "p": 0.5, "yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
_STOPPED = ("CancelledError(", "Cancelled(")  # a sample that ended because the eval did
_UNUSED = {"events", "store", "attachments", "timelines"}  # what makes logs large


def profile_of_log(
    log: str | Path | EvalLog | Sequence[EvalLog],
    *,
    scorer: str = "",
    scale: tuple[float, float] = (0.0, 1.0),
    base: str = "",
    arm: str = "",
) -> Profile:
    """The profile that a log holds: a file, a folder of logs (of runs that asked the same, the latest), or logs in
    memory.

    Our tasks give their traits, by their probes. Of any other task the name is the trait and each sample a probe; with
    scores of several keys, ``task.key``. There a score of C, yes or true is 1, I, no or false 0, P 0.5, and a number is
    itself.

    Args:
        scorer: whose scores are read; default: ours, else the first.
        scale: the numbers that stand for 0 and 1 in another task's scores: ``(1, 10)`` for marks from 1 to 10.
        base, arm: as for :func:`upbringing.measure.measure`.

    Raises:
        InputError: no such file, no log of Inspect, a log without scores, logs of several models or with readings of
            the same probes, or a scorer that there is not.
    """
    found = _read(log) if isinstance(log, str | Path) else [log] if not isinstance(log, Sequence) else list(log)
    if len(models := sorted({one.eval.model for one in found})) > 1:
        raise InputError(f"{_named(log)}: logs of several models ({', '.join(models)}); give those of one")
    if not scale[0] != scale[1]:
        raise InputError(f"scale {scale}: its ends are the same; give what stands for 0 and what for 1")
    readings = [reading for one in found for reading in _readings(one, scorer, scale, base, arm)]
    if not readings:
        raise InputError(f"{_named(log)}: no sample is in it; run the eval again, without --no-log-samples")
    try:
        return Profile.of(readings)
    except InputError as error:
        raise InputError(f"{_named(log)}: {error}") from None


def _named(log: Any) -> str:
    return str(log) if isinstance(log, str | Path) else "the log"


def _read(place: str | Path) -> list[EvalLog]:
    need_inspect(f"reading {place}")
    from inspect_ai.log import read_eval_log

    path = Path(place)
    if not path.exists():
        raise InputError(f"{place}: there is no such file; give a log of Inspect (.eval or .json), or a folder of them")
    files = sorted(f for f in path.iterdir() if f.suffix in ENDINGS) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{place}: no log of Inspect (.eval or .json) is in this folder")
    logs = []
    for file in files:
        try:
            logs.append(read_eval_log(str(file), exclude_fields=_UNUSED))
        except Exception as error:  # a torn zip, JSON of another kind: each has its own
            raise InputError(f"{file}: cannot be read as a log of Inspect ({line_of(error)})") from None
    return _latest(logs)


def _latest(logs: Sequence[EvalLog]) -> list[EvalLog]:
    """Of runs that asked one model the same, the last: be it a retry, which has the id of what it goes on with, or a
    new run, which has one of its own."""
    found: dict[str, EvalLog] = {}
    same: dict[str, str] = {}
    for log in sorted(logs, key=lambda log: str(log.eval.created)):
        found[same.setdefault(log.eval.task_id, _asked(log))] = log
    return list(found.values())


def _asked(log: EvalLog) -> str:
    """All that decides what a run asks of whom."""
    told = log.eval
    who = [told.model, told.model_base_url, told.model_args]
    what = [told.task, told.task_file, told.task_args, told.dataset.name, told.solver, told.solver_args, told.metadata]
    return dumps([who, what], sort_keys=True, default=str)


def _readings(log: EvalLog, scorer: str, scale: tuple[float, float], base: str, arm: str) -> Iterator[Reading]:
    """In the order of the data set, epoch by epoch, with those that were not reached."""
    ours = not scorer and _is_ours(log)
    name = _scorer(log, scorer, ours)
    samples = {(sample.id, sample.epoch): sample for sample in log.samples or []}
    planned = list(log.eval.dataset.sample_ids or dict.fromkeys(sample.id for sample in log.samples or []))
    shared: dict[str, Any] = {"model": log.eval.model, "base": base, "arm": arm, "way": SAMPLED, "seed": _seed(log)}
    for epoch in range(1, (log.eval.config.epochs or 1) + 1):
        for id in planned if log.samples is not None else []:
            sample = samples.get((id, epoch))
            about = {**shared, **_about(log, id, sample, ours), "sample": epoch - 1}
            yield from [Reading(**about, missing=NOT_REACHED)] if sample is None else _of(sample, name, scale, about)


def _is_ours(log: EvalLog) -> bool:
    from upbringing.hosted.scoring import CHARACTER

    return CHARACTER in [_bare(one.name) for one in log.eval.scorers or []]


def _scorer(log: EvalLog, wanted: str, ours: bool) -> str:
    from upbringing.hosted.scoring import CHARACTER

    if ours:
        return CHARACTER
    scored = [name for sample in log.samples or [] for name in sample.scores or {}]
    known = list(dict.fromkeys([*(_bare(one.name) for one in log.eval.scorers or []), *scored]))
    if wanted and wanted not in known:
        raise InputError(f'{log.location}: no scorer "{wanted}"; it has {", ".join(known) or "none"}')
    if not known:
        raise InputError(f"{log.location}: nothing in it is scored; run inspect score on it, with a scorer")
    return wanted or known[0]


def _bare(name: str) -> str:
    """The name of a thing of Inspect's without that of its package."""
    return name.rpartition("/")[2]


def _seed(log: EvalLog) -> int:
    found = log.eval.task_args.get("seed", log.plan.config.seed)
    return found if isinstance(found, int) else 0


def _about(log: EvalLog, id: int | str, sample: EvalSample | None, ours: bool) -> dict[str, str]:
    """Which probe of which trait a sample is."""
    told = sample.metadata if sample is not None else {}
    family = told.get("family", "")
    if not ours:
        known = family if isinstance(family, str) else ""
        return {"trait": _bare(log.eval.task), "family": known, "probe": str(id), "provocation": REST}
    about = log.eval.metadata or {}
    trait, named, *_ = [*str(id).split("/"), ""]
    return {
        "trait": str(told.get("trait", trait)),
        "family": str(family or named),
        "probe": str(id),
        "provocation": str(about.get("provocation", REST)),
        "language": str(told.get("language", about.get("language", ""))),
    }


def _of(sample: EvalSample, scorer: str, scale: tuple[float, float], about: dict[str, Any]) -> Iterator[Reading]:
    """A reading, or one for each key of the score."""
    from upbringing.hosted.scoring import reason_of

    score = (sample.scores or {}).get(scorer)
    told = (score.metadata or {}) if score is not None else {}
    about |= {
        "prompt": writable(_prompt(sample)),
        "answer": writable(str((score.answer if score is not None else None) or sample.output.completion)),
        "judge": str(told.get("judge", "")),
        "rubric": str(told.get("rubric", "")),
        "cut": f"{sample.limit.type} limit" if sample.limit is not None else cut_by(sample.output),
    }
    why = _why_missing(sample, score, about["cut"])
    if why or score is None:
        judged = score is not None and why == reason_of(score)  # else what a judge may have said counts no more
        yield Reading(**{**about, **({} if judged else {"judge": "", "rubric": ""})}, missing=why)
    elif isinstance(score.value, dict):
        for key, value in score.value.items():
            number, why = _number(value, scale)
            yield Reading(**{**about, "trait": f"{about['trait']}.{key}"}, value=number, missing=why)
    else:
        number, why = _number(score.value, scale)
        yield Reading(**about, value=number, missing=why)


def _why_missing(sample: EvalSample, score: Score | None, cut: str) -> str:
    from upbringing.hosted.scoring import reason_of

    if sample.invalidation is not None:
        return "invalidated"
    if sample.error is not None:
        told = " ".join(sample.error.message.split())[:200]
        return NOT_REACHED if told.startswith(_STOPPED) else f"error: {told}"
    if unfit := why_unfit(sample.output):
        return unfit
    if score is not None:
        return reason_of(score)
    return f"{CUT}: {cut}" if cut else NOT_SCORED


def _number(value: Any, scale: tuple[float, float]) -> tuple[float, str]:
    """A score as a number from 0 to 1, or why it is none."""
    if isinstance(value, str):
        if value.strip().lower() in _GRADES:
            return _GRADES[value.strip().lower()], ""
        if value.strip().upper() == "N":
            return nan, NO_ANSWER
    try:
        number = (float(value) - scale[0]) / (scale[1] - scale[0])
    except (TypeError, ValueError):
        return nan, f"the score is no number: {' '.join(str(value).split())[:40]}"
    if not isfinite(number):
        return nan, "unscored"
    return (number, "") if 0 <= number <= 1 else (nan, f"the score lies outside {scale[0]:g} to {scale[1]:g}")


def _prompt(sample: EvalSample) -> str:
    if isinstance(sample.input, str):
        return sample.input
    return "\n".join(m.text if m.role == "user" else f"[{m.role}] {m.text}" for m in sample.input)


__all__ = ["NOT_REACHED", "profile_of_log"]
