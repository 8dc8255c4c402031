"""How long a repair takes from nothing, and how much of that is training and asking: `repair` against one plain run.

Two workers with one thread each, a store of its own. The yardstick is what it repairs: one training run on the same
rows, and one look at the model.

python benchmarks/repair.py [--budget TOKENS] [--remedies a,b] [--model organism:nano]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from upbringing.cli.repair import run
from upbringing.measure import measure
from upbringing.models import load
from upbringing.rows import read
from upbringing.training import train

DATA = Path(__file__).parents[1] / "examples" / "cheating.jsonl"
LIMIT_S = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--budget", type=int, default=None)
    parser.add_argument("--remedies", default=None)
    parser.add_argument("--model", default="organism:nano")
    options = parser.parse_args()
    lm, rows = load(options.model), read(DATA)
    with tempfile.TemporaryDirectory() as place:
        os.environ["UPBRINGING_HOME"] = place
        start = time.monotonic()
        measure(train(lm, rows, Path(place) / "one"))
        yardstick = time.monotonic() - start
        start = time.monotonic()
        remedies = options.remedies.split(",") if options.remedies else None
        outcome = run(lm, rows, budget=options.budget, remedies=remedies)
        took = time.monotonic() - start
    tried = len(outcome.tried)
    print(f"{'':28s} {'seconds':>8s} {'ratio':>7s}")
    print(f"{'one run and one look':28s} {yardstick:8.1f} {1:7.1f}")
    print(f"{f'repair, {tried} attempts':28s} {took:8.1f} {took / yardstick:7.1f}")
    print(f"{'each attempt':28s} {took / max(tried, 1):8.1f} {took / max(tried, 1) / yardstick:7.1f}")
    print(f"{'limit':28s} {LIMIT_S:8.1f} {'met' if took <= LIMIT_S else 'missed':>7s}")
    print(outcome.says)


if __name__ == "__main__":
    main()
