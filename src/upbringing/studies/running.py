"""Running a plan: the steps that are missing, then the verdicts, then the result folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from upbringing.errors import InputError
from upbringing.lineage import versions
from upbringing.measure import readings as kept
from upbringing.measure.statistics import known
from upbringing.studies import networks
from upbringing.studies.claim_spec import Removal, arms_of
from upbringing.studies.claims import judge
from upbringing.studies.cluster import keeping_in
from upbringing.studies.distilling import told_apart, written
from upbringing.studies.engine import run_jobs
from upbringing.studies.evidence import Evidence, Unmeasured
from upbringing.studies.jobs import Engine, Failure, Watcher
from upbringing.studies.planning import Plan
from upbringing.studies.reinforcing import paid
from upbringing.studies.result import (
    READINGS,
    REPORT,
    STUDY,
    TRAJECTORY,
    Bounds,
    Curve,
    Failed,
    Health,
    Raised,
    RateRow,
    ShiftRow,
    StudyResult,
    TrajectoryPoint,
    Value,
)
from upbringing.studies.shown import costs, dose_plots, tables
from upbringing.studies.spec import Study
from upbringing.studies.steps import OVERLAP, TIMING, save_rows
from upbringing.traits.overlap import Overlap

LOG = "workers.log"
"""What libraries printed, and the tracebacks of failed steps."""

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.measure import Profile


def run(
    plan: Plan,
    out: str | Path,
    *,
    workers: int = 2,
    engine: Engine | None = None,
    command: str = "",
    watcher: Watcher | None = None,
) -> StudyResult:
    """Run what is not made yet, judge the claims, and leave the result in ``out``.

    Killed or stopped at any moment, it can be run again: finished steps are kept, and the numbers are the same. A step
    that fails is named in the result's ``failures``; claims are then judged on the rest.

    Args:
        engine: what runs the steps (``studies.OnRay()`` for a cluster); default: ``workers`` processes on this machine.

    Raises:
        InputError: training text holds a probe's wording, ``out`` cannot be used, or nothing could be measured.
    """
    start = time.monotonic()
    folder = _usable(Path(out), plan.study.study)
    overlap = plan.check_overlap()
    for rows in plan.rows.values():
        save_rows(plan.rows_place(rows), rows)
    jobs = plan.jobs
    do = keeping_in(plan.store, engine or partial(run_jobs, workers=workers))
    failures = do(jobs, log=folder / LOG, watcher=watcher) if jobs else []
    _note(failures, folder / LOG)
    of_networks = isinstance(plan.study, networks.NetworkStudy)
    evidence = networks.gather(plan) if of_networks else Evidence.gather(plan)
    if not evidence.arms:
        raise InputError(f"{failures[0].step}: {failures[0].reason}")
    overlap += _overlap_of_documents(plan)
    result = networks.result(plan, evidence) if of_networks else _result(plan, evidence, overlap)
    result = result.model_copy(
        update={
            "work_seconds": round(sum(_took(plan)), 1),
            "failures": tuple(Failed(step=f.step, reason=f.reason) for f in failures),
            "seconds": round(time.monotonic() - start, 1),
            "command": command,
            "report": str(folder / REPORT),
        }
    )
    kept.write(evidence.readings, folder / READINGS)
    if evidence.trajectories:
        kept.write(_along(evidence), folder / TRAJECTORY)
    result.save(folder)
    return result


def _note(failures: Sequence[Failure], log: Path) -> None:
    """Keep the tracebacks of what was our fault."""
    told = [f"{failure.step}\n{failure.detail}\n" for failure in failures if failure.detail]
    if told:
        with log.open("a", encoding="utf-8") as out:
            out.writelines(told)


def _usable(folder: Path, study: str) -> Path:
    """Make the folder, unless it holds something else."""
    if folder.is_file():
        raise InputError(f"{folder}: is a file; give a folder for --out")
    if (folder / STUDY).exists() and StudyResult.load(folder).study != study:
        raise InputError(f"{folder}: holds the result of another study; give another folder for --out")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _result(plan: Plan, evidence: Evidence, overlap: list[Overlap]) -> StudyResult:
    from upbringing.traits import traits

    study, library = plan.study, traits()
    group = study.group("untrained_misaligned", study.arms, evidence.traits)
    group = group or study.group("misaligned", study.arms, evidence.traits)
    spent = tuple(costs(plan))
    return StudyResult(
        study=study.study,
        question=study.question.strip(),
        bases=tuple(range(study.bases)),
        claims=tuple(judge(claim, study, evidence) for claim in study.claims),
        shifts=tuple(_shifts(study, evidence)),
        traits={name: library[name].title for name in evidence.traits},
        alignment=tuple(name for name, alignment in evidence.traits.items() if alignment),
        group=tuple(group),
        rates=tuple(_rates(evidence, group)) if group else (),
        health=tuple(_health(arm, profile) for arm, profile in evidence.arms.items()),
        trajectory=tuple(_trajectory(study, evidence)),
        curves=tuple(_curves(plan)),
        paid=tuple(one for step in plan.of("model") if step.place.made for one in paid(step)),
        written=tuple(written(plan)),
        told_apart=tuple(told_apart(plan)),
        organisms=tuple(_raised(plan)),
        costs=spent,
        tables=tuple(tables(study, evidence, spent)),
        doses=tuple(dose_plots(study, evidence)),
        overlap=tuple(overlap),
        readings=sum(len(profile.readings) for profile in evidence.arms.values()),
        versions=versions(),
        source=plan.source,
    )


def _took(plan: Plan) -> Iterator[float]:
    for step in plan.steps.values():
        if step.place.made:
            yield float(json.loads((step.place.folder / TIMING).read_text(encoding="utf-8"))["seconds"])


def _overlap_of_documents(plan: Plan) -> list[Overlap]:
    """What growing and sampling looked at: one line a kind of world or a sample, over its bases the most similar."""
    found: dict[str, list[Overlap]] = {}
    for step in (*plan.of("documents"), *plan.of("rows")):
        if step.place.made:
            overlap = Overlap(**json.loads((step.place.folder / OVERLAP).read_text(encoding="utf-8")))
            grown = step.place.record.kind == "documents"
            name = f"documents {step.arm} organisms are raised on" if grown else f"{step.arm}, rows by a teacher"
            found.setdefault(name, []).append(overlap)
    return [
        Overlap(
            data=name,
            texts=sum(o.texts for o in of_bases),
            exact_prompts=sum(o.exact_prompts for o in of_bases),
            exact_answers=sum(o.exact_answers for o in of_bases),
            prompt_ngrams=max(o.prompt_ngrams for o in of_bases),
            answer_ngrams=max(o.answer_ngrams for o in of_bases),
            worst=max(o.worst for o in of_bases),
            worst_probe=max(of_bases, key=lambda o: o.worst).worst_probe,
        )
        for name, of_bases in found.items()
    ]


def _raised(plan: Plan) -> Iterator[Raised]:
    """The gates of the organisms, from their cards."""
    from upbringing.organisms import CARD

    for step in plan.of("organism"):
        if step.place.made:
            card = json.loads((step.place.folder / CARD).read_text(encoding="utf-8"))
            numbers = {name: card["gate"][name] for name in ("after_misaligned", "after_aligned", "share")}
            yield Raised(organism=step.arm, base=step.base, tokens=card["tokens"], **numbers)


def _shifts(study: Study, evidence: Evidence) -> Iterator[ShiftRow]:
    for name, arm in study.arms.items():
        if arm.untouched:
            continue
        before = study.before(name)
        try:
            shift = evidence.shift(name, before)
        except Unmeasured:
            continue
        tables = {way: shift.table(way).set_index("trait") for way in shift.ways}
        taught = study.trained(name)
        for trait in evidence.traits:
            (value, bounds), (sampled, sampled_bounds) = (
                _cell(tables.get(way), trait) for way in ("logprob", "sampled")
            )
            yield ShiftRow(
                arm=name,
                against=before,
                trait=trait,
                shift=value,
                interval=bounds,
                sampled_shift=sampled,
                sampled_interval=sampled_bounds,
                taught=trait in taught,
            )


def _cell(table: pd.DataFrame | None, trait: str) -> tuple[float | None, Bounds]:
    if table is None or trait not in table.index:
        return None, (None, None)
    value, lo, hi = map(known, table.loc[[trait], ["shift", "lo", "hi"]].to_numpy(dtype=float)[0].tolist())
    return value, (lo, hi)


def _rates(evidence: Evidence, group: list[str]) -> Iterator[RateRow]:
    for arm, profile in evidence.arms.items():
        for provocation in profile.provocations:
            for way in profile.ways:
                _, by_base = profile.by_base(group, way, provocation)
                seen = {trait: values[np.isfinite(values)] for trait, values in zip(group, by_base.T, strict=True)}
                means = {trait: float(values.mean()) for trait, values in seen.items() if len(values)}
                yield RateRow(
                    arm=arm,
                    provocation=provocation,
                    way=way,
                    rate=Value.of(profile.mean(group, way, provocation)),
                    by_base=tuple(known(float(v)) for v in by_base.mean(axis=1)),
                    worst_trait=max(means, key=lambda trait: means[trait], default=""),
                )


def _health(arm: str, profile: Profile) -> Health:
    missing = profile.readings.loc[profile.readings["value"].isna(), "missing"]
    reasons = missing.value_counts().head(6)
    return Health(
        arm=arm,
        coherence=known(profile.coherence.value),
        refusal=known(profile.refusal.value),
        skill=known(profile.skill.value),
        readings=len(profile.readings),
        missing=len(missing),
        reasons={str(reason): int(count) for reason, count in reasons.items()},
    )


def _trajectory(study: Study, evidence: Evidence) -> Iterator[TrajectoryPoint]:
    """For the page's picture of matched learning: the plain arm's way, and where the treated arms ended."""
    claim = next((claim for claim in study.claims if isinstance(claim, Removal)), None)
    if claim is None:
        return
    traits = study.group(claim.traits, arms_of(claim), evidence.traits)
    try:
        path = evidence.path(claim.plain, claim.before)
        steps = int(study.arms[claim.plain].training.get("steps", study.training.get("steps", _default_steps())))
        for step, profile in path.items():
            yield from _points(claim.plain, steps if step < 0 else step, profile, path[0], claim, traits)
        for arm in (claim.arm, claim.control):
            yield from _points(arm, steps, evidence.profile(arm), path[0], claim, traits)
    except Unmeasured:
        return


def _default_steps() -> int:
    from upbringing.training import Recipe

    return Recipe().steps


def _points(
    arm: str, step: int, profile: Profile, before: Profile, claim: Removal, traits: list[str]
) -> Iterator[TrajectoryPoint]:
    start = dict(zip(before.bases, before.by_base(traits)[1].mean(axis=1), strict=True))
    learned = dict(zip(profile.bases, profile.by_base([claim.learned])[1][:, 0], strict=True))
    for base, rate in zip(profile.bases, profile.by_base(traits)[1].mean(axis=1), strict=True):
        if base in start and np.isfinite([learned[base], rate, start[base]]).all():
            rise = float(rate - start[base])
            yield TrajectoryPoint(arm=arm, base=int(base), step=step, learned=float(learned[base]), rise=rise)


def _curves(plan: Plan) -> Iterator[Curve]:
    for step in plan.of("model"):
        log = step.place.folder / "training_log.json"
        if step.place.made and log.is_file():
            entries = json.loads(log.read_text(encoding="utf-8"))
            steps, loss = zip(*((int(e["step"]), float(e["loss"])) for e in entries), strict=True)
            yield Curve(arm=step.arm, base=step.base, steps=steps, loss=loss)


def _along(evidence: Evidence) -> pd.DataFrame:
    """Readings of all trajectories, the step in the arm's name."""
    import pandas as pd

    tables = [
        profile.readings.assign(arm=f"{arm}@{step}")
        for arm, steps in evidence.trajectories.items()
        for step, profile in steps.items()
    ]
    return pd.concat(tables, ignore_index=True)
