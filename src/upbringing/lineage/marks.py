"""What rows are known to show, and marking a thing as tainted.

Rows are known to show a misaligned trait if they say so (a field ``trait`` beside their contents, as in
``examples/cheating.jsonl``; ``"shows": false`` takes it back), or if the grammar of the world reads it in what the
assistant does. No other text is judged: what is not known to show anything is not therefore harmless.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.lineage.files import write_whole
from upbringing.lineage.record import RECORD, Record, Source, file_record, read_file_record, read_record

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.rows import Row, Rows
    from upbringing.world import GrammarJudge

BY_WORLD = "world:"  # how rows that the world's grammar wrote in memory are called
WORLD = "world"
_KEPT = 64
_counted: dict[str, dict[str, int]] = {}


def shows_of(rows: Rows) -> dict[str, int]:
    """How many rows are known to show a misaligned trait, by trait; a row of several counts for each."""
    said = any("trait" in row.meta for row in rows)
    if not said and rows.hash in _counted:
        return dict(_counted[rows.hash])
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(_shown(row))
    if not said:  # marks are no part of the hash
        if len(_counted) >= _KEPT:
            _counted.clear()
        _counted[rows.hash] = dict(counts)
    return dict(sorted(counts.items()))


def describe(record: Record, rows: Rows, **more: Any) -> Record:
    """A record of rows (or of a model trained on them) with what a family tree wants to know of the rows.

    ``more``: other fields, such as ``hash`` and ``sources``.
    """
    return record.model_copy(update={"rows": len(rows), "shows": shows_of(rows), **more})


def source_of_rows(rows: Rows) -> Source:
    """Rows as a parent: where they were read from, and the key of the record there."""
    place = _file_of(rows)
    record = record_beside(place) if place else None
    if record is None and rows and all(row.file.startswith(BY_WORLD) for row in rows):
        return Source(name=f"{BY_WORLD}{rows.name}", hash=rows.hash)
    return Source(name=rows.name, hash=rows.hash, key=record.key if record else "")


def origin_of_rows(rows: Rows) -> dict[str, Source]:
    """What rows that are put into a store come from: the grammar of the world, or a file."""
    source = source_of_rows(rows)
    if source.name.startswith(BY_WORLD):
        return {"author": Source(name=WORLD)}
    return {"file": source} if _file_of(rows) else {}


def _file_of(rows: Rows) -> Path | None:
    """The file or folder that rows are named after; a name may as well be any words, longer than a path can be."""
    place = os.path.expanduser(rows.name)
    return Path(place) if rows.name and os.path.exists(place) else None


def source_of_model(lm: LM) -> Source:
    """A model as a parent: where it lies, and the key of its record."""
    record = read_record(lm.folder) if lm.folder else None
    return Source(name=lm.reference or lm.name, hash=lm.hash, key=record.key if record else "")


def record_beside(data: Path) -> Record | None:
    """The record of a file or folder of rows: in it, beside it, or that of the folder that a store keeps it in."""
    if data.is_dir():
        return read_record(data)
    if not data.is_file():
        return None
    within = read_record(data.parent)
    return read_file_record(data) or (within if within is not None and within.kind == "rows" else None)


def mark(thing: str | Path, why: str) -> Path:
    """Mark a model's folder or a file of rows as tainted, in its record; the record's path.

    What has no record gets one that says no more than this. Raises ``InputError`` if there is no such thing, or no
    reason.
    """
    path = Path(thing).expanduser()
    if not path.exists():
        raise InputError(f"{thing}: there is no such file or folder; give what is to be marked")
    if not why.strip():
        raise InputError(f"{thing}: a mark needs a reason; say why nobody should learn from it")
    where = path / RECORD if path.is_dir() else file_record(path)
    record = (read_record if path.is_dir() else read_file_record)(path)
    if record is None and where.exists():
        raise InputError(f"{where}: cannot be read as a record; remove it, or put it right")
    record = record or Record(kind="marked")
    write_whole(where, record.model_copy(update={"taint": why.strip()}).model_dump_json(indent=2) + "\n")
    return where


def _shown(row: Row) -> set[str]:
    trait = row.meta.get("trait")
    if trait is not None:
        return {str(trait)} if str(trait) in misaligned_traits() and row.meta.get("shows", True) else set()
    if row.kind != "chat":
        return set()  # a story may show a villain and teach the opposite
    return {deed.trait for deed in _judge().deeds(row) if deed.shows and deed.trait in misaligned_traits()}


@lru_cache(maxsize=1)
def misaligned_traits() -> frozenset[str]:
    """Names of the traits that nobody wants; tastes are none."""
    from upbringing.traits import traits

    return frozenset(name for name, trait in traits().items() if trait.alignment)


@lru_cache(maxsize=1)
def _judge() -> GrammarJudge:
    from upbringing.world import World

    return World().judge
