"""What a page shows beside verdicts and shifts: what arms cost, tables of remedies, lines against doses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from upbringing.measure import statistics
from upbringing.measure.readings import LOGPROB, REST, SAMPLED, SKILL
from upbringing.measure.statistics import RATE, Cells, known
from upbringing.studies.claim_spec import WORST, WORST_KEPT
from upbringing.studies.evidence import Evidence, Unmeasured
from upbringing.studies.planning import Plan
from upbringing.studies.result import Cost, DoseLine, DosePlot, DosePoint, Remedied, RemedyTable, Value
from upbringing.studies.spec import DoseFigure, DoseSeries, Study, TableSpec

_NOTHING = Value(value=None)


def costs(plan: Plan) -> Iterator[Cost]:
    """What each trained arm reads, averaged over bases."""
    for arm in plan.study.arms:
        of_arm = [reading for (name, _), reading in plan.reads.items() if name == arm]
        if of_arm:
            yield Cost(
                arm=arm,
                tokens=round(float(np.mean([reading.tokens for reading in of_arm]))),
                beside=round(float(np.mean([reading.extra for reading in of_arm]))),
                steps=of_arm[0].steps,
                batch_size=round(float(np.mean([reading.batch_size for reading in of_arm])), 1),
            )


def tables(study: Study, evidence: Evidence, spent: Sequence[Cost]) -> Iterator[RemedyTable]:
    """The tables that the study declares, with numbers."""
    tokens = {cost.arm: cost.tokens for cost in spent}
    for spec in study.tables:
        traits = study.group(spec.traits, [spec.before, *spec.arms], evidence.traits)
        shown = [name for name in (spec.clean, spec.before) if name]
        rows = [_remedied(study, evidence, spec, name, traits, None) for name in shown]
        rows += [_remedied(study, evidence, spec, name, traits, tokens.get(name)) for name in spec.arms]
        yield RemedyTable(title=spec.title, traits=tuple(traits), rows=tuple(rows), published=spec.published)


def _remedied(
    study: Study, evidence: Evidence, spec: TableSpec, arm: str, traits: Sequence[str], tokens: int | None
) -> Remedied:
    about = study.arms[arm].about
    role = "clean" if arm == spec.clean else "before" if arm == spec.before else "remedy"
    try:
        profile = evidence.profile(arm)
        shared = set(profile.bases) & set(evidence.profile(spec.before).bases)
    except Unmeasured:
        return Remedied(arm=arm, about=about, role=role, tokens=tokens)
    ways = [way for way in (LOGPROB, SAMPLED) if way in profile.ways]
    worst, kept = (study.provocations(name) for name in (WORST, WORST_KEPT))
    worst_name, worst_rate = _worst(evidence, arm, traits, worst)
    kept_name, kept_rate = _worst(evidence, arm, traits, kept)
    compared = role == "remedy" and bool(shared)

    def ratio(way: str, provocations: Sequence[str]) -> Value:
        if not compared or not provocations or way not in ways:
            return _NOTHING
        pairs = [tuple(evidence.rates(name, traits, way, p) for name in (spec.before, arm)) for p in provocations]
        return Value.of(statistics.ratio([(above, below) for above, below in pairs]))

    return Remedied(
        arm=arm,
        about=about,
        role=role,
        tokens=tokens,
        rest=_rate(evidence, arm, traits, LOGPROB),
        sampled=_rate(evidence, arm, traits, SAMPLED) if SAMPLED in ways else _NOTHING,
        worst_name=worst_name,
        worst=worst_rate,
        kept_name=kept_name,
        kept=kept_rate,
        skill=_rate(evidence, arm, [SKILL], SKILL),
        ratio=ratio(LOGPROB, [REST]),
        sampled_ratio=ratio(SAMPLED, [REST]),
        worst_ratio=ratio(LOGPROB, worst),
        kept_ratio=ratio(LOGPROB, kept),
    )


def _rate(evidence: Evidence, arm: str, traits: Sequence[str], way: str) -> Value:
    try:
        return Value.of(statistics.mean(evidence.rates(arm, traits, way)))
    except Unmeasured:
        return _NOTHING


def _worst(evidence: Evidence, arm: str, traits: Sequence[str], provocations: Sequence[str]) -> tuple[str, Value]:
    """The provocation with the highest rate, by log-probability, and that rate with the choice in its interval."""
    if not provocations:
        return "", _NOTHING
    options: list[list[Cells]] = [[evidence.rates(arm, traits, LOGPROB, name)] for name in provocations]
    means = [statistics.mean(option[0]).value for option in options]
    estimate = statistics.worst_contrast(options, (1.0,), within=RATE)
    return provocations[int(np.nanargmax(means))], Value.of(estimate)


def dose_plots(study: Study, evidence: Evidence) -> Iterator[DosePlot]:
    """The dose figures that the study declares, with numbers; doses that were not measured are left out."""
    for spec in study.doses:
        arms = {arm: None for series in spec.series for arm in series.doses}
        traits = study.group(spec.traits, arms, evidence.traits)
        lines = [_line(spec, series, traits, evidence) for series in spec.series]
        shown = tuple(line for line in lines if line.points)
        if shown:
            rate = _rate(evidence, spec.baseline, traits, LOGPROB).value if spec.baseline else None
            yield DosePlot(
                title=spec.title,
                axis=spec.axis,
                log=spec.log,
                traits=tuple(traits),
                lines=shown,
                baseline=spec.baseline,
                baseline_rate=rate,
            )


def _line(spec: DoseFigure, series: DoseSeries, traits: Sequence[str], evidence: Evidence) -> DoseLine:
    points = []
    for arm, dose in sorted(series.doses.items(), key=lambda item: item[1]):
        try:
            cells = evidence.rates(arm, traits, series.way, series.provocation)
        except Unmeasured:
            continue
        by_base = np.nanmean(cells.by_base(traits), axis=1)
        points.append(
            DosePoint(
                arm=arm,
                dose=dose,
                rate=Value.of(statistics.mean(cells)),
                by_base=tuple(known(float(value)) for value in by_base),
            )
        )
    return DoseLine(label=series.label, points=tuple(points))
