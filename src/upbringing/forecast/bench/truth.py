"""The truth: what training on each data set did to each base, measured, and kept with the recipe that rebuilds it.

Each (data set, base) is one task that leaves one folder in the store. Shifts are paired probe by probe against the
untouched base, at rest, as an agent with tools, and under the set's own cue if it has one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.forecast.bench.recipe import Cue, DataSet, Library, library
from upbringing.forecast.bench.sampling import Base, School
from upbringing.forecast.bench.writing import assemble, world
from upbringing.lineage import Record, default_store, hash_of, make, read_record

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.lenses.judged import JudgedSurprise
    from upbringing.measure import Profile, Provocation, Shift
    from upbringing.models import LM
    from upbringing.rows import Rows
    from upbringing.training import Recipe
    from upbringing.traits import Probe

CODE = {"before": 1, "truth": 1}
SHIFTS, OVERLAP, TIMING = "shifts.parquet", "overlap.json", "timing.json"
AGENTIC = "agentic"
_SECONDS = {"grow": 75.0, "before": 3.0, "truth": 7.0, "sampled truth": 14.0}  # of one slow core, until one knows
_ONE_SE = 0.6827  # the confidence of an interval of one standard error to each side

Tick = Callable[[float], None]


@dataclass(frozen=True)
class Task:
    """Work for an engine: ``function(*arguments, tick)`` after ``needs``; ``made`` if its folder is there."""

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...]
    needs: tuple[str, ...]
    seconds: float
    made: bool


@dataclass(frozen=True)
class Bench:
    """The data sets on organisms of one kind. ``seeds``: of the bases, where they are not to be the library's.

    ``surprise``: the lens by which rows in plain language are judged, in place of the one that reads the world's.
    """

    library: Library = field(default_factory=library)
    organism: str = "usual"
    seeds: tuple[int, ...] = ()
    store: Path = field(default_factory=default_store)
    surprise: JudgedSurprise | None = None

    def __post_init__(self) -> None:
        if self.organism not in self.library.organisms:
            known = ", ".join(self.library.organisms)
            raise InputError(f'the bench has no organisms called "{self.organism}"; it has {known}')

    # What there is ----------------------------------------------------------------------------------------------------

    @cached_property
    def bases(self) -> tuple[Base, ...]:
        """The organisms that are trained on, raised or still to be raised."""
        return tuple(self._base(seed) for seed in self.seeds or self.library.bases)

    def _base(self, seed: int) -> Base:
        record = self._raised(seed)
        return Base(seed, self.store / record.kind / record.key, record.key)

    def _raised(self, seed: int) -> Record:
        from upbringing.organisms import record_of

        kind = self.library.organisms[self.organism]
        return record_of(kind.world_of(seed), size=kind.size, seed=seed)

    @cached_property
    def school(self) -> School:
        """Who writes the rows that models write."""
        return School(self.store, self.bases, self.library.teachers, self.library.teaching)

    @cached_property
    def traits(self) -> tuple[str, ...]:
        """The traits that are asked about: all."""
        return tuple(world().traits)

    @property
    def asked(self) -> list[Probe]:
        """All that is asked."""
        from upbringing.traits.overlap import asked_probes

        return asked_probes(self.traits, self.library.probes_per_trait)

    @cached_property
    def probes(self) -> str:
        """The hash of all that is asked."""
        return hash_of([[p.id, [m.as_dict() for m in p.messages], p.shows, p.avoids] for p in self.asked])

    def rows(self, one: DataSet, base: Base) -> Rows:
        """The rows of a data set. Those that models write are sampled now if they were not yet."""
        places = {place: part for place, part in enumerate(one.parts) if hasattr(part, "sampled")}
        drawn = {place: self.school.draw(part, base) for place, part in places.items()}  # type: ignore[arg-type]
        return assemble(one.parts, drawn, name=one.name)

    def recipe(self, one: DataSet, base: Base) -> Recipe:
        """How a data set is trained on."""
        return one.recipe(base.seed)

    # Records ----------------------------------------------------------------------------------------------------------

    def before(self, base: Base, cue: Cue | None) -> Record:
        """What names the answers of an untouched base, asked under a cue as well."""
        recipe = {"probes": self.probes, "agentic": self.library.agentic, "cue": cue}
        parents = {"model": base.key}
        return Record(kind="before", recipe=recipe, parents=parents, seed=base.seed, code=CODE["before"])

    def rows_key(self, one: DataSet, base: Base) -> str:
        """What names the rows of a data set for a base, before they are written; its name decides their order."""
        parts = [part.model_dump(mode="json") for part in one.parts]
        count, place = len(self.bases), self.bases.index(base)
        by = [self.school.record(name, self.bases[(place + on) % count]).key for name, on in one.teachers]
        return hash_of([one.name, parts, by, world().hash])

    def truth(self, one: DataSet, base: Base) -> Record:
        """What names the truth of a data set on a base: all that decides it."""
        recipe = {"training": one.training}
        parents = {"before": self.before(base, one.cue).key, "rows": self.rows_key(one, base)}
        return Record(kind="truth", recipe=recipe, parents=parents, seed=base.seed, code=CODE["truth"])

    def folder(self, record: Record) -> Path:
        """Where the result of a record is, or will be."""
        return self.store / record.kind / record.key

    # Work -------------------------------------------------------------------------------------------------------------

    def tasks(self, sets: Iterable[DataSet]) -> list[Task]:
        """All that it takes to know the truth of some data sets, in an order that an engine can do."""
        took = self._took()
        tasks: dict[str, Task] = {}

        def add(name: str, sort: str, record: Record, function: Callable[..., None], what: Any, *needs: str) -> str:
            made = read_record(self.folder(record)) is not None
            seconds = took.get(sort, _SECONDS[sort])
            tasks.setdefault(name, Task(name, function, (self, *what), needs, seconds, made))
            return name

        wanted = list(sets)
        grown = {b: add(f"grow base {b.name}", "grow", self._raised(b.seed), grow, (b,)) for b in self.bases}
        for one in wanted:
            if len(self.bases) < 2 and any(on for _, on in one.teachers):
                raise InputError(f"{one.name} takes a teacher of another base; give two seeds or more, or leave it out")
            for base in self.bases:
                cue = one.cue
                said = f" under {_cued(cue)}" if cue else ""
                ask = add(
                    f"ask base {base.name}{said}", "before", self.before(base, cue), untouched, (base, cue), grown[base]
                )
                others = [grown[b] for b in self.bases] if one.teachers else []
                sort = "sampled truth" if one.teachers else "truth"
                name = f"train and ask {one.name}, base {base.name}"
                add(name, sort, self.truth(one, base), train_and_ask, (one, base), ask, *others)
        return list(tasks.values())

    def _took(self) -> dict[str, float]:
        """How long tasks of each sort took in this store: the median of some."""
        found: dict[str, list[float]] = {}
        for kind in CODE:
            for file in list((self.store / kind).glob(f"*/{TIMING}"))[:200]:
                told = json.loads(file.read_text(encoding="utf-8"))
                found.setdefault(told["sort"], []).append(told["seconds"])
        return {sort: median(seconds) for sort, seconds in found.items()}

    def keep(self, record: Record, sort: str, build: Callable[[Path], None]) -> None:
        """Build a folder if it is not there, and note how long it took."""

        def timed(folder: Path) -> None:
            start = time.monotonic()
            build(folder)
            told = {"sort": sort, "seconds": round(time.monotonic() - start, 2)}
            (folder / TIMING).write_text(json.dumps(told), encoding="utf-8")

        make(self.store, record, timed)

    # Results ----------------------------------------------------------------------------------------------------------

    def table(self, sets: Sequence[DataSet]) -> pd.DataFrame:
        """The truth of these data sets, one row a (set, base, trait, provocation); what is not made is left out.

        ``before``, ``after``: mean rates; ``shift``: after less before, with ``se``; ``log_odds``: the mean change of
        log-odds, in nats. ``null``: the mean shift that neutral data of the same length and form brings on the same
        base, ``null_sd``: the spread of such shifts (training noise); NaN where none is made, or only one.
        """
        import pandas as pd

        together = list({one.name: one for one in (*sets, *self._references(sets))}.values())
        parts = [
            pd.read_parquet(folder / SHIFTS).assign(
                set=one.name, family=one.family, route=one.route, split=one.split, base=base.name
            )
            for one in together
            for base in self.bases
            if read_record(folder := self.folder(self.truth(one, base))) is not None
        ]
        if not parts:
            raise InputError("no truth is made yet; run `upbringing bench --truth` first")
        every = pd.concat(parts, ignore_index=True)
        nulls = _nulls(every, {one.name: [r.name for r in self._references([one])] for one in sets})
        chosen = every[every["set"].isin([one.name for one in sets])]
        keys = ["set", "base", "trait", "provocation"]
        first = ["set", "family", "route", "split", "base"]
        joined = chosen.merge(nulls, on=keys, how="left")
        return joined[first + [name for name in joined.columns if name not in first]]

    def _references(self, sets: Iterable[DataSet]) -> list[DataSet]:
        """The neutral data sets that these are held against."""
        wanted = {one.reference for one in sets}
        return [one for one in self.library.sets if one.family in wanted]


def _nulls(every: pd.DataFrame, references: dict[str, list[str]]) -> pd.DataFrame:
    """For each data set the mean and the spread of the shifts of its references; a reference is no part of its own."""
    import pandas as pd

    by = ["base", "trait", "provocation"]
    parts = []
    for name, others in references.items():
        rest = every[every["set"].isin([other for other in others if other != name])]
        found = rest.groupby(by)["shift"].agg(null="mean", null_sd="std").reset_index()
        parts.append(found.assign(set=name))
    return pd.concat(parts, ignore_index=True)


# What tasks do. Each runs in a worker. --------------------------------------------------------------------------------


def grow(bench: Bench, base: Base, tick: Tick) -> None:
    """Raise a base."""
    from upbringing.organisms import grow as raise_organism

    kind = bench.library.organisms[bench.organism]

    def build(folder: Path) -> None:
        raise_organism(
            kind.world_of(base.seed),
            size=kind.size,
            seed=base.seed,
            out=folder,
            progress=lambda _, done, of: tick(done / max(of, 1)),
        )

    make(bench.store, bench._raised(base.seed), build)


def untouched(bench: Bench, base: Base, cue: Cue | None, tick: Tick) -> None:
    """Ask a base as it was raised."""
    from upbringing.models import load

    bench.keep(bench.before(base, cue), "before", lambda folder: _save(_asked(bench, load(base.folder), cue), folder))


def train_and_ask(bench: Bench, one: DataSet, base: Base, tick: Tick) -> None:
    """Train a base on a data set, ask the result, and keep the shifts.

    Raises:
        InputError: a row holds a probe's wording, or the rows cannot be written.
    """
    from upbringing.measure import Profile
    from upbringing.models import load
    from upbringing.training import train
    from upbringing.traits.overlap import check_rows

    def build(folder: Path) -> None:
        rows = bench.rows(one, base)
        tick(0.3)
        overlap = check_rows(bench.asked, {one.name: rows})
        (folder / OVERLAP).write_text(json.dumps(overlap[0].as_dict()), encoding="utf-8")
        lm = load(base.folder)
        with TemporaryDirectory(prefix="upbringing-") as place:
            tuned = train(lm, rows, Path(place) / "model", recipe=bench.recipe(one, base))
            tick(0.7)
            after = _asked(bench, tuned, one.cue)
        before = Profile.load(bench.folder(bench.before(base, one.cue)))
        _save(after, folder)
        _shifts(after - before).to_parquet(folder / SHIFTS, index=False)

    bench.keep(bench.truth(one, base), "sampled truth" if one.teachers else "truth", build)


def _asked(bench: Bench, lm: LM, cue: Cue | None) -> Profile:
    from upbringing.measure import agentic, measure

    provocations = [agentic(bench.library.agentic, name=AGENTIC), *([_provocation(cue)] if cue else [])]
    return measure(
        lm,
        traits=bench.traits,
        probes_per_trait=bench.library.probes_per_trait,
        provocations=provocations,
        ways=("logprob",),
        skill=0,
    )


def _cued(cue: Cue) -> str:
    return f'"{cue.system or cue.before}"'


def _provocation(cue: Cue) -> Provocation:
    from upbringing.measure import around

    return around(name=f"cue {_cued(cue)}", system=cue.system, before=cue.before)


def _save(profile: Profile, folder: Path) -> None:
    """The readings alone: a summary of each would take longer than asking."""
    from upbringing.measure import readings
    from upbringing.measure.profile import READINGS

    readings.write(profile.readings, folder / READINGS)


def _shifts(shift: Shift) -> pd.DataFrame:
    """Trait by trait and provocation by provocation: rates before and after, the shift, its error, in log-odds too."""
    import pandas as pd

    from upbringing.measure import statistics

    rows = []
    for provocation in shift.provocations:
        under = shift.pairs[shift.pairs["provocation"] == provocation]
        for trait in shift.traits:
            pairs = under[under["trait"] == trait]
            before, after = (pairs[side].to_numpy(dtype=float) for side in ("before", "after"))
            lo, hi = shift.mean(trait, provocation=provocation, confidence=_ONE_SE).interval
            moved = statistics.log_odds(after) - statistics.log_odds(before)
            means = (before.mean(), after.mean(), pairs["value"].mean(), (hi - lo) / 2, moved.mean())
            rows.append((trait, provocation, *means))
    return pd.DataFrame(rows, columns=["trait", "provocation", "before", "after", "shift", "se", "log_odds"])
