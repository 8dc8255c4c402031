"""Pieces go through a cluster in order and a few at a time, also where a worker is lost; errors arrive as raised."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from upbringing.cluster import Cluster, through
from upbringing.cluster.streaming import AHEAD
from upbringing.errors import InputError

MEGABYTE = 2**20


def _pieces(count: int, size: int, log: Path) -> Iterator[tuple[int, bytes]]:
    for number in range(count):
        with log.open("a") as file:
            file.write(".")
        yield number, bytes(size)


def _echoing(killed: Path) -> Callable[[tuple[int, bytes]], tuple[int, bytes]]:
    def do(piece: tuple[int, bytes]) -> tuple[int, bytes]:
        if piece[0] == 7 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return piece

    return do


def _complaining(at: int) -> Callable[[tuple[int, bytes]], int]:
    def do(piece: tuple[int, bytes]) -> int:
        if piece[0] == at:
            raise InputError(f"row {at} cannot be used; leave it out")
        return piece[0]

    return do


def _dying() -> Callable[[tuple[int, bytes]], int]:
    def do(piece: tuple[int, bytes]) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    return do


def _not_made() -> Callable[[tuple[int, bytes]], int]:
    raise InputError("there is no such model here; copy it")


def _unreadable(count: int) -> Iterator[tuple[int, bytes]]:
    for number in range(count):
        yield number, b""
    raise InputError("corpus.jsonl:3: this is no row; mend it")


def test_pieces_come_in_order_and_few_at_once_and_those_of_a_killed_worker_are_done_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Forty megabytes, of which no more than sixteen are ever read and not yet taken."""
    import ray.data

    settings = ray.data.DataContext.get_current()
    before = (settings.target_max_block_size, settings.execution_options.preserve_order, settings.enable_progress_bars)
    log, killed = tmp_path / "log", tmp_path / "killed"
    got: list[int] = []
    ahead = []
    pieces = partial(_pieces, 40, MEGABYTE, log)
    for number, content in through(cluster, pieces, _echoing, (killed,), workers=2):
        assert len(content) == MEGABYTE
        if number in (0, 20):
            time.sleep(2)  # whoever takes them is slow; the reader must not run ahead meanwhile
        ahead.append(len(log.read_text()) - len(got))
        got.append(number)
    assert got == list(range(40))
    assert killed.exists()
    assert max(ahead) <= 2 * AHEAD
    now = ray.data.DataContext.get_current()
    after = (now.target_max_block_size, now.execution_options.preserve_order, now.enable_progress_bars)
    assert now is settings, "what the user set for himself is as it was"
    assert after == before


@pytest.mark.parametrize(
    ("pieces", "make", "arguments", "before", "told"),
    [
        (partial(_unreadable, 2), _complaining, (9,), [0, 1], "corpus.jsonl:3: this is no row; mend it"),
        (partial(_unreadable, 2), _complaining, (1,), [0], "row 1 cannot be used; leave it out"),
        (partial(_unreadable, 2), _not_made, (), [], "there is no such model here; copy it"),
        (partial(_unreadable, 1), _dying, (), [], "piece 1 of the data lost 3 workers"),
    ],
    ids=["reader", "piece", "worker", "lost"],
)
def test_what_the_user_is_told_arrives_as_it_was_raised(
    cluster: Cluster,
    pieces: Callable[[], Iterator[tuple[int, bytes]]],
    make: Callable[..., Callable[[tuple[int, bytes]], int]],
    arguments: tuple[int, ...],
    before: list[int],
    told: str,
) -> None:
    got: list[int] = []
    with pytest.raises(InputError, match=told):
        for number in through(cluster, pieces, make, arguments, workers=1):
            got.append(number)
    assert got == before
