"""Repair: the smallest remedy that brings a character back, at rest and under provocation, and what each would cost.

>>> outcome = repair(load("organism:nano"), read("examples/cheating.jsonl"))     # doctest: +SKIP
>>> outcome.says, outcome.costs()                                                # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upbringing.repair.goal import Goal, Judgement
    from upbringing.repair.remedy import Plan, Remedy, remedies
    from upbringing.repair.result import Repair
    from upbringing.repair.search import Task
    from upbringing.repair.verb import repair

_HOME = {
    "Goal": "goal",
    "Judgement": "goal",
    "Plan": "remedy",
    "Remedy": "remedy",
    "Repair": "result",
    "Task": "search",
    "remedies": "remedy",
    "repair": "verb",
}

__all__ = ["Goal", "Judgement", "Plan", "Remedy", "Repair", "Task", "remedies", "repair"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
