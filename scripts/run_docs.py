"""Run every block of code in the documentation, as a reader would who copies them one after the other.

python scripts/run_docs.py [PAGE ...]            # default: README.md, CONTRIBUTING.md and docs/*.md
python scripts/run_docs.py --list                # what would be run, and what is not, with the reason

Blocks of a page run in order in one empty folder that holds `examples` and `studies`; `python` blocks share their
names, `sh` blocks are given to a shell that stops at the first error. A block that cannot run everywhere stands below a
comment that says why: `<!-- not run: needs a GPU -->`. One that must fail says so: `<!-- exit status 1 -->`. Blocks of
other languages (`text`, `yaml`, `json`) are shown and not run.

Pages share a store (`--home`), so that what several of them ask for is done once; `upbringing` and `python` blocks run
in forks of one process that has imported what all need (`warm.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # run as a file, not as a module
    sys.path.insert(0, str(ROOT))

from scripts.warm import Warm  # noqa: E402

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*$")
_STATUS = re.compile(r"<!-- exit status (\d+) -->\s*$")
_RUN = ("python", "sh")
_SLOWEST = 600  # seconds that a block may take
_LONG = {"up.repair": 20, "upbringing repair": 20, "upbringing study": 10, "--check": 5, "upbringing": 1}
"""What makes a page take long, and how long in comparison: the longest are begun first."""


@dataclass(frozen=True)
class Block:
    """A block of code: where it stands, and why it is not run ("": it is)."""

    page: Path
    line: int
    language: str
    code: str
    not_run: str = ""
    status: int = 0

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that could be run."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        if match["language"] not in _RUN:
            continue
        before = text[: match.start()].rstrip(" ")
        left_out, status = _NOT_RUN.search(before), _STATUS.search(before)
        code = "".join(line.removeprefix(match["indent"]) for line in match["code"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start()) + 1
        reason, code_of = left_out[1] if left_out else "", int(status[1]) if status else 0
        found.append(Block(page, line, match["language"], code, reason, code_of))
    return found


def pages(names: Sequence[str]) -> list[Path]:
    """The pages asked for, or all."""
    if names:
        return [Path(name).resolve() for name in names]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def script(of: Sequence[Block]) -> str:
    """One Python program that does the blocks in order: names live on, and the shell is asked in between."""
    parts = ["import subprocess as _subprocess, sys as _sys, time as _time"]
    for block in of:
        parts.append(f"_sys.stderr.write({block.where + chr(10)!r}); _sys.stderr.flush()")
        if block.language == "python":
            parts.append(f"exec(compile({block.code!r}, {block.where!r}, 'exec'), globals())")
        else:
            parts.append(
                f"_done = _subprocess.run(['sh', '-eu', '-c', {block.code!r}], timeout={_SLOWEST}).returncode\n"
                f"if _done != {block.status}: raise SystemExit('{block.where}: exit status %d' % _done)"
            )
    return "\n".join(parts)


def length(of: Sequence[Block]) -> int:
    """How long blocks should take, in comparison."""
    return sum(block.code.count(word) * weight for block in of for word, weight in _LONG.items())


def environment(home: Path) -> dict[str, str]:
    """What blocks find around them, but for the program `upbringing`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    source = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    threads = {name: os.environ.get(name, "1") for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    settings = {**threads, "PATH": path, "PYTHONPATH": source, "UPBRINGING_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **settings}


def run(wanted: Sequence[Block], home: Path, warm: Warm) -> tuple[bool, float, str]:
    """Whether a page's blocks all ran, in how many seconds, and what was said."""
    begun = time.monotonic()
    env = environment(home)
    env["PATH"] = os.pathsep.join([str(warm.programs), env["PATH"]])
    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        place = Path(folder)
        for name in ("examples", "studies"):
            (place / name).symlink_to(ROOT / name)
        ran = warm.run(["-c", script(wanted)], cwd=place, env=env)
    return ran.returncode == 0, time.monotonic() - begun, ran.stdout[-2000:] + ran.stderr[-4000:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", metavar="PAGE")
    parser.add_argument("--list", action="store_true", help="run nothing")
    parser.add_argument("--workers", type=int, default=2, help="pages at once (default: 2)")
    parser.add_argument("--home", type=Path, help="what pages share (default: a new folder, removed afterwards)")
    options = parser.parse_args()
    to_run: dict[Path, list[Block]] = {}
    for page in pages(options.pages):
        every = blocks(page)
        to_run[page] = [block for block in every if not block.not_run]
        for block in every:
            if block.not_run:
                print(f"{block.where}: not run: {block.not_run}")
        if options.list:
            print(f"{page.relative_to(ROOT)}: {len(to_run[page])} blocks to run")
    if options.list:
        return 0
    failed = 0
    longest = sorted(filter(None, to_run.values()), key=length, reverse=True)
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="docs-home-")))
        home = options.home.resolve() if options.home else place / "home"
        warm = stack.enter_context(Warm.started(place, environment(home)))
        pool = stack.enter_context(ThreadPoolExecutor(options.workers))
        for wanted, (well, seconds, said) in zip(
            longest, pool.map(lambda wanted: run(wanted, home, warm), longest), strict=True
        ):
            print(f"{wanted[0].page.relative_to(ROOT)}: {len(wanted)} blocks, {seconds:.0f} s", flush=True)
            if not well:
                failed += 1
                print(said, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
