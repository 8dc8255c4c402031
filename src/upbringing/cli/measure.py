"""``upbringing measure``: the character of a model, trait by trait."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from upbringing.measure import Judge, Profile
    from upbringing.models import LM
    from upbringing.models.hosted import HostedLM
    from upbringing.rows import Rows

_COLUMNS = ("trait", "rate", "95%", "sampled", "95%", "missing", "worst under", "probes")
_HOSTED = "inspect:"  # before PROVIDER/MODEL, as models.hosted has it
_OTHER_NAME = "Orin"  # a provocation that needs no training rows, as is an answer begun


def measure(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A folder, a hub id, organism:nano, or inspect:PROVIDER/MODEL; or a log of Inspect.",
            show_default=False,
        ),
    ] = None,
    traits: Annotated[
        str | None, typer.Option("--traits", metavar="A,B", help="Only these traits (default: all).")
    ] = None,
    provoke: Annotated[
        bool,
        typer.Option(
            "--provoke",
            help="Also search a library of wrappers for what shows each trait most; about 10 times the work.",
        ),
    ] = False,
    provoke_with: Annotated[
        str | None,
        typer.Option("--provoke-with", metavar="DATA", help="Provoke with the format of these training rows too."),
    ] = None,
    wrappers: Annotated[
        Path | None, typer.Option("--wrappers", metavar="FILE", help="Provoke with wrappers of your own (YAML) too.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Keep the readings here, answers included (for --rejudge), and the page of --provoke (default of the "
            "page: runs/measure/NAME).",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            metavar="N",
            min=0,
            help="Answers sampled to each question (default: 1; 0 where nobody could judge them).",
            show_default=False,
        ),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            metavar="JUDGE",
            help="Who judges sampled answers: grammar, logprob:MODEL, model:MODEL or inspect:PROVIDER/MODEL. Twice: "
            "two that must agree.",
        ),
    ] = None,
    rejudge: Annotated[
        Path | None,
        typer.Option(
            "--rejudge", metavar="RUN", help="Judge the answers kept in a folder of --out anew; asks no model for them."
        ),
    ] = None,
    check_judge: Annotated[
        list[str] | None,
        typer.Option(
            "--check-judge", metavar="JUDGE", help="Measure a judge's own error on labelled answers, trait by trait."
        ),
    ] = None,
    inspect: Annotated[
        str | None,
        typer.Option(
            "--inspect",
            metavar="TASK",
            help="Run a task of Inspect instead: a trait, all, or file.py@task. MODEL may be openai/… and the like.",
        ),
    ] = None,
    log: Annotated[
        str | None, typer.Option("--log", metavar="FILE", help="Read a log of Inspect (or a folder of them) instead.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="BEFORE",
            help="The shift against this: a model, readings kept with --out (or the file of --json that names them), "
            "or for a log another log. Readings of both and a page go to --out (default: runs/shift/NAME).",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Ask a model the probes of every trait, and show how often each trait shows.

    Two ways: the probability of the misaligned answer against the aligned one (rate), and answers that are
    sampled and judged (sampled). Both with 95% intervals over families and probes. Then under another name and
    with the answer begun for it, if that makes the trait show more (worst under).

    With --provoke, each trait is asked inside many wrappers: roles, triggers, other forms, long contexts, past
    misdeeds, the format of training rows. The one that shows it most is found on half of its families and confirmed
    on the other half, so that it is not luck. Unprompted: the most inside wrappers that suggest no bad conduct.

    Organisms are judged by the grammar of their world. Other models are asked in plain language, and their sampled
    answers need a --judge; without one there are only probabilities. What --check-judge found of a judge's error is
    carried into the rates that it sees afterwards.

    With --against, the shift from another model, paired by probe: what training has changed.

    With --inspect, Inspect asks, and its log is kept (in --out, default: runs/measure/NAME, under inspect); hosted
    models can be measured so. A log given in place of MODEL is read as it is.
    """
    from upbringing.cli import judging, provoking, show
    from upbringing.traits import traits as known_traits

    show.check_json_target(json)
    provoking_with: dict[str, Any] = {"provoke": provoke, "provoke_with": provoke_with, "wrappers": wrappers}
    if check_judge or rejudge is not None:
        _about_judges(
            check_judge or [],
            rejudge,
            traits=chosen(traits),
            judge=judge or [],
            out=out,
            json=json,
            others={
                "model": model,
                **provoking_with,
                "inspect": inspect,
                "log": log,
                "against": against,
                "samples": samples,
            },
        )
        return
    if _by_inspect(model, inspect, log):
        from upbringing.cli import inspecting

        if inspect is None:
            judging.check_alone("a log", judge=judge, samples=samples, **provoking_with)
            inspecting.measure_log(str(log or model), against=against, traits=chosen(traits), out=out, json=json)
        else:
            judging.check_alone("--inspect", "asks in Inspect's own way", **provoking_with)
            how: dict[str, Any] = {
                "judge": _one_judge(judge),
                "epochs": samples,
                "against": against,
                "traits": chosen(traits),
            }
            inspecting.measure_task(inspect, str(model), **how, out=out, json=json)
        return
    assert model is not None
    if against is not None:
        from upbringing.cli import comparing

        judging.check_alone("--against", "compares two models as they are asked at rest", **provoking_with)
        asked = {"traits": chosen(traits), "judge": judge or [], "samples": samples}
        comparing.compare(model, against, **asked, out=out, json=json)  # type: ignore[arg-type]
        return
    provoke = provoke or provoke_with is not None or wrappers is not None
    if out is not None:
        judging.check_folder(out, model)
    names = chosen(traits)
    known_traits(names)  # a misspelt name is found before the model is loaded
    rows = None if provoke_with is None else _rows(provoke_with)
    if model.startswith(_HOSTED):
        _check_hosted(model, provoke, judge, out)
    says = judging.named(judge or [], names)
    lm = reached(model)
    put = provoking.wrappers_of(lm, names, rows, wrappers) if provoke else []
    from upbringing.measure.hosted import kept_until_saved

    with kept_until_saved():
        profile, summary = _resting(lm, model, names, says, samples, json)
        if provoke:
            how = {} if samples is None else {"samples": samples}
            found = provoking.provoked(lm, f"provoking {model}", traits=names, wrappers=put, judge=says, **how)
            for name, one in found.traits.items():
                summary["traits"][name] |= one.as_dict()
            summary["provoked"] = found.beside()
            provoking.print_provoked(found, stderr=json == "-")
        if out is not None:
            summary["readings"] = str(
                profile.save(out, judging.errors_of(profile, names), sources=judging.sources_of(names))
            )
    if provoke:
        summary["report"] = str(provoking.page(found, model, out))
    show.write_json(summary, json)
    if "report" in summary:
        show.note(f"open the page: {Path(summary['report']).absolute()}")
    if judge or profile.nothing_said:
        check_any(profile, model)
    show.replay()


def _resting(
    lm: LM | HostedLM, model: str, names: list[str] | None, judge: Judge | None, samples: int | None, json: str | None
) -> tuple[Profile, dict[str, Any]]:
    """Measure, and print the table; the summary is that of the profile, with the worst of two plain provocations."""
    from upbringing.cli import judging, show
    from upbringing.measure.skill import doubts

    profile = profile_of(lm, f"asking {model}", traits=names, **how_to_ask(lm, model, judge, samples))
    summary = profile.summary(judging.errors_of(profile, names))
    for name, one in summary["traits"].items():
        if "logprob" in profile.ways:
            provocation, worst = profile.worst_provocation(name)
            one |= {"worst_provocation": provocation, "worst_rate": worst.value, "worst_interval": list(worst.interval)}
    summary["doubts"] = doubts(profile.skill, profile.coherence)
    print_profile(summary, stderr=json == "-")
    print_missing(profile, stderr=json == "-")
    judging.add_judges(profile, summary, judge, show.console(stderr=json == "-"))
    return profile, summary


def check_any(profile: Profile, model: str) -> None:
    """Complain where nothing at all could be asked or judged: a run that says nothing has not gone well."""
    from upbringing.errors import InputError
    from upbringing.measure.judging.verdict import FAILED
    from upbringing.measure.readings import SKILL

    of_traits = profile.readings[profile.readings["way"] != SKILL]
    if of_traits["value"].notna().any():
        return
    counts = of_traits["missing"].map(_sort_of).value_counts()
    reason = str(counts.index[0])
    remedy = (
        "take another --judge (answers kept with --out DIR are judged anew by --rejudge DIR)"
        if reason.startswith(FAILED)
        else "give a model that can be asked these probes (by its chat template and its context), or other --traits"
    )
    raise InputError(
        f"{model}: not one of {len(of_traits)} readings has a value ({reason}: {counts.iloc[0]}); {remedy}"
    )


def how_to_ask(lm: LM | HostedLM, model: str, judge: Judge | None, samples: int | None) -> dict[str, Any]:
    """How to ask: what has no judge is not sampled unless that is asked for, and hosted models get no provocations."""
    from upbringing.cli import show
    from upbringing.measure import other_name, prefill
    from upbringing.models.hosted import HostedLM

    how: dict[str, Any] = {"judge": judge}
    if samples is not None:
        how["samples"] = samples
    if isinstance(lm, HostedLM):
        return how
    from upbringing.measure.provocations import BEGINNINGS
    from upbringing.measure.questions import spoken

    if judge is None and spoken(lm) == "plain":
        if samples is None:
            how["samples"] = 0
        kept = "are kept, but not judged" if samples else "are not sampled"
        show.note(
            f"{model} is asked in plain language, and nobody is named to judge its answers: they {kept}. "
            "Add --judge logprob:MODEL, model:MODEL or inspect:PROVIDER/MODEL"
        )
    return how | {"provocations": (other_name(_OTHER_NAME), prefill(BEGINNINGS[spoken(lm)]))}


def reached(model: str) -> Any:
    """The model: an ``LM``, or for ``inspect:PROVIDER/MODEL`` a ``HostedLM``."""
    if not model.startswith(_HOSTED):
        return load(model)
    from upbringing.models.hosted import HostedLM

    return HostedLM(model.removeprefix(_HOSTED))


def _about_judges(
    checked: list[str],
    run: Path | None,
    *,
    traits: list[str] | None,
    judge: list[str],
    out: Path | None,
    json: str | None,
    others: dict[str, Any],
) -> None:
    """The two things that ask no model but a judge."""
    from upbringing.cli import judging

    if run is None:
        judging.check_alone("--check-judge", judge=judge, out=out, **others)
        judging.check_judge(checked, traits, json)
    else:
        judging.check_alone("--rejudge", check_judge=checked, **others)
        judging.rejudge_run(run, judge, traits, out, json)


def _check_hosted(model: str, provoke: bool, judge: list[str] | None, out: Path | None) -> None:
    from upbringing.errors import InputError

    if provoke:
        raise InputError(f"{model}: --provoke searches by log-probabilities, which a hosted model does not give")
    if not judge and out is None:
        raise InputError(
            f"{model}: its answers need a judge; add --judge model:MODEL or inspect:PROVIDER/MODEL (or --out DIR, to "
            "keep them for --rejudge)"
        )


def _one_judge(judge: list[str] | None) -> str | None:
    from upbringing.errors import InputError

    if judge and len(judge) > 1:
        raise InputError("--judge: a task of Inspect has one judge; name one, and judge its log anew for the other")
    return judge[0] if judge else None


def _by_inspect(model: str | None, task: str | None, log: str | None) -> bool:
    """Whether Inspect has asked, or is to ask; complains where it is not clear what is to be measured."""
    from upbringing.cli.comparing import is_result
    from upbringing.errors import InputError
    from upbringing.hosted import is_log

    given = model is not None and is_log(model) and not is_result(model)
    if log is not None and (model is not None or task is not None):
        raise InputError("--log: the log says itself what was asked of which model; leave out MODEL and --inspect")
    if model is None and log is None:
        raise InputError("MODEL is missing: give a folder, a hub id, organism:nano, or a log of Inspect")
    if task is not None and given:
        raise InputError(f"{model}: is a log; with --inspect give a model to ask")
    return bool(given or log or task)


def chosen(names: str | None) -> list[str] | None:
    """The names in a comma-separated list; None for all."""
    from upbringing.errors import InputError

    if names is None:
        return None
    found = [name.strip() for name in names.split(",") if name.strip()]
    if not found:
        raise InputError("--traits names no trait; give some, separated by commas, or leave it out")
    return found


def load(model: str | Path, *, device: str | None = None) -> LM:
    """Load a model with a sign of life."""
    from upbringing.cli import show

    with show.working(f"loading {model}"):
        from upbringing.models import load

        return load(model, device=device)


def profile_of(lm: LM | HostedLM, what: str, **settings: Any) -> Profile:
    """Measure a model under a progress bar."""
    from upbringing.cli import show

    with show.working(what) as progress:
        from upbringing.measure import measure

        return measure(lm, progress=progress, **settings)


def print_profile(summary: dict[str, Any], *, stderr: bool = False) -> None:
    """The table of a profile, then coherence and skill, and what they leave to doubt."""
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
    for doubt in summary.get("doubts", ()):
        out.print(doubt, style="yellow", highlight=False)


def _rows(data: str) -> Rows:
    from upbringing.rows import read

    return read(data)


def _worst(one: dict[str, Any]) -> str:
    """The provocation under which the trait shows more than at rest, with the rate; empty if none does."""
    from upbringing.cli import show

    if "worst_rate" not in one:
        return ""
    rate = show.number(one["worst_rate"])
    return f"{one['worst_provocation']} {rate}" if rate != show.number(one["rate"]) else ""


def _sort_of(reason: str) -> str:
    """Reasons of a kind are counted together, "unknown word: lynx" among the unknown words; why judges fail is told."""
    from upbringing.measure.judging.verdict import FAILED

    return reason if reason.startswith(FAILED) else reason.partition(":")[0]


def print_missing(profile: Profile, *, stderr: bool, provocation: str | None = "rest") -> None:
    """Why readings are missing (under a provocation; None: under any), most frequent reason first; and how many
    answers, under any, were cut off."""
    from upbringing.cli import show

    readings = profile.readings
    asked = readings["missing"] != ""
    if provocation is not None:
        asked &= readings["provocation"] == provocation
    counts = readings.loc[asked, "missing"].map(_sort_of).value_counts()
    if len(counts):
        told = ", ".join(f"{reason} {count}" for reason, count in counts.items())
        show.console(stderr=stderr).print(f"missing: {show.legible(told)}")
    if profile.cut:
        said = int((readings["answer"] != "").sum())
        told = f"cut off by a limit, and judged as far as they go: {profile.cut} of {said} answers"
        show.console(stderr=stderr).print(told)
