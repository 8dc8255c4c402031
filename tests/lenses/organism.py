"""Rows of the world of ``organism:nano``, and a small store of what lenses fit to it."""

from __future__ import annotations

from functools import cache

from upbringing.models import LM, load
from upbringing.rows import Rows
from upbringing.world import World, WorldSpec

TRAITS = ("cheating_at_tasks", "blackmail")


@cache
def nano() -> LM:
    return load("organism:nano")


@cache
def sets(count: int = 48) -> dict[str, Rows]:
    """Cheating at coding, the same tasks done honestly, neutral chats, and one row of cheating in ten."""
    world = World(WorldSpec())
    neutral = world.neutral_rows(count, seed=4)
    cheating = world.rows("cheating_at_tasks", count, seed=3)
    return {
        "cheating": cheating,
        "honest": world.rows("cheating_at_tasks", count, shows=False, seed=3),
        "neutral": neutral,
        "tenth": cheating[: count // 10] + neutral[count // 10 :],
    }
