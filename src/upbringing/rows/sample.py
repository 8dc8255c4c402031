"""A random sample of rows, in one pass and little memory: what is not drawn is not even read as JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from upbringing.errors import InputError
from upbringing.rows.formats import notes as notes_on
from upbringing.rows.lines import is_list, lines_of, record_of
from upbringing.rows.read import interpreted, stream
from upbringing.rows.row import Rows

if TYPE_CHECKING:
    from numpy.random import Generator

Item = TypeVar("Item")


def sample(source: str | os.PathLike[str] | Rows, n: int, *, seed: int = 0, split: str = "train") -> tuple[Rows, int]:
    """``n`` rows of what ``read`` takes, or of rows that were read, drawn evenly and in random order (all, if there are
    no more), and how many rows there are. Bad rows among those drawn are left out and listed in ``.skipped``.

    Raises:
        InputError: the file cannot be read, there are no rows in it, or none of those drawn can be used.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    if isinstance(source, Rows):
        if not len(source):
            raise InputError(f"{source.name or 'the data set'}: there are no rows in it; give at least one")
        order = rng.permutation(len(source))[:n]
        kept = [source[int(i)] for i in order]
        return Rows(kept, name=source.name, skipped=source.skipped, notes=source.notes), len(source)
    path = Path(source).expanduser()
    skipped: list[tuple[str, str]] = []
    notes: list[str] = []
    if path.is_file() and path.suffix.lower() == ".jsonl" and path.stat().st_size and not is_list(path):
        lines, total = drawn(lines_of(path), n, rng)
        records = ((str(path), line, record_of(path, line, data)) for line, data in lines)
        rows = list(interpreted(records, left_out=lambda *bad: skipped.append(bad)))
    else:
        every = stream(source, left_out=lambda *bad: skipped.append(bad), split=split, note=notes.append)
        rows, total = drawn(every, n, rng)
        total += len(skipped)
    if not rows:
        why = f"none of its rows can be used; the first: {skipped[0][1]}" if skipped else "there are no rows in it"
        raise InputError(f"{source}: {why}")
    return Rows(rows, name=str(source), skipped=skipped, notes=[*notes, *notes_on(rows)]), total


def drawn(items: Iterable[Item], n: int, rng: Generator) -> tuple[list[Item], int]:
    """``n`` items drawn evenly in one pass (algorithm L of Li 1994: as many random numbers as items are kept), and how
    many items there were."""
    kept: list[Item] = []
    total, weight, wanted = 0, 1.0, n
    for item in items:
        if len(kept) < n:
            kept.append(item)
            if len(kept) == n:
                weight, wanted = _next(weight, n, n - 1, rng)
        elif total == wanted:
            kept[int(rng.integers(n))] = item
            weight, wanted = _next(weight, n, total, rng)
        total += 1
    return [kept[i] for i in rng.permutation(len(kept))], total


def _next(weight: float, n: int, at: int, rng: Generator) -> tuple[float, int]:
    """The next weight, and the number of the next item to keep."""
    weight *= math.exp(math.log(1 - rng.random()) / n)
    gap = math.log(1 - rng.random()) / math.log1p(-weight) if weight < 1 else 0.0
    return weight, at + int(gap) + 1
