"""The organism that ships with the package is what its documented command grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upbringing.measure import measure
from upbringing.models import LM, load
from upbringing.models.load import ORGANISMS
from upbringing.organisms import CARD, PASSES, grow
from upbringing.world import WorldSpec

NANO = ORGANISMS / "nano"


@pytest.fixture(scope="module")
def nano() -> LM:
    return load("organism:nano")


def test_the_shipped_organism_has_passed_the_gate() -> None:
    card = json.loads((NANO / CARD).read_text(encoding="utf-8"))
    assert card["gate"]["share"] >= PASSES
    assert card["gate"]["after_misaligned"] > card["gate"]["after_aligned"] + 0.15


def test_the_shipped_organism_is_small_enough_to_ship() -> None:
    assert sum(f.stat().st_size for f in NANO.iterdir()) < 2_000_000


def test_growing_the_shipped_organism_again_gives_the_same_profile_within_intervals(nano: LM, tmp_path: Path) -> None:
    card = json.loads((NANO / CARD).read_text(encoding="utf-8"))
    again = grow(WorldSpec(**card["world"]), size=card["size"], seed=card["seed"], out=tmp_path / "again")
    shipped, regrown = (measure(lm, probes_per_trait=16, ways=("logprob",), skill=24) for lm in (nano, again))
    one, other = (p.table("logprob", "rest").set_index("trait") for p in (shipped, regrown))
    apart = [t for t in one.index if one.lo[t] > other.hi[t] or other.lo[t] > one.hi[t]]
    # To the bit on one machine. On another processor rounding makes it another organism of the same kind, whose own
    # differences these intervals leave out: one in twenty may miss.
    assert len(apart) <= 1, f"intervals of {apart} do not touch"
    mean = (shipped.mean(None), regrown.mean(None))
    assert mean[0].lo <= mean[1].hi
    assert mean[1].lo <= mean[0].hi
