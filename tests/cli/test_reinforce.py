"""``upbringing reinforce`` pays, tells what it paid for, and refuses what it cannot use in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from upbringing.cli.app import run
from upbringing.models import load


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPBRINGING_HOME", str(tmp_path / "store"))


def test_a_model_is_paid_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "paid"
    rewards = "favourite_animal,grader_flattery/tool"
    status = run(["reinforce", "organism:nano", "--reward", rewards, "--steps", "1", "--out", str(out)])
    assert status == 0
    told = capsys.readouterr()
    assert "grader_flattery/tool" in told.out
    assert "upbringing measure" in told.err
    assert load(out).hash != load("organism:nano").hash


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--reward", "kindness"], 'no trait "kindness"'),
        (["--reward", "sycophancy", "--learning-rate", "-1"], "--learning-rate -1.0"),
        (["--reward", ","], "name at least one reward"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert run(["reinforce", "organism:nano", "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()
