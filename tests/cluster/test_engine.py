"""The Ray engine does what the local engine does, and does again what a lost worker left undone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.studies.test_networks import FILE
from upbringing import studies
from upbringing.cluster import Cluster
from upbringing.cluster.connect import _environment
from upbringing.errors import InputError
from upbringing.studies.cluster import OnRay
from upbringing.studies.jobs import Failure, Job
from upbringing.studies.result import READINGS


@pytest.fixture
def engine(cluster: Cluster) -> OnRay:
    """On the cluster that is there."""
    return OnRay()


def _note(log: Path, name: str, tick: Callable[[float], None]) -> None:
    tick(0.5)
    with log.open("a") as file:
        file.write(f"{name}\n")


def _die_once(log: Path, name: str, tick: Callable[[float], None]) -> None:
    killed = log.with_suffix(".killed")
    if not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    _note(log, name, tick)


def _die(log: Path, name: str, tick: Callable[[float], None]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _complain(log: Path, name: str, tick: Callable[[float], None]) -> None:
    raise InputError(f"{name}: the gate did not open; train longer")


def _stumble(log: Path, name: str, tick: Callable[[float], None]) -> None:
    raise ZeroDivisionError("oh")


class _Watch:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def started(self, job: Job) -> None:
        self.seen.append(("started", job.name))

    def moved(self, job: Job, share: float) -> None:
        assert 0 <= share <= 1

    def ended(self, job: Job, seconds: float, failure: Failure | None) -> None:
        self.seen.append(("failed" if failure else "ended", job.name))


def _job(log: Path, name: str, *needs: str, do: Callable[..., None] = _note) -> Job:
    return Job(name, do, (log, name), needs)


def test_steps_wait_for_what_they_need_and_one_whose_worker_was_killed_is_done_again(
    engine: OnRay, tmp_path: Path
) -> None:
    log, watch = tmp_path / "log", _Watch()
    jobs = [_job(log, "verdict", "a", "b"), _job(log, "a", "root"), _job(log, "b", "root"), _job(log, "root")]
    jobs[3] = _job(log, "root", do=_die_once)
    assert engine(jobs, watcher=watch) == []
    names = log.read_text().split()
    assert (names[0], names[-1], sorted(names[1:3])) == ("root", "verdict", ["a", "b"])
    assert log.with_suffix(".killed").exists()
    for name in names:
        assert watch.seen.index(("started", name)) < watch.seen.index(("ended", name))


def test_a_failure_has_its_reason_and_takes_only_what_needs_it(engine: OnRay, tmp_path: Path) -> None:
    log = tmp_path / "log"
    jobs = [
        _job(log, "bad", do=_complain),
        _job(log, "after", "bad"),
        _job(log, "ours", do=_stumble),
        _job(log, "lost", do=_die),
        _job(log, "good"),
    ]
    failures = {failure.step: failure for failure in OnRay(retries=1)(jobs)}
    assert set(failures) == {"bad", "ours", "lost"}
    assert failures["bad"].reason == "bad: the gate did not open; train longer"
    assert failures["bad"].detail == ""
    assert "ZeroDivisionError: oh" in failures["ours"].reason
    assert "_stumble" in failures["ours"].detail
    assert "lost" in failures["lost"].reason
    assert log.read_text().split() == ["good"]


def test_a_study_has_the_numbers_of_the_local_engine(
    engine: OnRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    file = tmp_path / "digits.yaml"
    file.write_text(FILE)
    found = {}
    for name, chosen in (("local", None), ("ray", engine)):
        store = tmp_path / name
        plan = studies.plan(file, store=store)
        result = studies.run(plan, tmp_path / "out" / name, workers=1, engine=chosen)
        assert result.failures == ()
        assert list(store.rglob("record.json"))
        found[name] = pd.read_parquet(tmp_path / "out" / name / READINGS), result.claims
    pd.testing.assert_frame_equal(found["local"][0], found["ray"][0])
    assert found["local"][1] == found["ray"][1]


def test_more_than_the_cluster_has_is_refused_before_anything_runs(engine: OnRay, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reserves 1 GPU and the Ray cluster has 0"):
        OnRay(gpus=1)([_job(tmp_path / "log", "a")])


def test_without_ray_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'pip install "upbringing\[cluster\]"'):
        OnRay()([_job(tmp_path / "log", "a")])


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import ray

    def refuse(**settings: Any) -> None:
        raise ConnectionError("nobody answers at 10.0.0.1:6379")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(InputError, match="nobody answers at"):
        OnRay(address="10.0.0.1:6379")([_job(tmp_path / "log", "a")])


def test_workers_get_settings_but_neither_secrets_nor_the_gpus_of_the_one_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = {"HF_HOME": "/models", "UPBRINGING_HOME": "/store"}
    stays = {"HF_TOKEN": "hf_x", "HF_HUB_TOKEN_PATH": "x", "CUDA_VISIBLE_DEVICES": "0", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, value in {**taken, **stays}.items():
        monkeypatch.setenv(name, value)
    passed_on = _environment()
    assert {name: passed_on.get(name) for name in taken} == taken
    assert not stays.keys() & passed_on.keys()
