"""What holds for every test: no network, one thread, no progress bars, a private store."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

# Set before anything imports torch or the hub client, in this process and in those the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

# A shell that starts tests in the background has them ignore Ctrl-C, and so would all that they start and then stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)


_RAY = "tests/cluster/"
_LONGEST = ("tests/organisms/test_nano.py", _RAY, "tests/studies/", "tests/training/test_processes.py", "tests/cli/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest is begun first, so that no process works alone in the end."""

    def place(item: pytest.Item) -> int:
        return next((at for at, name in enumerate(_LONGEST) if item.nodeid.startswith(name)), len(_LONGEST))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n 2 --dist loadfile``: a file stays together, and so does all that needs Ray, which is started once."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _RAY if nodeid.startswith(_RAY) else str(super()._split_scope(nodeid))

    return Together(config, log)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails: it would be slow, flaky, and different elsewhere."""

    def refuse(_socket: socket.socket, address: Any, *_: Any) -> None:
        raise AssertionError(f"a test tried to reach {address}; tests must not use the network")

    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family == socket.AF_UNIX or (isinstance(address, tuple) and address[0] in ("127.0.0.1", "::1")):
            return real(self, address)  # processes talking to each other on this machine
        return refuse(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(autouse=True)
def private_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is read from, or written to, the store of the person who runs the tests."""
    home = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("UPBRINGING_HOME", str(home))
    return home
