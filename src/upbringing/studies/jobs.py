"""What an engine runs: jobs and the order they may be done in, and who is told how it goes."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from upbringing.errors import InputError

Tick = Callable[[float], None]
"""Told by a step how much of it is done (0..1)."""


@dataclass(frozen=True)
class Job:
    """A piece of work that a worker can do: ``function(*arguments, tick)``, importable and picklable."""

    name: str
    function: Callable[..., None]
    arguments: tuple[Any, ...]
    needs: tuple[str, ...] = ()
    seconds: float = 1.0
    """How long it is expected to take."""


@dataclass(frozen=True)
class Failure:
    """A step that did not finish: its name, the reason in a line, and the traceback if the fault is the program's."""

    step: str
    reason: str
    detail: str = ""


class Watcher(Protocol):
    """Is told how the run goes (a progress bar)."""

    def started(self, job: Job) -> None:
        """A worker took a job."""

    def moved(self, job: Job, share: float) -> None:
        """A share (0..1) of the job is done."""

    def ended(self, job: Job, seconds: float, failure: Failure | None) -> None:
        """A job finished, or failed."""


class Engine(Protocol):
    """Does all jobs, each after those it needs. A need that is not among the jobs counts as met.

    Returns the failures, in the order they happened; jobs given up because of one are not listed.
    """

    def __call__(
        self, jobs: Sequence[Job], *, log: Path | None = None, watcher: Watcher | None = None
    ) -> list[Failure]: ...


@dataclass
class Graph:
    """What is still to do, most urgent first (the longest way to the end)."""

    waiting: dict[str, Job]
    done: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        children: dict[str, list[str]] = {}
        for job in self.waiting.values():
            for parent in job.needs:
                children.setdefault(parent, []).append(job.name)
        self._children = children
        self._way: dict[str, float] = {}
        for name in self.waiting:
            self._length(name)

    def _length(self, name: str) -> float:
        if name not in self._way:
            below = [self._length(child) for child in self._children.get(name, ())]
            self._way[name] = self.waiting[name].seconds + max(below, default=0.0)
        return self._way[name]

    @property
    def longest(self) -> float:
        """Seconds that the longest chain of jobs should take: no number of workers makes it shorter."""
        return max(self._way.values(), default=0.0)

    def take(self) -> Job | None:
        """The most urgent job whose needs are met, if any."""
        ready = [job for job in self.waiting.values() if all(need in self.done for need in job.needs)]
        if not ready:
            return None
        best = max(ready, key=lambda job: self._way[job.name])
        return self.waiting.pop(best.name)

    def drop(self, name: str) -> list[Job]:
        """Give up whatever needs this job, directly or not."""
        dropped = []
        for child in self._children.get(name, ()):
            if child in self.waiting:
                dropped += [self.waiting.pop(child), *self.drop(child)]
        return dropped

    def ended(self, job: Job, why: tuple[str, str] | None) -> Failure | None:
        """A job went well, or failed: then why (see ``attempt``), and whatever needs it is given up."""
        if why is None:
            self.done.add(job.name)
            return None
        self.drop(job.name)
        return Failure(job.name, *why)

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> Graph:
        """The graph of some jobs; what they need and is not among them counts as done."""
        names = {job.name for job in jobs}
        return cls({job.name: job for job in jobs}, {need for job in jobs for need in job.needs if need not in names})


def expected_seconds(jobs: Sequence[Job], workers: int) -> float:
    """How long jobs should take with so many workers at once (or as many as this machine has cores for)."""
    work = sum(job.seconds for job in jobs)
    return max(work / max(min(workers, cores()), 1), Graph.of(jobs).longest)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def attempt(function: Callable[..., None], arguments: tuple[Any, ...], tick: Tick) -> tuple[str, str] | None:
    """Do a job. None if it went well, else the reason in a line, and the traceback if the fault is the program's."""
    try:
        function(*arguments, tick)
    except InputError as error:
        return str(error), ""
    except MemoryError:
        return "out of memory; use fewer workers or a smaller batch", ""
    except Exception as error:
        return f"{type(error).__name__}: {error}", traceback.format_exc()
    return None


def seldom(tell: Callable[[float], None]) -> Tick:
    """Progress, at most ten times a second."""
    last = 0.0

    def tick(share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 0.1:
            last = now
            tell(share)

    return tick
