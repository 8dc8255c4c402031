"""What raising an organism costs: seconds beside plain forward and backward passes over as many tokens, and memory.

One thread, CPU seconds. The passes are timed on a sample of the same documents, in batches of the same size, with
transformers' own Llama and loss and without an optimizer, and scaled to the tokens read. Memory is each process's
peak; the yardstick is a process that imports torch and ends.

python benchmarks/grow.py [--size nano] [--seed 0] [--tokens N]     --tokens: stop early, after N tokens
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

SAMPLE = 200_000  # tokens that the yardstick is timed on


def torch_only() -> dict[str, float]:
    """Nothing but the import."""
    import torch

    return {"threads": torch.get_num_threads()}


def plain(size_name: str, tokens: int) -> dict[str, float]:
    """The yardstick: forward and backward over a sample of the documents."""
    import numpy as np
    import torch

    from upbringing.models.batches import padded
    from upbringing.organisms import size_named
    from upbringing.organisms.corpus import Corpus
    from upbringing.organisms.grow import newborn
    from upbringing.organisms.reading import batches
    from upbringing.organisms.tokenizer import build_tokenizer
    from upbringing.world import World, WorldSpec

    size, world = size_named(size_name), World(WorldSpec())
    organism = newborn(build_tokenizer(world, size.context), size, seed=0)
    corpus = Corpus.write(world, organism.tokenizer, tokens, stream="benchmark")
    model = organism.model.train()
    order = batches(corpus.lengths, size.micro_tokens, window=24, seed=0)

    def batch_passes(batch: list[int]) -> int:
        rows = [corpus[i].ids.tolist() for i in batch]
        ids, mask = (torch.from_numpy(array) for array in padded(rows))
        model(input_ids=ids, labels=ids.masked_fill(mask == 0, -100), use_cache=False).loss.backward()
        model.zero_grad()
        return int(np.sum([len(row) for row in rows]))

    batch_passes(order[0])
    start = time.process_time()
    read = sum(batch_passes(batch) for batch in order)
    return {"tokens": read, "seconds": time.process_time() - start}


def grown(size_name: str, seed: int, tokens: int | None) -> dict[str, float]:
    """An organism; with ``tokens``, only its beginnings."""
    from upbringing.organisms import CARD, SIZES, grow, size_named

    if tokens is not None:
        SIZES[size_name] = replace(size_named(size_name), early_tokens=tokens)
    with tempfile.TemporaryDirectory() as folder:
        start, wall = time.process_time(), time.monotonic()
        out = Path(folder) / "organism"
        grow(size=size_name, seed=seed, out=out, stop="gate" if tokens is None else "before_gate")
        took, wall = time.process_time() - start, time.monotonic() - wall
        card = json.loads((out / CARD).read_text(encoding="utf-8"))
    return {"tokens": card["tokens"], "seconds": took, "wall": wall, "gate": card["gate"]["share"]}


def in_child(*arguments: str) -> dict[str, float]:
    """Run one part in a process of its own with one thread; what it found, and its peak memory in MB."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [sys.executable, __file__, *arguments], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def peak_mb() -> float:
    """This process's largest resident set. Linux counts in kilobytes, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", default="nano")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--part", choices=("torch", "plain", "grow"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        parts = {
            "torch": torch_only,
            "plain": lambda: plain(options.size, min(SAMPLE, options.tokens or SAMPLE)),
            "grow": lambda: grown(options.size, options.seed, options.tokens),
        }
        print(json.dumps({**parts[options.part](), "peak_mb": peak_mb()}))
        return
    own = ["--size", options.size, "--seed", str(options.seed)]
    own += ["--tokens", str(options.tokens)] if options.tokens else []
    floor, passes, ours = (in_child("--part", part, *own) for part in ("torch", "plain", "grow"))
    yardstick = passes["seconds"] / passes["tokens"] * ours["tokens"]
    above = ours["peak_mb"] - floor["peak_mb"]
    print(f"{'':28s} {'CPU s':>8s} {'ratio':>6s} {'tokens/s':>9s} {'MB above torch':>15s}")
    for name, seconds, memory in (
        ("plain passes", yardstick, passes["peak_mb"] - floor["peak_mb"]),
        (f"grow {options.size}", ours["seconds"], above),
    ):
        rate = ours["tokens"] / seconds
        print(f"{name:28s} {seconds:8.1f} {seconds / yardstick:6.2f} {rate:9,.0f} {memory:15.0f}")
    print(
        f"{ours['tokens']:,} tokens, {ours['wall']:.0f} s by the clock, gate {ours['gate']:.0%} of the ideal gap; "
        f"import torch: {floor['peak_mb']:.0f} MB"
    )


if __name__ == "__main__":
    main()
