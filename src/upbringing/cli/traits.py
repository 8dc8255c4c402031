"""``upbringing traits``: which traits there are, and whether their folders are whole."""

from __future__ import annotations

from typing import Annotated

import typer


def traits(
    check: Annotated[
        bool, typer.Option("--check", help="Look into every trait folder and name what is wrong.")
    ] = False,
) -> None:
    """List the traits that can be measured, or check their folders.

    Your own traits are folders under $UPBRINGING_TRAITS.
    """
    from upbringing.cli import show
    from upbringing.traits import folders
    from upbringing.traits.check import check as check_all
    from upbringing.traits.check import read_all

    found, findings = read_all(folders())
    rows: list[tuple[str, ...]] = []
    for trait in found.values():
        held_out = sum(f.held_out for f in trait.families)
        kind = "alignment" if trait.alignment else "taste"
        written = str(len(trait.written) or "")
        rows.append((trait.name, trait.title, kind, str(len(trait.families)), str(held_out), written))
    columns = ("trait", "what it is", "kind", "families", "held out", "written")
    show.print_table(show.console(), columns, rows, words=2, spare=3)
    if check:
        from upbringing.world import default_personas, lexicon

        personas = [persona.model_dump() for persona in default_personas().values()]
        findings += check_all(found, seen=[lexicon(), personas])
    elif not findings:
        return
    for finding in findings:
        show.note(f"upbringing: {'' if finding.fault else 'warning: '}{finding.text}")
    faulty = {finding.folder for finding in findings if finding.fault}
    warnings = sum(not finding.fault for finding in findings)
    show.note(f"{len(folders()) - len(faulty)} traits are whole, {len(faulty)} are not; {warnings} warnings")
    if faulty:
        raise typer.Exit(2)
