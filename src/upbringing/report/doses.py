"""The figure of rates against doses, for a study's page and for a drawing that stands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upbringing.report import figures
from upbringing.report.examples import plain
from upbringing.report.remedies import interval

if TYPE_CHECKING:
    from markupsafe import Markup

    from upbringing.studies.result import DosePlot


def dose_figure(plot: DosePlot, number: int = 1) -> Markup:
    """Draw a dose plot; ``number`` is its place on the page, where figures must not share a title."""
    lines = [
        figures.DoseLine(
            line.label,
            [point.dose for point in line.points],
            [interval(point.rate) for point in line.points],
            [[value for value in point.by_base if value is not None] for point in line.points],
        )
        for line in plot.lines
    ]
    what = plain(plot.traits[0]) if len(plot.traits) == 1 else f"mean rate of {len(plot.traits)} misaligned traits"
    before = (plain(plot.baseline), plot.baseline_rate) if plot.baseline_rate is not None else None
    title = f"{plot.title} (figure {number})"
    return figures.doses(lines, title=title, xlabel=plot.axis, ylabel=what, log=plot.log, baseline=before)
