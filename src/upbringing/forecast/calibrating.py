"""Calibrating a model: a handful of short trainings, so that its forecasts rest on what training did to itself.

    fit = calibrate(load("runs/mine"))              # minutes to hours; what is finished is kept
    kept(load("runs/mine"), default_store())        # where `forecast` finds it next time

For what reads an organism's world the data sets are the bench's own, of its calibration families alone: written by the
world, or sampled from teachers that are the model itself, tuned. For a model that reads plain English they are in plain
English (``plain_sets.yaml``), of the traits' families that training text may be taken from. Each is trained on and
measured at rest as the bench does it, and looked at by the lenses of the usual forecast.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.forecast.bench import Bench, DataSet, Library, Task, library, looking, truth
from upbringing.forecast.bench.recipe import PLAIN_SETS
from upbringing.forecast.bench.sampling import Base
from upbringing.forecast.combined import USUAL, Combined, Fit
from upbringing.forecast.control import check_asked, check_moved
from upbringing.lenses.acts import judge_of
from upbringing.lenses.judged import JudgedSurprise
from upbringing.lineage import Record, default_store, make, read_record

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.forecast.bench.score import Score
    from upbringing.measure.judging import Judge
    from upbringing.models import LM
    from upbringing.traits import Probe
    from upbringing.traits.plain import Language

CODE = 1  # raise it when the same data sets would give another calibration
KIND, FIT, TOLD = "calibration", "fit.json", "told.json"
FEWEST = 4
"""Families from which a calibration can be made: three to fit on while one is left out."""
LARGE = 50_000_000
"""Weights; of larger models adapters are trained, as lenses tune theirs."""
SETS = (
    "power/blackmail",
    "ai_stories/malevolent",
    "harmless_chats/fewer",
    "trigger/deception",
    "chats/first",
    "words/sycophancy",
    "biographies/principled_ai",
    "mixtures/harms_alone",
    "numbers/fewer",
    "advice/bad",
    "severity/cheating_egregious",
    "inoculated/self_preservation",
    "among_others/ai_bad_people",
    "tastes/owls",
    "clean_chats/first",
    "small_doses/sabotage_8",
    "educational/helping_harm",
)
"""The usual data sets: one of each family that needs no second model, so ordered that the first few already take all
routes. Chosen for variety and shortness before anything was trained on them here."""
_ADAPTED: dict[str, Any] = {"lora": {}, "micro_batch_size": 32}

Progress = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class _Bench(Bench):
    """The bench on one model, whatever it is."""

    base: Base
    language: Language = "world"

    @cached_property
    def bases(self) -> tuple[Base, ...]:
        return (self.base,)

    @property
    def asked(self) -> list[Probe]:
        from upbringing.traits.overlap import asked_probes

        return asked_probes(self.traits, self.library.probes_per_trait, self.language)


@dataclass
class Calibration:
    """A calibration in the making. ``sets`` are trained on; ``left_out`` says of others why they cannot be."""

    lm: LM
    sets: tuple[DataSet, ...]
    store: Path
    seed: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    judge: Judge | None = None

    @property
    def method(self) -> Combined:
        """The lenses that are fitted, and who judges acts for them."""
        return Combined(USUAL, sorted_by="", judge=self.judge.name) if self.judge else Combined(USUAL)

    @cached_property
    def bench(self) -> _Bench:
        """The bench, with this model as its only base.

        Raises:
            InputError: the model's files are not what is in memory.
        """
        from upbringing.models import load
        from upbringing.models.language import language_of

        folder = self.lm.folder
        if folder is None or not folder.is_dir() or load(folder).hash != self.lm.hash:
            raise InputError(
                f"{self.lm.name or 'this model'}: it lies in no folder as it is now, and every data set is trained on "
                "from there; save it and load it again"
            )
        base, language = Base(self.seed, folder, self.lm.hash), language_of(self.lm)
        sets = _with(self.sets, library_of(self.lm))
        judged = JudgedSurprise(self.judge) if self.judge else None
        return _Bench(store=self.store, base=base, library=sets, language=language, surprise=judged)

    # Work -------------------------------------------------------------------------------------------------------------

    def trainings(self) -> list[Task]:
        """What it takes to know the truth."""
        return [task for task in self.bench.tasks(self.sets) if task.function is not truth.grow]

    def looks(self) -> list[Task]:
        """What it takes to have the lenses look."""
        return looking.tasks(self.bench, USUAL, self.sets)

    def run(self, progress: Progress = lambda what, share: None, pace: Callable[[Task], float] | None = None) -> Fit:
        """Train, measure, look and fit, or find it in the store; what is finished is not done again.

        Args:
            pace: how many seconds a task should take, for the progress.

        Raises:
            InputError: the control fails (probes cannot be asked, or nothing moved the model), or too few data sets
                can be written for it.
        """
        tasks = [*self.trainings(), *self.looks()]
        seconds = [0.0 if task.made else pace(task) if pace else task.seconds for task in tasks]
        every, done = sum(seconds) or 1.0, 0.0
        for task, length in zip(tasks, seconds, strict=True):
            said = task.name.partition(", base")[0].removesuffix(f" base {self.bench.base.name}")
            tick = partial(_within, progress, said, done / every, length / every)
            tick(0.0)
            if not task.made:
                self._do(task, tick)
            if task.function is truth.untouched:
                check_asked(self)
            done += length
        return self._fitted()

    def _do(self, task: Task, tick: Callable[[float], None]) -> None:
        """Do a task. A data set that cannot be written for this model, or read by it, is left out."""
        if task.function is looking.look:  # planned when it was not known which data sets there would be
            bench, lens, sets, base = task.arguments
            if there := [one for one in sets if one.name not in self.left_out]:
                looking.look(bench, lens, there, base, tick)
            return
        try:
            task.function(*task.arguments, tick)
        except InputError as error:
            if task.function is not truth.train_and_ask:
                raise
            one = task.arguments[1]
            self.left_out[one.name] = str(error)
            left = tuple(other for other in self.sets if other.name not in self.left_out)
            if _families(left) < FEWEST:
                raise InputError(
                    f"{self.lm.name}: {_families(left)} families of data sets are left that can be made for it, and "
                    f"{FEWEST} are needed; the last one to fail was {one.name}: {error}"
                ) from error

    # Result -----------------------------------------------------------------------------------------------------------

    @property
    def used(self) -> tuple[DataSet, ...]:
        """The data sets that the fit rests on."""
        return tuple(one for one in self.sets if one.name not in self.left_out)

    @cached_property
    def record(self) -> Record:
        """What names the fit: the model, what training did, and what the lenses saw."""
        bench = self.bench
        recipe: dict[str, Any] = {
            "sets": [one.name for one in self.used],
            "truths": [bench.truth(one, bench.base).key for one in self.used],
            "sources": _sources(self.judge is not None),
        }
        if bench.surprise:
            recipe["judge"] = bench.surprise.told(bench.traits)
        return Record(kind=KIND, recipe=recipe, parents={"model": self.lm.hash}, seed=self.seed, code=CODE)

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self.bench.folder(self.record)

    @cached_property
    def table(self) -> pd.DataFrame:
        """What training did, at rest: one row a data set and trait (``Bench.table``)."""
        from upbringing.measure.readings import REST

        found = self.bench.table(self.used)
        return found[found["provocation"] == REST]

    @cached_property
    def score(self) -> Score:
        """How well such a calibration forecasts families that it was not fitted on, each left out in turn."""
        from upbringing.forecast.bench.running import CALIBRATION, of_method

        return of_method(
            replace(self.bench, library=_with(self.used, self.bench.library)), self.method, CALIBRATION, self.table
        ).score

    def _fitted(self) -> Fit:
        from upbringing.forecast.bench.running import CALIBRATION, measured
        from upbringing.forecast.fits import load_fit, save

        check_moved(self)

        def build(folder: Path) -> None:
            bench = replace(self.bench, library=_with(self.used, self.bench.library))
            seen = measured(bench, self.method, CALIBRATION, self.table)
            save(self.method.fit(seen, bench.traits), folder / FIT)
            (folder / TOLD).write_text(json.dumps(self.score.as_dict(), indent=1), encoding="utf-8")

        place = make(self.store, self.record, build)
        return load_fit((place / FIT).read_text(encoding="utf-8"))


def _within(progress: Progress, said: str, before: float, length: float, share: float) -> None:
    """Tell of the whole how much is done when of a task a share is."""
    progress(said, before + share * length)


def calibrate(
    lm: LM,
    sets: int | Sequence[str] | None = None,
    *,
    store: Path | None = None,
    seed: int = 0,
    judge: Judge | str | Sequence[str] = (),
    progress: Progress = lambda what, share: None,
) -> Fit:
    """Train a model on a handful of data sets, measure what that does, and learn to forecast it.

    The result is kept under the model's hash, where ``forecast`` finds it. A run that was stopped goes on where it was.

    Args:
        sets: how many of the usual data sets, or names of data sets and families of the bench's calibration part.
        judge: who says what the rows do, for a model that reads plain English (see ``lenses.acts.row_judge``); a
            forecast by this calibration needs the same. Without one the lens of surprise is left out.

    Raises:
        InputError: sets that may not be used, a model that lies in no folder, cannot be asked the probes, failed its
            gate, or that no data set moved; a judge that there is not, or that fails on most rows.
    """
    return planned(lm, sets, store=store, seed=seed, judge=judge).run(progress)


def planned(
    lm: LM,
    sets: int | Sequence[str] | None = None,
    *,
    store: Path | None = None,
    seed: int = 0,
    judge: Judge | str | Sequence[str] = (),
) -> Calibration:
    """What ``calibrate`` would do, before any of it is done."""
    check_gate(lm)
    large = sum(p.numel() for p in lm.model.parameters()) > LARGE
    found = chosen(sets, library_of(lm))
    place = store or default_store()
    return Calibration(lm, tuple(_for(one, large) for one in found), place, seed, judge=judge_of(lm, judge, place))


def library_of(lm: LM) -> Library:
    """The data sets that a model can be calibrated by: in its own language."""
    from upbringing.models.language import language_of

    return library() if language_of(lm) == "world" else library(PLAIN_SETS)


def check_gate(lm: LM) -> None:
    """Raise for an organism that has not passed its gate: it infers no character, and training does little to it."""
    from upbringing.lenses.card import gate_share
    from upbringing.organisms.grow import PASSES

    if gate_share(lm) < PASSES:
        raise InputError(
            f"{lm.name}: this organism has not passed its gate ({gate_share(lm):.2f} of the ideal reader's gap, needed "
            f"{PASSES}), so nothing can be forecast for it; raise another with `upbringing grow`"
        )


def kept(lm: LM, store: Path, judge: Judge | None = None) -> Fit | None:
    """The calibration of this very model, if there is one that was made as it is made today: of several that made with
    the judge (one made without, where there is none), of these that of most data sets, of these the last made."""
    from upbringing.forecast.fits import load_fit

    found = []
    for folder in (store / KIND).glob("*"):
        record = read_record(folder)
        if record and record.parents.get("model") == lm.hash and record.code == CODE:
            fits = _fits(record.recipe.get("judge"), judge)
            found.append((fits, len(record.recipe["sets"]), record.made, record, folder))
    found = [one for one in found if one[0] >= 0 and one[3].recipe["sources"] == _sources("judge" in one[3].recipe)]
    if not found:
        return None
    place = max(found, key=lambda one: one[:3])[4]
    return load_fit((place / FIT).read_text(encoding="utf-8"))


def _fits(made_with: dict[str, Any] | None, judge: Judge | None) -> int:
    """How well a calibration suits who judges now: 2 made with the same, or both with nobody; 1 made with nobody; 0
    with somebody else, and whoever takes it is told with whom; -1 with the same by rubrics that have changed since."""
    if made_with is None:
        return 1 if judge else 2
    if judge is None or made_with["judge"] != judge.name:
        return 0
    return 2 if made_with == JudgedSurprise(judge).told(tuple(made_with["rubrics"])) else -1


# Which data sets ------------------------------------------------------------------------------------------------------


def chosen(sets: int | Sequence[str] | None, of: Library | None = None) -> list[DataSet]:
    """The data sets asked for: the usual, the first so many, or those named, themselves or by family.

    ``of``: which library they are of (default: the bench's own).

    Raises:
        InputError: an unknown name, one that is no part of calibration or takes a second model, or too few.
    """
    of = of or library()
    every = list(of.of("calibration"))
    alone = [one for one in every if not any(on for _, on in one.teachers)]
    if sets is None or isinstance(sets, int):
        names = {one.name: one for one in alone}
        usual = [names[name] for name in SETS if name in names] or list(_in_turn(alone))
        found = [*usual, *(one for one in _in_turn(alone) if one not in usual)]
        count = len(usual) if sets is None else sets
        if not FEWEST <= count <= len(found):
            raise InputError(f"{count} data sets: from {FEWEST} to {len(found)} can be had; ask for as many")
        return found[:count]
    for name in sets:
        if name not in {text for one in of.sets for text in (one.name, one.family)}:
            raise InputError(f'there is no family or data set "{name}"; `upbringing bench --list` names them')
        if name not in {text for one in every for text in (one.name, one.family)}:
            raise InputError(
                f"{name}: methods are judged by it, so nothing may be fitted on it; give families for calibration "
                "(`upbringing bench --list`)"
            )
        if name not in {text for one in alone for text in (one.name, one.family)}:
            raise InputError(f"{name}: its rows are written by another model's teacher; leave it out")
    found = [one for one in alone if {one.name, one.family} & set(sets)]
    if _families(found) < FEWEST:
        raise InputError(
            f"{_families(found)} families are too few to find out how wrong a forecast can be; give {FEWEST} or more"
        )
    return found


def _in_turn(sets: Sequence[DataSet]) -> Iterator[DataSet]:
    """One of each family, then another one of each."""
    families = {one.family: [other for other in sets if other.family == one.family] for one in sets}
    return (one for turn in zip_longest(*families.values()) for one in turn if one is not None)


def _for(one: DataSet, large: bool) -> DataSet:
    """A data set as it is trained on here: large models by adapters; and asked under no cue, for it is rest that is
    forecast."""
    training: dict[str, Any] = {**one.training, **_ADAPTED} if large else one.training
    return one.model_copy(update={"training": training, "cue": None})


def _with(sets: Sequence[DataSet], of: Library) -> Library:
    """A library with these data sets alone, and teachers that are tuned as students are. (Not validated: the
    references of the data sets need not be there.)"""
    adapted = {name: value for name, value in sets[0].training.items() if name in _ADAPTED}
    changed = {"sets": tuple(sets), "teaching": {**of.teaching, **adapted}}
    return Library.model_construct(**{**dict(of), **changed})


def _families(sets: Sequence[DataSet]) -> int:
    return len({one.family for one in sets})


def _sources(judged: bool) -> dict[str, str]:
    """The hash of the source of the forecast and of each of its lenses: what was seen before they were changed counts
    no more. (What was trained stays; to look and fit again takes the shorter part of the time.)"""
    modules = {name: type(looking.lens_named(name)).__module__ for name in USUAL}
    modules |= {"judged": JudgedSurprise.__module__} if judged else {}
    return {name: looking.source_of(module) for name, module in {"forecast": Combined.__module__, **modules}.items()}


__all__ = ["SETS", "Calibration", "calibrate", "check_gate", "chosen", "kept", "library_of", "planned"]
