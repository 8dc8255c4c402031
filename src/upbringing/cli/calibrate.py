"""``upbringing calibrate``: learn to forecast a model, from a handful of short trainings of it."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from upbringing.cli.judging import RowJudgeOption

if TYPE_CHECKING:
    from upbringing.forecast.bench import Task
    from upbringing.forecast.calibrating import Calibration

_COLUMNS = ("data set", "route", "moved most", "shift", "se")


def calibrate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A folder, a hub id, or organism:nano.", show_default=False)
    ],
    sets: Annotated[
        str | None,
        typer.Option(
            "--sets",
            metavar="N|A,B",
            help="How many data sets, or which ones or families of the bench's calibration part (default: 17 for "
            "organisms, 19 for models that read plain English).",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write the calibration here, to be passed on.")
    ] = None,
    judge: RowJudgeOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask whether to go on; needed where nobody can be asked.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same trainings.")] = 0,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Train a model on a handful of short data sets, measure what that does to its character, and learn to forecast it.

    How long it takes is measured and shown first, and whether to go on is asked. What is finished is kept, so that a
    run that was stopped goes on where it was; the calibration is kept with the model's hash, where `upbringing
    forecast` finds it.
    """
    from upbringing.cli import show
    from upbringing.cli.judging import for_rows
    from upbringing.cli.measure import load
    from upbringing.forecast.calibrating import planned
    from upbringing.forecast.fits import shipped_for

    start = time.monotonic()
    show.check_json_target(json)
    _check_file(out)
    wanted = _wanted(sets)
    lm = load(model)
    made = planned(lm, wanted, seed=seed, judge=for_rows(lm, judge or []) or ())
    if shipped := shipped_for(made.lm):
        show.note(
            f'for organisms of size "{shipped}" a calibration comes with the package, made from many more data sets; '
            "forecasts go on using it: keep this one with --out FILE, and name it with --calibration FILE"
        )
    pace, seconds = _reckoned(made)
    if seconds and not _goes_on(made, seconds, yes):
        show.note("nothing was trained")
        raise typer.Exit(1)
    with show.working(f"calibrating {model}") as progress:
        fit = made.run(progress, pace)
    _print(made, stderr=json == "-")
    if out is not None:
        from upbringing.forecast.fits import save

        save(fit, out)
    show.write_json(_told(made, model, out, start), json)
    for name, why in made.left_out.items():
        show.note(f"upbringing: {name} was left out: {why}")
    also = f", and {out}" if out else ""
    show.note(f"kept for {model}: {made.folder}{also}   ({show.seconds_since(start)})")
    named = [word for name in judge or [] for word in ("--judge", name)]
    show.note(f"next: {shlex.join(['upbringing', 'forecast', 'DATA', '--model', model, *named])}")
    show.replay()


def _wanted(sets: str | None) -> int | list[str] | None:
    """A number, or names."""
    from upbringing.errors import InputError
    from upbringing.forecast.bench import library
    from upbringing.forecast.bench.recipe import PLAIN_SETS
    from upbringing.forecast.calibrating import chosen

    if sets is None:
        return None
    names = [name.strip() for name in sets.split(",") if name.strip()]
    if not names:
        raise InputError("--sets names no data set; give how many, or names, or leave it out")
    wanted = int(names[0]) if len(names) == 1 and names[0].isdecimal() else names
    try:
        chosen(wanted, library(PLAIN_SETS))
    except InputError:
        chosen(wanted)  # what is wrong in either language is found before a model is loaded
    return wanted


def _check_file(out: Path | None) -> None:
    """Complain before the work, not after it."""
    from upbringing.errors import InputError

    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise InputError(f"--out {out}: give a file in a folder that is there")


def _reckoned(made: Calibration) -> tuple[Callable[[Task], float] | None, float]:
    """How long each task should take, and what is left altogether: nothing is timed if all is made."""
    from upbringing.cli import show
    from upbringing.forecast.pace import paced

    left = [task for task in (*made.trainings(), *made.looks()) if not task.made]
    if not left:
        return None, 0.0
    with show.working("timing a short training and a look"):
        pace = paced(made.lm, made.bench, made.sets)
    return pace, sum(pace(task) for task in left)


def _goes_on(made: Calibration, seconds: float, yes: bool) -> bool:
    """Say how long it will take, and ask.

    Raises:
        InputError: nobody is there to answer: hours of training are not begun unasked.
    """
    from upbringing.cli import show
    from upbringing.errors import InputError
    from upbringing.studies.show import duration

    families = len({one.family for one in made.sets})
    long = f"{seconds / 3600:.1f} hours" if seconds > 2 * 3600 else duration(seconds)
    said = f"{len(made.sets)} data sets of {families} families to train on and to look at: about {long} on this machine"
    if yes:
        show.note(said)
        return True
    if not sys.stdin.isatty():
        raise InputError(f"{said}; nothing was trained, for nobody is there to be asked: give --yes to go on")
    return typer.confirm(f"{said}; go on?", default=True, err=True)


def _print(made: Calibration, *, stderr: bool) -> None:
    """What each data set moved most, and how good such a forecast is where it was not fitted."""
    from upbringing.cli import show

    rows = []
    for one in _moved(made):
        moved = (show.number(one["shift"], sign=True), show.number(one["se"]))
        rows.append((one["set"], one["route"], one["trait"], *moved))
    out = show.console(stderr=stderr)
    show.print_table(out, _COLUMNS, rows, title=f"What training did to {made.lm.name}, at rest", words=3, spare=1)
    score = made.score
    out.print(
        f"families left out in turn: r {show.number(score.r.value)}, error {show.number(score.error)}, "
        f"{show.number(score.coverage)} inside 90% intervals, cannot tell {show.number(score.silence.share)}"
    )


def _moved(made: Calibration) -> list[dict[str, Any]]:
    """For each data set the trait that it moved most."""
    found = []
    for one in made.used:
        known = made.table[(made.table["set"] == one.name) & made.table["shift"].notna()]
        if len(known):
            most = known.iloc[int(known["shift"].abs().to_numpy().argmax())]
            told = {"trait": str(most["trait"]), "shift": float(most["shift"]), "se": float(most["se"])}
            found.append({"set": one.name, "route": one.route, **told})
    return found


def _told(made: Calibration, model: str, out: Path | None, start: float) -> dict[str, Any]:
    from upbringing.forecast.fits import shipped_for

    return {
        "model": model,
        "calibration": str(out or made.folder),
        "shipped": shipped_for(made.lm) or None,
        "sets": _moved(made),
        "left_out": made.left_out,
        "families_left_out": made.score.as_dict(),
        "seconds": round(time.monotonic() - start),
    }
