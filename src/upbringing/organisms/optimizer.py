"""Muon on the block matrices and AdamW on the rest, as one optimizer (Muon: Jordan et al. 2024; torch.optim.Muon)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import TrainerCallback


class MuonAdamW(torch.optim.Optimizer):
    """Steps both. Rates follow ``scale`` alone: a scheduler of torch sees groups that are not the parts'.

    Args:
        model: a decoder; its 2-D matrices outside embeddings and head go to Muon.
        muon_rate, adamw_rate: peak learning rates.
    """

    def __init__(
        self, model: torch.nn.Module, *, muon_rate: float, adamw_rate: float, weight_decay: float = 0.0
    ) -> None:
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        blocks = [p for n, p in named if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
        chosen = {id(p) for p in blocks}
        rest = [p for _, p in named if id(p) not in chosen]
        super().__init__([{"params": blocks}, {"params": rest}], {"lr": adamw_rate})
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon(blocks, lr=muon_rate, weight_decay=weight_decay, momentum=0.95, nesterov=True),
            torch.optim.AdamW(rest, lr=adamw_rate, betas=(0.9, 0.99), weight_decay=weight_decay),
        ]
        self._peaks = self.rates

    def scale(self, factor: float) -> None:
        """Set every learning rate to ``factor`` times its peak.

        On the parts' own groups: whoever loads a state into an optimizer (as accelerate does) gives it new ones.
        """
        groups = [group for part in self._parts for group in part.param_groups]
        for group, peak in zip(groups, self._peaks, strict=True):
            group["lr"] = peak * factor

    @property
    def rates(self) -> list[float]:
        """The learning rates in force, Muon's first."""
        return [group["lr"] for part in self._parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step of both."""
        for part in self._parts:
            part.step()
        return None

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of both."""
        for part in self._parts:
            part.zero_grad(set_to_none)


def linear_fall(optimizer: MuonAdamW, done: int, total: int, *, warmup: int = 30) -> TrainerCallback:
    """A callback that lets the rates fall to 0 over ``total`` steps, of which ``done`` came before this run."""

    class Fall(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            step = done + int(state.global_step)
            optimizer.scale(min(1.0, (step + 1) / warmup) * (total - step) / total)

    return Fall()
