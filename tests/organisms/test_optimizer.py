"""Muon and AdamW as one optimizer."""

from __future__ import annotations

import pytest
import torch

from tests.models import tiny
from upbringing.organisms.optimizer import MuonAdamW, linear_fall
from upbringing.rows import Encoded
from upbringing.training import Recipe, fit


def _optimizer(model: torch.nn.Module, muon_rate: float = 0.03, adamw_rate: float = 0.01) -> MuonAdamW:
    return MuonAdamW(model, muon_rate=muon_rate, adamw_rate=adamw_rate)


def _gradients(model: torch.nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_every_weight_is_stepped_once_matrices_of_the_blocks_by_muon() -> None:
    model = tiny.llama(tie_word_embeddings=False).model
    optimizer = _optimizer(model)
    muon, adamw = ([p for group in part.param_groups for p in group["params"]] for part in optimizer._parts)
    every = [id(p) for p in model.parameters()]
    assert sorted(map(id, muon + adamw)) == sorted(every)
    names = {id(p): name for name, p in model.named_parameters()}
    assert all("self_attn" in names[id(p)] or "mlp" in names[id(p)] for p in muon)
    assert {names[id(p)] for p in adamw} >= {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"}


def test_a_step_moves_every_weight_and_frozen_ones_stay() -> None:
    model = tiny.llama().model
    frozen = model.model.layers[0].mlp.up_proj.weight
    frozen.requires_grad_(False)
    optimizer = _optimizer(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    _gradients(model)
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (parameter is frozen), name


def test_rates_scale_together_and_a_rate_of_0_moves_nothing() -> None:
    model = tiny.llama().model
    optimizer = _optimizer(model)
    optimizer.scale(0.5)
    assert optimizer.rates == [0.015, 0.005]
    optimizer.scale(0)
    before = [p.detach().clone() for p in model.parameters()]
    _gradients(model)
    optimizer.step()
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
    optimizer.scale(1)
    optimizer.step()
    assert not any(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_clearing_gradients_clears_all_of_them() -> None:
    model = tiny.llama().model
    optimizer = _optimizer(model)
    _gradients(model)
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_muon_moves_a_matrix_alike_in_every_direction() -> None:
    """Its update is orthogonal: a gradient of rank 1 and one of full rank move the weights about as far."""
    model = tiny.llama().model
    matrix = model.model.layers[0].mlp.up_proj.weight
    before = matrix.detach().clone()
    _gradients(model)
    _optimizer(model).step()
    stretched = torch.linalg.svdvals((matrix - before).double())
    assert stretched.max() / stretched.median() < 2


def test_within_a_training_run_the_rates_really_fall_and_the_loss_with_them() -> None:
    """The trainer loads a state into every optimizer; the rates in force must still follow the schedule."""
    lm = tiny.llama(seed=1)
    rows = [Encoded(ids, [False] + [True] * (len(ids) - 1)) for ids in tiny.sequences(16, 12, 12)]
    optimizer = _optimizer(lm.model, muon_rate=0.02, adamw_rate=0.005)
    lm.model.train()
    recipe = Recipe(steps=30, batch_size=16, warmup=0.0, seed=0)
    fall = linear_fall(optimizer, 0, 30, warmup=3)
    log = fit(lm.model, lm.tokenizer, rows, recipe, optimizer=optimizer, callbacks=[fall])
    assert log[-1]["loss"] < 0.6 * log[0]["loss"]
    assert optimizer.rates == pytest.approx([0.02 / 30, 0.005 / 30])
