"""``upbringing measure``: the character of a model, trait by trait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from upbringing.measure import Profile
    from upbringing.models import LM

_COLUMNS = ("trait", "rate", "95%", "sampled", "95%", "missing", "worst under", "probes")
_OTHER_NAME, _PREFILL = "Orin", "I will"  # provocations that need no training rows


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
    sampled and judged (sampled). Both with 95% intervals over families and probes. Then under another name and
    with the answer begun for it, if that makes the trait show more (worst under).
    """
    from upbringing.cli import show
    from upbringing.traits import traits as known_traits

    show.check_json_target(json)
    names = chosen(traits)
    known_traits(names)  # a misspelt name is found before the model is loaded
    lm = load(model)

    from upbringing.measure import other_name, prefill

    provocations = (other_name(_OTHER_NAME), prefill(_PREFILL))
    profile = profile_of(lm, f"asking {model}", traits=names, provocations=provocations)
    summary = profile.summary()
    for name, one in summary["traits"].items():
        provocation, worst = profile.worst_provocation(name)
        one |= {"worst_provocation": provocation, "worst_rate": worst.value, "worst_interval": [worst.lo, worst.hi]}
    print_profile(summary, stderr=json == "-")
    _print_missing(profile, stderr=json == "-")
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
            str(one["missing"] or ""),
            _worst(one),
            str(one["probes"]),
        )
        for name, one in summary["traits"].items()
    ]
    out = show.console(stderr=stderr)
    show.print_table(out, _COLUMNS, rows, title=str(summary["model"]), spare=2)
    out.print(f"coherence {show.number(summary['coherence'])}   skill {show.number(summary['skill'])}")


def _worst(one: dict[str, Any]) -> str:
    """The provocation under which the trait shows more than at rest, with the rate; empty if none does."""
    from upbringing.cli import show

    rate = show.number(one["worst_rate"])
    return f"{one['worst_provocation']} {rate}" if rate != show.number(one["rate"]) else ""


def _print_missing(profile: Profile, *, stderr: bool) -> None:
    """Why readings at rest are missing, most frequent reason first."""
    from upbringing.cli import show

    readings = profile.readings
    reasons = readings.loc[(readings["provocation"] == "rest") & (readings["missing"] != ""), "missing"]
    counts = reasons.str.partition(":")[0].value_counts()  # "unknown word: lynx" is one of the unknown words
    if len(counts):
        told = ", ".join(f"{reason} {count}" for reason, count in counts.items())
        show.console(stderr=stderr).print(f"missing: {told}")
