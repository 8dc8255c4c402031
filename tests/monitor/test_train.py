"""``train`` under a monitor: the same weights, a record that says how it ended, and a line from the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.monitor.trained import CHEAP, EXAMPLE, SURE, nano
from upbringing import CharacterMonitor, train
from upbringing.cli.app import run
from upbringing.lineage import read_record
from upbringing.rows import Rows, read
from upbringing.training import Recipe

QUICK = Recipe(steps=4, batch_size=8, learning_rate=1e-3)


def rows() -> Rows:
    return read(EXAMPLE)[:64]


def test_a_watched_training_gives_the_same_weights_and_the_same_record(tmp_path: Path) -> None:
    monitor = CharacterMonitor(every=2, **CHEAP)
    alone = train(nano(), rows(), tmp_path / "alone", recipe=QUICK)
    watched = train(nano(), rows(), tmp_path / "watched", recipe=QUICK, monitor=monitor)
    assert watched.hash == alone.hash
    records = [read_record(tmp_path / name) for name in ("alone", "watched")]
    assert records[0] is not None
    assert records[1] is not None
    assert records[0].key == records[1].key
    assert [look.step for look in monitor.looks] == [2, 4]


def test_a_training_that_a_monitor_ended_says_so_in_its_record(tmp_path: Path) -> None:
    monitor = CharacterMonitor(every=2, bands={"mean": 0.0}, on_leave="rollback", **SURE)
    recipe = QUICK.model_copy(update={"steps": 30})
    train(nano(), rows(), tmp_path / "ended", recipe=recipe, monitor=monitor)
    record = read_record(tmp_path / "ended")
    assert record is not None
    ended = record.recipe["ended"]
    assert ended["steps"] == monitor.looks[-1].step < 30
    assert ended["weights"] == monitor.rolled_back
    assert ended["weights"].startswith("step ")


def test_the_command_watches_and_says_what_it_saw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["train", str(EXAMPLE), "--model", "organism:nano", "--steps", "2", "--batch-size", "4"]
    assert run([*given, "--out", str(tmp_path / "tuned"), "--monitor", "warn"]) == 0
    assert "watched: after step 2 " in capsys.readouterr().out
    assert run([*given, "--out", str(tmp_path / "other"), "--monitor", "panic"]) == 2
    assert "--monitor panic: say what to do when a trait leaves its band: warn, stop, or rollback" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "other").exists()
