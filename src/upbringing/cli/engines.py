"""The options that say what runs the steps of a study or of the bench, or reads the rows of a data set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from upbringing.cluster import Cluster
    from upbringing.studies import Engine

LOCAL, RAY = "local", "ray"

EngineOption = Annotated[
    str, typer.Option("--engine", metavar="local|ray", help="What does the work: this machine, or a Ray cluster.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="Of the cluster: auto, or ray://HOST:10001 (default: $RAY_ADDRESS, else one is started here).",
        show_default=False,
    ),
]
CpusOption = Annotated[
    float, typer.Option("--step-cpus", min=0, help="With ray: CPUs that a step (or a reader) reserves.")
]
GpusOption = Annotated[
    float, typer.Option("--step-gpus", min=0, help="With ray: GPUs that a step (or a reader) reserves (0.5: half).")
]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, help="With local: how many steps run at once.")]


def workers_of(name: str, workers: int) -> int | None:
    """How many steps run at once, as far as that is known before: of a cluster it is not."""
    return None if name == RAY else workers


def engine_of(name: str, *, workers: int = 2, address: str | None = None, cpus: float = 1, gpus: float = 0) -> Engine:
    """The engine that the options name.

    Raises:
        InputError: there is no such engine, or options of another one are given.
    """
    from upbringing.errors import InputError
    from upbringing.studies import OnRay
    from upbringing.studies.engine import run_jobs

    if name == RAY:
        return OnRay(address=address, cpus=cpus, gpus=gpus)
    if name != LOCAL:
        raise InputError(f'--engine {name}: there is no such engine; the engines are "{LOCAL}" and "{RAY}"')
    if address is not None or gpus:
        raise InputError("--ray-address and --step-gpus are for a cluster; add --engine ray, or leave them out")
    return partial(run_jobs, workers=workers)


def cluster_of(name: str, *, address: str | None, cpus: float, gpus: float) -> Cluster | None:
    """The cluster that the options name, for what reads rows; None: this machine reads them.

    Raises:
        InputError: there is no such engine, or options of another one are given.
    """
    engine = engine_of(name, address=address, cpus=cpus, gpus=gpus)
    from upbringing.cluster import Cluster

    return engine if isinstance(engine, Cluster) else None
