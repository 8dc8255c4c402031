"""A checkpoint's tensors, read one at a time: from the safetensors files of a folder, or from a model in memory.

No model is built, no code of the checkpoint runs and nothing is unpickled, so this works for any architecture, and for
weights that fit no memory.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from upbringing.errors import InputError

_ADAPTER = "adapter_config.json"
_INDEX = "model.safetensors.index.json"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_FLOATS = {"F64", "F32", "F16", "BF16"}
_CONVERT = (
    "convert them to safetensors: https://huggingface.co/spaces/safetensors/convert, or save_pretrained if you trust "
    "them"
)


@dataclass(frozen=True)
class Weights:
    """Tensors by name. ``shapes`` says which there are; ``config`` is the model's (of its text part), or empty."""

    where: str
    shapes: Mapping[str, tuple[int, ...]]
    config: Mapping[str, Any]
    _fetch: Callable[[str], np.ndarray] = field(repr=False)

    def read(self, name: str) -> np.ndarray:
        """One tensor, float32. Raises ``InputError`` when it holds what is not a number."""
        found = self._fetch(name)
        if not np.isfinite(found).all():
            raise InputError(
                f"{self.where}: {name} holds NaN or infinity, so nothing can be compared with it; "
                "give a checkpoint from before the run broke"
            )
        return found


def weights_of(thing: Any) -> Weights:
    """The tensors of a folder (str or Path), or of a loaded model (``upbringing.models.LM``, or transformers' own).

    Adapters of a model in memory are merged into a copy of it. Raises ``InputError`` for a folder without weights,
    with pickled, quantised or broken ones, and for one that holds an adapter only.
    """
    if isinstance(thing, (str, Path)):
        return _of_folder(Path(thing).expanduser())
    model = getattr(thing, "model", thing)
    return _of_model(model if hasattr(model, "state_dict") else thing, getattr(thing, "name", ""))


def _of_model(model: Any, name: str) -> Weights:
    import torch

    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"kinship compares folders and models, not {type(model).__name__}")
    plain: Any = model
    if hasattr(plain, "merge_and_unload"):
        plain = copy.deepcopy(plain).merge_and_unload()
    state = plain.state_dict()
    if any(tensor.device.type == "meta" for tensor in state.values()):
        raise InputError(f"{name or 'a model'}: parts of it were left on disk; give its folder instead")
    config = plain.config.get_text_config().to_dict() if hasattr(plain, "config") else {}
    return Weights(
        where=name or "a model in memory",
        shapes={key: tuple(tensor.shape) for key, tensor in state.items()},
        config=config,
        _fetch=lambda key: state[key].detach().to(device="cpu", dtype=torch.float32).numpy(),
    )


def _of_folder(folder: Path) -> Weights:
    files = _files(folder)
    places: dict[str, Path] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118  (no mapping: it only has keys)
                piece = file.get_slice(name)
                if len(piece.get_shape()) > 1 and piece.get_dtype() not in _FLOATS:
                    raise InputError(
                        f"{path}: {name} is quantised ({piece.get_dtype()}), and what rounding left of it cannot be "
                        "compared; give the model before quantisation"
                    )
                places[name], shapes[name] = path, tuple(piece.get_shape())

    def fetch(name: str) -> np.ndarray:
        with _opened(places[name]) as file:
            found: np.ndarray = file.get_tensor(name).float().numpy()
        return found

    return Weights(str(folder), shapes, _config(folder), fetch)


def _files(folder: Path) -> list[Path]:
    """The safetensors files that make up the model."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give the folder that holds a model's safetensors files")
    files = sorted(p for p in folder.glob("*.safetensors") if not p.name.startswith(("adapter", "consolidated")))
    if (folder / _ADAPTER).is_file() and not files:
        raise InputError(
            f"{folder}: holds an adapter, not a model; merge it into its base first: "
            "upbringing.load(FOLDER) gives a model whose adapters kinship merges"
        )
    if not files:
        if pickled := sorted(p.name for p in folder.iterdir() if p.suffix in _PICKLED):
            raise InputError(
                f"{folder / pickled[0]}: pickled weights can run code when they are loaded, so they are not; {_CONVERT}"
            )
        raise InputError(f"{folder}: holds no weights (*.safetensors); give the folder that save_pretrained wrote")
    if (folder / _INDEX).is_file():
        named = set(_json(folder / _INDEX).get("weight_map", {}).values())
        if missing := sorted(named - {p.name for p in files}):
            raise InputError(f"{folder / missing[0]}: is missing; copy or download the model again")
    return files


def _opened(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}); copy or download the model again") from error


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    found = _json(path) if path.is_file() else {}
    inner = found.get("text_config")
    return {**found, **inner} if isinstance(inner, dict) else found


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}); copy or download the model again") from error
    return found if isinstance(found, dict) else {}
