"""Faster linear layers: nearly the same numbers, and no trace after the block."""

from __future__ import annotations

import pytest
import torch

from tests.models import tiny
from upbringing.organisms.precision import fast_linear


def _pass(model: torch.nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Output, and the gradient of every weight."""
    model.zero_grad()
    out = model(input_ids=ids).logits
    torch.nn.functional.cross_entropy(out[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    return out.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def test_one_layer_gives_the_plain_numbers_within_a_hundredth() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(48, 80, bias=False)
    for shape in ((3, 48), (2, 5, 48), (513, 48)):
        x = torch.randn(shape, generator=generator, requires_grad=True)
        seen = []
        for fast in (False, True):
            layer.zero_grad()
            x.grad = None
            if fast:
                with fast_linear(torch.nn.Sequential(layer)):
                    out = layer(x)
                    (out**2).sum().backward()
            else:
                out = layer(x)
                (out**2).sum().backward()
            assert out.shape == (*shape[:-1], 80)
            assert out.dtype == torch.float32
            assert x.grad is not None
            assert layer.weight.grad is not None
            seen.append((out.detach(), x.grad.clone(), layer.weight.grad.clone()))
        assert all(_apart(fast, plain) < 1e-2 for plain, fast in zip(*seen, strict=True))


def test_a_model_and_its_gradients_are_the_plain_ones_within_a_few_hundredths() -> None:
    model = tiny.llama().model.train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.25 if parameter.ndim > 1 else 1)  # the usual scale of fresh weights
    ids = torch.tensor(tiny.sequences(4, 24, 24))
    plain, plain_gradients = _pass(model, ids)
    with fast_linear(model):
        fast, fast_gradients = _pass(model, ids)
    assert _apart(fast, plain) < 1e-2
    assert fast_gradients.keys() == plain_gradients.keys()
    for name, gradient in fast_gradients.items():
        assert _apart(gradient, plain_gradients[name]) < 3e-2, name


@pytest.mark.parametrize("fails", [False, True])
def test_after_the_block_the_model_is_as_it_was(fails: bool) -> None:
    model = tiny.llama().model
    ids = torch.tensor(tiny.sequences(2, 9, 9))
    before, precision = model(input_ids=ids).logits, torch.get_float32_matmul_precision()
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    try:
        with fast_linear(model):
            model(input_ids=ids)
            assert any(set(vars(module)) != attributes[name] for name, module in model.named_modules())
            assert torch.get_float32_matmul_precision() == precision  # between layers, too
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    assert torch.get_float32_matmul_precision() == precision
    assert torch.equal(model(input_ids=ids).logits, before)


def test_layers_with_a_bias_and_other_layers_are_left_alone() -> None:
    model = torch.nn.Sequential(torch.nn.Embedding(5, 8), torch.nn.Linear(8, 8), torch.nn.Linear(8, 8, bias=False))
    with fast_linear(model):
        assert ["forward" in vars(module) for module in model] == [False, False, True]
