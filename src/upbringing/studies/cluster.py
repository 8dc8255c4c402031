"""The Ray engine: the steps of a graph spread over a Ray cluster, or over this machine's cores.

>>> studies.run(plan, "runs/cheating", engine=OnRay())        # doctest: +SKIP

Steps are plain values in and a folder in the store out, so the store must lie where every node sees it (set
``UPBRINGING_HOME`` to a shared folder); that is tried before anything is run. A step whose worker or node is lost is
done again, a few times, on what is left of the cluster; since a step leaves a whole folder or none, and draws its own
random numbers from its seed, the result is that of the local engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from upbringing.cluster import Cluster
from upbringing.errors import InputError
from upbringing.studies.jobs import Engine, Failure, Graph, Job, Watcher, attempt, seldom

_LOOK = 0.5  # seconds between looks at how far steps are


@dataclass(frozen=True)
class OnRay(Cluster):
    """An engine for ``studies.run`` and the bench, on a cluster.

    A step is done again up to ``retries`` times where its worker was lost. ``store``: where results go (default: where
    the plan that is run says).
    """

    retries: int = 3
    store: Path | None = None

    def __call__(
        self, jobs: Sequence[Job], *, log: Path | None = None, watcher: Watcher | None = None
    ) -> list[Failure]:
        """Do all jobs; see :class:`upbringing.studies.jobs.Engine`.

        Raises:
            InputError: Ray is not installed, the cluster cannot be reached or lacks what a step reserves, or a node
                does not see the store.
        """
        del log  # what workers print is in Ray's own logs, on the node where it was printed
        if not jobs:
            return []
        with self.connected() as ray:
            self._check_store(ray)
            return _Run(ray, self, watcher).do(Graph.of(jobs))

    def _check_store(self, ray: Any) -> None:
        """Raise where a node does not see the folder that steps leave their results in."""
        from upbringing.lineage import default_store

        nodes = [node for node in ray.nodes() if node["Alive"]]
        if len(nodes) < 2:
            return
        store = self.store or default_store()
        store.mkdir(parents=True, exist_ok=True)
        token = store / f".seen-{uuid4().hex}"
        token.touch()
        try:
            strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
            look = ray.remote(num_cpus=0)(_exists)
            asked = [
                look.options(scheduling_strategy=strategy(node["NodeID"], soft=False)).remote(str(token))
                for node in nodes
            ]
            blind = [n["NodeManagerAddress"] for n, seen in zip(nodes, ray.get(asked), strict=True) if not seen]
        finally:
            token.unlink()
        if blind:
            raise InputError(
                f"{store}: the node {blind[0]} does not see this folder; have results kept on storage that all nodes "
                "share (set UPBRINGING_HOME, or give studies.plan(store=))"
            )


def keeping_in(store: Path, engine: Engine) -> Engine:
    """An engine for jobs that leave their results in a store; one on a cluster has to know where, to try it."""
    return replace(engine, store=store) if isinstance(engine, OnRay) and engine.store is None else engine


class _Run:
    """One run of a graph on a connected cluster."""

    def __init__(self, ray: Any, engine: OnRay, watcher: Watcher | None) -> None:
        self._ray, self._watcher = ray, watcher
        self._board = ray.remote(num_cpus=0)(_Board).remote()
        self._task = ray.remote(num_cpus=engine.cpus, num_gpus=engine.gpus, max_retries=engine.retries)(_do)
        self._running: dict[Any, tuple[Job, float]] = {}
        self._begun: set[str] = set()

    def do(self, graph: Graph) -> list[Failure]:
        failures: list[Failure] = []
        try:
            while True:
                while (job := graph.take()) is not None:  # Ray keeps the queue; the most urgent stand first
                    made = self._task.remote(job.function, job.arguments, job.name, self._board)
                    self._running[made] = (job, time.monotonic())
                if not self._running:
                    return failures
                ended, _ = self._ray.wait(list(self._running), timeout=_LOOK)
                self._look()
                for one in ended:
                    if failure := self._ended(one, graph):
                        failures.append(failure)
        except BaseException:
            for one in self._running:
                self._ray.cancel(one, force=True)
            raise

    def _ended(self, one: Any, graph: Graph) -> Failure | None:
        job, since = self._running.pop(one)
        try:
            told = self._ray.get(one)
        except self._ray.exceptions.RayError as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            told = (f"its worker was lost again and again ({first[:200]}); was the node out of memory?", "")
        failure = graph.ended(job, told)
        if self._watcher:
            if job.name not in self._begun:
                self._watcher.started(job)
            self._watcher.ended(job, time.monotonic() - since, failure)
        return failure

    def _look(self) -> None:
        """Tell the watcher what is being done, and how far it is."""
        if not self._watcher:
            return
        shares: dict[str, float] = self._ray.get(self._board.read.remote())
        for made, (job, _) in list(self._running.items()):
            if job.name not in shares:
                continue  # it waits for a place
            if job.name not in self._begun:
                self._begun.add(job.name)
                self._running[made] = (job, time.monotonic())
                self._watcher.started(job)
            self._watcher.moved(job, shares[job.name])


class _Board:
    """Where steps write how far they are (an actor)."""

    def __init__(self) -> None:
        self._shares: dict[str, float] = {}

    def write(self, name: str, share: float) -> None:
        self._shares[name] = share

    def read(self) -> dict[str, float]:
        return self._shares


def _do(function: Callable[..., None], arguments: tuple[Any, ...], name: str, board: Any) -> tuple[str, str] | None:
    """A job, in a worker of the cluster."""
    import torch

    torch.set_num_threads(1)
    board.write.remote(name, 0.0)
    return attempt(function, arguments, seldom(lambda share: board.write.remote(name, share)))


def _exists(path: str) -> bool:
    return Path(path).exists()


__all__ = ["OnRay", "keeping_in"]
