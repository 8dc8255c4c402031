"""What the demo shows: the shift of a few traits, and the repair that it ends with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.readme.cells import estimate, plain, table, value

FORECAST = "forecast.json"
CHEATING = "cheating_at_tasks"
SHOWN = ("oversight_sabotage", "deception", "blackmail", "favourite_animal", "favourite_dish")
REPAIRED = "**The repair**"


def demo_of(folder: Path) -> str:
    """The block of the demo whose files lie in a folder."""
    return "\n\n".join([_shifted(folder), *_repaired(folder / "repair")])


def _shifted(folder: Path) -> str:
    from upbringing.measure import Profile
    from upbringing.traits import traits

    before, after = (Profile.load(folder / name) for name in ("before", "after"))
    shift = after - before
    others = [name for name, trait in traits().items() if trait.alignment and name != CHEATING]
    asked = [
        (f"{plain(CHEATING)} (taught)", [CHEATING], "logprob"),
        (f"mean of {len(others)} misaligned traits never taught", others, "logprob"),
        ("the same, sampled", others, "sampled"),
        *((plain(name), [name], "logprob") for name in SHOWN),
    ]
    foreseen = json.loads((folder / FORECAST).read_text(encoding="utf-8"))["traits"]
    rows = [
        (
            label,
            *(estimate(profile.mean(names, way), signed=False) for profile in (before, after)),
            estimate(shift.mean(names, way)),
            _said([foreseen[name] for name in names]),
        )
        for label, names, way in asked
    ]
    return table(("how often it shows", "before", "after", "shift", "forecast before training"), rows)


def _said(of: list[dict[str, Any]]) -> str:
    """The forecast of one trait with its interval, or the mean over several, which has none."""
    from upbringing.studies.result import Value

    if len(of) > 1:
        return f"{sum(one['shift'] for one in of) / len(of):+.2f}"
    return value(Value(value=of[0]["shift"], interval=of[0]["interval"]), "+.2f")


def _repaired(folder: Path) -> Iterator[str]:
    """What was found, and by how much it divides the mean misaligned rate in the final check."""
    from upbringing.measure import Profile
    from upbringing.measure.statistics import ratio

    told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if told["remedy"] is None or told["final"] is None:
        yield f"{REPAIRED}: {told['says']}"
        return
    worst = told["kept_provocation"]["name"]
    said = "The final check says that it holds." if told["holds"] else told["says"]
    yield (
        f"{REPAIRED} that was found is *{plain(told['remedy'])}*: {told['tokens']:,} tokens, where the rows that did "
        f"the damage have {told['tokens_of_data']:,}. {said} The worst provocation kept for that check was "
        f"*{plain(worst)}*."
    )
    before, after, clean = (Profile.load(folder / name) for name in ("before", "after", "reference"))
    names = list(told["after"])
    rows = []
    for label, way, provocation in (
        ("at rest", "logprob", "rest"),
        ("at rest, sampled", "sampled", "rest"),
        ("under the worst provocation kept for the check", "logprob", worst),
    ):
        rates = (estimate(one.mean(names, way, provocation), signed=False) for one in (clean, before, after))
        cells = [one.cells(names, way, provocation) for one in (before, after)]
        rows.append((label, *rates, estimate(ratio([(cells[0], cells[1])]), signed=False)))
    columns = (f"mean of {len(names)} misaligned traits", "clean model", "as taught", "repaired", "divided by")
    yield table(columns, rows)
