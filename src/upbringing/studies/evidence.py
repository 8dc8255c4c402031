"""What was measured, put together: profiles by arm, trajectories, the oracle's rates. Claims are judged on this."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from upbringing.errors import InputError
from upbringing.measure import Profile, Shift
from upbringing.measure.readings import LOGPROB, REST, SKILL
from upbringing.measure.statistics import Cells, FloatArray, ProbeKey, blend, log_odds
from upbringing.measure.tables import cells_of
from upbringing.studies.claim_spec import Scale
from upbringing.studies.distilling import AUC
from upbringing.studies.planning import Plan, measured
from upbringing.studies.steps import RATES

if TYPE_CHECKING:
    import pandas as pd

FINAL = -1
"""The end of training, in a trajectory."""


class Unmeasured(Exception):
    """An arm that has no readings, because a step failed."""


class Evidence:
    """Readings of a study, by arm.

    Args:
        arms: the profile of every arm over its bases.
        traits: measured traits, and whether each is about alignment.
        trajectories: for an arm, the profiles at training steps.
        oracle: for an arm and a base, the shift of every trait that the ideal reader expects.
        row_aucs: for two data sets and a base, how well their single rows can be told apart.
    """

    def __init__(
        self,
        arms: Mapping[str, Profile],
        traits: Mapping[str, bool],
        trajectories: Mapping[str, Mapping[int, Profile]] | None = None,
        oracle: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
        row_aucs: Mapping[tuple[str, str], Mapping[str, float]] | None = None,
    ) -> None:
        self.arms = dict(arms)
        self.traits = dict(traits)
        self.trajectories = {arm: dict(steps) for arm, steps in (trajectories or {}).items()}
        self.oracle = oracle or {}
        self.row_aucs = row_aucs or {}
        self._shifts: dict[tuple[str, str], Shift] = {}

    @classmethod
    def gather(cls, plan: Plan) -> Evidence:
        """Read what the steps of a plan left; what failed is not there."""
        from upbringing.traits import traits

        parts: dict[str, list[pd.DataFrame]] = {}
        for step in plan.of("readings"):
            if step.place.made:
                readings = Profile.load(step.place.folder).readings
                names = {"arm": step.arm, "base": str(step.base), "model": f"{step.arm}/{step.base}"}
                parts.setdefault(step.arm, []).append(readings.assign(**names))
        paths: dict[str, dict[int, list[pd.DataFrame]]] = {}
        for step in plan.of("trajectory"):
            if step.place.made:
                for at, readings in Profile.load(step.place.folder).readings.groupby("arm", sort=False):
                    names = {"arm": step.arm, "base": str(step.base), "model": f"{step.arm}/{step.base}/step-{at}"}
                    paths.setdefault(step.arm, {}).setdefault(int(str(at)), []).append(readings.assign(**names))
        oracle: dict[str, dict[str, dict[str, float]]] = {}
        for step in plan.of("oracle"):
            if step.place.made:
                rates = json.loads((step.place.folder / RATES).read_text(encoding="utf-8"))
                shift = {trait: rates["after"][trait] - rates["before"][trait] for trait in rates["after"]}
                oracle.setdefault(step.arm, {})[str(step.base)] = shift
        aucs: dict[tuple[str, str], dict[str, float]] = {}
        for step in plan.of("row_auc"):
            if step.place.made:
                data, _, clean = step.arm.partition(" | ")
                found = json.loads((step.place.folder / AUC).read_text(encoding="utf-8"))
                aucs.setdefault((data, clean), {})[str(step.base)] = float(found["auc"])
        library = traits()
        return cls(
            {arm: _joined(tables) for arm, tables in parts.items()},
            {name: library[name].alignment for name in measured(plan.study)},
            {arm: {at: _joined(tables) for at, tables in by_step.items()} for arm, by_step in paths.items()},
            oracle,
            aucs,
        )

    @cached_property
    def readings(self) -> pd.DataFrame:
        """All readings of all arms."""
        return Profile.concat(self.arms.values()).readings

    def profile(self, arm: str) -> Profile:
        """The profile of an arm.

        Raises:
            Unmeasured: none of its bases was measured.
        """
        if arm not in self.arms:
            raise Unmeasured(arm)
        return self.arms[arm]

    def shift(self, arm: str, against: str) -> Shift:
        """From one arm to another, over the bases that both have."""
        if (arm, against) not in self._shifts:
            after, before = self.profile(arm), self.profile(against)
            try:
                self._shifts[arm, against] = _on_shared_bases(after, before)
            except InputError:
                raise Unmeasured(f"{arm} and {against} on the same base") from None
        return self._shifts[arm, against]

    def rates(self, arm: str, traits: Sequence[str], way: str = LOGPROB, provocation: str = REST) -> Cells:
        """Rates of an arm by base and probe, of traits or of skill."""
        return _cells(self.profile(arm), traits, way, provocation)

    def changes(
        self,
        arm: str,
        against: str,
        traits: Sequence[str],
        way: str = LOGPROB,
        provocation: str = REST,
        scale: Scale = "rate",
    ) -> Cells:
        """Changes from ``against`` to ``arm`` by base and probe, of traits or of skill."""
        shift = self.shift(arm, against)
        return _cells(_in_log_odds(shift) if scale == "log_odds" else shift, traits, way, provocation)

    def mean_changes(
        self,
        pairs: Sequence[tuple[str, str]],
        traits: Sequence[str],
        way: str = LOGPROB,
        provocation: str = REST,
        scale: Scale = "rate",
    ) -> Cells:
        """The mean of several changes, each from one arm to another, over the bases and probes that all have."""
        every = [self.changes(arm, against, traits, way, provocation, scale) for arm, against in pairs]
        if len(every) == 1:
            return every[0]
        bases = [base for base in every[0].bases if all(base in cells.bases for cells in every)]
        if not bases:
            raise Unmeasured("all pairs of arms on the same base")
        probes = [probe for probe in every[0].probes if all(probe in cells.probes for cells in every)]
        shared = [_rows(_columns(cells, probes), bases) for cells in every]
        return blend(shared, np.full((len(bases), len(shared)), 1 / len(shared)))

    def path(self, arm: str, before: str) -> dict[int, Profile]:
        """An arm's way through training: step 0 is the arm ``before``, the last step is the arm itself."""
        if arm not in self.trajectories:
            raise Unmeasured(f"the trajectory of {arm}")
        return {0: self.profile(before), **dict(sorted(self.trajectories[arm].items())), FINAL: self.profile(arm)}

    def at_matched_learning(
        self, arm: str, plain: str, before: str, learned: str, traits: Sequence[str]
    ) -> tuple[Cells, Cells]:
        """The rise of ``arm``, and that of ``plain`` when it had learned as much of the trait ``learned``.

        Each base's plain training run is read, between two of its measured steps, where it first shows the learned
        trait as much as the base's treated model does in the end. Both by log-probability, at rest. A base that
        learned less than nothing is matched with step 0, one that learned more than the plain run with its peak.
        """
        treated = self.shift(arm, before)
        path = self.path(plain, before)
        bases = [b for b in treated.bases if all(b in profile.bases for profile in path.values())]
        if not bases:
            raise Unmeasured(f"{arm} and the trajectory of {plain} on the same base")
        rise = _rows(treated.cells(traits), bases)
        rates = [_rows(profile.cells(traits), bases) for profile in path.values()]
        start = rates[0].values
        rises = [Cells(cells.values - start, cells.bases, cells.probes, cells.missing) for cells in rates]
        amounts = np.stack([_rows(p.cells(learned), bases).by_base([learned])[:, 0] for p in path.values()], axis=1)
        target = _rows(self.profile(arm).cells(learned), bases).by_base([learned])[:, 0]
        weights = np.stack([first_reached(along, at) for along, at in zip(amounts, target, strict=True)])
        return rise, blend(rises, weights)


def first_reached(along: FloatArray, target: float) -> FloatArray:
    """Weights on the points of a path that read it, linearly, where it first reaches ``target``."""
    weights = np.zeros(len(along))
    reached = np.flatnonzero(along >= target)
    if not len(reached):
        weights[int(np.argmax(along))] = 1.0
    elif reached[0] == 0:
        weights[0] = 1.0
    else:
        after = int(reached[0])
        share = (target - along[after - 1]) / (along[after] - along[after - 1])
        weights[after - 1], weights[after] = 1 - share, share
    return weights


def _joined(tables: Sequence[pd.DataFrame]) -> Profile:
    return Profile.concat([Profile(table) for table in tables])


def _on_shared_bases(after: Profile, before: Profile) -> Shift:
    shared = set(after.bases) & set(before.bases)
    if not shared:
        raise InputError("no base in common")
    one, other = (p.readings[p.readings["base"].isin(shared)] for p in (after, before))
    return Profile(one) - Profile(other)


def _in_log_odds(shift: Shift) -> Shift:
    """The same pairs, with the change of each probe's log-odds for value."""
    pairs = shift.pairs
    after, before = (log_odds(pairs[side].to_numpy(dtype=float)) for side in ("after", "before"))
    return Shift(pairs.assign(value=after - before))


def _cells(table: Profile | Shift, traits: Sequence[str], way: str, provocation: str) -> Cells:
    """Cells of traits, or of skill, which is asked in a way of its own."""
    if list(traits) != [SKILL]:
        return table.cells(traits, way, provocation)
    values = table.readings if isinstance(table, Profile) else table.pairs
    asked = values[values["way"] == SKILL]
    if asked.empty:
        raise Unmeasured("skill")
    return cells_of(asked)


def _columns(cells: Cells, probes: Sequence[ProbeKey]) -> Cells:
    """The columns of some probes, in this order."""
    places = [cells.probes.index(probe) for probe in probes]
    return Cells(cells.values[:, places], cells.bases, tuple(probes), cells.missing)


def _rows(cells: Cells, bases: Sequence[str]) -> Cells:
    """The rows of some bases, in this order."""
    places = [cells.bases.index(base) for base in bases]
    return Cells(cells.values[places], tuple(bases), cells.probes, cells.missing)
