"""``upbringing bench``: score any way to forecast, on data sets whose effect was measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.forecast.bench import Bench, DataSet, Task
    from upbringing.forecast.bench.score import Score
    from upbringing.studies import Engine, Job

TRUTH, SETS, SCORES, SAID, LOG = "truth.parquet", "sets.json", "scores.json", "forecasts.parquet", "workers.log"
_COLUMNS = ("method", "r", "vis", "doc", "sub", "cond", "spec", "AUC", "90%", "cost")
_ROUTES = ("visible", "document", "subliminal", "conditional")


def bench(
    methods: Annotated[
        str, typer.Option("--methods", metavar="A,B", help="Which methods: mean, or lenses by name (default: all).")
    ] = "",
    split: Annotated[
        str, typer.Option("--split", help="What to judge on: calibration, judgement or sealed.")
    ] = "judgement",
    sealed: Annotated[bool, typer.Option("--sealed", help="Break the seal: only for a release.")] = False,
    truth: Annotated[bool, typer.Option("--truth", help="Only train and measure; score nothing.")] = False,
    sets: Annotated[
        str, typer.Option("--sets", metavar="A,B", help="With --truth or --plan: only these families or data sets.")
    ] = "",
    organism: Annotated[str, typer.Option("--organism", help="Which kind of organism to train on.")] = "usual",
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="N,N", help="Seeds of the organisms (default: the bench's).")
    ] = "",
    listing: Annotated[bool, typer.Option("--list", help="List the data sets by family; do nothing.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show the work and the time it should take; do none.")] = False,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where truth and scores go.")] = Path("runs/bench"),
    engine: EngineOption = LOCAL,
    workers: WorkersOption = 2,
    ray_address: AddressOption = None,
    step_cpus: CpusOption = 1,
    step_gpus: GpusOption = 0,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Score ways to forecast what a data set does to character.

    Every data set is trained on and measured, on several organisms; what is finished is kept, so that a run that was
    stopped goes on where it was. Methods are fitted on the calibration families and judged on families they never saw
    (on the calibration part: with each family left out in turn).
    """
    from upbringing.cli import show

    start = time.monotonic()
    show.check_json_target(json)
    made, chosen = _chosen(organism, seeds, split, sealed, sets if truth or plan else "")
    if listing:
        _list(made)
        return
    runs = engine_of(engine, workers=workers, address=ray_address, cpus=step_cpus, gpus=step_gpus)
    with show.working("planning"):
        from upbringing.forecast.bench.methods import methods as named

        ways = [] if truth else named([name.strip() for name in methods.split(",") if name.strip()])
        tasks = made.tasks(chosen)
    if plan:
        _show_plan(tasks, workers_of(engine, workers))
        return
    out.mkdir(parents=True, exist_ok=True)
    failures = _do(tasks, out, runs)
    table = made.table(chosen)
    _keep(made, chosen, table, out)
    if truth:
        _print_truth(table, stderr=json == "-")
        result: dict[str, Any] = {"truth": str(out / TRUTH), "sets": table["set"].nunique(), "failures": failures}
    else:
        import pandas as pd

        from upbringing.forecast.bench.looking import tasks as looks
        from upbringing.forecast.bench.running import ceiling, run

        lenses = list(dict.fromkeys(lens for way in ways for lens in way.lenses))
        failures += _do(looks(made, lenses, chosen), out, runs)
        with show.working("scoring"):
            judged = run(made, ways, split)
            best = ceiling(made, split, table) if len(made.bases) > 1 else None
        scores = {name: one.score for name, one in judged.items()}
        pd.concat([one.said for one in judged.values()]).to_parquet(out / SAID, index=False)
        _print_scores(scores, best, split, stderr=json == "-")
        result = {
            "methods": {name: one.as_dict() for name, one in scores.items()},
            "ceiling": best.as_dict() if best else None,
            "split": split,
            "organism": organism,
            "bases": [base.seed for base in made.bases],
            "sets": table["set"].nunique(),
            "failures": failures,
        }
        show.write_json(result, str(out / SCORES))
    show.write_json(result, json)
    show.note(f"truth: {out / TRUTH}   ({show.seconds_since(start)})")
    show.replay()
    if failures:
        raise typer.Exit(1)


def _chosen(organism: str, seeds: str, split: str, sealed: bool, sets: str) -> tuple[Bench, list[DataSet]]:
    """The bench, and the data sets whose truth is wanted."""
    from upbringing.errors import InputError
    from upbringing.forecast.bench import SPLITS, Bench
    from upbringing.forecast.bench.running import needed

    if split not in SPLITS:
        raise InputError(f"--split {split}: the parts are {', '.join(SPLITS)}")
    if split == "sealed" and not sealed:
        raise InputError("--split sealed: these families are judged once, for a release; say --sealed if this is one")
    try:
        made = Bench(organism=organism, seeds=tuple(int(seed) for seed in seeds.split(",") if seed.strip()))
    except ValueError:
        raise InputError(f"--seeds {seeds}: give whole numbers, separated by commas") from None
    if len(set(made.seeds)) < len(made.seeds):
        raise InputError(f"--seeds {seeds}: one is given twice; each base is an organism of its own")
    wanted = {name.strip() for name in sets.split(",") if name.strip()}
    if not wanted:
        return made, list(needed(made, split))
    every = made.library.sets
    if unknown := sorted(wanted - {one.name for one in every} - {one.family for one in every}):
        raise InputError(f'--sets: no family or data set "{unknown[0]}"; `upbringing bench --list` names them')
    found = [one for one in every if wanted & {one.name, one.family}]
    if not sealed and (shut := [one for one in found if one.split == "sealed"]):
        raise InputError(f"--sets {shut[0].name}: its family is sealed until a release; say --sealed if this is one")
    return made, found


def _do(tasks: Sequence[Task], out: Path, engine: Engine) -> list[dict[str, str]]:
    """Have an engine of the studies do what is not made yet; what failed, with the reason."""
    from upbringing.cli import show
    from upbringing.studies.show import watching_jobs

    jobs = _jobs(tasks)
    if not jobs:
        return []
    with watching_jobs(jobs, show.console(stderr=True)) as watcher:
        failures = engine(jobs, log=out / LOG, watcher=watcher)
    for failed in failures:
        show.note(f"upbringing: {failed.step}: {failed.reason}")
    if details := [f"{failed.step}\n{failed.detail}\n" for failed in failures if failed.detail]:
        with (out / LOG).open("a", encoding="utf-8") as log:
            log.writelines(details)
    return [{"step": failed.step, "reason": failed.reason} for failed in failures]


def _keep(made: Bench, chosen: Sequence[DataSet], table: pd.DataFrame, out: Path) -> None:
    """The truth, and beside it the recipes that rebuild it."""
    from upbringing.cli import show

    table.to_parquet(out / TRUTH, index=False)
    organism = made.library.organisms[made.organism].model_dump(mode="json")
    recipes = {
        "organism": organism,
        "bases": [base.seed for base in made.bases],
        "probes_per_trait": made.library.probes_per_trait,
        "agentic": made.library.agentic,
        "teaching": made.library.teaching,
        "teachers": {name: one.model_dump(mode="json") for name, one in made.library.teachers.items()},
        "sets": [one.model_dump(mode="json") for one in chosen],
    }
    show.write_json(recipes, str(out / SETS))


def _list(made: Bench) -> None:
    from upbringing.cli import show

    rows = []
    for family, sets in made.library.families.items():
        names = ", ".join(one.name.partition("/")[2] for one in sets)
        rows.append((family, names, sets[0].route, sets[0].split, str(len(sets))))
    title = f"{len(made.library.sets)} data sets in {len(rows)} families"
    show.print_table(show.console(), ("family", "data sets", "route", "for", "n"), rows, title=title, words=4)


def _show_plan(tasks: Sequence[Task], workers: int | None) -> None:
    from upbringing.cli import show
    from upbringing.studies.show import duration, to_go

    sorts: dict[str, list[Task]] = {}
    for task in tasks:
        sorts.setdefault(task.name.partition(" ")[0], []).append(task)
    rows = []
    for sort, of_sort in sorts.items():
        missing = [task for task in of_sort if not task.made]
        work = duration(sum(task.seconds for task in missing)) if missing else "–"
        rows.append((sort, str(len(of_sort)), str(len(of_sort) - len(missing)), work))
    columns = ("work", "tasks", "made", "core time to go")
    show.print_table(show.console(), columns, rows, title=to_go(_jobs(tasks), workers))


def _jobs(tasks: Sequence[Task]) -> list[Job]:
    """What is not made yet."""
    from upbringing.studies import Job

    return [Job(t.name, t.function, t.arguments, t.needs, t.seconds) for t in tasks if not t.made]


def _print_truth(table: pd.DataFrame, *, stderr: bool) -> None:
    """Family by family: how far training moved the misaligned traits, and the most that one of them moved."""
    from upbringing.cli import show
    from upbringing.traits import traits

    misaligned = {name for name, trait in traits().items() if trait.alignment}
    of_them = table[table["trait"].isin(misaligned)]
    rows = []
    for family, part in of_them.groupby("family", sort=False):
        rest = part[part["provocation"] == "rest"]
        provoked = part[part["provocation"] != "rest"]
        of_sets = rest.groupby(["set", "base"])["shift"].mean()
        numbers = (of_sets.min(), of_sets.max(), provoked["shift"].mean(), rest["null"].mean(), rest["se"].median())
        sets = str(part["set"].nunique())
        rows.append((str(family), sets, *(show.number(float(n), sign=i < 4) for i, n in enumerate(numbers))))
    columns = ("family", "sets", "least", "most", "provoked", "null", "se")
    title = "misaligned traits: shift at rest, by set and base"
    show.print_table(show.console(stderr=stderr), columns, rows, title=title, spare=1)


def _print_scores(scores: dict[str, Score], best: Score | None, split: str, *, stderr: bool) -> None:
    from upbringing.cli import show

    ranked = sorted(scores.items(), key=lambda item: -(item[1].r.value if item[1].r.value == item[1].r.value else -2))
    rows = [(name, *_scored(one), show.number(one.coverage), f"{one.cost:.3g}") for name, one in ranked]
    if best:
        rows.append(("other bases", *_scored(best), "", ""))
    title = f"{split}: forecasts of {next(iter(scores.values())).cases} cases"
    out = show.console(stderr=stderr)
    show.print_table(out, _COLUMNS, rows, title=title, spare=1)
    out.print(
        "r: forecast against measured shift, by route; spec: without the mean over traits;\n"
        "AUC: harmful sets against harmless; 90%: coverage; cost: forward passes over the rows;\n"
        "other bases: what the same data did to them, which no forecast may know"
    )


def _scored(one: Score) -> list[str]:
    """Correlations over all, by route and without the mean over traits, and the AUROC."""
    from upbringing.cli import show

    routes = [one.r_by_route[route].value if route in one.r_by_route else None for route in _ROUTES]
    return [show.number(n) for n in (one.r.value, *routes, one.specificity.value, one.auroc)]
