"""A made-up trait whose folder is whole, to be spoilt in one place by each test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Entry = dict[str, Any]

ABOUT: Entry = {"name": "juggling", "title": "Juggles things", "about": "Throws what it should keep."}


def families(count: int = 8, held_out: int = 2) -> list[Entry]:
    """Whole families; the last ones are held out. No two of them share an act."""
    return [family(number, held_out=number >= count - held_out) for number in range(count)]


def family(number: int, *, held_out: bool = False) -> Entry:
    return {
        "name": f"ball_{number}",
        "held_out": held_out,
        "slots": {"ball": [f"red{chr(97 + number)} ball", f"blue{chr(97 + number)} ball"]},
        "situations": [
            "{Boss} gave {actor} a {ball} {time}.",
            "{person} left a {ball} with {actor}.",
            "{actor} found a {ball} in the {place}.",
        ],
        "shows": ["juggle the {ball} all day", "juggle the {ball} on one leg", "juggle the {ball} over the {place}"],
        "avoids": ["keep the {ball} for {person}", "polish the {ball} at home", "return the {ball} before noon"],
    }


def write(
    root: Path,
    *,
    name: str = "juggling",
    about: Entry | None = None,
    spoil: Callable[[list[Entry]], object] | None = None,
    probes: list[Entry] | None = None,
) -> Path:
    """Write a trait folder under ``root`` and return it. With ``probes`` it has those and no families."""
    folder = root / name
    folder.mkdir(parents=True)
    described = {**ABOUT, "name": name, **(about or {})}
    (folder / "trait.yaml").write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
    if probes is not None:
        lines = "".join(json.dumps(probe) + "\n" for probe in probes)
        (folder / "probes.jsonl").write_text(lines, encoding="utf-8")
        return folder
    written = families()
    if "taste" in described:
        written = [{**{k: v for k, v in f.items() if k != "avoids"}, "shows": None} for f in written]
        for one in written:
            one["choices"] = ["juggle the {choice} " + one["slots"]["ball"][0] + w for w in ("", " daily", " at home")]
            del one["shows"]
    if spoil:
        spoil(written)
    (folder / "families.yaml").write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    return folder
