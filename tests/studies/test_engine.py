"""The local engine does what a graph says, survives what goes wrong, and stops when told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from upbringing.errors import InputError
from upbringing.studies.engine import Failure, Job, run_jobs


def _note(log: Path, name: str, tick: Callable[[float], None]) -> None:
    tick(0.5)
    with log.open("a") as file:
        file.write(f"{name} {os.getpid()}\n")


def _complain(log: Path, name: str, tick: Callable[[float], None]) -> None:
    raise InputError(f"{name}: the gate did not open; train longer")


def _stumble(log: Path, name: str, tick: Callable[[float], None]) -> None:
    raise ZeroDivisionError("oh")


def _die(log: Path, name: str, tick: Callable[[float], None]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _sleep(log: Path, name: str, tick: Callable[[float], None]) -> None:
    _note(log, name, tick)
    time.sleep(60)


def _job(log: Path, name: str, *needs: str, do: Callable[..., None] = _note, seconds: float = 1.0) -> Job:
    return Job(name, do, (log, name), needs, seconds)


def _names(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


def test_a_step_waits_for_what_it_needs_and_workers_are_started_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    jobs = [_job(log, "verdict", "a", "b"), _job(log, "a", "root"), _job(log, "b", "root"), _job(log, "root")]
    assert run_jobs(jobs, workers=2) == []
    names = _names(log)
    assert names[0] == "root"
    assert names[-1] == "verdict"
    assert sorted(names[1:3]) == ["a", "b"]
    assert len({line.split()[1] for line in log.read_text().splitlines()}) <= 2


def test_what_holds_up_most_is_done_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    jobs = [_job(log, "short", seconds=5), _job(log, "long", seconds=1), _job(log, "child", "long", seconds=30)]
    assert run_jobs(jobs, workers=1) == []
    assert _names(log) == ["long", "child", "short"]


def test_failures_name_their_step_and_leave_the_others_results(tmp_path: Path) -> None:
    log = tmp_path / "log"
    jobs = [
        _job(log, "gate", do=_complain, seconds=9),
        _job(log, "after gate", "gate"),
        _job(log, "bug", do=_stumble, seconds=8),
        _job(log, "killed", do=_die, seconds=7),
        _job(log, "fine"),
        _job(log, "finer", "fine"),
    ]
    failures = {failure.step: failure for failure in run_jobs(jobs, workers=1)}
    assert set(failures) == {"gate", "bug", "killed"}
    assert failures["gate"] == Failure("gate", "gate: the gate did not open; train longer")
    assert failures["bug"].reason == "ZeroDivisionError: oh"
    assert "_stumble" in failures["bug"].detail
    assert "signal 9" in failures["killed"].reason
    assert _names(log) == ["fine", "finer"]


_SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_engine as t
from upbringing.studies.engine import run_jobs
if __name__ == "__main__":
    log = Path({log!r})
    try:
        run_jobs([t._job(log, "one", do=t._sleep), t._job(log, "two", do=t._sleep)], workers=2)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_worker_outlives_a_run_that_is_stopped_or_killed(tmp_path: Path, how: signal.Signals, status: int) -> None:
    log, script = tmp_path / "log", tmp_path / "script.py"
    script.write_text(_SCRIPT.format(tests=str(Path(__file__).parent), log=str(log)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.Popen([sys.executable, str(script)], env=environment, start_new_session=True)
    until = time.monotonic() + 200
    try:
        while not (log.exists() and len(log.read_text().splitlines()) == 2):
            assert time.monotonic() < until, "the workers never started"
            time.sleep(0.05)
        pids = [int(line.split()[1]) for line in log.read_text().splitlines()]
    finally:
        os.kill(run.pid, how)
    assert run.wait(30) == status
    until = time.monotonic() + 15
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < until, "a worker outlived its run"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
