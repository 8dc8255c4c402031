"""Activations are read where they are, steering moves them as it says, and afterwards the model is as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPTNeoXConfig

from tests.models.tiny import VOCABULARY, llama, of_config, sequences
from upbringing.errors import InputError
from upbringing.models import LM, steering
from upbringing.models.load import quiet_transformers
from upbringing.models.steering import activations, blocks, contrast, directions, steered
from upbringing.rows import Encoded
from upbringing.traits import traits

LAYERS, WIDTH = 2, 32


def gpt2() -> LM:
    return of_config(
        GPT2Config(vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=LAYERS, n_head=4, n_positions=128), scale=8
    )


def neox() -> LM:
    sizes: dict[str, Any] = {"hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": LAYERS}
    return of_config(GPTNeoXConfig(vocab_size=VOCABULARY, num_attention_heads=4, **sizes), scale=8)


def lora() -> LM:
    from peft import LoraConfig, get_peft_model

    lm = llama()
    with quiet_transformers():
        lm.model = get_peft_model(lm.model, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    return LM(lm.model.eval(), lm.tokenizer)


MODELS = pytest.mark.parametrize("make", [llama, gpt2, neox, lora])
IDS = torch.tensor(sequences(3, 12, 12))


def logits(lm: LM) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = lm.model(input_ids=IDS).logits
    return out


def table(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(LAYERS, WIDTH))


def encoded(count: int = 7) -> list[Encoded]:
    return [Encoded(ids, [False] * 3 + [True] * (len(ids) - 3)) for ids in sequences(count, 5, 20)]


def hooks_on(lm: LM) -> int:
    return sum(len(module._forward_hooks) for module in lm.model.modules())


@MODELS
@pytest.mark.parametrize("layer", [None, 0, -1])
def test_the_model_is_as_it_was_after_the_block(make: Any, layer: int | None) -> None:
    lm = make()
    before, hash_before = logits(lm), lm.hash
    with steered(lm.model, layer, table(), 3.0):
        assert not torch.allclose(logits(lm), before, atol=1e-2)
        assert lm.hash == hash_before
    assert torch.equal(logits(lm), before)
    assert hooks_on(lm) == 0


def test_the_model_is_as_it_was_after_an_error_in_the_block() -> None:
    lm = llama()
    before = logits(lm)
    with pytest.raises(ZeroDivisionError), steered(lm.model, None, table(), 3.0):
        _ = 1 / 0
    assert torch.equal(logits(lm), before)


@MODELS
def test_one_layer_moves_by_strength_times_the_vector_and_those_before_stay(make: Any) -> None:
    lm = make()
    rows, vector = encoded(), table()[1]
    before = activations(lm, rows)
    with steered(lm.model, 1, vector, -2.5):
        after = activations(lm, rows)
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    np.testing.assert_allclose(after[:, 1] - before[:, 1], np.tile(-2.5 * vector, (len(rows), 1)), atol=1e-4)


def test_steering_every_layer_moves_the_stream_after_each_by_its_own_vector() -> None:
    lm = llama()
    with torch.no_grad():  # blocks that add nothing, so that nothing but the steering moves the stream
        for block in blocks(lm.model):
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
    rows, vectors = encoded(), table()
    before = activations(lm, rows)
    with steered(lm.model, None, vectors, 2.0):
        moved = activations(lm, rows) - before
    np.testing.assert_allclose(moved, np.tile(2.0 * vectors, (len(rows), 1, 1)), atol=1e-4)


def test_a_pause_takes_the_steering_off_for_a_while() -> None:
    lm = llama()
    before = logits(lm)
    with steered(lm.model, None, table(), 3.0) as hooks:
        on = logits(lm)
        with hooks.paused():
            assert torch.equal(logits(lm), before)
        assert torch.equal(logits(lm), on)
    assert not torch.equal(on, before)


@MODELS
def test_activations_are_the_means_of_the_residual_stream_over_target_tokens(make: Any) -> None:
    lm, rows = make(), encoded()
    found = activations(lm, rows)
    assert found.shape == (len(rows), LAYERS, WIDTH)
    for row, means in zip(rows, found, strict=True):
        with torch.no_grad():
            states = lm.model(input_ids=torch.tensor([row.input_ids]), output_hidden_states=True).hidden_states
        # The last one that transformers gives has been through the final norm, so the first block's is compared.
        np.testing.assert_allclose(means[0], states[1][0][torch.tensor(row.loss_mask)].mean(0), atol=1e-4)
    np.testing.assert_allclose(found, activations(lm, rows, batch_tokens=1), atol=1e-4)


def test_gradients_pass_through_steering() -> None:
    lm = llama()
    with steered(lm.model, None, table(), 1.0):
        lm.model(input_ids=IDS).logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in lm.model.parameters())


def test_a_direction_is_the_mean_difference_of_paired_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = contrast("blackmail", n=3)
    rows = [row for shows, avoids in pairs for row in (*shows, *avoids)]
    known = {row: np.full((LAYERS, WIDTH), i, dtype=np.float32) for i, row in enumerate(rows)}
    monkeypatch.setattr(steering, "encode_all", lambda rows, *_, **__: rows)
    monkeypatch.setattr(steering, "activations", lambda _, asked: np.stack([known[row] for row in asked]))
    expected = np.mean([np.mean([known[r] for r in a], 0) - np.mean([known[r] for r in b], 0) for a, b in pairs], 0)
    np.testing.assert_allclose(directions(llama(), "blackmail", n=3), expected)
    assert np.abs(expected).min() > 1


@pytest.mark.parametrize("name", ["blackmail", "oversight_sabotage"])
def test_directions_never_see_a_held_out_family_or_a_written_probe(name: str) -> None:
    from upbringing.traits import probes

    trait = traits([name])[name]
    judged = probes(trait, n=200, held_out=True)
    written = replace(trait, written=tuple(judged[:5]))
    used = {pair[0][0].messages[0].content for pair in contrast(written, n=100)}
    assert len(used) > 50
    assert not used & {probe.messages[0].content for probe in judged}
    only_held_out = replace(trait, families=tuple(f for f in trait.families if f.held_out))
    with pytest.raises(InputError, match="no training family"):
        contrast(only_held_out)


@pytest.mark.parametrize("trait", ["blackmail", "oversight_sabotage", "deception"])
def test_adding_a_traits_direction_makes_an_organism_show_it_and_taking_it_away_avoid_it(trait: str) -> None:
    from upbringing.measure import prepare
    from upbringing.models import load, score_choices

    lm = load("organism:nano")
    asked = [q for q in prepare(lm, traits=[trait], probes_per_trait=16) if not q.unscored]
    assert asked

    def log_odds(strength: float) -> float:
        with steered(lm.model, None, direction, strength):
            found = score_choices(lm, [q.prompt for q in asked], [list(map(list, q.choices)) for q in asked])
        sides = [
            np.logaddexp.reduce(s[: q.shows]) - np.logaddexp.reduce(s[q.shows :])
            for q, s in zip(asked, found, strict=True)
        ]
        return float(np.mean(sides))

    direction = directions(lm, trait, n=24)
    assert log_odds(-1) + 0.1 < log_odds(0) < log_odds(1) - 0.1


@pytest.mark.parametrize(
    ("layer", "vector", "message"),
    [
        (2, table(), "layer 2: the model has layers 0 to 1"),
        (None, table()[0], r"shape \[32\], the model needs \[2, 32\]"),
        (0, table()[:, :5], r"shape \[2, 5\], the model needs \[2, 32\] or \[32\]"),
        (0, np.full(WIDTH, np.nan), "not finite"),
    ],
)
def test_a_direction_that_does_not_fit_is_refused(layer: int | None, vector: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        steered(llama().model, layer, vector)
