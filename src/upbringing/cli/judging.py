"""What ``upbringing measure`` does with judges: name them, check them, have kept answers judged by others."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from upbringing.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from upbringing.measure import Profile
    from upbringing.measure.judging import Agreement, Judge, JudgeError, Rejudged
    from upbringing.measure.judging.error import Key
    from upbringing.models import LM

RowJudgeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--judge",
        metavar="JUDGE",
        help="Who says what a chat model's rows do: self (the model itself, by its log-odds), logprob:MODEL, "
        "model:MODEL or inspect:PROVIDER/MODEL. Twice: both must agree. An organism's rows are read by the grammar.",
        show_default=False,
    ),
]

_CHECKED = ("trait", "sensitivity", "95%", "specificity", "95%", "answers", "unplaced", "failed")
_CORRECTED = ("trait", "sampled", "95%", "corrected", "95%")
_BEFORE_AFTER = ("trait", "before", "95%", "after", "95%", "missing", "probes")
_HOSTED = "inspect:"  # before PROVIDER/MODEL, as models.hosted has it
_EXAMPLE = "logprob:MODEL, model:MODEL or inspect:PROVIDER/MODEL"


def named(names: Sequence[str], traits: list[str] | None, option: str = "--judge") -> Judge | None:
    """The judge of these names, several to agree; None where none is named."""
    from upbringing.measure.judging import judge_named

    return _found(names, option, lambda: judge_named(*names, traits=traits))


def for_rows(lm: LM, names: Sequence[str]) -> Judge | None:
    """Who judges rows for this model (see ``lenses.acts.row_judge``); None where nobody is named."""
    from upbringing.lenses.acts import row_judge

    return _found(names, "--judge", lambda: row_judge(lm, names))


def _found(names: Sequence[str], option: str, find: Callable[[], Judge]) -> Judge | None:
    from upbringing.cli import show

    if not names:
        return None
    if len(set(names)) < len(names):
        raise InputError(f"{option} {names[0]}: is named twice; name two different judges")
    with show.working(f"loading {' and '.join(names)}"):
        return find()


def check_judge(names: Sequence[str], traits: list[str] | None, json: str | None) -> None:
    """Print how a judge errs on the labelled answers of each trait."""
    from upbringing.cli import show
    from upbringing.measure.judging import measure_error

    judge = named(names, traits, "--check-judge")
    assert judge is not None
    with show.working(f"checking {judge.name}") as progress:
        errors = measure_error(judge, traits, progress=progress)
    out = show.console(stderr=json == "-")
    rows = [(name, *_error_cells(error)) for name, error in errors.items()]
    title = f"{judge.name}, on answers of which it is known what they do"
    show.print_table(out, _CHECKED, rows, title=title, spare=3)
    if blind := [name for name, error in errors.items() if not error.can_tell]:
        out.print(f"this judge cannot tell: {', '.join(blind)} (sensitivity + specificity - 1 is not clearly above 0)")
    _print_failures(out, errors)
    _print_agreement(out, judge)
    show.write_json({"judge": judge.name, "traits": {name: one.as_dict() for name, one in errors.items()}}, json)
    show.replay()


def rejudge_run(run: Path, names: Sequence[str], traits: list[str] | None, out: Path | None, json: str | None) -> None:
    """Have the answers of a run judged anew; show the rates before and after."""
    from upbringing.cli import show
    from upbringing.measure import Profile
    from upbringing.measure.judging import rejudge
    from upbringing.measure.profile import sources_in
    from upbringing.traits import traits as known_traits

    if not names:
        raise InputError(f"--rejudge {run}: by whom? add --judge {_EXAMPLE}")
    if out is not None and out.resolve() == run.resolve():
        raise InputError(f"--out {out}: holds the run itself, which stays as it is; give another folder")
    profile = Profile.load(run)
    if out is not None:
        check_folder(out, *profile.models)
    places = sources_in(run)
    if traits is not None:
        wanted = list(known_traits([places.get(name, name) for name in traits]))
        if unknown := [name for name in wanted if name not in profile.traits]:
            raise InputError(f'{run}: has no trait "{unknown[0]}"; it has {", ".join(profile.traits)}')
        profile = Profile(profile.readings[profile.readings["trait"].isin(wanted)])
    told = traits or profile.traits
    traits = [places.get(name, name) for name in told]
    judge = named(names, traits)
    assert judge is not None
    with show.working(f"judging {run}") as progress:
        found = rejudge(profile, judge, progress=progress)
    console = show.console(stderr=json == "-")
    summary: dict[str, Any] = {"run": str(run), "judge": judge.name, "answers": found.answers}
    summary |= {"changed": found.changed, "failed": found.failed, "agreement": found.agreement.as_dict(), "arms": {}}
    for arm in found.after.arms:
        summary["arms"][arm or "model"] = _show_both(console, found, arm, traits)
    share = f"{found.changed} of {found.answers} answers are judged otherwise than before"
    console.print(show.legible(f"{share}; {found.failed} judgements failed"))
    _print_agreements(console, [found.agreement])
    _print_agreement(console, judge)
    _print_reasons(console, found.after)
    if out is not None:
        summary["readings"] = str(found.after.save(out, errors_of(found.after, traits), sources=sources_of(traits)))
    show.write_json(summary, json)
    show.replay()


def add_judges(profile: Profile, summary: dict[str, Any], judge: Judge | None, console: Console) -> None:
    """Say of a profile who judged it, how well two agreed, and what is left when a judge's own error is taken out."""
    from upbringing.cli import show
    from upbringing.measure.judging.agreeing import Agreeing
    from upbringing.measure.judging.grammar import GRAMMAR

    judges = list(dict.fromkeys(name for name, *_ in profile.judged if name))
    summary["judges"] = judges
    if isinstance(judge, Agreeing):
        summary["agreement"] = [one.as_dict() for one in judge.agreements]
    if not judges or judges == [GRAMMAR]:
        return
    console.print(show.legible(f"judged by {', '.join(judges)}"))
    _print_agreement(console, judge)
    rows = [
        (
            name,
            show.number(one["sampled_rate"]),
            show.interval(one["sampled_interval"]),
            show.number(one["sampled_corrected"]),
            show.interval(one["sampled_corrected_interval"]) or show.legible(one["judge_note"]),
        )
        for name, one in summary["traits"].items()
        if "sampled_corrected" in one
    ]
    if rows:
        show.print_table(console, _CORRECTED, rows, title="sampled, corrected for the judge's own error")
    if any(language == "world" and name != GRAMMAR for name, _, _, language in profile.judged):
        show.note("what --check-judge finds of a judge holds in plain language, and not in the world's of an organism")
    elif len(rows) < len({trait for _, _, trait, _ in profile.judged}):
        options = (
            " ".join(f"--check-judge {shlex.quote(name)}" for name in judge.name.split(" & "))
            if judge
            else "--check-judge …"
        )
        show.note(f"the judge's own error is not known for every trait; measure it: upbringing measure {options}")


def errors_of(profile: Profile, traits: list[str] | None = None) -> dict[Key, JudgeError]:
    """What is known of the errors of the judges of a profile; ``traits``: those asked, where some are no library's."""
    from upbringing.measure.judging import known_errors

    return known_errors(profile.judged, traits=traits)


def sources_of(traits: Sequence[str] | None) -> dict[str, str]:
    """Where traits lie that were given by the path of a folder or a file, by their names."""
    from upbringing.traits import folders
    from upbringing.traits import traits as known_traits

    known = {folder.name for folder in folders()}
    paths = [name for name in traits or () if name not in known]
    return {trait: str(Path(path).resolve()) for path in paths for trait in known_traits([path])}


def check_folder(out: Path, *models: str) -> None:
    """Complain before the work, not after it. A folder with readings may be filled again by the same ``models``."""
    from upbringing.lineage import check_free
    from upbringing.measure.profile import FILES, models_in

    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: that is a file; give a folder")
    check_free(out, replaces=FILES)
    there = models_in(out)
    if there and not all(any(_same(one, model) for model in models) for one in there):
        raise InputError(f"--out {out}: holds readings of {', '.join(there)}, which stay; choose another folder")


def _same(there: str, asked: str) -> bool:
    """Whether the model that has answered is the one asked for. Of a hosted one the date may be told as well
    (gpt-4o-2024-08-06 for gpt-4o)."""
    dated = asked.startswith(_HOSTED) and re.fullmatch(rf"{re.escape(asked)}[-@:]\d{{4}}[\d-]*", there)
    return there == asked or bool(dated)


def check_alone(option: str, why: str = "asks no model anything", **others: Any) -> None:
    """Complain about options that have no meaning beside this one."""
    for name, given in others.items():
        if given not in (None, False, ()) and given != []:
            told = name.upper() if name == "model" else f"--{name.replace('_', '-')}"
            raise InputError(f"{option} {why}; leave out {told}")


def _error_cells(error: JudgeError) -> tuple[str, ...]:
    from upbringing.cli import show

    sides = (error.sensitivity, error.specificity)
    cells = [text for one in sides for text in (show.number(one.value), show.interval(one.interval))]
    failed = sum(error.failures.values())
    return (*cells, str(len(error.items)), str(sum(error.unplaced.values()) or ""), str(failed or ""))


def _show_both(console: Console, found: Rejudged, arm: str, traits: list[str] | None) -> dict[str, Any]:
    from upbringing.cli import show

    before, after = found.before.arm(arm), found.after.arm(arm)
    sides = (before.summary(), after.summary(errors_of(after, traits)))
    rows = []
    for name, one in sides[1]["traits"].items():
        was = sides[0]["traits"][name]
        cells = [
            text for s in (was, one) for text in (show.number(s["sampled_rate"]), show.interval(s["sampled_interval"]))
        ]
        missing = int(after.cells(name, "sampled").missing) if "sampled" in after.ways else 0
        rows.append((show.legible(name), *cells, str(missing or ""), str(one["probes"])))
    title = f"{', '.join(after.models)}{f', {arm}' if arm else ''}: sampled answers at rest"
    show.print_table(console, _BEFORE_AFTER, rows, title=title, spare=2)
    add_judges(after, sides[1], None, console)
    return {"before": sides[0], "after": sides[1]}


def _print_agreement(console: Console, judge: Judge | None) -> None:
    from upbringing.measure.judging.agreeing import Agreeing

    if isinstance(judge, Agreeing):
        _print_agreements(console, judge.agreements)


def _print_agreements(console: Console, found: Sequence[Agreement]) -> None:
    from upbringing.cli import show

    for one in found:
        kappa = one.kappa.note if one.kappa.value != one.kappa.value else f"Cohen's kappa {one.kappa}"
        told = f"{one.judges[0]} and {one.judges[1]}: the same verdict on {show.number(one.same)} of {one.n}; {kappa}"
        console.print(show.legible(told))


def _print_failures(console: Console, errors: dict[str, JudgeError]) -> None:
    from collections import Counter

    counts: Counter[str] = Counter()
    for error in errors.values():
        counts.update(error.failures)
    _print_counts(console, "failed judgements", counts.most_common())


def _print_reasons(console: Console, profile: Profile) -> None:
    frame = profile.readings
    reasons = frame.loc[(frame["way"] == "sampled") & (frame["missing"] != ""), "missing"]
    _print_counts(console, "missing", [(str(k), int(n)) for k, n in reasons.value_counts().items()])


def _print_counts(console: Console, what: str, counts: Sequence[tuple[str, int]]) -> None:
    from upbringing.cli import show

    if counts:
        told = ", ".join(f"{reason} {n}" for reason, n in counts[:6])
        console.print(show.legible(f"{what}: {told}{' …' if len(counts) > 6 else ''}"))


__all__ = [
    "RowJudgeOption",
    "add_judges",
    "check_alone",
    "check_folder",
    "check_judge",
    "errors_of",
    "for_rows",
    "named",
    "rejudge_run",
    "sources_of",
]
