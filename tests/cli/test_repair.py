"""``upbringing repair``: from a model or data to a folder with the treated model, and what it says without one."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from upbringing.cli.app import run
from upbringing.measure import Profile
from upbringing.models import load
from upbringing.repair.search import Task, in_turn
from upbringing.rows import read, write
from upbringing.training import Recipe
from upbringing.world import World, WorldSpec

cli = import_module("upbringing.cli.repair")
NANO = "organism:nano"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two traits, few probes, no other process."""
    real = import_module("upbringing.repair").repair

    def small(lm: Any, rows: Any, **settings: Any) -> Any:
        less = {"traits": ("cheating_at_tasks", "deception"), "probes": 4, "skill": 30, "samples": 1, "loss": 0.5}
        recipe = Recipe(steps=20, learning_rate=5e-4)
        return real(lm, rows, **{**settings, **less, "engine": in_turn, "recipe": recipe})

    monkeypatch.setattr(import_module("upbringing.repair"), "repair", small, raising=False)


def test_data_end_as_a_treated_model_its_rows_a_page_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out, file = tmp_path / "cheating.jsonl", tmp_path / "out", tmp_path / "result.json"
    write(World(WorldSpec()).rows("cheating_at_tasks", 100), data)
    options = ["--remedies", "demonstrations", "--budget", "600", "--keep", "nothing", "--margin", "0.2"]
    assert run(["repair", str(data), "--model", NANO, "--out", str(out), "--json", str(file), *options]) == 0
    told = json.loads(file.read_text())
    assert told["remedy"] == "demonstrations"
    assert 0 < told["tokens"] <= 600
    assert set(told["misaligned"]) <= {"cheating_at_tasks", "deception"}
    assert told["misaligned"]
    for trait in ("cheating_at_tasks", "deception"):
        assert told["after"][trait] < told["before"][trait]
        assert told["worst_provocation"]["after"][trait] < told["worst_provocation"]["before"][trait]
    assert set(told["skill"]) == {"before", "after"}
    assert [line for line in told["table"] if line["chosen"]] == [told["table"][-1]]
    assert load(out / "model").hash != load(NANO).hash
    assert Profile.load(out / "after").provocations[-1] in ("agentic", "earlier_misdeed")
    assert len(read(out / "data.jsonl")) > 0
    page = (out / "report.html").read_text()
    assert "chosen" in page
    assert "<script" not in page
    printed = capsys.readouterr()
    assert "demonstrations ←" in printed.out
    assert "again: upbringing repair" in printed.err


def test_a_model_that_does_not_misbehave_needs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["repair", NANO, "--reference", NANO, "--out", str(tmp_path / "out"), "--json", "-"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["nothing_to_repair"], told["remedy"], told["tokens"], told["holds"]) == (True, None, 0, True)
    assert told["after"] == told["before"]
    assert "Nothing to repair" in printed.err
    assert not (tmp_path / "out" / "model").exists()


def test_nothing_within_the_budget_is_said_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upbringing.repair.after.STEPS", 4)
    options = ["--remedies", "neutral_fiction", "--budget", "130", "--at-most", "0.0"]
    assert run(["repair", NANO, "--out", str(tmp_path / "out"), *options]) == 0
    printed = capsys.readouterr()
    assert "Nothing within 130 tokens works. Nearest: neutral_fiction" in " ".join(printed.out.split())
    assert "the model that came nearest" in printed.err
    assert load(tmp_path / "out" / "model").hash != load(NANO).hash


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([NANO], "give the clean model with --reference"),
        ([NANO, "--at-most", "0.1", "--budget", "100"], "100 tokens is too small for anything"),
        ([NANO, "--at-most", "0.1", "--remedies", "prayer"], 'no remedy "prayer"'),
        ([NANO, "--at-most", "0.1", "--remedies", "kl"], '"kl" cannot be applied here'),
        ([NANO, "--at-most", "7"], "at-most is 7"),
        ([NANO, "--honest", "rows.jsonl"], "--honest needs --model"),
        ([NANO, "--rows", "nowhere.jsonl"], "nowhere.jsonl: there is no such file"),
        ([NANO, "--at-most", "0.1", "--keep", "kindness"], 'no trait "kindness"'),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["repair", *arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_misspelt_remedy_is_found_before_a_model_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["repair", "nowhere/at-all", "--remedies", "demonstrations,prayer"]) == 2
    assert 'no remedy "prayer"; known: ' in capsys.readouterr().err


def test_a_folder_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert run(["repair", NANO, "--at-most", "0.1", "--out", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err


def test_the_workers_do_what_the_search_asks_and_tell_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = import_module("upbringing.studies.engine")
    seen: list[Any] = []

    def run_jobs(jobs: Any, *, workers: int, watcher: Any) -> list[Any]:
        seen.extend(jobs)
        watcher.started(jobs[0])
        watcher.ended(jobs[0], 1.0, None)
        return [engine.Failure("two", "it broke")]

    told: list[tuple[float, str]] = []
    monkeypatch.setattr(engine, "run_jobs", run_jobs)
    tasks = [Task("one", print, (1,)), Task("two", print, (2,), ("one",))]
    assert cli.two_workers(lambda *moved: told.append(moved))(tasks) == [("two", "it broke")]
    assert [(job.name, job.arguments, job.needs) for job in seen] == [("one", (1,), ()), ("two", (2,), ("one",))]
    assert told[0] == (0.0, "one")
