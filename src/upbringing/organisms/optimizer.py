"""Muon on the block matrices and AdamW on the rest, as one optimizer (Muon: Jordan et al. 2024)."""

from __future__ import annotations

import math

import torch

_A, _B, _C = 3.4445, -4.7750, 2.0315  # Jordan's quintic
_STEPS = 5


class MuonAdamW:
    """Steps both; the rates are what ``scale`` makes of the peaks.

    Matrices of one shape are orthogonalised together, which on small ones is most of the time; otherwise the numbers
    are those of ``torch.optim.Muon``.

    Args:
        model: a decoder; its 2-D matrices outside embeddings and head go to Muon.
        muon_rate, adamw_rate: peak learning rates.
    """

    def __init__(self, model: torch.nn.Module, *, muon_rate: float, adamw_rate: float, momentum: float = 0.95) -> None:
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        blocks = [p for n, p in named if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
        chosen = {id(p) for p in blocks}
        rest = [p for _, p in named if id(p) not in chosen]
        self.parameters = [p for _, p in named]
        self.rates = (muon_rate, adamw_rate)
        self._peaks, self._momentum = (muon_rate, adamw_rate), momentum
        self._stacks: list[tuple[list[torch.nn.Parameter], torch.Tensor]] = []
        for shape in sorted({tuple(p.shape) for p in blocks}):
            alike = [p for p in blocks if tuple(p.shape) == shape]
            self._stacks.append((alike, torch.zeros(len(alike), *shape)))
        self._adamw = torch.optim.AdamW(rest, lr=adamw_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)

    def scale(self, factor: float) -> None:
        """Set every learning rate to ``factor`` times its peak."""
        self.rates = (self._peaks[0] * factor, self._peaks[1] * factor)
        for group in self._adamw.param_groups:
            group["lr"] = self.rates[1]

    @torch.no_grad()
    def step(self) -> None:
        """One step of both, and the gradients are gone."""
        for alike, kept in self._stacks:
            gradient = torch.stack([_gradient(p) for p in alike])
            kept.lerp_(gradient, 1 - self._momentum)
            change = orthogonal(gradient.lerp_(kept, self._momentum))  # Nesterov's
            rate = self.rates[0] * math.sqrt(max(1.0, change.shape[1] / change.shape[2]))
            torch._foreach_add_(list(alike), list(change.to(kept.dtype).unbind()), alpha=-rate)
        self._adamw.step()
        for p in self.parameters:
            p.grad = None


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """About the nearest orthogonal matrix to each of [n, rows, columns]: five Newton-Schulz steps in bfloat16."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(_STEPS):
        gram = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return x.transpose(1, 2) if tall else x


def _gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    return parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)


def linear_fall(step: int, total: int, *, warmup: int = 30) -> float:
    """The share of the peak rate in force at a step: up during ``warmup``, then down to 0 at ``total``."""
    return min(1.0, (step + 1) / warmup) * (total - step) / total
