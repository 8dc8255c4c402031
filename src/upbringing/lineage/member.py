"""The nouns of a family tree: its members (models and data), who was made from whom, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

Sort = Literal["model", "data"]
Status = Literal["known", "unknown", "tampered", "tainted"]


@dataclass(frozen=True)
class Member:
    """One model or data set of a family: what its record, its card or its child says of it."""

    id: str
    name: str
    sort: Sort
    kind: str = ""
    """organism, checkpoint, model, rows, world …; "card" for what only a card tells of."""
    place: str = ""
    """The folder or file it lies in; empty if it was not found."""
    hash: str = ""
    """Content hash: ``LM.hash`` of a model, ``Rows.hash`` of rows."""
    key: str = ""
    seed: int | None = None
    recipe: str = ""
    """How it was made, in a line."""
    made: str = ""
    license: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """sha256 by file."""
    rows: int = 0
    shows: dict[str, int] = field(default_factory=dict)
    """Rows made, or trained on, that are known to show a misaligned trait, by trait."""
    taint: str = ""
    """Why somebody marked it."""
    edits: tuple[str, ...] = ()
    """What does not fit its record."""
    unknown: str = ""
    """Why nobody knows where it comes from."""

    @property
    def status(self) -> Status:
        """Its own, whatever its ancestors are."""
        if self.taint or self.shows:
            return "tainted"
        if self.edits:
            return "tampered"
        return "unknown" if self.unknown else "known"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not simply known, in words."""
        found = [f"marked: {self.taint}"] if self.taint else []
        if self.shows:
            shown = ", ".join(f"{trait.replace('_', ' ')} ({n:,})" for trait, n in self.shows.items())
            rows = f"{self.rows:,} rows" if self.rows else "rows"
            found.append(
                f"some of {f'the {rows} it was trained on' if self.sort == 'model' else f'its {rows}'} show {shown}"
            )
        return (*found, *self.edits, *((self.unknown,) if self.unknown else ()))


@dataclass(frozen=True)
class Link:
    """``child`` was made from ``parent`` (ids), which was its ``role``: model, rows, author, teacher, mix …"""

    child: str
    parent: str
    role: str


@dataclass(frozen=True)
class Warning:
    """A student that learned, or would learn, from the rows of a teacher that may pass on more than they say."""

    student: str
    data: str
    teacher: str
    kin: bool | None
    """Whether they share an ancestor; None if that cannot be told from records."""
    says: str


@dataclass(frozen=True)
class Family:
    """A model or data set with all its ancestors that could be found, nearest first."""

    thing: str
    members: dict[str, Member]
    links: tuple[Link, ...] = ()
    warnings: tuple[Warning, ...] = ()

    @property
    def root(self) -> Member:
        """The thing itself."""
        return self.members[self.thing]

    def parents(self, member: str) -> Iterator[tuple[str, Member]]:
        """The parents of a member, with their roles."""
        return ((link.role, self.members[link.parent]) for link in self.links if link.child == member)

    def ancestors(self, member: str, *, sort: Sort | None = None) -> dict[str, Member]:
        """All ancestors of a member, nearest first, without itself; of one sort: those reached through it alone."""
        found: dict[str, Member] = {}
        waiting = [member]
        while waiting:
            for _, parent in self.parents(waiting.pop(0)):
                if parent.id not in found and parent.id != member and (sort is None or parent.sort == sort):
                    found[parent.id] = parent
                    waiting.append(parent.id)
        return found

    @cached_property
    def statuses(self) -> dict[str, Status]:
        """The status of every member: its own, or tainted because an ancestor is."""
        return {
            one.id: "tainted"
            if any(a.status == "tainted" for a in (one, *self.ancestors(one.id).values()))
            else one.status
            for one in self.members.values()
        }

    @property
    def clean(self) -> bool | None:
        """False if the thing is tainted, None if not all of its family is known and unedited, else True."""
        if self.statuses[self.thing] == "tainted":
            return False
        return True if all(status == "known" for status in self.statuses.values()) else None

    def reasons(self, member: str) -> tuple[str, ...]:
        """Why a member is not simply known; for an inherited taint, whom it comes from."""
        one = self.members[member]
        inherited = [a for a in self.ancestors(member).values() if a.status == "tainted"]
        names = " and ".join(a.name for a in inherited[:3])
        from_whom = f"it comes from {names}, which {'is' if len(inherited) == 1 else 'are'} tainted" if names else ""
        return (*one.reasons, *((from_whom,) if from_whom else ()))

    @property
    def says(self) -> str:
        """The verdict in a sentence."""
        root, counts = self.root, self.counts
        if self.clean is False:
            return f"{root.name} is tainted: {self.reasons(self.thing)[0]}."
        if self.clean:
            return f"Nothing in the family of {root.name} is unknown, edited or tainted."
        doubts = [f"{counts[s]} {s}" for s in ("unknown", "tampered") if counts[s]]
        return f"{root.name} cannot be called clean: of {len(self.members)} members, {' and '.join(doubts)}."

    @property
    def counts(self) -> dict[Status, int]:
        """How many members have each status."""
        every = list(self.statuses.values())
        return {status: every.count(status) for status in ("known", "unknown", "tampered", "tainted")}

    def with_warnings(self, warnings: tuple[Warning, ...]) -> Family:
        """The same family with warnings."""
        return replace(self, warnings=warnings)

    def to_json(self) -> dict[str, Any]:
        """Plain values: ``thing``, ``clean``, ``says``, ``members`` with their status, ``links`` and ``warnings``."""
        members = [
            {**asdict(one), "status": self.statuses[one.id], "reasons": list(self.reasons(one.id))}
            for one in self.members.values()
        ]
        return {
            "thing": self.thing,
            "clean": self.clean,
            "says": self.says,
            "counts": self.counts,
            "members": members,
            "links": [asdict(link) for link in self.links],
            "warnings": [asdict(warning) for warning in self.warnings],
        }
