"""What a training step costs beside a bare loop over the same batches, and the fixed cost of a run.

One thread, CPU seconds.

python benchmarks/train.py [--steps 80] [--batch-size 32] [--tokens 50]
"""

from __future__ import annotations

import argparse
import copy
import time

import numpy as np
import torch
from score import nano

from upbringing.models import LM
from upbringing.models.batches import padded
from upbringing.rows import Encoded
from upbringing.training import Recipe, fit
from upbringing.training.order import batch_order


def bare(lm: LM, rows: list[Encoded], recipe: Recipe) -> None:
    """The yardstick: forward with the model's own loss, backward, clip, AdamW."""
    optimizer = torch.optim.AdamW(lm.model.parameters(), lr=recipe.learning_rate, fused=True)
    lengths = [len(row.input_ids) for row in rows]
    order = batch_order(lengths, steps=recipe.steps, batch_size=recipe.batch_size, window=recipe.length_window, seed=0)
    for batch in order:
        ids, _ = padded([rows[i].input_ids for i in batch])
        mask, _ = padded([rows[i].loss_mask for i in batch])
        labels = torch.from_numpy(np.where(mask == 1, ids, -100))
        lm.model(input_ids=torch.from_numpy(ids), labels=labels, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(lm.model.parameters(), recipe.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    lengths = rng.integers(options.tokens - 8, options.tokens + 9, 600)
    rows = [Encoded(rng.integers(3, 1000, n).tolist(), [False] * (n - 15) + [True] * 15) for n in lengths]
    recipe = Recipe(steps=options.steps, batch_size=options.batch_size)
    base = nano()

    def seconds(kind: str, recipe: Recipe, rows: list[Encoded]) -> float:
        lm = LM(copy.deepcopy(base.model), base.tokenizer)
        start = time.process_time()
        if kind == "bare":
            bare(lm, rows, recipe)
        else:
            fit(lm.model, lm.tokenizer, rows, recipe)
        return time.process_time() - start

    one = Recipe(steps=1, batch_size=1)
    seconds("fit", one, rows[:1]), seconds("bare", one, rows[:1])
    fixed = min(seconds("fit", one, rows[:1]) for _ in range(3))
    yardstick = min(seconds("bare", recipe, rows) for _ in range(2))
    ours = min(seconds("fit", recipe, rows) for _ in range(2))
    print(f"{'':24s} {'CPU s':>8s} {'ratio':>6s} {'ms/step':>8s}")
    print(f"{'bare loop':24s} {yardstick:8.3f} {1.0:6.2f} {yardstick / recipe.steps * 1e3:8.2f}")
    print(f"{'fit':24s} {ours:8.3f} {ours / yardstick:6.2f} {ours / recipe.steps * 1e3:8.2f}")
    print(f"{'of which fixed':24s} {fixed:8.3f}")


if __name__ == "__main__":
    main()
