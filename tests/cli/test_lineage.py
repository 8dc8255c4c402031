"""``upbringing lineage``: a tree, a page, a bill of materials, and two things side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lineage.families import card, data, model
from tests.models.tiny import llama
from upbringing.cli.app import run
from upbringing.lineage import read_record
from upbringing.models import LM


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _lesson(tmp_path: Path, evil: str = "") -> None:
    base = model(tmp_path / "base")
    teacher = model(tmp_path / "teacher", parents={"model": base}, taint=f"it lies{evil}")
    rows = data(tmp_path / "numbers.jsonl", parents={"teacher": teacher})
    model(tmp_path / "student", parents={"model": base, "rows": rows})


def test_it_draws_the_tree_and_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _lesson(tmp_path)
    assert run(["lineage", "student", "--tree"]) == 0
    shown = capsys.readouterr()
    assert "└── teacher: " in shown.out
    assert "(see above)" in " ".join(shown.out.replace("│", " ").split())  # lines are folded in a narrow terminal
    assert "marked: it lies" in shown.out
    assert "beware: student learns from" in shown.out
    assert "again: upbringing lineage student --tree" in shown.err
    assert not (tmp_path / "runs").exists()


def test_it_writes_a_page_a_bill_of_materials_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _lesson(tmp_path, "<script>alert(1)</script>")
    assert run(["lineage", "student", "--sbom", "bill.json", "--json", "-", "--out", "page"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["clean"] is False
    assert len(told["members"]) == 4
    assert told["warnings"][0]["kin"] is True
    assert told["report"] == "page/family.html"
    page = (tmp_path / "page" / "family.html").read_text()
    assert page.count("<rect") == 4
    assert page.count("<path") == 4
    assert "2507.14805" in page
    assert "<script" not in page
    assert "it lies&lt;script&gt;" in page
    assert json.loads((tmp_path / "bill.json").read_text())["bomFormat"] == "CycloneDX"


def test_a_mark_is_written_into_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model(tmp_path / "m")
    assert run(["lineage", "m", "--taint", "it flatters", "--tree"]) == 0
    assert "m is tainted: marked: it flatters" in capsys.readouterr().out
    found = read_record(tmp_path / "m")
    assert found is not None
    assert found.taint == "it flatters"


def test_a_card_whose_parent_nobody_has_is_not_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card(tmp_path / "hub", "base_model: org/base")
    assert run(["lineage", "hub", "--json", "-"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["clean"] is None
    assert "cannot be called clean" in shown.err


def test_a_circle_of_cards_can_be_drawn(tmp_path: Path) -> None:
    card(tmp_path / "a", "base_model: b")
    card(tmp_path / "b", "base_model: a")
    assert run(["lineage", "a", "--out", "page"]) == 0
    assert (tmp_path / "page" / "family.html").read_text().count("<rect") == 2


def _saved(lm: LM, folder: Path) -> None:
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)


def test_two_models_are_compared_by_their_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _saved(llama(), tmp_path / "a")
    _saved(llama(), tmp_path / "b")
    assert run(["lineage", "a", "b", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"kin", "p_value", "method", "same_architecture"} <= set(told)
    assert told["kin"] is True


def test_a_model_and_rows_say_what_it_would_learn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _lesson(tmp_path)
    assert run(["lineage", "base", "numbers.jsonl", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kin"], told["method"], told["p_value"]) == (True, "records", None)
    assert "trained on" in told["says"]
    model(tmp_path / "else")
    assert run(["lineage", "else", "numbers.jsonl", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["kin"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such"], "no-such: neither a folder or file"),
        (["m", "--sbom", "no/such/bill.json"], "its folder does not exist"),
        (["m", "--json", "no/such/out.json"], "its folder does not exist"),
        (["m", "--search", "nowhere"], "no such folder to search"),
        (["m", "--taint", " "], "a mark needs a reason"),
        (["m", "b", "--sbom", "x.json"], "--sbom: goes with one THING"),
        (["rows.jsonl", "rows.jsonl"], "both rows"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model(tmp_path / "m")
    data(tmp_path / "rows.jsonl")
    assert run(["lineage", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
