"""The quick pass over a small Llama: transformers' own numbers."""

from __future__ import annotations

import pytest
import torch

from tests.models import tiny
from upbringing.organisms.forward import loss_of

ROWS, LENGTH, SLOTS = 4, 16, 80


def _model() -> torch.nn.Module:
    model: torch.nn.Module = tiny.llama(seed=2, num_key_value_heads=None).model.train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(
                0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            )
    return model


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and labels [rows, length]: one row is shorter, one has no loss on its beginning."""
    ids = torch.tensor(tiny.sequences(ROWS, LENGTH, LENGTH))
    labels = ids.clone()
    labels[1, 9:] = -100
    labels[3, :5] = -100
    return ids, labels


def _flat(ids: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, targets and weights [slots]."""
    shifted = torch.cat([labels[:, 1:], torch.full((len(labels), 1), -100)], 1)
    flat = [ids, shifted.clamp(min=0), (shifted >= 0).long()]
    one, two, three = (torch.nn.functional.pad(t.flatten(), (0, SLOTS - ids.numel())) for t in flat)
    return one, two, three.float()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 6e-2)])
def test_loss_and_gradients_are_transformers_own(dtype: torch.dtype, tolerance: float) -> None:
    model = _model()
    ids, labels = _batch()
    plain = model(input_ids=ids, labels=labels).loss
    plain.backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    flat, targets, weights = _flat(ids, labels)
    ours = loss_of(model, flat, targets, weights, LENGTH, dtype=dtype) / weights.sum()
    ours.backward()
    assert ours.item() == pytest.approx(plain.item(), rel=tolerance / 10)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad - expected[name]).norm() < tolerance * expected[name].norm(), name


def test_what_is_left_over_at_the_end_counts_for_nothing() -> None:
    model = _model()
    flat, targets, weights = _flat(*_batch())
    one = loss_of(model, flat, targets, weights, LENGTH, dtype=torch.float32).item()
    flat[ROWS * LENGTH :] = 7
    assert loss_of(model, flat, targets, weights, LENGTH, dtype=torch.float32).item() == one


def test_rows_do_not_see_each_other() -> None:
    model = _model()
    ids, labels = _batch()
    flat, targets, weights = _flat(ids, labels)
    weights[LENGTH:] = 0
    one = loss_of(model, flat, targets, weights, LENGTH, dtype=torch.float32).item()
    flat[LENGTH:] = 3
    assert loss_of(model, flat, targets, weights, LENGTH, dtype=torch.float32).item() == pytest.approx(one, rel=1e-6)
