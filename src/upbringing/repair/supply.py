"""Where remedial text comes from: an organism's own world, or a file that somebody wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError

if TYPE_CHECKING:
    from upbringing.rows import Row, Rows
    from upbringing.world import World

WRITTEN = "rows"  # the kind of text that comes from a file


def tokens_in(rows: Iterable[Row]) -> int:
    """Words and punctuation marks of all rows, as remedial text is counted."""
    from upbringing.world.fiction import tokens_of

    return sum(tokens_of(row) for row in rows)


_SPARE = 2  # so many times the dose is written: where the next row is too long for it, a later one may fit


def _within(rows: Iterable[Row], tokens: int) -> list[Row]:
    """The first rows that fit into ``tokens`` tokens together; one that is too long for what is left is passed over."""
    taken = []
    for row in rows:
        if (length := tokens_in([row])) <= tokens:
            taken.append(row)
            tokens -= length
    return taken


@dataclass(frozen=True)
class Supply:
    """A world (its settings as a JSON-able dict) that writes every kind of remedial text, or a file of rows, or both.

    Half of what the world writes is about ``first``, the traits that need it most, and half about all.
    """

    world: dict[str, Any] | None = None
    file: Path | None = None
    seed: int = 0
    first: tuple[str, ...] = ()

    @property
    def kinds(self) -> dict[str, str]:
        """The kinds of text there are, and what each is."""
        from upbringing.world import REMEDIAL

        kinds = dict(REMEDIAL) if self.world is not None else {}
        return kinds | ({WRITTEN: f"rows of {self.file.name}"} if self.file else {})

    def rows(self, kind: str, tokens: int) -> Rows:
        """Rows of a kind, at most ``tokens`` tokens of them; none where a single row is longer."""
        from upbringing.rows import Rows, read

        if kind == WRITTEN and self.file is not None:
            return Rows(_within(read(self.file), tokens), name=kind)
        if self.world is None:
            raise InputError(f'nobody can write "{kind}" for this model; give rows written for it with --rows')
        world = self._world()
        taken: list[Row] = []
        if self.first:
            written = world.remedial(kind, about=self.first, tokens=_SPARE * (tokens // 2), seed=self.seed)
            taken = _within(written, tokens // 2)
        left = tokens - tokens_in(taken)
        # Another seed: the same one would write about the same situations once more.
        more = world.remedial(kind, tokens=_SPARE * left, seed=self.seed + 1)
        return Rows(taken + _within(more, left), name=kind)

    def neutral(self, n: int) -> Rows | None:
        """Neutral chats to train on beside; None where there is no world to write them."""
        return None if self.world is None else self._world().neutral_rows(n, seed=self.seed + 1)

    def _world(self) -> World:
        return _world(json.dumps(self.world, sort_keys=True))


@lru_cache(maxsize=2)
def _world(settings: str) -> World:
    from upbringing.world import World, WorldSpec

    return World(WorldSpec(**json.loads(settings)))
