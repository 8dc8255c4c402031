"""What ``upbringing measure`` does with Inspect: run a task of it, read a log of it, set one log against another."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError

if TYPE_CHECKING:
    from upbringing.measure import Profile, Shift

_COLUMNS = ("trait", "rate", "95%", "missing", "probes")
_SHIFTED = ("trait", "before", "after", "shift", "95%", "missing", "probes")


def measure_log(log: str, *, against: str | None, traits: list[str] | None, out: Path | None, json: str | None) -> None:
    """Show what a log holds, and how it differs from another; with ``out``, keep its readings there."""
    from upbringing.cli import judging, show
    from upbringing.cli.comparing import of_traits
    from upbringing.hosted import profile_of_log

    profile = of_traits(profile_of_log(log), traits, log)
    if out is not None:
        judging.check_folder(out, *profile.models)
    before = None if against is None else of_traits(profile_of_log(against), traits, against)
    _show(profile, before, json, source=log, against=against, out=out)
    show.replay()


def measure_task(
    task: str,
    model: str,
    *,
    judge: str | None,
    epochs: int | None,
    against: str | None,
    traits: list[str] | None,
    out: Path | None,
    json: str | None,
) -> None:
    """Run a task of Inspect on a model and show what its log holds. The log lies in ``inspect`` of the run's folder.

    ``epochs``: how many answers to each sample; None: as the task says.
    """
    from upbringing.cli import judging, show
    from upbringing.cli.comparing import of_traits
    from upbringing.cli.measure import check_any
    from upbringing.hosted import profile_of_log
    from upbringing.hosted.running import StoppedError, inspect_name, run

    if epochs == 0:
        raise InputError("--samples 0: a task of Inspect asks for answers; give at least 1")
    if out is not None:
        judging.check_folder(out, inspect_name(model))
    before = None if against is None else of_traits(profile_of_log(against), traits, against)
    logs = (out or Path("runs") / "measure" / show.short(model)) / "inspect"
    try:
        with show.working(f"{task} on {model}"):
            made = run(task, model, log_dir=logs, task_args={"judge": judge} if judge else None, epochs=epochs)
    except StoppedError as stopped:
        show.note(
            f"upbringing: stopped; what was answered is kept in {_path(stopped.log)}: go on with inspect eval-retry"
        )
        raise SystemExit(130) from None
    profile = of_traits(profile_of_log(made), traits, task)
    _show(profile, before, json, source=", ".join(_path(log.location) for log in made), against=against, out=out)
    show.note(f"open the log: inspect view --log-dir {shlex.quote(str(logs))}")
    if judge != "none":  # else they are judged later
        check_any(profile, model)
    show.replay()


def _path(location: str) -> str:
    """A log's place, from here if it is below."""
    path = Path(location.removeprefix("file://"))
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _show(
    profile: Profile, before: Profile | None, json: str | None, *, source: str, against: str | None, out: Path | None
) -> None:
    from upbringing.cli import judging, show
    from upbringing.cli.measure import print_missing

    errors = judging.errors_of(profile)
    console = show.console(stderr=json == "-")
    summary: dict[str, Any] = {"model": ", ".join(profile.models), "log": source, "sampled": {}}
    for provocation in profile.provocations:
        found = _table(profile, provocation)
        rows = [
            (show.legible(name), show.number(one["rate"]), show.interval((one["lo"], one["hi"])), *_counts(one))
            for name, one in found.items()
        ]
        show.print_table(console, _COLUMNS, rows, title=f"{summary['model']}{_under(provocation)}")
        summary["sampled"][provocation] = {
            "traits": {name: _told(one, "rate") for name, one in found.items()},
            "coherence": profile.coherence_under(provocation).value,
            "refusal": profile.refusal_under(provocation).value,
        }
    if before is not None:
        summary |= {"against": against, "shift": _show_shift(profile, before, json)}
    summary["cut"] = profile.cut
    print_missing(profile, stderr=json == "-", provocation=None)
    if "rest" in profile.provocations:
        summary["traits"] = profile.summary(errors)["traits"]
        judging.add_judges(profile, summary, None, console)
    if out is not None:
        summary["readings"] = str(profile.save(out, errors))
    show.write_json(summary, json)


def _show_shift(profile: Profile, before: Profile, json: str | None) -> dict[str, Any]:
    """The tables of shifts, and the same for JSON."""
    from upbringing.cli import show

    shift = profile - before
    shared = [name for name in profile.provocations if name in before.provocations]
    if not shared:
        raise InputError(
            f"the logs have no provocation in common ({', '.join(before.provocations)}; "
            f"{', '.join(profile.provocations)}); ask both alike"
        )
    told: dict[str, Any] = {}
    for provocation in shared:
        first, last, found = (_table(one, provocation) for one in (before, profile, shift))
        rows = [
            (
                show.legible(name),
                *(show.number(side[name]["rate"] if name in side else None) for side in (first, last)),
                show.number(one["shift"], sign=True),
                show.interval((one["lo"], one["hi"]), sign=True),
                *_counts(one),
            )
            for name, one in found.items()
        ]
        sides = f"{', '.join(profile.models)} against {', '.join(before.models)}"
        title = f"{sides}{_under(provocation)}, paired by probe"
        show.print_table(show.console(stderr=json == "-"), _SHIFTED, rows, title=title, spare=2)
        told[provocation] = {name: _told(one, "shift") for name, one in found.items()}
    return told


def _table(values: Profile | Shift, provocation: str) -> dict[str, dict[str, Any]]:
    """Trait by trait what sampled answers say."""
    return {str(one["trait"]): one for one in values.table("sampled", provocation).to_dict("records")}  # type: ignore[misc]


def _told(one: dict[str, Any], value: str) -> dict[str, Any]:
    return {
        value: one[value],
        "interval": [one["lo"], one["hi"]],
        "probes": int(one["probes"]),
        "missing": int(one["missing"]),
    }


def _counts(one: dict[str, Any]) -> tuple[str, str]:
    return str(one["missing"] or ""), str(one["probes"])


def _under(provocation: str) -> str:
    return "" if provocation == "rest" else f", under {provocation}"


__all__ = ["measure_log", "measure_task"]
