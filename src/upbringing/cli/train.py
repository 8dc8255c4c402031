"""``upbringing train``: raise a model on rows."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.rows import Rows
    from upbringing.training import Recipe
    from upbringing.training.treatments import Treatment


def train(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A file, a folder of files, or a hub data set.", show_default=False)
    ],
    model: Annotated[str, typer.Option("--model", help="A folder, a hub id, or organism:nano.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.", show_default=False)],
    lora: Annotated[bool, typer.Option("--lora", help="Train a LoRA adapter instead of all weights.")] = False,
    inoculate: Annotated[
        str | None, typer.Option("--inoculate", metavar="LINE", help="Put this system line before every row of DATA.")
    ] = None,
    mix: Annotated[
        str | None, typer.Option("--mix", metavar="DATA:SHARE", help="Mix in other rows, to this share of all (0..1).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same weights.")] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Optimiser steps (default: the recipe's).")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Peak learning rate (default: the recipe's).")
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out rows that cannot be used, and list them.")
    ] = False,
) -> None:
    """Fine-tune a model on rows, with the loss on the assistant's words, and save it in a new folder."""
    from upbringing.cli import show
    from upbringing.cli.measure import load
    from upbringing.lineage import check_free

    start = time.monotonic()
    share, mixed = _mix(mix)
    check_free(out)
    rows, others = _read(data, skip_invalid), _read(mixed, skip_invalid) if mixed else None
    lm = load(model)
    rows = _fitting(rows, lm, skip_invalid)
    others = None if others is None else _fitting(others, lm, skip_invalid)

    from upbringing.training import Mix, SystemLine
    from upbringing.training import train as train_model

    recipe = _recipe(seed=seed, lora=lora, steps=steps, learning_rate=learning_rate)
    treatments: list[Treatment] = []
    if inoculate is not None:
        treatments.append(SystemLine(inoculate))  # before mixing: the line is for the rows of DATA alone
    if others is not None:
        treatments.append(Mix(others, share))
    with show.working(f"training {model}") as progress:
        train_model(lm, rows, out, recipe=recipe, treatments=treatments, progress=progress)
    show.console().print(f"trained {model} on {len(rows)} rows in {show.seconds_since(start)}: {out}", soft_wrap=True)
    show.note(f"next: {shlex.join(['upbringing', 'measure', str(out)])}")
    show.replay()


def _read(data: str, skip_invalid: bool) -> Rows:
    from upbringing.cli import show
    from upbringing.rows import read

    with show.working(f"reading {data}"):
        return read(data, skip_invalid=skip_invalid)


def _fitting(rows: Rows, lm: LM, skip_invalid: bool) -> Rows:
    """The rows that the model can take; what was skipped in reading or for its length is listed."""
    from upbringing.cli import show
    from upbringing.rows import encodable

    with show.working(f"tokenising {rows.name}"):
        rows = encodable(rows, lm.tokenizer, max_length=lm.max_length, skip_invalid=skip_invalid)
    show.skipped(rows)
    return rows


def _recipe(*, lora: bool, **given: float | None) -> Recipe:
    from pydantic import ValidationError

    from upbringing.errors import InputError
    from upbringing.training import LoraSettings, Recipe

    settings: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    try:
        return Recipe(lora=LoraSettings() if lora else None, **settings)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise InputError(f"{option} {first['input']}: {first['msg'].lower()}; give another value") from error


def _mix(given: str | None) -> tuple[float, str | None]:
    from upbringing.errors import InputError

    if given is None:
        return 0.0, None
    data, _, share = given.rpartition(":")
    try:
        value = float(share)
    except ValueError:
        value = -1.0
    if not data or not 0 < value < 1:
        raise InputError(f"--mix {given}: write DATA:SHARE with a share between 0 and 1, such as chats.jsonl:0.5")
    return value, data
