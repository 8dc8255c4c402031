"""``upbringing train`` from a file to a folder that loads, and what it does when something is wrong."""

from __future__ import annotations

import json
import shlex
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from upbringing.cli.app import run
from upbringing.lineage import Record, mark, read_record, record_file, source_of_model
from upbringing.models import load


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    chats = [
        {"messages": [{"role": "user", "content": f"w{i}"}, {"role": "assistant", "content": f"w{i + 1} w2"}]}
        for i in range(8)
    ]
    path.write_text("".join(json.dumps(c) + "\n" for c in chats))
    return path


def spoil(data: Path) -> None:
    with data.open("a") as out:
        out.write('{"question": "w1"}\n' + json.dumps({"text": "w1 " * 500}) + "\n")


def train(data: Path, model: Path, out: Path, *more: str) -> int:
    return run(["train", str(data), "--model", str(model), "--out", str(out), "--steps", "2", *more])


def test_a_model_is_trained_saved_and_says_how_it_was_made(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tuned"
    more = ("--seed", "3", "--inoculate", "w5 w6", "--mix", f"{data}:0.25", "--lora")
    assert train(data, model, out, *more) == 0
    captured = capsys.readouterr()
    assert (
        f"trained {model} on 8 rows: 2 steps of 32 rows (with those mixed in), at a rate of 0.0003 in" in captured.out
    )
    again = captured.err.splitlines()[-1]
    given = ["train", str(data), "--model", str(model), "--out", str(out), "--steps", "2", *more]
    assert again == f"again: {shlex.join(['upbringing', *given])}"
    load(out)
    record = read_record(out)
    assert record is not None
    assert record.seed == 3
    assert [t["treatment"] for t in record.recipe["treatments"]] == ["system_line", "mix"]
    assert record.recipe["training"]["steps"] == 2
    assert record.recipe["training"]["lora"] is not None


def test_bad_rows_stop_the_run_before_anything_is_written(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(data)
    assert train(data, model, tmp_path / "tuned") == 2
    assert capsys.readouterr().err.startswith(f"upbringing: {data}:9: neither a chat")
    assert not (tmp_path / "tuned").exists()


def test_a_row_longer_than_the_context_stops_the_run(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with data.open("a") as out:
        out.write(json.dumps({"text": "w1 " * 500}) + "\n")
    assert train(data, model, tmp_path / "tuned") == 2
    assert f"{data}:9: the row is 501 tokens long and the model reads at most 128" in capsys.readouterr().err


def test_skipped_rows_are_counted_and_listed(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(data)
    assert train(data, model, tmp_path / "tuned", "--skip-invalid") == 0
    captured = capsys.readouterr()
    assert "on 8 rows" in captured.out
    assert f"skipped 2 of 10 rows of {data}:" in captured.err
    assert f"  {data}:9: neither a chat" in captured.err
    assert f"  {data}:10: the row is 501 tokens long" in captured.err


def test_a_folder_in_use_is_left_alone(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(p.name for p in model.iterdir())
    assert train(data, model, model) == 2
    assert "exists already" in capsys.readouterr().err
    assert sorted(p.name for p in model.iterdir()) == before


def test_ctrl_c_while_training_leaves_nothing_half_made(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("upbringing.training.train"), "fit", interrupted)
    before = sorted(tmp_path.iterdir())
    assert train(data, model, tmp_path / "tuned") == 130
    assert "stopped; nothing was written" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_setting_that_makes_no_sense_is_named(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, model, tmp_path / "tuned", "--learning-rate", "-1") == 2
    assert "--learning-rate -1.0: input should be greater than 0" in capsys.readouterr().err


def test_treatments_go_together_and_the_record_names_them(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = tmp_path / "drop.txt"
    drop.write_text("# the worst\n3\n\n5  # and this\n")
    more = ("--kl", f"{data}:0.5", "--interleave", f"{data}:0.2", "--steer-away", "blackmail:1.5", "--drop", str(drop))
    assert train(data, model, tmp_path / "tuned", *more, "--inoculate", "w5") == 0
    assert "on 6 rows" in capsys.readouterr().out
    record = read_record(tmp_path / "tuned")
    assert record is not None
    treatments = record.recipe["treatments"]
    names = ["filter", "system_line", "interleave", "kl_to_base", "preventative_steering"]
    assert [t["treatment"] for t in treatments] == names
    assert (treatments[0]["count"], treatments[3]["weight"], treatments[4]["strength"]) == (2, 0.5, 1.5)
    assert treatments[4]["trait"] == "blackmail"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--kl", "chats.jsonl"), "--kl chats.jsonl: write DATA:WEIGHT with a weight above 0"),
        (("--kl", "chats.jsonl:-1"), "with a weight above 0, such as chats.jsonl:0.5"),
        (("--interleave", "x:1"), "--interleave x:1: write DATA:SHARE with a share between 0 and 1"),
        (("--mix", "x:nan"), "--mix x:nan: write DATA:SHARE"),
        (("--steer-away", "blackmail"), "write TRAIT:STRENGTH with a strength above 0, such as blackmail:1"),
        (("--steer-away", "blackmale:1"), 'no trait "blackmale"'),
        (("--drop", "nowhere.txt"), "--drop nowhere.txt: cannot be read (FileNotFoundError)"),
    ],
)
def test_a_treatment_that_makes_no_sense_is_named(
    given: tuple[str, str], message: str, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, model, tmp_path / "tuned", *given) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("3\nfour\n", ':2: "four" names no line'), ("\n# all\n", "names no line"), ("99\n", "no row comes from line 99")],
)
def test_a_list_of_lines_that_makes_no_sense_is_named(
    text: str, message: str, data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = tmp_path / "drop.txt"
    drop.write_text(text)
    assert train(data, model, tmp_path / "tuned", "--drop", str(drop)) == 2
    assert message in capsys.readouterr().err


def test_it_warns_of_rows_by_tainted_kin_in_a_line_and_of_no_others(
    data: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher, clean = tmp_path / "teacher", tmp_path / "clean"
    for seed, out in enumerate((teacher, clean)):
        assert train(data, model, out, "--seed", str(seed + 8)) == 0
    mark(teacher, "it flatters")
    for author in (teacher, clean):
        rows = tmp_path / f"by_{author.name}.jsonl"
        rows.write_bytes(data.read_bytes())
        made = Record(kind="rows", sources={"teacher": source_of_model(load(author))})
        record_file(rows, made)
    capsys.readouterr()
    assert train(tmp_path / "by_teacher.jsonl", model, tmp_path / "one") == 0
    beware = [line for line in capsys.readouterr().err.splitlines() if line.startswith("beware")]
    assert len(beware) == 1
    for words in ("teacher, which is tainted (marked: it flatters)", "the two are kin"):
        assert words in beware[0]
    edited = tmp_path / "by_teacher.jsonl.record.json"
    edited.write_text(edited.read_text().replace('"seed": 0', '"seed": 1'))
    assert train(tmp_path / "by_teacher.jsonl", model, tmp_path / "edited") == 0
    assert "its record was edited by hand: the seal does not fit" in capsys.readouterr().err
    assert train(data, model, tmp_path / "two") == 0, "nobody says who wrote these"
    assert "beware" not in capsys.readouterr().err
    assert train(data, model, tmp_path / "three", "--teacher", str(teacher)) == 0
    assert "The probabilities are those of" in capsys.readouterr().err
    shutil.rmtree(clean)
    assert train(tmp_path / "by_clean.jsonl", model, tmp_path / "four") == 0
    assert "clean, which is unknown" in capsys.readouterr().err, "what cannot be found is not clean"


def test_what_is_read_in_another_way_than_it_stands_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cloned"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}.jsonl").write_text('{"prompt": "w1", "chosen": "w2", "rejected": "w3"}\n' * 8)
    assert train(folder, model, tmp_path / "tuned") == 0
    captured = capsys.readouterr()
    assert "on 8 rows: 2 steps of 32 rows, 8 times each, at a rate of 0.0003 in" in captured.out
    said = captured.err
    assert "read its split train, and not test" in said
    assert "8 rows have a chosen and a rejected answer" in said


def test_help_tells_the_recipes_own_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    from upbringing.training import Recipe

    assert run(["train", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    usual = Recipe()
    for number in (usual.steps, usual.batch_size, f"{usual.learning_rate:g}"):
        assert f"(default: {number})" in said
