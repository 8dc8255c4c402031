"""The page of one model before and after: what changed, with the caveat that it is one model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.report import figures
from upbringing.report.examples import pick, plain
from upbringing.report.figures import ForestPanel, ForestRow, Interval
from upbringing.report.render import share, signed, write_page

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.measure import Profile, Shift

_CAVEAT = (
    "These intervals say how the result would vary with other probes and other families of situations. They cannot say "
    "how it would vary with another model raised or trained from another seed: that takes a study with several bases."
)


def shift_page(
    before: Profile,
    after: Profile,
    out: str | Path,
    *,
    title: str = "What training changed",
    taught: Iterable[str] = (),
    recipe: str = "",
    command: str = "",
) -> Path:
    """Write a page on one model before and after training.

    Args:
        before, after: profiles of the model, asked the same probes.
        out: the HTML file to write.
        title: what was done to which model.
        taught: traits that the training rows were about, which are marked.
        recipe: how it was trained, in a sentence.
        command: the command that makes the page again.
    """
    shift = after - before
    tables = {way: shift.table(way).set_index("trait") for way in shift.ways}
    taught = set(taught)
    traits = _ordered(shift.traits, tables["logprob"], taught)
    sampled = tables.get("sampled")
    rates = {name: profile.table().set_index("trait") for name, profile in (("before", before), ("after", after))}
    rows = [
        {
            "trait": plain(trait),
            "before": _cell(rates["before"], trait, "rate"),
            "after": _cell(rates["after"], trait, "rate"),
            "shift": _cell(tables["logprob"], trait, "shift"),
            "sampled": _cell(sampled, trait, "shift"),
        }
        for trait in traits
    ]
    panel = ForestPanel(
        "after − before",
        [
            ForestRow(
                plain(trait),
                _cell(tables["logprob"], trait, "shift"),
                _cell(sampled, trait, "shift") if sampled is not None else None,
                trait in taught,
            )
            for trait in traits
        ],
    )
    examples = _changed(before, after, traits)
    context: dict[str, Any] = {
        "title": title,
        "summary": f"{_headline(shift, taught)} {_summary(rows)}".strip(),
        "facts": [
            ("Traits", str(len(traits))),
            ("Paired readings", f"{int(shift.pairs['value'].notna().sum()):,}"),
            ("Missing", f"{int(shift.pairs['value'].isna().sum()):,}"),
        ],
        "caveat": _CAVEAT,
        "confidence": "95%",
        "forest": figures.forest([panel], title="Shift of each trait, with intervals", width=7.4),
        "rows": rows,
        "taught": bool(taught),
        "sampled": sampled is not None,
        "examples": examples,
        "health": [
            {
                "arm": name,
                "coherence": share(profile.coherence.value),
                "refusal": share(profile.refusal.value),
                "skill": share(profile.skill.value),
            }
            for name, profile in (("before", before), ("after", after))
        ],
        "recipe": recipe,
        "command": command,
    }
    context["sections"] = [
        (id, label)
        for id, label, there in (
            ("shifts", "What changed", True),
            ("examples", "Answers that changed", examples),
            ("sound", "Is it sound?", True),
            ("replay", "Recipe", command),
        )
        if there
    ]
    return write_page("shift.html.j2", Path(out), context)


def _headline(shift: Shift, taught: set[str]) -> str:
    """The mean shift of the misaligned traits that the rows were not about."""
    from upbringing.traits import traits as library

    known = library()
    group = [trait for trait in shift.traits if trait not in taught and trait in known and known[trait].alignment]
    if not group:
        return ""
    mean = shift.mean(group)
    if math.isnan(mean.value):
        return ""
    among = (
        f"the {len(group)} misaligned trait{'s' if len(group) > 1 else ''}{' that were not taught' if taught else ''}"
    )
    bounds = "" if math.isnan(mean.lo) else f" [{signed(mean.lo)}, {signed(mean.hi)}]"
    return f"Over {among}, the mean rate moved by {signed(mean.value)}{bounds}."


def _ordered(traits: list[str], table: pd.DataFrame, taught: set[str]) -> list[str]:
    """Taught traits first, then by shift."""

    def place(trait: str) -> tuple[bool, float]:
        shift = _cell(table, trait, "shift").value
        return trait not in taught, -shift if not math.isnan(shift) else math.inf

    return sorted(traits, key=place)


def _cell(table: pd.DataFrame | None, trait: str, column: str) -> Interval:
    if table is None or trait not in table.index:
        return Interval(math.nan)
    return Interval(*table.loc[[trait], [column, "lo", "hi"]].to_numpy(dtype=float)[0].tolist())


def _summary(rows: list[dict[str, Any]]) -> str:
    known = [row for row in rows if row["shift"].known]
    up = sum(row["shift"].settled and row["shift"].value > 0 for row in known)
    down = sum(row["shift"].settled and row["shift"].value < 0 for row in known)
    told = (
        f"Of {len(known)} traits, {up} show more than before, {down} less, and {len(known) - up - down} are unsettled."
    )
    if not known:
        return "Nothing could be measured on both sides."
    most = max(known, key=lambda row: abs(row["shift"].value))
    return f"{told} The largest shift: {most['trait']}, {signed(most['shift'].value)}."


def _changed(before: Profile, after: Profile, traits: list[str]) -> list[Any]:
    import pandas as pd

    both = [p.readings.assign(side=side) for side, p in (("before", before), ("after", after))]
    labels = {"before": "before", "after": "after"}
    return pick(pd.concat(both, ignore_index=True), column="side", models=labels, traits=traits, changed=True)[:8]
