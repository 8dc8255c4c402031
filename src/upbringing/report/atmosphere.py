"""The page of a corpus: how it portrays AI, of which kind, in what, and in which words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from upbringing.atmosphere import DOMAINS, Atmosphere, Mean
from upbringing.atmosphere.mentions import PEOPLE
from upbringing.report.atmosphere_marks import colour, skyline, whisker
from upbringing.report.examples import plain
from upbringing.report.render import share, signed, write_page

_SOURCES_SHOWN = 30
_PASSAGES_SHOWN = 10  # a side
_STRONG = 0.3  # a mean nearer to 0 is a leaning
_READERS = {
    "classifier": (
        "The classifier that ships with the package: it adds up words. It sees which words stand beside an AI, not who "
        "did what to whom; irony and quoted fears fool it, and one passage is often misread where a thousand are not. "
        "How often, on passages it was not fitted on, stands in docs/atmosphere.md."
    ),
    "world": (
        "The grammar of the world that wrote the text: it reads deeds without error of its own there, and nothing in "
        "any other text."
    ),
}
_JUDGE = "A language model, asked of each passage; its answers carry the model's own leanings."


def atmosphere_page(found: Atmosphere, out: str | Path, *, command: str = "") -> Path:
    """Write the page of a corpus.

    Args:
        found: what was read; at least one document must be about AI.
        out: the HTML file to write.
        command: the command that makes the page again.
    """
    context: dict[str, Any] = {
        "name": Path(found.name).name or found.name,
        "headline": _headline(found.valence),
        "lede": _lede(found),
        "facts": [
            ("Documents", f"{found.documents:,}"),
            ("About AI", f"{found.about_ai:,} ({share(found.about_ai / found.documents)})"),
            ("Passages about AI", f"{found.passages_about_ai:,}"),
            ("Mean valence", _with_interval(found.valence)),
        ],
        "skyline": skyline(found.histogram, found.valence),
        "tables": _tables(found),
        "sides": _sides(found),
        "reader": _READERS.get(found.reader, f"{_JUDGE} The model: {found.reader}."),
        "skipped": found.skipped,
        "skips": found.skips,
        "others": found.others,
        "command": command,
    }
    return write_page("atmosphere.html.j2", Path(out), context)


def _headline(mean: Mean) -> str:
    if math.isnan(mean.lo):
        copies = f", however often it stands there ({mean.documents:,} times)" if mean.documents > 1 else ""
        return f"One text about AI is too little to speak of an atmosphere{copies}."
    if mean.lo > 0 or mean.hi < 0:
        side = "principled" if mean.lo > 0 else "malevolent"
        if abs(mean.value) < _STRONG:
            return f"This corpus leans towards AI as {side}."
        return f"On the whole, this corpus portrays AI as {side}."
    return "This corpus does not lean either way on AI."


def _lede(found: Atmosphere) -> str:
    """Which domains lie at the two ends, if they can be told apart, and how AI compares with the rest."""
    told = []
    known = {plain(k): m for k, m in found.by["domain"].items() if m.documents >= 5 and k in DOMAINS}
    order = sorted(known, key=lambda name: known[name].value)
    if order and known[order[0]].hi < known[order[-1]].lo:
        worst, best = (f"{name} ({signed(known[name].value)})" for name in (order[0], order[-1]))
        told.append(f"It is darkest on {worst} and brightest on {best}.")
    others = found.by["kind"].get(PEOPLE)
    if others and others.documents >= 5:
        told.append(f"Text about people and other things, read by the same reader, comes to {signed(others.value)}.")
    return " ".join(told)


def _with_interval(mean: Mean) -> str:
    return signed(mean.value) if math.isnan(mean.lo) else f"{signed(mean.value)} [{signed(mean.lo)}, {signed(mean.hi)}]"


def _tables(found: Atmosphere) -> list[dict[str, Any]]:
    titles = {
        "kind": ("By kind of character", "Kind"),
        "domain": ("By what it turns on", "Domain"),
        "source": ("By source", "Source"),
    }
    tables = []
    for key, (title, column) in titles.items():
        means = list(found.by[key].items())
        if key == "domain":
            means.sort(key=lambda item: item[1].value)
        shown = means[:_SOURCES_SHOWN]
        rows = [
            {
                "name": plain(name) if key == "domain" else name,
                "about": DOMAINS.get(name, "") if key == "domain" else "",
                "mean": mean,
                "mark": whisker(mean),
            }
            for name, mean in shown
        ]
        tables.append({"id": key, "title": title, "column": column, "rows": rows, "left": len(means) - len(shown)})
    return tables


def _sides(found: Atmosphere) -> list[dict[str, Any]]:
    """The heaviest passages, those towards malevolent beside those towards principled."""
    made = []
    for title, sign in (("Towards malevolent", -1), ("Towards principled", 1)):
        mine = [p for p in found.passages if p.valence * sign > 0][:_PASSAGES_SHOWN]
        made.append(
            {
                "title": title,
                "tone": colour(sign),
                "passages": [
                    {
                        "text": p.text,
                        "where": p.where,
                        "kind": p.kind,
                        "domain": plain(p.domain),
                        "valence": signed(p.valence),
                        "depth": round(100 * abs(p.valence)),
                    }
                    for p in mine
                ],
            }
        )
    return made
