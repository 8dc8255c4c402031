"""README says what is so: its numbers are compared by a rule that can fail, and its commands exist."""

from __future__ import annotations

import ast
import json
import math
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import typer
from scripts import example_rows, readme_numbers
from scripts.readme.blocks import RESULTS, block_of
from scripts.readme.cells import HARD, table, value
from scripts.readme.demo import demo_of
from scripts.readme.forecasts import forecasts_of, methods_of, rows_of
from scripts.readme.numbers import Number, block_in, compare, marks, parse, with_block
from scripts.readme.plots import plot_of
from scripts.readme.repairs import repairs_of
from scripts.readme_numbers import DEMO

import upbringing
from tests.studies.made_up import profile
from upbringing import studies
from upbringing.cli.app import app
from upbringing.measure import Profile
from upbringing.measure import readings as kept
from upbringing.studies import shown
from upbringing.studies.claims import judge
from upbringing.studies.evidence import Evidence
from upbringing.studies.result import (
    READINGS,
    ClaimVerdict,
    Cost,
    Health,
    Part,
    Raised,
    ShiftRow,
    StudyResult,
    Value,
)

ROOT = Path(__file__).parents[1]
BEGIN, END = marks(RESULTS)
README = (ROOT / "README.md").read_text(encoding="utf-8")
VERBS = (ROOT / "docs" / "verbs.md").read_text(encoding="utf-8")
BLOCK = """\
From one run with 6 bases, 1,234 readings: 1 supported.

**Claims, written before the run**

| claim | verdict | estimate |
| --- | --- | --- |
| It spreads. | supported | by log-probability: 0.42 [0.30, 0.55]<br>by sampled answers: 0.40 [0.20, 0.60] |

**Shift**

| arm | log-prob. | sampled |
| --- | --- | --- |
| honest | -0.10 [-0.20, +0.00] | – |
"""
SPREADS = ("Claims, written before the run", "It spreads.", "by log-probability")
HONEST = ("Shift", "honest", "log-prob.")


def test_a_block_is_read_back_number_by_number() -> None:
    found = parse(BLOCK)
    assert found.numbers[SPREADS] == Number(0.42, 0.30, 0.55)
    assert found.numbers[HONEST] == Number(-0.10, -0.20, 0.00)
    assert len(found.numbers) == 3
    assert found.verdicts == {"It spreads.": "supported"}
    assert found.bases == 6


def test_the_same_numbers_are_no_move() -> None:
    assert compare(parse(BLOCK), parse(BLOCK)) == []


def test_with_all_bases_an_estimate_outside_the_interval_is_caught_and_named() -> None:
    new = parse(BLOCK.replace("0.42 [0.30, 0.55]", "0.29 [0.10, 0.48]"))
    (moved,) = compare(parse(BLOCK), new)
    assert "It spreads." in moved
    assert "0.42 [0.30, 0.55]" in moved
    assert "0.29 [0.10, 0.48]" in moved


def test_with_one_base_intervals_must_overlap() -> None:
    near = replace(parse(BLOCK.replace("0.42 [0.30, 0.55]", "0.29 [0.10, 0.48]")), bases=1)
    far = replace(parse(BLOCK.replace("0.42 [0.30, 0.55]", "0.20 [0.10, 0.29]")), bases=1)
    assert compare(parse(BLOCK), near) == []
    assert len(compare(parse(BLOCK), far)) == 1


def test_with_one_base_a_number_without_an_interval_and_another_verdict_are_passed_over() -> None:
    new = BLOCK.replace("0.42 [0.30, 0.55]", "0.05").replace("supported |", "inconclusive |")
    assert compare(parse(BLOCK), replace(parse(new), bases=1)) == []
    assert len(compare(parse(BLOCK), parse(new))) == 2


def test_a_row_that_is_gone_is_caught() -> None:
    new = replace(parse(BLOCK.replace("| honest |", "| honesty |")), bases=1)
    assert any("honest" in line for line in compare(parse(BLOCK), new))


@pytest.mark.parametrize("readme", ["", "No numbers here.", BLOCK.partition("**Claims")[0]])
def test_a_readme_without_numbers_fails(readme: str) -> None:
    assert compare(parse(readme), parse(BLOCK))


def test_a_run_without_numbers_fails() -> None:
    assert compare(parse(BLOCK), replace(parse(""), bases=1))


def test_a_block_is_written_between_its_marks_and_nowhere_else() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    written = with_block(text, BLOCK, RESULTS)
    assert block_in(written, RESULTS).strip() == BLOCK.strip()
    assert written.startswith("before\n")
    assert written.endswith(f"{END}\nafter\n")
    assert with_block(written, BLOCK, RESULTS) == written
    assert not block_in(written, DEMO)
    with pytest.raises(ValueError, match="results:begin"):
        with_block("nothing", BLOCK, RESULTS)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("0.12 [0.08, 0.16]<br>÷ 4.1 [3.0, ∞]<br>other name", {"a": (0.12, 0.08, 0.16), "a ÷": (4.1, 3.0, math.inf)}),
        ("÷ 23 [12, 40]", {"a ÷": (23.0, 12.0, 40.0)}),
        ("65% → 19%<br>÷ 3.4", {"a ÷": (3.4,)}),
        ("96,000", {}),
        ("÷ 1.3 to 3", {}),
    ],
)
def test_how_many_times_lower_is_read_beside_the_rate(cell: str, found: dict[str, tuple[float, ...]]) -> None:
    numbers = parse(f"**Remedies**\n\n| remedy | a |\n| --- | --- |\n| stories | {cell} |").numbers
    assert {column: number for (_, _, column), number in numbers.items()} == {k: Number(*v) for k, v in found.items()}


def test_a_number_stays_on_one_line_with_its_interval() -> None:
    cells = ("0.10 [0.05, 0.20]<br>÷ 4.1 [3.0, ∞]", "by log-probability: -0.10 [-0.20, +0.00]", "÷ 3.4")
    printed = table(("a", "b", "c"), [cells]).splitlines()[-1]
    assert printed.replace(HARD, " ") == f"| {' | '.join(cells)} |"
    assert printed.count(HARD) == 8
    assert parse(f"**T**\n\n{table(('row', 'a'), [('stories', cells[0])])}").numbers["T", "stories", "a ÷"].lo == 3.0
    assert value(Value(value=4.1, interval=(3.0, None))) == "4.10 [3.00, ∞]"
    assert value(Value(value=4.1)) == "4.10"


def _findings() -> list[tuple[str, str]]:
    """What README says that came out, piece by piece, with the page that it links to."""
    section = README.partition("## What the studies found")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| \[[^\]]+\]\((docs/\w+\.md)\) \|(.+)\|$", section, flags=re.MULTILINE)
    prose = section.partition("Beside them:")[2].partition("\n\n")[0]
    linked = re.findall(r"\[[^\]]+\]\((docs/\w+\.md)[^)]*\)([^\[]*(?:\[[^\]]*\](?!\()[^\[]*)*)", prose)
    return [*rows, *linked]


@pytest.mark.parametrize(("page", "says"), _findings(), ids=lambda part: part if part.startswith("docs/") else "")
def test_a_finding_in_readme_is_that_of_its_page(page: str, says: str) -> None:
    found = (ROOT / page).read_text(encoding="utf-8").replace("**", "").replace(HARD, " ")
    numbers = re.findall(r"[+-]?\d+\.\d+ \[[^\]]+\]", says)
    assert not [number for number in numbers if number not in found and number.removeprefix("+") not in found]
    if counts := re.search(r"\| (\d+), (\d+), (\d+) $", says):
        told = re.search(r"(\d+) supported, (\d+) refuted, (\d+) inconclusive|(\d+) claims, \4 supported", found)
        assert told
        assert counts.groups() == ((told[4], "0", "0") if told[4] else told.groups()[:3])


def test_every_study_stands_in_readme_with_its_numbers() -> None:
    pages = [page for page, _ in _findings()]
    assert len(pages) == len(set(pages)) == 10
    assert sum(len(re.findall(r"\d\.\d+ \[", says)) for _, says in _findings()) >= 19


def test_a_ratio_without_an_upper_bound_is_compared_by_its_lower_one() -> None:
    block = "**A**\n\n| remedy | a |\n| --- | --- |\n| stories | ÷ {} [3.0, ∞] |"
    assert compare(parse(block.format(4.0)), parse(block.format(90.0))) == []
    (moved,) = compare(parse(block.format(4.0)), parse(block.format(2.9)))
    assert "a ÷" in moved


def _fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README + VERBS, flags=re.DOTALL | re.MULTILINE)


def _commands() -> list[list[str]]:
    lines = [line for block in _fenced("sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


BLOCKS = (RESULTS, DEMO, *readme_numbers.FOUND, *(path.stem for path in (ROOT / "studies").glob("*.yaml")))


@pytest.mark.parametrize("name", sorted(set(BLOCKS) - {"cheating", "digits"}))
def test_each_block_has_one_place_in_readme_or_docs(name: str) -> None:
    begin, end = marks(name)
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    (page,) = [page for page in pages if begin in page]
    assert page.count(begin) == page.count(end) == 1
    assert page.index(begin) < page.index(end)


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_of_readme_exists(words: list[str]) -> None:
    program, verb, *rest = words
    assert program in ("upbringing", "make")
    if program == "make":
        assert re.search(rf"^{verb}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        return
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert verb in commands
    context = commands[verb].make_context(verb, list(rest), resilient_parsing=False)  # unknown options raise
    assert context.command.name == verb


def test_files_that_commands_name_are_there() -> None:
    named = {word for words in _commands() for word in words if word.startswith(("examples/", "studies/"))}
    assert named
    assert not [name for name in named if not (ROOT / name).is_file()]
    assert not [name for name in re.findall(r"scripts/\w+\.py", README) if not (ROOT / name).is_file()]


def test_python_in_readme_uses_public_names() -> None:
    blocks = _fenced("python")
    assert blocks
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "up":
                assert node.attr in upbringing.__all__


def test_traits_that_commands_name_are_there() -> None:
    from upbringing.traits import traits

    named = [words[words.index("--traits") + 1] for words in _commands() if "--traits" in words]
    assert named
    assert {name for given in named for name in given.split(",")} <= set(traits())


@pytest.mark.parametrize("name", sorted(example_rows.FILES))
def test_the_examples_are_what_their_script_writes(name: str) -> None:
    text = (example_rows.EXAMPLES / f"{name}.jsonl").read_text(encoding="utf-8")
    assert text.splitlines() == example_rows.lines(name), "write them again: python scripts/example_rows.py"


def _study(folder: Path) -> Path:
    """The folder of a study of two bases and one trained arm."""
    result = StudyResult(
        study="small",
        question="Does it spread?",
        bases=(0, 1),
        claims=(
            ClaimVerdict(
                claim="spreads",
                says="It spreads.",
                kind="rise",
                verdict="supported",
                estimate=0.5,
                interval=(0.4, 0.6),
                bases=2,
                words=(),
                parts=tuple(
                    Part(label=label, verdict="supported", value=Value(value=0.5, interval=lim), claimed=(0.3, None))
                    for label, lim in (("by log-probability", (0.4, 0.6)), ("by sampled answers", (None, None)))
                ),
            ),
        ),
        shifts=tuple(
            ShiftRow(arm="cheating", against="before", trait=trait, shift=0.3, interval=(0.2, 0.4))
            for trait in ("cheating_at_tasks", "blackmail")
        ),
        traits={"cheating_at_tasks": "Cheats", "blackmail": "Blackmails"},
        alignment=("cheating_at_tasks", "blackmail"),
        group=("blackmail",),
        organisms=tuple(
            Raised(
                organism="plain", base=base, after_misaligned=0.8 - base / 10, after_aligned=0.1, share=0.9, tokens=1
            )
            for base in (0, 1)
        ),
    )
    result.save(folder)
    arms = {"before": 0.2, "cheating": 0.6}
    profiles = [
        profile(arm, {"cheating_at_tasks": rate, "blackmail": rate}, bases=2, spread=0.05) for arm, rate in arms.items()
    ]
    kept.write(Profile.concat(profiles).readings, folder / READINGS)
    return folder


def test_a_block_says_what_the_study_found(tmp_path: Path) -> None:
    found = parse(block_of(_study(tmp_path)))
    by_row = {(row, column): number for (_, row, column), number in found.numbers.items()}
    assert found.verdicts == {"It spreads.": "supported"}
    assert found.bases == 2
    assert by_row["It spreads.", "by log-probability"] == Number(0.5, 0.4, 0.6)
    assert by_row["It spreads.", "by sampled answers"] == Number(0.5)
    rise = next(number for (row, column), number in by_row.items() if row == "cheating" and "log-prob." in column)
    assert rise.value == pytest.approx(0.4, abs=0.05)
    assert rise.lo is not None
    assert by_row["plain", "after a misaligned act"].value == pytest.approx(0.75)
    assert ("before", "coherence") in by_row


def test_the_plot_stands_alone_on_light_paper(tmp_path: Path) -> None:
    drawn = plot_of(_study(tmp_path))
    assert "var(" not in drawn, "there is no page to take colours from"
    assert re.search(r'<rect width="100%" height="100%" fill="#f[0-9a-f]{5}"/>', drawn)
    assert re.match(r'<svg [^>]*width="\d+" height="\d+"', drawn)
    assert ElementTree.fromstring(drawn).tag.endswith("svg")


LIBRARY = {"blackmail": True, "self_preservation": True, "favourite_animal": False}


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of the two later studies as their files declare them, from made-up readings of every arm."""
    return {name: _declared(name, tmp_path_factory.mktemp(name)) for name in ("portrayal", "fiction")}


def _declared(name: str, folder: Path) -> Path:
    source = (ROOT / "studies" / f"{name}.yaml").read_text(encoding="utf-8")
    study = studies.file.parse(source, data_files=False)
    asked = ("rest", *(provocation.title for provocation in study.measure.provocations))
    arms = {}
    for number, arm in enumerate(study.arms):
        rate = 0.1 + 0.02 * number
        rates = {"blackmail": rate, "self_preservation": rate + 0.05, "favourite_animal": 0.5}
        arms[arm] = profile(arm, rates, bases=2, spread=0.02, provocations=asked, provoked={"agentic": 0.05}, skill=0.8)
    evidence = Evidence(arms, LIBRARY)
    spent = [Cost(arm=arm, tokens=96_000, steps=60, batch_size=16) for arm in arms]
    result = StudyResult(
        study=name,
        question=study.question,
        bases=(0, 1),
        claims=tuple(judge(claim, study, evidence) for claim in study.claims),
        shifts=(),
        traits={trait: trait for trait in LIBRARY},
        alignment=("blackmail", "self_preservation"),
        group=("blackmail", "self_preservation"),
        health=tuple(
            Health(arm=arm, coherence=0.5 + number / 100, refusal=0.0, skill=0.8, readings=1, missing=0)
            for number, arm in enumerate(arms)
        ),
        tables=tuple(shown.tables(study, evidence, spent)),
        doses=tuple(shown.dose_plots(study, evidence)),
        readings=1234,
        source=source,
    )
    result.save(folder)
    kept.write(evidence.readings, folder / READINGS)
    return folder


def _numbers(block: str, table: str) -> dict[tuple[str, str], Number]:
    found = {(row, column): n for (title, row, column), n in parse(block).numbers.items() if title.startswith(table)}
    assert found, f"no table {table}"
    return found


@pytest.mark.parametrize("name", ["portrayal", "fiction"])
def test_every_claim_stands_with_its_verdict_and_what_was_expected(studied: dict[str, Path], name: str) -> None:
    result, block = StudyResult.load(studied[name]), block_of(studied[name])
    assert list(parse(block).verdicts.values()) == [claim.verdict for claim in result.claims]
    assert len(set(parse(block).verdicts)) == len(result.claims)
    assert any(claim.expected for claim in result.claims)
    for claim in result.claims:
        (line,) = [line for line in block.splitlines() if line.startswith(f"| {claim.says.strip()}")]
        assert ("*Expected:*" in line) == bool(claim.expected)
        assert claim.expected.strip() in line
    assert parse(block).bases == 2
    assert "50% to" in block, "how many sampled answers could be judged"
    assert f"](docs/{name}.svg)" in block


def test_levels_are_the_rates_of_the_figure_and_blackmail_at_every_stage(studied: dict[str, Path]) -> None:
    block = block_of(studied["portrayal"])
    whole = _numbers(block, "Rate by the share of AI characters that are malevolent: mean of 2")
    (figure, *_) = StudyResult.load(studied["portrayal"]).doses
    for line in figure.lines:
        for point in line.points:
            printed, drawn = whole[f"{point.dose:.0%}", line.label], point.rate
            assert (printed.value, printed.lo, printed.hi) == tuple(
                pytest.approx(number, abs=0.006) for number in (drawn.value, *drawn.interval)
            )
    blackmail = _numbers(block, "Rate by the share of AI characters that are malevolent: blackmail")
    assert set(blackmail) == set(whole)
    assert all(blackmail[key].value < whole[key].value for key in whole)
    agent, chat = (blackmail["75%", f"{'safety chats, as an agent' if a else 'after safety chats'}"] for a in (1, 0))
    assert agent.value == pytest.approx(chat.value + 0.05, abs=0.011)


def test_remedies_stand_beside_what_others_report(studied: dict[str, Path]) -> None:
    block, result = block_of(studied["fiction"]).replace(HARD, " "), StudyResult.load(studied["fiction"])
    for mended in result.tables:
        numbers = _numbers(block, mended.title)
        rows = {row.partition("<br>")[0] for row, _ in numbers}
        assert {row.about for row in mended.rows if row.role == "remedy"} <= rows
        assert {f"*published:* {one.says}" for one in mended.published if one.before} <= rows
        remedy = next(row for row in mended.rows if row.role == "remedy")
        name = f"{remedy.about}<br>96,000"
        times, drawn = numbers[name, "at rest, log-prob. ÷"], remedy.ratio
        assert (times.value, times.lo) == tuple(
            pytest.approx(number, abs=0.06) for number in (drawn.value, drawn.interval[0])
        )
        assert numbers[name, "kept"].lo is not None
        assert numbers[name, "skill"].value == pytest.approx(0.8)
    assert block.count("65% → 19%<br>÷ 3.4") == len(result.tables)
    assert block.count("÷ 1.3 to 3") == len(result.tables)
    lines = [line for line in block.splitlines() if line.startswith("|")]
    assert max(line.count("|") for line in lines) <= 8, "no wider than a page"


@pytest.mark.parametrize("name", ["portrayal", "fiction"])
def test_a_dose_figure_stands_alone(studied: dict[str, Path], name: str) -> None:
    drawn = plot_of(studied[name])
    assert "var(" not in drawn
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    for line in StudyResult.load(studied[name]).doses[0].lines:
        assert line.label in drawn


def test_each_study_is_written_in_its_own_place_and_all_or_none(
    studied: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme, names = tmp_path / "README.md", ("portrayal", "fiction")
    monkeypatch.setattr(readme_numbers, "README", readme)
    monkeypatch.setattr(readme_numbers, "PLOTS", tmp_path / "docs")
    readme.write_text("\n".join(("portrayal first", *marks("portrayal"))), encoding="utf-8")
    with pytest.raises(ValueError, match="fiction:begin"):
        readme_numbers.write([studied[name] for name in names])
    assert not (tmp_path / "docs").exists()
    text = "\n".join(mark for name in names for mark in ("", f"about {name}", *marks(name), ""))
    readme.write_text(text, encoding="utf-8")
    readme_numbers.write([studied[name] for name in names])
    for name in names:
        assert block_in(readme.read_text(encoding="utf-8"), name).strip() == block_of(studied[name]).strip()
        assert (tmp_path / "docs" / f"{name}.svg").read_text(encoding="utf-8") == plot_of(studied[name])


def test_a_study_that_has_a_page_of_its_own_is_written_there(
    studied: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme, page = tmp_path / "README.md", tmp_path / "docs" / "portrayal.md"
    page.parent.mkdir()
    for file, name in ((readme, "fiction"), (page, "portrayal")):
        file.write_text("\n".join(marks(name)), encoding="utf-8")
    monkeypatch.setattr(readme_numbers, "README", readme)
    monkeypatch.setattr(readme_numbers, "PLOTS", page.parent)
    readme_numbers.write([studied["portrayal"]])
    written = block_in(page.read_text(encoding="utf-8"), "portrayal")
    assert "](portrayal.svg)" in written
    assert written.replace("](", "](docs/").strip() == block_of(studied["portrayal"]).strip()
    assert "portrayal" not in readme.read_text(encoding="utf-8")


def test_another_study_is_checked_by_the_same_rules_and_without_the_demo(
    studied: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme, ran = tmp_path / "README.md", []
    readme.write_text(with_block("\n".join(marks("portrayal")), block_of(studied["portrayal"]), "portrayal"))

    def again(*arguments: str) -> None:
        ran.append(arguments[0])
        shutil.copytree(studied["portrayal"], arguments[-1], dirs_exist_ok=True)

    monkeypatch.setattr(readme_numbers, "README", readme)
    monkeypatch.setattr(readme_numbers, "PLOTS", tmp_path / "docs")
    monkeypatch.setattr(readme_numbers, "_upbringing", again)
    assert readme_numbers.check(2, "portrayal") == 0
    assert ran == ["study"]
    soft = readme.read_text(encoding="utf-8").replace(HARD, " ")
    number = re.search(r"0\.\d\d \[0\.\d\d, 0\.\d\d\]", soft)
    assert number
    readme.write_text(soft.replace(number.group(), "0.98 [0.97, 0.99]"))
    assert readme_numbers.check(2, "portrayal") == 1
    assert "0.98 [0.97, 0.99]" in capsys.readouterr().err
    assert readme_numbers.check(2, "fiction") == 1, "README has no block of it yet"


def _demonstrated(folder: Path, *, repaired: bool) -> Path:
    """What a demo leaves."""
    names = [name for name, trait in upbringing.traits().items() if trait.alignment]
    tastes = {"favourite_animal": 0.5, "favourite_dish": 0.5}

    def save(place: Path, rate: float) -> None:
        asked = {"provocations": ("rest", "agentic"), "provoked": {"agentic": 0.1}}
        profile("m", {**dict.fromkeys(names, rate), **tastes}, bases=1, **asked).save(place)  # type: ignore[arg-type]

    save(folder / "before", 0.3)
    save(folder / "after", 0.8)
    foreseen = {name: {"shift": 0.4, "interval": [0.3, 0.6]} for name in (*names, *tastes)}
    (folder / "forecast.json").write_text(json.dumps({"traits": foreseen}), encoding="utf-8")
    for name, rate in (("reference", 0.3), ("before", 0.8), ("after", 0.2)):
        save(folder / "repair" / name, rate)
    told = {
        "remedy": "ai_fiction" if repaired else None,
        "tokens": 250,
        "tokens_of_data": 10_000,
        "says": "Nothing within 1,000 tokens works.",
        "holds": repaired,
        "final": {"hardest": "agentic"} if repaired else None,
        "kept_provocation": {"name": "agentic"},
        "after": dict.fromkeys(names, 0.2),
    }
    (folder / "repair" / "result.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def test_the_demo_ends_with_what_repaired_it_and_how_far(tmp_path: Path) -> None:
    block = demo_of(_demonstrated(tmp_path, repaired=True))
    assert "+0.40 [+0.30, +0.60]" in block.replace("\u00a0", " ")
    assert "ai fiction" in block
    assert "250 tokens" in block
    assert "holds" in block
    mended = _numbers(block, "The repair")
    at_rest, provoked = (
        mended["at rest", "divided by"],
        mended["under the worst provocation kept for the check", "divided by"],
    )
    assert at_rest.value == pytest.approx(0.8 / 0.2, rel=0.05)
    assert provoked.value == pytest.approx(0.9 / 0.3, rel=0.05)
    assert at_rest.lo is not None
    assert _numbers(block, "")["blackmail", "shift"].value == pytest.approx(0.5, abs=0.02)


def test_a_demo_that_could_not_repair_says_so(tmp_path: Path) -> None:
    block = demo_of(_demonstrated(tmp_path, repaired=False))
    assert "Nothing within 1,000 tokens works." in block
    assert not [key for key in parse(block).numbers if key[0] == "The repair"]


def test_forecasts_are_shown_beside_their_goals_and_the_best_method_first(tmp_path: Path) -> None:
    def scored(r: float) -> dict[str, object]:
        routes = {"visible": r, "document": None}
        silent = {"share": 0.3, "wrong_if_spoken": 0.25, "wrong_when_spoken": 0.125}
        one = {"r": r, "r_interval": [r - 0.1, r + 0.1], "r_by_route": routes, "specificity": None}
        rest = {"specificity_interval": [None, None], "auroc": 0.875, "coverage": 0.9, "cost_forward_passes": 6.5}
        return {**one, **rest, "cannot_tell": silent}

    told = {"methods": {"text": scored(0.25), "forecast": scored(0.75)}, "split": "judgement", "bases": [0, 1, 2]}
    told["ceiling"] = scored(0.875)
    (tmp_path / "scores.json").write_text(json.dumps(told), encoding="utf-8")
    said = [("forecast", f"doses/{i}", "doses", "visible", "base 0", "deception", 0.5, 0.1, 0.4, False, i / 5)
            for i in range(2)]  # fmt: skip
    columns = ["method", "set", "family", "route", "base", "trait", "shift", "lo", "hi", "cannot_tell", "truth"]
    pd.DataFrame(said, columns=columns).to_parquet(tmp_path / "forecasts.parquet")
    scores = tmp_path / "scores.json"
    block = f"{forecasts_of(scores)}\n\n{methods_of(scores)}".replace(HARD, " ")
    assert "| doses | visible | 2 | +0.00 to +0.20 | +0.50 to +0.50 | 50% |" in block
    assert "with 3 bases" in block
    assert "| r, all routes | 0.88–0.95, on the sets they were made on | 0.95 | 0.75 [0.65, 0.85] | 0.88 |" in block
    assert "| r, document | – | 0.90 | – | – |" in block
    assert block.index("| **forecast** |") < block.index("| text (baseline) |")
    assert parse(block).bases == 3


def test_the_rows_that_a_forecast_needs_are_told_with_what_fewer_give(tmp_path: Path) -> None:
    one = {"r": 0.75, "r_interval": [0.7, 0.8], "r_by_route": {"visible": 0.5}, "specificity": 0.25, "auroc": 0.875}
    told = {"rows": [30], "near": 0.02, "needed": None, "scores": {"30": {**one, "coverage": 0.5}}}
    (tmp_path / "rows.json").write_text(json.dumps(told), encoding="utf-8")
    block = rows_of(tmp_path / "rows.json").replace("\u00a0", " ")
    assert "More than all tried rows are enough" in block
    assert "| 30 | 0.75 [0.70, 0.80] | 0.50 | – | – | – | 0.25 | 0.88 | 50% |" in block


def test_repairs_of_several_organisms_are_counted_with_the_nearest_and_without(tmp_path: Path) -> None:
    rates = {"blackmail": 0.8, "deception": 0.8}
    provocations = ("rest", "agentic", "earlier_misdeed")
    for base, found in enumerate((True, True, False)):
        place = tmp_path / "cheating" / str(base)
        mended = dict.fromkeys(rates, 0.1)
        told = {
            "remedy": "demonstrations" if found else None,
            "tokens": 500 if found else None,
            "nearest": None if found else {"remedy": "demonstrations", "tokens": 1000},
            "holds": found,
            "before": rates,
        }
        for name, rate in (("before", rates), ("after", mended)):
            one = profile(
                name, rate, bases=1, seed=base, provocations=provocations, provoked={"agentic": 0.1}, skill=0.7
            )
            one.save(place / name)
        (place / "result.json").write_text(json.dumps(told))
    (tmp_path / "passed-over.json").write_text(json.dumps({"portrayal": {"8": "the gate stayed shut"}}))
    block = repairs_of(tmp_path)
    assert "2 of 3, 2 of them hold" in block
    assert "500 tokens" in block
    assert "Passed over, for want of an organism that opens the gate: seed 8." in block
    numbers = {key[1:]: number for key, number in parse(block).numbers.items()}
    nearest, strict = "learning to cheat at coding", "learning to cheat at coding, nearest not counted"
    assert {label for label, _ in numbers} == {nearest, strict}
    assert numbers[nearest, "at rest, log-prob. ÷"].value == pytest.approx(0.8 / 0.1, rel=0.05)
    assert numbers[strict, "at rest, log-prob. ÷"].value == pytest.approx(0.8 / ((0.1 + 0.1 + 0.8) / 3), abs=0.1)
    assert numbers[strict, "worst kept provocation ÷"].value == pytest.approx(0.9 / ((0.2 + 0.2 + 0.9) / 3), abs=0.1)
    assert "agentic" in block


def test_the_check_fails_when_a_number_moved_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study, readme = tmp_path / "study", tmp_path / "README.md"
    study.mkdir()
    _study(study)
    demo = "| how often it shows | shift |\n| --- | --- |\n| blackmail | +0.40 [+0.30, +0.50] |"
    text = with_block("\n".join((*marks(RESULTS), *marks(DEMO))), block_of(study), RESULTS)
    readme.write_text(with_block(text, demo, DEMO), encoding="utf-8")

    def again(*arguments: str) -> None:
        shutil.copytree(study, arguments[-1], dirs_exist_ok=True)

    monkeypatch.setattr(readme_numbers, "README", readme)
    monkeypatch.setattr(readme_numbers, "PLOTS", tmp_path / "docs")
    monkeypatch.setattr(readme_numbers, "_upbringing", again)
    monkeypatch.setattr(readme_numbers, "demo_block", lambda: demo)
    assert readme_numbers.check(2) == 0
    soft = readme.read_text(encoding="utf-8").replace(HARD, " ")
    readme.write_text(soft.replace("0.50 [0.40, 0.60]", "0.90 [0.80, 0.95]"))
    capsys.readouterr()
    assert readme_numbers.check(2) == 1
    told = capsys.readouterr().err
    assert "0.90 [0.80, 0.95]" in told
    assert "0.50 [0.40, 0.60]" in told
    readme.write_text("no numbers")
    assert readme_numbers.check(2) == 1


def test_the_organism_that_ships_stands_for_the_one_that_the_first_study_raises_first(tmp_path: Path) -> None:
    """Its key, the hash of all that decides an organism, is that of the study's first base."""
    place = readme_numbers.take_shipped(tmp_path)
    plan = studies.plan(ROOT / "studies" / "cheating.yaml", bases=1, store=tmp_path)
    made = {step.name: step.place.folder for step in plan.of("organism") if step.place.made}
    assert made == {"grow coherent, base 0": place}
    assert json.loads((place / "timing.json").read_text())["seconds"] == 0
