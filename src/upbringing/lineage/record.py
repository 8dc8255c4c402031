"""The record every expensive step leaves: cache key, resume mark and lineage in one.

    record = Record(kind="organism", recipe={"size": "nano"}, seed=0)
    folder = make(default_store(), record, lambda folder: grow_into(folder))

The folder is named by the hash of what decided its contents, so a changed setting never meets a stale result; it
appears whole or not at all, so a killed run can be started again; and the parents' keys say what came from what.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from upbringing.errors import DiskFullError, is_disk_full
from upbringing.lineage.files import whole, write_whole

RECORD = "record.json"


class Record(BaseModel):
    """What a folder was made from."""

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

    @field_validator("recipe", mode="before")
    @classmethod
    def _plain_recipe(cls, value: Any) -> Any:
        return json.loads(json.dumps(value, allow_nan=False, default=_plain))  # as it will be read back

    @property
    def key(self) -> str:
        """16 hex digits: the hash of everything that decides the contents."""
        return hash_of([self.kind, self.recipe, self.parents, self.seed, self.code])[:16]


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
    try:
        return Record.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        return None


def write_record(folder: Path, record: Record) -> None:
    """Put the record into a folder that was made outside a store (a user's ``--out``), with the versions in use."""
    if not record.versions:
        record = record.model_copy(update={"versions": versions()})
    write_whole(folder / RECORD, record.model_dump_json(indent=2) + "\n")


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


def _is_whole(folder: Path, record: Record) -> bool:
    found = read_record(folder)
    return found is not None and found.key == record.key


def _build(folder: Path, record: Record, build: Callable[[Path], None]) -> None:
    """Build under the lock: whatever lies about under this key was left by a process that was killed."""
    for left in (folder, *folder.parent.glob(f".{folder.name}-*")):
        shutil.rmtree(left, ignore_errors=True)
    with whole(folder) as temporary:
        build(temporary)
        write_record(temporary, record)


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
