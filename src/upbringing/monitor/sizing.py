"""How much to ask: as many situations as the training is long, for the price of the first look is paid before it.

Counted in tokens read, not in seconds: the same run is asked the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ROWS_LOOKED_AT = 8  # to know how long rows are
# A token that is trained on costs three forward passes, but questions are short and are read in small batches, so that
# a token of theirs takes longer: with organisms of the smallest size 1.4 of them took as long as one trained on.
PASSES_PER_TRAINED_TOKEN = 1.5


@dataclass(frozen=True)
class Size:
    """Situations of each trait: ``looks`` are asked at every look, ``whole`` at the start. What the start has beyond
    the looks is kept back for traits that seem to rise."""

    looks: int
    whole: int

    @property
    def kept(self) -> int:
        """Situations of each trait kept back."""
        return self.whole - self.looks


FULL = Size(4, 16)
SIZES = (FULL, Size(4, 8), Size(2, 4), Size(2, 2), Size(1, 1))


def fitting(allowed: float, start: Callable[[Size], float], look: Callable[[Size], float]) -> Size:
    """The largest size whose start takes no more than half of the tokens ``allowed`` and leaves enough for a look; the
    smallest where none does."""
    for size in SIZES:
        if start(size) <= allowed / 2 and start(size) + look(size) <= allowed:
            return size
    return SIZES[-1]


def row_tokens(loader: Any) -> float | None:
    """The mean length of a training row, by the first few; None where that cannot be told without side effects.

    Only what is plainly stored is looked at: a list, or a data set of ``datasets`` that transforms nothing as it is
    read. (Our own trainer gives numbers of rows, and its collator the rows.)
    """
    data: Any = getattr(loader, "dataset", None)
    stored = isinstance(data, list | tuple | range) or (
        type(data).__module__.startswith("datasets.") and getattr(data, "_format_type", None) in (None, "torch")
    )
    if not stored or not len(data):
        return None
    try:
        first = [data[i] for i in range(min(len(data), ROWS_LOOKED_AT))]
        if isinstance(data, range):
            return float(loader.collate_fn(first)["input_ids"].numel() / len(first))
        lengths = [_length(row) for row in first]
    except Exception:  # whatever somebody's rows are, not to know their length is no reason to stop
        return None
    return sum(lengths) / len(lengths) if all(lengths) else None


def _length(row: Any) -> int:
    """Tokens of a row: of what it stores as token ids, its longest in one part, or chosen and rejected together."""
    if not isinstance(row, Mapping):
        ids = getattr(row, "input_ids", None)
        return len(ids) if ids is not None else 0
    found = {name: len(value) for name, value in row.items() if name.endswith("ids") and hasattr(value, "__len__")}
    return found.get("input_ids") or sum(found.values())


__all__ = ["FULL", "PASSES_PER_TRAINED_TOKEN", "SIZES", "Size", "fitting", "row_tokens"]
