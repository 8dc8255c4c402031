"""``upbringing measure`` runs Inspect's tasks and reads its logs; without Inspect it names what to install."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import upbringing.hosted
from upbringing.cli.app import run
from upbringing.measure import Profile


def test_a_task_is_run_and_its_log_is_read_and_set_against_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        run(
            [
                "measure",
                "organism:nano",
                "--inspect",
                "upbringing/blackmail",
                "--samples",
                "2",
                "--out",
                "o",
                "--json",
                "-",
            ]
        )
        == 0
    )
    told = capsys.readouterr()
    first = json.loads(told.out)
    (log,) = (tmp_path / "o" / "inspect").glob("*.eval")
    assert first["log"] == str(log.relative_to(tmp_path))
    assert first["model"] == "upbringing/organism:nano"
    one = first["sampled"]["rest"]["traits"]["blackmail"]
    assert one["interval"][0] <= one["rate"] <= one["interval"][1]
    assert one["probes"] <= 24
    assert len(Profile.load("o").readings) == 48  # two answers to each of 24 probes
    assert "inspect view --log-dir o/inspect" in told.err
    assert not (tmp_path / "logs").exists()  # where Inspect would write by itself
    assert (tmp_path / "o" / "readings.parquet").is_file()

    assert run(["measure", str(log), "--against", str(log), "--json", "-"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["sampled"] == first["sampled"]
    assert second["shift"]["rest"]["blackmail"]["shift"] == 0
    assert run(["measure", "--log", str(log), "--traits", "deception"]) == 2
    assert 'has no trait "deception"; it has blackmail' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "MODEL is missing: give a folder"),
        (["m", "--log", "x.eval"], "leave out MODEL and --inspect"),
        (["--log", "x.eval", "--provoke"], "a log asks no model anything; leave out --provoke"),
        (["--log", "x.eval", "--samples", "2"], "leave out --samples"),
        (["m", "--inspect", "blackmail", "--samples", "0"], "--samples 0: a task of Inspect asks for answers"),
        (["m", "--against", "x.eval", "--provoke"], "--against compares two models as they are asked at rest"),
        (["--log", "x.eval"], "x.eval: there is no such file"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["measure", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_without_inspect_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "x.eval"
    log.write_bytes(b"")
    monkeypatch.setattr(upbringing.hosted, "find_spec", lambda _: None)
    for arguments in (["organism:nano", "--inspect", "blackmail", "--out", str(tmp_path / "o")], [str(log)]):
        assert run(["measure", *arguments]) == 2
        assert 'run: pip install "upbringing[hosted]"' in capsys.readouterr().err


def test_inspect_is_not_imported_until_it_is_needed() -> None:
    code = (
        "import sys, upbringing, upbringing.hosted, upbringing.cli.app, upbringing.cli.inspecting\n"
        "print([name for name in ('inspect_ai', 'torch', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
