"""``upbringing study``: run a declared experiment to its verdicts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from upbringing.cli.engines import (
    LOCAL,
    AddressOption,
    CpusOption,
    EngineOption,
    GpusOption,
    WorkersOption,
    engine_of,
    workers_of,
)


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
    engine: EngineOption = LOCAL,
    workers: WorkersOption = 2,
    ray_address: AddressOption = None,
    step_cpus: CpusOption = 1,
    step_gpus: GpusOption = 0,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Run a study: arms raised on independent organisms, measured, and a verdict on each claim written beforehand.

    Every finished step is kept: a run that was stopped goes on where it was, with the same numbers.
    """
    from upbringing.cli import show

    start = time.monotonic()
    show.check_json_target(json)
    runs = engine_of(engine, workers=workers, address=ray_address, cpus=step_cpus, gpus=step_gpus)
    with show.working(f"planning {file}"):
        from upbringing import studies
        from upbringing.studies.show import overlap_table, verdict_table, watching

        planned = studies.plan(file, bases=bases)
    if plan:
        show.console().print(planned.show(workers_of(engine, workers)))
        return
    folder = out or Path("runs") / planned.study.study
    with watching(planned, show.console(stderr=True)) as watcher:
        result = studies.run(planned, folder, engine=runs, command=show.command(), watcher=watcher)
    with show.working("drawing the page"):
        from upbringing.report import study_page

        page = study_page(folder)
    printed = show.console(stderr=json == "-")
    if result.overlap:
        printed.print(overlap_table(result.overlap))
    printed.print(verdict_table(result.claims))
    show.write_json(result.summary(), json)
    for failure in result.failures:
        show.note(f"upbringing: {failure.step}: {failure.reason}")
    show.note(f"open the page: {page.absolute()}   ({show.seconds_since(start)})")
    show.replay()
    if result.failures:
        raise typer.Exit(1)
