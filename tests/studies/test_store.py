"""Results lie where the plan says, and whatever runs its steps is told so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.studies.tiny import study_file
from upbringing import studies
from upbringing.errors import InputError
from upbringing.studies import Failure


@dataclass(frozen=True)
class _Asked(studies.OnRay):
    """A cluster whose first node is this machine, and whose second does not see what is on it."""

    def __call__(self, jobs: Any, *, log: Any = None, watcher: Any = None) -> list[Failure]:
        remote = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda token: Path(token).exists()))
        nodes = [{"Alive": True, "NodeID": str(i), "NodeManagerAddress": f"10.0.0.{i}"} for i in range(2)]
        ray = SimpleNamespace(
            nodes=lambda: nodes,
            remote=lambda **_: lambda function: remote,
            get=lambda asked: [asked[0], False],
            util=SimpleNamespace(
                scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda *_, **__: None)
            ),
        )
        self._check_store(ray)
        raise AssertionError("a node is blind")


def test_the_store_of_the_plan_is_the_one_that_nodes_have_to_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, own = tmp_path / "usual", tmp_path / "own"
    monkeypatch.setenv("UPBRINGING_HOME", str(usual))
    plan = studies.plan(study_file(tmp_path), bases=1, store=own)
    with pytest.raises(InputError, match=f"^{own}: the node 10.0.0.1 does not see this folder") as refused:
        studies.run(plan, tmp_path / "out", engine=_Asked())
    assert "studies.plan(store=)" in str(refused.value)
    assert own.is_dir()
    assert not usual.exists(), "nothing is looked for where nothing lies"


def test_a_store_that_an_engine_was_given_is_kept(tmp_path: Path) -> None:
    plan = studies.plan(study_file(tmp_path), bases=1, store=tmp_path / "own")
    with pytest.raises(InputError, match=f"^{tmp_path / 'seen'}: the node"):
        studies.run(plan, tmp_path / "out", engine=_Asked(store=tmp_path / "seen"))
