"""``upbringing study``: run a declared experiment to its verdicts."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from upbringing.studies.engine import Failure, Job
    from upbringing.studies.planning import Plan
    from upbringing.studies.result import StudyResult

_CLAIMS = ("claim", "verdict", "estimate", "95%", "bases")
_COLOURS = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}


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
    from upbringing.cli import show

    start = time.monotonic()
    show.check_json_target(json)
    with show.working(f"planning {file}"):
        from upbringing.studies.planning import plan as make_plan

        planned = make_plan(file, bases=bases)
    if plan:
        show.console().print(planned.show())
        return
    folder = out or Path("runs") / planned.study.study
    result = _run(planned, folder)
    with show.working("drawing the page"):
        from upbringing.report import study_page

        page = study_page(folder)
    print_result(result, stderr=json == "-")
    show.write_json(result.summary(), json)
    show.note(f"open the page: {page.absolute()}   ({show.seconds_since(start)})")
    show.replay()
    if result.failures:
        for failure in result.failures:
            show.note(f"upbringing: {failure.step}: {failure.reason}")
        raise typer.Exit(1)


def print_result(result: StudyResult, *, stderr: bool = False) -> None:
    """The verdict on each claim, then what was found in sentences."""
    from rich.text import Text

    from upbringing.cli import show

    out = show.console(stderr=stderr)
    rows = [
        (c.claim, c.verdict, show.number(c.estimate, sign=True), show.interval(c.interval, sign=True), str(c.bases))
        for c in result.claims
    ]
    show.print_table(out, _CLAIMS, rows, title=result.study, words=2, spare=1)
    for claim in result.claims:
        out.print(Text.assemble((claim.verdict, _COLOURS[claim.verdict]), f": {claim.says.strip()}"))
        out.print(Text("  " + " ".join(claim.words)))


def _run(plan: Plan, folder: Path) -> StudyResult:
    from upbringing.cli import show
    from upbringing.studies.running import run

    jobs = [step.job for step in plan.steps.values() if not step.place.made]
    if not sys.stderr.isatty() or not jobs:
        return run(plan, folder, command=show.command())
    with _bars(jobs) as bars:
        return run(plan, folder, command=show.command(), watcher=bars)


@contextmanager
def _bars(jobs: Sequence[Job]) -> Iterator[_Bars]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from upbringing.cli import show

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=show.console(stderr=True), transient=True) as progress:
        yield _Bars(progress, jobs)


class _Bars:
    """A bar for the whole study, in expected seconds of work, and one for each step that a worker is at."""

    def __init__(self, progress: Progress, jobs: Sequence[Job]) -> None:
        self._progress = progress
        self._count, self._steps = 0, len(jobs)
        self._done = 0.0
        self._running: dict[str, tuple[TaskID, float]] = {}
        self._whole = progress.add_task(self._title(), total=sum(job.seconds for job in jobs))

    def started(self, job: Job) -> None:
        self._running[job.name] = (self._progress.add_task(f"  {job.name}", total=1.0), 0.0)

    def moved(self, job: Job, share: float) -> None:
        bar, _ = self._running[job.name]
        self._running[job.name] = (bar, share * job.seconds)
        self._progress.update(bar, completed=share)
        self._show()

    def ended(self, job: Job, seconds: float, failure: Failure | None) -> None:
        bar, _ = self._running.pop(job.name)
        self._progress.remove_task(bar)
        self._done += job.seconds
        self._count += 1
        if failure:
            self._progress.console.print(f"{failure.step}: {failure.reason}", markup=False)
        self._show()

    def _show(self) -> None:
        done = self._done + sum(seconds for _, seconds in self._running.values())
        self._progress.update(self._whole, completed=done, description=self._title())

    def _title(self) -> str:
        return f"{self._count} of {self._steps} steps"
