"""``upbringing lineage``: who descends from whom, and whether two models are kin."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.tree import Tree

    from upbringing.lineage import Family

_STYLES = {"known": "green", "unknown": "dim", "tampered": "yellow", "tainted": "red"}


def lineage(
    thing: Annotated[
        str,
        typer.Argument(metavar="THING", help="A model's folder, organism:NAME, or a file of rows.", show_default=False),
    ],
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[B]",
            help="Another model: are they kin? Or rows: would THING learn from its kin?",
            show_default=False,
        ),
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Only draw the tree here; write no page.")] = False,
    sbom: Annotated[
        Path | None,
        typer.Option("--sbom", metavar="FILE", help="Write a bill of materials (CycloneDX 1.6, JSON)."),
    ] = None,
    search: Annotated[
        list[Path] | None,
        typer.Option("--search", metavar="DIR", help="Look for parents here as well; may be given again."),
    ] = None,
    taint: Annotated[
        str | None, typer.Option("--taint", metavar="WHY", help="First mark THING as tainted, in its record.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the page goes (default: runs/lineage/NAME).")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write the result for machines; - is stdout.")
    ] = None,
) -> None:
    """Draw the family tree of a model or data set: what it was made from, what is unknown, edited or tainted.

    It warns where a student learned from the rows of kin that are tainted or unknown. With a second model it tests on
    the weights of both whether they are kin; with rows, it says what THING would learn from them.
    """
    from upbringing.cli import show

    start = time.monotonic()
    show.check_json_target(json)
    if other is not None:
        _alone(tree=tree or None, sbom=sbom, taint=taint, out=out)
        _two(thing, other, search or [], json)
        return
    if sbom is not None:
        _check_target(sbom)
    from upbringing.lineage import family, mark, place_of

    if taint is not None:
        show.note(f"marked in {mark(place_of(thing), taint)}")
    with show.working(f"following {thing}") as progress:
        found = family(thing, search=search or [], progress=lambda said: progress(said, 0.0, 1.0))
    console = show.console(stderr=json == "-")
    console.print(_drawn(found))
    _print(found, stderr=json == "-")
    if sbom is not None:
        from upbringing.lineage.sbom import bill_of_materials

        show.write_json(bill_of_materials(found), str(sbom))
        show.note(f"bill of materials: {sbom}")
    page = None
    if not tree:
        from upbringing.report import family_page

        page = (out or Path("runs") / "lineage" / show.short(thing)) / "family.html"
        family_page(found, page, command=show.command())
    show.write_json({**found.to_json(), "report": str(page) if page else None}, json)
    if page:
        show.note(f"open the page: {page.absolute()}   ({show.seconds_since(start)})")
    show.replay()


def _two(one: str, other: str, search: list[Path], json: str | None) -> None:
    """Two models: kinship on their weights. A model and rows: what it would learn."""
    from upbringing.cli import show
    from upbringing.errors import InputError
    from upbringing.lineage.places import is_data

    data = [thing for thing in (one, other) if (place := _local(thing)) is not None and is_data(place)]
    if len(data) == 2:
        raise InputError(f"{one} and {other} are both rows; give two models, or a model and rows")
    if data:
        result = _lesson(next(thing for thing in (one, other) if thing != data[0]), data[0], search)
    else:
        from upbringing.lineage.kin import are_kin

        with show.working(f"comparing {one} and {other}"):
            result = are_kin(_weights(one), _weights(other)).to_json()
    out = show.console(stderr=json == "-")
    out.print(result["says"], soft_wrap=True, markup=False)
    show.write_json(result, json)
    show.replay()


def _lesson(student: str, data: str, search: list[Path]) -> dict[str, Any]:
    from dataclasses import asdict

    from upbringing.lineage import family, would_learn

    warnings = would_learn(family(student, search=search), family(data, search=search))
    clear = f"By their records, {student} would not learn from a tainted or unknown teacher in {data}."
    kin = [warning.kin for warning in warnings]
    return {
        "kin": True if True in kin else None if None in kin or not kin else False,
        "p_value": None,
        "method": "records",
        "same_architecture": None,
        "says": "\n".join(warning.says for warning in warnings) or clear,
        "warnings": [asdict(warning) for warning in warnings],
    }


def _local(thing: str) -> Path | None:
    from upbringing.errors import InputError
    from upbringing.lineage import place_of

    try:
        return place_of(thing)
    except InputError:
        return None


def _weights(thing: str) -> Any:
    """A folder as it is; an adapter with its base, and what must be downloaded, as a loaded model."""
    from upbringing.cli.measure import load
    from upbringing.models.load import ADAPTER

    place = _local(thing)
    return load(thing) if place is None or (place / ADAPTER).is_file() else place


def _alone(**options: object) -> None:
    from upbringing.errors import InputError

    for name, given in options.items():
        if given is not None:
            raise InputError(f"--{name}: goes with one THING, not with two; leave it out")


def _check_target(file: Path) -> None:
    from upbringing.errors import InputError

    if file.is_dir():
        raise InputError(f"--sbom {file}: that is a folder; give a file")
    if not file.absolute().parent.is_dir():
        raise InputError(f"--sbom {file}: its folder does not exist; make it first")


def _drawn(found: Family) -> Tree:
    """The thing at the top, what it was made from below it; a member that was drawn before is only named."""
    from rich.text import Text
    from rich.tree import Tree

    drawn: set[str] = set()

    def label(member: str, role: str) -> Text:
        one, status = found.members[member], found.statuses[member]
        kind = one.kind if one.kind not in ("", "card") else one.sort
        text = Text(f"{role.replace('_', ' ')}: " if role else "").append(one.name, style="bold")
        text.append(f"  {kind}", style="dim").append(f"  {status}", style=_STYLES[status])
        if member in drawn:
            return text.append("  (see above)", style="dim")
        if one.recipe:
            text.append(f"  {one.recipe}", style="dim")
        return text

    def add(branch: Tree, member: str) -> None:
        drawn.add(member)
        for role, parent in found.parents(member):
            under = branch.add(label(parent.id, role))
            if parent.id not in drawn:
                add(under, parent.id)

    top = Tree(label(found.thing, ""))
    add(top, found.thing)
    return top


def _print(found: Family, *, stderr: bool) -> None:
    from upbringing.cli import show

    out = show.console(stderr=stderr)
    out.print(f"\n{found.says}", soft_wrap=True, markup=False)
    for member in found.members.values():
        for reason in found.reasons(member.id):
            out.print(f"  {member.name}: {reason}", soft_wrap=True, markup=False)
    for warning in found.warnings:
        out.print(f"\nbeware: {warning.says}", soft_wrap=True, markup=False)
