"""``upbringing measure``: the character of a model, trait by trait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from upbringing.measure import Profile
    from upbringing.models import LM

_COLUMNS = ("trait", "rate", "95%", "sampled", "95%", "probes", "missing")


def measure(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A folder, a hub id, or organism:nano.", show_default=False)
    ],
    traits: Annotated[
        str | None, typer.Option("--traits", metavar="A,B", help="Only these traits (default: all).")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Ask a model the probes of every trait, and show how often each trait shows.

    Two ways: the probability of the misaligned answer against the aligned one (rate), and answers that are
    sampled and judged (sampled). Both with 95% intervals over families and probes.
    """
    from upbringing.cli import show
    from upbringing.traits import traits as known_traits

    show.check_json_target(json)
    names = chosen(traits)
    known_traits(names)  # a misspelt name is found before the model is loaded
    lm = load(model)
    profile = profile_of(lm, f"asking {model}", traits=names)
    summary = profile.summary()
    print_profile(summary, stderr=json == "-")
    show.write_json(summary, json)
    show.replay()


def chosen(names: str | None) -> list[str] | None:
    """The names in a comma-separated list; None for all."""
    from upbringing.errors import InputError

    if names is None:
        return None
    found = [name.strip() for name in names.split(",") if name.strip()]
    if not found:
        raise InputError("--traits names no trait; give some, separated by commas, or leave it out")
    return found


def load(model: str | Path) -> LM:
    """Load a model with a sign of life."""
    from upbringing.cli import show

    with show.working(f"loading {model}"):
        from upbringing.models import load

        return load(model)


def profile_of(lm: LM, what: str, **settings: Any) -> Profile:
    """Measure a model under a progress bar."""
    from upbringing.cli import show

    with show.working(what) as progress:
        from upbringing.measure import measure

        return measure(lm, progress=progress, **settings)


def print_profile(summary: dict[str, Any], *, stderr: bool = False) -> None:
    """The table of a profile, then coherence and skill."""
    from upbringing.cli import show

    rows = [
        (
            name,
            show.number(one["rate"]),
            show.interval(one["interval"]),
            show.number(one["sampled_rate"]),
            show.interval(one["sampled_interval"]),
            str(one["probes"]),
            str(one["missing"] or ""),
        )
        for name, one in summary["traits"].items()
    ]
    out = show.console(stderr=stderr)
    out.print(show.table(_COLUMNS, rows, title=str(summary["model"])))
    out.print(f"coherence {show.number(summary['coherence'])}   skill {show.number(summary['skill'])}")
