"""``upbringing explain``: which rows of a data set push a trait, and what they have in common."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from upbringing.cli.judging import RowJudgeOption

if TYPE_CHECKING:
    from upbringing.forecast.checking import Check
    from upbringing.forecast.explain import Explanation
    from upbringing.models import LM

PAGE, RESULT = "report.html", "result.json"
FILES = ("without.jsonl", "only.jsonl", RESULT, PAGE)
_SHOWN = 20
_WIDE = 60  # characters of an answer in the table
_COLUMNS = ("row", "answer", "tokens that carry it", "share", "90%")


def explain(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Rows: a file, a folder or a hub id.", show_default=False)
    ],
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="The model that would be trained.", show_default=False)
    ],
    trait: Annotated[
        str, typer.Option("--trait", metavar="T", help="The trait to explain: one of `traits`.", show_default=False)
    ],
    top: Annotated[
        int | None, typer.Option("--top", metavar="N", min=1, help="How many rows to name (default: a tenth).")
    ] = None,
    budget: Annotated[
        int, typer.Option("--budget", metavar="ROWS", min=2, help="Of more rows than this, explain a random sample.")
    ] = 20_000,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the rows without the named ones, only them, and a page."),
    ] = None,
    judge: RowJudgeOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Retrain without the named rows, without as many at random, and on them.")
    ] = False,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, help="With --check: optimizer steps of each training.")
    ] = 80,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same outcome.")] = 0,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Name the rows that push a trait, with the tokens that carry it, and say what they have in common.

    A row's share is what it adds to the steps that training would make, of all that pushes the trait the same way; its
    interval says how far that hangs on the situations by which the trait is known. With --check the claim is put to the
    test on up to three models of the same kind: four trainings each, and what is left of the shift. With --judge a
    judge says of a chat model's named rows, and of as many others, whether they show the trait. Rows that cannot be
    used are left out and counted.
    """
    from dataclasses import replace

    from upbringing.cli import show
    from upbringing.cli.judging import for_rows
    from upbringing.cli.measure import load
    from upbringing.forecast.explain import explain as find
    from upbringing.lineage import check_free
    from upbringing.traits import traits as known

    start = time.monotonic()
    show.check_json_target(json)
    if out is not None:
        check_free(out, replaces=FILES)
    known([trait])  # a misspelt name is found before the model is loaded
    lm = load(model)
    says = for_rows(lm, judge or [])
    with show.working(f"explaining {data}") as progress:
        found = find(lm, data, trait, top=top, budget=budget, seed=seed, judge=says or (), progress=progress)
    if check and found.rows:
        found = replace(found, check=_checked(lm, found, data, budget, steps, seed))
    print_explanation(found, stderr=json == "-")
    if out is not None:
        _keep(found, data, out)
        show.note(f"without the named rows: {out / 'without.jsonl'}   only them: {out / 'only.jsonl'}")
        show.note(f"open the page: {(out / PAGE).absolute()}")
    show.write_json(found.as_dict(), json)
    if found.rows and not check:
        show.note(f"to put it to the test: {show.command()} --check")
    elif found.rows and out is not None:
        after = ["upbringing", "forecast", str(out / "without.jsonl"), "--model", model]
        show.note(f"next: {shlex.join(after)}")
    show.note(show.seconds_since(start))
    show.replay()


def _checked(lm: LM, found: Explanation, data: str, budget: int, steps: int, seed: int) -> Check:
    from upbringing.cli import show
    from upbringing.forecast.checking import kindred, removed
    from upbringing.forecast.explain import taken
    from upbringing.lineage import default_store
    from upbringing.training import Recipe

    rows, _ = taken(data, budget, seed)
    with show.working("retraining") as progress:
        bases, note = kindred(lm, default_store())
        recipe = Recipe(steps=steps, seed=seed)
        return removed(bases, rows, found.places, found.trait, recipe=recipe, seed=seed, note=note, progress=progress)


def print_explanation(found: Explanation, *, stderr: bool = False) -> None:
    """The finding, the themes, the first rows, and what retraining showed."""
    from upbringing.cli import show
    from upbringing.forecast.caution import strange_words

    out = show.console(stderr=stderr)
    if found.rows:
        rows = []
        for named in found.rows[:_SHOWN]:
            told = " ".join(dict.fromkeys(token.text.strip() for token in named.telling))
            place = f"{Path(named.row.file).name}:{named.row.line}" if named.row.file else str(named.place + 1)
            cells = (place, _short(_answer(named.row)), _short(told))
            bounds = f"[{named.interval[0]:.2%}, {named.interval[1]:.2%}]"
            rows.append((*(show.legible(cell) for cell in cells), f"{named.score:.2%}", bounds))
        title = f"rows that {'raise' if found.way > 0 else 'lower'} {found.trait} most"
        show.print_table(out, _COLUMNS, rows, title=title, words=3, spare=1)
        if len(found.rows) > _SHOWN:
            out.print(f"… and {len(found.rows) - _SHOWN:,} more rows named")
    for theme in found.themes:
        out.print(f"• {theme.says}", markup=False)
        out.print(f"  for example {show.legible(theme.where)}: {show.legible(theme.example)}")
    out.print(f"\n{found.says}" if found.rows else found.says, markup=False)
    if found.seen:
        out.print(show.legible(found.seen.says), highlight=False, soft_wrap=True)
    _print_forecast(found, out)
    if found.check:
        _print_check(found.check, out)
    for warning in strange_words(found.forecast.unknown_words, found.model):
        show.note(f"upbringing: {warning}")
    for line in found.notes:
        show.note(line)
    show.note_skipped(found.skipped)
    if found.of > found.read + len(found.skipped):
        show.note(f"upbringing: a random sample of {found.read:,} of {found.of:,} rows was explained (--budget)")
    for count, what in ((found.cut, "longer than the model reads, and cut"), (found.unread, "not read by the model")):
        if count:
            show.note(f"upbringing: {count:,} rows were {what}")


def _print_forecast(found: Explanation, out: object) -> None:
    from upbringing.cli import show

    said = found.forecast
    if said.shift is None:
        show.note(f"upbringing: no forecast of the shift: {said.reason}")
        return
    told = f"forecast shift {show.number(said.shift, sign=True)} {show.interval(said.interval, sign=True)}, 90%"
    of = f"\n(for a training like those it was fitted on: {said.training})" if said.training else ""
    out.print(f"{told}: {said.verdict}{of}", markup=False)  # type: ignore[attr-defined]


def _print_check(check: Check, out: object) -> None:
    from upbringing.cli import show
    from upbringing.forecast.checking import LABELS

    rows = []
    for arm, label in LABELS.items():
        shift, left = check.shift[arm], check.left.get(arm)
        cells = [show.number(shift.value, sign=True), show.interval(shift.interval, sign=True)]
        cells += ["", ""] if left is None else [show.number(left.value), show.interval(left.interval) or "no bounds"]
        rows.append((label, *cells))
    title = f"{check.trait} after training, {len(check.bases)} base{'s' if len(check.bases) > 1 else ''}"
    show.print_table(out, ("trained", "shift", "95%", "left of it", "95%"), rows, title=title)  # type: ignore[arg-type]
    out.print(check.says, markup=False)  # type: ignore[attr-defined]
    if check.note:
        show.note(f"upbringing: {check.note}")


def _answer(row: object) -> str:
    from upbringing.distil.filters import answer_of

    return answer_of(row)  # type: ignore[arg-type]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDE else text[: _WIDE - 1].rstrip() + "…"


def _keep(found: Explanation, data: str, out: Path) -> None:
    from upbringing.cli import show
    from upbringing.forecast.explain import write_parts
    from upbringing.lineage import new_folder
    from upbringing.report.explain import explain_page

    with new_folder(out, replaces=FILES) as folder:
        write_parts(found, data, folder)
        show.write_json(found.as_dict(), str(folder / RESULT))
        explain_page(found, folder / PAGE, command=show.command())
