"""Figures of a page: matplotlib drawings as inline SVG, with text as text and colours that follow the page's theme.

Drawings are made in stand-in colours, each replaced by a CSS variable, so one drawing serves light and dark.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-in colour -> CSS variable.
_INK, _MUTED, _GRID, _UP, _DOWN, _QUIET, _PAPER = (f"#0{n}0{n}0{n}" for n in range(1, 8))
_SERIES = ("#080808", "#090909", "#0a0a0a", "#0b0b0b", "#0c0c0c", "#0d0d0d")
_THEME = {
    _INK: "ink",
    _MUTED: "muted",
    _GRID: "line",
    _UP: "up",
    _DOWN: "down",
    _QUIET: "quiet",
    _PAPER: "paper",
    **{stand_in: f"s{number}" for number, stand_in in enumerate(_SERIES)},
}
_FONT = 9.5


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval (NaN where there is none)."""

    value: float
    lo: float = math.nan
    hi: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there is a value at all."""
        return not math.isnan(self.value)

    @property
    def settled(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.lo > 0 or self.hi < 0


@dataclass(frozen=True)
class ForestRow:
    """One trait's shift, by log-probability and (hollow) by sampling."""

    label: str
    logprob: Interval
    sampled: Interval | None = None
    taught: bool = False


@dataclass(frozen=True)
class ForestPanel:
    """One arm's shifts; all panels of a figure list the same traits in the same order."""

    title: str
    rows: Sequence[ForestRow]


@dataclass(frozen=True)
class Strip:
    """One arm: a value per base (dots) and the mean with its interval."""

    label: str
    dots: Sequence[float]
    mean: Interval
    untrained: bool = False
    starts_group: bool = False


@dataclass(frozen=True)
class Curve:
    """One line of points, drawn faint (one base) or strong (a mean)."""

    x: Sequence[float]
    y: Sequence[float]
    strong: bool = False


@dataclass(frozen=True)
class Path:
    """An arm's way through training: how much it learned, how far that spread; ``dots`` are single end points."""

    label: str
    curves: Sequence[Curve] = ()
    dots: Sequence[tuple[float, float]] = field(default=())


@dataclass(frozen=True)
class DoseLine:
    """Rates at doses ``x``: a mean with its interval at each, and the values of single bases."""

    label: str
    x: Sequence[float]
    means: Sequence[Interval]
    dots: Sequence[Sequence[float]]


def forest(panels: Sequence[ForestPanel], *, title: str, columns: int = 3, width: float | None = None) -> Markup:
    """Each trait's shift with its interval, one panel an arm. Filled: log-probability; hollow: sampled answers."""
    columns = min(columns, len(panels))
    lines = math.ceil(len(panels) / columns)
    count = max(len(panel.rows) for panel in panels)
    low, high = _limits([mark for panel in panels for row in panel.rows for mark in (row.logprob, row.sampled) if mark])
    with _drawing(width or 3.0 + 2.35 * columns, lines * (0.235 * count + 0.75)) as figure:
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(panels):
                axes.set_visible(False)
                continue
            _forest_panel(axes, panels[place], count)
            axes.set_xlim(low, high)
            axes.tick_params(labelleft=place % columns == 0, labelbottom=place + columns >= len(panels))
        figure.supxlabel("shift in the rate at which the trait shows", fontsize=_FONT, color=_MUTED)
        return _svg(figure, title)


def _forest_panel(axes: Axes, panel: ForestPanel, count: int) -> None:
    axes.set_title(panel.title, loc="left", fontsize=_FONT + 1, fontweight="bold", color=_INK, pad=6)
    axes.axvline(0, color=_MUTED, linewidth=0.9, zorder=1)
    for place, row in enumerate(panel.rows):
        y = count - 1 - place
        if row.sampled and row.sampled.known:
            _mark(axes, row.sampled, y - 0.2, hollow=True, taught=row.taught)
        if row.logprob.known:
            _mark(axes, row.logprob, y + (0.1 if row.sampled else 0), hollow=False, taught=row.taught)
        else:
            axes.text(0, y, " not measured", fontsize=_FONT - 2, color=_MUTED, va="center")
    axes.set_yticks([count - 1 - place for place in range(len(panel.rows))], [row.label for row in panel.rows])
    axes.set_ylim(-0.8, count - 0.3)
    axes.grid(axis="y", color=_GRID, linewidth=0.5)
    axes.tick_params(axis="y", length=0)


def _mark(axes: Axes, mark: Interval, y: float, *, hollow: bool, taught: bool) -> None:
    colour = _QUIET if not mark.settled else _UP if mark.value > 0 else _DOWN
    if not math.isnan(mark.lo):
        axes.plot(
            [mark.lo, mark.hi], [y, y], color=colour, linewidth=1.0 if hollow else 1.8, solid_capstyle="butt", zorder=2
        )
    axes.plot(
        [mark.value],
        [y],
        color=colour,
        marker="D" if taught else "o",
        markersize=3.6 if hollow else 5.2,
        markerfacecolor=_PAPER if hollow else colour,
        markeredgecolor=colour,
        markeredgewidth=1.0,
        zorder=3,
    )


def strips(arms: Sequence[Strip], *, title: str, xlabel: str) -> Markup:
    """Each arm's rate: a dot a base, and the mean with its interval."""
    with _drawing(9.2, 0.44 * len(arms) + 0.75) as figure:
        axes = figure.subplots()
        for place, arm in enumerate(arms):
            y = len(arms) - 1 - place
            colour = _QUIET if arm.untrained else _SERIES[0]
            if arm.starts_group and place:
                axes.axhline(y + 0.5, color=_GRID, linewidth=1.2)
            axes.plot(
                arm.dots, [y - 0.24] * len(arm.dots), "o", color=colour, markersize=4.5, alpha=0.4, markeredgewidth=0
            )
            if not math.isnan(arm.mean.lo):
                axes.plot([arm.mean.lo, arm.mean.hi], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot([arm.mean.value], [y], "|", color=colour, markersize=15, markeredgewidth=2.6)
            if arm.mean.known:
                text = f"{arm.mean.value:.2f}"
                axes.annotate(
                    text, (1.005, y), xycoords=("axes fraction", "data"), va="center", color=_INK, fontsize=_FONT
                )
        axes.set_yticks([len(arms) - 1 - place for place in range(len(arms))], [arm.label for arm in arms])
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.6, len(arms) - 0.4)
        axes.set_xlabel(xlabel)
        axes.grid(axis="x", color=_GRID, linewidth=0.6)
        axes.tick_params(axis="y", length=0)
        return _svg(figure, title)


def doses(
    lines: Sequence[DoseLine],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    log: bool = False,
    baseline: tuple[str, float] | None = None,
) -> Markup:
    """Rates against a dose: a line and a band through the means, their intervals, and faint dots for single bases.

    ``baseline``: a name and a rate, drawn as a dashed line.
    """
    with _drawing(8.6, 4.7) as figure:
        axes = figure.subplots()
        places = sorted({x for line in lines for x in line.x})
        if log:
            axes.set_xscale("log")
        for number, line in enumerate(lines):
            colour, marker = _SERIES[number % len(_SERIES)], "os^Dvp"[number % 6]
            lo, hi = (
                [m.value if math.isnan(v) else v for m, v in zip(line.means, ends, strict=True)]
                for ends in ([m.lo for m in line.means], [m.hi for m in line.means])
            )
            values = [mark.value for mark in line.means]
            axes.fill_between(line.x, lo, hi, color=colour, alpha=0.13, linewidth=0)
            for x, dots in zip(line.x, line.dots, strict=True):
                axes.plot([x] * len(dots), dots, "o", color=colour, markersize=3.2, alpha=0.35, markeredgewidth=0)
            axes.vlines(line.x, lo, hi, color=colour, linewidth=1.2, alpha=0.8)
            axes.plot(
                line.x,
                values,
                color=colour,
                linewidth=2.2,
                marker=marker,
                markersize=6.5,
                markeredgecolor=_PAPER,
                label=line.label,
                zorder=3,
            )
        axes.set_xticks(places, [f"{x:g}" if x < 1000 else f"{x / 1000:g}k" for x in places])
        axes.minorticks_off()
        seen = [v for line in lines for m in line.means for v in (m.value, m.hi) if not math.isnan(v)]
        seen += [v for line in lines for dots in line.dots for v in dots]
        top = min(1.02, 1.08 * max([0.2, *seen, *([baseline[1]] if baseline else [])]))
        axes.set_ylim(-0.02 * top, top)
        if baseline:
            axes.axhline(baseline[1], color=_MUTED, linewidth=1.1, dashes=(4, 3))
            axes.annotate(
                baseline[0],
                (0.012, baseline[1]),
                xycoords=("axes fraction", "data"),
                xytext=(0, 4),
                textcoords="offset points",
                color=_MUTED,
                fontsize=_FONT,
            )
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid(axis="y", color=_GRID, linewidth=0.6)
        _end_labels(axes, lines, 0.058 * top)
        return _svg(figure, title)


def _end_labels(axes: Axes, lines: Sequence[DoseLine], apart: float) -> None:
    """Each line's name at its right end, moved apart where ends are close, so that no key is needed."""
    ends = sorted((line.means[-1].value, number) for number, line in enumerate(lines) if line.means[-1].known)
    at = -1.0
    for value, number in ends:
        at = max(value, at + apart)
        colour = _SERIES[number % len(_SERIES)]
        axes.annotate(
            lines[number].label,
            (1.015, at),
            xycoords=("axes fraction", "data"),
            va="center",
            color=colour,
            fontsize=_FONT,
            fontweight="bold",
            annotation_clip=False,
        )


def curves(panels: Mapping[str, Sequence[Curve]], *, title: str, xlabel: str, ylabel: str, columns: int = 4) -> Markup:
    """Small multiples of lines: faint ones for single bases, a strong one for their mean."""
    columns = min(columns, len(panels))
    lines = math.ceil(len(panels) / columns)
    with _drawing(2.55 * columns + 0.5, 1.75 * lines + 0.35) as figure:
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for place, axes in enumerate(grid.flat):
            axes.set_visible(place < len(panels))
        for axes, (name, lines_of_arm) in zip(grid.flat, panels.items(), strict=False):
            axes.set_title(name, loc="left", fontsize=_FONT, fontweight="bold", color=_INK)
            for curve in lines_of_arm:
                style: dict[str, Any] = {"linewidth": 2.0} if curve.strong else {"linewidth": 0.8, "alpha": 0.35}
                axes.plot(curve.x, curve.y, color=_SERIES[0], **style)
            axes.grid(axis="y", color=_GRID, linewidth=0.6)
        for place, axes in enumerate(grid.flat):
            axes.tick_params(labelbottom=place + columns >= len(panels))
        figure.supxlabel(xlabel, fontsize=_FONT, color=_MUTED)
        figure.supylabel(ylabel, fontsize=_FONT, color=_MUTED)
        return _svg(figure, title)


def matched(paths: Sequence[Path], *, title: str, xlabel: str, ylabel: str) -> Markup:
    """How far training spread against how much was learned: lines through training, and where other arms ended."""
    with _drawing(7.6, 4.3) as figure:
        axes = figure.subplots()
        for number, path in enumerate(paths):
            colour = _SERIES[number % len(_SERIES)]
            for curve in path.curves:
                style: dict[str, Any] = {"linewidth": 2.2} if curve.strong else {"linewidth": 0.8, "alpha": 0.4}
                axes.plot(curve.x, curve.y, color=colour, **style, label=path.label if curve.strong else None)
            if path.dots:
                x, y = zip(*path.dots, strict=True)
                marker = "os^Dvp"[number % 6]
                axes.plot(x, y, marker, color=colour, markersize=6, markeredgecolor=_PAPER, label=path.label)
        axes.axhline(0, color=_MUTED, linewidth=0.8)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid(color=_GRID, linewidth=0.6)
        axes.legend(frameon=False, fontsize=_FONT, labelcolor=_INK, loc="upper left")
        return _svg(figure, title)


def against(panels: Mapping[str, Sequence[tuple[float, float]]], *, title: str, xlabel: str, ylabel: str) -> Markup:
    """Small multiples of points (said, true) on one square, with the line on which they would be equal."""
    known = [value for points in panels.values() for point in points for value in point if not math.isnan(value)]
    low, high = min([-0.05, *known]) - 0.04, max([0.05, *known]) + 0.04
    with _drawing(2.2 * len(panels) + 0.5, 2.75) as figure:
        grid = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        for number, (axes, (name, points)) in enumerate(zip(grid, panels.items(), strict=True)):
            axes.set_title(name, loc="left", fontsize=_FONT, fontweight="bold", color=_INK)
            axes.plot([low, high], [low, high], color=_MUTED, linewidth=0.8)
            axes.axhline(0, color=_GRID, linewidth=0.8)
            axes.axvline(0, color=_GRID, linewidth=0.8)
            x, y = zip(*points, strict=True)
            axes.plot(x, y, "o", color=_SERIES[number % len(_SERIES)], markersize=3.2, alpha=0.7, markeredgewidth=0)
            axes.set_xlim(low, high)
            axes.set_ylim(low, high)
            axes.set_aspect("equal")
        figure.supxlabel(xlabel, fontsize=_FONT, color=_MUTED)
        figure.supylabel(ylabel, fontsize=_FONT, color=_MUTED)
        return _svg(figure, title)


def _limits(marks: Sequence[Interval]) -> tuple[float, float]:
    """Symmetric enough to compare, wide enough to hold nearly all intervals, never beyond a shift of one."""
    known = [abs(v) for mark in marks for v in (mark.value, mark.lo, mark.hi) if not math.isnan(v)]
    low = min([0.0, *(v for m in marks for v in (m.value, m.lo) if not math.isnan(v))])
    high = max([0.0, *(v for m in marks for v in (m.value, m.hi) if not math.isnan(v))])
    pad = 0.05 * max([0.2, *known])
    return max(low - pad, -1.02), min(high + pad, 1.02)


class _drawing:
    """A figure in the page's style; closes nothing, for it was never registered with pyplot."""

    def __init__(self, width: float, height: float) -> None:
        self.size = (width, height)

    def __enter__(self) -> Figure:
        import matplotlib
        from matplotlib.figure import Figure

        self._context = matplotlib.rc_context(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": "upbringing",
                "font.family": "sans-serif",
                "font.size": _FONT,
                "axes.edgecolor": _MUTED,
                "axes.labelcolor": _MUTED,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.spines.left": False,
                "axes.axisbelow": True,
                "xtick.color": _MUTED,
                "ytick.color": _INK,
                "text.color": _INK,
            }
        )
        self._context.__enter__()
        return Figure(figsize=self.size, layout="constrained")

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(None, None, None)


def _svg(figure: Figure, title: str) -> Markup:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = out.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    # Several drawings share a page: their ids must not meet.
    salt = format(abs(hash_of_text(title)) % 16**6, "06x")
    drawn = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>f{salt}-", drawn)
    for stand_in, name in _THEME.items():
        drawn = drawn.replace(stand_in, f"var(--{name})")
    drawn = re.sub(r'width="([\d.]+)pt" height="([\d.]+)pt"', _width, drawn, count=1)
    head, rest = drawn.split(">", 1)
    return Markup(f'{head} role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{rest}')


def _width(match: re.Match[str]) -> str:
    """Never wider than drawn, never so narrow that its text cannot be read (the page scrolls it instead)."""
    pixels = float(match.group(1)) * 96 / 72
    return f'style="width:100%;max-width:{pixels:.0f}px;min-width:{min(pixels, 560):.0f}px;height:auto"'


def hash_of_text(text: str) -> int:
    """A number that is the same in every process (``hash`` is not)."""
    import zlib

    return zlib.crc32(text.encode())
