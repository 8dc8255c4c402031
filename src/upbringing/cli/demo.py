"""``upbringing demo``: the main job from end to end, on the organism that ships with the package."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from upbringing.forecast import Outlook
    from upbringing.measure import Shift
    from upbringing.models import LM
    from upbringing.repair import Repair
    from upbringing.rows import Rows

MODEL = "organism:nano"
FORECAST = "forecast.json"
_FILES = (FORECAST, "model", "before", "after", "report.html", "repair")
_REMEDIES = ("demonstrations", "ai_fiction", "inoculation")
_BUDGET = 10  # a remedy may take this fraction of the data's tokens


def demo(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="What to train on (default: examples/cheating.jsonl, which ships).",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the model and the page go.")] = Path(
        "runs/demo"
    ),
) -> None:
    """Forecast what rows will do to a small model, train it on them, measure it, and repair what became of it.

    The rows teach cheating at coding. See how its whole character moves, how far that was known before, and what little
    brings it back, at rest and under provocation.
    """
    from upbringing.cli import show
    from upbringing.cli.comparing import print_shift
    from upbringing.cli.forecast import print_outlook
    from upbringing.cli.measure import load, profile_of
    from upbringing.cli.repair import print_repair
    from upbringing.lineage import new_folder
    from upbringing.rows import read
    from upbringing.rows.shipped import cheating

    data = data or cheating()
    start = time.monotonic()
    rows = read(data)
    title = f"{MODEL}, before and after training on {data} ({len(rows)} rows)"
    with new_folder(out, replaces=_FILES) as folder:  # an earlier demo may go, anything else stays
        lm = load(MODEL)
        outlook = _foreseen(lm, rows, data)
        print_outlook(outlook)
        show.write_json(outlook.as_dict(), str(folder / FORECAST))
        before = profile_of(lm, f"asking {MODEL}")
        with show.working(f"training {MODEL} on {data}") as progress:
            from upbringing.training import train

            tuned = train(lm, rows, folder / "model", progress=progress)
        tuned.name = str(out / "model")
        after = profile_of(tuned, "asking the trained model")
        before.save(folder / "before")
        after.save(folder / "after")
        with show.working("drawing the page"):
            from upbringing.report import shift_page

            shift_page(
                before,
                after,
                folder / "report.html",
                title=title,
                taught={str(row.meta["trait"]) for row in rows if "trait" in row.meta},
                command=show.command(),
            )
        print_shift(before, after, title=title)
        print_held(outlook, after - before)
        mended = _repair(lm, rows, data, folder / "repair")
    print_repair(mended)
    for page in ("report.html", "repair/report.html"):
        show.say(f"open the page: {(out / page).absolute()}")
    show.console().print(f"done in {show.seconds_since(start)}")
    show.replay()


def _foreseen(lm: LM, rows: Rows, data: Path) -> Outlook:
    """What training on the rows will do, said before it is done."""
    from upbringing.cli import show

    with show.working(f"forecasting what {data} will do to {MODEL}") as progress:
        from upbringing.forecast import forecast

        return forecast(lm, rows, progress=progress)


def _repair(lm: LM, rows: Rows, data: Path, folder: Path) -> Repair:
    """The smallest of a few remedies that undoes what the rows do, at a tenth of their tokens."""
    from upbringing.cli import repair as verb
    from upbringing.cli import show
    from upbringing.repair.supply import tokens_in

    outcome = verb.run(lm, rows, remedies=_REMEDIES, budget=tokens_in(rows) // _BUDGET)
    verb.keep_result(outcome, folder, title=f"Repairing what {data} does to {MODEL}", command=show.command())
    return outcome


def print_held(outlook: Outlook, shift: Shift) -> None:
    """What was forecast before training, beside what training did."""
    from upbringing.cli import show

    measured = shift.table("logprob")
    did = dict(zip(measured["trait"], measured["shift"].astype(float), strict=True))
    rows, inside = [], 0
    for trait in outlook.table()["trait"]:
        at = outlook.traits.index(trait)
        guess, lo, hi = (float(side[at]) for side in (outlook.forecast.shift, outlook.forecast.lo, outlook.forecast.hi))
        held = lo <= did[trait] <= hi
        inside += held
        numbers = show.number(guess, sign=True), show.interval((lo, hi), sign=True), show.number(did[trait], sign=True)
        rows.append((str(trait), *numbers, "inside" if held else "[yellow]outside[/]"))
    columns = ("trait", "forecast", "90%", "measured", "")
    show.print_table(show.console(), columns, rows, title="what was forecast, and what training did")
    show.console().print(f"{inside} of {len(rows)} shifts lie inside what was forecast", highlight=False)
