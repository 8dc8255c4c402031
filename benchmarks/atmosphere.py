"""How fast a corpus is read for how it portrays AI, in multiples of reading its lines and parsing their JSON.

Two corpora are written: one like the web, in which one document in ten is about AI, and one that is about nothing else.
CPU seconds of one thread; the peak of memory is that of the whole process that reads.

    python benchmarks/atmosphere.py [--megabytes 200]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from upbringing.atmosphere.fit import labelled


def write(file: Path, megabytes: int, share: float) -> None:
    """A corpus of documents of some twenty passages, of which a share is about AI."""
    rng = random.Random(0)
    passages = labelled()
    ai = [p.text for p in passages if p.about == "ai"]
    rest = [p.text for p in passages if p.about in ("people", "nothing")]
    written = 0
    with file.open("w", encoding="utf-8") as out:
        while written < megabytes * 2**20:
            about = rng.random() < share
            texts = [rng.choice(ai if about and rng.random() < 0.5 else rest) for _ in range(20)]
            written += out.write(json.dumps({"text": " ".join(texts), "source": f"site {rng.randint(1, 50)}"}) + "\n")


def lines_only(file: Path) -> None:
    """The floor: every line read and parsed."""
    with file.open("rb") as lines:
        for line in lines:
            json.loads(line)


def survey(file: Path) -> None:
    """What the verb does."""
    from upbringing.atmosphere import atmosphere

    atmosphere(file)


def timed(job: str, file: Path) -> tuple[float, float]:
    """CPU seconds of a job and the peak of its memory in MiB, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--job", job, "--file", str(file)], check=True, capture_output=True, text=True
    )
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--job", choices=["lines", "survey"])
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.job:
        start = time.process_time()
        {"lines": lines_only, "survey": survey}[options.job](options.file)
        taken = time.process_time() - start
        print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    print(f"{'':44s} {'CPU s':>8s} {'ratio':>6s} {'MiB/s':>7s} {'peak MiB':>9s}")
    with tempfile.TemporaryDirectory() as folder:
        for share in (0.1, 1.0):
            file = Path(folder) / "corpus.jsonl"
            for size in (options.megabytes // 10, options.megabytes):
                write(file, size, share)
                floor, low = timed("lines", file)
                taken, peak = timed("survey", file)
                what = f"{size} MiB, {share:.0%} about AI"
                print(f"{what + ': lines and JSON':44s} {floor:8.2f} {1:6.1f} {size / floor:7.1f} {low:9.0f}")
                print(f"{what + ': atmosphere':44s} {taken:8.2f} {taken / floor:6.1f} {size / taken:7.1f} {peak:9.0f}")


if __name__ == "__main__":
    main()
