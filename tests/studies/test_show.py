"""What the terminal shows of a study is whole and literal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from tests.studies.tiny import study_file
from upbringing import studies
from upbringing.studies.engine import Failure
from upbringing.studies.jobs import Job, expected_seconds
from upbringing.studies.result import ClaimVerdict
from upbringing.studies.show import duration, overlap_table, to_go, verdict_table, watching
from upbringing.traits.overlap import Overlap


def _shown(thing: RenderableType, width: int = 140) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(thing)
    return console.export_text()


def test_verdicts_show_claim_estimate_interval_and_bases_in_80_columns() -> None:
    known = ClaimVerdict(
        claim="spreads",
        says="It spreads [a lot].",
        kind="rise",
        verdict="supported",
        estimate=0.5,
        interval=(0.4, 0.6),
        bases=6,
        words=("It rose.",),
    )
    lacking = known.model_copy(update={"estimate": None, "interval": (None, None), "verdict": "inconclusive"})
    text = _shown(verdict_table([known, lacking]), width=80)
    for said in ("spreads", "supported", "0.50 [0.40, 0.60]", "6 bases", "It spreads [a lot].", "– too few bases"):
        assert said in text


def test_overlap_is_shown_with_its_counts() -> None:
    text = _shown(overlap_table([Overlap("cheating, rows [x]", 1234, 0, 0, 0.087, 0.01, 0.42, "p")]))
    for said in ("cheating, rows [x]", "1,234", "8.7%", "42%"):
        assert said in text


def test_the_plan_takes_at_least_as_long_as_its_longest_chain(tmp_path: Path) -> None:
    plan = studies.plan(study_file(tmp_path), bases=1, store=tmp_path / "store")
    grown = next(step.job.seconds for step in plan.of("organism"))
    work = sum(step.job.seconds for step in plan.steps.values())
    assert grown < expected_seconds(plan.jobs, 2) < work
    shown = " ".join(_shown(plan.show()).split())
    assert "3 arms × 1 base, 10 steps, 0 made" in shown
    assert "3 × 8 rows, 1,2" in shown, "what training reads is told before it is run"


def test_the_time_to_go_depends_on_how_many_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [Job(name, print, (), needs, 600.0) for name, needs in (("a", ()), ("b", ("a",)), ("c", ()), ("d", ()))]
    monkeypatch.setattr("upbringing.studies.jobs.cores", lambda: 16)
    monkeypatch.setattr("upbringing.studies.show.cores", lambda: 16)
    told = ["40 min to go with 1 worker", "20 min to go with 2 workers", "20 min to go with 8 workers"]
    assert [to_go(jobs, workers) for workers in (1, 2, 8)] == told  # b comes after a
    assert to_go(jobs, None) == "40 min of one core's time to go, on a cluster no less than 20 min"
    monkeypatch.setattr("upbringing.studies.jobs.cores", lambda: 1)
    monkeypatch.setattr("upbringing.studies.show.cores", lambda: 1)
    assert to_go(jobs, 8) == "40 min to go with 8 workers on 1 core"


def test_a_log_gets_a_line_for_every_step_that_ends(tmp_path: Path) -> None:
    plan = studies.plan(study_file(tmp_path), bases=1, store=tmp_path / "store")
    console = Console(width=140, file=io.StringIO(), record=True)
    first, second = [step.job for step in plan.steps.values()][:2]
    with watching(plan, console) as watcher:
        watcher.started(first)
        watcher.ended(first, 3.2, None)
        watcher.ended(second, 0.2, Failure(second.name, "the gate [x] did not open"))
    lines = console.export_text().splitlines()
    assert lines[0].startswith("[1/10, ")
    assert lines[0].endswith(f"{first.name}: 3 s")
    assert lines[1].endswith("failed: the gate [x] did not open")


def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    plan = studies.plan(study_file(tmp_path), bases=1, store=tmp_path / "store")
    out = io.StringIO()
    jobs = [step.job for step in plan.steps.values()]
    with watching(plan, Console(width=140, file=out, force_terminal=True)) as watcher:
        watcher.started(jobs[0])
        watcher.moved(jobs[0], 0.5)
        watcher.ended(jobs[0], 1.0, Failure(jobs[0].name, "oh [no]"))
    assert "oh [no]" in out.getvalue()


def test_durations_are_for_people() -> None:
    assert [duration(s) for s in (0, 0.4, 40, 99, 720)] == ["0 s", "<1 s", "40 s", "99 s", "12 min"]
