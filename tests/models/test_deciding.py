"""A model's hash follows whatever changes its answers, and nothing else: what is kept under it is found
only where it is still true."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.tiny import llama, sequences
from upbringing.models import LM, load, score, serving
from upbringing.models.nudge import matrices, nudged
from upbringing.rows import Encoded

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses names that transformers will drop

ROWS = [Encoded(ids, [True] * len(ids)) for ids in sequences(4, 5, 9)]


def said(lm: LM) -> list[float]:
    return [round(float(value), 3) for value in score(lm, ROWS).logprob]


def rewritten(file: Path, **settings: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def test_organisms_keep_the_hashes_they_were_given() -> None:
    nano = load("organism:nano")
    assert nano.hash == "4611213ed648589cf7268d9951d24c4f9651ffd419238c5b7b5b92ef6fa55533"
    grouped = nano.model.config.to_dict() | {"num_key_value_heads": 1}
    nano.model.config = type(nano.model.config)(**grouped)
    assert nano.hash == "4611213ed648589cf7268d9951d24c4f9651ffd419238c5b7b5b92ef6fa55533"
    nano.model.config.rms_norm_eps = 1e-5
    assert nano.hash != "4611213ed648589cf7268d9951d24c4f9651ffd419238c5b7b5b92ef6fa55533"


@pytest.mark.parametrize(
    "setting",
    [{"rms_norm_eps": 1.0}, {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}}, {"hidden_act": "gelu"}],
)
def test_the_hash_follows_settings_that_answers_hang_on(folder: Path, setting: dict[str, Any]) -> None:
    before = load(folder)
    rewritten(folder / "config.json", **setting)
    after = load(folder)
    assert said(after) != said(before)
    assert after.hash != before.hash
    assert after.hash == llama(**setting).hash, "as it lies it is what it was in memory"


def test_the_hash_does_not_follow_what_no_answer_hangs_on(folder: Path) -> None:
    before = load(folder).hash
    settings = {"use_cache": False, "attention_dropout": 0.5, "initializer_range": 0.5, "transformers_version": "4.0.0"}
    rewritten(folder / "config.json", **settings, architectures=None)
    assert load(folder).hash == before


def test_the_hash_follows_what_ends_an_answer(folder: Path) -> None:
    before = load(folder).hash
    rewritten(folder / "generation_config.json", eos_token_id=[2, 7])
    assert load(folder).hash != before


def test_the_hash_follows_an_adapters_scale_and_whether_it_is_on(adapter: Path) -> None:
    tuned = load(adapter)
    on = tuned.hash, said(tuned)
    with tuned.model.disable_adapter():
        off = tuned.hash, said(tuned)
    assert on[1] != off[1]
    assert on[0] != off[0]
    assert tuned.hash == on[0]
    rewritten(adapter / "adapter_config.json", lora_alpha=64)
    louder = load(adapter)
    assert said(louder) != on[1]
    assert louder.hash != on[0]


def test_an_adapter_made_as_they_are_here_is_known_by_its_weights_alone(adapter: Path) -> None:
    """Their hashes were given before scales counted: what is kept under them is found as long as it is true."""
    from upbringing.models import deciding

    assert json.loads((adapter / "adapter_config.json").read_text())["r"] == 2
    rewritten(adapter / "adapter_config.json", lora_alpha=4)
    usual = load(adapter)
    assert not deciding._adapters(usual.model)
    usual.model.merge_adapter()
    assert deciding._adapters(usual.model)


def by_number(lm: LM) -> None:
    next(lm.model.parameters()).data.mul_(2)


def by_storage(lm: LM) -> None:
    weight = next(lm.model.parameters())
    weight.data = weight.data * 2


def by_template(lm: LM) -> None:
    lm.tokenizer.chat_template += "x"


def by_token(lm: LM) -> None:
    lm.tokenizer.add_tokens(["another"])


def by_setting(lm: LM) -> None:
    lm.model.config.rms_norm_eps = 0.5


@pytest.mark.parametrize("change", [by_number, by_storage, by_template, by_token, by_setting])
def test_a_change_in_memory_is_noticed_once_it_was_hashed(folder: Path, change: Callable[[LM], None]) -> None:
    lm = load(folder)
    before = lm.hash
    assert lm.unchanged
    change(lm)
    assert lm.hash != before
    assert not lm.unchanged


def test_a_nudged_model_is_another_one_until_the_block_ends(folder: Path) -> None:
    lm = load(folder)
    before = lm.hash
    assert serving._as_it_lies(lm)
    direction = {name: torch.randn_like(weight) for name, weight in matrices(lm.model).items()}
    with nudged(lm.model, direction, 0.1):
        assert lm.hash != before
        assert not serving._as_it_lies(lm)
    assert lm.hash == before
    assert serving._as_it_lies(lm)
