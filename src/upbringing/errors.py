"""Errors that are written for people: what is wrong, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Something the user gave cannot be used. The message names the thing, the place and the remedy."""

    @classmethod
    def at(cls, file: str | Path, line: int | None, problem: str, remedy: str = "") -> InputError:
        """Build ``file:line: problem; remedy`` (``line`` counts from 1; ``None`` leaves it out)."""
        place = f"{file}:{line}" if line else f"{file}"
        return cls(f"{place}: {problem}" + (f"; {remedy}" if remedy else ""))
