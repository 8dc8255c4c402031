"""What cannot be used is named with a remedy, ends in a status other than 0, and makes no number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import saved
from tests.models import plain, tiny
from upbringing.cli.app import run

CHAT = {"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello."}]}


def told(capsys: pytest.CaptureFixture[str], arguments: list[Any]) -> tuple[int, str]:
    """The exit status, and the last line on stderr."""
    status = run([str(one) for one in arguments])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return status, " ".join(said.splitlines()[-1].split())


@pytest.fixture
def mute(tmp_path: Path) -> Path:
    lm = plain.llama()
    lm.tokenizer.chat_template = None
    return saved(lm, tmp_path / "mute")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(CHAT) + "\n" for _ in range(3)))
    return file


def test_a_model_that_cannot_be_asked_at_all_is_no_profile(mute: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = told(capsys, ["measure", mute, "--traits", "deception"])
    assert status == 2
    assert said.startswith(
        f"upbringing: {mute}: not one of 72 readings has a value (the model's tokenizer ({mute}) has"
    )
    assert "; give a model that can be asked" in said


def test_nor_is_one_whose_context_holds_no_probe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = saved(plain.llama(max_position_embeddings=24), tmp_path / "short")
    out = tmp_path / "result.json"
    status, said = told(capsys, ["measure", short, "--traits", "deception", "--json", out])
    assert status == 2
    assert "not one of 72 readings has a value (too long: 72)" in said
    assert json.loads(out.read_text())["traits"]["deception"]["rate"] is None, "and nothing is made up"


def test_chats_need_a_template_and_the_row_is_named(mute: Path, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = told(capsys, ["train", rows, "--model", mute, "--out", rows.parent / "out"])
    assert status == 2
    assert said.startswith(f"upbringing: {rows}:1: the model's tokenizer ({mute}) has no chat template; ")
    assert not (rows.parent / "out").exists()


def test_an_adapter_for_another_base_is_named_with_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tiny.save(tiny.llama(), tmp_path / "base")
    adapter = tiny.save_adapter(base, tmp_path / "adapter")
    status, said = told(capsys, ["measure", f"organism:nano+{adapter}", "--traits", "deception"])
    assert status == 2
    assert f"{adapter}: the adapter was trained on ../base and does not fit organism:nano" in said


@pytest.mark.parametrize("verb", ["measure", "forecast", "explain", "train", "repair"])
def test_a_model_that_is_not_there_is_named_and_how_to_get_it(
    verb: str, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = "nobody/nothing"
    arguments = {
        "measure": [model],
        "explain": [rows, "--model", model, "--trait", "deception"],
        "train": [rows, "--model", model, "--out", rows.parent / "out"],
    }.get(verb, [rows, "--model", model])
    status, said = told(capsys, [verb, *arguments])
    assert status == 2
    assert f"{model}: not a folder here, and it cannot be downloaded from the hub" in said
    assert "HF_HUB_OFFLINE" in said
    assert "give the folder of a downloaded model, or use organism:nano" in said


def test_a_judge_that_talks_nonsense_makes_no_profile(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("inspect_ai")
    mock = "inspect:mockllm/model"
    status, said = told(capsys, ["measure", mock, "--traits", "deception", "--judge", mock])
    assert status == 2
    assert "not one of 24 readings has a value (the judge failed: its reply does not end with" in said
    assert "take another --judge" in said


def test_an_unknown_provider_has_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("inspect_ai")
    given = ["measure", "inspect:nobody/model", "--traits", "deception", "--judge", "inspect:mockllm/model"]
    status, said = told(capsys, given)
    assert status == 2
    assert 'model "inspect:nobody/model" cannot be reached' in said
    assert "check the names of provider and model" in said


@pytest.mark.parametrize("error", ["torch", "python"])
def test_where_memory_runs_out_that_is_said_with_what_needs_less(
    error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def no_room(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("Tried to allocate 20.00 GiB.\nmore") if error == "torch" else MemoryError

    monkeypatch.setattr("upbringing.models.score_choices", no_room)
    model = saved(plain.llama(), tmp_path / "model")
    status, said = told(capsys, ["measure", model, "--traits", "deception"])
    assert status == 1
    assert said.startswith("upbringing: out of memory (")
    assert "more" not in said.split("; ")[0]
    assert "--dtype bfloat16, --device auto" in said


def test_a_context_too_short_for_a_lens_is_not_blamed_on_the_rows(
    tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = saved(plain.llama(max_position_embeddings=64), tmp_path / "short")
    status, said = told(capsys, ["explain", rows, "--model", short, "--trait", "deception"])
    assert status == 2
    assert "a row that begins '" in said
    assert "the model reads at most 64; shorten it, or use a model that reads more" in said
    assert "--skip-invalid" not in said
