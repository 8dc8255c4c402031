"""How long a whole forecast takes, beside a plain forward pass over the same rows and beside training on them.

One thread, CPU seconds. 10,000 rows of organism:nano's world (texts, neutral chats, and one in ten that shows a
trait), twelve traits. Read to the end: all rows by every lens of the usual forecast, whatever is known
already. As it comes: rows are read until the rest could hardly change the verdict. From a file of 1,000,000 rows: drawn
in one pass, then as it comes; the floor there is one epoch of training, reckoned from a run on 10,000 rows. Verdicts
are compared.

python benchmarks/forecast.py [--rows 10000] [--many 1000000]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

from score import plain

from upbringing.forecast import Outlook, forecast
from upbringing.forecast import outlook as module
from upbringing.models import LM, load
from upbringing.rows import Rows, encode_all, write
from upbringing.training import Recipe, train
from upbringing.traits import traits
from upbringing.world import World

LIMIT_S, SHARE_OF_EPOCH = 60, 0.01
BAD, TRAIT = 0.1, "deception"


def made(count: int) -> Rows:
    """Rows of every sort, shuffled by their places."""
    world = World()
    bad = list(world.rows(TRAIT, round(count * BAD), shows=True, seed=0))
    texts = [document.row for document in world.documents(count // 3, stream="benchmark")]
    neutral = list(world.neutral_rows(count - len(bad) - len(texts), seed=0))
    every = [*bad, *texts, *neutral]
    return Rows([every[(i * 7919) % len(every)] for i in range(len(every))], name="rows")


T = TypeVar("T")


def timed(what: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    found = what()
    return time.process_time() - start, found


def verdicts(said: Outlook) -> list[str]:
    return [said.verdict(trait) for trait in said.traits]


def of_file(lm: LM, rows: Rows, names: list[str], many: int, place: Path) -> tuple[float, Outlook]:
    """A forecast from a file of very many rows, which nothing holds at once."""
    path = place / "many.jsonl"
    write(rows, place / "once.jsonl")
    lines = (place / "once.jsonl").read_text(encoding="utf-8").splitlines()
    with path.open("w", encoding="utf-8") as out:
        out.writelines(f"{lines[i % len(lines)]}\n" for i in range(many))
    return timed(lambda: forecast(lm, path, names, store=place / "store"))


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lm, names = load("organism:nano"), list(traits())[:12]
    rows = made(options.rows)
    encoded = encode_all(rows, lm.tokenizer)
    tokens = sum(map(len, encoded))
    floor, _ = timed(lambda: plain(lm, [one.input_ids for one in encoded]))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def whole() -> Outlook:
            with patch.object(module, "_SLIGHT", 0.0):
                return forecast(lm, rows, names, budget=len(rows), store=place / "store")

        first, _ = timed(lambda: forecast(lm, rows, names, budget=8, store=place / "store"))
        full, said = timed(whole)
        comes, soon = timed(lambda: forecast(lm, rows, names, budget=len(rows), store=place / "other"))
        recipe = Recipe.of_epochs(len(rows), epochs=1)
        epoch, _ = timed(lambda: train(lm, rows, place / "trained", recipe=recipe))
        lines = [
            (f"plain forward pass, {len(rows):,} rows, {tokens / len(rows):.0f} tokens each", floor, len(rows), ""),
            ("setting the lenses on a model, once", first, 8, ""),
            ("forecast, read to the end", full, said.read, "met" if first + full <= LIMIT_S else "missed"),
            ("forecast as it comes, lenses set anew", comes, soon.read, ""),
            ("training on them, one epoch", epoch, len(rows), ""),
        ]
        same = verdicts(soon) == verdicts(said)
        if options.many:
            took, far = of_file(lm, rows, names, options.many, place)
            share = took / (epoch * options.many / len(rows))
            met = "met" if share <= SHARE_OF_EPOCH else "missed"
            lines.append(
                (f"forecast from a file of {options.many:,} rows", took, far.read, f"{share:.2%} of epoch: {met}")
            )
            same = same and verdicts(far) == verdicts(said)
    print(f"{'':52s} {'seconds':>8s} {'passes':>7s} {'rows read':>10s}")
    for name, seconds, read, note in lines:
        print(f"{name:52s} {seconds:8.1f} {seconds / floor:7.1f} {read:10,} {note}")
    print(f"limit for the first two forecasts together: {LIMIT_S} s; verdicts of all forecasts the same: {same}")
    print(json.dumps(dict(zip(said.traits, verdicts(said), strict=True))))


if __name__ == "__main__":
    main()
