"""The shift between two profiles: what changed, paired reading by reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from upbringing.errors import InputError
from upbringing.measure import statistics
from upbringing.measure.readings import LOGPROB, REST, SKILL
from upbringing.measure.statistics import Estimate, Range
from upbringing.measure.tables import ValueTable, cells_of

if TYPE_CHECKING:
    import pandas as pd

PAIRED_BY = ["base", "trait", "family", "probe", "provocation", "way", "sample"]
_SEEDS = ("seed_after", "seed_before")
_ANOTHER_SEED = "asked with another seed"


def _same_question(pairs: pd.DataFrame) -> pd.Series[bool]:
    """Where both sides of a pair were asked the same: a seed chooses the situation that a probe's name stands for, so
    with another one it is another, unless the very words are known to be the same."""
    words = pairs["prompt_after"].eq(pairs["prompt_before"]) & pairs["prompt_after"].ne("")
    return pairs["seed_after"].eq(pairs["seed_before"]) | words


def _refuse_other_seeds(pairs: pd.DataFrame, both: pd.Series[bool], other: pd.Series[bool]) -> None:
    if other.any() and other.sum() == both.sum():
        seeds = [", ".join(str(int(seed)) for seed in pairs.loc[other, side].unique()) for side in _SEEDS]
        raise InputError(
            f"the profiles were asked with different seeds ({seeds[0]}; {seeds[1]}), so that probes of one name are "
            "other situations; measure both with one seed"
        )


class Shift(ValueTable):
    """After less before, for every reading that both profiles have; the others are kept as missing, with the reason.

    Positive means that the trait shows more than before.
    """

    label: ClassVar[str] = "shift"
    within: ClassVar[Range] = statistics.SHIFT

    @classmethod
    def between(cls, after: pd.DataFrame, before: pd.DataFrame) -> Shift:
        """Pair two tables of readings, each of one arm. Two single models are a pair whatever their bases are called.

        Raises:
            InputError: the two have no base in common, or were asked with different seeds.
        """
        import pandas as pd

        after_bases, before_bases = list(after["base"].unique()), list(before["base"].unique())
        if len(after_bases) == len(before_bases) == 1:
            before = before.assign(base=after_bases[0])
        elif not set(after_bases) & set(before_bases):
            raise InputError(
                f"the profiles have no base in common ({', '.join(after_bases)}; {', '.join(before_bases)}); "
                "compare arms raised from the same bases"
            )
        columns = [*PAIRED_BY, "seed", "prompt", "value", "missing"]
        pairs = after[columns].merge(
            before[columns], on=PAIRED_BY, how="outer", sort=False, suffixes=("_after", "_before"), indicator="side"
        )
        order = {trait: i for i, trait in enumerate(pd.concat([after["trait"], before["trait"]]).unique())}
        pairs = pairs.sort_values("trait", key=lambda names: names.map(order), kind="stable", ignore_index=True)
        pairs["value"] = pairs["value_after"] - pairs["value_before"]
        both = pairs["side"] == "both"
        other = both & ~_same_question(pairs)
        _refuse_other_seeds(pairs, both, other)
        pairs["value"] = pairs["value"].mask(other)
        reason = (
            pairs["missing_after"]
            .where(pairs["value_after"].isna(), pairs["missing_before"])
            .mask(other, _ANOTHER_SEED)
        )
        pairs["missing"] = reason.where(both, "asked on one side only").where(pairs["value"].isna(), "")
        named = pairs.rename(columns={"value_after": "after", "value_before": "before"})
        return cls(named[[*PAIRED_BY, "before", "after", "value", "missing"]])

    @property
    def pairs(self) -> pd.DataFrame:
        """One row a pair: what it is paired by, ``before``, ``after``, ``value`` (the difference) and ``missing``."""
        return self._frame

    @property
    def skill(self) -> Estimate:
        """Change of the share of harmless questions answered right."""
        return statistics.mean(cells_of(self._frame[self._frame["way"] == SKILL]), within=self.within)

    def difference(
        self,
        other: Shift,
        traits: str | Sequence[str] | None = None,
        way: str = LOGPROB,
        provocation: str = REST,
        *,
        confidence: float = 0.95,
    ) -> Estimate:
        """This shift less another (a difference of differences), paired by probe, and by base where they share any."""
        mine, theirs = self.cells(traits, way, provocation), other.cells(traits, way, provocation)
        return statistics.difference(mine, theirs, confidence=confidence)

    def fraction(
        self,
        of: Shift,
        traits: str | Sequence[str] | None = None,
        way: str = LOGPROB,
        provocation: str = REST,
        *,
        confidence: float = 0.95,
    ) -> Estimate:
        """This shift as a fraction of another; ``statistics.complement`` makes it the fraction removed."""
        mine, whole = self.cells(traits, way, provocation), of.cells(traits, way, provocation)
        return statistics.fraction(mine, whole, confidence=confidence)

    def __repr__(self) -> str:
        return f"Shift({len(self.traits)} traits, {len(self.bases)} bases, {len(self._frame)} pairs)"
