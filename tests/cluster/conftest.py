"""One small cluster for all tests here: starting it takes longer than any of them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from upbringing.cluster import Cluster

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Stopped when the last test of this folder has ended."""
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # so that workers find the functions of these tests
            patch.setenv("PYTHONPATH", os.pathsep.join(["src", ".", str(HERE), os.environ.get("PYTHONPATH", "")]))
            stack.enter_context(Cluster().connected())
        yield Cluster()


@pytest.hookimpl(trylast=True)  # when the test's own fixtures are gone
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """A session ends long after the last test here, and the cluster would stand by."""
    ray = sys.modules.get("ray")
    if ray and (nextitem is None or HERE not in nextitem.path.parents):
        ray.shutdown()
