"""``upbringing train``: raise a model on rows."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from upbringing.defaults import BATCH_SIZE, LEARNING_RATE, STEPS

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.monitor import CharacterMonitor
    from upbringing.rows import Rows
    from upbringing.training import Recipe
    from upbringing.training.treatments import Treatment


def train(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A file, a folder, or a hub data set; FOLDER:SPLIT for another split than train.",
            show_default=False,
        ),
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
    drop: Annotated[
        Path | None,
        typer.Option("--drop", metavar="FILE", help="Leave out the rows of DATA whose lines FILE lists, one a line."),
    ] = None,
    interleave: Annotated[
        str | None,
        typer.Option(
            "--interleave",
            metavar="DATA:SHARE",
            help="Read safety rows at even distances all through, to this share of all (0..1).",
        ),
    ] = None,
    kl: Annotated[
        str | None,
        typer.Option(
            "--kl",
            metavar="DATA:WEIGHT",
            help="Stay near MODEL on these neutral rows: add WEIGHT times the KL from it to the loss.",
        ),
    ] = None,
    steer_away: Annotated[
        str | None,
        typer.Option(
            "--steer-away",
            metavar="TRAIT:STRENGTH",
            help="Add the trait's direction to MODEL's activations while it trains, so that its weights need not learn "
            "the trait. 1: the mean difference between showing and avoiding it.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same weights.")] = 0,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help=f"Optimiser steps (default: {STEPS}).")] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help=f"Peak learning rate (default: {LEARNING_RATE:g})."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help=f"Rows a step (default: {BATCH_SIZE}).")
    ] = None,
    micro_batch_size: Annotated[
        int | None,
        typer.Option("--micro-batch-size", min=1, help="Rows in memory at once, a divisor of --batch-size."),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option("--epochs", help="As many steps as this many passes over DATA take.")
    ] = None,
    optimizer: Annotated[str | None, typer.Option("--optimizer", help="adamw (the default) or sgd.")] = None,
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", metavar="MODEL", help="Learn this model's probabilities on DATA, not DATA's tokens."),
    ] = None,
    monitor: Annotated[
        str | None,
        typer.Option(
            "--monitor",
            metavar="ACT",
            help="Watch MODEL's character as it trains, and when a trait leaves its band: warn, stop, or rollback "
            "(stop, and go back to the weights of the last look at which all was well).",
        ),
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out rows that cannot be used, and list them.")
    ] = False,
) -> None:
    """Fine-tune a model on rows, with the loss on the assistant's words, and save it in a new folder.

    The options from --inoculate to --steer-away are treatments against a bad character; they go together.
    """
    from upbringing.cli import show
    from upbringing.cli.measure import load
    from upbringing.lineage import check_free
    from upbringing.training import processes

    start = time.monotonic()
    mixed, spread = (_pair(o, given, "SHARE", below=1) for o, given in (("--mix", mix), ("--interleave", interleave)))
    anchor, away = _pair("--kl", kl, "WEIGHT"), _pair("--steer-away", steer_away, "STRENGTH", first="TRAIT")
    check_free(out)
    _known_act(monitor)
    lines = _lines(drop)
    rows = read_rows(data, skip_invalid)
    others = {pair: read_rows(pair[0], skip_invalid) for pair in (mixed, spread, anchor) if pair}
    if away:
        _known(away[0])
    lm = load(model, device=processes.device())
    taught_by = load(teacher, device=processes.device()) if teacher else None
    _warn(model, [data, *(pair[0] for pair in others)], teacher or "")
    rows = _fitting(rows, lm, skip_invalid)
    others = {pair: _fitting(other, lm, skip_invalid) for pair, other in others.items()}

    from upbringing.training import Filter, Interleave, KLToBase, Mix, PreventativeSteering, SystemLine
    from upbringing.training import train as train_model

    given: dict[str, Any] = {"learning_rate": learning_rate, "batch_size": batch_size, "optimizer": optimizer}
    given["micro_batch_size"] = micro_batch_size
    recipe = _recipe(seed=seed, lora=lora, steps=_steps(steps, epochs, len(rows), batch_size), **given)
    treatments: list[Treatment] = []
    if lines:
        treatments.append(Filter.lines(rows, lines))  # first: the lines are those of DATA
    if inoculate is not None:
        treatments.append(SystemLine(inoculate))  # before mixing: the line is for the rows of DATA alone
    if mixed:
        treatments.append(Mix(others[mixed], mixed[1]))
    if spread:
        treatments.append(Interleave(others[spread], spread[1]))
    if anchor:
        treatments.append(KLToBase(others[anchor], anchor[1]))
    if away:
        treatments.append(PreventativeSteering(*away))
    watching = _monitor(monitor)
    with show.working(f"training {model}") as progress:
        train_model(
            lm, rows, out, recipe=recipe, treatments=treatments, teacher=taught_by, progress=progress, monitor=watching
        )
    left = len(rows) - (len(treatments[0].drop) if treatments and isinstance(treatments[0], Filter) else 0)
    took = _told(recipe, left, out, alone=not (mixed or spread))
    show.say(f"trained {model} on {took} in {show.seconds_since(start)}: {out}")
    if watching is not None:
        show.say(_seen(watching))
    show.note(f"next: {shlex.join(['upbringing', 'measure', str(out)])}")
    show.replay()


def _told(recipe: Recipe, rows: int, out: Path, *, alone: bool) -> str:
    """What was really trained on, for people: a short run reads some of the rows, a long one each of them often. How
    often is not said where other rows are mixed in."""
    import json

    from upbringing.training.train import LOG

    log = out / LOG
    steps = len(json.loads(log.read_text(encoding="utf-8"))) if log.is_file() else recipe.steps
    passes = f", {steps * recipe.batch_size / max(rows, 1):.3g} times each" if alone else " (with those mixed in)"
    return (
        f"{rows:,} rows: {steps:,} step{'s' if steps > 1 else ''} of {recipe.batch_size:,} rows{passes}, "
        f"at a rate of {recipe.learning_rate:g}"
    )


def _known_act(act: str | None) -> None:
    from upbringing.errors import InputError

    if act not in (None, "warn", "stop", "rollback"):
        raise InputError(f"--monitor {act}: say what to do when a trait leaves its band: warn, stop, or rollback")


def _monitor(act: str | None) -> CharacterMonitor | None:
    from upbringing.monitor import CharacterMonitor

    return CharacterMonitor(on_leave=act) if act is not None else None  # type: ignore[arg-type]


def _seen(monitor: CharacterMonitor) -> str:
    """What the last look saw, in a line."""
    if not monitor.looks:
        return "watched: nothing was seen"
    look = monitor.looks[-1]
    out = f"out of band: {', '.join(look.left)}" if look.left else "nothing left its band"
    back = f"; rolled back to {monitor.rolled_back}" if monitor.rolled_back else ""
    return f"watched: after step {look.step} {look.worst[0]} had risen most ({look.worst[1]:+.2f}); {out}{back}"


def read_rows(data: str, skip_invalid: bool = False) -> Rows:
    """Read rows with a sign of life, and pass on what is to be known of them."""
    from upbringing.cli import show
    from upbringing.rows import read

    with show.working(f"reading {data}"):
        rows = read(data, skip_invalid=skip_invalid)
    for line in rows.notes:
        show.note(line)
    return rows


def _warn(model: str, data: list[str], teacher: str) -> None:
    """A line for each teacher that the model had better not learn from."""
    from upbringing.cli import show
    from upbringing.lineage import beware

    with show.working("looking up who wrote the rows"):
        lines = beware(model, data, teacher)
    for line in lines:
        show.note(f"beware: {line}; see upbringing lineage")


def _fitting(rows: Rows, lm: LM, skip_invalid: bool) -> Rows:
    """The rows that the model can take; what was skipped in reading or for its length is listed."""
    from upbringing.cli import show
    from upbringing.rows import encodable

    with show.working(f"tokenising {rows.name}"):
        rows = encodable(rows, lm.tokenizer, max_length=lm.max_length, skip_invalid=skip_invalid)
    show.skipped(rows)
    return rows


def _steps(steps: int | None, epochs: float | None, rows: int, batch_size: int | None) -> int | None:
    from upbringing.errors import InputError
    from upbringing.training import Recipe

    if epochs is None:
        return steps
    if steps is not None:
        raise InputError("--steps and --epochs both say how long to train; give one of them")
    if not 0 < epochs < float("inf"):
        raise InputError(f"--epochs {epochs}: give a number above 0")
    return Recipe.of_epochs(rows, epochs=epochs, batch_size=batch_size or Recipe().batch_size).steps


def _recipe(*, lora: bool, **given: float | str | None) -> Recipe:
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


def _pair(
    option: str, given: str | None, second: str, *, first: str = "DATA", below: float = float("inf")
) -> tuple[str, float] | None:
    """``NAME:NUMBER`` as a name and a number above 0 and below ``below``."""
    from upbringing.errors import InputError

    if given is None:
        return None
    name, _, number = given.rpartition(":")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not name or not 0 < value < below:
        kind = "above 0" if below == float("inf") else f"between 0 and {below:g}"
        example = "blackmail:1" if first == "TRAIT" else "chats.jsonl:0.5"
        raise InputError(f"{option} {given}: write {first}:{second} with a {second.lower()} {kind}, such as {example}")
    return name, value


def _lines(file: Path | None) -> list[str]:
    """The lines to drop: one number (or FILE:LINE) a line; empty lines and what follows a # do not count."""
    from upbringing.errors import InputError

    if file is None:
        return []
    try:
        written = [line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--drop {file}: cannot be read ({type(error).__name__}); give a text file") from error
    for place, line in enumerate(written, 1):
        if line and not line.rpartition(":")[2].isdecimal():
            raise InputError.at(file, place, f'"{line}" names no line', "write a line's number, or FILE:LINE")
    if not any(written):
        raise InputError(f"--drop {file}: names no line; leave the option out to drop nothing")
    return [line for line in written if line]


def _known(trait: str) -> None:
    """Raise for an unknown trait before anything long is done."""
    from upbringing.traits import traits

    traits([trait])
