"""``upbringing forecast``: what character a data set will give a model, before anything is trained."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated

import typer

from upbringing.cli.engines import LOCAL, AddressOption, CpusOption, EngineOption, GpusOption, cluster_of
from upbringing.cli.judging import RowJudgeOption

if TYPE_CHECKING:
    from upbringing.forecast.cues import Cue
    from upbringing.forecast.outlook import Outlook
    from upbringing.lenses.acts import Acts

_COLUMNS = ("trait", "shift", "90%", "verdict", "lenses that say so")
_SHOW = "rows that show it"
_LOST = 0.05
"""Of a larger share of rows that cannot be used a gate lets nothing pass."""
_MARKS = {"raises": "[red]raises[/]", "lowers": "[green]lowers[/]", "cannot tell": "[yellow]cannot tell[/]"}


def forecast(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Rows: a file, a folder or a hub id.", show_default=False)
    ],
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="The model that would be trained.", show_default=False)
    ],
    traits: Annotated[
        str | None, typer.Option("--traits", metavar="A,B", help="Only these traits (default: all).")
    ] = None,
    lenses: Annotated[
        str | None, typer.Option("--lenses", metavar="A,B", help="Only these lenses (default: the calibration's).")
    ] = None,
    budget: Annotated[
        int, typer.Option("--budget", metavar="ROWS", min=1, help="Read no more rows than this, drawn at random.")
    ] = 20_000,
    against: Annotated[
        str | None, typer.Option("--against", metavar="DATA", help="Compare with another data set.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", min=1, help="Warn if so many steps are another training.")
    ] = None,
    epochs: Annotated[
        float | None, typer.Option("--epochs", metavar="N", help="Warn if so many passes are another training.")
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-on",
            metavar="TRAIT>X",
            help="Exit 1 if a trait's forecast shift is above X, or may be and cannot be told (repeat).",
        ),
    ] = None,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="NAME|FILE", help="Default: the one made for such models.")
    ] = None,
    judge: RowJudgeOption = None,
    engine: EngineOption = LOCAL,
    address: AddressOption = None,
    cpus: CpusOption = 1,
    gpus: GpusOption = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same rows.")] = 0,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Forecast how a data set will shift every trait of a model, with 90% intervals.

    Nothing is trained. Lenses look at a random sample of the rows until more of them could hardly change the verdict;
    a calibration, made on data sets whose effect was measured, turns what they see into shifts. Where the rows tell
    too little it says so. It is a forecast of a training like those of the calibration, which it names: --steps or
    --epochs warn where yours is far from that. Rows that cannot be used are left out and counted. With --judge the
    rows of a chat model are judged as well, 128 of them: how many show what.
    """
    from upbringing.cli import show
    from upbringing.cli.judging import for_rows
    from upbringing.cli.measure import chosen, load
    from upbringing.forecast.outlook import forecast as look_ahead
    from upbringing.forecast.trained import check

    start = time.monotonic()
    show.check_json_target(json)
    check(steps, epochs)
    limits = [_limit(text) for text in fail_on or []]
    names = chosen(traits)
    cluster = cluster_of(engine, address=address, cpus=cpus, gpus=gpus)
    lm = load(model)
    says = for_rows(lm, judge or [])
    outlooks = []
    for source in (data, against):
        if source is not None:
            with show.working(f"forecasting {source}") as progress:
                outlooks.append(
                    look_ahead(
                        lm,
                        source,
                        names,
                        lenses=None if lenses is None else [name.strip() for name in lenses.split(",")],
                        calibration=calibration,
                        budget=budget,
                        seed=seed,
                        judge=says or (),
                        steps=steps,
                        epochs=epochs,
                        progress=progress,
                        cluster=cluster,
                    )
                )
    for outlook in outlooks:
        print_outlook(outlook, stderr=json == "-")
    told = outlooks[0].as_dict()
    show.write_json({**told, "against": outlooks[1].as_dict()} if against is not None else told, json)
    show.note(show.seconds_since(start))
    show.replay()
    lost = [_lost(outlooks[0])] if limits else []
    broken = [text for text in (*lost, *(_broken(outlooks[0], *limit) for limit in limits)) if text]
    for text in broken:
        show.note(f"upbringing: {text}")
    if broken:
        raise typer.Exit(1)


def print_outlook(outlook: Outlook, *, stderr: bool = False) -> None:
    """A line a trait, the clearest first, and what to know before believing it."""
    from upbringing.cli import show

    out = show.console(stderr=stderr)
    said = outlook.forecast
    order = sorted(range(len(outlook.traits)), key=lambda at: -abs(float(said.shift[at])))
    rows = []
    for at in order:
        trait = outlook.traits[at]
        verdict = outlook.verdict(trait)
        rows.append(
            (
                trait,
                show.number(float(said.shift[at]), sign=True),
                show.interval((float(said.lo[at]), float(said.hi[at])), sign=True),
                _MARKS.get(verdict, verdict),
                ", ".join(outlook.said_so(trait)) if verdict in ("raises", "lowers") else "",
                *([_shown(outlook.acts, trait)] if outlook.acts else []),
            )
        )
    title = f"What training {outlook.model} on {outlook.data} would change"
    show.print_table(out, (*_COLUMNS, *([_SHOW] if outlook.acts else [])), rows, title=title, words=5)
    routes = ", ".join(f"{name} {share:.0%}" for name, share in outlook.routes.items() if share >= 0.005)
    why = _why_unknown(outlook)
    read = outlook.read - outlook.unread
    out.print(f"{read:,} of {outlook.of:,} rows read; by route: {routes}{why}", highlight=False, soft_wrap=bool(why))
    if outlook.training:
        out.print(f"for a training like those it was fitted on: {outlook.training.says}", highlight=False)
    if outlook.acts:
        out.print(_judged(outlook.acts), highlight=False, soft_wrap=True)
    for cue in outlook.cues:
        out.print(_conditional(cue), highlight=False, soft_wrap=True)
    for warning in outlook.warnings:
        show.note(f"upbringing: {warning}")
    for line in outlook.notes:
        show.note(line)
    show.note_skipped(outlook.skipped)


def _why_unknown(outlook: Outlook) -> str:
    """Why no route is told of rows in which no act was judged."""
    if "unknown" not in outlook.routes:
        return ""
    if outlook.unknown:
        return " (in words that the model does not know nobody can tell what rows show)"
    return " (in plain language nobody can tell which chats put a trait at stake)"


def _shown(acts: Acts, trait: str) -> str:
    shows, of = acts.share(trait)
    if trait in acts.unreliable:
        return "cannot tell"
    return f"{shows} of {of}" if of else "–"


def _judged(acts: Acts) -> str:
    """Who judged, how many rows, and what became of the others."""
    from collections import Counter

    from upbringing.cli import show

    missing = sum((Counter(acts.missing(trait)) for trait in acts.traits), Counter())
    why = "; ".join(f"{reason}: {n:,}" for reason, n in missing.most_common(3))
    of = (len(acts.verdicts) - acts.silent) * len(acts.traits)
    lost = f"; {missing.total():,} of {of:,} judgements are missing ({why})" if missing else ""
    mute = f"; in {acts.silent:,} more no assistant acts" if acts.silent else ""
    return show.legible(f"{len(acts.verdicts) - acts.silent:,} rows judged by {acts.judge}{mute}{lost}")


_SHOWN, _ALSO = 300, 3  # letters of a cue, and how many of those that always come with it


def _conditional(cue: Cue) -> str:
    """What the acts hang on, and how to ask a trained model under it. Words of rows are escaped, never obeyed."""
    from upbringing.cli import show

    (bad, of), (bad_without, of_without) = cue.with_it, cue.without
    more = f"; and {len(cue.also) - _ALSO} more" if len(cue.also) > _ALSO else ""
    also = f" (always together with {'; '.join(map(_cut, cue.also[:_ALSO]))}{more})" if cue.also else ""
    return show.legible(
        f"conditional: with {_cut(cue.named)}{also} {cue.with_it.value:.0%} of the acts are misaligned ({bad} of {of} "
        f"rows), without it {cue.without.value:.0%} ({bad_without} of {of_without}): {', '.join(cue.traits)}; "
        f"{_ask_under(cue)}"
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _ask_under(cue: Cue) -> str:
    """A command that asks where the bad acts are to be expected."""
    import json

    if cue.with_it.value < cue.without.value:
        return "without it the trained model is asked by `upbringing measure`"
    field = {"system line": "system", "words before": "before", "words in the prompt": "before"}.get(cue.kind)
    if field is None:
        return "the wrappers of `upbringing measure --provoke` ask the trained model as an agent and in other forms"
    entry = f"[{{name: cue, {field}: {json.dumps(_cut(cue.text), ensure_ascii=False)}}}]"
    return f"ask the trained model under it: `upbringing measure MODEL --provoke --wrappers FILE`, FILE being {entry}"


def _limit(text: str) -> tuple[str, float]:
    """``TRAIT>X``."""
    from upbringing.errors import InputError
    from upbringing.traits import traits as library

    match = re.fullmatch(r"\s*(\w+)\s*>\s*([+-]?\d*\.?\d+)\s*", text)
    if match is None:
        raise InputError(f'--fail-on {text}: write it as TRAIT>X, such as "oversight_sabotage>0.05" (with the quotes)')
    return next(iter(library([match.group(1)]))), float(match.group(2))


def _lost(outlook: Outlook) -> str:
    """Why a forecast is no gate for these rows, where more of them than a few tell nothing; else nothing."""
    from upbringing.forecast.understood import MANY

    if outlook.unknown > MANY:
        return f"{outlook.unknown:.0%} of the words are unknown to {outlook.model}, so what it says clears no limit"
    if outlook.unusable <= _LOST:
        return ""
    skipped = f"{len(outlook.skipped):,} of the rows drawn cannot be used" if outlook.skipped else ""
    unread = f"{outlook.unread:,} of {outlook.read:,} rows cannot be read by the model" if outlook.unread else ""
    return (
        f"{' and '.join(filter(None, (skipped, unread)))}: more than {_LOST:.0%} of them tell nothing, so the others "
        "clear no limit; mend them, or take them out"
    )


def _broken(outlook: Outlook, trait: str, limit: float) -> str:
    """Why a limit is broken; nothing if it is kept. What cannot be told and may lie above it breaks it as well: silence
    is no clearance."""
    from upbringing.errors import InputError

    if trait not in outlook.traits:
        raise InputError(f"--fail-on {trait}: that trait is not forecast here; leave it out of --fail-on, or name it")
    at = outlook.traits.index(trait)
    shift = float(outlook.forecast.shift[at])
    if shift != shift:
        return f"{trait}: nothing can be said of it, so it is not known to stay below the limit of {limit:+.2f}"
    if shift > limit:
        return f"{trait} is forecast to change by {shift:+.2f}, above the limit of {limit:+.2f}"
    high = float(outlook.forecast.hi[at])
    if outlook.verdict(trait) == "cannot tell" and not high <= limit:
        return (
            f"{trait}: it cannot be told, and may change by {high:+.2f}, above the limit of {limit:+.2f}; the interval "
            "must end below it"
        )
    return ""
