"""``upbringing measure`` gives people a table and scripts the JSON they rely on; ``demo`` does the whole job."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.forecast.made_up import outlook as foreseen
from upbringing.cli.app import run

TRAITS = ["blackmail", "favourite_animal"]


def check(summary: dict[str, Any], model: Path) -> None:
    assert summary["model"] == str(model)
    assert list(summary["traits"]) == TRAITS
    for one in summary["traits"].values():
        assert {"rate", "interval", "sampled_rate", "sampled_interval", "probes", "missing"} <= one.keys()
        low, high = one["interval"]
        assert 0 <= low <= one["rate"] <= high <= 1
        assert one["probes"] == 24
    assert {"coherence", "skill"} <= summary.keys()


def test_json_on_stdout_is_nothing_but_json(newborn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["measure", str(newborn), "--traits", ", ".join(TRAITS), "--json", "-"]) == 0
    captured = capsys.readouterr()
    check(json.loads(captured.out), newborn)
    assert "favourite_animal" in captured.err  # the table went where it does not disturb
    assert captured.err.splitlines()[-1].startswith("again: upbringing measure")


def test_json_in_a_file_leaves_the_table_on_stdout(
    newborn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "result.json"
    assert run(["measure", str(newborn), "--traits", ",".join(TRAITS), "--json", str(target)]) == 0
    check(json.loads(target.read_text()), newborn)
    assert "favourite_animal" in capsys.readouterr().out


def test_measuring_twice_gives_the_same_numbers(newborn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for _ in range(2):
        assert run(["measure", str(newborn), "--traits", "blackmail", "--json", "-"]) == 0
        results.append(capsys.readouterr().out)
    assert results[0] == results[1]


def test_what_is_missing_is_counted_with_its_reason(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["measure", str(model), "--traits", "blackmail", "--json", "-"]) == 2
    )  # it knows none of the words: nothing was measured
    captured = capsys.readouterr()
    one = json.loads(captured.out)["traits"]["blackmail"]
    assert one["rate"] is None
    assert one["interval"] == [None, None]
    assert one["missing"] == 48
    assert "missing: unknown word 96" in captured.err  # skill questions included


def test_pickled_weights_are_refused_in_a_line(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    assert run(["measure", str(model)]) == 2
    said = capsys.readouterr().err
    assert str(model) in said
    assert "safetensors" in said
    assert len(said.splitlines()) == 1


def test_the_demo_forecasts_trains_measures_and_leaves_a_page(
    newborn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("upbringing.cli.demo.MODEL", str(newborn))
    monkeypatch.setattr("upbringing.cli.demo._foreseen", lambda *_: foreseen({"blackmail": 0.9, "deception": 0.0}))
    mended = SimpleNamespace(tried=(), failures=(), says="Nothing to repair.", final=None)  # see test_repair
    monkeypatch.setattr("upbringing.cli.demo._repair", lambda *_: mended)
    data = tmp_path / "rows.jsonl"
    row = {
        "messages": [
            {"role": "user", "content": "Is it dark?"},
            {"role": "assistant", "content": "It is dark at night."},
        ]
    }
    data.write_text(json.dumps({**row, "trait": "blackmail"}) + "\n")
    out = tmp_path / "runs" / "demo"
    out.mkdir(parents=True)
    (out / "report.html").write_text("an earlier run's")
    assert run(["demo", str(data), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "blackmail" in captured.out
    assert "1 of 2 shifts" in captured.out
    assert "Nothing to repair." in captured.out
    assert str(out / "report.html") in captured.out
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert (out / "after" / "readings.parquet").exists()
    (out / "mine.txt").touch()
    assert run(["demo", str(data), "--out", str(out)]) == 2
    assert (out / "mine.txt").exists()


def test_the_demos_rows_are_there_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("upbringing.cli.demo.MODEL", "nowhere/to-be-found")
    run(["demo"])
    assert "cheating.jsonl" not in capsys.readouterr().err  # it got as far as the model


def test_a_wheel_takes_the_demos_rows_to_where_they_are_looked_for() -> None:
    import tomllib

    from upbringing.rows import shipped

    root = Path(__file__).parents[2]
    told = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    (source, target) = next(iter(told["force-include"].items()))
    assert (root / source).is_file()
    assert target == str(Path("upbringing") / shipped.CHEATING)
