"""Reaching a Ray cluster, or starting one on this machine for as long as it takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upbringing.errors import InputError

EXTRA = 'pip install "upbringing[cluster]"'
ADDRESS = "RAY_ADDRESS"
_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
_TAKEN_ALONG = ("UPBRINGING_", "HF_", "CUDA_")  # settings that workers need as well
# What is not taken along, by a part of its name: Ray gives out GPUs, and secrets would lie in the open in its log.
_LEFT = ("CUDA_VISIBLE_DEVICES", "TOKEN", "SECRET", "KEY")


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster, and what a step (or a reader) reserves on it.

    ``address`` of a cluster (``auto``, ``ray://HOST:10001``); None: that of ``$RAY_ADDRESS``, else one is started here
    for as long as it takes. ``cpus`` and ``gpus`` may be shares (0.5: two share a GPU).
    """

    address: str | None = None
    cpus: float = 1
    gpus: float = 0

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Ray, connected; one that was started for this is stopped again.

        Raises:
            InputError: Ray is not installed, the cluster cannot be reached, or lacks what is reserved.
        """
        ray = _ray()
        if ray.is_initialized():
            self._check_resources(ray)
            yield ray
            return
        address = self.address or os.environ.get(ADDRESS)
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level="ERROR",
                runtime_env={"env_vars": _environment()},
                **({} if address else {"include_dashboard": False}),
            )
        except Exception as error:  # refused, unknown, another version of Ray, …
            told = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"the Ray cluster {address or 'on this machine'} cannot be reached ({told[0][:200]}); start one with "
                "`ray start --head`, give its address, or use --engine local"
            ) from error
        try:
            self._check_resources(ray)
            yield ray
        finally:
            ray.shutdown()

    def _check_resources(self, ray: Any) -> None:
        there = ray.cluster_resources()
        for what, name in ((self.cpus, "CPU"), (self.gpus, "GPU")):
            if what > there.get(name, 0):
                raise InputError(
                    f"a step reserves {what:g} {name} and the Ray cluster has {there.get(name, 0):g}; ask for less, or "
                    "add a node"
                )


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere unless somebody asks for it
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # of workers started here; Ray's own 15 starves them
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise InputError(f"the engine ray needs Ray, which is not installed; run: {EXTRA}") from error
    return ray


def _environment() -> dict[str, str]:
    """What workers need of this process's environment; the package itself where it is not installed."""
    own = str(Path(__file__).parents[2])
    path = os.pathsep.join(dict.fromkeys([own, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
    asked = {name: value for name, value in os.environ.items() if name.startswith(_TAKEN_ALONG) and not _stays(name)}
    return {**_THREADS, **asked, **({"PYTHONPATH": path} if own in sys.path else {})}


def _stays(name: str) -> bool:
    return any(part in name.upper() for part in _LEFT)


__all__ = ["ADDRESS", "EXTRA", "Cluster"]
