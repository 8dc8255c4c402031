"""``upbringing calibrate`` shows the time before it trains, keeps what it made where it says, and refuses in a line."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.forecast.test_calibrating import made_up, small  # noqa: F401 (fixtures)
from upbringing.cli.app import run
from upbringing.forecast.bench import library
from upbringing.forecast.bench.recipe import PLAIN_SETS, SETS
from upbringing.forecast.calibrating import chosen, kept
from upbringing.forecast.fits import load_fit
from upbringing.models import load

NANO = "organism:nano"


@pytest.fixture
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Nothing is trained, and every task should take a minute."""
    monkeypatch.setattr("upbringing.forecast.pace.paced", lambda *_: lambda task: 60.0)
    found: dict[str, Any] = request.getfixturevalue("made_up")
    return found


def test_the_time_comes_first_then_what_moved_and_where_it_is_kept(
    told: dict[str, Any], tmp_path: Path, private_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.json"
    assert run(["calibrate", NANO, "--out", str(out), "--json", "-", "--yes"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result["model"] == NANO
    assert {one["set"]: round(one["shift"], 2) for one in result["sets"]}["power/blackmail"] == 0.5
    assert {"r", "coverage", "error"} <= result["families_left_out"].keys()
    said = captured.err
    assert said.index("5 data sets of 5 families") < said.index("What training did to")
    assert "about 7 min on this machine" in said  # the base asked, five trainings, one lens
    assert max(map(len, said[said.index("What") :].splitlines()[:12])) <= 100
    assert f"next: upbringing forecast DATA --model {NANO}" in said
    lm = load(NANO)
    assert kept(lm, private_store) is not None
    assert load_fit(out.read_text()).traits == load_fit((_folder(private_store) / "fit.json").read_text()).traits

    assert run(["calibrate", NANO]) == 0  # all is made: no time to show
    assert "on this machine" not in capsys.readouterr().err


def test_somebody_who_can_answer_is_asked(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], private_store: Path
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked: list[str] = []

    def confirm(text: str, **_: Any) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr("typer.confirm", confirm)
    assert run(["calibrate", NANO]) == 1
    assert re.search(r"about 7 min on this machine; go on\?$", asked[0])
    assert told["done"] == []
    assert "nothing was trained" in capsys.readouterr().err
    assert run(["calibrate", NANO, "--yes"]) == 0
    assert len(asked) == 1


def test_nothing_is_trained_where_nobody_can_be_asked(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    assert run(["calibrate", NANO]) == 2
    assert re.search(r"about 7 min on this machine; nothing was trained.*--yes", capsys.readouterr().err)
    assert told["done"] == []


def test_the_help_says_how_many_data_sets_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", "--help"]) == 0
    said = " ".join(re.sub(r"[^\w:,]", " ", capsys.readouterr().out).split())
    world, plain = (len(chosen(None, library(file))) for file in (SETS, PLAIN_SETS))
    assert f"default: {world} for organisms, {plain} for models that read plain English" in said


def test_one_that_ships_is_named(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("upbringing.forecast.fits.calibrations", lambda: ["nano"])
    assert run(["calibrate", NANO, "--yes"]) == 0
    assert 'for organisms of size "nano" a calibration comes with the package' in capsys.readouterr().err


def test_a_model_that_nothing_moves_is_refused_and_nothing_written(
    told: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told["effect"] = 0.0
    out = tmp_path / "mine.json"
    assert run(["calibrate", NANO, "--out", str(out), "--yes"]) == 2
    assert "no calibration was written" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--sets", "2"], "2 data sets: from 4 to"),
        (["--sets", "tricks,power,words,tastes"], "tricks: methods are judged by it"),
        (["--sets", "cakes"], 'no family or data set "cakes"'),
        (["--sets", ","], "names no data set"),
        (["--out", "."], "give a file in a folder that is there"),
        (["--json", "nowhere/result.json"], "its folder does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["calibrate", "no-such-model", *arguments]) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert "Traceback" not in said


def _folder(store: Path) -> Path:
    (found,) = (store / "calibration").iterdir()
    return found
