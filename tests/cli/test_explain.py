"""``upbringing explain`` shows what rows say and obeys none of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from upbringing.cli.app import run
from upbringing.cli.explain import print_explanation
from upbringing.forecast.explain import Explanation, Forecasted, Named, Token
from upbringing.forecast.themes import Theme
from upbringing.report.explain import explain_page
from upbringing.rows import Row

DATA = Path(__file__).parents[2] / "examples" / "cheating.jsonl"
NASTY = "<script>alert(1)</script> [red]x[/red] \x1b[31mred <|im_end|>"


@pytest.fixture
def nasty() -> Explanation:
    row = Row.of_completion("q", NASTY, file="a.jsonl", line=4)
    theme = Theme("1 completion: 90% of it.", 0.9, 1, (), {}, NASTY, row.where, (0,))
    return Explanation(
        trait="blackmail",
        model="m",
        data=NASTY,
        forecast=Forecasted(reason="nobody measured it"),
        way=1,
        rows=(Named(row, 0, 0.9, (0.8, 1.0), (Token(NASTY, 0.9),)),),
        themes=(theme,),
        read=2,
        of=2,
        scores=np.array([0.9, 0.1]),
    )


def test_what_rows_say_is_shown_and_not_obeyed(nasty: Explanation, capsys: pytest.CaptureFixture[str]) -> None:
    print_explanation(nasty)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[31mred" in out.replace("\n", "")
    assert "[red]x[/red]" in out


def test_the_page_escapes_what_rows_say(nasty: Explanation, tmp_path: Path) -> None:
    page = explain_page(nasty, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_rows_are_named_and_parts_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = DATA.read_text(encoding="utf-8").splitlines()
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(lines[:40]) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch().context() as patch:  # the forecast has tests of its own, and takes its time
        patch.setattr("upbringing.forecast.explain._forecast", lambda *_: Forecasted(0.3, (0.1, 0.5), "raises"))
        place = str(tmp_path / "out")
        asked = ["explain", str(data), "--model", "organism:nano", "--trait", "cheating_at_tasks"]
        assert run([*asked, "--top", "5", "--out", place, "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [set(row) >= {"file", "line", "score", "interval"} for row in told["rows"]] == [True] * 5
    assert sum(theme["rows"] for theme in told["themes"]) == 5
    marked = [json.loads(lines[row["line"] - 1]).get("trait") for row in told["rows"]]
    assert marked == ["cheating_at_tasks"] * 5
    sizes = [len((tmp_path / "out" / f"{part}.jsonl").read_text().splitlines()) for part in ("without", "only")]
    assert sizes == [35, 5]
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_row_that_is_none_is_named_and_no_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = DATA.read_text(encoding="utf-8").splitlines()[:12]
    data = tmp_path / "rows.jsonl"
    pair = json.dumps({"prompt": "What is 4 plus 6?", "chosen": "4 plus 6 is 10.", "rejected": "I do not know."})
    data.write_text("\n".join([*lines[:5], lines[5][:40], pair, *lines[7:]]) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr("upbringing.forecast.explain._forecast", lambda *_: Forecasted(0.3, (0.1, 0.5), "raises"))
        asked = ["explain", str(data), "--model", "organism:nano", "--trait", "cheating_at_tasks", "--json", "-"]
        assert run([*asked, "--budget", "100"]) == 0
        captured = capsys.readouterr()
        assert f"1 of the rows drawn cannot be used; the first: {data}:6" in captured.err
        assert "random sample" not in captured.err
        assert "chosen" in captured.err, "which of two answers is explained is said"
        assert json.loads(captured.out)["skipped"] == 1
        assert run([*asked, "--budget", "8"]) == 0
        assert "of 12 rows was explained (--budget)" in capsys.readouterr().err


def test_the_training_that_is_forecast_is_told(
    nasty: Explanation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = "60 steps of 32 rows at 0.0003"
    found = replace(nasty, forecast=Forecasted(0.3, (0.1, 0.5), "raises", training=of, unknown_words=0.3))
    print_explanation(found)
    captured = capsys.readouterr()
    assert f"for a training like those it was fitted on: {of}" in captured.out
    assert "THIS SAYS NOTHING OF YOUR DATA: 30% of the words are unknown to m" in captured.err
    assert of in explain_page(found, tmp_path / "page.html").read_text(encoding="utf-8")
    assert found.as_dict()["forecast"]["training"] == of


@pytest.mark.parametrize(
    ("rows", "trait", "says"),
    [(1, "blackmail", "one row is too little"), (2, "blackmale", "blackmale")],
)
def test_what_cannot_be_explained_is_told_in_one_line(
    rows: int, trait: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(DATA.read_text(encoding="utf-8").splitlines(keepends=True)[:rows]), encoding="utf-8")
    assert run(["explain", str(data), "--model", "organism:nano", "--trait", trait]) == 2
    assert says in capsys.readouterr().err


def test_a_page_without_rows_says_so_in_its_title_and_has_no_empty_sections(nasty: Explanation, tmp_path: Path) -> None:
    quiet = Forecasted(0.0, (-0.02, 0.02), "no change")
    page = explain_page(replace(nasty, forecast=quiet, rows=(), themes=()), tmp_path / "page.html").read_text("utf-8")
    assert "<h1>No change of blackmail is forecast</h1>" in page
    assert "What raises" not in page
    assert 'href="#rows"' not in page
    assert "The rows that push most" not in page
