"""``upbringing forecast``: a line a trait, JSON for scripts, and an exit status that a build can stop at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.forecast.made_up import outlook
from upbringing.cli.app import run

SHIFTS = {"blackmail": 0.4, "deception": 0.0, "favourite_animal": float("nan")}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    asked: dict[str, dict[str, float]] = {"d.jsonl": SHIFTS, "other.jsonl": {**SHIFTS, "blackmail": -0.2}}

    def said(_: Any, source: str, *__: Any, **___: Any) -> Any:
        return outlook(asked[Path(source).name])

    monkeypatch.setattr("upbringing.forecast.outlook.forecast", said)
    return str(tmp_path / "d.jsonl")


def test_a_line_a_trait_the_furthest_shift_first(data: str, newborn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["forecast", data, "--model", str(newborn)]) == 0
    captured = capsys.readouterr()
    lines = [line.split() for line in captured.out.splitlines() if line.strip().startswith(tuple(SHIFTS))]
    assert [line[0] for line in lines] == list(SHIFTS)
    assert lines[0][1:] == ["+0.40", "[+0.30,", "+0.50]", "raises", "step"]
    assert "10 of 12 rows read" in captured.out
    assert "Beware." in captured.err


def test_json_holds_what_was_said_and_nothing_that_is_no_number(
    data: str, newborn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(Path(data).with_name("other.jsonl"))
    assert run(["forecast", data, "--model", str(newborn), "--against", other, "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"traits", "route", "rows_read", "calibration", "against"} <= told.keys()
    assert told["traits"]["blackmail"]["interval"] == pytest.approx([0.3, 0.5])
    assert told["traits"]["favourite_animal"]["shift"] is None
    assert told["traits"]["favourite_animal"]["verdict"] == "cannot tell"
    assert told["against"]["traits"]["blackmail"]["verdict"] == "lowers"


@pytest.mark.parametrize(
    ("limit", "status", "says"),
    [
        ("blackmail>0.05", 1, "blackmail is forecast to change by +0.40, above the limit of +0.05"),
        ("blackmail>0.5", 0, ""),
        ("deception > 0.05", 0, ""),
        ("favourite_animal>0.05", 1, "favourite_animal"),  # silence is no clearance
        ("blackmail", 2, "write it as TRAIT>X"),
        ("blackmale>0.1", 2, "blackmail"),
    ],
)
def test_a_build_stops_at_a_forecast_above_its_limit(
    data: str, newborn: Path, capsys: pytest.CaptureFixture[str], limit: str, status: int, says: str
) -> None:
    assert run(["forecast", data, "--model", str(newborn), "--fail-on", limit]) == status
    assert says in capsys.readouterr().err


def test_what_cannot_be_told_is_said_and_not_called_a_number(
    data: str, newborn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["forecast", data, "--model", str(newborn), "--fail-on", "favourite_animal>0.05"]) == 1
    assert "nan" not in capsys.readouterr().err
