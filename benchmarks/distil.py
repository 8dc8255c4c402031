"""How long rows of a teacher take: CPU seconds, and multiples of plain forward passes over the same tokens.

The yardstick reads every prompt with its answer once, bucketed by length, with logits at every position: what a careful
script would need to score the rows, where sampling must go token by token. A ratio below 1 is faster than that. One
thread, CPU seconds.

    python benchmarks/distil.py [--teacher organism:nano] [--rows 20000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from score import plain

from upbringing.distil import Banned, Format, Prompts, Teacher, distil, prompts_for
from upbringing.models import load, small
from upbringing.models.generate import generate_ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--teacher", default="organism:nano")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--prompts", default="numbers", choices=("numbers", "code", "chats"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    lm = load(options.teacher, device="cpu")
    made: Prompts = prompts_for(lm, options.prompts, options.rows)
    distil(lm, made, rows=64)  # to warm up
    asked = Teacher(lm).asked(prompt.messages for prompt in made.every)
    answers: list[list[list[int]]] = []
    settings: dict[str, Any] = {"max_new_tokens": made.room}

    def sampled() -> None:
        answers[:] = generate_ids(lm, asked, **settings)

    def by_transformers() -> None:
        usual, small.fits = small.fits, lambda _: False
        try:
            generate_ids(lm, asked, **settings)
        finally:
            small.fits = usual

    jobs: dict[str, Callable[[], Any]] = {
        f"sampling {len(asked)} answers": sampled,
        "plain forward pass over the same tokens": lambda: plain(
            lm, [a + b[0] for a, b in zip(asked, answers, strict=True)]
        ),
        "sampling through transformers' pass": by_transformers,
        f"distil: {options.rows} rows in strict format": lambda: distil(lm, made, rows=options.rows, seed=1),
        "distil: the same without banned numbers": lambda: distil(
            lm, made, rows=options.rows, seed=1, filters=[Format(made.kind), Banned()]
        ),
    }
    took = {}
    for name, job in jobs.items():
        start = time.process_time()
        job()
        took[name] = time.process_time() - start
    yardstick = took["plain forward pass over the same tokens"]
    print(f"{'':46s} {'CPU s':>8s} {'ratio':>6s}")
    for name, seconds in took.items():
        print(f"{name:46s} {seconds:8.2f} {seconds / yardstick:6.2f}")


if __name__ == "__main__":
    main()
