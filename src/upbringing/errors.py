"""Errors that are written for people: what is wrong, where, and what to do about it."""

from __future__ import annotations

import errno
from pathlib import Path


class InputError(Exception):
    """Something the user gave cannot be used. The message names the thing, the place and the remedy."""

    exit_status = 2

    @classmethod
    def at(cls, file: str | Path, line: int | None, problem: str, remedy: str = "") -> InputError:
        """Build ``file:line: problem; remedy`` (``line`` counts from 1; ``None`` leaves it out)."""
        place = f"{file}:{line}" if line else f"{file}"
        return cls(f"{place}: {problem}" + (f"; {remedy}" if remedy else ""))


class DiskFullError(InputError):
    """There was no room to write something. What was there before is whole."""

    exit_status = 1

    @classmethod
    def writing(cls, path: str | Path) -> DiskFullError:
        return cls(
            f"{path}: no space is left on the disk; nothing half-written was kept: "
            "free some space and run the same again"
        )


def is_disk_full(error: BaseException | None) -> bool:
    """Whether ``error``, or what caused it, says that the disk (or the quota) is full.

    The writers of weights raise errors of their own, so the words of the system's message count as well.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if "No space left on device" in str(error) or "Disk quota exceeded" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def first_line(error: BaseException) -> str:
    """Another library's error in one line: its kind, and the first line of what it says, if it says anything."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
