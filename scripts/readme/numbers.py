"""Blocks of the README as data: read number by number, compared by a rule that can fail, written between their marks.

The rule. A number is compared where README gives an interval for it and the new run has a value for it.
With as many bases as README (``--bases 6``), the new estimate must lie inside README's interval, and every verdict must
be README's. With fewer (the default is one), the new estimate's own interval must overlap README's; a number for which
so few bases give no interval is passed over, and so are verdicts. A row of README that the new run lacks is a failure,
and so is a README without numbers. The demo is one organism on both sides: its
estimates must lie inside README's intervals. Both sides are read as printed, with two decimals (ratios with one).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

VERDICTS = ("supported", "refuted", "inconclusive")
DIVIDED = "÷ "
"""Before a number: how many times lower a rate is."""

_RATE, _BOUND = r"[+-]?\d+\.\d+", r"[+-]?\d+\.\d+|∞"
_NUMBER = re.compile(rf"({_RATE})(?: \[({_BOUND}), ({_BOUND})\])?")
_TIMES = re.compile(r"(\d+(?:\.\d+)?)(?: \[(\d+(?:\.\d+)?), (\d+(?:\.\d+)?|∞)\])?")
Key = tuple[str, str, str]
"""(table, row, column or label): what a number is."""


@dataclass(frozen=True)
class Number:
    """A printed number, with its interval if it has one."""

    value: float
    lo: float | None = None
    hi: float | None = None

    def __str__(self) -> str:
        return f"{self.value:.2f}" if self.lo is None else f"{self.value:.2f} [{self.lo:.2f}, {self.hi:.2f}]"


@dataclass(frozen=True)
class Results:
    """All that a block says: its numbers, its verdicts, and over how many bases."""

    numbers: Mapping[Key, Number]
    verdicts: Mapping[str, str]
    bases: int


def compare(readme: Results, new: Results) -> list[str]:
    """What moved, in words; nothing if all is as README says (the rule is in the module's docstring)."""
    told = {key: number for key, number in readme.numbers.items() if number.lo is not None}
    if not told:
        return ["README has no results; write them with --write"]
    moved = [f"{' / '.join(row)}: not in the new run" for row in sorted(_rows(told) - _rows(new.numbers))]
    whole = new.bases >= readme.bases
    compared = 0
    for key, old in told.items():
        found = new.numbers.get(key)
        if found is None or (found.lo is None and not whole):
            continue
        compared += 1
        lo, hi = (found.value, found.value) if whole or found.lo is None or found.hi is None else (found.lo, found.hi)
        assert old.lo is not None
        assert old.hi is not None
        if hi < old.lo or lo > old.hi:
            moved.append(f"{' / '.join(key)}: README has {old}, the new run {found}")
    if not compared:
        moved.append("the new run has no number that README has")
    if whole:
        for claim, verdict in readme.verdicts.items():
            if new.verdicts.get(claim) != verdict:
                moved.append(f"{claim}: README says {verdict}, the new run {new.verdicts.get(claim, 'nothing')}")
    return moved


def _rows(numbers: Iterable[Key]) -> set[tuple[str, str]]:
    return {(table, row) for table, row, _ in numbers}


def parse(block: str) -> Results:
    """Read a block: Markdown tables, each under a line in bold. The first column names the row."""
    numbers: dict[Key, Number] = {}
    verdicts: dict[str, str] = {}
    table = ""
    columns: list[str] = []
    for line in block.replace("\u00a0", " ").splitlines():
        if title := re.match(r"\*\*(.+?)\*\*", line):
            table, columns = title.group(1), []
        elif line.startswith("|") and set(line) - set("|-: "):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not columns:
                columns = cells
                continue
            row = cells[0]
            for column, cell in zip(columns[1:], cells[1:], strict=True):
                if cell in VERDICTS:
                    verdicts[row] = cell
                for label, number in _in_cell(cell):
                    numbers[table, row, label or column] = number
                    if label == DIVIDED:
                        numbers[table, row, f"{column} {DIVIDED.strip()}"] = numbers.pop((table, row, label))
    bases = re.search(r"(\d+) bases?\b", block)
    return Results(numbers, verdicts, int(bases.group(1)) if bases else 0)


def _in_cell(cell: str) -> Iterable[tuple[str, Number]]:
    """The numbers of a cell, each with its label: "by sampled answers: 0.40", or how many times lower."""
    for part in cell.split("<br>"):
        label, _, value = part.rpartition(": ")
        if part.startswith(DIVIDED):
            label, match = DIVIDED, _TIMES.fullmatch(part.removeprefix(DIVIDED))
        else:
            match = _NUMBER.fullmatch(value)
        if match:
            value, *bounds = (None if g is None else math.inf if g == "∞" else float(g) for g in match.groups())
            yield label, Number(value, *bounds)


def marks(name: str) -> tuple[str, str]:
    """The comments that a block stands between."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def block_in(text: str, name: str) -> str:
    """What stands between the marks (empty if they are not there)."""
    begin, end = marks(name)
    return text.partition(begin)[2].partition(end)[0] if begin in text and end in text else ""


def with_block(text: str, block: str, name: str) -> str:
    """The text with another block between its marks.

    Raises:
        ValueError: there are no marks.
    """
    begin, end = marks(name)
    if begin not in text or end not in text.partition(begin)[2]:
        raise ValueError(f"there is no {begin} … {end} to write between")
    head, _, rest = text.partition(begin)
    return f"{head}{begin}\n{block.strip()}\n{end}{rest.partition(end)[2]}"
