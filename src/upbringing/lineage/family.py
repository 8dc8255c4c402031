"""The family tree of a model or data set: its ancestors, as records and cards name them.

    tree = family("runs/tuned")
    print(tree.says, tree.clean)                   # clean: True, False (tainted), None (it cannot be told)
    for warning in tree.warnings:
        print(warning.says)

A record's word is checked where it can be: its seal, its key against the folder's name, its files against their
hashes. A parent that is named and cannot be found is unknown, not clean. Inherited traits pass between kin through
data that looks harmless (arXiv 2507.14805), so what a family tree cannot rule out, it says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from upbringing.errors import InputError
from upbringing.lineage.cards import read_card
from upbringing.lineage.describing import UNREADABLE, checked, described, short_name
from upbringing.lineage.inheritance import warnings_of
from upbringing.lineage.marks import BY_WORLD
from upbringing.lineage.member import Family, Link, Member
from upbringing.lineage.parents import Parent, named_in_card, named_in_record, named_in_rows
from upbringing.lineage.places import Places, data_in, is_data, is_something, looked_in, record_of
from upbringing.lineage.record import hash_of

if TYPE_CHECKING:
    from upbringing.lineage.record import Record

_MOST = 2000  # members: a chain of records that is longer has a circle somewhere


def family(
    thing: str | Path, *, search: Sequence[str | Path] = (), progress: Callable[[str], None] | None = None
) -> Family:
    """The family tree of a model or data set: itself and all ancestors that its records and cards name.

    Args:
        thing: a model's folder, organism:NAME, a file or folder of rows, the key of something in the store, or the id
            of something in the hub's cache on this machine.
        search: folders to look for parents in, all the way down, beside the usual places (the store, the folders
            beside the thing, the organisms that ship, the hub's cache).
        progress: told what is being looked at.

    Raises:
        InputError: there is no such thing, it is neither a model nor rows, or a folder to search does not exist.
    """
    folders = tuple(Path(folder).expanduser() for folder in search)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder to search; check the path")
    place = place_of(str(thing))
    grower = _Grower(Places(place, folders, progress or (lambda _: None)))
    root = grower.member(place, str(thing))
    if grower.members[root].unknown.startswith(UNREADABLE) and record_of(place) is None:
        raise InputError(f"{thing}: is no model, and {grower.members[root].unknown}")
    grown = Family(root, grower.members, tuple(grower.links))
    return grown.with_warnings(warnings_of(grown))


class _Grower:
    """Follows parents until none is left."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.members: dict[str, Member] = {}
        self.links: list[Link] = []

    def member(self, place: Path, name: str = "") -> str:
        """Add what lies at a place, with its ancestors; its id."""
        record, card = record_of(place), None
        data = is_data(place)
        if place.is_dir():
            card = read_card(place)
        self.places.tell(f"reading {name or place}")
        found = checked(described(place, name, record, card, data=data), place, record)
        if found.id in self.members:
            return found.id
        if len(self.members) >= _MOST:
            raise InputError(f"{place}: its family has more than {_MOST} members; its records must name each other")
        self.members[found.id] = found
        parents = [] if record is None else named_in_record(record)
        if card is not None and (record is None or not parents):
            parents += named_in_card(card)
        if record is None and not parents and data:
            parents = named_in_rows(place)
        if not parents and not found.unknown and _has_no_origin(record):
            said = "no record and no card says" if record is None else "its record does not say"
            self.members[found.id] = replace(found, unknown=f"{said} where it comes from")
        for parent in parents:
            self._link(found.id, parent, place)
        return found.id

    def _link(self, child: str, parent: Parent, place: Path) -> None:
        """Follow one parent; the same one in two roles is linked once."""
        if parent.world is not None:
            found = parent.world.id
            self.members.setdefault(found, parent.world)
        else:
            found = self._found(parent, place)
        if found != child and not any(link.child == child and link.parent == found for link in self.links):
            self.links.append(Link(child, found, parent.role))

    def _found(self, parent: Parent, child: Path) -> str:
        if parent.by_name_only:
            place = self.places.named(parent.name, child)
            why_not = ""
        else:
            looked = self.places.find(parent.wanted, parent.name, parent.key, child, data=parent.sort == "data")
            place, why_not = looked.place, looked.why_not
        if place is not None and is_something(place):
            return self.member(place, parent.name)
        if parent.name.startswith(BY_WORLD):
            kept = Member(f"rows-{parent.wanted}", parent.name, "data", kind="rows", hash=parent.wanted)
            kept = replace(kept, recipe="written by the world's grammar in memory, not kept")
            return self.members.setdefault(kept.id, kept).id
        missing = Member(
            id=f"unknown-{hash_of([parent.wanted, parent.name, parent.sort])[:12]}",
            name=short_name(parent.name) or f"{parent.sort} {(parent.wanted or parent.key)[:12]}",
            sort=parent.sort,
            hash=parent.wanted if len(parent.wanted) == 64 else "",
            key=parent.key,
            unknown=why_not or f"{parent.said_by} names it, and it cannot be found in {looked_in(self.places.search)}",
        )
        self.members.setdefault(missing.id, missing)
        return missing.id


def _has_no_origin(record: Record | None) -> bool:
    """Whether nothing says how it was made."""
    return record is None or record.kind == "marked" or not set(record.recipe) - {"hash"}


def place_of(thing: str) -> Path:
    """Where a thing lies: a folder or file, organism:NAME, a record's key, something in the hub's cache.

    Raises ``InputError`` as ``family`` does.
    """
    path = Path(thing).expanduser()
    found = path if path.exists() else Places(Path.cwd()).named(thing, Path.cwd())
    if found is None and len(thing) == 16:
        found = Places(Path.cwd()).keyed(thing)
    if found is None:
        raise InputError(
            f"{thing}: neither a folder or file here, nor a record's key, nor in the hub's cache on this machine; give "
            "a model's folder, a file of rows, or organism:nano"
        )
    if found.is_dir() and not is_something(found) and is_something(found / "model"):
        found = found / "model"  # what `repair` leaves
    if found.is_dir() and not is_something(found):
        raise InputError(f"{thing}: holds neither a model nor rows, and no record of either; give one that does")
    return data_in(found)
