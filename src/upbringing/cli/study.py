"""``upbringing study``: run a declared experiment to its verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study file (YAML).", show_default=False)],
    bases: Annotated[
        int | None, typer.Option("--bases", min=1, help="How many independent organisms (default: the file's).")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show the steps and the time they should take; run none.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the results go (default: runs/NAME).")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Run a study: arms raised on independent organisms, measured, and a verdict on each claim written beforehand.

    Every finished step is kept: a run that was stopped goes on where it was, with the same numbers.
    """
    raise NotImplementedError
