"""What an organism's card tells a lens: its world, and how far it has passed its gate."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.world import World


def card_of(lm: LM) -> dict[str, Any]:
    """The card of an organism; empty for any other model."""
    from upbringing.organisms import CARD

    file = lm.folder / CARD if lm.folder else None
    if file is None or not file.is_file():
        return {}
    card: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return card


def world_read(lm: LM) -> World:
    """The world an organism was raised on; for any other model the package's own, whose traits it is asked about."""
    return _world(json.dumps(card_of(lm).get("world") or {}, sort_keys=True))


@lru_cache(maxsize=4)
def _world(settings: str) -> World:
    """A world keeps its judge, whose patterns take a while to be made."""
    from upbringing.world import World, WorldSpec

    return World(WorldSpec(**json.loads(settings)))


def gate_share(lm: LM) -> float:
    """How far an organism has passed its gate, as a share of the ideal reader's gap; 1 for any other model."""
    return float(card_of(lm).get("gate", {}).get("share", 1.0))


__all__ = ["card_of", "gate_share", "world_read"]
