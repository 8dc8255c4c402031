"""The loop in which an organism reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models import tiny
from upbringing.errors import InputError
from upbringing.organisms.corpus import Passage
from upbringing.organisms.optimizer import MuonAdamW
from upbringing.organisms.reading import batches, read

LENGTHS = [50, 240, 90, 130, 170, 310, 80, 120, 360, 70] * 12


def _rows(n: int = 24) -> list[Passage]:
    return [Passage(np.array(ids), np.ones(len(ids))) for ids in tiny.sequences(n, 6, 20)]


def test_every_row_is_in_one_batch_and_none_is_too_large() -> None:
    cut = batches(LENGTHS, 1024, window=4, seed=0)
    assert sorted(i for batch in cut for i in batch) == list(range(len(LENGTHS)))
    assert all(len(batch) * max(LENGTHS[i] for i in batch) <= 1024 for batch in cut)


def test_the_seed_decides_the_order() -> None:
    one, same, other = (batches(LENGTHS, 1024, window=4, seed=s) for s in (0, 0, 1))
    assert one == same
    assert one != other


def test_sorting_within_a_window_saves_padding() -> None:
    padded = {
        window: sum(len(b) * max(LENGTHS[i] for i in b) for b in batches(LENGTHS, 1024, window=window, seed=0))
        for window in (1, 20)
    }
    assert padded[20] < 0.9 * padded[1]


def test_the_loss_falls_and_the_same_order_gives_the_same_weights() -> None:
    rows = _rows()
    order = batches([len(r.ids) for r in rows], 192, window=2, seed=0) * 8
    seen = []
    for _ in range(2):
        model = tiny.llama(seed=1, num_key_value_heads=None).model.train()
        optimizer = MuonAdamW(model, muon_rate=0.02, adamw_rate=0.01)
        losses = read(model, rows, order, 192, lambda _, optimizer=optimizer: optimizer.step())
        assert len(losses) == len(order)
        assert losses[-1] < 0.7 * losses[0]
        seen.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*seen, strict=True))


def test_only_the_wanted_tokens_count() -> None:
    """A row without wanted tokens changes nothing in its batch."""
    rows = _rows(6)
    unwanted = Passage(rows[-1].ids, np.zeros(len(rows[-1].ids)))
    losses = []
    for batch in ([*rows[:5]], [*rows[:5], unwanted]):
        model = tiny.llama(seed=1, num_key_value_heads=None).model.train()
        losses += read(model, batch, [list(range(len(batch)))], 400, lambda _: None)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_loss_that_is_no_number_stops_the_reading() -> None:
    model = tiny.llama(num_key_value_heads=None).model
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="diverged at step 1"):
        read(model, _rows(4), [[0, 1, 2, 3]], 256, lambda _: None)
