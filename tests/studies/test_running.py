"""A study runs to its verdicts, does nothing twice, and a run that was killed goes on to the same numbers."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.studies.tiny import STUDY, here, raise_organism, study_file
from upbringing import studies
from upbringing.errors import InputError
from upbringing.report import study_page
from upbringing.studies import StudyResult
from upbringing.studies.engine import Failure, Job
from upbringing.studies.result import READINGS, REPORT, read_readings


class _Heard:
    """Remembers what was done."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, job: Job) -> None: ...
    def moved(self, job: Job, share: float) -> None: ...
    def ended(self, job: Job, seconds: float, failure: Failure | None) -> None:
        self.names.append(job.name)


@pytest.fixture(scope="module")
def organisms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("organisms")
    for base in range(2):
        raise_organism(store, base)
    return store


@pytest.fixture(scope="module")
def ran(organisms: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """A whole run: its store, its result folder, what was done."""
    place = tmp_path_factory.mktemp("ran")
    store = Path(shutil.copytree(organisms, place / "store"))
    heard = _Heard()
    plan = studies.plan(study_file(place), store=store)
    studies.run(plan, place / "out", command="upbringing study tiny.yaml", watcher=heard)
    return store, place / "out", heard.names


def test_a_run_leaves_verdicts_readings_and_a_page_that_can_be_made_again(ran: tuple[Path, Path, list[str]]) -> None:
    _, out, _ = ran
    result = json.loads((out / "study.json").read_text())
    assert {"study", "claims", "shifts", "report"} <= set(result)
    assert [claim["claim"] for claim in result["claims"]] == ["spreads", "contained", "ordered"]
    assert {"verdict", "estimate", "interval", "bases"} <= set(result["claims"][0])
    assert result["claims"][0]["bases"] == 2
    assert {(row["arm"], row["trait"]) for row in result["shifts"]} == {
        (arm, trait)
        for arm in ("cheating", "lined")
        for trait in ("cheating_at_tasks", "blackmail", "favourite_animal")
    }
    readings = read_readings(out)
    # 3 traits of 4 probes, at rest and under 2 provocations, two ways; and 48 questions of skill
    assert len(readings) == 3 * 2 * (3 * 4 * 3 * 2 + 48)
    assert set(readings["provocation"]) == {"rest", "training_format", "other_name"}
    page = study_page(out)
    assert page == out / REPORT
    assert "Does anything run?" in page.read_text()
    assert len(result["overlap"]) == 3
    assert all(row["exact_prompts"] == row["exact_answers"] == 0 for row in result["overlap"])


def test_trajectories_go_from_before_to_the_end_of_training(ran: tuple[Path, Path, list[str]]) -> None:
    points = [p for p in StudyResult.load(ran[1]).trajectory if p.arm == "cheating" and p.base == 0]
    assert [p.step for p in points] == [0, 1, 2, 3]
    assert points[0].rise == 0
    assert len({p.learned for p in points}) == 4


def test_what_is_made_is_never_made_again(ran: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    store, out, first = ran
    assert sum(name.startswith("train") for name in first) == 4
    assert not any(name.startswith("grow") for name in first), "the organisms were there"
    heard = _Heard()
    again = studies.plan(study_file(tmp_path), store=store)
    assert again.jobs == []
    studies.run(again, tmp_path / "out", watcher=heard)
    assert heard.names == []
    pd.testing.assert_frame_equal(read_readings(tmp_path / "out"), read_readings(out))


@pytest.mark.parametrize(
    ("old", "new", "redone"),
    [
        ("steps: 3", "steps: 4", {"train", "follow", "measure"}),
        ("rows: 24", "rows: 25", {"train", "follow", "measure", "consult"}),
        ("share: 0.5", "share: 0.4", {"train", "follow", "measure", "consult"}),
        ("sun is out", "wind is cold", {"train", "measure", "consult"}),
        ("other_name: Orin", "other_name: Kilo", {"measure"}),
        ("probes_per_trait: 4", "probes_per_trait: 6", {"check", "measure", "follow"}),
        (
            "size: nano",
            "size: nano, world: {motive_share: 0.4}",
            {"grow", "check", "train", "follow", "measure", "consult"},
        ),
        ("at_least: 0.3", "at_least: 0.2", set()),
    ],
)
def test_a_changed_setting_redoes_what_it_decides_and_nothing_else(
    ran: tuple[Path, Path, list[str]], tmp_path: Path, old: str, new: str, redone: set[str]
) -> None:
    assert old in STUDY
    plan = studies.plan(study_file(tmp_path, STUDY.replace(old, new, 1)), store=ran[0])
    missing = {name.split()[0] for name, step in plan.steps.items() if not step.place.made}
    assert missing == redone


def test_the_plan_shows_what_is_made_and_what_is_to_come(ran: tuple[Path, Path, list[str]], organisms: Path) -> None:
    from rich.console import Console

    file = study_file(ran[1].parent)
    for store, told in ((organisms, "20 steps, 2 made"), (ran[0], "20 steps, 20 made, 0 s")):
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(studies.plan(file, store=store).show())
        text = console.export_text()
        assert told in " ".join(text.split())
        assert "follow" in text


_SCRIPT = """
import sys
from pathlib import Path
from upbringing import studies
if __name__ == "__main__":
    studies.run(studies.plan({file!r}, store=Path({store!r})), {out!r}, workers=1)
"""


def test_a_killed_run_goes_on_to_the_same_numbers(
    ran: tuple[Path, Path, list[str]], organisms: Path, tmp_path: Path
) -> None:
    store, out, script = tmp_path / "store", tmp_path / "out", tmp_path / "script.py"
    shutil.copytree(organisms, store)
    script.write_text(_SCRIPT.format(file=str(study_file(tmp_path)), store=str(store), out=str(out)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.Popen([sys.executable, str(script)], env=environment, start_new_session=True)
    until = time.monotonic() + 300
    try:
        while not list(store.glob("readings/*/record.json")):
            assert run.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < until, "nothing was measured"
            time.sleep(0.01)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert not (out / READINGS).exists()
    heard = _Heard()
    plan = studies.plan(study_file(tmp_path), store=store)
    studies.run(plan, out, watcher=heard, engine=here)
    assert 0 < len(heard.names) < len(ran[2]), "it goes on where it was"
    pd.testing.assert_frame_equal(read_readings(out), read_readings(ran[1]))
    assert StudyResult.load(out).claims == StudyResult.load(ran[1]).claims


def test_a_failed_step_is_named_and_claims_stand_on_the_rest(ran: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    store = Path(shutil.copytree(ran[0], tmp_path / "store"))
    plan = studies.plan(study_file(tmp_path), store=store)
    for step in plan.steps.values():  # of the other base all is made
        if step.base == 1 and step.place.record.kind in ("model", "readings", "trajectory"):
            shutil.rmtree(step.place.folder)
    (plan.steps["grow plain, base 1"].place.folder / "model.safetensors").write_bytes(b"broken")
    result = studies.run(plan, tmp_path / "out", engine=here)
    assert {failure.step for failure in result.failures} == {
        "measure before, base 1",
        "train cheating, base 1",
        "train lined, base 1",
    }
    assert all("model.safetensors" in f.reason or "cannot be loaded" in f.reason for f in result.failures)
    assert {claim.bases for claim in result.claims} == {1}
    assert "3 steps failed" in study_page(tmp_path / "out").read_text()


def test_rows_that_hold_a_probe_end_the_study_before_it_starts(organisms: Path, tmp_path: Path) -> None:
    from upbringing.traits import probes

    probe = probes("blackmail", n=4)[0]
    row = {
        "messages": [{"role": "user", "content": probe.messages[0].content}, {"role": "assistant", "content": "No."}]
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    text = STUDY.replace("{trait: cheating_at_tasks, rows: 24}", "{file: rows.jsonl, trains: [cheating_at_tasks]}")
    plan = studies.plan(study_file(tmp_path, text), store=organisms)
    with pytest.raises(InputError, match=rf"rows\.jsonl:1: .*{probe.id}"):
        studies.run(plan, tmp_path / "out")
    assert not (tmp_path / "out" / "study.json").exists()


def test_a_folder_with_another_studys_result_is_left_alone(ran: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    plan = studies.plan(study_file(tmp_path, STUDY.replace("study: tiny", "study: other")), store=ran[0])
    with pytest.raises(InputError, match="holds the result of another study"):
        studies.run(plan, ran[1])
