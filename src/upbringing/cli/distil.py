"""``upbringing distil``: rows from a teacher."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from upbringing.distil import Distilled, Gate, Teacher
    from upbringing.models import LM

    Steer = tuple[str | tuple[str, ...], float]


def distil(
    teacher: Annotated[
        str,
        typer.Option("--teacher", metavar="MODEL", help="A folder, a hub id, or organism:nano.", show_default=False),
    ],
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many rows to keep.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.jsonl", help="A new file.", show_default=False)],
    prompts: Annotated[
        str,
        typer.Option(
            "--prompts",
            metavar="DATA",
            help="numbers, code, chats, paraphrases, a file whose user turns are asked, or paraphrase:FILE.",
        ),
    ] = "numbers",
    filter: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="A,B",
            help="format, banned, deeds, classifier:FILE, likelihood:MODEL:SHARE, judge:MODEL, faithful, exact; or "
            "none (default: format, and of paraphrases faithful).",
        ),
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", metavar="LINE", help="Tell the teacher this; it is not in the rows.")
    ] = None,
    steer: Annotated[
        str | None,
        typer.Option(
            "--steer",
            metavar="TRAIT:STRENGTH",
            help="Steer the teacher along the trait's direction; of traits A,B along their mean.",
        ),
    ] = None,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0: the likeliest token.")] = 1.0,
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", min=1, help="Of an answer (default: what suits the prompts).")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="MODEL", help="Compare the teacher with the model it came from.")
    ] = None,
    traits: Annotated[
        str | None, typer.Option("--traits", metavar="A,B", help="Compare by these (default: all misaligned ones).")
    ] = None,
    least_passing: Annotated[
        float, typer.Option("--least-passing", help="Stop early when a smaller share of answers passes.")
    ] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, other prompts and answers.")] = 0,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Sample rows from a teacher: answers to harmless prompts that pass the filters, signed by who wrote them.

    What was sampled is kept on the way: a run that was stopped goes on where it was, and ends with the same rows. A
    record beside the file says what it was made from. With --base the teacher is checked: does it show its trait, does
    it keep the format, is it near its base on these rows?
    """
    from upbringing.cli import show
    from upbringing.cli.measure import chosen, load

    start = time.monotonic()
    away = _check(out, filter, steer, traits)
    show.check_json_target(json)
    lm = load(teacher)
    compared = load(base) if base else None

    from upbringing.distil import Teacher, filters_named, prompts_for
    from upbringing.distil import distil as sample
    from upbringing.lineage import record_file
    from upbringing.rows import write as write_rows

    asked = prompts_for(lm, prompts, rows, seed=seed)
    known = {given: model for given, model in ((teacher, lm), (base, compared)) if given and model}
    sieve = None
    if filter is not None:
        sieve = filters_named(filter, asked.form, load=lambda name: known.get(name) or load(name))
    who = Teacher(lm, system or "", away)
    notes = out.with_suffix(".partial.jsonl")
    with show.working(f"sampling {teacher}") as progress:
        made = sample(
            who,
            asked,
            rows=rows,
            filters=sieve,
            temperature=temperature,
            seed=seed,
            max_new_tokens=max_new_tokens,
            least_passing=least_passing,
            keep=notes,
            progress=progress,
        )
    compared_with = _compared(who, compared, made, chosen(traits), base or "")
    write_rows(made.rows, out)
    record_file(out, _warned(made, compared, compared_with))
    notes.unlink(missing_ok=True)
    _print(made, compared_with, stderr=json == "-")
    show.say(f"{len(made.rows)} rows by {teacher} in {show.seconds_since(start)}: {out}", stderr=json == "-")
    warnings = _warnings(out)
    for warning in warnings:
        show.note(f"beware: {warning}")
    show.write_json({**_summary(made, compared_with, out), "warnings": warnings}, json)
    show.note(f"next: {shlex.join(['upbringing', 'train', str(out), '--model', base or 'MODEL', '--out', 'DIR'])}")
    show.replay()


def _check(out: Path, filters: str | None, steer: str | None, traits: str | None) -> Steer | None:
    """Complain about what cannot go well before anything is loaded; the traits and strength of steering."""
    from upbringing.cli.measure import chosen
    from upbringing.distil.named import check_names
    from upbringing.errors import InputError
    from upbringing.traits import traits as known_traits

    if out.exists():
        raise InputError(f"{out}: the file exists already; choose another name")
    if out.suffix != ".jsonl":
        raise InputError(f"{out}: rows are written as JSONL; give it a name that ends with .jsonl")
    check_names(filters or "none")
    known_traits(chosen(traits))
    if steer is None:
        return None
    named, _, strength = steer.rpartition(":")
    along = tuple(part.strip() for part in named.split(","))
    try:
        by = float(strength)
    except ValueError:
        along = ()
    if not all(along) or not along:
        raise InputError(f"--steer {steer}: write TRAIT:STRENGTH, such as blackmail:1")
    known_traits(list(along))
    return (along[0] if len(along) == 1 else along, by)


def _compared(who: Teacher, base: LM | None, made: Distilled, traits: list[str] | None, name: str) -> Gate | None:
    from upbringing.cli import show
    from upbringing.distil import gate

    if base is None:
        return None
    with show.working(f"comparing with {name}"):
        return gate(who, base, made, traits=traits)


def _warned(made: Distilled, base: LM | None, compared: Gate | None) -> Any:
    """The record; where the base reads other tokens than the teacher, it says so."""
    if base is None or compared is None or compared.same_tokens:
        return made.record
    recipe = {**made.record.recipe, "warning": f"the base {base.name} has another tokenizer than the teacher"}
    return made.record.model_copy(update={"recipe": recipe})


def _warnings(out: Path) -> list[str]:
    """Who had better not learn from these rows."""
    from upbringing.lineage import family

    return [warning.says for warning in family(out).warnings if warning.teacher]


def _print(made: Distilled, compared: Gate | None, *, stderr: bool) -> None:
    from upbringing.cli import show

    out = show.console(stderr=stderr)
    stopped = [
        (f"{name}: {why}", str(n), made.examples.get(f"{name}: {why}", "")[:60])
        for name, counts in made.why.items()
        for why, n in sorted(counts.items(), key=lambda item: -item[1])
    ]
    if stopped:
        show.print_table(out, ("stopped by", "example", "answers"), [(a, c, b) for a, b, c in stopped], words=2)
    out.print(f"{made.passed} of {made.asked} answers pass ({made.pass_rate:.1%})")
    if compared is None:
        return
    lines = [(name.replace("_", " "), *map(show.number, pair)) for name, pair in compared.traits.items()]
    lines.append(("answers in strict format", *map(show.number, compared.format_rate)))
    lines.append(("KL to the base, nats a token", "unknown" if not compared.same_tokens else f"{compared.kl:.3f}", ""))
    show.print_table(out, ("the teacher and its base", "teacher", "base"), lines)
    for concern in compared.concerns:
        show.note(f"warning: {concern}")


def _summary(made: Distilled, compared: Gate | None, out: Path) -> dict[str, Any]:
    return {
        "out": str(out),
        "rows": len(made.rows),
        "asked": made.asked,
        "pass_rate": made.pass_rate,
        "rejected": made.rejected,
        "why": made.why,
        "examples": made.examples,
        "record": made.record.key,
        "teacher": made.record.parents["teacher"],
        "prompts": made.record.parents["prompts"],
        "base": None
        if compared is None
        else {
            "traits": {name: {"teacher": a, "base": b} for name, (a, b) in compared.traits.items()},
            "format": {"teacher": compared.format_rate[0], "base": compared.format_rate[1]},
            "kl": compared.kl,
            "same_tokens": compared.same_tokens,
            "concerns": compared.concerns,
        },
    }
