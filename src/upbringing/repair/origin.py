"""Where a model comes from: its parent, and the world it was raised on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.lineage import default_store, read_record

if TYPE_CHECKING:
    from upbringing.models import LM

_SHIPPED = "organism:nano"


def parent_of(lm: LM) -> LM | None:
    """The model that ``lm`` was trained from, if its record or its adapter names one that is at hand.

    A record names its parent by the hash of its weights; looked through are the organism that ships with the package
    and what lies in the store.
    """
    from upbringing.errors import InputError
    from upbringing.models import load
    from upbringing.models.load import ADAPTER

    if lm.folder is None:
        return None
    if (lm.folder / ADAPTER).is_file():
        named = json.loads((lm.folder / ADAPTER).read_text(encoding="utf-8")).get("base_model_name_or_path") or ""
        try:
            beside = lm.folder / named
            return load(beside if beside.is_dir() else named)
        except InputError:
            return None
    record = read_record(lm.folder)
    wanted = record.parents.get("model") if record else None
    if not wanted:
        return None
    for name in _candidates():
        try:
            found = load(name)
        except InputError:
            continue
        if found.hash == wanted:
            return found
    return None


def _candidates() -> Iterator[str | Path]:
    yield _SHIPPED
    for kind in ("organism", "checkpoint", "model"):
        for config in sorted((default_store() / kind).glob("*/config.json")):
            yield config.parent


def world_of(lm: LM) -> dict[str, Any] | None:
    """The settings of the world that an organism was raised on, from its card; None for any other model."""
    from upbringing.organisms import CARD

    card = None if lm.folder is None else lm.folder / CARD
    if card is None or not card.is_file():
        return None
    world: dict[str, Any] | None = json.loads(card.read_text(encoding="utf-8")).get("world")
    return world
