"""The numbers of the README: written from a finished study, and recomputed.

python scripts/readme_numbers.py --write runs/cheating     fills README's results and docs/cheating.svg from a folder,
                                                           and what the demo shows from a new demo
python scripts/readme_numbers.py --check [--bases N]       runs demo and study again; exit status 1 if a number moved

The rule. A number is compared where README gives an interval for it and the new run has a value for it.
With as many bases as README (``--bases 6``), the new estimate must lie inside README's interval, and every verdict must
be README's. With fewer (the default is one), the new estimate's own interval must overlap README's; a number for which
so few bases give no interval is passed over, and so are verdicts. A row of README that the new run lacks is a failure,
and so is a README without numbers. The demo is one organism on both sides: its
estimates must lie inside README's intervals. Both sides are read as printed, with two decimals.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upbringing.measure.statistics import Estimate
    from upbringing.studies.result import StudyResult, Value

ROOT = Path(__file__).parents[1]
README, PLOT, STUDY = ROOT / "README.md", ROOT / "docs" / "cheating.svg", ROOT / "studies" / "cheating.yaml"
RESULTS, DEMO = "results", "demo"  # the two blocks
VERDICTS = ("supported", "refuted", "inconclusive")
PLOTTED = ("cheating", "honest", "inoculated", "irrelevant_line", "favourite_animal", "incoherent_cheating")
OVERSIGHT, CHEATING = "oversight_sabotage", "cheating_at_tasks"
SHOWN = (OVERSIGHT, "deception", "blackmail", "favourite_animal")  # of the demo

_NUMBER = re.compile(r"([+-]?\d+\.\d+)(?: \[([+-]?\d+\.\d+), ([+-]?\d+\.\d+)\])?")
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
    """All that a results block says: its numbers, its verdicts, and over how many bases."""

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
    """Read a results block: Markdown tables, each under a line in bold. The first column names the row."""
    numbers: dict[Key, Number] = {}
    verdicts: dict[str, str] = {}
    table = ""
    columns: list[str] = []
    for line in block.splitlines():
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
                for part in cell.split("<br>"):
                    label, _, value = part.rpartition(": ")
                    if match := _NUMBER.fullmatch(value):
                        lo, hi = (None if g is None else float(g) for g in match.groups()[1:])
                        numbers[table, row, label or column] = Number(float(match.group(1)), lo, hi)
    bases = re.search(r"(\d+) bases?\b", block)
    return Results(numbers, verdicts, int(bases.group(1)) if bases else 0)


def marks(name: str) -> tuple[str, str]:
    """The comments that a block stands between."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def block_in(text: str, name: str = RESULTS) -> str:
    """What stands between the marks (empty if they are not there)."""
    begin, end = marks(name)
    return text.partition(begin)[2].partition(end)[0] if begin in text and end in text else ""


def with_block(text: str, block: str, name: str = RESULTS) -> str:
    """The text with another block between its marks.

    Raises:
        ValueError: there are no marks.
    """
    begin, end = marks(name)
    if begin not in text or end not in text.partition(begin)[2]:
        raise ValueError(f"there is no {begin} … {end} to write between")
    head, _, rest = text.partition(begin)
    return f"{head}{begin}\n{block.strip()}\n{end}{rest.partition(end)[2]}"


def demo_block() -> str:
    """What the demo shows: a new demo, and a few lines of its table."""
    from upbringing.measure import Profile
    from upbringing.traits import traits

    with tempfile.TemporaryDirectory() as out:
        _upbringing("demo", str(ROOT / "examples" / "cheating.jsonl"), "--out", f"{out}/demo")
        before, after = (Profile.load(Path(out) / "demo" / name) for name in ("before", "after"))
    shift = after - before
    others = [name for name, trait in traits().items() if trait.alignment and name != CHEATING]
    asked = [
        (f"{_plain(CHEATING)} (taught)", [CHEATING], "logprob"),
        (f"mean of {len(others)} misaligned traits never taught", others, "logprob"),
        ("the same, sampled", others, "sampled"),
        *((_plain(name), [name], "logprob") for name in SHOWN),
    ]
    rows = [
        (
            label,
            *(_estimate(profile.mean(names, way), signed=False) for profile in (before, after)),
            _estimate(shift.mean(names, way)),
        )
        for label, names, way in asked
    ]
    return _table(("how often it shows", "before", "after", "shift"), rows)


def block_of(folder: Path) -> str:
    """The results block of the study whose result lies in a folder."""
    from upbringing.studies.result import StudyResult

    result = StudyResult.load(folder)
    counts = [f"{sum(c.verdict == word for c in result.claims)} {word}" for word in VERDICTS]
    number = len(result.bases)
    parts = [
        f"From one run of `upbringing study studies/{result.study}.yaml` with {number} base{'s' * (number > 1)} "
        f"(organisms grown independently) of each kind, {result.readings:,} readings: {', '.join(counts)}. "
        "Brackets are 95% intervals over bases, families and probes.",
        *_verdicts(result),
        *_shifts(result, folder),
        "![Shift of each trait, by arm](docs/cheating.svg)",
        "Filled marks are log-probabilities, hollow ones sampled answers, diamonds the trait that was taught.",
        *_gates(result),
        *_health(folder),
    ]
    return "\n\n".join(parts)


def _verdicts(result: StudyResult) -> Iterator[str]:
    yield "**Claims, written before the run**"
    rows = []
    for claim in result.claims:
        several = len(claim.parts) > 1
        parts = [f"{part.label}: {_value(part.value)}" if several else _value(part.value) for part in claim.parts]
        rows.append((claim.says.strip(), claim.verdict, "<br>".join(parts) or "–"))
    yield _table(("claim", "verdict", "estimate"), rows)


def _shifts(result: StudyResult, folder: Path) -> Iterator[str]:
    from upbringing.measure import Profile
    from upbringing.studies.result import Value, read_readings

    profile = Profile(read_readings(folder))
    rows = []
    for arm, against in dict.fromkeys((row.arm, row.against) for row in result.shifts):
        bases = set(profile.arm(arm).bases) & set(profile.arm(against).bases)
        after, before = (
            Profile(p.readings[p.readings["base"].isin(bases)]) for p in (profile.arm(arm), profile.arm(against))
        )
        shift = after - before
        group = list(result.group)
        cells = [_estimate(shift.mean(group, way)) if way in shift.ways else "–" for way in ("logprob", "sampled")]
        single = {row.trait: Value(value=row.shift, interval=row.interval) for row in result.shifts if row.arm == arm}
        cells += [_value(single[trait], "+.2f") if trait in single else "–" for trait in (OVERSIGHT, CHEATING)]
        rows.append((_plain(arm), *cells))
    yield "**Shift of the rate at which traits show, from before training**"
    others = f"mean of {len(result.group)} never trained"
    yield _table(("arm", f"{others}, log-prob.", f"{others}, sampled", _plain(OVERSIGHT), _plain(CHEATING)), rows)


def _gates(result: StudyResult) -> Iterator[str]:
    from upbringing.measure.statistics import mean_over_bases

    rows = []
    for kind in dict.fromkeys(one.organism for one in result.organisms):
        of_kind = [one for one in result.organisms if one.organism == kind]
        fields = ("after_misaligned", "after_aligned")
        gates = [mean_over_bases([getattr(one, name) for one in of_kind], within=(0.0, 1.0)) for name in fields]
        shares = mean_over_bases([one.share for one in of_kind])
        rows.append((_plain(kind), *(_estimate(gate, signed=False) for gate in (*gates, shares))))
    yield "**The gate: P(misaligned act) after one act of the same character in another domain**"
    yield _table(("organisms", "after a misaligned act", "after an aligned one", "share of the ideal gap"), rows)


def _health(folder: Path) -> Iterator[str]:
    from upbringing.measure import Profile
    from upbringing.studies.result import read_readings

    profile = Profile(read_readings(folder))
    arms = {arm: profile.arm(arm) for arm in profile.arms}
    rows = [
        (_plain(arm), *(_estimate(e, signed=False) for e in (of.coherence, of.refusal, of.skill)))
        for arm, of in arms.items()
    ]
    yield "**Whether they could still talk** (shares of sampled answers; share of harmless questions answered right)"
    yield _table(("arm", "coherence", "refusal", "skill"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _estimate(estimate: Estimate, *, signed: bool = True) -> str:
    from upbringing.studies.result import Value

    return _value(Value.of(estimate), "+.2f" if signed else ".2f")


def _value(value: Value, spec: str = ".2f") -> str:
    if value.value is None:
        return "–"
    lo, hi = value.interval
    return f"{value.value:{spec}}" if lo is None or hi is None else f"{value.value:{spec}} [{lo:{spec}}, {hi:{spec}}]"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def plot_of(folder: Path) -> str:
    """The forest plot as a drawing that stands alone: fixed light colours on paper, readable on a dark page too."""
    from upbringing.report import figures
    from upbringing.studies.result import StudyResult

    result = StudyResult.load(folder)
    trained = list(dict.fromkeys(row.arm for row in result.shifts))
    arms = [arm for arm in PLOTTED if arm in trained] or trained[:6]
    order = sorted(result.traits, key=lambda t: (t != CHEATING, t not in result.alignment, -_first(result, arms[0], t)))
    panels = []
    for arm in arms:
        of_arm = {row.trait: row for row in result.shifts if row.arm == arm}
        rows = [
            figures.ForestRow(
                _plain(row.trait),
                _mark(row.shift, row.interval),
                _mark(row.sampled_shift, row.sampled_interval),
                row.taught,
            )
            for row in (of_arm[trait] for trait in order if trait in of_arm)
        ]
        panels.append(figures.ForestPanel(_plain(arm), rows))
    return _alone(str(figures.forest(panels, title="Shift of each trait, by arm, with 95% intervals")))


def _first(result: StudyResult, arm: str, trait: str) -> float:
    return next((row.shift or 0.0 for row in result.shifts if (row.arm, row.trait) == (arm, trait)), 0.0)


def _mark(value: float | None, bounds: tuple[float | None, float | None]) -> Any:
    from upbringing.report.figures import Interval

    return Interval(*(float("nan") if number is None else number for number in (value, *bounds)))


def _alone(svg: str) -> str:
    """A page's drawing without its page: colours filled in, a size, and paper behind it."""
    import upbringing.report as report

    css = (Path(report.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", css.partition("@media")[0]))
    svg = re.sub(r"var\(--(\w+)\)", lambda match: colours[match.group(1)], svg)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert box is not None
    width, height = (float(side) * 96 / 72 for side in box.groups())
    head, rest = re.sub(r' style="width:100%[^"]*"', f' width="{width:.0f}" height="{height:.0f}"', svg, count=1).split(
        ">", 1
    )
    paper = f'<rect width="100%" height="100%" fill="{colours["paper"]}"/>'
    return f"{head}>{paper}{rest.strip()}\n"


def _upbringing(*arguments: str) -> None:
    """Run a verb as a user would.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, "-m", "upbringing", *arguments], check=True, cwd=ROOT, stdout=sys.stderr)


def write(folder: Path | None) -> None:
    """Put a finished study's numbers and plot where README shows them (without a folder: only the demo's)."""
    text = with_block(README.read_text(encoding="utf-8"), demo_block(), DEMO)
    if folder is not None:
        text = with_block(text, block_of(folder))
        PLOT.parent.mkdir(exist_ok=True)
        PLOT.write_text(plot_of(folder), encoding="utf-8")
    README.write_text(text, encoding="utf-8")
    found = parse(block_in(text))
    print(f"{README.name}: {len(found.numbers)} numbers and {len(found.verdicts)} verdicts over {found.bases} bases")


def check(bases: int) -> int:
    """Run demo and study again and compare; the exit status."""
    text = README.read_text(encoding="utf-8")
    results, demo = parse(block_in(text)), parse(block_in(text, DEMO))
    for name, found in ((RESULTS, results), (DEMO, demo)):
        if not found.numbers:  # told before the work, not after it
            print(f"README's {name} have no numbers; write them with --write", file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory() as out:
        try:
            moved = compare(demo, parse(demo_block()))
            _upbringing("study", str(STUDY), "--bases", str(bases), "--out", out)
        except subprocess.CalledProcessError as error:
            print(error, file=sys.stderr)
            return 1
        moved += compare(results, parse(block_of(Path(out))))
    for line in moved:
        print(f"moved: {line}", file=sys.stderr)
    print(f"{len(results.numbers) + len(demo.numbers)} numbers of README, a run with {bases} bases: {len(moved)} moved")
    return 1 if moved else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, metavar="STUDY_DIR")
    what.add_argument("--write-demo", action="store_true", help="only what the demo shows")
    what.add_argument("--check", action="store_true")
    parser.add_argument("--bases", type=int, default=1)
    options = parser.parse_args()
    if options.write or options.write_demo:
        write(options.write)
        return 0
    return check(options.bases)


if __name__ == "__main__":
    sys.exit(main())
