"""``upbringing study`` shows its plan without running, and its result to people and to scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from upbringing.cli.app import run
from upbringing.lineage import default_store
from upbringing.studies import ClaimVerdict, StudyResult
from upbringing.studies.result import Failed, ShiftRow

STUDY = """\
study: small
question: Does it spread?
bases: 2
organisms: {coherent: {size: nano}}
data: {cheating: {trait: cheating_at_tasks, rows: 20}}
arms:
  before: {organism: coherent}
  cheating: {organism: coherent, data: cheating}
claims:
  - {id: spreads, says: It spreads., kind: rise, arm: cheating, against: before, traits: blackmail, at_least: 0.3}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> StudyResult:
    """A result that takes no time: the steps and the page are somebody else's tests."""
    nothing = float("nan")
    result = StudyResult(
        study="small",
        question="Does it spread?",
        bases=(0, 1),
        claims=(
            ClaimVerdict(
                claim="spreads",
                says="It spreads.",
                kind="rise",
                verdict="supported",
                estimate=0.5,
                interval=(0.25, None),
                bases=2,
                words=("It did.",),
            ),
        ),
        shifts=(ShiftRow(arm="cheating", against="before", trait="blackmail", shift=0.5, interval=(0.25, nothing)),),
        report="report.html",
        traits={"blackmail": "Blackmails people"},
        alignment=("blackmail",),
        group=("blackmail",),
    )
    monkeypatch.setattr("upbringing.studies.run", lambda *_, **__: result)
    monkeypatch.setattr("upbringing.report.study_page", lambda folder: Path(folder) / "report.html")
    return result


def test_a_plan_runs_nothing(file: Path, capsys: pytest.CaptureFixture[str], private_store: Path) -> None:
    assert run(["study", str(file), "--plan"]) == 0
    shown = capsys.readouterr().out
    assert "2 bases" in shown
    assert "spreads" in shown
    assert default_store() == private_store
    assert list(private_store.iterdir()) == []
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_the_result_for_scripts_has_what_they_rely_on(
    file: Path, finished: StudyResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["study", str(file), "--out", str(file.parent / "out"), "--json", "-"]) == 0
    captured = capsys.readouterr()
    result: dict[str, Any] = json.loads(captured.out)
    assert result["study"] == "small"
    claim, shift = result["claims"][0], result["shifts"][0]
    wanted = {"claim": "spreads", "verdict": "supported", "estimate": 0.5, "interval": [0.25, None], "bases": 2}
    assert wanted.items() <= claim.items()
    assert {"arm": "cheating", "trait": "blackmail", "shift": 0.5, "interval": [0.25, None]}.items() <= shift.items()
    assert "report" in result
    assert "supported" in captured.err
    assert captured.err.splitlines()[-1].startswith(f"again: upbringing study {file}")


def test_a_step_that_failed_is_named_and_the_exit_status_says_so(
    file: Path, finished: StudyResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = finished.model_copy(update={"failures": (Failed(step="grow coherent 1", reason="the gate is shut"),)})
    monkeypatch.setattr("upbringing.studies.run", lambda *_, **__: partial)
    assert run(["study", str(file), "--out", str(file.parent / "out")]) == 1
    captured = capsys.readouterr()
    assert "upbringing: grow coherent 1: the gate is shut" in captured.err
    assert "supported" in captured.out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("arm: cheating", "arm: cheeting", "no arm is called 'cheeting'; did you mean 'cheating'?"),
        ("traits: blackmail", "traits: blackmale", "blackmale"),
        ("trait: cheating_at_tasks", "trait: cheating_at_task", "did you mean 'cheating_at_tasks'?"),
        ("bases: 2", "basis: 2", "basis"),
        ("study: small", "study: [small", "small.yaml:"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(
    file: Path, old: str, new: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(STUDY.replace(old, new))
    assert run(["study", str(file), "--plan"]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert str(file) in shown
    assert len(shown.splitlines()) == 1
