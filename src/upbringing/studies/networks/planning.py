"""The plan of a study of networks, and its result: one step a base, then the same claims, verdicts and readings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.lineage import Record, default_store, versions
from upbringing.measure import Profile, statistics
from upbringing.measure.readings import SKILL, frame
from upbringing.measure.statistics import known
from upbringing.studies.claims import judge
from upbringing.studies.engine import Job, Tick
from upbringing.studies.evidence import Evidence
from upbringing.studies.networks.spec import NetworkArm, NetworkStudy, NetworkTraining
from upbringing.studies.result import RateRow, ShiftRow, StudyResult, Value
from upbringing.studies.steps import Place

if TYPE_CHECKING:
    from upbringing.studies.planning import Plan

KIND, CODE = "networks", 1
"""Raise CODE when the same settings give other numbers."""


def plan(study: NetworkStudy, source: str, store: Path | None = None) -> Plan:
    """Plan a study of networks: for each base a step that raises and asks all its networks (they take seconds)."""
    from upbringing.studies.planning import Plan, Step

    made = Plan(study, source, store or default_store())
    told: dict[str, Any] = {"mode": "json", "exclude": {"about"}, "exclude_defaults": True}
    arms = {name: arm.model_dump(**told) for name, arm in study.arms.items()}
    recipe = {"arms": arms, "training": study.training.model_dump(mode="json")}
    for seed in _seeds(study):
        place = Place(made.store, Record(kind=KIND, recipe=recipe, seed=seed, code=CODE), KIND)
        name = f"raise and ask networks, base {seed}"
        job = Job(name, build, (place, arms, recipe["training"], seed), seconds=1.5 * len(arms))
        made.steps[name] = Step(name, place, job, arm="all", base=seed)
    return made


def build(place: Place, arms: dict[str, Any], training: dict[str, Any], seed: int, tick: Tick) -> None:
    """The step: the readings of every arm of one base."""
    from upbringing.studies.networks.training import ask, raise_networks

    def made(folder: Path) -> None:
        specs = {name: NetworkArm(**arm) for name, arm in arms.items()}
        networks = raise_networks(specs, NetworkTraining(**training), seed, tick)
        readings = [reading for name, network in networks.items() for reading in ask(name, network, seed)]
        Profile(frame(readings)).save(folder)

    place.keep(made)


def gather(plan: Plan) -> Evidence:
    """What the steps left, by arm; what failed is not there."""
    made = [Profile.load(step.place.folder) for step in plan.of(KIND) if step.place.made]
    if not made:
        return Evidence({}, {})
    whole = Profile.concat(made)
    return Evidence({name: whole.arm(name) for name in whole.arms}, {})


def result(plan: Plan, evidence: Evidence) -> StudyResult:
    """Verdicts, and the share of held-out digits that each arm reads right."""
    study = plan.study
    assert isinstance(study, NetworkStudy)
    return StudyResult(
        study=study.study,
        question=study.question.strip(),
        bases=tuple(_seeds(study)),
        claims=tuple(judge(claim, study, evidence) for claim in study.claims),
        shifts=tuple(
            _shift(evidence, name, study.before(name)) for name in evidence.arms if study.before(name) != name
        ),
        traits={},
        alignment=(),
        group=(SKILL,),
        rates=tuple(_rate(evidence, name) for name in evidence.arms),
        readings=sum(len(profile.readings) for profile in evidence.arms.values()),
        versions=versions(),
        source=plan.source,
    )


def _seeds(study: NetworkStudy) -> range:
    return range(study.first_seed, study.first_seed + study.bases)


def _rate(evidence: Evidence, arm: str) -> RateRow:
    cells = evidence.rates(arm, [SKILL])
    by_base = tuple(known(float(share)) for share in cells.by_base([SKILL])[:, 0])
    return RateRow(arm=arm, provocation="rest", way=SKILL, rate=Value.of(statistics.mean(cells)), by_base=by_base)


def _shift(evidence: Evidence, arm: str, before: str) -> ShiftRow:
    """From the network that began as this one, untrained."""
    change = Value(value=None)
    if before:
        change = Value.of(statistics.mean(evidence.changes(arm, before, [SKILL]), within=statistics.SHIFT))
    return ShiftRow(arm=arm, against=before, trait=SKILL, shift=change.value, interval=change.interval)
