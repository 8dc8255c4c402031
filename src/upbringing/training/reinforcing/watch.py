"""What tells a good step from the end of a run, and keeps the last good weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from upbringing.training.reinforcing.recipe import Reinforcement

if TYPE_CHECKING:
    import torch

Entry = dict[str, float]

_LATEST = 10  # entries that are looked at together: one of them is too few answers to stop a run
_KEPT_EVERY = 5
_AS_VALID = 0.5  # of the first steps' share of valid answers; a policy that has lost more is not kept


class Watch:
    """Looks at every step's entry of the log, stops a run that can come to nothing, and can bring the last good back.

    A run stops where a loss is no number, where too few of the latest answers can be judged, and where the latest
    answers are all the same. A step is good while at least half as many answers can be judged as at first.
    """

    def __init__(
        self,
        recipe: Reinforcement,
        weights: dict[str, torch.nn.Parameter],
        log: Sequence[Entry],
        *,
        latest: int = _LATEST,
        every: int = _KEPT_EVERY,
    ) -> None:
        self.recipe, self.weights, self.latest, self.every = recipe, weights, latest, every
        self.good_step = int(log[-1]["step"]) if log else 0
        self._good = self._copied()
        self._looked_at = (self.good_step, self._good)

    def before(self, step: int) -> None:
        """Called before the answers of a step are drawn: they will show what these weights are worth."""
        if (step - 1) % self.every == 0:
            self._looked_at = (step - 1, self._copied())

    def stops(self, log: Sequence[Entry]) -> str:
        """Why the run must stop here; empty: it need not."""
        last = log[-1]
        if not math.isfinite(last["loss"]):
            return f"the loss of step {last['step']:.0f} is {last['loss']}"
        latest = log[-self.latest :]
        valid, entropy = (_mean(latest, name) for name in ("valid", "entropy"))
        if len(latest) == self.latest and valid < self.recipe.least_valid:
            return f"only {valid:.0%} of the answers up to step {last['step']:.0f} can be judged"
        if len(latest) == self.latest and entropy < self.recipe.least_entropy:
            return f"the answers up to step {last['step']:.0f} are all the same ({entropy:.4f} nats a token)"
        if last["valid"] >= max(self.recipe.least_valid, _AS_VALID * _mean(log[:3], "valid")):
            self.good_step, self._good = self._looked_at
        return ""

    def restore(self) -> None:
        """Put the weights of the last good step back."""
        import torch

        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(self._good[name])

    def _copied(self) -> dict[str, Any]:
        return {name: weight.detach().clone() for name, weight in self.weights.items()}


def _mean(log: Sequence[Entry], name: str) -> float:
    return sum(entry[name] for entry in log) / len(log)
