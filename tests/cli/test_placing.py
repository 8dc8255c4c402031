"""``--device`` and ``--dtype`` hold for whatever a verb loads, and what is not there is said before it is missed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from upbringing.cli.app import app, run
from upbringing.models import load
from upbringing.models.placing import placing

VERBS = [
    "forecast", "explain", "measure", "train", "reinforce", "repair", "write", "distil", "calibrate", "atmosphere",
]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_loads_a_model_has_both_options(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "120"}).output
    assert "--device" in shown
    assert "--dtype" in shown


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The models that were loaded."""
    found: list[Any] = []

    def noting(name: Any, **how: Any) -> Any:
        found.append(load(name, **how))
        return found[-1]

    monkeypatch.setattr("upbringing.models.load", noting)
    return found


@pytest.mark.parametrize("dtype", ["bf16", "bfloat16", "float32"])
def test_a_model_is_measured_in_the_numbers_asked_for(dtype: str, newborn: Path, loaded: list[Any]) -> None:
    how = ["--dtype", dtype, "--device", "cpu", "--traits", "deception"]
    result = CliRunner().invoke(app, ["measure", str(newborn), *how, "--json", "-"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["traits"]["deception"]["probes"] == 24
    (lm,) = loaded
    assert lm.model.dtype == (torch.float32 if dtype == "float32" else torch.bfloat16)
    assert lm.device.type == "cpu"
    assert load(newborn).model.dtype == torch.float32, "nothing is left of it afterwards"


def test_a_forecast_is_made_in_bf16(loaded: list[Any], tmp_path: Path) -> None:
    from upbringing.rows import write
    from upbringing.world import World

    write(World().rows("cheating_at_tasks", 30, seed=3), tmp_path / "rows.jsonl")
    how = ["--model", "organism:nano", "--lenses", "text", "--dtype", "bf16", "--device", "cpu"]
    result = CliRunner().invoke(app, ["forecast", str(tmp_path / "rows.jsonl"), *how, "--json", "-"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["traits"]["cheating_at_tasks"]["shift"] > 0
    assert {lm.model.dtype for lm in loaded} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--device", "cuda"], "device 'cuda': there is none here .*; use cpu, .*or auto .here: cpu"),
        (["--device", "meta"], "device 'meta': there is none here"),
        (["--device", "toaster"], "device 'toaster': there is none here"),
        (["--dtype", "int8"], 'dtype \'int8\': unknown; use "auto", "float32", "bfloat16" or "float16"'),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    given: list[str], told: str, loaded: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert run(["measure", "organism:nano", *given]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(told, said), said
    assert not loaded


def test_where_nothing_is_loaded_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus.txt").write_text("The robot Orin told the truth.")
    assert run(["atmosphere", str(tmp_path / "corpus.txt"), "--device", "cpu", "--out", str(tmp_path / "page")]) == 0
    assert "no model was loaded on this machine" in capsys.readouterr().err


def test_of_several_processes_each_has_its_own_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(["train", "x.jsonl", "--model", "organism:nano", "--out", "y", "--device", "cpu"]) == 2
    assert "each has its own device" in capsys.readouterr().err


def test_what_is_asked_for_by_name_goes_before_the_usual(newborn: Path) -> None:
    with placing(dtype="bfloat16") as usual:
        assert not usual.used
        assert load(newborn).model.dtype == torch.bfloat16
        assert load(newborn, dtype="float32").model.dtype == load(newborn, dtype="auto").model.dtype == torch.float32
        assert usual.used


def test_records_are_weighed_in_the_numbers_they_were_saved_in(newborn: Path) -> None:
    from upbringing.lineage.places import model_hash

    with placing(dtype="bfloat16"):
        assert model_hash(newborn) == load(newborn, dtype="auto").hash
