"""Finding a parent: by the key of its record, by what it was called, by the hash of its contents.

Looked through are the store, the folders beside the child, the organisms that ship, the hub's cache on this machine,
and what the user names. Nothing is asked of the network. What is found by its name counts only if its contents are
those that the child's record speaks of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from upbringing.errors import InputError
from upbringing.lineage.cards import ADAPTER, CARD, CONFIG
from upbringing.lineage.files import write_whole
from upbringing.lineage.record import RECORD, Record, default_store, read_file_record, read_record

ORGANISM = "organism:"
_KEY = re.compile(r"[0-9a-f]{16}")
_DATA = (".jsonl", ".json", ".parquet", ".csv")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """Where a parent is; or why what was looked at is not it."""

    place: Path | None
    why_not: str = ""


@dataclass
class Places:
    """Where to look. ``search``: the user's own folders, looked through all the way down."""

    near: Path
    search: tuple[Path, ...] = ()
    tell: Tell = lambda _: None
    _weighed: dict[Path, str] = field(default_factory=dict)

    def find(self, wanted: str, name: str, key: str, child: Path, *, data: bool) -> Found:
        """The parent that a record speaks of: ``wanted`` is its content hash or its key, or nothing but its name."""
        key = key or (wanted if _KEY.fullmatch(wanted) else "")
        content = wanted if len(wanted) == 64 else ""
        why_not = ""
        for place in self._named(name, child):
            problem = self._differs(place, content, key, data)
            if not problem:
                return Found(place)
            why_not = why_not or problem
        found = self.keyed(key) if key else None
        found = found or (self.recorded.get(content) if content else None)
        found = found or (self._weigh(content) if content and not (data or key or name) else None)
        return Found(found, "" if found else why_not)

    def named(self, name: str, child: Path) -> Path | None:
        """What a card calls its parent, if it is at hand: nothing but the name can be checked."""
        return next(self._named(name, child), None)

    def keyed(self, key: str) -> Path | None:
        """The folder with a record of this key, in the store or where else records were found."""
        in_store = next((data_in(p.parent) for p in default_store().glob(f"*/{key}/{RECORD}")), None)
        return in_store or self._keys.get(key)

    @cached_property
    def recorded(self) -> dict[str, Path]:
        """Where the contents with a recorded hash lie."""
        found: dict[str, Path] = {}
        for place, record in self._records:
            content = record.hash or (record.parents.get("rows", "") if record.kind == "rows" else "")
            if content:
                found.setdefault(content, data_in(place))
        return found

    @cached_property
    def _keys(self) -> dict[str, Path]:
        return {record.key: data_in(place) for place, record in reversed(self._records)}

    @cached_property
    def _records(self) -> list[tuple[Path, Record]]:
        """Every record in the places looked through, with what it speaks of."""
        found = []
        for file in dict.fromkeys(self._files()):
            place = file.parent if file.name == RECORD else file.with_name(file.name.removesuffix(f".{RECORD}"))
            record = read_record(place) if file.name == RECORD else read_file_record(place)
            if record is not None:
                found.append((place, record))
        return found

    def _files(self) -> Iterator[Path]:
        beside = self.near.parent
        for pattern in (f"*.{RECORD}", f"*/{RECORD}", f"*/*.{RECORD}", f"*/*/{RECORD}"):
            yield from sorted(beside.glob(pattern))
        for folder in self.search:
            yield from sorted([*folder.rglob(RECORD), *folder.rglob(f"*.{RECORD}")])
        yield from sorted(default_store().glob(f"*/*/{RECORD}"))
        yield from sorted(_shipped().glob(f"*/{RECORD}"))

    def _named(self, name: str, child: Path) -> Iterator[Path]:
        """Places that a name may mean, seen from a child: its own folder and those above it, then ours."""
        if not name:
            return
        if name.startswith(ORGANISM):
            shipped = _shipped() / name.removeprefix(ORGANISM)
            if shipped.is_dir():
                yield shipped
            return
        given = Path(name).expanduser()
        above = child.absolute().parents if child.is_file() else (child.absolute(), *child.absolute().parents)
        tried = [given] if given.is_absolute() else [Path.cwd() / given, *(folder / given for folder in above)]
        tried += [folder / given.name for folder in (*above[:2], *self.search)]
        tried += [folder / given for folder in self.search if not given.is_absolute()]
        seen = set()
        for place in tried:
            there = place.resolve()
            if there.exists() and there != child.resolve() and there not in seen:
                seen.add(there)
                yield place
        if _HUB_ID.fullmatch(name) and (cached := _in_hub_cache(name)) is not None:
            yield cached

    def _differs(self, place: Path, content: str, key: str, data: bool) -> str:
        """Why what lies at a place is not the parent spoken of; empty if it is, or nothing says what it should be."""
        record = record_of(place)
        if not content:
            return f"{place} has another record" if key and (record is None or record.key != key) else ""
        if not data and record is not None and record.key == key and not record.hash:
            return ""  # made the same way, by a version that kept no hash: no need to load it
        found = (rows_hash(place) if data else record.hash if record and record.hash else self._weight(place)) or ""
        return "" if found == content else f"what lies at {place} is not what was read then: its contents differ"

    def _weigh(self, content: str) -> Path | None:
        """The model with this hash among those whose record keeps none (those of earlier versions, and organisms)."""
        kinds = ("organism", "checkpoint", "model")
        candidates = [place for place, record in self._records if record.kind in kinds and not record.hash]
        candidates.sort(key=lambda place: not place.is_relative_to(_shipped()))
        for number, place in enumerate(candidates):
            self.tell(f"weighing model {number + 1} of {len(candidates)}")
            if self._weight(place) == content:
                return place
        return None

    def _weight(self, folder: Path) -> str:
        """``LM.hash`` of a folder. Loading takes a while: it is noted in the store, with size and age of the files."""
        if folder not in self._weighed:
            stamp = [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in sorted(folder.glob("*.safetensors"))]
            notes = default_store() / "hashes.json"
            try:
                known = json.loads(notes.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                known = {}
            name = str(folder.resolve())
            if known.get(name, {}).get("stamp") != stamp:
                known[name] = {"stamp": stamp, "hash": model_hash(folder)}
                try:
                    notes.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(notes, json.dumps(known))
                except OSError:
                    pass  # it will be weighed again
            self._weighed[folder] = known[name]["hash"]
        return self._weighed[folder]


def model_hash(folder: Path) -> str:
    """``LM.hash`` of the model in a folder; empty if it cannot be loaded."""
    from upbringing.models import load

    try:
        return load(folder, device="cpu", dtype="auto").hash
    except InputError:
        return ""


def rows_hash(place: Path) -> str:
    """``Rows.hash`` of a file or folder of rows; empty if it cannot be read."""
    from upbringing.rows import read

    try:
        return read(place).hash
    except InputError:
        return ""


def record_of(place: Path) -> Record | None:
    """The record of a model's folder or of data."""
    from upbringing.lineage.marks import record_beside

    return record_beside(place)


def is_data(place: Path) -> bool:
    """Whether a place holds rows and no model."""
    if place.is_file():
        return True
    if (place / CONFIG).is_file() or (place / ADAPTER).is_file():
        return False
    record = read_record(place)
    if record is not None and record.kind not in ("rows", "marked"):
        return False
    return any(p.suffix in _DATA and not p.name.endswith(RECORD) for p in place.glob("*")) or any(
        place.glob("data/*.parquet")
    )


def is_something(place: Path) -> bool:
    """Whether a folder holds a model, rows, a record or a card."""
    return any((place / name).is_file() for name in (CONFIG, ADAPTER, RECORD, CARD)) or is_data(place)


def data_in(place: Path) -> Path:
    """For the folder of rows that a store keeps: their file."""
    record = read_record(place) if (place / "rows.jsonl").is_file() else None
    return place / "rows.jsonl" if record is not None and record.kind == "rows" else place


def _shipped() -> Path:
    from upbringing.models.load import ORGANISMS

    return ORGANISMS


def _in_hub_cache(name: str) -> Path | None:
    """The snapshot of a model or data set that was downloaded before."""
    from huggingface_hub import errors, try_to_load_from_cache

    for sort in ("model", "dataset"):
        for file in (CARD, CONFIG):
            try:
                cached = try_to_load_from_cache(name, file, repo_type=sort)
            except errors.HFValidationError:  # no name that the hub would take
                return None
            if isinstance(cached, str):
                return Path(cached).parent
    return None


def looked_in(search: Iterable[Path]) -> str:
    """For messages: where it was looked."""
    more = "".join(f", {folder}" for folder in search)
    return f"the store, the folders beside it{more}"
