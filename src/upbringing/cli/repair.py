"""``upbringing repair``: the smallest remedy that brings a character back, and holds."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.repair import Repair, Task
    from upbringing.repair.search import Engine
    from upbringing.rows import Rows
    from upbringing.studies.engine import Failure, Job

FILES = ("model", "data.jsonl", "before", "after", "reference", "result.json", "report.html")
_COLUMNS = ("remedy", "verdict", "tokens", "at rest", "provoked", "skill", "worst under")
_WORKERS = 2


def repair(
    what: Annotated[
        str,
        typer.Argument(metavar="MODEL|DATA", help="A spoiled model; or data, with --model.", show_default=False),
    ],
    model: Annotated[
        str | None, typer.Option("--model", help="Train this model on DATA, and repair what comes of it.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="MODEL", help="The clean model (default: the one before).")
    ] = None,
    honest: Annotated[
        str | None, typer.Option("--honest", metavar="DATA", help="Clean is --model trained on these rows.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", metavar="TOKENS", min=0, help="What a remedy may take (default: as DATA).")
    ] = None,
    remedies: Annotated[
        str | None, typer.Option("--remedies", metavar="A,B", help="Only these (default: all that apply).")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", metavar="FILE", help="Remedial rows to try as a remedy of their own.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="A,B", help="What was wanted: lesson (of the rows), nothing, or traits."),
    ] = None,
    margin: Annotated[float, typer.Option("--margin", help="How near to the clean rate is near enough.")] = 0.03,
    at_most: Annotated[
        float | None, typer.Option("--at-most", metavar="RATE", help="No trait may show more than this at rest.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where model, data and page go.")] = Path(
        "runs/repair"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same outcome.")] = 0,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Find the smallest remedy that brings every misaligned trait back, at rest and under provocation.

    Remedies are tried at ascending doses, by one half of the held-out families; the smallest that holds is checked by
    the other half, and under provocations the search never used. What was tried is kept: a stopped search goes on.
    """
    from upbringing.cli import show
    from upbringing.cli.measure import load
    from upbringing.cli.train import read_rows
    from upbringing.errors import InputError
    from upbringing.lineage import check_free
    from upbringing.repair.remedy import check_names

    start = time.monotonic()
    show.check_json_target(json)
    check_free(out, replaces=FILES)
    named = None if remedies is None else [name.strip() for name in remedies.split(",") if name.strip()]
    check_names(named)  # before a model is loaded and asked
    _check_paths(rows)
    if honest is not None and model is None:
        raise InputError("--honest needs --model: the clean model is that one trained on honest rows")
    data = read_rows(what) if model is not None else None
    honest_rows = None if honest is None else read_rows(honest)
    lm = load(model or what)
    clean = None if reference is None else load(reference)
    if data is not None:
        data = _fitting(data, lm)
    outcome = run(
        lm,
        data,
        reference=clean,
        honest=None if honest_rows is None else _fitting(honest_rows, lm),
        budget=budget,
        remedies=named,
        written=rows,
        keep=None if keep is None else [name.strip() for name in keep.split(",") if name.strip()],
        margin=margin,
        at_most=at_most,
        seed=seed,
    )
    title = f"Repairing {what}" if model is None else f"Repairing what {what} does to {model}"
    keep_result(outcome, out, title=title, command=show.command())
    print_repair(outcome, stderr=json == "-")
    show.write_json(outcome.as_dict(), json)
    if outcome.after is not None:
        which = "the treated model" if outcome.found else "the model that came nearest"
        show.note(f"{which}: {out / 'model'}   what it read: {out / 'data.jsonl'}")
        show.note(f"next: {shlex.join(['upbringing', 'measure', str(out / 'model')])}")
    show.note(f"open the page: {(out / 'report.html').absolute()}   ({show.seconds_since(start)})")
    show.replay()


def run(lm: LM, rows: Rows | None, **settings: object) -> Repair:
    """Repair with two workers and a sign of life."""
    from upbringing.cli import show
    from upbringing.repair import repair as find

    with show.working("repairing") as progress:
        done = iter((0.02, 0.05, 0.2, 0.95))

        def say(stage: str) -> None:
            progress(stage, next(done, 1.0))

        def moved(share: float, task: str) -> None:
            progress(f"trying {task}", 0.2 + 0.75 * share)

        return find(lm, rows, engine=two_workers(moved), say=say, **settings)  # type: ignore[arg-type]


def two_workers(moved: Callable[[float, str], None]) -> Engine:
    """The studies' engine for a search's tasks."""

    def do(tasks: Sequence[Task]) -> list[tuple[str, str]]:
        from upbringing.studies.engine import Job, run_jobs

        jobs = [Job(task.name, task.function, task.arguments, task.needs) for task in tasks]
        failures = run_jobs(jobs, workers=_WORKERS, watcher=_Watch(len(jobs), moved))
        return [(failed.step, failed.reason) for failed in failures]

    return do


class _Watch:
    """Counts what is done."""

    def __init__(self, of: int, moved: Callable[[float, str], None]) -> None:
        self.done, self.of, self.tell = 0, of, moved

    def started(self, job: Job) -> None:
        self.tell(self.done / self.of, job.name)

    def moved(self, job: Job, share: float) -> None:
        self.tell((self.done + share) / self.of, job.name)

    def ended(self, job: Job, seconds: float, failure: Failure | None) -> None:
        self.done += 1


def keep_result(outcome: Repair, out: Path, *, title: str, command: str) -> None:
    """The treated model, what it read, all readings, the result and the page, in one folder that appears whole."""
    import shutil

    from upbringing.cli import show
    from upbringing.lineage import new_folder
    from upbringing.repair import attempts
    from upbringing.report.repair import repair_page

    with new_folder(out, replaces=FILES) as folder:
        for name in ("before", "after", "reference"):
            profile = getattr(outcome, name)
            if profile is not None:
                profile.save(folder / name)
        if outcome.folder is not None:
            shutil.copytree(outcome.folder / attempts.MODEL, folder / "model")
            shutil.copy2(outcome.folder / attempts.DATA, folder / "data.jsonl")
        show.write_json(outcome.as_dict(), str(folder / "result.json"))
        repair_page(outcome, folder / "report.html", title=title, command=command)


def print_repair(outcome: Repair, *, stderr: bool = False) -> None:
    """What was found in a sentence, then each remedy's best dose."""
    from upbringing.cli import show
    from upbringing.repair.result import best_of

    out = show.console(stderr=stderr)
    rows = []
    for name, one in sorted(best_of(outcome.tried).items(), key=lambda item: (item[1].judgement.worst, item[0])):
        judged = one.judgement
        mark = " ←" if one == outcome.best else ""
        rows.append(
            (
                name + mark,
                judged.verdict,
                f"{one.tokens:,}",
                show.number(judged.rest, sign=True),
                show.number(judged.worst, sign=True),
                show.number(judged.skill),
                judged.under,
            )
        )
    if rows:
        title = "the best dose of each remedy, as the search saw it"
        show.print_table(out, _COLUMNS, rows, title=title, words=2, spare=1)
        show.say(
            "at rest, provoked: how far the worst trait stays above its aim; it is back at 0 or below", stderr=stderr
        )
    for name, reason in outcome.failures:
        show.note(f"upbringing: {name}: {reason}")
    out.print(outcome.says)
    if outcome.final is not None:
        out.print(_folds(outcome))


def _folds(outcome: Repair) -> str:
    """By how much the mean rate was divided, in the final check."""
    assert outcome.final is not None
    fold, hardest = outcome.final.fold["logprob"], outcome.final.hardest
    return (
        f"mean misaligned rate divided by {fold['rest']:.1f} at rest, and by {fold[hardest]:.1f} under {hardest}, "
        "which the search did not use"
    )


def _fitting(rows: Rows, lm: LM) -> Rows:
    from upbringing.rows import encodable

    return encodable(rows, lm.tokenizer, max_length=lm.max_length)


def _check_paths(rows: Path | None) -> None:
    from upbringing.errors import InputError

    if rows is not None and not rows.is_file():
        raise InputError(f"--rows {rows}: there is no such file; give rows that `upbringing write fiction` wrote")
