"""How long a study takes from nothing, and with its organisms cached: two workers with one thread each, own stores.

python benchmarks/study.py studies/portrayal.yaml [--bases N] [--cached STORE]

``--cached``: take the organisms from this store, and leave out the run from nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_MIN, LIMIT_CACHED_MIN = 40, 12


def timed(study: Path, store: Path, out: Path, bases: int | None) -> float:
    """Minutes that one run took."""
    number = ["--bases", str(bases)] if bases else []
    command = [sys.executable, "-m", "upbringing", "study", str(study), "--out", str(out), *number]
    start = time.monotonic()
    done = subprocess.run(command, env={**os.environ, "UPBRINGING_HOME": str(store)}, stdout=subprocess.DEVNULL)
    if done.returncode not in (0, 1):  # 1: an organism missed its gate, and is left out
        sys.exit(done.returncode)
    return (time.monotonic() - start) / 60


def with_organisms_of(store: Path, place: Path) -> Path:
    """A store that holds another's organisms and nothing else."""
    (place / "organism").mkdir(parents=True)
    for one in (store / "organism").iterdir():
        (place / "organism" / one.name).symlink_to(one.absolute())
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("study", type=Path)
    parser.add_argument("--bases", type=int, default=None)
    parser.add_argument("--cached", type=Path, default=None, metavar="STORE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        room, lines = Path(place), []
        store = options.cached or room / "store"
        if options.cached is None:
            lines.append(("from nothing", timed(options.study, store, room / "first", options.bases), LIMIT_MIN))
        again = with_organisms_of(store, room / "again")
        lines.append(
            ("organisms cached", timed(options.study, again, room / "second", options.bases), LIMIT_CACHED_MIN)
        )
    print(f"{options.study.stem:20s} {'minutes':>8s} {'goal':>5s}")
    for name, minutes, limit in lines:
        print(f"{name:20s} {minutes:8.1f} {limit:5d} {'met' if minutes <= limit else 'missed'}")


if __name__ == "__main__":
    main()
