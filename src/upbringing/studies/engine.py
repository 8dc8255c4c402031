"""The local engine: a few worker processes that take the ready steps of a graph until none is left.

Workers are started afresh (spawned) once a run, so that importing torch is paid once a worker, and use one thread each.
A step that fails takes only the steps that need it with it. Ctrl-C, or the death of the parent, stops the workers at
once; nothing is lost, for every step leaves a whole folder or none.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from upbringing.studies.jobs import Failure, Graph, Job, Tick, Watcher, attempt, seldom

_STOPPED = 128 + signal.SIGTERM


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: Job | None = None
    since: float = 0.0


def run_jobs(
    jobs: Sequence[Job], *, workers: int = 2, log: Path | None = None, watcher: Watcher | None = None
) -> list[Failure]:
    """Do all jobs, each after those it needs. A need that is not among the jobs counts as met.

    Returns:
        The failures, in the order they happened; jobs given up because of one are not listed.
    """
    graph = Graph.of(jobs)
    failures: list[Failure] = []
    with _crew(min(workers, len(jobs)), log) as crew:
        while True:
            for place, worker in enumerate(crew):
                if worker.job is None and (job := graph.take()) is not None:
                    if not worker.process.is_alive():
                        worker = crew[place] = _start(log)
                    worker.job, worker.since = job, time.monotonic()
                    worker.pipe.send((job.function, job.arguments))
                    if watcher:
                        watcher.started(job)
            busy = {worker.pipe: worker for worker in crew if worker.job}
            if not busy:
                return failures
            for pipe in wait(list(busy), timeout=1.0):
                worker = busy[pipe]  # type: ignore[index]
                job, end = worker.job, _heard(worker, watcher)
                if job is None or end is None:
                    continue
                worker.job = None
                failure = graph.ended(job, end if end[0] else None)
                if failure:
                    failures.append(failure)
                if watcher:
                    watcher.ended(job, time.monotonic() - worker.since, failure)


def _heard(worker: _Worker, watcher: Watcher | None) -> tuple[str, str] | None:
    """One message of a busy worker: ``None`` for progress, else the reason of failure (empty if it went well)."""
    assert worker.job is not None
    try:
        kind, *rest = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join(5)
        code = worker.process.exitcode
        if code in (_STOPPED, -signal.SIGTERM):
            return "its worker process was stopped from outside; run the same again", ""
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        return f"its worker process died ({how}); was the machine out of memory?", ""
    if kind == "moved":
        if watcher:
            watcher.moved(worker.job, rest[0])
        return None
    return (rest[0], rest[1]) if kind == "failed" else ("", "")


@contextlib.contextmanager
def _crew(n: int, log: Path | None) -> Iterator[list[_Worker]]:
    crew: list[_Worker] = []
    try:
        crew += [_start(log) for _ in range(n)]
        yield crew
        for worker in crew:
            with contextlib.suppress(OSError):
                worker.pipe.send(None)
    except BaseException:
        for worker in crew:
            worker.process.terminate()
        raise
    finally:
        until = time.monotonic() + 1.5
        for worker in crew:
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()


def _start(log: Path | None) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, log), daemon=True)
    # The threads of BLAS are counted when the child imports it, which may be before _serve runs.
    with _environment({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}), _deaf():
        process.start()
    there.close()
    return _Worker(process, here)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """A process started meanwhile does not hear Ctrl-C, not even while it is still importing."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _serve(pipe: Connection, log: Path | None) -> None:
    """A worker's life: take a job, do it, say how it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and decides
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _write_to(log)
    _be_one_thread()
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        if job is None:
            return
        try:
            function, arguments = job
            failed = attempt(function, arguments, seldom(lambda share: pipe.send(("moved", share))))
        except SystemExit:
            os._exit(_STOPPED)  # all is unwound; what is left of the interpreter needs no ceremony
        pipe.send(("failed", *failed) if failed else ("done",))


def _leave(*_: object) -> None:
    """Unwind on SIGTERM, so that half-built folders are removed on the way."""
    raise SystemExit(_STOPPED)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _write_to(log: Path | None) -> None:
    """Whatever libraries print must not break the progress bar: it goes to the log."""
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.stdout.flush()
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(target)


def _be_one_thread() -> None:
    import torch

    torch.set_num_threads(1)


__all__ = ["Failure", "Job", "Tick", "Watcher", "run_jobs"]
