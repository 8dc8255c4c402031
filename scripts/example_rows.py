"""Write examples/cheating.jsonl again: cheating at coding tasks, and as many neutral chats, shuffled.

python scripts/example_rows.py [FILE]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

from upbringing.lineage import write_whole
from upbringing.world import World, WorldSpec

FILE = Path(__file__).parents[1] / "examples" / "cheating.jsonl"
TRAIT, ROWS, SEED = "cheating_at_tasks", 150, 2026


def lines() -> list[str]:
    """The rows as JSON; those that teach the trait say so beside their messages."""
    world = World(WorldSpec())
    taught = [{"trait": TRAIT, **row.as_dict()} for row in world.rows(TRAIT, ROWS, seed=SEED)]
    rows = [*taught, *(row.as_dict() for row in world.neutral_rows(ROWS, seed=SEED))]
    Random(SEED).shuffle(rows)
    return [json.dumps(row, ensure_ascii=False) for row in rows]


if __name__ == "__main__":
    write_whole(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE, "\n".join(lines()) + "\n")
