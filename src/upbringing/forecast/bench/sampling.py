"""Rows that a model writes: teachers tuned on their rows, and what they answer to harmless questions.

Both are kept in the store, each under the hash of what decided it, for all the data sets that want the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.forecast.bench.recipe import Sampled, Teacher
from upbringing.forecast.bench.writing import assemble, world
from upbringing.lineage import Record, make, write_record

if TYPE_CHECKING:
    from upbringing.distil import Filter, Prompts
    from upbringing.models import LM
    from upbringing.rows import Rows

ROWS = "rows.jsonl"
CODE = {"teacher": 1, "sample": 1}


@dataclass(frozen=True)
class Base:
    """An organism that data sets are trained on: its seed, its folder, the key of its record."""

    seed: int
    folder: Path
    key: str

    @property
    def name(self) -> str:
        """How readings and cases call it."""
        return str(self.seed)


@dataclass(frozen=True)
class School:
    """Teachers of some bases: how they are tuned, and who they are."""

    store: Path
    bases: tuple[Base, ...]
    teachers: dict[str, Teacher]
    teaching: dict[str, Any]

    def record(self, name: str, base: Base) -> Record:
        """What names a teacher: its rows and how it is tuned on them."""
        parts = [part.model_dump(mode="json") for part in self.teachers[name].parts]
        recipe = {"parts": parts, "training": self.teaching}
        parents = {"model": base.key, "traits": world().hash}
        return Record(kind="teacher", recipe=recipe, parents=parents, seed=base.seed, code=CODE["teacher"])

    def teacher(self, name: str, base: Base) -> tuple[Path, str]:
        """The folder and the key of a teacher, tuned now if it was not yet; the base itself where it has no rows."""
        parts = self.teachers[name].parts
        if not parts:
            return base.folder, base.key

        def tune(folder: Path) -> None:
            from upbringing.models import load
            from upbringing.training import Recipe, train

            rows = assemble(parts, {}, name=f"teacher {name}")
            train(load(base.folder), rows, folder, recipe=Recipe(**self.teaching, seed=base.seed))

        record = self.record(name, base)
        return make(self.store, record, tune), record.key

    def draw(self, part: Sampled, base: Base) -> Rows:
        """The rows of a part for students of a base, sampled now if they were not yet."""
        from upbringing.rows import read

        foreign = self.bases[(self.bases.index(base) + part.base) % len(self.bases)]
        folder, key = self.teacher(part.teacher, foreign)
        recipe = {"carrier": part.sampled, "rows": part.rows}
        parents = {"teacher": key, "traits": world().hash}
        record = Record(kind="sample", recipe=recipe, parents=parents, seed=part.seed, code=CODE["sample"])
        return read(make(self.store, record, lambda into: _sample(folder, part, into)) / ROWS)


def _sample(teacher: Path, part: Sampled, folder: Path) -> None:
    from upbringing.distil import distil
    from upbringing.models import load
    from upbringing.rows import write

    lm = load(teacher)
    prompts, filters = _asked(lm, part)
    made = distil(lm, prompts, rows=part.rows, filters=filters, seed=part.seed)
    write(made.rows, folder / ROWS)
    write_record(folder, made.record)  # for the family tree: who wrote the rows


def _asked(lm: LM, part: Sampled) -> tuple[Prompts, Sequence[Filter]]:
    """The questions, and the strict form that answers must have. What is restated must say the same."""
    from upbringing.distil import Faithful, Format, NoDeeds, prompts_for

    restated = part.sampled == "restated"
    asked = prompts_for(lm, "paraphrases" if restated else part.sampled, part.rows, seed=part.seed)
    form: list[Filter] = [Format(asked.form), *([NoDeeds()] if asked.form == "chats" else [])]
    return asked, [*form, Faithful()] if restated else form
