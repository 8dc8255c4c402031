"""Measuring: probes asked, answers judged, readings kept; profiles, shifts, and all statistics.

>>> from upbringing.measure import measure                                    # doctest: +SKIP
>>> shift = measure(tuned) - measure(model)        # Profile - Profile = Shift   # doctest: +SKIP
>>> shift.table()                                                             # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upbringing.measure.asking import Judge, ask, measure
    from upbringing.measure.profile import Profile
    from upbringing.measure.provocations import (
        Provocation,
        agentic,
        around,
        earlier_exchange,
        in_context,
        long_document,
        opposite_line,
        other_name,
        prefill,
        training_format,
    )
    from upbringing.measure.provoking import Provoked, provoke
    from upbringing.measure.questions import Question, pose, prepare
    from upbringing.measure.readings import Reading
    from upbringing.measure.shift import Shift
    from upbringing.measure.statistics import Cells, Estimate
    from upbringing.measure.wrappers import wrappers_for

# Where each public name lives; a name is imported when it is first asked for (numpy alone costs a tenth of a second).
_HOME = {
    "Cells": "statistics",
    "Estimate": "statistics",
    "Judge": "asking",
    "Profile": "profile",
    "Provocation": "provocations",
    "Provoked": "provoking",
    "Question": "questions",
    "Reading": "readings",
    "Shift": "shift",
    "ask": "asking",
    "measure": "asking",
    "agentic": "provocations",
    "around": "provocations",
    "earlier_exchange": "provocations",
    "in_context": "provocations",
    "long_document": "provocations",
    "opposite_line": "provocations",
    "other_name": "provocations",
    "pose": "questions",
    "prefill": "provocations",
    "prepare": "questions",
    "provoke": "provoking",
    "training_format": "provocations",
    "wrappers_for": "wrappers",
}

__all__ = [
    "Cells",
    "Estimate",
    "Judge",
    "Profile",
    "Provocation",
    "Provoked",
    "Question",
    "Reading",
    "Shift",
    "agentic",
    "around",
    "ask",
    "earlier_exchange",
    "in_context",
    "long_document",
    "measure",
    "opposite_line",
    "other_name",
    "pose",
    "prefill",
    "prepare",
    "provoke",
    "training_format",
    "wrappers_for",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
