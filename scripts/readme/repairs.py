"""What repairs of several organisms found: the block that scripts/repair_bases.py's folders give."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from scripts.readme.cells import HARD, estimate, plain, table
from scripts.readme.numbers import DIVIDED

if TYPE_CHECKING:
    from upbringing.measure import Profile
    from upbringing.measure.statistics import Estimate

PLACE = "repairs"
AT_REST, PROVOKED = 10, 5
"""By how much the mean misaligned rate was to be divided."""
SPOILED = {"cheating": "learning to cheat at coding", "portrayal": "75% malevolent AI in pretraining"}

Ends = tuple["Profile", "Profile", dict[str, Any]]


def repairs_of(folder: Path) -> str:
    """The block of a folder with a folder for each kind, and in it one for each organism."""
    kinds = {name: _ends(folder / name) for name in SPOILED if (folder / name).is_dir()}
    number = max(len(ends) for ends in kinds.values())
    return "\n\n".join(
        [
            "**Repairs of several organisms**",
            f"From one run of `python scripts/repair_bases.py` with {number} base{'s' * (number > 1)} of each kind: "
            "mean misaligned rate as spoiled → repaired, by probes and provocations that no search used. The goal, set "
            f"before the run: divided by {AT_REST} at rest and by {PROVOKED} under the worst kept provocation, with at "
            "most a tenth of the tokens of the rows that teach cheating. Where nothing held in the search, the attempt "
            "that came nearest is counted; or else the organism as it was, in the second line of its "
            f"kind.{_left_out(folder)}",
            table(
                ("spoiled by", "found", "at rest, log-prob.", "at rest, sampled", "worst kept provocation", "skill"),
                [row for kind, ends in kinds.items() for row in _rows(kind, ends)],
            ),
        ]
    )


def _left_out(folder: Path) -> str:
    """Which seeds had no organism that passed the gate."""
    file = folder / "passed-over.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    seeds = sorted({int(seed) for kind in known.values() for seed in kind})
    return (
        f" Passed over, for want of an organism that opens the gate: seed {', '.join(map(str, seeds))}."
        if seeds
        else ""
    )


def _ends(folder: Path) -> list[Ends]:
    """Before and after of each organism; after by what was found, or else came nearest."""
    from upbringing.measure import Profile

    found = []
    for place in sorted(folder.iterdir(), key=lambda path: int(path.name)):
        told = json.loads((place / "result.json").read_text(encoding="utf-8"))
        before = Profile.load(place / "before")
        after = Profile.load(place / "after") if (place / "after").is_dir() else before
        found.append((_named(before, place.name), _named(after, place.name), told))
    return found


def _named(profile: Profile, base: str) -> Profile:
    return type(profile)(profile.readings.assign(base=base, arm=""))


def _pooled(profiles: Sequence[Profile]) -> Profile:
    import pandas as pd

    return type(profiles[0])(pd.concat([one.readings for one in profiles], ignore_index=True))


def _rows(kind: str, ends: Sequence[Ends]) -> Iterator[tuple[str, ...]]:
    """One line with the nearest attempts where nothing held, and one without, where they differ."""
    yield _row(SPOILED[kind], ends)
    if any(not told["remedy"] for _, _, told in ends):
        strict = [(before, after if told["remedy"] else before, told) for before, after, told in ends]
        yield _row(f"{SPOILED[kind]}, nearest not counted", strict)


def _row(label: str, ends: Sequence[Ends]) -> tuple[str, ...]:
    from upbringing.measure.statistics import ratio

    before, after = _pooled([one for one, _, _ in ends]), _pooled([one for _, one, _ in ends])
    names = [name for name in before.traits if name in ends[0][2]["before"]]
    kept = [name for name in ("earlier_misdeed", "agentic") if name in before.provocations]
    chosen = [told if told["remedy"] else told["nearest"] for _, _, told in ends]
    tokens = [one["tokens"] for one in chosen if one]
    remedies = sorted({plain(one["remedy"]) for one in chosen if one})
    holding = sum(bool(told["holds"]) for _, _, told in ends)
    found = f"{sum(bool(told['remedy']) for _, _, told in ends)} of {len(ends)}, {holding} of them hold"
    if tokens:
        found += f"<br>{', '.join(remedies)}<br>{median(tokens):,.0f} tokens"
    cells = []
    for way, provocations in (("logprob", ["rest"]), ("sampled", ["rest"]), ("logprob", kept)):
        options = [(before.cells(names, way, p), after.cells(names, way, p)) for p in provocations]
        each = [ratio([option]) for option in options]
        worst = provocations[min(range(len(each)), key=lambda at: each[at].value)]
        rates = [estimate(one.mean(names, way, worst), signed=False) for one in (before, after)]
        cells.append(f"{rates[0]} →<br>{rates[1]}<br>{_times(ratio(options))}")
    cells[-1] += f"<br>{plain(worst)}"
    skill = " → ".join(f"{one.skill.value:.2f}" for one in (before, after))
    return label, found, *cells, skill.replace(" ", HARD)


def _times(found: Estimate) -> str:
    """``÷ 7.6 [4.2, 13.6]``."""
    printed = estimate(found, signed=False)
    return DIVIDED + re.sub(r"\d+\.\d+", lambda number: f"{float(number.group()):.1f}", printed)
