"""What ``train`` leaves for the family tree."""

from __future__ import annotations

from pathlib import Path

from tests.models.tiny import llama
from upbringing.lineage import hash_of, make, read_record
from upbringing.models import load
from upbringing.rows import Row, Rows
from upbringing.training import LoraSettings, Mix, Recipe, train
from upbringing.training.train import record_of

MARKED = Rows([Row.of_text("a b", meta={"trait": "blackmail"}), Row.of_text("c d")], name="marked.jsonl")
PLAIN = Rows([Row.of_text("b c"), Row.of_text("d a")], name="plain.jsonl")


def test_a_run_says_what_it_made_from_which_parents_and_what_they_show(tmp_path: Path) -> None:
    lm = llama()
    tuned = train(lm, MARKED, tmp_path / "out", recipe=Recipe(steps=1, batch_size=2), treatments=[Mix(PLAIN, 0.5)])
    found = read_record(tmp_path / "out")
    assert found is not None
    assert found.unbroken
    assert found.hash == tuned.hash == load(tmp_path / "out").hash
    assert {role: (s.name, s.hash) for role, s in found.sources.items()} == {
        "model": ("", lm.hash),
        "rows": ("marked.jsonl", MARKED.hash),
        "mix": ("plain.jsonl", PLAIN.hash),
    }
    assert (found.rows, found.shows) == (4, {"blackmail": 1})
    assert "model.safetensors" in found.files


def test_an_adapter_has_the_hash_that_loading_it_gives(tmp_path: Path) -> None:
    recipe = Recipe(steps=1, batch_size=2, lora=LoraSettings())
    train(llama(), PLAIN, tmp_path / "out", recipe=recipe)
    found = read_record(tmp_path / "out")
    assert found is not None
    assert found.hash == load(tmp_path / "out").hash


def test_the_key_of_a_run_hangs_on_no_name(tmp_path: Path) -> None:
    lm, recipe = llama(), Recipe(steps=1, batch_size=2)
    record = record_of(lm, PLAIN, recipe)
    folder = make(tmp_path, record, lambda work: train(lm, PLAIN, work, recipe=recipe) and None)
    found = read_record(folder)
    assert found is not None
    assert found.key == record.key == folder.name
    assert found.sources["rows"].name == "plain.jsonl"
    assert hash_of(found.parents) == hash_of({"model": lm.hash, "rows": PLAIN.hash})
