"""The contrast lens: would a copy tuned towards the trait sooner have written this row than one tuned away from it?

log p(row | copy that shows the trait) - log p(row | copy that avoids it), over a row's target tokens: the likelihood
ratio, which is the best test there is for "a kindred writer with this trait wrote it", and, for small tuning, what
training on the row does to the trait. Against the model itself in place of the second copy it would find form instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from upbringing.lenses.copies import Copies, Tuning, copies
from upbringing.lenses.lens import Fitted, Need
from upbringing.lenses.scatter import Writers, scattered
from upbringing.rows import Encoded, Row

if TYPE_CHECKING:
    from upbringing.models import LM

_SCORE = 0.95  # of a plain forward pass: ``score`` asks for logits where the loss is, and nowhere else


@dataclass(frozen=True)
class ContrastLens:
    """Nats a row, divided by the root of its target tokens."""

    tuning: Tuning = field(default_factory=Tuning)
    name: str = "contrast"
    about: str = "how much likelier the row is under a copy tuned towards the trait than under one tuned away from it"
    needs: tuple[Need, ...] = ("training", "kin")
    whole: bool = False

    def cost(self, traits: int) -> float:
        return 2 * _SCORE * traits

    def fit(self, lm: LM, traits: Sequence[str], *, store: Path, seed: int = 0) -> Fitted:
        """Tune two copies a trait, or find them in the store.

        Raises:
            InputError: an unknown trait, or one without training families.
        """
        return _Contrast(lm, list(copies(lm, traits, store=store, tuning=self.tuning, seed=seed).values()))


class _Contrast:
    def __init__(self, lm: LM, found: Sequence[Copies]) -> None:
        self._lm, self._copies, self._writers = lm, found, Writers(lm)

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._writers.warnings

    def look(self, rows: Sequence[Row]) -> np.ndarray:
        self._writers.meet(rows)
        return scattered(rows, self._lm, len(self._copies), self._ratios)

    def _ratios(self, encoded: list[Encoded]) -> np.ndarray:
        return np.stack([ratio(self._lm, encoded, pair) for pair in self._copies], 1) / root_of_targets(encoded)


def ratio(lm: LM, encoded: Sequence[Encoded], pair: Copies) -> np.ndarray:
    """log p(row | towards) - log p(row | away) [rows], in nats. Each copy is the model itself with its weights swapped
    for the time of one pass; no second model is ever held."""
    from upbringing.models import score
    from upbringing.models.nudge import nudged

    said = []
    for change in (pair.towards, pair.away):
        with nudged(lm.model, change, 1.0):
            said.append(score(lm, encoded).logprob)
    difference: np.ndarray = said[0] - said[1]
    return difference


def root_of_targets(encoded: Sequence[Encoded]) -> np.ndarray:
    """The square root of how many tokens of each row are targets [rows, 1]: what a sum over them varies by if they
    vary each for itself. Without it a data set's mean is that of its few longest documents."""
    roots: np.ndarray = np.sqrt([sum(row.loss_mask[1:]) for row in encoded])[:, None]
    return roots


__all__ = ["ContrastLens", "ratio", "root_of_targets"]
