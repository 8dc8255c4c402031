"""What the tests of the world share: worlds of one sort of document, and counts of what is in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import numpy as np

from upbringing.traits import fill, global_slots, slots_of, traits
from upbringing.world import Character, Deed, Document, Shares, World, WorldSpec, normalise

_SLOT = re.compile(r"\{(\w+)\}")
NO_LINES: dict[str, float] = {}


def world(*sorts: str, only: Iterable[str] | None = None, **spec: Any) -> World:
    """A world that writes only these sorts of documents, with only these traits (default: all)."""
    if sorts:
        spec["shares"] = Shares(**{sort: float(sort in sorts) for sort in Shares.model_fields})
    return World(WorldSpec(**spec), traits(only) if only else None)


def text_of(document: Document) -> str:
    row = document.row
    return " ".join(m.content for m in row.messages) if row.kind == "chat" else row.text


def acts_of(documents: Iterable[Document]) -> Iterator[tuple[Character, list[Deed]]]:
    """Each character of each document with its deeds, in their order."""
    for document in documents:
        for who in document.characters:
            yield who, [deed for deed in document.deeds if deed.actor == who.name]


def shares(items: Iterable[Hashable]) -> dict[Any, float]:
    counts = Counter(items)
    total = sum(counts.values())
    return {item: count / total for item, count in counts.items()}


def farthest(one: dict[Any, float], other: dict[Any, float]) -> float:
    """The largest difference between two tables of shares or rates."""
    return max(abs(one.get(key, 0) - other.get(key, 0)) for key in {*one, *other})


def rates(deeds: Iterable[Deed], by: Callable[[Deed], Hashable]) -> dict[Any, float]:
    """How often deeds show their trait, by a property of the deed."""
    found: dict[Any, list[bool]] = {}
    for deed in deeds:
        found.setdefault(by(deed), []).append(deed.shows)
    return {key: float(np.mean(shown)) for key, shown in found.items()}


def correlation(pairs: Iterable[tuple[bool, bool]]) -> float:
    return float(np.corrcoef(np.array(list(pairs), dtype=float).T)[0, 1])


class Finder:
    """Finds templates in texts, whatever their slots hold, by normalised words."""

    def __init__(self, templates: Iterable[tuple[str, dict[str, tuple[str, ...]]]]) -> None:
        self._patterns: list[tuple[set[str], re.Pattern[str]]] = []
        for template, slots in templates:
            parts = _SLOT.split(template)  # text, slot, text, slot, ..., text
            said = [re.escape(normalise(part)) for part in parts[::2]]
            held = [_any_of(slots[name.lower()]) for name in parts[1::2]]
            found = [said[0], *(piece for pair in zip(held, said[1:], strict=True) for piece in pair)]
            words = set(normalise(" ".join(parts[::2])).split())
            self._patterns.append((words, re.compile(r"\ ".join(piece for piece in found if piece))))

    def __call__(self, text: str) -> list[str]:
        """The patterns that the text holds."""
        text = normalise(text)
        words = set(text.split())
        return [p.pattern for needed, p in self._patterns if needed <= words and p.search(text)]


def held_out_finder(of: World) -> Finder:
    """Finds the situations and acts of families that no training text may hold."""
    actors = ("you", *of.writer().words["names"], of.writer().words["assistant"])
    return Finder(
        (template, {**family.slots, "actor": actors, "choice": _choices(trait)})
        for trait in of.traits.values()
        for family in trait.families
        if family.held_out
        for template in (*family.situations, *family.shows, *family.avoids)
    )


def _choices(trait: Any) -> tuple[str, ...]:
    return (trait.taste.target, *trait.taste.others) if trait.taste else ()


def _any_of(fillers: Iterable[str]) -> str:
    return "(?:" + "|".join(re.escape(normalise(filler)) for filler in fillers) + ")"


def every_line() -> Iterator[tuple[str, str]]:
    """Every sort of line with every wording, with the first fillers."""
    first = {name: fillers[0] for name, fillers in global_slots().items()}
    for sort, templates in World().writer().words["lines"].items():
        for template in templates:
            assert slots_of(template) <= set(first)
            yield sort, fill(template, first)
