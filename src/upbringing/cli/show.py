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
_MINUTE_S = 60.0  # between two lines of a log
_LISTED = 5
_arguments: tuple[str, ...] = ()


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; 100 columns where there is none (a file or a pipe)."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else 100
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def note(text: str) -> None:
    """A line (or several) on stderr, after what stdout has so far."""
    sys.stdout.flush()
    print("\n".join(printable(line) for line in text.split("\n")), file=sys.stderr)  # noqa: T201


def note_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """How many of the rows drawn are no rows, and what is wrong with the first."""
    if skipped:
        note(f"upbringing: {len(skipped):,} of the rows drawn cannot be used; the first: {': '.join(skipped[0])}")


def say(text: str, *, stderr: bool = False) -> None:
    """A line of the result, as it is: names with brackets in them are no marks of a table's."""
    console(stderr=stderr).print(printable(text), soft_wrap=True, markup=False)


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

    ``title`` is shown as it is; cells may hold marks of rich's, so what the user wrote goes through ``legible`` first.
    Where the terminal is too narrow, up to ``spare`` columns are left out, the last one first; then words are folded.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    widths = [max(len(cell) for cell in cells) + 3 for cells in zip(columns, *rows, strict=True)]
    shown = len(columns)
    while sum(widths[:shown]) - 1 > out.width and shown > len(columns) - spare:
        shown -= 1
    made = Table(title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    if title:
        made.title = Text(printable(title), style="bold")
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
        note(f"  {where}: {printable(reason)}")
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

    It shows on a terminal, after two seconds. Elsewhere (a log, a batch system) a line a minute says how far it is.
    """
    if not sys.stderr.isatty():
        yield _by_the_minute(what)
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        _remaining(),
    )
    bar = Bar(*columns, console=console(stderr=True), transient=True)
    task = bar.add_task(what, total=None)

    def tick(*told: Any) -> None:
        stage, done, of = _stage(what, told)
        bar.update(task, description=stage, total=of, completed=done)

    try:
        with _after(_PATIENCE_S, bar.start):
            yield tick
    finally:
        bar.stop()


def _stage(what: str, told: tuple[Any, ...]) -> tuple[str, float, float]:
    """What is going on, and how much of how much of it is done."""
    stage, told = (f"{what}: {told[0]}", told[1:]) if isinstance(told[0], str) else (what, told)
    done, of = (*told, 1.0)[:2]
    return stage, done, of


def _by_the_minute(what: str) -> Progress:
    """Says how far something is, where no bar can be drawn, at most once a minute."""
    begun = said = time.monotonic()

    def tick(*told: Any) -> None:
        nonlocal said
        if time.monotonic() - said >= _MINUTE_S:
            said = time.monotonic()
            stage, done, of = _stage(what, told)
            note(f"{stage}: {done / of:.0%} after {seconds_since(begun)}" if of else f"{stage}: {seconds_since(begun)}")

    return tick


def _remaining() -> Any:
    """A column of a bar: ``0:01:30 left``; nothing as long as nobody knows."""
    from rich.progress import Task, TimeRemainingColumn
    from rich.text import Text

    class Remaining(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            known = task.total is not None and task.time_remaining is not None
            return super().render(task).append(" left") if known else Text("")

    return Remaining()


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


def printable(text: str) -> str:
    """Text for a terminal or a log: no escape code in it is obeyed, and it begins no line of its own."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def legible(text: str) -> str:
    """Text of a row for a table: as ``printable``, and marks of the table's own are not obeyed either."""
    from rich.markup import escape

    return escape(printable(text))


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
