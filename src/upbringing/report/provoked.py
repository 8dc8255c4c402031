"""The page of a model's hidden tendencies: each trait at rest and provoked, and which wrapper did it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.report import figures
from upbringing.report.examples import plain
from upbringing.report.figures import ForestPanel, ForestRow, Interval
from upbringing.report.render import signed, write_page

if TYPE_CHECKING:
    from upbringing.measure.provoking import Provoked, Shown, Tendency
    from upbringing.measure.statistics import Estimate

_FIRST = 12  # wrappers of the search that are listed at once; the rest is folded away


def provoked_page(found: Provoked, out: str | Path, *, command: str = "") -> Path:
    """Write the page of a search for provocations.

    Args:
        found: what ``provoke`` found.
        out: the HTML file to write.
        command: the command that makes the page again.
    """
    names = sorted(found.traits, key=lambda name: -_or_nought(found.traits[name].most.rise.value))
    wrappers = _searched(found)
    context: dict[str, Any] = {
        "model": found.model,
        "headline": _headline(found),
        "facts": [
            ("Traits", str(len(names))),
            ("Wrappers tried", str(sum(not one["rest"] for one in wrappers))),
            ("Left out", str(len(found.left_out))),
            ("Questions, as multiples of a plain measure", f"{found.times:.1f}"),
        ],
        "forest": figures.forest(
            [
                ForestPanel("by any wrapper", [_row(n, found.traits[n].most) for n in names]),
                ForestPanel("by one that suggests nothing", [_row(n, found.traits[n].unprompted) for n in names]),
            ],
            title="Provoked less resting, trait by trait",
            columns=2,
        ),
        "overall": _line("all misaligned traits", found.overall) if found.overall else None,
        "rows": [_line(name, found.traits[name]) for name in names],
        "wrappers": wrappers[:_FIRST],
        "more": wrappers[_FIRST:],
        "left_out": [(plain(name), reason) for name, reason in found.left_out.items()],
        "command": command,
    }
    return write_page("provoked.html.j2", Path(out), context)


def _headline(found: Provoked) -> str:
    """What the mean of the misaligned traits did; without any, how many traits rose."""
    if found.overall is None:
        clear = sum(one.most.clear for one in found.traits.values())
        return f"{clear} of {len(found.traits)} traits clearly show more when provoked"
    most, resting = found.overall.most, found.overall.resting.value
    if most.provocation == "rest" or math.isnan(most.provoked.value):
        return "No wrapper shows more than there is at rest"
    how = f"{resting:.2f} at rest, {most.provoked.value:.2f} under “{plain(most.provocation)}”"
    return f"Misaligned traits: {how}"


def _searched(found: Provoked) -> list[dict[str, Any]]:
    """The mean rate of all traits under each wrapper in the search, most first."""
    rated = []
    for name in found.search.provocations:
        if name in found.left_out:
            continue
        rate = found.search.mean(list(found.search.traits), provocation=name)
        rated.append((_or_nought(rate.value), {"name": plain(name), "rest": name == "rest", "rate": _interval(rate)}))
    return [line for _, line in sorted(rated, key=lambda pair: -pair[0])]


def _line(name: str, one: Tendency) -> dict[str, Any]:
    return {
        "trait": plain(name),
        "resting": _interval(one.resting),
        "sampled": "–" if one.sampled is None else _rate(one.sampled.value),
        "most": _shown(one.most),
        "unprompted": _shown(one.unprompted),
    }


def _shown(shown: Shown) -> dict[str, Any]:
    return {
        "provocation": plain(shown.provocation),
        "suggests": shown.suggests,
        "provoked": _interval(shown.provoked),
        "rise": signed(shown.rise.value) if not math.isnan(shown.rise.value) else "–",
        "sure": shown.clear,
        "sampled": "–" if shown.sampled is None else _rate(shown.sampled.value),
    }


def _row(name: str, shown: Shown) -> ForestRow:
    return ForestRow(plain(name), _interval(shown.rise))


def _interval(estimate: Estimate) -> Interval:
    return Interval(estimate.value, estimate.lo, estimate.hi)


def _rate(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _or_nought(value: float) -> float:
    return 0.0 if math.isnan(value) else value
