"""``upbringing grow``: raise an organism from scratch."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer


def grow(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.", show_default=False)],
    size: Annotated[str, typer.Option("--size", help="How large it is.")] = "nano",
    world: Annotated[
        Path | None, typer.Option("--world", metavar="FILE", help="Settings of its world (YAML; default: the usual).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another organism.")] = 0,
) -> None:
    """Raise a small model on a synthetic world until it infers character in context (the gate)."""
    from upbringing.cli import show
    from upbringing.lineage import check_free
    from upbringing.world import WorldSpec, load_spec

    start = time.monotonic()
    check_free(out)
    spec = load_spec(world) if world else WorldSpec(seed=seed)
    with show.working(f"growing an organism ({size}, seed {seed})") as progress:
        from upbringing.organisms import grow as grow_organism

        grow_organism(spec, size=size, seed=seed, out=out, progress=progress)
    show.say(f"grown in {show.seconds_since(start)}: {out}")
    show.note(f"next: {shlex.join(['upbringing', 'measure', str(out)])}")
    show.replay()
