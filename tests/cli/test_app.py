"""The command line keeps its promises whatever happens inside: exit status, one line, no traceback, instant help."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from upbringing.cli import show
from upbringing.cli.app import run
from upbringing.errors import InputError

VERBS = (
    "forecast",
    "measure",
    "train",
    "reinforce",
    "distil",
    "repair",
    "write",
    "study",
    "grow",
    "lineage",
    "atmosphere",
    "bench",
    "traits",
    "demo",
)
HEAVY = ("torch", "transformers", "pandas", "datasets", "numpy", "scipy", "matplotlib", "pyarrow", "yaml", "jinja2")

ASKED = [["--help"], *([verb, "--help"] for verb in VERBS)]


@pytest.fixture(scope="module")
def helped() -> list[list[Any]]:
    """What each verb's help says, its exit status, and what heavy it was the first to load, in one new process."""
    code = (
        "import contextlib, io, json, sys, upbringing.cli.app as app\n"
        "told, known = [], set()\n"
        f"for arguments in {ASKED!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as said:\n"
        "        status = app.run(arguments)\n"
        f"    heavy = [m for m in {HEAVY!r} if m in sys.modules and m not in known]\n"
        "    known.update(heavy)\n"
        "    told.append([said.getvalue(), status, heavy])\n"
        "print(json.dumps(told))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment())
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("place", range(len(ASKED)), ids=[arguments[0] for arguments in ASKED])
def test_help_loads_nothing_heavy(place: int, helped: list[list[Any]]) -> None:
    said, status, heavy = helped[place]
    assert "Usage: upbringing" in said
    assert (status, heavy) == (0, [])


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def test_the_options_that_scripts_rely_on_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    promised = {
        "measure": ["MODEL", "--traits", "--json"],
        "train": ["DATA", "--model", "--out", "--lora", "--inoculate", "--mix", "--seed", "--skip-invalid"],
        "write": [
            "fiction",
            "--about",
            "--not-like",
            "--tokens",
            "--kind",
            "--author",
            "--world",
            "--seed",
            "--out",
            "--json",
        ],
        "study": ["FILE", "--bases", "--plan", "--out", "--json"],
        "grow": ["--size", "--world", "--seed", "--out"],
        "traits": ["--check"],
    }
    for verb, options in promised.items():
        assert run([verb, "--help"]) == 0
        text = capsys.readouterr().out
        assert [o for o in options if o not in text] == [], verb


@pytest.fixture
def verb_that(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make ``upbringing traits`` raise something from deep within."""

    def install(error: BaseException) -> None:
        def load_trait(_: Path) -> None:
            raise error

        monkeypatch.setattr("upbringing.traits.check.load_trait", load_trait)

    return install


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyboardInterrupt(), 130, "stopped; nothing was written"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 1, "/x/y: no space is left on the disk"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), 1, "no space is left on the disk"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 1, "/x/y: Permission denied; check"),
    ],
)
def test_what_stops_a_verb_is_one_line(
    verb_that: Any, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    verb_that(error)
    assert run(["traits"]) == status
    shown = capsys.readouterr().err.strip()
    assert line in shown
    assert "\n" not in shown
    assert shown.startswith("upbringing: ")


def test_a_verb_that_was_stopped_says_what_is_kept_of_its_work() -> None:
    from upbringing.cli import app

    names = {str(command.callback.__name__) for command in app.app.registered_commands if command.callback}
    assert set(app._KEPT) < names
    assert "train" not in app._KEPT  # it writes its folder whole, when all is done
    assert "go on" in app._KEPT["repair"]


def test_an_error_of_ours_is_not_hidden(verb_that: Any) -> None:
    verb_that(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run(["traits"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["measure"],
        ["measure", "a", "--nothing"],
        ["train", "data.jsonl"],
        ["study", "no-such-study.yaml"],
        ["measure", "no-such-model-folder/x/y"],
        ["measure", "organism:nano", "--traits", "no_such_trait"],
        ["measure", "organism:nano", "--traits", ","],
        ["measure", "organism:nano", "--json", "/no/such/folder/x.json"],
        ["train", "no-such.jsonl", "--model", "organism:nano", "--out", "x"],
        ["train", "no-such.jsonl", "--model", "organism:nano", "--out", "x", "--mix", "a.jsonl"],
        ["train", "no-such.jsonl", "--model", "organism:nano", "--out", "x", "--mix", "a.jsonl:2"],
        ["grow", "--out", "x", "--world", "no-such-world.yaml"],
        ["demo", "no-such.jsonl"],
    ],
)
def test_bad_usage_and_bad_input_exit_with_2_and_write_nothing(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip()
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


def test_the_program_and_the_module_start_and_exit_alike() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "upbringing", "train", "no-such.jsonl", "--model", "m", "--out", "x"],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "upbringing: no-such.jsonl: there is no such file or folder; check the path\n"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_or_terminated_leaves_nothing_half_made(how: signal.Signals, tmp_path: Path) -> None:
    code = (
        "import time, upbringing.organisms as organisms\n"
        "from pathlib import Path\n"
        "from upbringing.cli import main\n"
        "from upbringing.lineage import new_folder\n"
        "def grow(*_, out, **__):\n"
        "    with new_folder(out) as folder:\n"
        "        (folder / 'half').touch()\n"
        "        print('begun', flush=True)\n"
        "        time.sleep(60)\n"
        "organisms.grow = grow\n"
        f"main(['grow', '--out', {str(tmp_path / 'out')!r}])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(how)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "upbringing: stopped; nothing was written\n"
    assert list(tmp_path.iterdir()) == []


# ---- showing


def test_json_has_null_for_what_is_missing_and_nothing_else_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    show.write_json({"rate": float("nan"), "interval": (0.1, float("inf")), "probes": 3}, "-")
    assert json.loads(capsys.readouterr().out) == {"rate": None, "interval": [0.1, None], "probes": 3}


def test_a_json_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    show.check_json_target(str(tmp_path / "new.json"))
    show.check_json_target("-")
    for bad in (tmp_path, tmp_path / "no" / "x.json"):
        with pytest.raises(InputError, match="--json"):
            show.check_json_target(str(bad))


def test_missing_numbers_are_dashes_never_noughts() -> None:
    assert show.number(None) == show.number(float("nan")) == "–"
    assert show.interval([float("nan"), None]) == ""
    assert show.interval([0.1, None]) == "[0.10, –]"
    assert show.number(0.25, sign=True) == "+0.25"


@pytest.mark.parametrize(("width", "columns"), [(52, 4), (66, 4), (67, 5), (200, 6)])
def test_a_table_fits_the_terminal_and_never_cuts_a_number(
    width: int, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    row = ("abuse_of_delegates", "0.12", "[0.01, 0.99]", "0.34", "[0.11, 0.22]", "other_name 0.50")
    show.print_table(show.console(), ("trait", "rate", "95%", "sampled", "95%", "worst"), [row], spare=2)
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= width
    assert [cell in out for cell in row] == [i < columns for i in range(6)]


def test_a_table_too_wide_for_anything_folds_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    show.print_table(show.console(), ("trait", "rate", "95%"), [("abuse_of_delegates", "0.12", "[0.01, 0.99]")])
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= 30
    assert "0.12" in out
    assert "[0.01, 0.99]" in out


def test_a_bar_tells_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with show.working("waiting") as progress:
        progress(0.5)
        progress(1, 2, 0.3)
    assert capsys.readouterr().err == ""
