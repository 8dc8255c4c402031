"""``upbringing traits``: which traits there are, and whether their folders are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def traits(
    check: Annotated[bool, typer.Option("--check", help="Read every trait folder and name what is wrong.")] = False,
) -> None:
    """List the traits that can be measured, or check their folders.

    Your own traits are folders under $UPBRINGING_TRAITS.
    """
    from upbringing.cli import show
    from upbringing.errors import InputError
    from upbringing.traits import folders, load_trait, probes

    found: dict[str, Path] = {}
    problems: list[str] = []
    rows: list[tuple[str, ...]] = []
    for folder in folders():
        try:
            trait = load_trait(folder)
            asked = probes(trait, n=24)
            if not asked:
                raise InputError(f"{folder}: no family is held out, so nothing can be asked; mark one as held_out")
            if trait.name in found:
                raise InputError(f"{folder}: {found[trait.name]} has the same name; rename one of them")
        except InputError as error:
            problems.append(str(error))
            continue
        found[trait.name] = folder
        held_out = sum(f.held_out for f in trait.families)
        kind = "alignment" if trait.alignment else "taste"
        written = len(trait.written)
        rows.append((trait.name, trait.title, kind, str(len(trait.families)), str(held_out), str(written or "")))

    columns = ("trait", "what it is", "kind", "families", "held out", "written")
    show.print_table(show.console(), columns, rows, words=2, spare=3)
    if not check and not problems:
        return
    for problem in problems:
        show.note(f"upbringing: {problem}")
    show.note(f"{len(rows)} traits are whole, {len(problems)} are not")
    if problems:
        raise typer.Exit(2)
