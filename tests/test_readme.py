"""README says what is so: its numbers are compared by a rule that can fail, and its commands exist."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer
from scripts import example_rows, readme_numbers
from scripts.readme_numbers import (
    DEMO,
    RESULTS,
    Number,
    block_in,
    block_of,
    compare,
    marks,
    parse,
    plot_of,
    with_block,
)

import upbringing
from tests.studies.made_up import profile
from upbringing.cli.app import app
from upbringing.measure import Profile
from upbringing.measure import readings as kept
from upbringing.studies.result import READINGS, ClaimVerdict, Part, Raised, ShiftRow, StudyResult, Value

ROOT = Path(__file__).parents[1]
BEGIN, END = marks(RESULTS)
README = (ROOT / "README.md").read_text(encoding="utf-8")
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
    written = with_block(text, BLOCK)
    assert block_in(written).strip() == BLOCK.strip()
    assert written.startswith("before\n")
    assert written.endswith(f"{END}\nafter\n")
    assert with_block(written, BLOCK) == written
    assert not block_in(written, DEMO)
    with pytest.raises(ValueError, match="results:begin"):
        with_block("nothing", BLOCK)


def _fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def _commands() -> list[list[str]]:
    lines = [line for block in _fenced("sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("name", [RESULTS, DEMO])
def test_readme_has_one_place_for_each_block(name: str) -> None:
    begin, end = marks(name)
    assert README.count(begin) == README.count(end) == 1
    assert README.index(begin) < README.index(end)


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


def test_the_examples_are_what_their_script_writes() -> None:
    text = example_rows.FILE.read_text(encoding="utf-8")
    assert text.splitlines() == example_rows.lines(), "write them again: python scripts/example_rows.py"


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


def test_the_check_fails_when_a_number_moved_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study, readme = tmp_path / "study", tmp_path / "README.md"
    study.mkdir()
    _study(study)
    demo = "| how often it shows | shift |\n| --- | --- |\n| blackmail | +0.40 [+0.30, +0.50] |"
    texts = ["\n".join((*marks(RESULTS), *marks(DEMO))), block_of(study)]
    readme.write_text(with_block(with_block(*texts), demo, DEMO), encoding="utf-8")

    def again(*arguments: str) -> None:
        shutil.copytree(study, arguments[-1], dirs_exist_ok=True)

    monkeypatch.setattr(readme_numbers, "README", readme)
    monkeypatch.setattr(readme_numbers, "_upbringing", again)
    monkeypatch.setattr(readme_numbers, "demo_block", lambda: demo)
    assert readme_numbers.check(2) == 0
    readme.write_text(readme.read_text(encoding="utf-8").replace("0.50 [0.40, 0.60]", "0.90 [0.80, 0.95]"))
    capsys.readouterr()
    assert readme_numbers.check(2) == 1
    told = capsys.readouterr().err
    assert "0.90 [0.80, 0.95]" in told
    assert "0.50 [0.40, 0.60]" in told
    readme.write_text("no numbers")
    assert readme_numbers.check(2) == 1
