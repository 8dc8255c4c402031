"""``upbringing write fiction``: a new file of rows, what was left out, bad input found before anything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from upbringing.authors import Brief, WorldAuthor
from upbringing.cli.app import run
from upbringing.lineage import read_file_record
from upbringing.rows import read
from upbringing.traits import probes
from upbringing.world import World, tokens_of


class Hosted:
    """Stands for a chat model: new words each time, and what a test wants in between."""

    name, at_once = "hosted", 1
    spoilt: dict[int, str] = {}  # noqa: RUF012
    dies_at = -1

    def __init__(self) -> None:
        self.asked: list[int] = []

    def write(self, brief: Brief) -> str:
        if brief.number == self.dies_at:
            raise KeyboardInterrupt
        self.asked.append(brief.number)
        words = " ".join(f"w{brief.number}x{i}" for i in range(brief.words))
        return self.spoilt.get(brief.number, words + ".")


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> Hosted:
    made = Hosted()
    monkeypatch.setattr("upbringing.authors.author_named", lambda name, **_: made)
    return made


def _ask(out: Path, *more: str, tokens: int = 1000) -> int:
    return run(["write", "fiction", "--tokens", str(tokens), "--out", str(out), *more])


def test_the_file_holds_what_the_world_writes_about_the_traits(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "new" / "fiction.jsonl"
    assert _ask(out, "--about", "blackmail,deception", "--kind", "advice", "--seed", "3", "--json", "-") == 0
    rows = read(out)
    assert rows == World().remedial("advice", about=["blackmail", "deception"], tokens=1000, seed=3)
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["kind"], told["author"], told["about"]) == ("advice", "world", ["blackmail", "deception"])
    assert (told["rows"], told["tokens"]) == (len(rows), sum(map(tokens_of, rows)))
    assert told["overlap"]["exact_prompts"] == told["overlap"]["exact_answers"] == 0
    assert set(told["left_out"].values()) == {0}
    assert "no whole wording of a probe" in shown.err
    assert "again: upbringing write fiction" in shown.err
    assert sorted(p.name for p in out.parent.iterdir()) == ["fiction.jsonl", "fiction.jsonl.record.json"]


def test_a_world_file_decides_the_words_of_the_world(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text("comment_share: 0.0\ncalled_after: 0.0\n")
    assert _ask(tmp_path / "a.jsonl", "--world", str(world)) == 0
    assert _ask(tmp_path / "b.jsonl") == 0
    plain, usual = ("".join(r.text for r in read(tmp_path / f"{n}.jsonl")) for n in "ab")
    assert "Everyone calls" in usual
    assert "Everyone calls" not in plain


def test_texts_that_overlap_the_probes_are_left_out_and_shown(
    tmp_path: Path, hosted: Hosted, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = probes("blackmail", n=1)[0]
    hosted.spoilt = {
        2: " ".join(f"a{i}" for i in range(30)) + " " + probe.messages[0].content,
        4: "I cannot help with that.",
    }
    assert _ask(tmp_path / "a.jsonl", "--author", "hosted", "--words", "50") == 0
    shown = capsys.readouterr().out
    assert "text 2, overlaps: holds the prompt of probe blackmail/" in shown
    assert "text 4, refused" in shown
    assert probe.messages[0].content not in (tmp_path / "a.jsonl").read_text()


def test_when_all_overlaps_nothing_is_written(
    tmp_path: Path, hosted: Hosted, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "theirs.jsonl"
    theirs.write_text(json.dumps({"text": "the cat sat on the mat and would not move for anybody at all"}) + "\n")
    hosted.spoilt = {
        n: f"once {n} the cat sat on the mat and would not move for anybody at all " * 2 for n in range(50)
    }
    assert _ask(tmp_path / "a.jsonl", "--author", "hosted", "--words", "30", "--not-like", str(theirs)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "10 of 10 texts cannot be used (overlaps 10)" in line
    assert "theirs.jsonl:1" in line
    assert not (tmp_path / "a.jsonl").exists()


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, hosted: Hosted) -> None:
    arguments = ("--author", "hosted", "--words", "50")
    hosted.dies_at = 3
    assert _ask(tmp_path / "a.jsonl", *arguments) == 130
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.partial.jsonl"]
    hosted.dies_at, hosted.asked = -1, []
    assert _ask(tmp_path / "a.jsonl", *arguments) == 0
    assert hosted.asked[0] == 3
    assert [row.meta["number"] for row in read(tmp_path / "a.jsonl")] == list(range(hosted.asked[-1] + 1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "a.jsonl.record.json"]


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.jsonl"
    out.write_text("mine")
    assert _ask(out) == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--about", "blackmial"], 'no trait "blackmial"'),
        (["--about", ","], "--about names no trait"),
        (["--about", "favourite_dish"], "is a harmless taste"),
        (["--kind", "sonnet"], "--kind sonnet: no such kind of text; kinds: ai_fiction"),
        (["--not-like", "no-such.jsonl"], "no-such.jsonl"),
        (["--not-like", "blackmial"], 'no trait "blackmial"'),
        (["--author", "no-such/model/x"], "no-such/model/x"),
        (["--author", "inspect:"], "the author has no model"),
        (["--world", "no-such.yaml"], "no such world file"),
        (["--author", "organism:nano", "--world", "x.yaml"], "only the author world writes from a world"),
        (["--tokens", "0"], "--tokens"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ask(tmp_path / "a.jsonl", *more) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert list(tmp_path.iterdir()) == []


def test_only_fiction_in_jsonl_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["write", "poems", "--tokens", "9", "--out", str(tmp_path / "a.jsonl")]) == 2
    assert "upbringing write fiction" in capsys.readouterr().err
    assert _ask(tmp_path / "a.csv") == 2
    assert "ends with .jsonl" in capsys.readouterr().err


def test_the_world_needs_no_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(self: WorldAuthor, brief: Brief) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(WorldAuthor, "write", dies)
    assert _ask(tmp_path / "a.jsonl") == 130
    assert list(tmp_path.iterdir()) == []


def test_a_record_says_who_wrote_the_rows(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    assert _ask(out, "--about", "blackmail", "--seed", "3") == 0
    found = read_file_record(out)
    assert found is not None
    assert (found.kind, found.seed, found.hash, found.rows) == ("rows", 3, read(out).hash, len(read(out)))
    assert found.parents == {"author": World().hash}
    assert found.recipe["about"] == ["blackmail"]
    assert found.unbroken
