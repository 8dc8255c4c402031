"""The search: every remedy climbs its doses until one holds, the budget ends, or it has shown that it does nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from upbringing.errors import InputError
from upbringing.repair.attempts import Tried, attempt, read
from upbringing.repair.remedy import SMALLEST_DOSE, Case, Remedy


@dataclass(frozen=True)
class Task:
    """A piece of work for an engine: ``function(*arguments, tick)``, after the tasks it needs."""

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...]
    needs: tuple[str, ...] = ()


Engine = Callable[[Sequence[Task]], Sequence[tuple[str, str]]]
"""Does tasks, each after those it needs, and gives back the names of those that failed with the reasons."""


def in_turn(tasks: Sequence[Task]) -> Sequence[tuple[str, str]]:
    """The engine that needs no other process: one task after another."""
    failures: list[tuple[str, str]] = []
    failed: set[str] = set()
    for task in tasks:
        if failed & set(task.needs):
            failed.add(task.name)
            continue
        try:
            task.function(*task.arguments, lambda share: None)
        except InputError as error:
            failures.append((task.name, str(error)))
            failed.add(task.name)
    return failures


def search(
    case: Case, among: Sequence[Remedy], budget: int, engine: Engine = in_turn
) -> tuple[list[Tried], list[tuple[str, str]]]:
    """Try remedies, smallest doses first; what was tried, and what failed with its reason.

    Raises:
        InputError: the budget allows no dose of any remedy, or every attempt failed.
    """
    ladders = {remedy.name: remedy.doses(case, budget) for remedy in among}
    if not any(ladders.values()):
        raise InputError(
            f"a budget of {budget} tokens is too small for anything; the smallest dose of remedial text is "
            f"{SMALLEST_DOSE} tokens"
        )
    # A rung at a time: whoever looks at the search sees the small doses first.
    tasks = [
        Task(
            f"{name}, {label(dose)}",
            attempt,
            (case, name, doses, number),
            (f"{name}, {label(doses[number - 1])}",) if number else (),
        )
        for number in range(max(map(len, ladders.values())))
        for name, doses in ladders.items()
        if number < len(doses)
        for dose in (doses[number],)
    ]
    failures = [
        (name, f"its smallest dose takes more than {budget} tokens") for name, doses in ladders.items() if not doses
    ]
    failures += engine(tasks)
    tried = [one for name, doses in ladders.items() for dose in doses if (one := read(case, name, dose)) is not None]
    if not tried:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failures[:3])
        raise InputError(
            f"no remedy could be tried ({reasons})"
            if reasons
            else f"a budget of {budget} tokens is too small for anything: no row of remedial text is so short"
        )
    return tried, failures


def label(dose: float) -> str:
    """``250`` or ``0.5``."""
    return f"{dose:g}"


def smallest(tried: Sequence[Tried]) -> Tried | None:
    """Of what holds, that which needs the fewest tokens; of those, that which leaves least under provocation."""
    holding = [one for one in tried if one.judgement.verdict == "holds"]
    return min(holding, key=lambda one: (one.tokens, one.judgement.worst), default=None)
