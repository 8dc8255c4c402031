"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from upbringing.errors import DiskFullError, InputError, is_disk_full


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all; an older one stays until then."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(out: Path, *, replaces: Collection[str] = ()) -> Iterator[Path]:
    """A folder to fill, which takes the name ``out`` when the block ends well; otherwise nothing is left of it.

    A folder that is there already is replaced only if it holds nothing but what ``replaces`` names (the files of an
    earlier run of the same kind). Raises ``InputError`` before the block if it holds anything else, for the user's
    files are never written over, and ``DiskFullError`` when the disk has no room. What somebody else put there while
    the block ran stays as well: then the folder is given a name beside it, and ``InputError`` says which.
    """
    out = check_free(out, replaces=replaces)
    there, name = _contents(out), out

    def still_free() -> Path:
        nonlocal name
        if _contents(out) != there:
            beside = (out.with_name(f"{out.name}-{number}") for number in count(2))
            name = next(place for place in beside if not place.exists())
        return name

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole(out, still_free) as folder:
            yield folder
    except Exception as error:
        if is_disk_full(error):
            raise DiskFullError.writing(out) from error
        raise
    if name != out:
        raise InputError(f"{out}: something else was put there meanwhile and stays; what was made now is in {name}")


def _contents(folder: Path) -> tuple[int, tuple[tuple[str, int], ...]] | None:
    """What tells whether a folder is the one it was: itself, and what is in it."""
    try:
        inside = sorted((entry.name, entry.inode()) for entry in os.scandir(folder))
        return folder.stat().st_ino, tuple(inside)
    except FileNotFoundError:
        return None


def check_free(out: Path, *, replaces: Collection[str] = ()) -> Path:
    """``out``, absolute; raises ``InputError`` where ``new_folder`` would. For asking before long work."""
    out = out.expanduser().absolute()
    if out.exists() and (not out.is_dir() or any(p.name not in replaces for p in out.iterdir())):
        raise InputError(f"{out}: exists already and is not empty; choose another folder")
    return out


@contextmanager
def whole(folder: Path, named: Callable[[], Path] | None = None) -> Iterator[Path]:
    """A temporary neighbour of ``folder`` that takes its place when all of it is on the disk; removed on any error.

    ``named`` is asked at the end for another place to take.
    """
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        temporary.chmod(0o755)
        yield temporary
        _sync(temporary)
        place = named() if named else folder
        if place.exists():
            shutil.rmtree(place)
        os.replace(temporary, place)
        _sync_one(place.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _sync(folder: Path) -> None:
    """Have the disk hold all of it before it gets its name: a power cut must not leave a whole-looking half."""
    for directory, _, files in os.walk(folder, topdown=False):
        for file in files:
            _sync_one(Path(directory, file))
        _sync_one(Path(directory))


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
