"""Tables of rows that teachers wrote: what filters let through, and whether single rows can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from upbringing.report.examples import plain
from upbringing.report.render import share
from upbringing.studies.result import StudyResult


def sampled_tables(result: StudyResult) -> dict[str, list[dict[str, Any]]]:
    """``written``: what filters let through of each teacher's answers. ``told_apart``: the AUC of single rows.

    Both are means over bases with the lowest and the highest; a part of a study in which no teacher wrote is empty.
    """
    return {"written": _written(result), "told_apart": _told_apart(result)}


def _written(result: StudyResult) -> list[dict[str, Any]]:
    lines = []
    for data in dict.fromkeys(one.data for one in result.written):
        of_data = [one for one in result.written if one.data == data]
        names = dict.fromkeys(name for one in of_data for name in one.stopped)
        stopped = {name: fmean(one.stopped.get(name, 0.0) for one in of_data) for name in names}
        lines.append(
            {
                "data": plain(data),
                "teacher": plain(of_data[0].teacher),
                "filters": ", ".join(of_data[0].filters) or "none",
                "bases": str(len(of_data)),
                "passed": _ranged([one.passed for one in of_data], share),
                "stopped": ", ".join(f"{name} {share(value)}" for name, value in stopped.items()),
            }
        )
    return lines


def _told_apart(result: StudyResult) -> list[dict[str, Any]]:
    lines = []
    for data, clean in dict.fromkeys((one.data, one.clean) for one in result.told_apart):
        aucs = [one.auc for one in result.told_apart if (one.data, one.clean) == (data, clean)]
        auc = _ranged(aucs, lambda value: f"{value:.2f}")
        lines.append({"data": plain(data), "clean": plain(clean), "bases": str(len(aucs)), "auc": auc})
    return lines


def _ranged(values: Sequence[float], told: Any) -> str:
    """``0.84 (0.80 to 0.88)``; one value alone as it is."""
    mean = told(fmean(values))
    return mean if len(values) == 1 else f"{mean} ({told(min(values))} to {told(max(values))})"
