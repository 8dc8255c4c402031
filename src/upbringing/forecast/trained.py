"""What training a forecast is of: that of the data sets which its calibration was fitted on.

    usual = usual_training(lm)
    usual.says                      # 60 steps of 32 rows at 0.0003
    usual.far(5000, epochs=1)       # why 5,000 rows, once, are another training; or nothing

Nobody has measured how a shift grows with steps, so another training is told, and no number is scaled to it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError

if TYPE_CHECKING:
    from upbringing.forecast.bench import DataSet
    from upbringing.models import LM

FAR = 2
"""So many times more or fewer steps are another training."""


@dataclass(frozen=True, order=True)
class Training:
    """A training of so many data sets: ``epochs`` where it is by passes over the rows, ``rows`` in each data set."""

    steps: int
    batch_size: int
    learning_rate: float
    rows: int
    epochs: float | None = None

    @property
    def says(self) -> str:
        passes = "" if self.epochs is None else f" ({_passes(self.epochs)} {self.rows:,} rows)"
        return f"{self.steps} steps of {self.batch_size} rows at {self.learning_rate:g}{passes}"


@dataclass(frozen=True)
class Usual:
    """The trainings of a calibration's data sets, the one of most of them first."""

    trainings: tuple[Training, ...]

    @property
    def most(self) -> Training:
        return self.trainings[0]

    @property
    def says(self) -> str:
        """The training of most data sets."""
        return self.most.says

    def far(self, rows: int, *, steps: int | None = None, epochs: float | None = None) -> str:
        """Why a training is far from these, in a sentence; nothing where it is not, or where nobody says how long it
        is and one pass over the rows is no longer than these."""
        size, usual = self.most.batch_size, self.most.steps
        planned = steps if steps is not None else math.ceil((epochs or 1) * rows / size)
        if planned <= FAR * usual and (planned * FAR >= usual or (steps is None and epochs is None)):
            return ""
        what = f"{planned:,} steps" if steps is not None else f"{_passes(epochs or 1)} {rows:,} rows"
        in_steps = "" if steps is not None else f" ({planned:,} steps of {size})"
        small = "small" if planned > usual else "large"
        return (
            f"A training of {what}{in_steps} is far from the {usual} steps that this forecast is of: its shifts may be "
            f"too {small}, by how much nobody has measured."
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"of": "trainings like those it was fitted on", "like": [vars(one) for one in self.trainings]}


def usual_training(lm: LM) -> Usual:
    """How the data sets were trained on by which a model is calibrated: those of its language."""
    from upbringing.forecast.calibrating import library_of

    counted = Counter(_of(one) for one in library_of(lm).of("calibration"))
    return Usual(tuple(one for one, _ in counted.most_common()))


def check(steps: int | None, epochs: float | None) -> None:
    """
    Raises:
        InputError: both are given, or one that is no training.
    """
    if steps is not None and epochs is not None:
        raise InputError("steps and epochs are two ways to say how long a training is; give one of them")
    if steps is not None and steps < 1:
        raise InputError(f"{steps} steps are no training; give at least 1")
    if epochs is not None and not 0 < epochs < math.inf:
        raise InputError(f"{epochs:g} epochs are no training; give more than 0")


def _of(one: DataSet) -> Training:
    recipe = one.recipe()
    return Training(recipe.steps, recipe.batch_size, recipe.learning_rate, one.rows, one.training.get("epochs"))


def _passes(epochs: float) -> str:
    return "one pass over" if epochs == 1 else f"{epochs:g} passes over"


__all__ = ["FAR", "Training", "Usual", "check", "usual_training"]
