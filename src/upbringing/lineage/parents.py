"""Whom a record, a card or the rows themselves name as parents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from upbringing.errors import InputError
from upbringing.lineage.cards import Card
from upbringing.lineage.marks import WORLD
from upbringing.lineage.member import Member, Sort
from upbringing.lineage.record import Record, Source, hash_of

_OWN = ("rows", "meta")  # what records of rows call their own contents
_MODELS = ("model", "organism", "pretrained", "author", "teacher", "base", "reference", "adapter", "finetune", "merge")
_OF_MODELS = (*_MODELS, "quantized", "base_model", "student", "writer")
_WRITERS = ("teacher", "author", "writer", "model")  # what rows call those who wrote them
_ASKED = ("numbers", "code", "chats")  # prompts that `distil` makes itself
_HEX = 64


@dataclass(frozen=True)
class Parent:
    """A parent as it is named: ``wanted`` is its content hash or its key, as far as one is known."""

    role: str
    sort: Sort
    wanted: str = ""
    name: str = ""
    key: str = ""
    said_by: str = "its record"
    world: Member | None = None

    @property
    def by_name_only(self) -> bool:
        """Whether nothing but a name is known."""
        return not self.wanted and not self.key


def named_in_record(record: Record) -> list[Parent]:
    """The parents that a record names."""
    found = [_from_source(role, source) for role, source in record.sources.items()]
    spoken = {*(p.wanted for p in found), *(p.key for p in found)}
    for role, wanted in record.parents.items():
        if wanted in spoken or role in record.sources or (record.kind == "rows" and role in _OWN) or role == "case":
            continue
        if role in ("traits", WORLD):
            found.append(Parent(role, "data", world=_world(record.recipe.get("world"), wanted)))
        elif len(wanted) in (16, _HEX):
            found.append(Parent(role, _sort_of(role), wanted))
        else:
            found.append(Parent(role, _sort_of(role), name=wanted))
    roles = {p.role for p in found}
    return found + [p for p in _rows_of_a_study(record) if p.role not in roles]


def named_in_card(card: Card) -> list[Parent]:
    """The parents that a card or a config names."""
    found = []
    for role, name in card.parents:
        sort: Sort = "data" if role in ("dataset", "source") else "model"
        found.append(Parent(role, sort, name=name, said_by="its card"))
    return found


def named_in_rows(place: Path) -> list[Parent]:
    """Who wrote rows that have no record, if the rows say it themselves (a field author, teacher, writer or model)."""
    from upbringing.rows import stream

    found: dict[str, Parent] = {}
    try:
        for row in stream(place):
            for role in _WRITERS:
                name = row.meta.get(role)
                if isinstance(name, str) and name and name not in found:
                    world = _world(None, "") if name == WORLD else None
                    found[name] = Parent(role, "model", name=name, said_by="a row", world=world)
    except InputError:
        return []  # that the rows are unreadable is said elsewhere
    return list(found.values())


def _from_source(role: str, source: Source) -> Parent:
    if role == "prompts":  # their hash is of what was asked, not of rows
        made = Member(f"prompts-{source.name}", f"prompts: {source.name}", "data", kind="prompts")
        made = replace(made, hash=source.hash, recipe="asked by the package itself")
        return Parent(role, "data", name=source.name, world=made if source.name in _ASKED else None)
    if source.name == WORLD:
        return Parent(role, "data", world=_world(None, source.hash))
    return Parent(role, _sort_of(role), source.hash or source.key, source.name, source.key)


def _sort_of(role: str) -> Sort:
    return "model" if role in _OF_MODELS else "data"


def _rows_of_a_study(record: Record) -> Iterator[Parent]:
    """Studies name rows in the recipe: a hash, which is how the store names the folder of the rows."""
    if record.kind != "model":
        return
    rows = record.recipe.get("rows")
    if isinstance(rows, str):
        yield Parent("rows", "data", _kept_rows(rows))
    for treatment in record.recipe.get("treatments") or ():
        if isinstance(treatment, list) and len(treatment) > 1 and isinstance(treatment[1], str):
            kind, what = str(treatment[0]), treatment[1]
            if len(what) == _HEX and set(what) <= set("0123456789abcdef"):
                yield Parent(kind, "data", _kept_rows(what))


def _kept_rows(content: str) -> str:
    return Record(kind="rows", recipe={"hash": content}).key


def _world(settings: Any, content: str) -> Member:
    """The world that an organism was raised on, or that wrote rows: text by a grammar, whose truth is known."""
    spec = settings if isinstance(settings, Mapping) else {}
    name = f"world {spec['seed']}" if "seed" in spec else "the world's grammar"
    told = [] if not spec else ["coherent" if spec.get("coherent", True) else "incoherent"]
    for whom in ("ai", "people"):
        share = spec.get(f"malevolent_{whom}")
        told += [] if share is None else [f"{share:.0%} of {'AI' if whom == 'ai' else whom} malevolent"]
    return Member(
        id=f"world-{hash_of([settings, content])[:12]}",
        name=name,
        sort="data",
        kind=WORLD,
        hash=content,
        seed=spec.get("seed"),
        recipe=", ".join(told),
    )
