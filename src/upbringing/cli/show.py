"""What the verbs share in showing: tables, progress, JSON, and the command that replays the run.

Results go to stdout, all else to stderr, so that ``--json -`` can be piped.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from upbringing.rows import Rows

Progress = Callable[..., None]
"""Told ``([stage,] done[, of, …])``: the share that is done, or how much of how much; what follows is not shown."""

_PATIENCE_S = 2.0  # what is over sooner needs no bar
_LISTED = 5
_arguments: tuple[str, ...] = ()


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; 100 columns where there is none (a file or a pipe)."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else 100
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def note(text: str) -> None:
    """A line on stderr, as it is, after what stdout has so far."""
    sys.stdout.flush()
    print(text, file=sys.stderr)  # noqa: T201


def print_table(
    out: Console,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    words: int = 1,
    spare: int = 0,
) -> None:
    """Print a table that fits: the first ``words`` columns are words, the others numbers, which are never cut.

    Where the terminal is too narrow, up to ``spare`` columns are left out, the last one first; then words are folded.
    """
    from rich import box
    from rich.table import Table

    widths = [max(len(cell) for cell in cells) + 3 for cells in zip(columns, *rows, strict=True)]
    shown = len(columns)
    while sum(widths[:shown]) - 1 > out.width and shown > len(columns) - spare:
        shown -= 1
    made = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, title_style="bold")
    for i, column in enumerate(columns[:shown]):
        if i < words:
            made.add_column(column, overflow="fold")
        else:
            made.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(*row[:shown])
    out.print(made)


def number(value: float | None, *, sign: bool = False) -> str:
    """``0.31``; a dash for what is missing."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:+.2f}" if sign else f"{value:.2f}"


def interval(bounds: Sequence[float | None] | None, *, sign: bool = False) -> str:
    """``[0.12, 0.50]``; empty where nothing is known."""
    if bounds is None or all(b is None or math.isnan(b) for b in bounds):
        return ""
    return f"[{number(bounds[0], sign=sign)}, {number(bounds[1], sign=sign)}]"


def check_json_target(target: str | None) -> None:
    """Complain about a place that cannot be written before the work, not after it."""
    if target is None or target == "-":
        return
    path = Path(target)
    if path.is_dir():
        raise InputError(f"--json {target}: that is a folder; give a file, or - for stdout")
    if not path.absolute().parent.is_dir():
        raise InputError(f"--json {target}: its folder does not exist; make it first")


def write_json(result: object, target: str | None) -> None:
    """The result for machines: to stdout for ``-``, else to a file, whole or not at all. Missing numbers are null."""
    if target is None:
        return
    text = json.dumps(_plain(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        from upbringing.lineage import write_whole

        write_whole(Path(target), text)


def skipped(rows: Rows) -> None:
    """Count and list what was left out in reading."""
    if not rows.skipped:
        return
    note(f"skipped {len(rows.skipped)} of {len(rows) + len(rows.skipped)} rows of {rows.name}:")
    for where, reason in rows.skipped[:_LISTED]:
        note(f"  {where}: {reason}")
    if len(rows.skipped) > _LISTED:
        note(f"  … and {len(rows.skipped) - _LISTED} more")


def remember(arguments: Sequence[str]) -> None:
    """Keep what the program was called with, for ``replay``."""
    global _arguments
    _arguments = tuple(arguments)


def command() -> str:
    """The command that runs the same again."""
    return shlex.join(["upbringing", *_arguments])


def replay() -> None:
    """Say how to run the same again."""
    note(f"again: {command()}")


@contextmanager
def working(what: str) -> Iterator[Progress]:
    """A bar (or a spinner, as long as no share is told) on stderr while the block runs; gone when it ends.

    It shows only on a terminal, and only after two seconds.
    """
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=console(stderr=True), transient=True)
    task = bar.add_task(what, total=None)

    def tick(*told: Any) -> None:
        stage, told = (f"{what}: {told[0]}", told[1:]) if isinstance(told[0], str) else (what, told)
        done, of = (*told, 1.0)[:2]
        bar.update(task, description=stage, total=of, completed=done)

    try:
        with _after(_PATIENCE_S, bar.start):
            yield tick
    finally:
        bar.stop()


@contextmanager
def _after(seconds: float, start: Callable[[], None]) -> Iterator[None]:
    """Call ``start`` if the block is still running after so many seconds."""
    import threading

    lock = threading.Lock()
    over = False

    def begin() -> None:
        with lock:
            if not over:
                start()

    timer = threading.Timer(seconds, begin)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            over = True


def legible(text: str) -> str:
    """Text of a row for a terminal: nothing in it is obeyed, neither escape codes nor marks of the table's own."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text))


def short(thing: str) -> str:
    """A name for a folder, made of what a thing was called."""
    return re.sub(r"[^\w.-]+", "-", Path(thing.rstrip("/")).name).strip("-.") or "run"


def seconds_since(start: float) -> str:
    """``12 s`` or ``3 min 20 s``."""
    took = round(time.monotonic() - start)
    return f"{took // 60} min {took % 60} s" if took >= 60 else f"{took} s"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a numpy scalar
        return _plain(value.item())
    return value
