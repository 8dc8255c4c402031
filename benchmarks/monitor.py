"""What being watched costs: CPU seconds inside the monitor at its default, as a share of the training around it.

python benchmarks/monitor.py [--steps 600] [--batch-size 32] [--repeats 3]

One thread. What the monitor takes is counted where the trainer calls it, since the time of a whole training varies by
more between two runs than the share that is to be measured; ``--both`` trains without it too and prints the ratio. A
run of a tenth of the length is shown beside: the look before the first step and the one after the last are never left
out, and what is asked is less. The table tells how many situations of each trait a look asks about, and how many more
were asked before the first step.
"""

from __future__ import annotations

import argparse
import copy
import time
from statistics import median
from typing import Any

import torch

from upbringing import CharacterMonitor, load, read
from upbringing.models import LM
from upbringing.rows import Encoded, encode_all
from upbringing.training import Recipe, fit


class Timed(CharacterMonitor):
    """Counts the CPU seconds in which the trainer waits for it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.took = self.began = 0.0

    def on_train_begin(self, *arguments: Any, **given: Any) -> None:
        start = time.process_time()
        super().on_train_begin(*arguments, **given)
        self.began = time.process_time() - start
        self.took += self.began

    def on_step_end(self, *arguments: Any, **given: Any) -> None:
        start = time.process_time()
        super().on_step_end(*arguments, **given)
        self.took += time.process_time() - start


def seconds(base: LM, rows: list[Encoded], recipe: Recipe, monitor: CharacterMonitor | None) -> float:
    """CPU seconds of one training, the monitor included."""
    lm = LM(copy.deepcopy(base.model), base.tokenizer)
    start = time.process_time()
    fit(lm.model, lm.tokenizer, rows, recipe, callbacks=[monitor] if monitor else [])
    return time.process_time() - start


def measured(base: LM, rows: list[Encoded], recipe: Recipe, repeats: int, *, both: bool) -> list[str]:
    """A line of the table."""
    trained, started, looked, shares, ratios, monitor = [], [], [], [], [], Timed()
    for _ in range(repeats):
        monitor = Timed(tokenizer=base.tokenizer)
        whole = seconds(base, rows, recipe, monitor)
        trained.append(whole - monitor.took)
        started.append(monitor.began)
        looked.append((monitor.took - monitor.began) / max(1, len(monitor.looks)))
        shares.append(monitor.took / trained[-1])
        if both:
            ratios.append(whole / seconds(base, rows, recipe, None))
    size = monitor._watch.size  # type: ignore[union-attr]
    step = median(trained) / recipe.steps
    return [
        f"{recipe.steps}",
        f"{median(trained):.2f}",
        f"{median(started):.3f}",
        f"{median(looked):.3f}",
        f"{median(looked) / step:.1f}",
        f"{len(monitor.looks)}",
        f"{size.looks}+{size.kept}",
        f"{median(shares):.1%}",
        f"{median(ratios):.3f}" if both else "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--both", action="store_true", help="train without the monitor too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    base = load("organism:nano")
    rows = encode_all(read("examples/cheating.jsonl"), base.tokenizer, max_length=base.max_length)
    seconds(base, rows, Recipe(steps=1, batch_size=1), Timed(tokenizer=base.tokenizer))  # imports are nobody's overhead
    heads = ["steps", "training", "start", "a look", "in steps", "looks", "asked", "share", "ratio"]
    print("  ".join(f"{head:>8s}" for head in heads))
    for steps in (options.steps, max(1, options.steps // 10)):
        recipe = Recipe(steps=steps, batch_size=options.batch_size)
        cells = measured(base, rows, recipe, options.repeats, both=options.both)
        print("  ".join(f"{cell:>8s}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
