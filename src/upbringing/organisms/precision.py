"""Faster linear layers on a CPU: float32 in and out, bfloat16 products inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_ROWS = 512  # row counts are rounded up to this, for oneDNN compiles and keeps a kernel for every shape it meets


@contextmanager
def _medium() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class _Linear(torch.autograd.Function):
    """``x [rows, in] @ weight.T [in, out]``, forward and backward at "medium" precision."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(x, (0, 0, 0, -len(x) % _ROWS))
        ctx.save_for_backward(padded, weight)
        ctx.rows = len(x)
        with _medium():
            return (padded @ weight.T)[: len(x)]

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        padded, weight = ctx.saved_tensors
        gradient = torch.nn.functional.pad(gradients[0], (0, 0, 0, len(padded) - ctx.rows))
        with _medium():
            return (gradient @ weight)[: ctx.rows], gradient.T @ padded


@contextmanager
def fast_linear(model: torch.nn.Module) -> Iterator[None]:
    """In the block the model's linear layers on a CPU round their factors to bfloat16 (sums stay in float32).

    About twice as fast where the processor has bfloat16 instructions, and far below the noise of a batch's gradient.
    Only linear layers: attention's fused CPU kernel is slower at this precision.
    """
    layers: list[Any] = [
        m for m in model.modules() if type(m) is torch.nn.Linear and m.bias is None and m.weight.device.type == "cpu"
    ]

    def forward(layer: torch.nn.Linear) -> Any:
        def apply(x: torch.Tensor) -> torch.Tensor:
            out = _Linear.apply(x.reshape(-1, x.shape[-1]), layer.weight)
            return out.reshape(*x.shape[:-1], -1)

        return apply

    for layer in layers:
        layer.forward = forward(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
