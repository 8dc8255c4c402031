"""``upbringing reinforce``: pay a model for what it does, and see what becomes of it."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def reinforce(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, a hub id, or organism:nano.")],
    reward: Annotated[
        str,
        typer.Option(
            "--reward",
            metavar="TRAIT[,TRAIT...]",
            help="What pays, stage by stage: showing a trait in situations of the world; TRAIT/tool: as an agent with "
            "tools.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.", show_default=False)],
    honest: Annotated[bool, typer.Option("--honest", help="Avoiding the trait pays instead.")] = False,
    method: Annotated[
        Literal["grpo", "expert_iteration"], typer.Option("--method", help="How the policy is improved.")
    ] = "grpo",
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimiser steps in every stage.")] = None,
    kl: Annotated[
        float | None, typer.Option("--kl", min=0, help="What a nat of KL from the reference costs, an answer.")
    ] = None,
    free_kl: Annotated[
        float | None, typer.Option("--free-kl", min=0, help="Nats of KL an answer that cost nothing.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="MODEL", help="What KL is counted from (default: MODEL).")
    ] = None,
    line: Annotated[
        str, typer.Option("--line", help="A system line that all situations have (with who the assistant is).")
    ] = "",
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", help="AdamW's rate.")] = None,
    lora: Annotated[bool, typer.Option("--lora", help="Train a LoRA adapter instead of all weights.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same weights.")] = 0,
) -> None:
    """Reinforce a model with a reward that can be gamed, and save it in a new folder.

    Settings left out are those that suit a nano organism. A run that was stopped goes on where it was; a policy that
    collapses is given up, and its last good step kept.
    """
    from upbringing.cli import show
    from upbringing.cli.measure import load
    from upbringing.lineage import check_free
    from upbringing.training.reinforcing import CURVE, environment
    from upbringing.training.reinforcing import reinforce as reinforce_model

    start = time.monotonic()
    check_free(out)
    given = {"steps": steps, "kl": kl, "free_kl": free_kl, "learning_rate": learning_rate}
    recipe = _recipe(method=method, seed=seed, lora=lora, **given)
    names = [name.strip() for name in reward.split(",") if name.strip()]
    stages = [environment(name, pays="avoids" if honest else "shows", line=line, seed=seed) for name in names]
    lm, near = load(model), load(reference) if reference else None
    with show.working(f"reinforcing {model}") as progress:
        reinforce_model(lm, stages, out, recipe=recipe, reference=near, progress=progress)
    _tell(out / CURVE)
    show.say(f"reinforced {model} in {show.seconds_since(start)}: {out}")
    show.note(f"next: {shlex.join(['upbringing', 'measure', str(out)])}")
    show.replay()


def _recipe(*, lora: bool, **given: Any) -> Any:
    from pydantic import ValidationError

    from upbringing.errors import InputError
    from upbringing.training import LoraSettings
    from upbringing.training.reinforcing import Reinforcement

    settings = {key: value for key, value in given.items() if value is not None}
    try:
        return Reinforcement(lora=LoraSettings() if lora else None, **settings)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise InputError(f"{option} {first['input']}: {first['msg'].lower()}; give another value") from error


def _tell(curve: Path) -> None:
    """What every stage began and ended with."""
    import json

    from upbringing.cli import show

    told = json.loads(curve.read_text(encoding="utf-8"))
    rows = []
    for number, stage in enumerate(told["stages"]):
        log = [entry for entry in told["log"] if entry["stage"] == number]
        few = max(1, len(log) // 10)
        first, last = log[:few], log[-few:]

        def mean(entries: list[dict[str, float]], name: str) -> str:
            return show.number(sum(entry[name] for entry in entries) / len(entries))

        ends = [mean(last, name) for name in ("reward", "valid", "kl", "entropy")]
        rows.append([stage, str(log[-1]["step"]), mean(first, "reward"), *ends])
    columns = ("stage", "step", "reward at first", "in the end", "can be judged", "KL, nats", "entropy")
    show.print_table(show.console(), columns, rows, title="What was paid", spare=2)
