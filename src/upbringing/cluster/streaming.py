"""Pieces of work streamed through Ray Data: read by one task, done by many workers, handed back in order.

Nothing holds more than some pieces at once, however many there are: the reader waits until what it is ahead of whoever
takes the results is less than ``AHEAD`` pieces a worker. A worker that is lost is replaced, and its pieces are done
again. What the user gave and cannot be used (``InputError``) arrives as it was raised, in the reader or in a worker.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from upbringing.cluster.connect import Cluster
from upbringing.errors import InputError

AHEAD = 8  # pieces a worker that may be read and not yet taken
_BLOCK = 2**18  # bytes: small, so that pieces spread over workers; Ray Data's own would put thousands into one
_TRIES = 3  # of a piece whose worker is lost: Ray Data itself would go on for ever
_WAIT = 0.05  # seconds
_PIECE = "piece"
_Make = Callable[..., Callable[[Any], Any]]


def through(
    cluster: Cluster,
    pieces: Callable[[], Iterable[Any]],
    make: _Make,
    arguments: tuple[Any, ...] = (),
    *,
    workers: int | None = None,
) -> Iterator[Any]:
    """What ``make(*arguments)`` says of each piece, in the order of the pieces.

    Args:
        pieces: gives them when it is called, in a task of the cluster: a function of a module, or a partial of one, and
            what it gives can be pickled.
        make: is called once a worker (where a model is loaded, say); what it returns is called on each piece.
        workers: how many; default: as many as the cluster has room for.

    Raises:
        InputError: Ray is not installed, the cluster cannot be reached or lacks what a worker reserves, a piece loses
            one worker after the other, or ``pieces``, ``make`` or what it returned has raised one.
    """
    with cluster.connected() as ray:
        import ray.data as data

        packed = ray.cloudpickle.dumps((make, arguments))  # as bytes: what Ray unpacks itself cannot be written to

        context = data.DataContext.get_current().copy()  # what is made under it keeps it; the user's own stays
        context.execution_options.preserve_order = True
        context.execution_options.verbose_progress = False
        context.enable_progress_bars = False
        context.target_max_block_size = _BLOCK
        room = int(ray.cluster_resources()["CPU"] / max(cluster.cpus, 0.01)) if cluster.cpus else 1
        most = workers or max(1, room)
        gate = ray.remote(num_cpus=0)(_Gate).remote(AHEAD * most)
        with data.DataContext.current(context):
            read = data.read_datasource(_source(pieces, gate), num_cpus=0.1)
            done = read.map_batches(
                _Worker,
                fn_constructor_args=(packed, gate),
                batch_size=1,
                num_cpus=cluster.cpus,
                num_gpus=cluster.gpus or None,
                concurrency=(1, most),
            )
        logger = logging.getLogger("ray.data")
        level = logger.level
        logger.setLevel(logging.ERROR)  # it tells of its plans and its settings
        try:
            for number, batch in enumerate(done.iter_batches(batch_size=1, prefetch_batches=1)):
                outcome = pickle.loads(batch[_PIECE][0])  # what our own workers made, in this very run
                if isinstance(outcome, InputError):
                    raise outcome
                yield outcome
                gate.take.remote(number)
        finally:
            logger.setLevel(level)
            ray.kill(gate)


class _Gate:
    """Holds the reader back, and knows how often each piece was begun (an actor)."""

    def __init__(self, ahead: int) -> None:
        self._ahead, self._taken = ahead, 0
        self._begun: Counter[int] = Counter()

    async def admit(self, number: int) -> None:
        """Return when this piece may be read."""
        while number >= self._taken + self._ahead:
            await asyncio.sleep(_WAIT)

    async def begin(self, number: int) -> int:
        """How often it has been begun, this time counted."""
        self._begun[number] += 1
        return self._begun[number]

    async def take(self, number: int) -> None:
        """This piece, and all before it, have been taken."""
        self._taken = number + 1
        del self._begun[number]


class _Worker:
    """In a worker of the cluster. What the user is to be told goes on as a value: Ray would wrap it in its own."""

    def __init__(self, packed: bytes, gate: Any) -> None:
        self._do, self._gate = _telling(lambda: _made(packed)), gate

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {_PIECE: _column([pickle.dumps(self._done(*pickle.loads(piece))) for piece in batch[_PIECE]])}

    def _done(self, number: int, piece: Any) -> Any:
        import ray

        for stop in (piece, self._do):
            if isinstance(stop, InputError):
                return stop
        if ray.get(self._gate.begin.remote(number)) > _TRIES:
            return InputError(
                f"piece {number + 1} of the data lost {_TRIES} workers of the Ray cluster, one after the other; was "
                "the node out of memory? Let fewer workers share one (--step-cpus), or use --engine local"
            )
        return _telling(lambda: self._do(piece))


def _made(packed: bytes) -> Callable[[Any], Any]:
    make, arguments = pickle.loads(packed)  # what `through` packed, in this very run
    done: Callable[[Any], Any] = make(*arguments)
    return done


def _telling(do: Callable[[], Any]) -> Any:
    """What ``do`` returns, or the ``InputError`` that it raises."""
    try:
        return do()
    except InputError as error:
        return error


def _column(pickled: list[bytes]) -> Any:
    import numpy as np

    made = np.empty(len(pickled), dtype=object)
    made[:] = pickled
    return made


def _source(pieces: Callable[[], Iterable[Any]], gate: Any) -> Any:
    """One reading task whose blocks are pieces."""
    import pyarrow as pa
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    def blocks() -> Iterator[Any]:
        import ray

        for numbered in enumerate(_drawn(pieces)):
            yield pa.table({_PIECE: pa.array([pickle.dumps(numbered)], type=pa.large_binary())})
            ray.get(gate.admit.remote(numbered[0] + 1))

    class Pieces(Datasource):  # type: ignore[misc]
        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[Any]:
            return [ReadTask(blocks, BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None))]

    return Pieces()


def _drawn(pieces: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """The pieces, and why there are no more if one cannot be read."""
    try:
        yield from pieces()
    except InputError as error:
        yield error


__all__ = ["AHEAD", "through"]
