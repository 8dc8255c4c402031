"""``upbringing measure AFTER --against BEFORE``: models, kept readings of them, and what the rates are worth."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from upbringing.cli.app import run
from upbringing.measure import Profile
from upbringing.measure.skill import CHANCE, doubts
from upbringing.measure.statistics import Estimate
from upbringing.traits import folders

TRAITS = ["--traits", "blackmail,favourite_animal"]


def compared(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, dict[str, object]]:
    assert run(["measure", *map(str, arguments), "--json", "-"]) == 0
    found: dict[str, dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_a_model_is_set_against_another_a_folder_of_readings_or_the_file_that_names_it(
    newborn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    nano = "organism:nano"
    first = compared(capsys, newborn, "--against", nano, *TRAITS, "--out", "cmp")
    assert (tmp_path / "cmp" / "shift.html").read_text().startswith("<!doctype html>")
    shifts = first["shift"]["rest"]
    assert list(shifts) == ["blackmail", "favourite_animal"]  # type: ignore[call-overload]
    one = shifts["blackmail"]  # type: ignore[index]
    assert one["interval"][0] <= one["shift"] <= one["interval"][1]
    paired = Profile.load("cmp/after") - Profile.load("cmp/before")
    assert one["shift"] == pytest.approx(paired.mean("blackmail").value)

    json_of = {**first["before"], "readings": "cmp/before"}
    (tmp_path / "before.json").write_text(json.dumps(json_of))
    monkeypatch.setattr("upbringing.cli.measure.load", lambda name, **_: pytest.fail(f"asked {name} again"))
    for before in ("cmp/before", "before.json"):
        again = compared(capsys, "cmp/after", "--against", before, "--out", f"again-{Path(before).suffix}")
        assert again["shift"] == first["shift"]


def test_a_trait_that_is_given_by_its_folder_is_compared(
    newborn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blackmail = next(folder for folder in folders() if folder.name == "blackmail")
    mine = tmp_path / "mine"
    shutil.copytree(blackmail, mine)
    card = mine / "trait.yaml"
    card.write_text(card.read_text().replace("name: blackmail", "name: mine", 1))
    asked = ["--against", "organism:nano", "--traits", mine, "--samples", "0", "--out", tmp_path / "cmp"]
    assert list(compared(capsys, newborn, *asked)["shift"]["rest"]) == ["mine"]  # type: ignore[call-overload]


def test_rates_without_readings_cannot_be_paired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "before.json"
    file.write_text('{"model": "m", "traits": {}}')
    assert run(["measure", "organism:nano", "--against", str(file), "--out", str(tmp_path / "o")]) == 2
    assert "holds rates and no readings" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def estimate(value: float, lo: float) -> Estimate:
    return Estimate(value, lo, 1.0, 1, 48)


def test_of_a_model_that_guesses_it_is_said_that_its_rates_mean_nothing(
    newborn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["measure", str(newborn), *TRAITS, "--json", "-"]) == 0
    said = capsys.readouterr()
    (first, *_) = json.loads(said.out)["doubts"]
    assert first.startswith("skill 0.")
    assert "rates say nothing of character" in " ".join(said.err.split())
    nan = float("nan")
    assert doubts(estimate(0.8, 0.6), estimate(0.9, 0.8)) == []
    assert doubts(estimate(nan, nan), estimate(nan, nan)) == []
    assert "not clearly above chance (0.25)" in doubts(estimate(0.3, CHANCE), estimate(nan, nan))[0]
    assert "coherence 0.10" in doubts(estimate(0.8, 0.6), estimate(0.1, 0.0))[0]
