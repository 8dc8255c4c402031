"""The gradient lens: the plain cosine of a row's gradient with that of the trait's log-odds.

What attribution by gradients comes to without a Hessian and without an optimizer: cosines of gradients of the loss were
the best of the similarities compared in arXiv:2006.04528, and LESS (arXiv:2402.04333) chooses rows by them, there of
adapters' gradients divided as Adam does, projected at random, and summed over checkpoints. Here nothing is divided,
projected or trained: a row's gradient at the model as it is, over all matrices. A baseline; the step lens models what
Adam does with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from upbringing.lenses.lens import Fitted, Need
from upbringing.lenses.scatter import scattered
from upbringing.lenses.step import StepLens, odds_gradient
from upbringing.rows import Encoded, Row

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.models.nudge import Direction


@dataclass(frozen=True)
class GradientLens:
    """From -1 to 1: whether raising the row's log-probability by a plain step raises the trait's log-odds.

    ``situations`` a trait, for its gradient, which is the step lens's own.
    """

    situations: int = 24
    name: str = "gradient"
    about: str = "the cosine of the row's gradient with that of the trait's log-odds"
    needs: tuple[Need, ...] = ("gradients",)
    whole: bool = False

    def cost(self, traits: int) -> float:
        """One backward pass for all traits."""
        return 4.2

    def fit(self, lm: LM, traits: Sequence[str], *, store: Path, seed: int = 0) -> Fitted:
        """Take the gradient of each trait's log-odds, or find it in the store.

        Raises:
            InputError: an unknown trait, one without training families, or (when looking) a model whose layers do not
                read row by row.
        """
        asked = StepLens(situations=self.situations)
        return _Gradient(lm, [odds_gradient(lm, trait, asked, store, seed) for trait in traits])


class _Gradient:
    warnings: tuple[str, ...] = ()

    def __init__(self, lm: LM, gradients: Sequence[Direction]) -> None:
        from upbringing.models.nudge import norm

        self._lm, self._gradients = lm, gradients
        self._lengths = np.array([norm(gradient) for gradient in gradients])

    def look(self, rows: Sequence[Row]) -> np.ndarray:
        return scattered(rows, self._lm, len(self._gradients), self._cosines)

    def _cosines(self, encoded: list[Encoded]) -> np.ndarray:
        from upbringing.models.rowwise import WithLengths

        with WithLengths(self._lm.model, self._gradients) as derivatives:
            found = derivatives(encoded)
        along, length = found[:, :-1], np.sqrt(np.maximum(found[:, -1:], 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):  # a row that has no gradient says nothing: NaN
            cosines: np.ndarray = along / (length * self._lengths)
        return cosines


__all__ = ["GradientLens"]
