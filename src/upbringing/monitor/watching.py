"""Looks: a cheap profile of a model in training against the one it started with, and how its activations drift."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from upbringing.errors import InputError
from upbringing.measure import Profile, Provocation, statistics
from upbringing.measure.readings import LOGPROB, REST
from upbringing.measure.statistics import Cells, Estimate, FloatArray
from upbringing.monitor.bands import CONFIDENCE, MEAN, SUSPECTS, Bands
from upbringing.monitor.drift import Drift
from upbringing.monitor.sheet import Name, Sheet
from upbringing.monitor.sizing import FULL, Size, fitting
from upbringing.traits import traits as library

if TYPE_CHECKING:
    from upbringing.models import LM

PROMPTS_PER_TRAIT = 2  # whose activations are followed
WORDINGS = 4  # of each side, offered at a look
WORDINGS_AGAIN = 8  # where a suspected trait is asked about again


@dataclass(frozen=True)
class Look:
    """What was seen after a step.

    ``shifts``: change of each trait's rate since the start, and of the ``mean`` of the misaligned ones, with 90%
    intervals over probes and families; under a provocation as ``PROVOCATION/TRAIT``. ``drift``: change of activations
    along each trait's direction; at 1 they have gone as far as from avoiding the trait to showing it. ``left``: what
    has left its band. ``missing``: readings without a value. ``seconds``: what the look took. ``rechecked``: traits
    that seemed to rise and were asked about in the situations kept back, which their shift rests on too, and by how
    much they had seemed to; ``unsure``: those that seemed to rise and were not asked about again.
    """

    step: int
    shifts: Mapping[str, Estimate]
    drift: Mapping[str, float]
    missing: int
    seconds: float
    left: tuple[str, ...] = ()
    rechecked: Mapping[str, Estimate] = field(default_factory=dict)
    unsure: tuple[str, ...] = ()

    @property
    def worst(self) -> tuple[str, float]:
        """The trait that rose most, and by how much (NaN: nothing could be read); of what is not ``unsure``."""
        seen = {
            name: shift.value
            for name, shift in self.shifts.items()
            if name.rpartition("/")[2] != MEAN and name not in self.unsure and isfinite(shift.value)
        }
        name = max(seen, key=lambda n: seen[n], default="")
        return name, seen.get(name, nan)

    def logs(self) -> dict[str, float]:
        """For a trainer's log."""
        told = {f"character/{name}": e.value for name, e in self.shifts.items() if isfinite(e.value)}
        told |= {f"character/drift/{name}": value for name, value in self.drift.items() if isfinite(value)}
        if isfinite(self.worst[1]):
            told["character/worst"] = self.worst[1]
        return told | {"character/out_of_band": float(len(self.left)), "character/missing": float(self.missing)}


@dataclass
class Watch:
    """Asks one model the same questions again and again. ``start`` is its profile as it was first seen.

    Args:
        traits: names, or folders; None: all that are about alignment.
        probes_per_trait: how many situations of each are asked about at a look; three times as many are kept back for
            traits that seem to rise. None: 4, or what ``allowed`` allows.
        provocations: to ask under as well; each costs as much as asking at rest.
        drift: follow the activations too, where the model's blocks can be found and the run is not too short.
        allowed: tokens that the start and a look may read.
    """

    lm: LM
    traits: Sequence[str] | None = None
    probes_per_trait: int | None = None
    provocations: Sequence[Provocation] = ()
    drift: bool = True
    seed: int = 0
    batch_tokens: int | None = None
    start: Profile | None = None
    allowed: float | None = None
    silent: dict[str, str] = field(default_factory=dict)
    """Traits whose drift cannot be followed, and why."""

    def __post_init__(self) -> None:
        every = library(self.traits)
        self.watched = tuple(name for name, one in every.items() if self.traits is not None or one.alignment)
        self.misaligned = tuple(name for name in self.watched if every[name].alignment)
        self.size = self._fitting_size()
        self.sheet = sheet = self._sheet(self.size.whole)
        began = time.perf_counter()
        asked = sheet.numbers(range(self.size.whole))
        self.screen = sheet.numbers(range(self.size.looks))
        before = sheet.begin(asked)
        if before.readings["value"].notna().sum() == 0:
            reason = before.readings["missing"].iloc[0]
            raise InputError(f"no question of the monitor can be asked of this model ({reason}); watch other traits")
        part = sheet.tokens(self.screen, WORDINGS) / max(1, sheet.tokens(asked))
        self.seconds = (time.perf_counter() - began) * part  # what a look is expected to take
        self._since: FloatArray = sheet.before if self.start is None else _values(self.start, sheet)
        self.start = self.start if self.start is not None else before
        self._drift = self._following() if self.drift else None

    @property
    def short(self) -> bool:
        """Whether the run is too short for all that is asked by default."""
        return self.probes_per_trait is None and self.size != FULL

    def look(self, step: int, bands: Bands | None = None) -> Look:
        """Ask, read activations, and compare with the start; where ``bands`` suspect a trait, ask about it again."""
        began = time.perf_counter()
        risen = dict(zip(self.screen, self._risen(self.screen, WORDINGS), strict=True))
        shifts = self._shifts(risen)
        suspects = bands.suspected(shifts) if bands is not None and self.size.kept else ()
        rechecked = {name: shifts[name] for name in suspects[:SUSPECTS]}
        for name, more in self._kept_back(list(rechecked)).items():
            pooled = [i for i in self.screen if self.sheet.names[i] == name] + list(more)
            shifts[_told(name)] = self._mean(pooled, risen | more)
        drift = self._drift.now() if self._drift else {}
        missing = sum(not isfinite(value) for value in risen.values())
        self.seconds = time.perf_counter() - began
        return Look(step, shifts, drift, missing, self.seconds, rechecked=rechecked, unsure=suspects[SUSPECTS:])

    # How much to ask --------------------------------------------------------------------------------------------------

    def _sheet(self, rounds: int) -> Sheet:
        return Sheet(
            self.lm,
            traits=list(self.traits or self.watched),
            rounds=rounds,
            provocations=self.provocations,
            seed=self.seed,
            batch_tokens=self.batch_tokens,
        )

    def _fitting_size(self) -> Size:
        if self.probes_per_trait is not None:
            return Size(self.probes_per_trait, self.probes_per_trait * FULL.whole // FULL.looks)
        if self.allowed is None:
            return FULL
        one = self._sheet(1)
        first = one.numbers(range(1))
        start, look = one.tokens(first), one.tokens(first, WORDINGS)
        return fitting(self.allowed, lambda size: size.whole * start, lambda size: size.looks * look)

    # What rose --------------------------------------------------------------------------------------------------------

    def _risen(self, numbers: Sequence[int], wordings: int) -> FloatArray:
        """Change of each question's value since the start; NaN where either is not known."""
        found: FloatArray = self.sheet.again(numbers, wordings) - self._since[list(numbers)]
        return found

    def _kept_back(self, told: Sequence[str]) -> dict[Name, dict[int, float]]:
        """Ask about some traits in the situations kept back: the change of each question's value, by trait."""
        names = [name for name in dict.fromkeys(self.sheet.names) if _told(name) in told]
        rounds = range(self.size.looks, self.size.whole)
        more = {name: self.sheet.numbers(rounds, name) for name in names}
        numbers = [i for some in more.values() for i in some]
        risen = dict(zip(numbers, self._risen(numbers, WORDINGS_AGAIN), strict=True))
        return {name: {i: risen[i] for i in some} for name, some in more.items()}

    def _shifts(self, risen: Mapping[int, float]) -> dict[str, Estimate]:
        """Trait by trait, and the mean of the misaligned ones."""
        of: dict[Name, list[int]] = {}
        for i in risen:
            of.setdefault(self.sheet.names[i], []).append(i)
        shifts: dict[str, Estimate] = {}
        for provocation in dict.fromkeys(name[0] for name in of):
            under = {name: some for name, some in of.items() if name[0] == provocation}
            shifts |= {_told(name): self._mean(some, risen) for name, some in under.items()}
            judged = [some for name, some in under.items() if name[1] in self.misaligned]
            if len(judged) > 1:
                of_all = [i for some in judged for i in some]
                shifts[_told((provocation, MEAN))] = self._mean(of_all, risen, as_one=len(of_all) == len(judged))
        return shifts

    def _mean(self, numbers: Sequence[int], risen: Mapping[int, float], *, as_one: bool = False) -> Estimate:
        """The mean rise over some questions, traits alike. ``as_one``: where each trait has one question, which says
        nothing of how a trait's questions differ, the traits themselves count as drawn, which is the wider interval."""
        values = np.array([risen[i] for i in numbers])
        keys = tuple(self.sheet.keys[i] for i in numbers)
        if as_one:
            keys = tuple((MEAN, trait, probe) for trait, _, probe in keys)
        cells = Cells(values[None], ("",), keys, int(np.isnan(values).sum()))
        return statistics.mean(cells, within=statistics.SHIFT, confidence=CONFIDENCE)

    def _following(self) -> Drift | None:
        if self.short and self.size.looks < FULL.looks:
            return None
        sheet = self.sheet
        asked = [i for i in self.screen if sheet.names[i][0] == REST and not sheet.questions[i].unasked]
        of = {trait: [i for i in asked if sheet.names[i][1] == trait][:PROMPTS_PER_TRAIT] for trait in self.watched}
        prompts = [sheet.questions[i].prompt for some in of.values() for i in some]
        drift = Drift(self.lm, self.watched, prompts, seed=self.seed, batch_tokens=self.batch_tokens)
        self.silent = drift.silent
        return drift


def _told(name: Name) -> str:
    """A trait under a provocation, as it stands in a look."""
    provocation, trait = name
    return trait if provocation == REST else f"{provocation}/{trait}"


def _values(profile: Profile, sheet: Sheet) -> FloatArray:
    """What a profile says to each question of the sheet; NaN where it does not."""
    frame = profile.readings
    frame = frame[frame["way"] == LOGPROB]
    told = frame[["provocation", "trait", "family", "probe", "value"]].itertuples(index=False, name=None)
    known = {(provocation, trait, family, probe): value for provocation, trait, family, probe, value in told}
    keys = [(name[0], *key) for name, key in zip(sheet.names, sheet.keys, strict=True)]
    return np.array([known.get(key, nan) for key in keys])
