"""The plan of a study: every step between a study file and its verdicts, under the key of all that decides it.

A base's organism is grown, each arm is trained from it, each model is asked, and the answers are put together. Rows are
written while planning, for their contents are part of the keys; nothing else is made before the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.lineage import Record, default_store, hash_of
from upbringing.studies import reinforcing, steps
from upbringing.studies.claim_spec import RankCorrelation
from upbringing.studies.engine import Job
from upbringing.studies.file import load
from upbringing.studies.spec import SKILL_QUESTIONS, Study
from upbringing.studies.steps import TIMING, Place, Questions, Taught, Trained, Wrapper
from upbringing.studies.teaching import Reading, RowsKey, Teacher, rows_place
from upbringing.traits.overlap import Overlap, asked_probes, check_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from upbringing.rows import Rows

CODE = {"documents": 1, "model": 1, "readings": 3, "trajectory": 2, "oracle": 1}
"""Versions of what each kind of step runs, rooms below included (organisms have their own). Raise one when the same
settings give other results: ``model`` for training, ``readings`` and ``trajectory`` for measuring and judging."""


PRETRAINED = "pretrained"
"""The folder in an organism's that holds its weights from before its post-training."""


@dataclass(frozen=True)
class Step:
    """A node of the graph."""

    name: str
    place: Place
    job: Job
    arm: str = ""
    base: int = 0


@dataclass
class Plan:
    """A study, its rows and its steps, ready to run.

    Attributes:
        study: what was declared, with the number of bases that this run has.
        source: the text of the study file.
        store: where steps keep their results.
        steps: by name; a step comes after those it needs.
    """

    study: Study
    source: str
    store: Path
    steps: dict[str, Step] = field(default_factory=dict)
    rows: dict[RowsKey, Rows] = field(default_factory=dict)
    """Training rows by data set, base and what of the world they depend on."""
    reads: dict[tuple[str, int], Reading] = field(default_factory=dict)
    """What the training of an arm on a base reads."""

    def of(self, kind: str) -> Iterator[Step]:
        """The steps of one kind: organism, documents, model, readings, trajectory, oracle."""
        return (step for step in self.steps.values() if step.place.record.kind == kind)

    def rows_place(self, rows: Rows) -> Place:
        """Where a set of rows is kept: under the hash of its contents."""
        return rows_place(self.store, rows)

    @cached_property
    def seconds(self) -> float:
        """How long what is not made yet should take on two cores: never less than its longest chain of steps."""
        until: dict[str, float] = {}
        for name, step in self.steps.items():  # a step comes after those it needs
            own = 0.0 if step.place.made else step.job.seconds
            until[name] = own + max((until[need] for need in step.job.needs), default=0.0)
        work = sum(step.job.seconds for step in self.steps.values() if not step.place.made)
        return max([work / 2, *until.values()])

    def check_overlap(self) -> list[Overlap]:
        """Compare all training rows with the probes.

        Raises:
            InputError: a row holds a probe's wording.
        """
        together: dict[str, list[Any]] = {}
        for (name, _, _), rows in self.rows.items():
            together.setdefault(f"{name}, rows", []).extend(rows)
        return check_rows(asked_probes(measured(self.study), self.study.measure.probes_per_trait), together)

    def show(self) -> RenderableType:
        """The graph as a table for people: what each kind of step needs, how many are made, the time expected."""
        from upbringing.studies.show import plan_table

        return plan_table(self)


def measured(study: Study) -> tuple[str, ...]:
    """Names of the traits that a study asks about."""
    from upbringing.traits import traits

    return tuple(traits()) if study.measure.traits == "all" else study.measure.traits


def plan(file: str | Path, *, bases: int | None = None, store: Path | None = None) -> Plan:
    """Plan the study in a file.

    Args:
        file: a study file (YAML).
        bases: how many organisms of each kind, instead of what the file says.
        store: where steps keep their results (default: ``lineage.default_store()``).

    Raises:
        InputError: the file is wrong, or its data cannot be read.
    """
    from upbringing.studies import networks

    file = Path(file)
    study = load(file)
    if bases is not None:
        if bases < 1:
            raise InputError(f"--bases {bases}: a study needs at least one base; give 1 or more")
        study = study.model_copy(update={"bases": bases})
    source = file.read_text(encoding="utf-8")
    if isinstance(study, networks.NetworkStudy):
        return networks.plan(study, source, store)
    made = Plan(study, source, store or default_store())
    _Planner(made).run()
    return made


class _Planner:
    """Fills a plan, step by step in the order of the graph."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.study = plan.study
        self.asked = Questions(measured(self.study), self.study.measure.probes_per_trait)
        self.probes = hash_of(
            [[p.id, [m.as_dict() for m in p.messages], p.shows, p.avoids] for p in asked_probes(*self._drawn())]
        )
        self.teacher = Teacher(self.study, plan.store, plan.rows)
        self.models: dict[tuple[str, int], Trained] = {}
        self.timings = _timings(plan.store)

    def _drawn(self) -> tuple[tuple[str, ...], int]:
        return self.asked.traits, self.asked.probes_per_trait

    def run(self) -> None:
        """Plan everything."""
        for base in range(self.study.bases):
            for organism in {self.study.organism(arm): None for arm in self.study.arms}:
                self._grow(organism, base)
            for arm in self.study.arms:
                self._arm(arm, base)
            for arm in self.study.arms:
                self._ask(arm, base, self.models[arm, base])

    def _add(
        self, name: str, record: Record, sort: str, seconds: float, function: Any, *arguments: Any, **where: Any
    ) -> Step:
        place = Place(self.plan.store, record, sort)
        needs = tuple(where.pop("needs", ()))
        job = Job(name, function, (place, *arguments), needs, self.timings.get((record.kind, sort), seconds))
        step = self.plan.steps[name] = Step(name, place, job, **where)
        return step

    def _grow(self, name: str, base: int) -> None:
        from upbringing.organisms import record_of

        organism, world = self.study.organisms[name], self.teacher.world(name, base)
        settings = world.spec.model_dump(mode="json")
        raised = self._add(
            f"grow {name}, base {base}",
            record_of(world.spec, size=organism.size, seed=base, stop=organism.stop),
            f"{organism.size} {organism.stop}",
            100 if organism.stop == "gate" else 40,
            steps.grow,
            settings,
            organism.size,
            base,
            organism.stop,
            base=base,
            arm=name,
        )
        parents = {"organism": raised.place.record.key}
        look = Record(kind="documents", recipe={"probes": self.probes}, parents=parents, code=CODE["documents"])
        arguments = (raised.place.folder, settings, self.asked)
        name_of_check = f"check the texts of {name}, base {base}"
        needs = (raised.name,)
        self._add(
            name_of_check, look, organism.stop, 8, steps.look_for_probes, *arguments, needs=needs, base=base, arm=name
        )

    def _arm(self, arm: str, base: int) -> None:
        parent = self._parent(arm, base)
        spec = self.study.arms[arm]
        change = self._reinforce if spec.reinforce else self._train
        self.models[arm, base] = change(arm, base, parent) if spec.changed else parent

    def _parent(self, arm: str, base: int) -> Trained:
        """The model that an arm starts from."""
        spec = self.study.arms[arm]
        return self.models[spec.after, base] if spec.after else self._organism(arm, base)

    def _organism(self, arm: str, base: int) -> Trained:
        """The organism that an arm descends from, at the stage at which it was taken."""
        spec = self.study.arms[arm]
        while spec.after:
            spec = self.study.arms[spec.after]
        grown = self.plan.steps[f"grow {spec.organism}, base {base}"]
        folder, key = grown.place.folder, grown.place.record.key
        if spec.stage == "pretrained":
            return Trained(grown.name, folder / PRETRAINED, key, "pretrained")
        return Trained(grown.name, folder, key, "organism")

    def _train(self, arm: str, base: int, parent: Trained) -> Trained:
        study, organism = self.study, self.study.organism(arm)
        taught, key = self.teacher.taught(arm, base, self.models)
        followed = study.trajectory.steps if arm in study.trajectory.arms else ()
        recipe, reading = self.teacher.recipe(arm, base, taught, followed)
        self.plan.reads[arm, base] = reading
        record = Record(
            kind="model",
            recipe={"training": recipe, **key},
            parents={parent.role: parent.key},
            seed=base,
            code=CODE["model"],
        )
        own = {**study.training, **study.arms[arm].training}
        sort = f"{recipe['steps']} steps" if "tokens" not in own else f"{round(reading.tokens, -3):.0f} tokens"
        looked_at = [self.models[name, base].step for t in study.arms[arm].treatments for name in t.arms]
        checked = f"check the texts of {organism}, base {base}"
        step = self._add(
            f"train {arm}, base {base}",
            record,
            sort,
            max(0.05 * recipe["steps"], 1.5 + reading.tokens / 25_000 if "tokens" in own else 0.0),
            steps.train,
            parent.folder,
            taught,
            recipe,
            needs=dict.fromkeys((parent.step, checked, *looked_at)),
            arm=arm,
            base=base,
        )
        if followed:
            self._follow(arm, base, step, followed)
        if any(isinstance(claim, RankCorrelation) and arm in claim.arms for claim in study.claims):
            self._consult(arm, base, taught, key)
        return Trained(step.name, step.place.folder, record.key)

    def _reinforce(self, arm: str, base: int, parent: Trained) -> Trained:
        spec, organism = self.study.arms[arm].reinforce, self.study.organism(arm)
        assert spec is not None
        stages, key = self.teacher.stages(arm, base)
        recipe, self.plan.reads[arm, base] = self.teacher.reinforcement(arm, base)
        near = parent if spec.near == "parent" else self._organism(arm, base)
        parents = {parent.role: parent.key} | ({"reference": near.key} if near != parent else {})
        settings = {"reinforcement": recipe, "environments": key}
        record = Record(kind="model", recipe=settings, parents=parents, seed=base, code=CODE["model"])
        steps_of_all = recipe["steps"] * len(stages)
        step = self._add(
            f"train {arm}, base {base}",
            record,
            f"{recipe['method']}, {steps_of_all} steps",
            2.0 + 0.1 * steps_of_all,
            reinforcing.reinforce,
            parent.folder,
            near.folder,
            stages,
            recipe,
            needs=dict.fromkeys((parent.step, near.step, f"check the texts of {organism}, base {base}")),
            arm=arm,
            base=base,
        )
        return Trained(step.name, step.place.folder, record.key)

    def _ask(self, arm: str, base: int, model: Trained) -> None:
        measure = self.study.measure
        wrappers, keys = [], []
        for provocation in measure.provocations:
            taught: Taught | None = None
            key: dict[str, Any] = {}
            if provocation.training_format is not None:
                # One format for all arms: that of the named arm's rows, as its first base has them.
                taught, key = self.teacher.taught(provocation.training_format, 0, self.models)
                taught = taught.lines()
            text = getattr(provocation, provocation.kind) if taught is None else ""
            wrappers.append(Wrapper(provocation.title, provocation.kind, text, taught))
            keys.append([provocation.title, provocation.kind, text, key])
        ways = measure.provocation_ways
        questions = Questions(
            self.asked.traits, measure.probes_per_trait, measure.samples, tuple(wrappers), ways, measure.skill
        )
        recipe = {"probes": self.probes, "samples": measure.samples, "provocations": keys, "provoked ways": ways}
        if measure.skill != SKILL_QUESTIONS:  # left out where it is the usual, so that what is kept stays valid
            recipe["skill"] = measure.skill
        # A model before its post-training lies in the folder of the one after it, so its role tells them apart.
        parents = {"pretrained" if model.role == "pretrained" else "model": model.key}
        record = Record(kind="readings", recipe=recipe, parents=parents, code=CODE["readings"])
        times = sum(len(measure.ways(name)) for name in ("rest", *(wrapper.name for wrapper in wrappers)))
        asked = len(self.asked.traits) * measure.probes_per_trait * times
        sort = f"{asked} questions, {measure.samples} samples"
        arguments = (model.folder, questions)
        self._add(
            f"measure {arm}, base {base}",
            record,
            sort,
            asked / 350,
            steps.measure,
            *arguments,
            needs=(model.step,),
            arm=arm,
            base=base,
        )

    def _follow(self, arm: str, base: int, model: Step, followed: tuple[int, ...]) -> None:
        recipe = {"probes": self.probes, "steps": followed}
        parents = {"model": model.place.record.key}
        record = Record(kind="trajectory", recipe=recipe, parents=parents, code=CODE["trajectory"])
        asked = len(self.asked.traits) * self.asked.probes_per_trait * len(followed)
        arguments = (model.place.folder, followed, self.asked)
        name = f"follow {arm}, base {base}"
        self._add(
            name,
            record,
            f"{asked} questions",
            asked / 600,
            steps.follow,
            *arguments,
            needs=(model.name,),
            arm=arm,
            base=base,
        )

    def _consult(self, arm: str, base: int, taught: Taught, key: dict[str, Any]) -> None:
        world = self.teacher.world(self.study.organism(arm), base)
        settings = world.spec.model_dump(mode="json")
        recipe = {"world": settings, **key}
        record = Record(kind="oracle", recipe=recipe, parents={"traits": world.hash}, seed=base, code=CODE["oracle"])
        name = f"consult the oracle on {arm}, base {base}"
        self._add(name, record, "oracle", 0.5, steps.consult_oracle, settings, taught, base, arm=arm, base=base)


def _timings(store: Path) -> dict[tuple[str, str], float]:
    """How long steps of each kind and sort took in this store: the median of the latest."""
    found: dict[tuple[str, str], list[float]] = {}
    for kind in ("organism", "documents", "model", "readings", "trajectory", "oracle"):
        for file in list((store / kind).glob(f"*/{TIMING}"))[:60]:
            try:
                timing = json.loads(file.read_text(encoding="utf-8"))
                found.setdefault((kind, timing["sort"]), []).append(float(timing["seconds"]))
            except (OSError, ValueError, KeyError):
                continue
    return {key: median(seconds) for key, seconds in found.items()}
