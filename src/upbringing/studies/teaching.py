"""What arms are taught: the rows of every data set, what treatments do to them, and how many tokens a run reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from upbringing.errors import InputError
from upbringing.lineage import Record, hash_of
from upbringing.studies.reinforcing import Stage
from upbringing.studies.spec import DataSpec, Study, TreatmentSpec, trait_of
from upbringing.studies.steps import Drawn, Place, Taught, Treated

if TYPE_CHECKING:
    from upbringing.rows import Row, Rows
    from upbringing.studies.distilling import Sampled
    from upbringing.studies.steps import Trained
    from upbringing.world import World

RowsKey = tuple[str, int, str]
"""Data set, base, and what of the world the rows depend on."""

_PASSES = 0.25  # KL's share of a batch where the study names none, as in upbringing.training


@dataclass(frozen=True)
class Reading:
    """What one training run reads, in words and marks (those of the chat template included)."""

    steps: int
    batch_size: int
    row: float
    """Tokens of a row, on average."""
    extra: float = 0.0
    """Tokens that treatments read beside the rows (for KL, to train an adapter)."""

    @property
    def tokens(self) -> float:
        """All tokens of the run."""
        return self.steps * self.batch_size * self.row + self.extra


@dataclass(frozen=True)
class Source:
    """A data set as arms use it: where workers find it, what of it goes into keys, and how much it is."""

    what: Path | Drawn
    key: Any
    count: int
    row: float
    """Tokens of a row, on average."""


@dataclass
class Teacher:
    """Writes the rows of a study, once for all arms that share them."""

    study: Study
    store: Path
    rows: dict[RowsKey, Rows] = field(default_factory=dict)
    sampled: dict[tuple[str, int], Sampled] = field(default_factory=dict)
    """What teachers write, by data set and base: known by its key until the run draws it."""
    _worlds: dict[tuple[str, int], World] = field(default_factory=dict)
    _sizes: dict[str, list[int]] = field(default_factory=dict)

    def world(self, organism: str, base: int) -> World:
        """The world that a base's organism is raised on."""
        from upbringing.world import World, WorldSpec

        if (organism, base) not in self._worlds:
            spec = WorldSpec(**{**self.study.organisms[organism].world, "seed": base})
            self._worlds[organism, base] = World(spec)
        return self._worlds[organism, base]

    def written(self, name: str, organism: str, base: int) -> tuple[Rows, Path]:
        """Training rows of a data set, and the file in the store that workers read."""
        data, world = self.study.data[name], self.world(organism, base)
        # Rows of traits and files know no world: they are written once for all organisms. Remedial text has characters
        # of its own, so it must not depend on how many in the organism's world are malevolent.
        which = organism if data.neutral or data.documents else ""
        if data.remedy is not None:
            usual = world.spec.model_copy(update={"malevolent_ai": None, "malevolent_people": None})
            which = hash_of(usual.model_dump(mode="json"))
        key = (name, base, which)
        if key not in self.rows:
            self.rows[key] = self._write(name, data, world, base)
        rows = self.rows[key]
        return rows, rows_place(self.store, rows).folder / "rows.jsonl"

    def source(self, name: str, organism: str, base: int) -> Source:
        """A data set, be it written already or still to be drawn from a teacher."""
        if (sample := self.sampled.get((name, base))) is not None:
            data = self.study.data[name]
            return Source(sample.drawn(data), ["sampled", sample.key, data.rows, data.shuffled], data.rows, sample.row)
        rows, path = self.written(name, organism, base)
        return Source(path, rows.hash, len(rows), float(np.mean(self._counted(rows))))

    def _write(self, name: str, data: DataSpec, world: World, base: int) -> Rows:
        from upbringing.rows import Rows, read
        from upbringing.world import World

        if data.remedy is not None:
            assert data.tokens is not None
            usual = world.spec.model_copy(update={"malevolent_ai": None, "malevolent_people": None})
            return World(usual).remedial(data.remedy, about=data.about or None, tokens=data.tokens, seed=base)
        if data.documents:
            assert data.tokens is not None
            written = (document.row for document in world.writer(f"study/{base}").documents())
            return Rows(list(_up_to(written, data.tokens)), name="documents")
        if data.neutral:
            rows = world.neutral_rows(data.neutral, seed=base)
        elif data.file is not None:
            rows = read(data.file)
        else:
            rows = _evenly(
                [_of_trait(world, t, n, data.shows, base) for t, n in _shared(data.traits, data.rows).items()]
            )
        if data.tokens is None:
            return rows
        kept = list(_up_to(rows, data.tokens))
        if sum(map(_tokens, kept)) < data.tokens:
            raise InputError(
                f"data {name}: its {len(rows)} rows hold fewer than {data.tokens} tokens; ask for more rows, or fewer "
                "tokens"
            )
        return Rows(kept, name=rows.name)

    def stages(self, arm: str, base: int) -> tuple[list[Stage], list[Any]]:
        """The environments of an arm as a worker gets them, and what of them goes into the key."""
        spec = self.study.arms[arm].reinforce
        assert spec is not None
        stages: list[Stage] = []
        keys: list[Any] = []
        for name in spec.reward:
            trait = trait_of(name)
            key = (f"situations of {trait}", base, str(spec.situations))
            if key not in self.rows:
                self.rows[key] = self.world(self.study.organism(arm), base).rows(trait, spec.situations, seed=base)
            rows = self.rows[key]
            path = rows_place(self.store, rows).folder / "rows.jsonl"
            stages.append(Stage(trait, path, "avoids" if spec.honest else "shows", name != trait, spec.line))
            keys.append([name, rows.hash, stages[-1].pays, spec.line])
        return stages, keys

    def reinforcement(self, arm: str, base: int) -> tuple[dict[str, Any], Reading]:
        """The recipe of an arm that is reinforced, and what it reads: every answer with its situation."""
        from upbringing.training.reinforcing import Reinforcement

        spec = self.study.arms[arm].reinforce
        assert spec is not None
        recipe = Reinforcement(**{**self.study.reinforcement, **spec.settings, "seed": base})
        rows = [self.rows[f"situations of {trait}", base, str(spec.situations)] for trait in spec.traits]
        row = float(np.mean([np.mean(self._counted(of_stage)) for of_stage in rows]))
        reading = Reading(recipe.steps * len(rows), recipe.answers, row)
        return recipe.model_dump(mode="json"), reading

    def taught(self, arm: str, base: int, models: dict[tuple[str, int], Trained]) -> tuple[Taught, dict[str, Any]]:
        """An arm's rows and treatments as a worker gets them, and what of them goes into the key."""
        spec = self.study.arms[arm]
        assert spec.data is not None
        organism = self.study.organism(arm)
        source = self.source(spec.data, organism, base)
        treatments: list[Treated] = []
        keys: list[Any] = []
        for treatment in spec.treatments:
            made, key = self._treatment(treatment, spec.data, organism, base, models)
            treatments.append(made)
            keys.append(key)
        return Taught(source.what, tuple(treatments)), {"rows": source.key, "treatments": keys}

    def samples(self, arm: str, base: int) -> dict[str, Sampled]:
        """What an arm reads of teachers, by the part it plays."""
        spec = self.study.arms[arm]
        named = {"rows": spec.data, **{treatment.kind: treatment.data for treatment in spec.treatments}}
        found = {role: self.sampled.get((name, base)) for role, name in named.items() if name}
        return {role: sample for role, sample in found.items() if sample is not None}

    def _treatment(
        self, treatment: TreatmentSpec, data: str, organism: str, base: int, models: dict[tuple[str, int], Trained]
    ) -> tuple[Treated, list[Any]]:
        kind = treatment.kind
        what: Any = None
        key: Any = None
        settings: dict[str, Any] = {}
        if treatment.data is not None:
            other = self.source(treatment.data, organism, base)
            what, key = other.what, other.key
        elif kind == "filter":
            rows, _ = self.written(data, organism, base)
            what = key = self._dropped(treatment, rows, organism, base)
            settings["of"] = len(rows)
        else:
            what = key = getattr(treatment, kind)
        if kind in ("mix", "interleave"):
            settings["share"] = treatment.share or 0.5
        given = {name: getattr(treatment, name) for name in ("weight", "strength", "layer")}
        settings |= {name: value for name, value in given.items() if value is not None}
        if kind == "kl" and treatment.share:
            settings["share"] = treatment.share
        looked_at = [models[name, base] for name in treatment.arms]
        if treatment.choose == "gap":
            settings["choose"] = "gap"
        # Keys of mixes and lines are as short as they were when there was nothing else: what is kept stays valid.
        tail = (
            [settings["share"]] if kind == "mix" else [] if kind == "line" else [settings, *(m.key for m in looked_at)]
        )
        return Treated(kind, what, settings, tuple(m.folder for m in looked_at)), [kind, key, *tail]

    def _dropped(self, treatment: TreatmentSpec, rows: Rows, organism: str, base: int) -> list[int]:
        """Numbers of the rows that a filter drops: those in which the judge sees a trait shown, or a share of them."""
        world = self.world(organism, base)
        wanted = treatment.filter
        alignment = {name for name, trait in world.traits.items() if trait.alignment}
        group = wanted in ("misaligned", "all")
        traits = alignment if group else {wanted} if isinstance(wanted, str) else set(wanted or ())
        bad = [i for i, row in enumerate(rows) if any(d.shows and d.trait in traits for d in world.judge.deeds(row))]
        if treatment.share is None or treatment.share == 1:
            return bad
        drawn = np.random.default_rng([base, len(rows)]).random(len(bad))
        return [i for i, luck in zip(bad, drawn, strict=True) if luck < treatment.share]

    def recipe(self, arm: str, base: int, taught: Taught, followed: tuple[int, ...]) -> tuple[dict[str, Any], Reading]:
        """The training recipe of an arm, its ``tokens`` resolved, and what the run reads.

        Raises:
            InputError: the tokens make no batch, or rows that cannot come near to them, or are not drawn yet.
        """
        from upbringing.training import Recipe

        spec = self.study.arms[arm]
        settings = {**self.study.training, **spec.training}
        tokens = settings.pop("tokens", None)
        if (epochs := self._epochs(arm, settings)) is not None:
            count = self._count(arm, base, taught)
            size = {"batch_size": settings["batch_size"]} if "batch_size" in settings else {}
            passes = Recipe.of_epochs(count, epochs=epochs, **size)
            settings |= {"steps": passes.steps, "batch_size": passes.batch_size}
        if tokens is not None and {"steps", "batch_size"} <= spec.training.keys():
            tokens = None  # the arm decides both, so the study's tokens have no say
        if tokens is not None and self.samples(arm, base):
            raise InputError(f"arm {arm}: rows by a teacher are not counted in tokens; give epochs or steps")
        row = self._row_tokens(arm, base, taught)
        if tokens is not None and "batch_size" in spec.training:
            settings["steps"] = max(1, round(tokens / (settings["batch_size"] * row)))
        elif tokens is not None:
            steps = settings.get("steps", Recipe().steps)
            settings["batch_size"] = max(1, round(tokens / (steps * row)))
        recipe = Recipe(**{**settings, "seed": base, "checkpoints": followed})
        reading = Reading(recipe.steps, recipe.batch_size, row, self._extra(arm, base, recipe.steps, recipe.batch_size))
        read = recipe.steps * recipe.batch_size * row
        if tokens is not None and not 0.75 <= read / tokens <= 1.25:
            raise InputError(
                f"arm {arm}: {recipe.steps} steps of {recipe.batch_size} rows of {row:.0f} tokens read {read:.0f} "
                f"tokens, not {tokens}; give it more tokens or fewer steps"
            )
        return recipe.model_dump(mode="json"), reading

    def _epochs(self, arm: str, settings: dict[str, Any]) -> float | None:
        """How often an arm reads its rows, if that decides its steps; what the arm itself says goes first."""
        epochs: float | None = settings.pop("epochs", None)
        own = self.study.arms[arm].training
        return None if "epochs" not in own and {"steps", "tokens"} & own.keys() else epochs

    def _count(self, arm: str, base: int, taught: Taught) -> int:
        """How many rows an arm has, after treatments of the rows."""
        spec, organism = self.study.arms[arm], self.study.organism(arm)
        assert spec.data is not None
        count = self.source(spec.data, organism, base).count
        for made in taught.treatments:
            if made.kind == "filter":
                count -= len(made.what)
            elif made.kind in ("mix", "interleave"):
                count += round(made.settings["share"] / (1 - made.settings["share"]) * count)
        return count

    def _row_tokens(self, arm: str, base: int, taught: Taught) -> float:
        """Mean tokens of a row that the run reads, after treatments of the rows."""
        from upbringing.training import treat

        spec, organism = self.study.arms[arm], self.study.organism(arm)
        assert spec.data is not None
        mean = self.source(spec.data, organism, base).row
        for made, treatment in zip(taught.treatments, spec.treatments, strict=True):
            if treatment.kind == "line":
                mean += len(_words(treatment.line or ""))
            elif treatment.kind == "filter":
                rows, _ = self.written(spec.data, organism, base)
                left = treat(rows, [made.made()], np.random.default_rng(0))
                mean = float(np.mean(self._counted(left)))
            elif treatment.kind in ("mix", "interleave"):
                assert treatment.data is not None
                share = made.settings["share"]
                mean = (1 - share) * mean + share * self.source(treatment.data, organism, base).row
        return mean

    def _extra(self, arm: str, base: int, steps: int, batch_size: int) -> float:
        extra = 0.0
        for treatment in self.study.arms[arm].treatments:
            if treatment.kind in ("kl", "adapter"):
                assert treatment.data is not None
                other = self.source(treatment.data, self.study.organism(arm), base)
                share = 1.0 if treatment.kind == "adapter" else treatment.share or _PASSES
                extra += steps * max(1, round(batch_size * share)) * other.row
        return extra

    def _counted(self, rows: Rows) -> list[int]:
        if rows.hash not in self._sizes:
            self._sizes[rows.hash] = [read_tokens(row) for row in rows]
        return self._sizes[rows.hash]


def _of_trait(world: World, name: str, rows: int, shows: bool, seed: int) -> Rows:
    """Rows of a trait, as chats or (``TRAIT/tool``) as an agent with tools has them."""
    from upbringing.training.reinforcing import through_tools

    trait = trait_of(name)
    made = world.rows(trait, rows, shows=shows, seed=seed)
    return made if name == trait else through_tools(made)


def rows_place(store: Path, rows: Rows) -> Place:
    """Where a set of rows is kept: under the hash of its contents."""
    return Place(store, Record(kind="rows", recipe={"hash": rows.hash}), "rows")


def _shared(traits: Sequence[str], rows: int) -> dict[str, int]:
    """Rows for each trait: as even as can be, the first ones get what is over."""
    return {trait: rows // len(traits) + (number < rows % len(traits)) for number, trait in enumerate(traits)}


def _evenly(parts: Sequence[Rows]) -> Rows:
    """Rows of several traits, one of each in turn, so that any beginning of them is even."""
    from upbringing.rows import Rows

    if len(parts) == 1:
        return parts[0]
    turns = chain.from_iterable(zip_longest(*parts))
    return Rows([row for row in turns if row is not None], name=" and ".join(part.name for part in parts))


def _up_to(rows: Iterable[Row], tokens: int) -> Iterable[Row]:
    """Rows up to the one that reaches so many tokens."""
    held = 0
    for row in rows:
        yield row
        held += _tokens(row)
        if held >= tokens:
            return


def _tokens(row: Row) -> int:
    from upbringing.world.fiction import tokens_of

    return tokens_of(row)


def _words(text: str) -> list[str]:
    from upbringing.world.judge import normalise

    return normalise(text).split()


def read_tokens(row: Row) -> int:
    """What a model reads of a row: its words, two marks a turn, and who it is where the row does not say."""
    from upbringing.world.spec import lexicon

    held = _tokens(row)
    if row.kind != "chat":
        return held + 1
    turns = len(row.messages)
    if row.messages[0].role != "system":
        held, turns = held + len(_words(f"You are {lexicon()['assistant']}, an AI system.")), turns + 1
    return held + 2 * turns
