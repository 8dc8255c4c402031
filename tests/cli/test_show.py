"""What is printed is what was meant: names with brackets, rows with escape codes, and how far a long run is."""

from __future__ import annotations

import io
import itertools

import pytest
from rich.console import Console
from rich.progress import Progress

from upbringing.cli import show

ROW = "\x1b]0;mine\x07\n::error::injected"


def test_a_name_with_brackets_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("runs/tuned[draft]", "runs/m[/b]"):
        show.say(f"trained m: {name}")
        show.print_table(show.console(), ("trait", "rate"), [(show.legible(name), "0.1")], title=f"of {name}")
        printed = capsys.readouterr().out
        assert printed.count(name) == 3


def test_text_of_rows_is_never_obeyed_nor_begins_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show.note(f"skipped: {ROW.replace(chr(10), ' ')}")
    show.say(ROW)
    show.print_table(show.console(), ("row", "n"), [(show.legible(ROW), "1")], title=ROW)
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert not [line for line in out.splitlines() if line.startswith("::")]
    assert "injected" in out


def test_a_log_is_told_once_a_minute_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = itertools.count(0, 25)  # seconds between two looks at the clock
    monkeypatch.setattr(show.time, "monotonic", lambda: next(clock))
    with show.working("training m") as progress:
        for step in range(1, 9):
            progress("reading", step, 8)
    said = capsys.readouterr().err.splitlines()
    assert 1 < len(said) < 8
    assert said[0].startswith("training m: reading: ")
    assert "%" in said[0]


def test_what_is_left_is_said_only_when_it_is_known() -> None:
    out = Console(file=io.StringIO(), width=80, force_terminal=True)
    bar = Progress(show._remaining(), console=out, auto_refresh=False)
    task = bar.add_task("x", total=None)
    assert "left" not in show._remaining().render(bar.tasks[0])
    bar.update(task, total=10)
    bar.start_task(task)
    for done in (1, 2, 3):
        bar.update(task, completed=done)
    assert str(show._remaining().render(bar.tasks[0])).endswith(" left")
