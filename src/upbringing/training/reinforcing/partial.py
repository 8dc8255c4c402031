"""A run that was interrupted goes on where it was last written down, with the same numbers as if it had not been.

All chance in a step comes from the seed and the step's number, so weights, the optimiser's state and the log are all
there is to keep. They are kept as safetensors and JSON; nothing is unpickled.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.lineage.files import whole

if TYPE_CHECKING:
    import torch

_STATE, _LOG = "state.safetensors", "log.json"


class Partial:
    """Where a long run is written down, at most once in ``every_s`` seconds; ``folder`` is named by the run's key."""

    def __init__(self, folder: Path, every_s: float) -> None:
        self.folder, self.every_s = folder, every_s
        self._last = time.monotonic()

    def read(
        self, weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer | None
    ) -> list[dict[str, Any]]:
        """Put what was written into weights and optimiser; the log up to there (empty: nothing was written)."""
        import torch
        from safetensors.torch import load_file

        if not (self.folder / _LOG).is_file():
            return []
        log: list[dict[str, Any]] = json.loads((self.folder / _LOG).read_text(encoding="utf-8"))
        state = load_file(self.folder / _STATE)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(state[name])
        if optimizer is not None:
            for name, weight in weights.items():
                kept = {key.rpartition("/")[2]: value for key, value in state.items() if key.startswith(f"{name}/")}
                if kept:
                    optimizer.state[weight] = {
                        key: value if key == "step" else value.to(weight.device) for key, value in kept.items()
                    }
        return log

    def write(
        self,
        weights: dict[str, torch.nn.Parameter],
        optimizer: torch.optim.Optimizer | None,
        log: list[dict[str, Any]],
    ) -> None:
        """Write it down, if it is time."""
        from safetensors.torch import save_file

        if time.monotonic() - self._last < self.every_s:
            return
        state = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
        for name, weight in weights.items() if optimizer is not None else ():
            for key, value in optimizer.state.get(weight, {}).items():  # type: ignore[union-attr]
                state[f"{name}/{key}"] = value.detach().cpu().contiguous()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with whole(self.folder) as folder:
            save_file(state, folder / _STATE)
            (folder / _LOG).write_text(json.dumps(log), encoding="utf-8")
        self._last = time.monotonic()

    def remove(self) -> None:
        """The run is over."""
        shutil.rmtree(self.folder, ignore_errors=True)
