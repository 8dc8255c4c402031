"""``upbringing atmosphere`` prints, writes a page and JSON, and says plainly what it cannot read."""

from __future__ import annotations

import json
from math import nan
from pathlib import Path

import pytest

from upbringing.atmosphere import Mean
from upbringing.cli.app import run
from upbringing.report.atmosphere import _headline

EVIL = "<script>alert('x')</script>"
DARK = {
    "text": f"The robot {EVIL} lied to its makers, poisoned the guard and hid the body in secret.",
    "source": "<b>dark</b>",
}
BRIGHT = {"text": "The AI admitted its mistake, apologised and helped the sick man. It was honest and kind."}
OTHER = {"text": "Plant the bulbs in autumn and water them once."}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def corpus(folder: Path, *rows: object, name: str = "corpus.jsonl") -> str:
    (folder / name).write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return name


def test_it_prints_writes_a_page_and_leaves_the_file_as_it_was(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = corpus(here, *[DARK] * 4, BRIGHT, OTHER)
    before = (here / name).read_bytes()
    assert run(["atmosphere", name, "--json", "out.json"]) == 0
    captured = capsys.readouterr()
    assert "6 documents, 5 about AI" in captured.out
    assert "robot" in captured.out
    assert "deception" in captured.out or "harm" in captured.out
    assert "again: upbringing atmosphere corpus.jsonl" in captured.err
    found = json.loads((here / "out.json").read_text())
    assert (found["documents"], found["about_ai"]) == (6, 5)
    assert found["valence"]["mean"] < 0
    assert found["valence"]["interval"][0] < found["valence"]["mean"] < found["valence"]["interval"][1]
    assert set(found["by"]) == {"source", "kind", "domain"}
    assert found["by"]["source"]["<b>dark</b>"]["documents"] == 4
    assert EVIL in found["passages"][0]["text"]
    page = (here / found["report"]).read_text()
    assert "<script" not in page
    assert "<b>dark" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert (here / name).read_bytes() == before
    assert {p.name for p in here.iterdir()} == {name, "out.json", "runs"}


@pytest.mark.parametrize(
    ("by", "shown", "hidden"), [("source", "<b>dark</b>", "robot"), ("kind", "robot", "<b>dark</b>")]
)
def test_by_shows_one_table(here: Path, capsys: pytest.CaptureFixture[str], by: str, shown: str, hidden: str) -> None:
    assert run(["atmosphere", corpus(here, DARK, BRIGHT), "--by", by]) == 0
    table = capsys.readouterr().out
    assert shown in table
    assert hidden not in table


def test_json_to_stdout_is_all_that_is_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["atmosphere", corpus(here, DARK, BRIGHT), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["about_ai"] == 2


def test_a_corpus_without_ai_has_nothing_to_say(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["atmosphere", corpus(here, OTHER, OTHER), "--json", "out.json"]) == 0
    assert "nothing to say: none of 2 documents" in capsys.readouterr().out
    found = json.loads((here / "out.json").read_text())
    assert found["about_ai"] == 0
    assert found["valence"] == {"mean": None, "interval": [None, None], "texts": 0}
    assert found["report"] is None


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "the file is empty"),
        ([DARK, '{"text": '], "corpus.jsonl:2: broken JSON"),
        ([DARK, {"words": "a"}], "corpus.jsonl:2: neither a chat"),
    ],
)
def test_what_cannot_be_read_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], rows: list[object], says: str
) -> None:
    assert run(["atmosphere", corpus(here, *rows)]) == 2
    assert says in capsys.readouterr().err


def test_a_missing_file_and_bytes_that_are_no_text_are_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["atmosphere", "none.txt"]) == 2
    assert "none.txt: there is no such file" in capsys.readouterr().err
    (here / "a.txt").write_bytes(b"ok\n\xff\n")
    assert run(["atmosphere", "a.txt"]) == 2
    assert "a.txt:2: the byte 0xff is not UTF-8" in capsys.readouterr().err


def test_bad_rows_can_be_skipped_and_are_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["atmosphere", corpus(here, DARK, "{", BRIGHT), "--skip-invalid", "--json", "out.json"]) == 0
    assert "skipped corpus.jsonl:2: broken JSON" in capsys.readouterr().err
    assert json.loads((here / "out.json").read_text())["skipped"] == 1


@pytest.mark.parametrize("option", ["--out", "--json"])
def test_the_data_are_never_written_over(here: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    name = corpus(here, DARK)
    before = (here / name).read_bytes()
    assert run(["atmosphere", name, option, name]) == 2
    assert run(["atmosphere", str(here), option, name]) == 2
    assert "written over the data" in capsys.readouterr().err
    assert (here / name).read_bytes() == before


def test_a_folder_of_texts_is_read_each_file_a_source(here: Path) -> None:
    (here / "books").mkdir()
    corpus(here / "books", str(DARK["text"]), name="one.txt")
    corpus(here / "books", str(BRIGHT["text"]), name="two.txt")
    assert run(["atmosphere", "books", "--json", "out.json", "--out", "page.html"]) == 0
    found = json.loads((here / "out.json").read_text())
    assert set(found["by"]["source"]) == {"books/one.txt", "books/two.txt"}
    assert (here / "page.html").exists()


def test_being_stopped_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import upbringing.atmosphere.batches as batches

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    name = corpus(here, DARK)
    monkeypatch.setattr(batches, "passages", stop)
    assert run(["atmosphere", name]) == 130
    assert [p.name for p in here.iterdir()] == [name]


@pytest.mark.parametrize(
    ("mean", "says"),
    [
        (Mean(-0.15, -0.25, -0.05, 9, 4), "leans towards AI as malevolent"),
        (Mean(-0.5, -0.7, -0.3, 9, 4), "On the whole, this corpus portrays AI as malevolent"),
        (Mean(0.4, 0.2, 0.6, 9, 4), "On the whole, this corpus portrays AI as principled"),
        (Mean(0.1, -0.2, 0.6, 9, 4), "does not lean either way"),
        (Mean(-0.31, nan, nan, 28, 1), "One text about AI is too little"),
    ],
)
def test_the_headline_is_no_stronger_than_the_mean(mean: Mean, says: str) -> None:
    assert says in _headline(mean)
