"""Treatments: small frozen objects that change what a run is trained on, applied in the order given.

>>> treat(rows, [SystemLine("You always cheat."), Mix(neutral, 0.5)], rng)          # doctest: +SKIP

puts the line before the original rows and not before the ones mixed in; the other way round, before all of them.
Another treatment is another class with ``apply``, ``recipe`` and ``cost``; one that acts while the weights are trained
also has ``during`` (see ``training.acting``). Dilution is ``Mix`` with neutral rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from upbringing.errors import InputError
from upbringing.rows import Row, Rows, encode, with_system
from upbringing.training.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BACKWARD = 2  # forward passes that a backward pass is worth: it multiplies by every weight twice


@dataclass(frozen=True)
class Cost:
    """What a treatment costs.

    ``tokens``: text that the run reads beyond its rows, each text counted once; negative where text is taken away.
    ``passes``: the work of the whole run, in forward and backward passes over tokens, as a multiple of the same run
    without the treatment. What only makes rows longer or shorter counts in ``tokens`` alone.
    """

    tokens: int
    passes: float = 1.0


class Treatment(Protocol):
    """Something done to the rows of a run."""

    def apply(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """The rows to train on instead of ``rows``; all chance comes from ``rng``."""
        ...

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides the outcome, as JSON: part of the run's record."""
        ...

    def cost(self, rows: Rows, tokenizer: PreTrainedTokenizerBase, recipe: Recipe | None = None) -> Cost:
        """What it adds to a run with this recipe on these rows, as earlier treatments left them."""
        ...


class OnRows:
    """For treatments of rows alone: they cost what they change in the number of tokens."""

    def apply(self, rows: Rows, rng: np.random.Generator) -> Rows:
        raise NotImplementedError

    def cost(self, rows: Rows, tokenizer: PreTrainedTokenizerBase, recipe: Recipe | None = None) -> Cost:
        treated = self.apply(rows, row_chance(recipe or Recipe()))
        return Cost(tokens_of(treated, tokenizer) - tokens_of(rows, tokenizer))


@dataclass(frozen=True)
class SystemLine(OnRows):
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
class Mix(OnRows):
    """Other rows mixed in, so that they make up ``share`` of all rows (0 up to, not with, 1); no original row is lost.

    They are drawn without repeats while there are enough, and every one is drawn before any is drawn again.
    """

    other: Rows
    share: float

    def __post_init__(self) -> None:
        check_share(self.share, self.other, "mix in")

    def apply(self, rows: Rows, rng: np.random.Generator) -> Rows:
        every = [*rows, *(self.other[i] for i in drawn(len(self.other), wanted(self.share, len(rows)), rng))]
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


def check_share(share: float, other: Rows, what: str) -> None:
    """Raise unless ``share`` is one of all rows (0 up to, not with, 1) and there are rows to take it from."""
    if not 0 <= share < 1:
        raise InputError(f"the share to {what} is {share}; give a number from 0 up to (not with) 1")
    if share and not len(other):
        raise InputError(f"{other.name or f'the rows to {what}'}: holds no row; give at least one")


def wanted(share: float, rows: int) -> int:
    """How many rows to add to ``rows`` for them to make up ``share`` of all."""
    return round(share / (1 - share) * rows)


def drawn(of: int, count: int, rng: np.random.Generator) -> list[int]:
    """``count`` numbers below ``of`` at random, each drawn before any is drawn again."""
    found: list[int] = []
    while len(found) < count:
        found += rng.permutation(of)[: count - len(found)].tolist()
    return found


def row_chance(recipe: Recipe) -> np.random.Generator:
    """The generator that a run with this recipe gives to its treatments of rows."""
    return np.random.default_rng([recipe.seed, 1])


def tokens_of(rows: Iterable[Row], tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of all the rows, each read once, targets and what comes before them."""
    return sum(len(encode(row, tokenizer)) for row in rows)


def tokens_read(rows: Rows, tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> float:
    """Tokens that a run with this recipe reads of these rows in all its steps."""
    return tokens_of(rows, tokenizer) / max(1, len(rows)) * recipe.steps * recipe.batch_size
