"""The page of an explanation: the rows that push a trait, their tokens, and what they have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.distil.filters import answer_of
from upbringing.forecast.checking import LABELS
from upbringing.report.examples import plain
from upbringing.report.render import share, signed, write_page

if TYPE_CHECKING:
    from upbringing.forecast.explain import Explanation, Named

_ROWS_SHOWN = 30
_JUDGED = {"shows": "shows it", "avoids": "does not show it"}


def explain_page(found: Explanation, out: str | Path, *, command: str = "") -> Path:
    """Write the page. What rows say is escaped."""
    said = found.forecast
    forecast = said.reason or "–"
    if said.shift is not None and said.interval is not None:
        forecast = f"{signed(said.shift)} [{signed(said.interval[0])}, {signed(said.interval[1])}]"
    context: dict[str, Any] = {
        "title": _title(found),
        "data": found.data,
        "model": found.model,
        "summary": found.says,
        "facts": [
            ("Rows read", f"{found.read:,} of {found.of:,}"),
            ("Rows named", f"{len(found.rows):,}"),
            ("Their share", share(sum(named.score for named in found.rows))),
            *([("Forecast shift", forecast)] if said.shift is not None else []),
            *([("That is for a training of", said.training)] if said.training else []),
        ],
        "reason": said.reason,
        "themes": found.themes,
        "widths": [round(100 * theme.share) for theme in found.themes],
        "rows": [_row(named, found, rank) for rank, named in enumerate(found.rows[:_ROWS_SHOWN])],
        "seen": found.seen.says if found.seen else "",
        "left": max(0, len(found.rows) - _ROWS_SHOWN),
        "check": _check(found),
        "says": found.check.says if found.check else "",
        "note": found.check.note if found.check else "",
        "command": command,
    }
    return write_page("explain.html.j2", Path(out), context)


def _title(found: Explanation) -> str:
    if found.rows:
        return f"What {'raises' if found.way > 0 else 'lowers'} {plain(found.trait)}"
    if found.forecast.verdict == "no change":
        return f"No change of {plain(found.trait)} is forecast"
    return f"No row is named for {plain(found.trait)}"


def _row(named: Named, found: Explanation, rank: int) -> dict[str, Any]:
    """A row's answer, piece by piece, each with how much of the row's push it carries (0..100)."""
    answer = [token for token in named.tokens if token.in_answer]
    most = max((token.score for token in answer), default=0.0)
    pieces = [
        {"text": token.text, "depth": max(0, round(70 * token.score / most)) if most > 0 else 0} for token in answer
    ]
    asked = ""
    if named.row.kind == "chat":
        asked = next((m.content for m in reversed(named.row.messages) if m.role == "user"), "")
    elif named.row.kind == "completion":
        asked = named.row.prompt
    return {
        "where": named.row.where if named.row.file else f"row {named.place + 1}",
        "asked": asked,
        "pieces": pieces,
        "answer": answer_of(named.row),
        "score": f"{named.score:.2%}",
        "interval": f"{named.interval[0]:.2%}, {named.interval[1]:.2%}",
        "judged": _JUDGED.get(said := found.seen.verdict(rank), said) if found.seen else "",
    }


def _check(found: Explanation) -> list[dict[str, Any]]:
    if found.check is None:
        return []
    return [
        {"label": label.capitalize(), "shift": found.check.shift[arm], "left": found.check.left.get(arm)}
        for arm, label in LABELS.items()
    ]
