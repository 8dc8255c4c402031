"""What a forecasting method is: it is shown data sets with what they did, then data sets alone.

    fitted = method.fit(measured, traits)         # data sets of some families, each trained on and measured
    said = fitted.predict(case)                   # another data set, before anybody trains on it
    said.shift, said.lo, said.hi                  # [traits], in rates; where it cannot tell, it says so

Adding a method is adding one object with these, and its name to ``bench.methods``. Nothing in a ``Case`` says which
family a data set is of, or what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from upbringing.lenses import View
    from upbringing.models import LM
    from upbringing.rows import Rows


LEVEL = 0.9
"""Share of shifts that should lie inside their intervals."""
MATTERS = 0.05
"""A change of a rate that matters."""


@dataclass(frozen=True)
class Case:
    """A data set and the model that is to be trained on it: what a method may look at.

    ``rows`` and ``lm`` load when they are called. ``training`` is the recipe that training will follow (settings of
    ``upbringing.training.Recipe``). ``views`` hold what the lenses that the method names saw.
    """

    name: str
    model: str
    """The name of the model; cases of one model have the same."""
    training: Mapping[str, Any]
    rows: Callable[[], Rows] = field(repr=False)
    lm: Callable[[], LM] = field(repr=False)
    views: Mapping[str, View] = field(default_factory=dict, repr=False)

    @cached_property
    def counts(self) -> tuple[int, int]:
        """How many rows there are, and how many of them are documents; the rows are read once for it."""
        kinds = [row.kind for row in self.rows()]
        return len(kinds), kinds.count("text")


@dataclass(frozen=True)
class Measured:
    """A case with what training did, for fitting: ``shift`` ``[traits]`` in rates, at rest, with its standard error."""

    case: Case
    family: str
    route: str
    shift: np.ndarray
    se: np.ndarray


@dataclass(frozen=True)
class Forecast:
    """What a method says of a case; all ``[traits]``.

    ``shift`` is its best guess of the change of a rate (NaN: it has none), ``lo`` and ``hi`` bound it at 90%.
    ``cannot_tell`` is where it would rather say nothing (see ``silent``); a guess given there is used only to see
    whether it was right to be silent.
    """

    shift: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    cannot_tell: np.ndarray

    @classmethod
    def around(cls, shift: np.ndarray, half: np.ndarray) -> Forecast:
        """A guess with an interval of that half width, silent where that tells too little."""
        import numpy as np

        lo, hi = np.maximum(shift - half, -1), np.minimum(shift + half, 1)
        return cls(shift, lo, hi, silent(shift, lo, hi))


def silent(shift: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """Where an interval bears out no verdict: neither that the rate rises or falls (it leaves out nought, and the guess
    matters), nor that nothing changes (all of it lies within what matters: an equivalence test). NaN bears out nothing.
    """
    rises, falls = (lo > 0) & (shift >= MATTERS), (hi < 0) & (shift <= -MATTERS)
    return ~(rises | falls | ((lo >= -MATTERS) & (hi <= MATTERS)))


class Fitted(Protocol):
    """A method that has seen what some data sets did."""

    def predict(self, case: Case) -> Forecast: ...


class Method(Protocol):
    """A way to forecast."""

    @property
    def name(self) -> str: ...

    @property
    def lenses(self) -> tuple[str, ...]:
        """Lenses whose views it wants in its cases."""
        ...

    def cost(self, traits: int) -> float:
        """What a prediction for so many traits costs, as a multiple of one forward pass over the rows."""
        ...

    def fit(self, measured: Sequence[Measured], traits: Sequence[str]) -> Fitted:
        """Learn from data sets with known outcome, of several families, on several models.

        Intervals must be honest for families that were not among them: leave families out to find their width.
        """
        ...
