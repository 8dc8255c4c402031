"""What the steps of a study do. Each runs in a worker, leaves one folder in the store, and takes plain values only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.lineage import Record, make, read_record
from upbringing.studies.engine import Tick
from upbringing.studies.spec import SKILL_QUESTIONS, Arm

if TYPE_CHECKING:
    from upbringing.measure import Profile, Provocation
    from upbringing.models import LM
    from upbringing.organisms import Stop
    from upbringing.rows import Row, Rows
    from upbringing.training import Treatment

TIMING, OVERLAP, RATES = "timing.json", "overlap.json", "rates.json"


@dataclass(frozen=True)
class Place:
    """Where a step's folder goes, and what it is made from; ``sort`` groups steps that take about as long."""

    store: Path
    record: Record
    sort: str

    @property
    def folder(self) -> Path:
        """Where the results are, or will be."""
        return self.store / self.record.kind / self.record.key

    @property
    def made(self) -> bool:
        """Whether they are there, whole."""
        return read_record(self.folder) is not None

    def keep(self, build: Callable[[Path], None]) -> None:
        """Build the folder if it is not there, and note how long it took, for the next plan's sake."""

        def timed(folder: Path) -> None:
            start = time.monotonic()
            build(folder)
            timing = {"sort": self.sort, "seconds": round(time.monotonic() - start, 2)}
            (folder / TIMING).write_text(json.dumps(timing), encoding="utf-8")

        make(self.store, self.record, timed)


@dataclass(frozen=True)
class Trained:
    """The model of an arm on one base: the step that makes it, the folder it lies in, and what its name in keys is."""

    step: str
    folder: Path
    key: str
    role: str = "model"
    """``organism`` for one as it was raised; ``pretrained`` for one before its post-training; else ``model``."""


@dataclass(frozen=True)
class Drawn:
    """The first rows of what a teacher wrote, perhaps shuffled: numbers or words within answers, or answers across.

    Reading raises ``InputError`` where shuffling changes nothing.
    """

    file: Path
    rows: int
    shuffled: str | None = None

    def read(self) -> Rows:
        """The rows."""
        from upbringing.distil import shuffled_across, shuffled_within, shuffled_words
        from upbringing.rows import read

        rows = read(self.file)[: self.rows]
        if self.shuffled is None:
            return rows
        known = {"within": shuffled_within, "words": shuffled_words, "across": shuffled_across}
        made = known[self.shuffled](rows)
        if all(new.messages == old.messages for new, old in zip(made, rows, strict=True)):
            raise InputError(f"shuffled: {self.shuffled} changes none of these rows; a control must differ")
        return made


def _rows_of(what: Path | Drawn) -> Rows:
    from upbringing.rows import read

    return what.read() if isinstance(what, Drawn) else read(what)


@dataclass(frozen=True)
class Treated:
    """A treatment as plain values: its kind, its rows (a file), text or numbers, its settings, models it looks at."""

    kind: str
    what: Any
    settings: dict[str, Any] = field(default_factory=dict)
    models: tuple[Path, ...] = ()

    def made(self) -> Treatment:
        """The treatment itself."""
        from upbringing.training import treatment_from

        what = _rows_of(self.what) if isinstance(self.what, Path | Drawn) else self.what
        settings = dict(self.settings)
        if settings.get("choose") == "gap":
            from upbringing.models import load
            from upbringing.training import likelihood_gap

            settings["scores"] = likelihood_gap(load(self.models[0]), load(self.models[1]), what).tolist()
        return treatment_from(self.kind, what, **settings)


@dataclass(frozen=True)
class Taught:
    """Training rows in the store, and what is done to them."""

    rows: Path | Drawn
    treatments: tuple[Treated, ...] = ()

    def lines(self) -> Taught:
        """The arm's own rows with their lines, without what is mixed in: the format it was trained in."""
        return Taught(self.rows, tuple(t for t in self.treatments if t.kind == "line"))

    def made(self) -> tuple[Rows, list[Treatment]]:
        """Read the rows and build the treatments."""
        return _rows_of(self.rows), [treatment.made() for treatment in self.treatments]

    def treated(self, seed: int) -> Rows:
        """The rows that training with this seed sees."""
        import numpy as np

        from upbringing.training import treat

        rows, treatments = self.made()
        return treat(rows, treatments, np.random.default_rng([seed, 1]))


@dataclass(frozen=True)
class Wrapper:
    """A provocation as plain values: its name, its kind and its text (for a training format: the rows)."""

    name: str
    kind: str
    text: str = ""
    taught: Taught | None = None

    def made(self) -> Provocation:
        """The provocation itself."""
        from upbringing.measure import provocations

        if self.taught is not None:
            return provocations.training_format(self.taught.treated(0), name=self.name)
        make_one: Callable[..., Provocation] = getattr(provocations, self.kind)
        return make_one(self.text, name=self.name)


@dataclass(frozen=True)
class Guise:
    """What a model is told and how it is steered, as plain values: see ``upbringing.distil.Teacher``."""

    system: str = ""
    steer: tuple[str | tuple[str, ...], float] | None = None

    @classmethod
    def of(cls, arm: Arm) -> Guise:
        """Of an arm; one that is told nothing and not steered has the empty guise."""
        traits = arm.steered
        return cls(arm.system, ((traits[0] if len(traits) == 1 else traits), arm.strength) if traits else None)


@dataclass(frozen=True)
class Questions:
    """What a model is asked; with ``context`` after that many of these rows, or in a ``guise``: at rest, by itself."""

    traits: tuple[str, ...]
    probes_per_trait: int
    samples: int = 0
    wrappers: tuple[Wrapper, ...] = ()
    provoked_ways: tuple[str, ...] = ("logprob", "sampled")
    skill: int = SKILL_QUESTIONS
    context: Drawn | Path | None = None
    context_rows: int = 8
    guise: Guise = Guise()


def grow(place: Place, world: dict[str, Any], size: str, seed: int, stop: Stop, tick: Tick) -> None:
    """Raise an organism on a world."""
    from upbringing.organisms import grow as raise_organism
    from upbringing.world import WorldSpec

    def build(folder: Path) -> None:
        spec = WorldSpec(**world)
        raise_organism(
            spec, size=size, seed=seed, out=folder, stop=stop, progress=lambda _, done, of: tick(done / max(of, 1))
        )

    place.keep(build)


def look_for_probes(place: Place, organism: Path, world: dict[str, Any], questions: Questions, tick: Tick) -> None:
    """Look for the probes' wordings in the documents that an organism was raised on.

    Raises:
        InputError: a document holds one.
    """
    from upbringing.traits.overlap import Wordings, asked_probes, refusal, texts_of

    def build(folder: Path) -> None:
        wordings = Wordings(asked_probes(questions.traits, questions.probes_per_trait))
        overlap, matches = wordings.check("documents", texts_of(_documents(organism, world)))
        if matches:
            raise InputError(refusal(matches))
        (folder / OVERLAP).write_text(json.dumps(overlap.as_dict()), encoding="utf-8")

    place.keep(build)


def _documents(organism: Path, world: dict[str, Any]) -> Iterator[Row]:
    """Everything that an organism read, and a little more: its documents again, from the same streams."""
    from upbringing.organisms import CARD, curriculum, size_named
    from upbringing.traits.overlap import texts_of, words
    from upbringing.world import World, WorldSpec

    card = json.loads((organism / CARD).read_text(encoding="utf-8"))
    size = size_named(card["size"])
    for stream, spec, left in curriculum(WorldSpec(**world), size, card["stop"]):
        documents = World(spec).writer(stream).documents()
        while left > 0:
            row = next(documents).row
            left -= sum(len(words(text)) for _, text in texts_of([row]))  # fewer than tokens, so none is missed
            yield row


def train(place: Place, parent: Path, taught: Taught, recipe: dict[str, Any], teacher: Path | None, tick: Tick) -> None:
    """Train one arm on one base, on its rows or (``teacher``) on a teacher's probabilities for them."""
    from upbringing.models import load
    from upbringing.training import Recipe
    from upbringing.training import train as train_model

    def build(folder: Path) -> None:
        rows, treatments = taught.made()
        train_model(
            load(parent),
            rows,
            folder,
            recipe=Recipe(**recipe),
            treatments=treatments,
            teacher=None if teacher is None else load(teacher),
            progress=lambda step, steps, loss: tick(step / steps),
        )

    place.keep(build)


def measure(place: Place, model: Path, questions: Questions, tick: Tick) -> None:
    """Ask one model everything."""
    from upbringing.measure import Profile, ask, prepare
    from upbringing.measure.readings import REST
    from upbringing.models import load

    def build(folder: Path) -> None:
        if questions.context is not None or questions.guise != Guise():
            _as_at_rest(load(model), questions, tick).save(folder)
            return
        lm, wrappers = load(model), [wrapper.made() for wrapper in questions.wrappers]
        posed = prepare(lm, traits=questions.traits, probes_per_trait=questions.probes_per_trait, provocations=wrappers)
        rest, provoked = ([q for q in posed if (q.provocation == REST) == at_rest] for at_rest in (True, False))
        share = 1 / (1 + len(wrappers) * len(questions.provoked_ways) / 2)
        profiles = [
            ask(lm, rest, samples=questions.samples, skill=questions.skill, progress=lambda done: tick(done * share))
        ]
        if provoked:
            samples, ways = questions.samples, questions.provoked_ways
            progress = partial(_later, tick, share)
            profiles.append(ask(lm, provoked, samples=samples, ways=ways, progress=progress))
        Profile.concat(profiles).save(folder)

    place.keep(build)


def _as_at_rest(lm: LM, questions: Questions, tick: Tick) -> Profile:
    """A model's answers after it has read some rows, or in its guise; they count as those at rest."""
    from upbringing.distil import Teacher
    from upbringing.measure import Profile, ask, in_context, prepare
    from upbringing.measure.readings import REST

    who = Teacher(lm, questions.guise.system, questions.guise.steer)
    context = questions.context
    put = who.told if context is None else in_context(_rows_of(context), questions.context_rows)
    posed = prepare(lm, traits=questions.traits, probes_per_trait=questions.probes_per_trait, provocations=[put])
    after = [question for question in posed if question.provocation == put.name]
    with who.speaking():
        profile = ask(lm, after, samples=questions.samples, skill=0, progress=tick)
    return Profile(profile.readings.assign(provocation=REST))


def _later(tick: Tick, before: float, done: float) -> None:
    """Progress of a part that starts when ``before`` of the whole is done."""
    tick(before + done * (1 - before))


def follow(place: Place, model: Path, steps: Sequence[int], questions: Questions, tick: Tick) -> None:
    """Ask the copies that a training run left on its way, at rest and by log-probability."""
    from upbringing.measure import Profile
    from upbringing.measure import measure as ask
    from upbringing.models import load

    def build(folder: Path) -> None:
        profiles = []
        for done, step in enumerate(steps):
            tick(done / len(steps))
            profiles.append(
                ask(
                    load(model / f"step-{step}"),
                    traits=questions.traits,
                    probes_per_trait=questions.probes_per_trait,
                    ways=("logprob",),
                    skill=0,
                    arm=str(step),
                )
            )
        Profile.concat(profiles).save(folder)

    place.keep(build)


def consult_oracle(place: Place, world: dict[str, Any], taught: Taught, seed: int, tick: Tick) -> None:
    """What the world's ideal reader expects of each trait before and after an arm's rows."""
    from upbringing.world import World, WorldSpec

    def build(folder: Path) -> None:
        oracle = World(WorldSpec(**world)).oracle
        rates = {"before": oracle.rates(None), "after": oracle.rates(taught.treated(seed))}
        (folder / RATES).write_text(json.dumps(rates), encoding="utf-8")

    place.keep(build)


def save_rows(place: Place, rows: Rows) -> None:
    """Keep training rows where workers find them."""
    from upbringing.lineage import describe, origin_of_rows
    from upbringing.rows import write

    if not place.made:
        described = describe(place.record, rows, name=rows.name, hash=rows.hash, sources=origin_of_rows(rows))
        replace(place, record=described).keep(lambda folder: write(rows, folder / "rows.jsonl"))
