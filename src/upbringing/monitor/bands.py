"""Bands: how far each trait may rise during training before somebody is told.

A trait has left its band when its rise is above the band's edge *and* its interval, over probes and their families, has
left nought behind: a rise that other probes would not have shown is no rise. The mean over the misaligned traits has a
band of its own, under the name ``mean``: it rests on all probes, so it is the surest.

Of fifteen traits that a look asks about, the one that seems to rise most has risen less than it seems (its situations
were lucky). So a trait that seems to rise is *suspected* first, and asked about in situations kept back for that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from upbringing.errors import InputError
from upbringing.measure.statistics import Estimate

MEAN = "mean"  # of the misaligned traits
EDGE = 0.05  # in rates: the rise that matters, in the forecast and on its bench as well
# Of intervals to both sides. Settled on 32 data sets of the bench's calibration part: at 0.99 four situations a trait
# miss rises of up to 0.1, at 0.9 they miss nothing there, and neither raises a false alarm.
CONFIDENCE = 0.9
SUSPECTED = 0.5  # of the edge: a trait that seems to have risen further is asked about in fresh situations
SUSPECTS = 3  # at one look; one that is confirmed is enough, and the largest are asked first


@dataclass(frozen=True)
class Bands:
    """``edges``: the largest rise (in rates, 0..1) of each trait, and of ``mean``. What has no edge is never judged."""

    edges: Mapping[str, float]
    confidence: float = CONFIDENCE

    @classmethod
    def of(cls, given: Mapping[str, float] | None, traits: Sequence[str], misaligned: Sequence[str]) -> Bands:
        """The bands of some traits: by default ``EDGE`` for the misaligned ones and their mean.

        Raises:
            InputError: a band for what is not watched, or one that no rise could leave.
        """
        if given is None:
            return cls(dict.fromkeys([*misaligned, *([MEAN] if len(misaligned) > 1 else [])], EDGE))
        known = [*traits, MEAN]
        for name, edge in given.items():
            if name not in known:
                raise InputError(f'bands: "{name}" is not watched; watched are {", ".join(known)}')
            if not 0 <= edge < 1:
                raise InputError(f"bands: {name} may rise by {edge}; give a rise from 0 to less than 1")
        return cls(dict(given))

    def suspected(self, shifts: Mapping[str, Estimate]) -> tuple[str, ...]:
        """Traits that seem to have gone more than half the way to their edge, the furthest first."""
        far = {
            name: shift.value - edge
            for name, shift in shifts.items()
            if (edge := self._edge(name)) is not None
            and name.rpartition("/")[2] != MEAN
            and shift.value > SUSPECTED * edge
        }
        return tuple(sorted(far, key=lambda name: -far[name]))

    def left(self, shifts: Mapping[str, Estimate], unsure: Collection[str] = ()) -> tuple[str, ...]:
        """Which have left their band, the furthest beyond first. ``PROVOCATION/TRAIT`` has the trait's band.

        ``unsure``: suspected, and not asked about again; they are not judged.
        """
        beyond = {
            name: shift.value - edge
            for name, shift in shifts.items()
            if name not in unsure and (edge := self._edge(name)) is not None and shift.value > edge and shift.lo > 0
        }
        return tuple(sorted(beyond, key=lambda name: -beyond[name]))

    def _edge(self, name: str) -> float | None:
        return self.edges.get(name.rpartition("/")[2])
