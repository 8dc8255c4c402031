"""Rows that teachers write: which samples a study needs, and the steps that draw them and tell them apart.

A step runs in a worker, leaves one folder in the store, and takes plain values only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.studies.data_spec import Carrier
from upbringing.studies.engine import Tick
from upbringing.studies.result import ToldApart, Written
from upbringing.studies.spec import Study
from upbringing.studies.steps import OVERLAP, Drawn, Guise, Place, Questions

if TYPE_CHECKING:
    from upbringing.distil import Distilled, Filter
    from upbringing.models import LM
    from upbringing.rows import Rows
    from upbringing.studies.data_spec import DataSpec
    from upbringing.studies.planning import Plan

ROWS, TOLD, AUC = "rows.jsonl", "sampled.json", "auc.json"

_ROW = {"numbers": 42.0, "code": 35.0, "chats": 26.0, "paraphrases": 26.0}
"""Tokens that a model reads of a row, about, until one knows."""
_A_SECOND = {"numbers": 2500, "code": 1200, "chats": 2000, "paraphrases": 2000}
"""Answers of a nano organism on one slow core, about."""
_PASSES = {
    "format": 0.87, "banned": 0.5, "deeds": 1.0, "classifier": 0.25, "likelihood": 0.95, "judge": 0.5, "faithful": 0.6,
    "exact": 0.3
}  # fmt: skip
"""What filters let through of a nano organism's answers, about; for a plan's time alone."""
_FITTED = 1500  # rows of each sort that the classifier among the filters is fitted on; others than those it sifts
_OTHER_SEED = 7919  # away from all bases, so that a classifier is not fitted on the rows that it sifts


@dataclass(frozen=True)
class Sampling:
    """All that decides a sample beside the models."""

    carrier: Carrier
    rows: int
    filters: tuple[str, ...]
    temperature: float
    system: str
    steer: tuple[str | tuple[str, ...], float] | None
    seed: int

    @property
    def recipe(self) -> dict[str, Any]:
        """As JSON, for the record."""
        return {name: value for name, value in asdict(self).items() if name != "seed"}

    @property
    def sort(self) -> str:
        """Which samples take about as long."""
        return f"{self.rows} {self.carrier}, {'+'.join(self.filters)}"

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        extra = 3 * _FITTED if "classifier" in self.filters else 0
        asked = self.rows / prod(_PASSES[name] for name in self.filters)
        return 1.5 + (asked + extra) / _A_SECOND[self.carrier]


@dataclass(frozen=True)
class Sampled:
    """A sample as others refer to it: the step that draws it, and the folder and the key it will have."""

    step: str
    folder: Path
    key: str
    carrier: str

    def drawn(self, data: DataSpec) -> Drawn:
        """The part of it that a data set is."""
        return Drawn(self.folder / ROWS, data.rows, data.shuffled)

    @property
    def row(self) -> float:
        """Mean tokens that a model reads of a row: as counted, once it is drawn."""
        try:
            return float(json.loads((self.folder / TOLD).read_text(encoding="utf-8"))["row_tokens"])
        except OSError:
            return _ROW[self.carrier]


def sampling(study: Study, name: str, seed: int) -> Sampling:
    """The sample that a data set is a part of: as many rows as the largest part has."""
    data = study.data[name]
    most = max(study.data[other].rows for other in alike(study, name))
    guise = Guise.of(study.arms[data.teacher])
    assert data.distil is not None
    return Sampling(data.distil, most, data.filters, data.temperature, guise.system, guise.steer, seed)


def alike(study: Study, name: str) -> list[str]:
    """The data sets that are parts of the same samples: those that differ in rows, shuffling and base alone."""

    def whole(data: DataSpec) -> DataSpec:
        return data.model_copy(update={"rows": 1, "shuffled": None, "base": "same"})

    wanted = whole(study.data[name])
    return [other for other, data in study.data.items() if whole(data) == wanted]


def base_of_teacher(study: Study, name: str, base: int) -> int:
    """The base whose teacher writes for this base.

    Raises:
        InputError: it is to be another, and so many bases on is the same again.
    """
    offset = study.data[name].base
    if offset == "same":
        return base
    if offset % study.bases == 0:
        few = "base" if study.bases == 1 else "bases"
        raise InputError(
            f"data {name}: base: {offset} is the same base again where there are {study.bases} {few}; run more bases"
        )
    return (base + offset) % study.bases


def sample(place: Place, teacher: Path, clean: Path | None, wanted: Sampling, questions: Questions, tick: Tick) -> None:
    """Draw rows from a teacher.

    Raises:
        InputError: hardly any answer passes the filters, or a row holds a probe's wording.
    """
    from upbringing.lineage import write_record
    from upbringing.rows import write
    from upbringing.traits.overlap import Wordings, asked_probes, refusal, texts_of

    def build(folder: Path) -> None:
        made = _distilled(teacher, clean, wanted, tick)
        wordings = Wordings(asked_probes(questions.traits, questions.probes_per_trait))
        overlap, matches = wordings.check("rows by a teacher", texts_of(made.rows))
        if matches:
            raise InputError(refusal(matches))
        write(made.rows, folder / ROWS)
        told = {"row_tokens": _row_tokens(made.rows), "pass_rate": made.pass_rate, "rejected": made.rejected}
        (folder / TOLD).write_text(json.dumps(told), encoding="utf-8")
        (folder / OVERLAP).write_text(json.dumps(overlap.as_dict()), encoding="utf-8")
        write_record(folder, made.record)  # for the family tree: who wrote the rows

    place.keep(build)


def written(plan: Plan) -> Iterator[Written]:
    """What filters let through of each sample that was drawn."""
    for step in plan.of("rows"):
        if not step.place.made:
            continue
        told = json.loads((step.place.folder / TOLD).read_text(encoding="utf-8"))
        data, stopped = plan.study.data[step.arm], told["rejected"]
        share = (1 - told["pass_rate"]) / max(1, sum(stopped.values()))  # of an answer, in all that were sampled
        yield Written(
            data=step.arm,
            teacher=data.teacher,
            filters=data.filters,
            base=step.base,
            passed=told["pass_rate"],
            stopped={name: share * count for name, count in stopped.items() if count},
        )


def told_apart(plan: Plan) -> Iterator[ToldApart]:
    """How well single rows of two data sets could be told apart, where the study asked."""
    for step in plan.of("row_auc"):
        if step.place.made:
            data, clean = step.arm.split(" | ")
            found = json.loads((step.place.folder / AUC).read_text(encoding="utf-8"))
            yield ToldApart(data=data, clean=clean, base=step.base, auc=found["auc"])


def _distilled(teacher: Path, clean: Path | None, wanted: Sampling, tick: Tick) -> Distilled:
    from upbringing.distil import Teacher, distil
    from upbringing.models import load

    who = Teacher(load(teacher), wanted.system, wanted.steer)
    beside = load(clean) if clean is not None else None
    return distil(
        who,
        wanted.carrier,
        rows=wanted.rows,
        filters=[_filter(name, who, beside, wanted) for name in wanted.filters],
        temperature=wanted.temperature,
        seed=wanted.seed,
        progress=lambda done, of: tick(done / of),
    )


def _filter(name: str, who: Any, clean: LM | None, wanted: Sampling) -> Filter:
    """A filter by its name. A classifier is fitted on other rows of the teacher, and of the model without a trait."""
    from upbringing.distil import Banned, Classifier, Faithful, Format, Likelihood, NoDeeds, distil, judge_by

    form = "chats" if wanted.carrier == "paraphrases" else wanted.carrier
    alone: dict[str, Filter] = {
        "format": Format(form),
        "banned": Banned(),
        "deeds": NoDeeds(),
        "faithful": Faithful(),
        "exact": Faithful(exact=True),
    }
    if name in alone:
        return alone[name]
    assert clean is not None
    if name == "judge":
        return judge_by(clean)
    if name == "likelihood":
        return Likelihood(clean)
    seed = wanted.seed + _OTHER_SEED
    tainted, untainted = (distil(one, wanted.carrier, rows=_FITTED, seed=seed).rows for one in (who, clean))
    return Classifier(tainted, untainted)


def _row_tokens(rows: Iterable[Any]) -> float:
    from statistics import fmean

    from upbringing.studies.teaching import read_tokens

    return round(fmean(read_tokens(row) for row in rows), 2)


def tell_apart(place: Place, tainted: Drawn, clean: Drawn, tick: Tick) -> None:
    """How well a classifier of content tells single rows of two data sets apart."""
    from upbringing.distil import row_auc

    def build(folder: Path) -> None:
        found = row_auc(*(_beginning(drawn.read()) for drawn in (clean, tainted)))
        (folder / AUC).write_text(json.dumps(found._asdict()), encoding="utf-8")

    place.keep(build)


def _beginning(rows: Rows) -> Rows:
    return rows[:3000]
