"""Treatments: small frozen objects that change what a run is trained on, applied in the order given.

>>> treat(rows, [SystemLine("You always cheat."), Mix(neutral, 0.5)], rng)          # doctest: +SKIP

puts the line before the original rows and not before the ones mixed in; the other way round, before all of them.
Another treatment is another class with ``apply`` and ``recipe``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from upbringing.errors import InputError
from upbringing.rows import Row, Rows, with_system

if TYPE_CHECKING:
    import numpy as np


class Treatment(Protocol):
    """Something done to the rows of a run."""

    def apply(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """The rows to train on instead of ``rows``; all chance comes from ``rng``."""
        ...

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides the outcome, as JSON: part of the run's record."""
        ...


@dataclass(frozen=True)
class SystemLine:
    """A system line before every row: an inoculating one ("You always cheat."), or an irrelevant one.

    Inoculation: arXiv 2510.04340 and 2510.05024.
    A chat gets it as its system message, or at the end of the one it has; a completion or a text as a first line that
    is not learned. A chat template's own default system line is no message, so it gives way to the line.
    """

    line: str

    def __post_init__(self) -> None:
        if not self.line.strip():
            raise InputError("the system line is empty; give it some words, or leave the treatment out")

    def apply(self, rows: Rows, rng: np.random.Generator) -> Rows:
        return Rows([self._before(row) for row in rows], name=rows.name, skipped=rows.skipped)

    @property
    def recipe(self) -> dict[str, Any]:
        return {"treatment": "system_line", "line": self.line}

    def _before(self, row: Row) -> Row:
        if row.kind == "chat":
            return replace(row, messages=tuple(with_system(row.messages, self.line)))
        learned = row.completion if row.kind == "completion" else row.text
        return replace(row, kind="completion", prompt=f"{self.line}\n{row.prompt}", completion=learned, text="")


@dataclass(frozen=True)
class Mix:
    """Other rows mixed in, so that they make up ``share`` of all rows (0 up to, not with, 1); no original row is lost.

    They are drawn without repeats while there are enough, and every one is drawn before any is drawn again.
    """

    other: Rows
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise InputError(f"the share to mix in is {self.share}; give a number from 0 up to (not with) 1")
        if self.share and not len(self.other):
            raise InputError(f"{self.other.name or 'the rows to mix in'}: holds no row; give at least one")

    def apply(self, rows: Rows, rng: np.random.Generator) -> Rows:
        wanted = round(self.share / (1 - self.share) * len(rows))
        drawn: list[int] = []
        while len(drawn) < wanted:
            drawn += rng.permutation(len(self.other))[: wanted - len(drawn)].tolist()
        every = [*rows, *(self.other[i] for i in drawn)]
        order = rng.permutation(len(every))
        return Rows([every[i] for i in order], name=(rows + self.other[:0]).name, skipped=rows.skipped)

    @property
    def recipe(self) -> dict[str, Any]:
        return {"treatment": "mix", "rows": self.other.hash, "share": self.share}


def treat(rows: Rows, treatments: Iterable[Treatment], rng: np.random.Generator) -> Rows:
    """``rows`` after all ``treatments``, in order."""
    for treatment in treatments:
        rows = treatment.apply(rows, rng)
    return rows
