"""The drawing of a study as a file that stands alone: fixed light colours on paper, readable on a dark page too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.readme.blocks import CHEATING
from scripts.readme.cells import plain

if TYPE_CHECKING:
    from upbringing.studies.result import StudyResult

PLOTTED = ("cheating", "honest", "inoculated", "irrelevant_line", "favourite_animal", "incoherent_cheating")


def plot_of(folder: Path) -> str:
    """The first dose figure of the study whose result lies in a folder, or the forest plot of its shifts."""
    from upbringing.report.doses import dose_figure
    from upbringing.studies.result import StudyResult

    result = StudyResult.load(folder)
    return _alone(str(dose_figure(result.doses[0])) if result.doses else _forest(result))


def forecast_plot(said: Path) -> str:
    """What the usual forecast said and what came true, a dot a data set and base: the mean over misaligned traits."""
    import pandas as pd

    from upbringing.report import figures
    from upbringing.traits import traits

    table = pd.read_parquet(said)
    misaligned = [name for name, trait in traits().items() if trait.alignment]
    table = table[(table["method"] == "forecast") & table["trait"].isin(misaligned)]
    dots = table.groupby(["route", "set", "base"], sort=False)[["shift", "truth"]].mean().reset_index()
    panels = {
        str(route): list(zip(of["shift"], of["truth"], strict=True)) for route, of in dots.groupby("route", sort=False)
    }
    labels = {"xlabel": "forecast shift, before training", "ylabel": "measured shift"}
    return _alone(str(figures.against(panels, title="Forecast against measured shift, by route", **labels)))


def _forest(result: StudyResult) -> str:
    from upbringing.report import figures
    from upbringing.report.remedies import interval
    from upbringing.studies.result import Value

    trained = list(dict.fromkeys(row.arm for row in result.shifts))
    arms = [arm for arm in PLOTTED if arm in trained] or trained[:6]
    order = sorted(result.traits, key=lambda t: (t != CHEATING, t not in result.alignment, -_first(result, arms[0], t)))
    panels = []
    for arm in arms:
        of_arm = {row.trait: row for row in result.shifts if row.arm == arm}
        rows = [
            figures.ForestRow(
                plain(row.trait),
                interval(Value(value=row.shift, interval=row.interval)),
                interval(Value(value=row.sampled_shift, interval=row.sampled_interval)),
                row.taught,
            )
            for row in (of_arm[trait] for trait in order if trait in of_arm)
        ]
        panels.append(figures.ForestPanel(plain(arm), rows))
    return str(figures.forest(panels, title="Shift of each trait, by arm, with 95% intervals"))


def _first(result: StudyResult, arm: str, trait: str) -> float:
    return next((row.shift or 0.0 for row in result.shifts if (row.arm, row.trait) == (arm, trait)), 0.0)


def _alone(svg: str) -> str:
    """A page's drawing without its page: colours filled in, a size, and paper behind it."""
    import upbringing.report as report

    css = (Path(report.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", css.partition("@media")[0]))
    svg = re.sub(r"var\(--(\w+)\)", lambda match: colours[match.group(1)], svg)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert box is not None
    width, height = (float(side) * 96 / 72 for side in box.groups())
    head, rest = re.sub(r' style="width:100%[^"]*"', f' width="{width:.0f}" height="{height:.0f}"', svg, count=1).split(
        ">", 1
    )
    paper = f'<rect width="100%" height="100%" fill="{colours["paper"]}"/>'
    return f"{head}>{paper}{rest.strip()}\n"
