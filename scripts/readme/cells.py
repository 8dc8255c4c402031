"""How the README prints numbers and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upbringing.measure.statistics import Estimate
    from upbringing.studies.result import Value

NOTHING = "–"
HARD = "\u00a0"
"""A space at which a line may not break."""

_WHOLE = re.compile(r"(÷ )?[+-]?\d+(\.\d+)? \[[^\]]*\]|÷ \d")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, in which no number is parted from its interval at the end of a line."""
    lines = [columns, ["---"] * len(columns), *([_whole(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _whole(cell: str) -> str:
    return _WHOLE.sub(lambda number: number.group().replace(" ", HARD), cell)


def folded(summary: str, parts: Iterable[str]) -> str:
    """Parts that open on a click."""
    inside = "\n\n".join(parts)
    return f"<details>\n<summary>{summary}</summary>\n\n{inside}\n\n</details>"


def estimate(found: Estimate, *, signed: bool = True) -> str:
    """``+0.40 [+0.36, +0.44]``."""
    from upbringing.studies.result import Value

    return value(Value.of(found), "+.2f" if signed else ".2f")


def value(found: Value, spec: str = ".2f") -> str:
    """A value with its interval: without one where none is known, open above where there is no upper bound."""
    if found.value is None:
        return NOTHING
    lo, hi = found.interval
    if lo is None:
        return f"{found.value:{spec}}"
    return f"{found.value:{spec}} [{lo:{spec}}, {'∞' if hi is None else format(hi, spec)}]"


def plain(name: str) -> str:
    """A name as words."""
    return name.replace("_", " ")
