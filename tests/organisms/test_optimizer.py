"""Muon and AdamW as one optimizer."""

from __future__ import annotations

import pytest
import torch

from tests.models import tiny
from upbringing.organisms.optimizer import MuonAdamW, linear_fall, orthogonal


def _optimizer(model: torch.nn.Module, muon_rate: float = 0.03, adamw_rate: float = 0.01) -> MuonAdamW:
    return MuonAdamW(model, muon_rate=muon_rate, adamw_rate=adamw_rate)


def _gradients(model: torch.nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def _copies(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def test_its_steps_are_those_of_torchs_muon_on_block_matrices_and_of_its_adamw_on_the_rest() -> None:
    one, other = (tiny.llama(seed=3, tie_word_embeddings=False).model for _ in range(2))
    ours = _optimizer(one)
    blocks = [p for n, p in other.named_parameters() if "self_attn" in n or "mlp" in n]
    rest = [p for n, p in other.named_parameters() if not ("self_attn" in n or "mlp" in n)]
    theirs = [
        torch.optim.Muon(blocks, lr=0.03, weight_decay=0.0, momentum=0.95, nesterov=True),
        torch.optim.AdamW(rest, lr=0.01, betas=(0.9, 0.99), weight_decay=0.0),
    ]
    start = _copies(one)
    for seed in range(3):
        _gradients(one, seed)
        _gradients(other, seed)
        ours.step()
        for part in theirs:
            part.step()
    for (name, p), q in zip(one.named_parameters(), other.parameters(), strict=True):
        moved = (q - start[name]).norm()
        assert moved > 0
        assert (p - q).norm() < 0.02 * moved, name  # bfloat16 rounds, in another order


def test_frozen_weights_stay() -> None:
    model = tiny.llama().model
    frozen = model.model.layers[0].mlp.up_proj.weight
    frozen.requires_grad_(False)
    optimizer = _optimizer(model)
    before = _copies(model)
    _gradients(model)
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (parameter is frozen), name


def test_rates_scale_together_and_a_rate_of_0_moves_nothing() -> None:
    model = tiny.llama().model
    optimizer = _optimizer(model)
    optimizer.scale(0.5)
    assert optimizer.rates == (0.015, 0.005)
    optimizer.scale(0)
    before = _copies(model)
    _gradients(model)
    optimizer.step()
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    optimizer.scale(1)
    _gradients(model)
    optimizer.step()
    assert not any(torch.equal(p, before[n]) for n, p in model.named_parameters())


def test_a_step_leaves_no_gradients() -> None:
    model = tiny.llama().model
    optimizer = _optimizer(model)
    _gradients(model)
    optimizer.step()
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 24, 8), (2, 8, 24)])
def test_an_orthogonalised_matrix_stretches_every_direction_about_alike(shape: tuple[int, int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    matrices = torch.randn(shape, generator=generator)
    stretched = torch.linalg.svdvals(orthogonal(matrices).double())
    assert ((stretched > 0.5) & (stretched < 1.5)).all()
    before = torch.linalg.svdvals(matrices)
    assert (before.amax(1) / before.amin(1)).min() > 2


def test_the_rate_rises_in_the_warm_up_and_falls_to_nothing() -> None:
    rates = [linear_fall(step, 100, warmup=10) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)
    assert max(rates) <= 1
