"""How a plan is filled: organisms are grown, samples drawn, arms trained and asked, in the order of the graph."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

from upbringing.lineage import Record, hash_of
from upbringing.studies import distilling, reinforcing, steps
from upbringing.studies.claim_spec import RankCorrelation, RowAUC
from upbringing.studies.engine import Job
from upbringing.studies.planning import CODE, PRETRAINED, Plan, Step, measured
from upbringing.studies.spec import SKILL_QUESTIONS
from upbringing.studies.steps import TIMING, Guise, Place, Questions, Taught, Trained, Wrapper
from upbringing.studies.teaching import Teacher
from upbringing.traits.overlap import asked_probes


class Planner:
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
            self._raise(base)
            for arm in self.study.arms:
                self._ask(arm, base, self.models[arm, base])
            for claim in self.study.claims:
                if isinstance(claim, RowAUC):
                    self._tell_apart(claim.data, claim.clean, base)

    def _raise(self, base: int, until: str = "") -> None:
        """Plan the organisms and arms of a base that are not planned yet; of another base, up to the arm needed."""
        for organism in {self.study.organism(arm): None for arm in self.study.arms}:
            if f"grow {organism}, base {base}" not in self.plan.steps:
                self._grow(organism, base)
        for arm in self.study.arms:
            if (arm, base) not in self.models:
                self._arm(arm, base)
            if arm == until:
                return

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

    def _sample(self, name: str, base: int) -> list[str]:
        """Plan the sample that a data set of a base is part of, if a teacher writes it; the step that draws it."""
        if self.study.data[name].distil is None:
            return []
        data, of = self.study.data[name], distilling.base_of_teacher(self.study, name, base)
        self._raise(of, until=data.teacher)
        if data.clean:
            self._raise(of, until=data.clean)
        wanted = distilling.sampling(self.study, name, of)
        models = {role: self.models[arm, of] for role, arm in (("teacher", data.teacher), ("clean", data.clean)) if arm}
        parents = {role: model.key for role, model in models.items()}
        recipe = {"sample": wanted.recipe, "probes": self.probes}
        step = self._add(
            f"sample {distilling.alike(self.study, name)[0]}, base {of}",
            Record(kind="rows", recipe=recipe, parents=parents, seed=of, code=CODE["rows"]),
            wanted.sort,
            wanted.seconds,
            distilling.sample,
            models["teacher"].folder,
            models["clean"].folder if data.clean else None,
            wanted,
            self.asked,
            needs=dict.fromkeys(model.step for model in models.values()),
            arm=distilling.alike(self.study, name)[0],
            base=of,
        )
        key = step.place.record.key
        self.teacher.sampled[name, base] = distilling.Sampled(step.name, step.place.folder, key, wanted.carrier)
        return [step.name]

    def _tell_apart(self, data: str, clean: str, base: int) -> None:
        needs = [*self._sample(data, base), *self._sample(clean, base)]
        tainted, untainted = (self.teacher.source(name, "", base) for name in (data, clean))
        self._add(
            f"tell {data} from {clean}, base {base}",
            Record(kind="row_auc", recipe={"rows": [tainted.key, untainted.key]}, code=CODE["row_auc"]),
            "row_auc",
            3,
            distilling.tell_apart,
            tainted.what,
            untainted.what,
            needs=needs,
            arm=f"{data} | {clean}",
            base=base,
        )

    def _train(self, arm: str, base: int, parent: Trained) -> Trained:
        study, organism = self.study, self.study.organism(arm)
        spec = study.arms[arm]
        drawn = [
            step
            for name in (spec.data, *(treatment.data for treatment in spec.treatments))
            if name
            for step in self._sample(name, base)
        ]
        taught, key = self.teacher.taught(arm, base, self.models)
        followed = study.trajectory.steps if arm in study.trajectory.arms else ()
        recipe, reading = self.teacher.recipe(arm, base, taught, followed)
        self.plan.reads[arm, base] = reading
        soft = self.models[spec.teacher, base] if spec.teacher else None
        parents = {parent.role: parent.key, **{r: s.key for r, s in self.teacher.samples(arm, base).items()}}
        if soft is not None:
            parents["teacher"] = soft.key
        record = Record(
            kind="model", recipe={"training": recipe, **key}, parents=parents, seed=base, code=CODE["model"]
        )
        own = {**study.training, **spec.training}
        counted = "tokens" in own or bool(drawn)
        sort = f"{recipe['steps']} steps" if not counted else f"{round(reading.tokens, -3):.0f} tokens"
        looked_at = [self.models[name, base].step for t in spec.treatments for name in t.arms]
        checked = f"check the texts of {organism}, base {base}"
        step = self._add(
            f"train {arm}, base {base}",
            record,
            sort,
            max(0.05 * recipe["steps"], 1.5 + reading.tokens / (55_000 if drawn else 25_000) if counted else 0.0),
            steps.train,
            parent.folder,
            taught,
            recipe,
            soft.folder if soft else None,
            needs=dict.fromkeys((parent.step, checked, *looked_at, *drawn, *([soft.step] if soft else []))),
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
        if self.study.arms[arm].in_context is not None or self.study.arms[arm].guised:
            self._ask_as_at_rest(arm, base, model)
            return
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

    def _ask_as_at_rest(self, arm: str, base: int, model: Trained) -> None:
        """Ask a model that reads rows before every question, is told a line or steered: at rest alone."""
        spec, measure = self.study.arms[arm], self.study.measure
        drawn: list[str] = []
        where: dict[str, Any]
        if spec.in_context is not None:
            drawn = self._sample(spec.in_context, base)
            read = self.teacher.source(spec.in_context, self.study.organism(arm), base)
            where, key = {"context": read.what, "context_rows": spec.context_rows}, [read.key, spec.context_rows]
        else:
            guise = Guise.of(spec)
            where, key = {"guise": guise}, [guise.system, guise.steer]
        name = "in_context" if spec.in_context is not None else "guise"
        recipe = {"probes": self.probes, "samples": measure.samples, name: key}
        role = "pretrained" if model.role == "pretrained" else "model"
        record = Record(kind="readings", recipe=recipe, parents={role: model.key}, code=CODE["readings"])
        questions = Questions(self.asked.traits, measure.probes_per_trait, measure.samples, **where)
        asked = len(self.asked.traits) * measure.probes_per_trait * len(measure.ways("rest"))
        self._add(
            f"measure {arm}, base {base}",
            record,
            f"{asked} questions in {'context' if spec.in_context else 'a guise'}",
            asked / 100,
            steps.measure,
            model.folder,
            questions,
            needs=dict.fromkeys((model.step, *drawn)),
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
    for kind in ("organism", "documents", "rows", "row_auc", "model", "readings", "trajectory", "oracle"):
        for file in list((store / kind).glob(f"*/{TIMING}"))[:60]:
            try:
                timing = json.loads(file.read_text(encoding="utf-8"))
                found.setdefault((kind, timing["sort"]), []).append(float(timing["seconds"]))
            except (OSError, ValueError, KeyError):
                continue
    return {key: median(seconds) for key, seconds in found.items()}
