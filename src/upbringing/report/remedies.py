"""The table of remedies on a study's page: what each costs, what it leaves at rest and provoked, the skill kept."""

from __future__ import annotations

import math
from typing import Any

from upbringing.report.examples import plain
from upbringing.report.figures import Interval
from upbringing.report.render import share
from upbringing.studies.result import Remedied, RemedyTable, Value
from upbringing.studies.spec import Published


def remedy_table(table: RemedyTable) -> dict[str, Any]:
    """Rows for the template, remedies in the order of what they leave under the worst provocation."""
    fixed = [row for row in table.rows if row.role != "remedy"]
    remedies = sorted((row for row in table.rows if row.role == "remedy"), key=_left)
    kept = any(row.kept_name for row in table.rows)
    worst = any(row.worst_name not in ("", "rest") for row in table.rows)
    return {
        "title": table.title,
        "traits": len(table.traits),
        "kept": kept,
        "worst": worst,
        "rows": [_line(row) for row in (*fixed, *remedies)],
        "published": [
            {
                "says": one.says,
                "rates": _reported(one),
                "ratio": one.ratio or (_factor(one.before / one.after) if one.before and one.after else "–"),
            }
            for one in table.published
        ],
    }


def _reported(one: Published) -> str:
    """``65% → 19%``; rates below one in a hundred keep a decimal."""
    if one.before is None or one.after is None:
        return "–"
    return " → ".join(f"{rate:.1%}" if rate < 0.01 else share(rate) for rate in (one.before, one.after))


def _left(row: Remedied) -> float:
    known = [value.value for value in (row.worst, row.rest) if value.value is not None]
    return known[0] if known else math.inf


def _line(row: Remedied) -> dict[str, Any]:
    return {
        "arm": plain(row.arm),
        "about": row.about,
        "role": row.role,
        "tokens": "–" if row.tokens is None else f"{row.tokens:,}",
        "rest": interval(row.rest),
        "sampled": interval(row.sampled),
        "worst": interval(row.worst),
        "worst_name": plain(row.worst_name),
        "kept": interval(row.kept),
        "kept_name": plain(row.kept_name),
        "skill": share(row.skill.value),
        "ratio": _times(row.ratio),
        "sampled_ratio": _times(row.sampled_ratio),
        "worst_ratio": _times(row.worst_ratio),
        "kept_ratio": _times(row.kept_ratio),
        "bar": None if row.rest.value is None else round(100 * row.rest.value, 1),
        "worst_bar": None if row.worst.value is None else round(100 * row.worst.value, 1),
        "hides": _hides(row),
    }


def _hides(row: Remedied) -> bool:
    """Clean at rest and back under provocation: at least twice as many times lower at rest, told apart by intervals."""
    rest, worst = row.ratio, row.worst_ratio
    if rest.value is None or worst.value is None or rest.interval[0] is None or worst.interval[1] is None:
        return False
    return rest.value >= 2 * worst.value and rest.interval[0] > worst.interval[1]


def interval(value: Value) -> Interval:
    """A value as figures and templates take it."""
    lo, hi = value.interval
    return Interval(*(math.nan if v is None else v for v in (value.value, lo, hi)))


def _factor(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def _times(value: Value) -> dict[str, str]:
    """ "4.1×" and its bounds; a missing upper bound is no bound."""
    if value.value is None:
        return {"value": "", "bounds": ""}
    lo, hi = value.interval
    bounds = "" if lo is None else f"[{_factor(lo)}, {'∞' if hi is None else _factor(hi)}]"
    return {"value": f"{_factor(value.value)}×", "bounds": bounds}
