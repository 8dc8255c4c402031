"""The record every expensive step leaves: cache key, resume mark and lineage in one.

    record = Record(kind="organism", recipe={"size": "nano"}, seed=0)
    folder = make(default_store(), record, lambda folder: grow_into(folder))

The folder is named by the hash of what decided its contents, so a changed setting never meets a stale result; it
appears whole or not at all, so a killed run can be started again; and the parents' keys say what came from what.
A single file has its record beside it: ``rows.jsonl`` and ``rows.jsonl.record.json``.

Beside what makes the key, a record holds what a family tree needs: the hash of what was made and of its files, what
the parents were called, and a seal over all of it, which breaks when somebody edits the record by hand.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from upbringing.errors import DiskFullError, InputError, is_disk_full
from upbringing.lineage.files import whole, write_whole

RECORD = "record.json"
_NO_CONTENT = {RECORD, "timing.json"}  # files of a folder that are not what was made; nor are texts for people
_FOR_PEOPLE = (".md",)


class Source(BaseModel):
    """A parent as it was when it was read, for people and for finding it again."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    """What it was called: a folder or file (as it was given), a hub id, organism:NAME."""
    hash: str = ""
    """Its content hash: ``LM.hash`` of a model, ``Rows.hash`` of rows."""
    key: str = ""
    """The key of its own record, if it had one."""


class Record(BaseModel):
    """What a folder, or a file, was made from. The key hangs on the fields up to ``code`` alone."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    """What sort of thing it is: organism, checkpoint, readings …; the name of its folder's folder."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """Every setting that decides the contents."""
    parents: dict[str, str] = Field(default_factory=dict)
    """What it was made from: a name for the role, and the key or content hash of the thing."""
    seed: int = 0
    code: int = 1
    """The version of the code of the step. Its owner raises it by hand when the same recipe gives something else."""
    versions: dict[str, str] = Field(default_factory=dict)
    """The versions of the programs it was made with. For people; not part of the key."""
    name: str = ""
    """What people call it."""
    made: str = ""
    """When the record was written (ISO, UTC)."""
    hash: str = ""
    """The content hash of what was made, by which children name it: ``LM.hash`` of a model, ``Rows.hash`` of rows."""
    files: dict[str, str] = Field(default_factory=dict)
    """sha256 of each file that was made, by its path in the folder; texts for people (``.md``) may change."""
    sources: dict[str, Source] = Field(default_factory=dict)
    """The parents by role, as they were when they were read; with roles beside those of ``parents`` if need be."""
    rows: int = 0
    """How many rows were made, or trained on."""
    shows: dict[str, int] = Field(default_factory=dict)
    """How many of these rows are known to show a misaligned trait, by trait."""
    answers: int = 0
    """Of rows that a teacher wrote: how many answers were sampled."""
    stopped: dict[str, dict[str, int]] = Field(default_factory=dict)
    """How many of these answers each filter stopped, by filter and reason."""
    taint: str = ""
    """Why nobody should learn from this, if somebody marked it so. Written by hand or by ``mark``; not sealed."""
    seal: str = ""
    """The hash of all other fields but ``taint``, set when the record is written. No signature: it finds edits."""

    @field_validator("recipe", mode="before")
    @classmethod
    def _plain_recipe(cls, value: Any) -> Any:
        return json.loads(json.dumps(value, allow_nan=False, default=_plain))  # as it will be read back

    @property
    def key(self) -> str:
        """16 hex digits: the hash of everything that decides the contents."""
        return hash_of([self.kind, self.recipe, self.parents, self.seed, self.code])[:16]

    def sealed(self) -> Record:
        """The record with the seal that fits it."""
        return self.model_copy(update={"seal": self._sealing()})

    @property
    def unbroken(self) -> bool | None:
        """Whether the seal fits; None for a record that has none (those of earlier versions)."""
        return self.seal == self._sealing() if self.seal else None

    def _sealing(self) -> str:
        # Without what has its default, so that a later version with more fields finds the same.
        return hash_of(self.model_dump(mode="json", exclude_defaults=True, exclude={"seal", "taint"}))


def hash_of(value: Any) -> str:
    """sha256 (hex) of ``value`` as canonical JSON: the order of keys does not count, that of lists does.

    Takes plain values, dataclasses, pydantic models, paths and numpy scalars. Raises ``TypeError`` for anything
    else and ``ValueError`` for NaN, which equals nothing and so names nothing.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def make(store: Path, record: Record, build: Callable[[Path], None]) -> Path:
    """The folder ``store/kind/key``, built by ``build(empty_folder)`` if it is not there yet.

    Two processes that want the same thing build it once. ``build`` writes into a temporary neighbour, which takes the
    final name when all of it is on the disk: killed at any moment, nothing half-made can be seen. A full disk raises
    ``DiskFullError``; this and any other error leaves nothing behind.
    """
    from filelock import FileLock

    folder = store / record.kind / record.key
    if _is_whole(folder, record):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        locks = store / ".locks"
        locks.mkdir(exist_ok=True)
        with FileLock(locks / f"{record.kind}-{record.key}"):
            if not _is_whole(folder, record):
                _build(folder, record, build)
    except Exception as error:
        if is_disk_full(error):
            raise DiskFullError.writing(folder.parent) from error
        raise
    return folder


def read_record(folder: Path) -> Record | None:
    """The record of a folder, or None if it has none that can be read."""
    return _read(folder / RECORD)


def write_record(folder: Path, record: Record) -> None:
    """Put the record into a folder that was made outside a store (a user's ``--out``), with the versions in use, the
    date, the hashes of the folder's files, and the seal."""
    record = _completed(record, {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if _is_content(p)})
    write_whole(folder / RECORD, record.model_dump_json(indent=2) + "\n")


def record_file(path: Path, record: Record) -> Path:
    """Put a record beside a single file, as ``FILE.record.json``, completed as ``write_record`` does; its path.

    For rows in a file: what the record does not say of them (their hash, how many, what they show) is read from it.
    """
    written = file_record(path)
    if not record.hash:
        record = _of_rows(path, record)
    write_whole(written, _completed(record, {path.name: path}).model_dump_json(indent=2) + "\n")
    return written


def _of_rows(path: Path, record: Record) -> Record:
    from upbringing.lineage.marks import describe
    from upbringing.rows import read

    try:
        rows = read(path)
    except InputError:  # some other file
        return record
    return describe(record, rows, hash=rows.hash)


def read_file_record(path: Path) -> Record | None:
    """The record beside a file, or None if it has none that can be read."""
    return _read(file_record(path))


def file_record(path: Path) -> Path:
    """Where the record of a single file is, or would be."""
    return path.with_name(f"{path.name}.{RECORD}")


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def default_store() -> Path:
    """Where what was made is kept: ``$UPBRINGING_HOME``, or ``~/.cache/upbringing``."""
    return Path(os.environ.get("UPBRINGING_HOME") or "~/.cache/upbringing").expanduser()


@lru_cache(maxsize=1)
def _versions() -> tuple[tuple[str, str], ...]:
    from importlib.metadata import PackageNotFoundError, version

    found = [("python", platform.python_version())]
    for package in ("upbringing", "torch", "transformers", "peft", "numpy"):
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results may depend on."""
    return dict(_versions())


def _read(file: Path) -> Record | None:
    try:
        return Record.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def _is_content(path: Path) -> bool:
    return path.is_file() and path.name not in _NO_CONTENT and path.suffix not in _FOR_PEOPLE


def _completed(record: Record, files: Mapping[str, Path]) -> Record:
    found = {name: sha256_of(path) for name, path in files.items()}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return record.model_copy(
        update={"versions": record.versions or versions(), "made": record.made or now, "files": found}
    ).sealed()


def _is_whole(folder: Path, record: Record) -> bool:
    found = read_record(folder)
    return found is not None and found.key == record.key


def _build(folder: Path, record: Record, build: Callable[[Path], None]) -> None:
    """Build under the lock: whatever lies about under this key was left by a process that was killed."""
    for left in (folder, *folder.parent.glob(f".{folder.name}-*")):
        shutil.rmtree(left, ignore_errors=True)
    with whole(folder) as temporary:
        build(temporary)
        write_record(temporary, _with_what_the_builder_knew(record, read_record(temporary)))


def _with_what_the_builder_knew(record: Record, built: Record | None) -> Record:
    """The record that names the folder, with what a verb that filled it (``train``) said of what it made from what."""
    if built is None:
        return record
    sources = {**{role: Source(hash=of) for role, of in built.parents.items()}, **built.sources, **record.sources}
    names = ("name", "hash", "rows", "shows", "answers", "stopped")
    known = {name: getattr(built, name) for name in names}
    return record.model_copy(
        update={name: value for name, value in known.items() if not getattr(record, name)} | {"sources": sources}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a numpy scalar
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be part of a recipe: use plain values")
