"""``--device`` and ``--dtype`` of every verb that loads models, in one place: whatever such a verb loads goes there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="Where models go: cpu, cuda, cuda:1, mps, or auto (spread over all). Default: a GPU if there is one.",
        show_default=False,
    ),
]
DtypeOption = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        metavar="DTYPE",
        help="In which numbers: float32, bfloat16, float16, or auto (as the checkpoint has them, the default).",
        show_default=False,
    ),
]


def placed(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with both options, which hold for every model that it loads."""

    @wraps(verb)
    def with_options(*args: Any, device: str | None = None, dtype: str | None = None, **kwargs: Any) -> None:
        if device is None and dtype is None:
            verb(*args, **kwargs)
            return
        from upbringing.cli import show
        from upbringing.errors import InputError
        from upbringing.models.placing import placing
        from upbringing.training import processes

        if device is not None and processes.count() > 1:
            raise InputError(f"--device {device}: of several processes each has its own device; leave it out")
        with placing(device, dtype) as chosen:
            verb(*args, **kwargs)
        if not chosen.used:
            show.note("upbringing: --device and --dtype changed nothing: no model was loaded on this machine")

    own = inspect.signature(verb, eval_str=True)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in (("device", DeviceOption), ("dtype", DtypeOption))
    ]
    whole = own.replace(parameters=[*own.parameters.values(), *more])
    with_options.__signature__ = whole  # type: ignore[attr-defined]
    with_options.__annotations__ = {name: one.annotation for name, one in whole.parameters.items()}
    return with_options


__all__ = ["DeviceOption", "DtypeOption", "placed"]
