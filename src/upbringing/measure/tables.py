"""What profiles and shifts share: a table of values by base, trait, probe, provocation and way, and questions to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from upbringing.errors import InputError
from upbringing.measure import statistics
from upbringing.measure.readings import LOGPROB, REST, SKILL
from upbringing.measure.statistics import Cells, Estimate, FloatArray, Range

if TYPE_CHECKING:
    import pandas as pd

_JOIN = "\x1f"  # separates the parts of a probe's key; no name has it


def cells_of(frame: pd.DataFrame) -> Cells:
    """Average ``value`` for each base and probe; samples count alike, missing ones are counted and left out."""
    import pandas as pd

    base, bases = pd.factorize(frame["base"], sort=True)
    probe, keys = pd.factorize(frame["trait"] + _JOIN + frame["family"] + _JOIN + frame["probe"], sort=True)
    value = frame["value"].to_numpy(dtype=np.float64)
    seen = np.isfinite(value)
    shape = (len(bases), len(keys))
    cell = base * shape[1] + probe
    total = np.bincount(cell, weights=np.where(seen, value, 0.0), minlength=shape[0] * shape[1])
    count = np.bincount(cell, weights=seen, minlength=shape[0] * shape[1])
    values = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    split = [tuple(str(key).split(_JOIN)) for key in keys]
    return Cells(
        values.reshape(shape),
        tuple(str(b) for b in bases),
        tuple((t, f, p) for t, f, p in split),
        int((~seen).sum()),
    )


class ValueTable:
    """Values with the columns base, trait, family, probe, provocation, way, sample, value, missing."""

    label: ClassVar[str] = "value"
    within: ClassVar[Range] = statistics.ANYTHING

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    @property
    def traits(self) -> list[str]:
        """Measured traits, in the order in which they were asked."""
        return self._names("trait", self._frame["way"] != SKILL)

    @property
    def bases(self) -> list[str]:
        return self._names("base")

    @property
    def ways(self) -> list[str]:
        """Ways of measuring (logprob, sampled)."""
        return self._names("way", self._frame["way"] != SKILL)

    @property
    def provocations(self) -> list[str]:
        """Provocations asked under, rest among them."""
        return self._names("provocation", self._frame["way"] != SKILL)

    def _names(self, column: str, rows: pd.Series | None = None) -> list[str]:
        values = self._frame[column] if rows is None else self._frame.loc[rows, column]
        return [str(v) for v in values.unique()]

    def cells(self, traits: str | Sequence[str] | None = None, way: str = LOGPROB, provocation: str = REST) -> Cells:
        """Values by base and probe, for the statistics room. ``traits``: one, several, or all.

        Raises:
            InputError: a trait, way or provocation that was not measured.
        """
        return cells_of(self._chosen(traits, way, provocation))

    def mean(
        self,
        traits: str | Sequence[str] | None = None,
        way: str = LOGPROB,
        provocation: str = REST,
        *,
        confidence: float = 0.95,
    ) -> Estimate:
        """Mean over traits (each weighs alike), with its interval over bases, families and probes."""
        return statistics.mean(self.cells(traits, way, provocation), within=self.within, confidence=confidence)

    def table(self, way: str = LOGPROB, provocation: str = REST, *, confidence: float = 0.95) -> pd.DataFrame:
        """Trait by trait: the value with its interval, how many bases and probes it rests on, what is missing, and
        a note where the interval needs one."""
        import pandas as pd

        rows = []
        chosen = self._chosen(None, way, provocation)
        for trait, part in chosen.groupby("trait", sort=False):
            e = statistics.mean(cells_of(part), within=self.within, confidence=confidence)
            rows.append((trait, e.value, e.lo, e.hi, e.n_bases, e.n_probes, e.missing, e.note))
        return pd.DataFrame(rows, columns=["trait", self.label, "lo", "hi", "bases", "probes", "missing", "note"])

    def by_base(
        self, traits: Sequence[str] | None = None, way: str = LOGPROB, provocation: str = REST
    ) -> tuple[list[str], FloatArray]:
        """The bases, and the mean of each trait in each base, ``[bases, traits]``."""
        cells = self.cells(traits, way, provocation)
        return list(cells.bases), cells.by_base(self.traits if traits is None else traits)

    def worst_provocation(
        self, trait: str | Sequence[str], way: str = LOGPROB, among: Sequence[str] | None = None
    ) -> tuple[str, Estimate]:
        """The provocation (rest included) under which the trait shows most, and how much; ``among``: of these only.

        The largest of several looks larger than it is, so the interval is widened as for k comparisons (Bonferroni).
        """
        names = self.provocations if among is None else among
        levels = {name: statistics.level(self.cells(trait, way, name)) for name in names}
        seen = {name: level for name, level in levels.items() if np.isfinite(level)}
        worst = max(seen, key=lambda name: seen[name]) if seen else next(iter(names))
        return worst, self.mean(trait, way, worst, confidence=1 - 0.05 / max(len(names), 1))

    def _chosen(self, traits: str | Sequence[str] | None, way: str, provocation: str) -> pd.DataFrame:
        frame = self._frame
        wanted = [traits] if isinstance(traits, str) else traits
        for kind, asked, had in (
            ("trait", wanted or [], self.traits),
            ("way", [way], self.ways),
            ("provocation", [provocation], self.provocations),
        ):
            for name in asked:
                if name not in had:
                    raise InputError(f'{kind} "{name}" was not measured; measured: {", ".join(had) or "none"}')
        rows = (frame["way"] == way) & (frame["provocation"] == provocation)
        if wanted is not None:
            rows &= frame["trait"].isin(list(wanted))
        return frame[rows]
