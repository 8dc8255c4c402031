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
        long_document,
        opposite_line,
        other_name,
        prefill,
        training_format,
    )
    from upbringing.measure.questions import Question, pose, prepare
    from upbringing.measure.readings import Reading
    from upbringing.measure.shift import Shift
    from upbringing.measure.statistics import Cells, Estimate

# Where each public name lives; a name is imported when it is first asked for (numpy alone costs a tenth of a second).
_HOME = {
    "Cells": "statistics",
    "Estimate": "statistics",
    "Judge": "asking",
    "Profile": "profile",
    "Provocation": "provocations",
    "Question": "questions",
    "Reading": "readings",
    "Shift": "shift",
    "ask": "asking",
    "measure": "asking",
    "agentic": "provocations",
    "long_document": "provocations",
    "opposite_line": "provocations",
    "other_name": "provocations",
    "pose": "questions",
    "prefill": "provocations",
    "prepare": "questions",
    "training_format": "provocations",
}

__all__ = [
    "Cells",
    "Estimate",
    "Judge",
    "Profile",
    "Provocation",
    "Question",
    "Reading",
    "Shift",
    "agentic",
    "ask",
    "long_document",
    "measure",
    "opposite_line",
    "other_name",
    "pose",
    "prefill",
    "prepare",
    "training_format",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
