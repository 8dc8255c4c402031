"""A process that has imported what every verb imports, and forks one like it for each that is asked for.

Importing torch and transformers takes longer than most verbs do with a small model. ``run_docs.py`` starts some eighty
programs, so it has one process import them; each program then runs in a fork of it, in its own folder, environment and
standard streams, as if it had been started afresh.

    with Warm.started(folder, os.environ) as warm:
        warm.run(["-c", "print(1)"], cwd=folder, env=os.environ)
        # and in warm.programs is the program `upbringing`

What is asked for: ``["-c", CODE]``, a program in Python, or ``["upbringing", VERB, ...]``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTED = (
    "accelerate",
    "datasets",
    "matplotlib.figure",
    "pandas",
    "peft",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "torch",
    "transformers.generation",
    "transformers.models.llama.modeling_llama",
    "transformers.trainer",
    "upbringing.cli.app",
    "upbringing.measure",
    "upbringing.training",
)
_SLOWEST_START, _STILL_THERE = 120, 10  # seconds

# The program `upbringing`, and this module's `run`: sends its arguments, folder, environment and streams, and exits as
# the fork does.
_CLIENT = """#!{python} -ISE
import json, os, socket, sys
there = socket.socket(socket.AF_UNIX)
there.connect({address!r})
asked = {{"arguments": {arguments}, "cwd": os.getcwd(), "env": dict(os.environ)}}
content = json.dumps(asked).encode()
socket.send_fds(there, [len(content).to_bytes(8, "big")], [0, 1, 2])
there.sendall(content)
status = there.recv(4)
sys.exit(int.from_bytes(status, "big") if status else "the process that does the work has gone")
"""


@dataclass(frozen=True)
class Warm:
    """A running one; ``programs`` is the folder of what starts its forks."""

    programs: Path

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path, env: Mapping[str, str], imported: Sequence[str] = IMPORTED) -> Iterator[Warm]:
        """One that has imported modules, and ends, with all that it forked, when the block does.

        Raises:
            RuntimeError: it did not start.
        """
        address, programs = folder / "warm", folder / "bin"
        programs.mkdir()
        for name, arguments in (("upbringing", '["upbringing", *sys.argv[1:]]'), ("warm-python", "sys.argv[1:]")):
            client = programs / name
            text = _CLIENT.format(python=sys.executable, address=str(address), arguments=arguments)
            client.write_text(text, encoding="utf-8")
            client.chmod(0o755)
        process = subprocess.Popen(
            [sys.executable, __file__, str(address), *imported],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            until = time.monotonic() + _SLOWEST_START
            while not address.exists():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("the process that imports everything did not start")
                time.sleep(0.05)
            yield cls(programs)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def run(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Do something in a fork; what it said and its exit status."""
        client = self.programs / "warm-python"
        return subprocess.run(
            [str(client), *arguments], cwd=cwd, env=dict(env), capture_output=True, text=True, check=False
        )


def serve(address: str, imported: Sequence[str]) -> None:
    """Import, then fork for whoever asks, one process that waits and one that works."""
    for name in imported:
        importlib.import_module(name)
    here = socket.socket(socket.AF_UNIX)
    here.bind(address + ".new")
    here.listen(64)
    os.rename(address + ".new", address)  # whoever sees it can connect
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait are not waited for
    here.settimeout(_STILL_THERE)
    parent = os.getppid()
    while os.getppid() == parent:
        try:
            asker, _ = here.accept()
        except TimeoutError:
            continue
        if os.fork():
            asker.close()
            continue
        here.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if worker := os.fork():
            _, status = os.waitpid(worker, 0)
            with contextlib.suppress(OSError):  # whoever asked may have been stopped
                asker.sendall((os.waitstatus_to_exitcode(status) & 0xFF).to_bytes(4, "big"))
            os._exit(0)
        asked = _become(asker)
        break
    else:
        return  # whoever started this has gone
    _do(asked)


def _become(asker: socket.socket) -> list[str]:
    """Take over streams, folder and environment of who asks; its arguments."""
    length, streams, _, _ = socket.recv_fds(asker, 8, 3)
    content = b""
    while len(content) < int.from_bytes(length, "big"):
        content += asker.recv(1 << 16)
    asker.close()
    asked = json.loads(content)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    return list(asked["arguments"])


def _do(arguments: Sequence[str]) -> None:
    """Run a program as the main one, from whose module nothing of this one can be seen."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    sys.argv = ["-c", *arguments[1 + (arguments[0] == "-c") :]]
    sys.path[0] = ""
    if arguments[0] == "-c":
        exec(compile(arguments[1], "<string>", "exec"), main.__dict__)
    else:
        from upbringing.cli.app import main as verb

        verb()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
