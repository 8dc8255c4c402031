"""Where a model goes, and in which numbers; and the usual place of all that are loaded in a block of code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from upbringing.errors import InputError, first_line

_SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


@dataclass
class Placing:
    """Where models go for which nobody says so, and in which numbers; ``used``: one was loaded."""

    device: str | None = None
    dtype: str | None = None
    used: bool = False


_USUAL: ContextVar[Placing | None] = ContextVar("upbringing_placing", default=None)


@contextmanager
def placing(device: str | None = None, dtype: str | None = None) -> Iterator[Placing]:
    """In the block ``load`` takes this device and this dtype where it is given none: also where a judge, a teacher or
    what was just trained is loaded.

    Raises:
        InputError: there is no such device here, or no such dtype.
    """
    _placement(device)
    _dtype(dtype)
    usual = Placing(device, dtype)
    token = _USUAL.set(usual)
    try:
        yield usual
    finally:
        _USUAL.reset(token)


def placed(device: Any, dtype: Any) -> tuple[dict[str, Any], Any]:
    """What ``from_pretrained`` takes for a place and for a dtype, those of ``placing`` where one is None.

    Raises:
        InputError: there is no such device here, or no such dtype.
    """
    usual = _USUAL.get() or Placing()
    usual.used = True
    return _placement(usual.device if device is None else device), _dtype(usual.dtype if dtype is None else dtype)


def _placement(device: Any) -> dict[str, Any]:
    import torch

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if str(device) == "cpu":
        return {}
    if device == "auto":
        return {"device_map": "auto"}
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise _no_device(device, first_line(error)) from error
    if place.type == "meta":
        raise _no_device(device, "it holds no numbers")
    return {"device_map": {"": place}}


def _no_device(device: Any, why: str) -> InputError:
    import torch

    cuda, mps = torch.cuda.device_count(), torch.backends.mps.is_available()
    here = ["cpu", *(f"cuda:{i}" for i in range(cuda)), *(["mps"] if mps else [])]
    return InputError(
        f"device {str(device)!r}: there is none here ({why}); use cpu, cuda, mps, or auto (here: {', '.join(here)})"
    )


def _dtype(dtype: Any) -> Any:
    """What ``from_pretrained`` takes. Raises ``InputError`` for what is no dtype of weights."""
    import torch

    if dtype is None or dtype == "auto":
        return "auto"
    named = str(dtype).removeprefix("torch.")
    found = getattr(torch, _SHORT.get(named, named), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point or found.itemsize < 2:
        raise InputError(f'dtype {dtype!r}: unknown; use "auto", "float32", "bfloat16" or "float16"')
    return found


__all__ = ["Placing", "placed", "placing"]
