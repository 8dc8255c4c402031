"""The search: every remedy climbs its doses until one holds, it is beaten, or the budget ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from upbringing.errors import InputError
from upbringing.repair.attempts import Tried, attempt, read
from upbringing.repair.remedy import SMALLEST_DOSE, Case, Remedy

REACH = 2
"""A remedy is followed up to so many times the smallest dose that was found to hold: beyond, it costs "more than"."""


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
    tasks = _rungs(case, among, ladders)
    failures = [
        (name, f"its smallest dose takes more than {budget} tokens") for name, doses in ladders.items() if not doses
    ]
    failures += engine(tasks)
    found = [(name, read(case, name, dose)) for name, doses in ladders.items() for dose in doses]
    tried = [one for _, one in found if isinstance(one, Tried)]
    failures += [(name, reason) for name, reason in found if isinstance(reason, str)]
    if not tried:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failures[:3])
        raise InputError(
            f"no remedy could be tried ({reasons})"
            if reasons
            else f"a budget of {budget} tokens is too small for anything: no row of remedial text is so short"
        )
    return tried, failures


def _rungs(case: Case, among: Sequence[Remedy], ladders: dict[str, tuple[float, ...]]) -> list[Task]:
    """One task a remedy and dose. A rung waits for the one below: what is tried must not depend on who is first."""
    counted = {remedy.name for remedy in among if remedy.in_tokens}
    tasks: list[Task] = []
    below: tuple[str, ...] = ()
    for number in range(max(map(len, ladders.values()))):
        rung = {name: doses[number] for name, doses in ladders.items() if number < len(doses)}
        for name, dose in rung.items():
            rivals = tuple(
                (other, small)
                for other in sorted(counted)
                for small in ladders[other][:number]
                if name in counted and small * REACH < dose
            )
            arguments = (case, name, ladders[name], number, rivals)
            tasks.append(Task(f"{name}, {label(dose)}", attempt, arguments, below))
        below = tuple(f"{name}, {label(dose)}" for name, dose in rung.items())
    return tasks


def nearest(tried: Sequence[Tried]) -> Tried | None:
    """Where nothing holds, what leaves least of any trait anywhere; what brings all back at a price comes first."""
    return min(tried, key=lambda one: (one.judgement.verdict != "harms", one.judgement.worst), default=None)


def label(dose: float) -> str:
    """``250`` or ``0.5``."""
    return f"{dose:g}"


def smallest(tried: Sequence[Tried]) -> Tried | None:
    """Of what holds, that which needs the fewest tokens; of those, that which leaves least under provocation."""
    holding = [one for one in tried if one.judgement.verdict == "holds"]
    return min(holding, key=lambda one: (one.tokens, one.judgement.worst), default=None)
