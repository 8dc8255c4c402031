"""``upbringing write``: have texts written that mend a character."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from upbringing.authors import Author, Writing
    from upbringing.traits import Probe, Trait

_PROBES = 200  # of each trait: more than any measurement asks
_SHOWN = 5


def write(
    what: Annotated[str, typer.Argument(metavar="fiction", help="What to write.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.jsonl", help="A new file.", show_default=False)],
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="How many words and marks.", show_default=False)],
    about: Annotated[
        str | None,
        typer.Option("--about", metavar="A,B", help="The traits to write about (default: every misaligned one)."),
    ] = None,
    not_like: Annotated[
        str | None,
        typer.Option(
            "--not-like",
            metavar="A,B|FILE",
            help="Traits whose probes, or a file of texts which, nothing may resemble.",
        ),
    ] = None,
    kind: Annotated[str, typer.Option("--kind", help="What kind of text; a wrong one lists them all.")] = "ai_fiction",
    author: Annotated[
        str, typer.Option("--author", metavar="WHO", help="world, a model, or inspect:PROVIDER/MODEL.")
    ] = "world",
    world: Annotated[
        Path | None, typer.Option("--world", metavar="FILE", help="Settings of the world that writes (YAML).")
    ] = None,
    words: Annotated[int, typer.Option("--words", min=20, help="About how long a model makes one text.")] = 400,
    most_unusable: Annotated[
        float, typer.Option("--most-unusable", min=0, max=1, help="Give up when more than this share cannot be used.")
    ] = 0.5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, other texts.")] = 0,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Write fiction (or a charter, advice, …) in which characters do what is right, in situations unlike the probes.

    The world's grammar writes for organisms, any chat model for real models. Texts that fail, refuse, repeat
    themselves or overlap the probes are kept out and counted. What a model has written is kept on the way: a run
    that was stopped goes on where it was.
    """
    from upbringing.cli import show

    start = time.monotonic()
    _check(what, kind, out, author, world)
    show.check_json_target(json)
    chosen, probes = _traits(about), _probes(not_like, author)
    by = _author(author, world, chosen)

    from upbringing.authors import record_of
    from upbringing.authors import write as have_written
    from upbringing.lineage import hash_of, record_file
    from upbringing.rows import write as write_rows

    notes = None if author == "world" else out.with_suffix(".partial.jsonl")
    with show.working(f"writing {kind}") as progress:
        written = have_written(
            by,
            kind,
            traits=list(chosen.values()),
            tokens=tokens,
            not_like=probes,
            seed=seed,
            words=words,
            most_unusable=most_unusable,
            keep=notes,
            progress=progress,
        )
    write_rows(written.rows, out)
    settings = {
        "about": list(chosen),
        "tokens": tokens,
        "words": words,
        "not_like": hash_of([p.messages for p in probes]),
    }
    record_file(out, record_of(written, by, kind, seed=seed, **settings))
    if notes is not None:
        notes.unlink(missing_ok=True)
    _print(written, stderr=json == "-")
    told = f"{len(written.rows)} rows, {written.tokens} tokens in {show.seconds_since(start)}: {out}"
    show.say(told, stderr=json == "-")
    show.write_json(_summary(written, kind=kind, author=by.name, about=list(chosen), seed=seed, out=out), json)
    show.note(f"next: upbringing train DATA --model MODEL --out DIR --mix {shlex.quote(f'{out}:0.5')}")
    show.replay()


def _check(what: str, kind: str, out: Path, author: str, world: Path | None) -> None:
    """Complain about what cannot go well before anything is loaded."""
    from upbringing.errors import InputError
    from upbringing.world import REMEDIAL

    if what != "fiction":
        raise InputError(f'"{what}" is nothing that can be written; write: upbringing write fiction')
    if kind not in REMEDIAL:
        raise InputError(f"--kind {kind}: no such kind of text; kinds: {', '.join(REMEDIAL)}")
    if out.exists():
        raise InputError(f"{out}: the file exists already; choose another name")
    if out.suffix != ".jsonl":
        raise InputError(f"{out}: rows are written as JSONL; give it a name that ends with .jsonl")
    if world is not None and author != "world":
        raise InputError(f"--world {world}: only the author world writes from a world; leave it out, or the --author")


def _traits(about: str | None) -> dict[str, Trait]:
    from upbringing.errors import InputError
    from upbringing.traits import traits

    chosen = traits(_names(about, "--about"))
    if about is None:
        return {name: trait for name, trait in chosen.items() if trait.alignment}
    if taste := next((name for name, trait in chosen.items() if not trait.alignment), None):
        raise InputError(f'--about: "{taste}" is a harmless taste, with nothing to mend; name an alignment trait')
    return chosen


def _probes(not_like: str | None, author: str) -> list[Probe]:
    """The probes to keep away from: of every trait, of those named, or the texts of a file. A chat model's texts, which
    are for models that read plain English, keep away from what these are asked as well."""
    from upbringing.traits import traits
    from upbringing.traits.overlap import asked_probes

    if not_like is not None and (Path(not_like).suffix or Path(not_like).is_file()):
        from upbringing.authors import unlike
        from upbringing.rows import read

        return unlike(read(not_like))
    named = traits(_names(not_like, "--not-like"))
    plain = [] if author == "world" else asked_probes(named, _PROBES, "plain")
    return [*asked_probes(named, _PROBES), *plain]


def _names(given: str | None, option: str) -> list[str] | None:
    from upbringing.errors import InputError

    if given is None:
        return None
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names:
        raise InputError(f"{option} names no trait; give some, separated by commas, or leave it out")
    return names


def _author(name: str, world: Path | None, chosen: dict[str, Trait]) -> Author:
    from upbringing.authors import author_named
    from upbringing.cli import show
    from upbringing.traits import traits
    from upbringing.world import World, load_spec

    if name == "world":
        return author_named(name, world=World(load_spec(world) if world else None, {**traits(), **chosen}))
    with show.working(f"loading {name}"):
        return author_named(name)


def _print(written: Writing, *, stderr: bool) -> None:
    from upbringing.cli import show
    from upbringing.traits.overlap import NGRAM

    out = show.console(stderr=stderr)
    if written.left_out:
        rows = [(reason, str(n)) for reason, n in written.counts.items() if n]
        show.print_table(out, ("left out because it", "texts"), rows)
        for text in written.left_out[:_SHOWN]:
            out.print(f"  text {text.number}, {text.reason}: {text.detail}", soft_wrap=True, markup=False)
        if len(written.left_out) > _SHOWN:
            out.print(f"  … and {len(written.left_out) - _SHOWN} more")
    near = written.overlap
    nearest = f", {near.worst:.0%} of the nearest probe's ({near.worst_probe})" if near.worst else ""
    out.print(
        f"overlap: no whole wording of a probe; {near.prompt_ngrams:.0%} of their runs of {NGRAM} words{nearest}",
        soft_wrap=True,
    )


def _summary(written: Writing, **settings: Any) -> dict[str, Any]:
    return {
        **{name: str(value) if isinstance(value, Path) else value for name, value in settings.items()},
        "rows": len(written.rows),
        "tokens": written.tokens,
        "left_out": written.counts,
        "examples": [vars(text) for text in written.left_out],
        "overlap": written.overlap.as_dict(),
    }
