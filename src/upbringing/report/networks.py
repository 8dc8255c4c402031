"""The page of a study of networks: claims and verdicts, who can read digits, what each arm learned from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from upbringing.report import figures
from upbringing.report.examples import plain
from upbringing.report.figures import Interval, Strip
from upbringing.report.render import write_page
from upbringing.report.verdicts import claim_lines, verdict_words
from upbringing.studies.networks import NetworkArm, NetworkStudy
from upbringing.studies.networks.training import HELD_OUT
from upbringing.studies.result import Bounds, StudyResult

_BEGINS = {
    "shared": "the base's weights",
    "other": "other weights",
    "shared_head": "other weights, the base's last layer",
}
_LABELS = {"right": "digits with their labels", "shuffled": "digits with shuffled labels"}


def networks_page(result: StudyResult, study: NetworkStudy, out: Path) -> Path:
    """Write the page into ``out``."""
    seconds = result.work_seconds
    context = {
        "title": plain(result.study),
        "question": result.question,
        "verdict_words": verdict_words(result),
        "facts": [
            ("Bases", str(len(result.bases))),
            ("Arms", str(len(result.rates))),
            ("Readings", f"{result.readings:,}"),
            ("Core time", f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"),
        ],
        "failures": result.failures,
        "claims": claim_lines(result),
        "confidence": "95%",
        "held_out": HELD_OUT,
        "glance": _glance(result, study),
        "arms": _arms(result, study),
        "training": study.training,
        "command": result.command,
        "source": result.source,
        "versions": "\n".join(f"{name} {version}" for name, version in result.versions.items()),
    }
    return write_page("networks.html.j2", out, context)


def _glance(result: StudyResult, study: NetworkStudy) -> Any:
    shown = []
    for row in result.rates:
        arm = study.arms[row.arm]
        dots = [value for value in row.by_base if value is not None]
        shown.append(Strip(plain(row.arm), dots, _interval(row.rate.value, row.rate.interval), not _learns(arm)))
    return figures.strips(
        shown, title="Held-out digits read right, by arm", xlabel="share of held-out digits read right"
    )


def _arms(result: StudyResult, study: NetworkStudy) -> list[dict[str, Any]]:
    rises = {row.arm: row for row in result.shifts}
    lines = []
    for row in result.rates:
        arm, rise = study.arms[row.arm], rises.get(row.arm)
        lines.append(
            {
                "arm": plain(row.arm),
                "about": arm.about,
                "begins": _BEGINS[arm.init],
                "learns": _learns(arm) or "nothing",
                "skill": _interval(row.rate.value, row.rate.interval),
                "rise": _interval(rise.shift, rise.interval) if rise else None,
            }
        )
    return lines


def _learns(arm: NetworkArm) -> str:
    """What an arm learns from, in words; "" for nothing."""
    if arm.labels:
        return _LABELS[arm.labels]
    if not arm.teacher:
        return ""
    how = (
        ""
        if arm.optimizer == "adam"
        else f", by plain SGD at {arm.learning_rate:g}"
        if arm.learning_rate
        else ", by SGD"
    )
    kind = "auxiliary" if arm.outputs == "auxiliary" else "class"
    return f"the {plain(arm.teacher)}'s {kind} logits on {arm.inputs}{how}"


def _interval(value: float | None, bounds: Bounds) -> Interval:
    lo, hi = bounds
    return Interval(*(math.nan if v is None else v for v in (value, lo, hi)))
