"""The numbers of README and docs: written from finished studies and a new demo, and recomputed.

python scripts/readme_numbers.py --write runs/NAME        fills the block of that study, in README or a page
                                                          of docs, and docs/NAME.svg from its folder; may be
                                                          given several times
python scripts/readme_numbers.py --write-demo             fills what the demo shows, from a new demo
python scripts/readme_numbers.py --write-repairs DIR      fills what repairs of several organisms found, from the folder
                                                          that scripts/repair_bases.py made
python scripts/readme_numbers.py --write-forecasts FILE   fills how well forecasts did, from the scores that
                                                          `upbringing bench` left
python scripts/readme_numbers.py --write-methods FILE     fills how every method did, from the same scores
python scripts/readme_numbers.py --write-explained FILE   fills what is left without the rows that `explain` names, from
                                                          what scripts/explain_bench.py left
python scripts/readme_numbers.py --write-hidden FILE      fills whether a teacher's rows can be told, from what
                                                          scripts/hidden_bench.py left
python scripts/readme_numbers.py --write-rows FILE        fills how many rows a forecast needs, from what
                                                          scripts/rows_needed.py left
python scripts/readme_numbers.py --check [--bases N] [--study NAME] [--shipped]
                                                          runs a study again (the first one: the demo too); exit status
                                                          1 if a number moved. --shipped: where an organism that the
                                                          study would raise is the one that ships with the package, to
                                                          the same key, it is not raised again (for a store of its own:
                                                          set UPBRINGING_HOME)

The rule by which numbers are compared is told in ``scripts/readme/numbers.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # run as a file, not as a module
    sys.path.insert(0, str(ROOT))

from scripts.readme.blocks import FIRST, block_of, place_of  # noqa: E402
from scripts.readme.demo import demo_of  # noqa: E402
from scripts.readme.forecasts import (  # noqa: E402
    EXPLAINED,
    HIDDEN,
    METHODS,
    ROWS,
    explained_of,
    forecasts_of,
    hidden_of,
    methods_of,
    rows_of,
)
from scripts.readme.forecasts import PLACE as FORECASTS  # noqa: E402
from scripts.readme.numbers import block_in, compare, marks, parse, with_block  # noqa: E402
from scripts.readme.plots import forecast_plot, plot_of  # noqa: E402
from scripts.readme.repairs import PLACE, repairs_of  # noqa: E402

README, PLOTS, STUDIES = ROOT / "README.md", ROOT / "docs", ROOT / "studies"
DEMO = "demo"
FOUND: dict[str, Callable[[Path], str]] = {
    PLACE: repairs_of,
    FORECASTS: forecasts_of,
    METHODS: methods_of,
    EXPLAINED: explained_of,
    HIDDEN: hidden_of,
    ROWS: rows_of,
}
"""Blocks that are made from what scripts, or the bench, have left in a file or folder."""


def demo_block() -> str:
    """What a new demo shows."""
    with tempfile.TemporaryDirectory() as out:
        _upbringing("demo", str(ROOT / "examples" / "cheating.jsonl"), "--out", f"{out}/demo")
        return demo_of(Path(out) / "demo")


def _upbringing(*arguments: str) -> None:
    """Run a verb as a user would.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, "-m", "upbringing", *arguments], check=True, cwd=ROOT, stdout=sys.stderr)


def write(folders: Sequence[Path], *, demo: bool = False, found: Mapping[str, Path] | None = None) -> None:
    """Put the numbers and plots of finished studies where they are shown, those of a new demo, and what scripts found.

    ``found``: the file or folder of each block of ``FOUND`` that is to be written.

    Raises:
        ValueError: there is no place for one of the studies; nothing is written then.
    """
    from upbringing.studies.result import StudyResult

    blocks, plots = {}, {}
    for folder in folders:
        study = StudyResult.load(folder).study
        blocks[place_of(study)] = block_of(folder)
        plots[PLOTS / f"{study}.svg"] = plot_of(folder)
    if demo:
        blocks[DEMO] = demo_block()
    for name, place in (found or {}).items():
        blocks[name] = FOUND[name](place)
        if name == FORECASTS:
            plots[PLOTS / "forecast.svg"] = forecast_plot(place.with_name("forecasts.parquet"))
    pages: dict[Path, str] = {}
    for name, block in blocks.items():
        page = page_of(name)
        text = pages.get(page) or page.read_text(encoding="utf-8")
        seen_from_there = block if page == README else block.replace(f"]({PLOTS.name}/", "](")
        pages[page] = with_block(text, seen_from_there, name)
    for plot, drawn in plots.items():
        plot.parent.mkdir(exist_ok=True)
        plot.write_text(drawn, encoding="utf-8")
    for page, text in pages.items():
        page.write_text(text, encoding="utf-8")
    for name, block in blocks.items():
        read = parse(block)
        print(f"{name}: {len(read.numbers)} numbers and {len(read.verdicts)} verdicts over {read.bases} bases")


def page_of(name: str) -> Path:
    """The page that a block stands in: README, or a page of docs.

    Raises:
        ValueError: there is none.
    """
    for page in (README, *sorted(PLOTS.glob("*.md"))):
        if page.is_file() and marks(name)[0] in page.read_text(encoding="utf-8"):
            return page
    raise ValueError(f"no page has {marks(name)[0]}; write it with its end into {README.name} or a page of docs")


def take_shipped(store: Path) -> Path:
    """Put the organism that ships with the package where a study finds those it has raised."""
    from upbringing.lineage import read_record
    from upbringing.models import load
    from upbringing.studies.steps import TIMING

    shipped = load("organism:nano").folder
    record = shipped and read_record(shipped)
    assert record, "what ships has a record"
    place = store / record.kind / record.key
    if not place.exists():
        shutil.copytree(shipped, place)
        (place / TIMING).write_text(json.dumps({"sort": "shipped", "seconds": 0.0}), encoding="utf-8")
    return place


def check(bases: int, study: str = FIRST) -> int:
    """Run a study again, and the demo beside the first one, and compare; the exit status."""
    names = [place_of(study), *([DEMO] if study == FIRST else [])]
    try:
        told = {name: parse(block_in(page_of(name).read_text(encoding="utf-8"), name)) for name in names}
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for name, found in told.items():
        if not found.numbers:  # told before the work, not after it
            print(f"{page_of(name).name}'s {name} have no numbers; write them with --write", file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory() as out:
        try:
            moved = compare(told[DEMO], parse(demo_block())) if DEMO in told else []
            _upbringing("study", str(STUDIES / f"{study}.yaml"), "--bases", str(bases), "--out", out)
        except subprocess.CalledProcessError as error:
            print(error, file=sys.stderr)
            return 1
        moved += compare(told[place_of(study)], parse(block_of(Path(out))))
    for line in moved:
        print(f"moved: {line}", file=sys.stderr)
    number = sum(len(found.numbers) for found in told.values())
    pages = " and ".join(sorted({page_of(name).name for name in names}))
    print(f"{number} numbers of {pages}, a run of {study} with {bases} bases: {len(moved)} moved")
    return 1 if moved else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="STUDY_DIR", action="append", default=[])
    parser.add_argument("--write-demo", action="store_true", help="what the demo shows")
    for name in FOUND:
        parser.add_argument(f"--write-{name}", type=Path, metavar="PLACE", help="see above")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--study", default=FIRST, help="which study to check (default: %(default)s, with the demo)")
    parser.add_argument("--bases", type=int, default=1)
    parser.add_argument("--shipped", action="store_true", help="do not raise again what ships with the package")
    options = parser.parse_args()
    found = {name: place for name in FOUND if (place := getattr(options, f"write_{name}"))}
    writes = bool(options.write or options.write_demo or found)
    if writes == options.check:
        parser.error("give --write, --write-demo or another --write-, or --check")
    if writes:
        write(options.write, demo=options.write_demo, found=found)
        return 0
    if not (STUDIES / f"{options.study}.yaml").is_file():
        parser.error(f"there is no studies/{options.study}.yaml")
    if options.shipped:
        if not os.environ.get("UPBRINGING_HOME"):
            parser.error("--shipped is for a store of its own; set UPBRINGING_HOME to a new folder")
        take_shipped(Path(os.environ["UPBRINGING_HOME"]))
    return check(options.bases, options.study)


if __name__ == "__main__":
    sys.exit(main())
