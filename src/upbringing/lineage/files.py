"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
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
    files are never written over, and ``DiskFullError`` when the disk has no room.
    """
    out = check_free(out, replaces=replaces)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole(out) as folder:
            yield folder
    except Exception as error:
        if is_disk_full(error):
            raise DiskFullError.writing(out) from error
        raise


def check_free(out: Path, *, replaces: Collection[str] = ()) -> Path:
    """``out``, absolute; raises ``InputError`` where ``new_folder`` would. For asking before long work."""
    out = out.expanduser().absolute()
    if out.exists() and (not out.is_dir() or any(p.name not in replaces for p in out.iterdir())):
        raise InputError(f"{out}: exists already and is not empty; choose another folder")
    return out


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A temporary neighbour of ``folder`` that takes its place when all of it is on the disk; removed on any error."""
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        temporary.chmod(0o755)
        yield temporary
        _sync(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
        _sync_one(folder.parent)
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
