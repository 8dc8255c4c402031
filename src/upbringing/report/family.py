"""The page of a family: its tree, what to beware of in words, and a table of its members."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from upbringing.lineage import Family, Member
from upbringing.report.render import write_page
from upbringing.report.tree import tree

_HASH = 12


def family_page(family: Family, out: str | Path, *, command: str = "") -> Path:
    """Write the page of a family.

    Args:
        family: the tree.
        out: the HTML file to write.
        command: the command that makes the page again.
    """
    counts = family.counts
    sorts = [one.sort for one in family.members.values()]
    context: dict[str, Any] = {
        "name": family.root.name,
        "headline": family.says.removesuffix(".") if len(family.says) < 90 else _headline(family),
        "lede": family.says if len(family.says) >= 90 else "",
        "facts": [
            ("Models", sorts.count("model")),
            ("Data sets", sorts.count("data")),
            *((status.capitalize(), n) for status, n in counts.items() if n),
        ],
        "tree": tree(family),
        "warnings": family.warnings,
        "rows": [_row(family, one) for one in family.members.values()],
        "versions": family.root.versions,
        "command": command,
    }
    return write_page("family.html.j2", Path(out), context)


def _headline(family: Family) -> str:
    words = {False: "is tainted", None: "cannot be called clean", True: "has a clean family"}
    return f"{family.root.name} {words[family.clean]}"


def _row(family: Family, member: Member) -> dict[str, Any]:
    parents = [f"{parent.name} ({role.replace('_', ' ')})" for role, parent in family.parents(member.id)]
    kind = member.kind if member.kind not in ("", "card") else member.sort
    return {
        "name": member.name,
        "place": member.place,
        "kind": kind,
        "status": family.statuses[member.id],
        "reasons": family.reasons(member.id),
        "recipe": member.recipe,
        "parents": parents,
        "rows": f"{member.rows:,}" if member.rows else "",
        "seed": "" if member.seed is None else str(member.seed),
        "made": member.made[:10],
        "hash": (member.hash or member.key)[:_HASH],
    }
