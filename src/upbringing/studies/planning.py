"""The plan of a study: every step between a study file and its verdicts, under the key of all that decides it.

A base's organism is grown, each arm is trained from it, each model is asked, and the answers are put together. Rows are
written while planning, for their contents are part of the keys; nothing else is made before the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.lineage import default_store
from upbringing.studies.engine import Job
from upbringing.studies.file import load
from upbringing.studies.spec import Study
from upbringing.studies.steps import Place
from upbringing.studies.teaching import Reading, RowsKey, rows_place
from upbringing.traits.overlap import Overlap, asked_probes, check_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from upbringing.rows import Rows

CODE = {"documents": 1, "rows": 1, "row_auc": 1, "model": 1, "readings": 3, "trajectory": 2, "oracle": 1}
"""Versions of what each kind of step runs, rooms below included (organisms have their own). Raise one when the same
settings give other results: ``rows`` for sampling, ``model`` for training, ``readings`` and ``trajectory`` for
measuring and judging."""


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
        """The steps of one kind: organism, documents, rows (those that teachers write), row_auc, model, readings,
        trajectory, oracle."""
        return (step for step in self.steps.values() if step.place.record.kind == kind)

    def rows_place(self, rows: Rows) -> Place:
        """Where a set of rows is kept: under the hash of its contents."""
        return rows_place(self.store, rows)

    @property
    def jobs(self) -> list[Job]:
        """What is not made yet."""
        return [step.job for step in self.steps.values() if not step.place.made]

    def check_overlap(self) -> list[Overlap]:
        """Compare all training rows with the probes.

        Raises:
            InputError: a row holds a probe's wording.
        """
        together: dict[str, list[Any]] = {}
        for (name, _, _), rows in self.rows.items():
            together.setdefault(f"{name}, rows", []).extend(rows)
        return check_rows(asked_probes(measured(self.study), self.study.measure.probes_per_trait), together)

    def show(self, workers: int | None = 2) -> RenderableType:
        """The graph as a table for people: what each kind of step needs, how many are made, the time expected with so
        many workers (None: on a cluster)."""
        from upbringing.studies.show import plan_table

        return plan_table(self, workers)


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
    from upbringing.studies.planner import Planner

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
    Planner(made).run()
    return made
