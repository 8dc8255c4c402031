"""What people see of a study in the terminal: its plan, its progress, its verdicts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from upbringing.studies.jobs import Failure, Graph, Job, Watcher, cores, expected_seconds
from upbringing.studies.result import ClaimVerdict
from upbringing.traits.overlap import NGRAM, Overlap

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.tree import Tree

    from upbringing.studies.planning import Plan, Step
    from upbringing.studies.teaching import Reading

_KINDS = {
    "organism": ("grow", "an organism from scratch"),
    "documents": ("check", "that none of the texts it read holds a probe"),
    "rows": ("sample", "rows from a teacher"),
    "row_auc": ("tell", "single rows of two data sets apart"),
    "model": ("train", "an arm from its organism, or from another arm"),
    "oracle": ("consult", "the oracle on an arm's rows"),
    "trajectory": ("follow", "a training run, by log-probability"),
    "readings": ("measure", "a model, at rest and under provocation"),
    "networks": ("raise", "and ask all networks of a base"),
}
_COLOURS = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}


def to_go(jobs: Sequence[Job], workers: int | None) -> str:
    """How long jobs should take, in words; ``workers`` None: on a cluster, whose size is not known yet."""
    if workers is None:
        longest = duration(Graph.of(jobs).longest)
        work = duration(sum(job.seconds for job in jobs))
        return f"{work} of one core's time to go, on a cluster no less than {longest}"
    here = f" on {_count(cores(), 'core')}" if cores() < workers else ""
    return f"{duration(expected_seconds(jobs, workers))} to go with {_count(workers, 'worker')}{here}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def plan_table(plan: Plan, workers: int | None = 2) -> Tree:
    """The graph of steps: for each kind and arm how many there are, how many are made, the seconds one should take."""
    from rich.tree import Tree

    study = plan.study
    left = plan.jobs
    size = f"{len(study.arms)} arms × {study.bases} base{'s' if study.bases > 1 else ''}"
    made = f"{len(plan.steps)} steps, {len(plan.steps) - len(left)} made"
    tree = Tree(f"[bold]{study.study}[/]: {size}, {made}, {to_go(left, workers)}")
    for kind, (verb, what) in _KINDS.items():
        steps = list(plan.of(kind))
        if not steps:
            continue
        branch = tree.add(f"[bold]{verb}[/] {what}")
        branch.add(_steps_table(steps, _reads(plan) if kind == "model" else {}))
    tree.add(f"[bold]judge[/] {len(study.claims)} claims: {', '.join(claim.id for claim in study.claims)}")
    return tree


def _reads(plan: Plan) -> dict[str, str]:
    """For each trained arm the steps and the tokens it reads, averaged over bases."""
    of_arm: dict[str, list[Reading]] = {}
    for (arm, _), reading in plan.reads.items():
        of_arm.setdefault(arm, []).append(reading)
    return {
        arm: f"{found[0].steps} × {sum(r.batch_size for r in found) / len(found):.3g} rows, "
        f"{sum(r.tokens for r in found) / len(found):,.0f} tokens"
        for arm, found in of_arm.items()
    }


def _steps_table(steps: list[Step], reads: Mapping[str, str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False)
    for column in ("arm", "after", "bases", "made", "each", "core time to go"):
        table.add_column(column, justify="left" if column in ("arm", "after") else "right", overflow="fold")
    if reads:
        table.add_column("reads", justify="right")
    for arm in dict.fromkeys(step.arm for step in steps):
        of_arm = [step for step in steps if step.arm == arm]
        missing = [step for step in of_arm if not step.place.made]
        needs = {need.rpartition(", base")[0] for step in of_arm for need in step.job.needs}
        each = sum(step.job.seconds for step in of_arm) / len(of_arm)
        made = len(of_arm) - len(missing)
        to_go = duration(sum(step.job.seconds for step in missing)) if missing else "–"
        table.add_row(
            arm,
            ", ".join(sorted(needs)) or "–",
            str(len(of_arm)),
            str(made),
            duration(each),
            to_go,
            *([reads[arm]] if reads else []),
        )
    return table


def verdict_table(claims: Iterable[ClaimVerdict]) -> Table:
    """The claims, their verdicts and the numbers they rest on; fits 80 columns. The page tells each finding in full."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", overflow="fold", ratio=1)
    table.add_column("estimate [95%]", justify="right", no_wrap=True)
    for claim in claims:
        lo, hi = claim.interval
        bounds = "too few bases" if lo is None or hi is None else f"[{lo:.2f}, {hi:.2f}]"
        estimate = "–" if claim.estimate is None else f"{claim.estimate:.2f}"
        over = Text(f"\n{claim.bases} base{'s' * (claim.bases != 1)}", style="dim")
        says = Text.assemble((f"{claim.claim}\n", "bold"), claim.says)
        table.add_row(Text(claim.verdict, style=_COLOURS[claim.verdict]), says, Text(f"{estimate} {bounds}") + over)
    return table


def overlap_table(overlaps: Iterable[Overlap]) -> Table:
    """How much of the probes' wording each body of training text holds."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title="Probes in training text", title_justify="left", title_style="bold"
    )
    table.add_column("text", overflow="fold")
    for column in ("texts", "exact prompts", "exact answers", f"shared {NGRAM}-grams", "most similar"):
        table.add_column(column, justify="right")
    for overlap in overlaps:
        table.add_row(
            Text(overlap.data),
            f"{overlap.texts:,}",
            str(overlap.exact_prompts),
            str(overlap.exact_answers),
            f"{overlap.prompt_ngrams:.1%}",
            f"{overlap.worst:.0%}",
        )
    return table


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``."""
    if seconds < 1:
        return "<1 s" if seconds > 0 else "0 s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


@contextmanager
def watching(plan: Plan, console: Console) -> Iterator[Watcher]:
    """A watcher for :func:`upbringing.studies.run`."""
    with watching_jobs([step.job for step in plan.steps.values() if not step.place.made], console) as watcher:
        yield watcher


@contextmanager
def watching_jobs(jobs: list[Job], console: Console) -> Iterator[Watcher]:
    """A watcher for the engine: a progress bar on a terminal, a line a job elsewhere."""
    if not console.is_terminal:
        yield _Lines(console, len(jobs))
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Bar(bar, jobs)


class _Bar:
    """The whole run in expected seconds, and what is being done."""

    def __init__(self, bar: object, jobs: list[Job]) -> None:
        from rich.progress import Progress

        assert isinstance(bar, Progress)
        self.bar = bar
        self.count, self.ended_jobs = len(jobs), 0
        self.finished = 0.0
        self.now: dict[str, tuple[float, float]] = {}
        self.task = bar.add_task("starting workers", total=sum(job.seconds for job in jobs) or 1.0)

    def _show(self) -> None:
        done = self.finished + sum(seconds * share for seconds, share in self.now.values())
        doing = " · ".join(self.now) or "finishing"
        self.bar.update(self.task, completed=done, description=f"{self.ended_jobs}/{self.count} {doing}")

    def started(self, job: Job) -> None:
        self.now[job.name] = (job.seconds, 0.0)
        self._show()

    def moved(self, job: Job, share: float) -> None:
        self.now[job.name] = (job.seconds, min(share, 1.0))
        self._show()

    def ended(self, job: Job, seconds: float, failure: Failure | None) -> None:
        self.now.pop(job.name, None)
        self.ended_jobs += 1
        self.finished += job.seconds
        if failure:
            told = f"failed: {failure.step}: {failure.reason}"
            self.bar.console.print(told, style="red", markup=False, highlight=False)
        self._show()


class _Lines:
    """One line a finished step, for logs."""

    def __init__(self, console: Console, count: int) -> None:
        self.console, self.count, self.done = console, count, 0
        self.start = time.monotonic()

    def started(self, job: Job) -> None:
        pass

    def moved(self, job: Job, share: float) -> None:
        pass

    def ended(self, job: Job, seconds: float, failure: Failure | None) -> None:
        self.done += 1
        after = duration(time.monotonic() - self.start)
        told = f"failed: {failure.reason}" if failure else duration(seconds)
        self.console.print(f"[{self.done}/{self.count}, {after}] {job.name}: {told}", markup=False, highlight=False)
