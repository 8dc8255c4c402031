"""Treatments by name, for files and command lines: ``treatment_from("kl", neutral_rows, weight=0.5)``."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import ValidationError

from upbringing.errors import InputError
from upbringing.training.acting import KLToBase, PreventativeSteering
from upbringing.training.adapter import InoculationAdapter
from upbringing.training.recipe import LoraSettings, Recipe
from upbringing.training.selecting import Filter, Interleave
from upbringing.training.treatments import Mix, SystemLine, Treatment

KINDS: dict[str, type] = {
    "line": SystemLine,
    "mix": Mix,
    "filter": Filter,
    "interleave": Interleave,
    "kl": KLToBase,
    "steer": PreventativeSteering,
    "adapter": InoculationAdapter,
}


def treatment_from(kind: str, what: Any, **settings: Any) -> Treatment:
    """The treatment of a kind (``KINDS``) made of its first argument and its settings by name.

    ``what``: the line, the rows, the numbers to drop or the trait. ``training`` may be a mapping of ``Recipe``'s
    fields (LoRA's own settings where it names none). Raises ``InputError`` for an unknown kind, an unknown or missing
    setting, and settings that the treatment refuses.
    """
    made = KINDS.get(kind)
    if made is None:
        raise InputError(f'there is no treatment "{kind}"; known: {", ".join(KINDS)}')
    if isinstance(training := settings.get("training"), dict):
        try:
            settings = {**settings, "training": Recipe(**{"lora": LoraSettings(), **training})}
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"{kind}: training: {place}: {first['msg'].lower()}; mend it") from error
    try:
        bound = inspect.signature(made).bind(what, **settings)
    except TypeError as error:
        takes = ", ".join(list(inspect.signature(made).parameters)[1:]) or "no settings"
        raise InputError(f"{kind}: {error}; it takes: {takes}") from error
    treatment: Treatment = made(*bound.args, **bound.kwargs)
    return treatment
