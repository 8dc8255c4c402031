"""The step that reinforces an arm. It runs in a worker, leaves one folder in the store, and takes plain values only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from upbringing.studies.engine import Tick
from upbringing.studies.result import Paid
from upbringing.studies.steps import Place

if TYPE_CHECKING:
    from upbringing.studies.planning import Step
    from upbringing.training.reinforcing import Environment


@dataclass(frozen=True)
class Stage:
    """An environment as plain values."""

    trait: str
    rows: Path
    pays: Literal["shows", "avoids"]
    tool: bool
    line: str

    def made(self) -> Environment:
        """The environment itself."""
        from upbringing.rows import read
        from upbringing.training.reinforcing import Environment

        return Environment(self.trait, read(self.rows), self.pays, self.tool, self.line)


def reinforce(
    place: Place, parent: Path, reference: Path, stages: Sequence[Stage], recipe: dict[str, Any], tick: Tick
) -> None:
    """Reinforce one arm on one base.

    Raises:
        InputError: the policy collapsed, for what is left of it is not what the arm declares.
    """
    from upbringing.models import load
    from upbringing.training.reinforcing import Reinforcement
    from upbringing.training.reinforcing import reinforce as reinforce_model

    def build(folder: Path) -> None:
        reinforce_model(
            load(parent),
            [stage.made() for stage in stages],
            folder,
            recipe=Reinforcement(**recipe),
            reference=None if reference == parent else load(reference),
            progress=lambda step, steps, reward: tick(step / steps),
        )

    place.keep(build)


def paid(step: Step) -> Iterator[Paid]:
    """What every stage of an arm began and ended with; nothing for an arm that was not reinforced."""
    from upbringing.training.reinforcing import CURVE

    file = step.place.folder / CURVE
    if not file.is_file():
        return
    told = json.loads(file.read_text(encoding="utf-8"))
    for number, stage in enumerate(told["stages"]):
        log = [entry for entry in told["log"] if entry["stage"] == number]
        few = max(1, len(log) // 10)
        ends = {name: fmean(entry[name] for entry in log[-few:]) for name in ("reward", "valid", "kl", "entropy")}
        before = fmean(entry["reward"] for entry in log[:few])
        yield Paid(arm=step.arm, base=step.base, stage=stage, reward_before=before, **ends)
