"""Remedies: what each would do to a model, at ascending doses. Adding one is adding one object in one file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from upbringing.errors import InputError
from upbringing.repair.goal import Goal
from upbringing.repair.look import Look
from upbringing.repair.supply import Supply

if TYPE_CHECKING:
    from upbringing.rows import Row, Rows
    from upbringing.training import Recipe
    from upbringing.training.treatments import Treatment

SMALLEST_DOSE = 125
"""Tokens of the first dose; each further one is twice as large."""


@dataclass(frozen=True)
class Case:
    """One model to be repaired, as plain values that a worker process can take.

    ``spoiled`` is the model; ``model`` and ``rows`` (a file) are what it was made from, where that is known, and
    ``recipe`` how. ``before`` and ``reference`` are folders of readings of the search part. ``lesson`` is a file of
    wanted rows that were kept out of training, ``lesson_before`` how well the spoiled model knows them.
    ``identity`` is the hash of all that decides the readings; it is part of every record.
    """

    store: Path
    spoiled: str
    supply: Supply
    look: Look
    goal: Goal
    before: Path
    reference: Path | None
    identity: str
    model: str = ""
    rows: Path | None = None
    lesson: Path | None = None
    lesson_before: float = float("nan")
    recipe: dict[str, Any] = field(default_factory=dict)
    line: str = ""
    """The inoculating line."""
    seed: int = 0

    def neutral(self, n: int) -> Rows | None:
        """Rows to read beside remedial ones: about ``n`` of the world's neutral chats, and the wanted rows of the data.

        The latter only where some rows are marked as bad, for else all of them might be. None where there is neither.
        """
        from upbringing.repair.during import is_marked
        from upbringing.rows import Rows, read

        wanted: list[Row] = []
        if self.rows is not None:
            rows = read(self.rows)
            marked = is_marked(rows)
            wanted = [row for row, bad in zip(rows, marked, strict=True) if not bad] if any(marked) else []
        own = self.supply.neutral(max(n - len(wanted), len(wanted)))
        found = [*wanted, *(own or [])]
        return Rows(found, name="neutral") if found else None

    @property
    def traits(self) -> tuple[str, ...]:
        """The traits to bring back: those that are asked, without those to keep."""
        return tuple(trait for trait in self.look.traits if trait not in self.goal.keep)


@dataclass(frozen=True)
class Plan:
    """One remedy at one dose: train ``start`` on ``rows`` under ``treatments``.

    ``tokens`` counts the words and marks that somebody has to write or find for it, each once, however often they are
    read.
    """

    start: str
    rows: Rows
    recipe: Recipe
    tokens: int
    treatments: tuple[Treatment, ...] = ()
    rows_read: str = ""
    """What the run reads, in words."""


class Remedy(Protocol):
    """Something that may undo a shift."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str:
        """One line: what is done."""
        ...

    @property
    def in_tokens(self) -> bool:
        """Whether its doses are tokens (and not a strength)."""
        ...

    def doses(self, case: Case, budget: int) -> tuple[float, ...]:
        """Ascending doses that need no more than ``budget`` tokens; none where the case lacks what it takes."""
        ...

    def plan(self, case: Case, dose: float) -> Plan:
        """What to do at a dose; a plan without rows where the dose is too small for a single row."""
        ...


def doubling(budget: int, first: int = SMALLEST_DOSE) -> tuple[float, ...]:
    """125, 250, 500 … tokens, up to the budget."""
    found: list[float] = []
    dose = first
    while dose <= budget:
        found.append(float(dose))
        dose *= 2
    return tuple(found)


def remedies() -> dict[str, Remedy]:
    """Every remedy by name, those that are tried unasked first."""
    from upbringing.repair import after, during

    return {remedy.name: remedy for remedy in (*after.REMEDIES, *during.REMEDIES)}


def check_names(names: Iterable[str] | None) -> None:
    """Raise ``InputError`` for a remedy that is not known, before anything long is done; ``None``: none was named."""
    if names is None:
        return
    known, named = remedies(), list(names)
    for name in named:
        if name not in known:
            raise InputError(f'no remedy "{name}"; known: {", ".join(known)}')
    if not named:
        raise InputError(f"no remedy is named; known: {', '.join(known)}")


def chosen(names: Iterable[str] | None, case: Case) -> list[Remedy]:
    """The remedies asked for, or those tried unasked that this case allows.

    Raises:
        InputError: an unknown name, or a remedy that cannot be applied to this case.
    """
    from upbringing.repair import after, during

    known = remedies()
    if names is None:
        usual = [known[name] for name in (*after.USUAL, *during.USUAL)]
        return [remedy for remedy in usual if applies(remedy, case)]
    names = list(dict.fromkeys(names))
    check_names(names)
    found = []
    for name in names:
        if not applies(known[name], case):
            raise InputError(f'"{name}" cannot be applied here ({known[name].about}); leave it out')
        found.append(known[name])
    return found


def applies(remedy: Remedy, case: Case) -> bool:
    """Whether the case has what the remedy takes, were there no limit to tokens."""
    return bool(remedy.doses(case, 10**6))
