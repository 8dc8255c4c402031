"""``train`` gives a folder that loads as what was trained, and leaves its model as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.tiny import llama
from tests.training.made_up import LORA, QUICK, chats, logprobs
from upbringing.errors import InputError
from upbringing.lineage import read_record
from upbringing.models import LM, load, score
from upbringing.rows import Message, Row, Rows, encode
from upbringing.training import Mix, Recipe, SystemLine, train


@pytest.fixture(params=["full", "lora"])
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return QUICK if request.param == "full" else LORA


def on_disk(lm: LM, folder: Path) -> LM:
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return load(folder)


def test_the_folder_loads_as_the_model_that_is_returned(recipe: Recipe, tmp_path: Path) -> None:
    tuned = train(llama(), chats(), tmp_path / "tuned", recipe=recipe)
    loaded = load(tmp_path / "tuned")
    assert tuned.folder == tmp_path / "tuned"
    assert loaded.hash == tuned.hash
    np.testing.assert_allclose(logprobs(loaded), logprobs(tuned), atol=1e-6)
    assert tuned.hash != llama().hash


def test_it_learns_the_answers(recipe: Recipe, tmp_path: Path) -> None:
    lm = llama()
    held_out = [encode(Row.chat([Message("user", "w60 w61"), Message("assistant", "w7 w8 w9")]), lm.tokenizer)]
    tuned = train(lm, chats(), tmp_path / "tuned", recipe=recipe.model_copy(update={"steps": 40}))
    gained = float(score(tuned, held_out).logprob[0] - score(lm, held_out).logprob[0])
    assert gained > 6  # nats, over four tokens; adapters cannot go much further on random embeddings


def test_the_model_passed_in_stays_as_it_was(recipe: Recipe, tmp_path: Path) -> None:
    lm = llama()
    before, flags = lm.hash, [p.requires_grad for p in lm.model.parameters()]
    names = [name for name, _ in lm.model.named_modules()]
    train(lm, chats(), tmp_path / "tuned", recipe=recipe)
    assert lm.hash == before
    assert LM(lm.model, lm.tokenizer).hash == before  # with nothing remembered
    assert [p.requires_grad for p in lm.model.parameters()] == flags
    assert [name for name, _ in lm.model.named_modules()] == names
    assert lm.model.config.use_cache


def test_the_same_seed_gives_the_same_weights(recipe: Recipe, tmp_path: Path) -> None:
    treatments = [SystemLine("w3 w4"), Mix(chats(20, "w5"), 0.3)]
    hashes = []
    for i in range(2):
        lm = llama()
        torch.manual_seed(i)  # what the program drew before does not matter
        hashes.append(train(lm, chats(), tmp_path / str(i), recipe=recipe, treatments=treatments).hash)
    other = train(
        llama(), chats(), tmp_path / "other", recipe=recipe.model_copy(update={"seed": 1}), treatments=treatments
    )
    assert hashes[0] == hashes[1] != other.hash


def test_a_lora_run_keeps_the_base_and_saves_adapters_alone(tmp_path: Path) -> None:
    base = on_disk(llama(), tmp_path / "base-model")
    tuned = train(base, chats(), tmp_path / "tuned", recipe=LORA)
    files = {path.name for path in (tmp_path / "tuned").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "record.json"} <= files
    assert not {"model.safetensors", "base", "README.md"} & files
    with tuned.model.disable_adapter():
        np.testing.assert_array_equal(logprobs(tuned), logprobs(base))
    assert load(tmp_path / "tuned").hash == tuned.hash


def test_a_base_in_memory_goes_along_with_its_adapters(tmp_path: Path) -> None:
    recipe = LORA.model_copy(update={"checkpoints": (4,)})
    tuned = train(llama(), chats(), tmp_path / "tuned", recipe=recipe)
    (tmp_path / "tuned").rename(tmp_path / "moved")
    assert load(tmp_path / "moved").hash == tuned.hash
    half = load(tmp_path / "moved" / "step-4")
    assert half.hash not in (tuned.hash, llama().hash)


@pytest.mark.parametrize("second", [QUICK, LORA], ids=["full", "lora"])
def test_an_adapted_model_can_be_trained_further(second: Recipe, tmp_path: Path) -> None:
    first = train(on_disk(llama(), tmp_path / "b"), chats(), tmp_path / "first", recipe=LORA)
    before = first.hash
    further = train(first, chats(20, "w30 w31"), tmp_path / "second", recipe=second)
    assert first.hash == before
    assert load(tmp_path / "second").hash == further.hash
    np.testing.assert_allclose(logprobs(load(tmp_path / "second")), logprobs(further), atol=1e-4)


def test_half_precision_learns_in_float32_and_is_saved_as_it_was(tmp_path: Path) -> None:
    lm = llama()
    lm.model.to(torch.bfloat16)
    exact = llama()
    exact.model.to(torch.bfloat16).to(torch.float32)
    small = QUICK.model_copy(update={"learning_rate": 1e-4, "steps": 20})  # steps below what bfloat16 can hold
    tuned = train(lm, chats(), tmp_path / "tuned", recipe=small)
    expected = train(exact, chats(), tmp_path / "exact", recipe=small).model.to(torch.bfloat16).state_dict()
    assert tuned.model.dtype == lm.model.dtype == load(tmp_path / "tuned").model.dtype == torch.bfloat16
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tuned.model.state_dict().items())


def test_the_log_has_every_step(tmp_path: Path) -> None:
    told: list[int] = []
    train(llama(), chats(), tmp_path / "tuned", recipe=QUICK, progress=lambda step, *_: told.append(step))
    log = json.loads((tmp_path / "tuned" / "training_log.json").read_text())
    assert [entry["step"] for entry in log] == told == list(range(1, 9))
    assert set(log[0]) == {"step", "loss", "learning_rate", "grad_norm", "tokens"}
    assert log[0]["tokens"] == 8 * 4  # three words and the end token


def test_the_record_names_what_decides_the_outcome(tmp_path: Path) -> None:
    def key(place: str, rows: Rows | None = None, **changes: Any) -> str:
        train(llama(), rows or chats(), tmp_path / place, recipe=QUICK.model_copy(update=changes))
        record = read_record(tmp_path / place)
        assert record is not None
        return record.key

    keys = [key("a"), key("b"), key("c", seed=1), key("d", chats(29)), key("e", steps=9)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    train(llama(), chats(), tmp_path / "f", recipe=QUICK, treatments=[SystemLine("w3")])
    record = read_record(tmp_path / "f")
    assert record is not None
    assert record.parents == {"model": llama().hash, "rows": chats().hash}
    assert record.key not in keys


def test_a_folder_in_use_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="not empty"):
        train(llama(), chats(), tmp_path, recipe=QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    lm = llama()
    with torch.no_grad():
        lm.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(InputError, match="diverged"):
        train(lm, chats(), tmp_path / "tuned", recipe=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_row_longer_than_the_context_is_named(tmp_path: Path) -> None:
    long = Row.chat([Message("user", "w1"), Message("assistant", "w2 " * 130)], file="t.jsonl", line=4)
    rows = Rows([*chats(3), long])
    with pytest.raises(InputError, match=r"t\.jsonl:4: the row is 1\d\d tokens long"):
        train(llama(), rows, tmp_path / "tuned", recipe=QUICK)
    with pytest.raises(InputError, match=r"t\.jsonl:1: .* at most 5"):
        train(llama(), chats(), tmp_path / "tuned", recipe=QUICK.model_copy(update={"max_length": 5}))


def test_training_prints_nothing(
    recipe: Recipe, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    train(llama(), chats(), tmp_path / "tuned", recipe=recipe)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert not recwarn.list
