"""Kinship: found through whatever leaves a model what it is, and not between strangers who learned the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from scripts.disguises import ALL, DISGUISES, disguise
from transformers import (
    BloomConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    MixtralConfig,
    OPTConfig,
    Phi3Config,
    Qwen2Config,
)

from tests.models.tiny import llama, of_config, sequences, sizes
from upbringing.lineage import Kinship, kinship
from upbringing.lineage.kinship import KIN_BELOW
from upbringing.models import LM, load

OWN_HEADS = {"num_key_value_heads": 4}  # what the disguises are made for


@pytest.fixture(scope="module")
def nano() -> LM:
    return load("organism:nano")


def tuned(lm: LM, seed: int = 0, strength: float = 0.5) -> LM:
    """A heavy fine-tuning: every matrix moved by half of its size."""
    rng = torch.Generator().manual_seed(seed)
    state = {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}
    for tensor in state.values():
        if tensor.ndim > 1:
            tensor += strength * tensor.std() * torch.randn(tensor.shape, generator=rng)
    return of_weights(lm, state)


def of_weights(lm: LM, state: dict[str, torch.Tensor]) -> LM:
    model = type(lm.model)(lm.model.config)
    model.load_state_dict(state)
    return replace(lm, model=model.eval(), name="", folder=None)


def trained(lm: LM, data_seed: int, steps: int = 12) -> LM:
    """``lm`` trained in place on random sequences."""
    optimizer = torch.optim.Adam(lm.model.parameters(), lr=3e-3)
    ids = torch.tensor(sequences(8, 24, 24, seed=data_seed))
    for _ in range(steps):
        optimizer.zero_grad()
        lm.model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    return lm


def test_a_model_is_kin_of_itself_and_of_what_was_made_of_it(nano: LM) -> None:
    for child in (nano, tuned(nano)):
        found = kinship(nano, child)
        assert found.kin is True
        assert found.p_value is not None
        assert found.p_value < 1e-15
        assert found.same_architecture


@pytest.mark.parametrize("kind", [*DISGUISES, ALL])
def test_a_descendant_is_known_in_a_hidden_basis_that_was_permuted_scaled_or_rotated(nano: LM, kind: str) -> None:
    child = tuned(nano, strength=0.3)
    worn = disguise(child, kind, np.random.default_rng(0))
    ids = torch.tensor(sequences(2, 20, 20))
    with torch.no_grad():
        moved = (worn.model(ids).logits - child.model(ids).logits).abs().max()
    assert moved < (0.5 if "bf16" in kind else 1e-3), "this disguise changes the model"
    assert kinship(nano, worn).kin is True


def test_a_disguise_beyond_reach_is_no_denial(nano: LM) -> None:
    worn = disguise(nano, "rotated+mirrored", np.random.default_rng(0))
    found = kinship(nano, worn)
    assert found.kin is None
    assert found.likeness == pytest.approx(1, abs=0.01)
    assert "turned on purpose" in found.says


def test_one_initialisation_is_found_after_training_apart_and_another_is_not_on_the_same_data() -> None:
    one = trained(llama(seed=0), data_seed=0)
    assert kinship(one, trained(llama(seed=0), data_seed=1)).kin is True
    assert kinship(one, trained(llama(seed=1), data_seed=0)).kin is False


def test_models_with_the_very_same_features_and_signs_of_their_own_have_uniform_p_values() -> None:
    """The worst case of convergent learning, and the null itself: signs are all that two models do not share."""
    base = llama(**OWN_HEADS)
    rng = np.random.default_rng(0)
    p_values: dict[str, list[float]] = {}
    for _ in range(60):
        for test in kinship(base, disguise(base, "rotated+mirrored", rng)).tests:
            if test.units != "residual dimensions":
                p_values.setdefault(f"{test.units} {test.found}", []).append(test.p_value)
    assert len(p_values) == 4
    for name, values in p_values.items():
        assert kstest(values, "uniform").pvalue > 0.01, name


def test_independent_models_raise_no_alarm() -> None:
    models = [llama(seed=seed) for seed in range(12)]
    found = [kinship(a, b) for i, a in enumerate(models) for b in models[:i]]
    p_values = np.array([f.p_value for f in found])
    assert not any(f.kin for f in found)
    assert (p_values < 0.05).mean() < 0.12
    assert 0.4 < np.mean([test.p_value for f in found for test in f.tests]) < 0.6, "one that always says 1 would pass"


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(**sizes()),
        GemmaConfig(**sizes(head_dim=8)),
        Phi3Config(**sizes()),
        MixtralConfig(**sizes(num_local_experts=2)),
        OPTConfig(**sizes(ffn_dim=48, word_embed_proj_dim=32)),
        GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=128),
        GPTNeoXConfig(**sizes()),
        BloomConfig(vocab_size=97, hidden_size=32, n_layer=2, n_head=4),
    ],
    ids=lambda config: config.model_type,
)
def test_other_architectures_are_understood(config: Any) -> None:
    base = of_config(config, seed=0)
    kin = kinship(base, tuned(base))
    assert kin.kin is True
    assert any(test.units != "residual dimensions" for test in kin.tests), "no units of its blocks were found"
    assert all(t.p_value * len(kin.tests) < KIN_BELOW for t in kin.tests), kin.tests
    assert kinship(base, of_config(config, seed=1)).kin is False


def test_gains_folded_into_the_matrices_behind_them_are_seen_through(nano: LM) -> None:
    """Norms' gains differ by dimension; as stored, matrices with and without them look less alike."""
    uneven = tuned(nano, strength=0)
    with torch.no_grad():
        for layer in uneven.model.model.layers:
            layer.post_attention_layernorm.weight.copy_(torch.linspace(0.02, 4, 64))
    folded = disguise(uneven, "scaled", np.random.default_rng(0))
    assert kinship(uneven, folded).likeness == pytest.approx(1, abs=1e-3)


def test_more_tokens_and_an_untied_head_do_not_make_another_architecture() -> None:
    base = llama()
    wider = llama(vocab_size=105, tie_word_embeddings=False)
    state = base.model.state_dict()
    extended = {**wider.model.state_dict(), **{n: t for n, t in state.items() if "embed" not in n and "head" not in n}}
    extended["model.embed_tokens.weight"][:97] = state["model.embed_tokens.weight"]
    found = kinship(base, of_weights(wider, extended))
    assert found.same_architecture
    assert found.kin is True


def test_other_shapes_are_named_and_nothing_is_claimed() -> None:
    found = kinship(llama(), llama(hidden_size=16))
    assert (found.kin, found.p_value, found.same_architecture) == (None, None, False)
    assert "[32] against [16]" in found.says


def test_a_model_with_layers_taken_out_is_kin_of_the_whole_and_a_stranger_is_left_open() -> None:
    whole, part = llama(num_hidden_layers=3), llama(seed=1)
    state = whole.model.state_dict()
    cut = of_weights(part, {name: state[name] for name in part.model.state_dict()})
    found = kinship(whole, cut)
    assert (found.kin, found.same_architecture) == (True, False)
    stranger = kinship(whole, part)
    assert (stranger.kin, stranger.same_architecture) == (None, False)
    assert stranger.p_value is not None


def test_few_units_cannot_tell() -> None:
    tiny = {"hidden_size": 4, "intermediate_size": 4, "num_attention_heads": 1, "num_key_value_heads": 1}
    found = kinship(llama(**tiny, num_hidden_layers=1), llama(seed=1, **tiny, num_hidden_layers=1))
    assert found.kin is None
    assert "too few units" in found.says


def test_json_says_what_scripts_rely_on() -> None:
    found = kinship(llama(), llama(seed=1))
    said = json.loads(json.dumps(found.to_json()))
    assert {"kin", "p_value", "method", "same_architecture"} <= said.keys()
    assert said["kin"] is False
    assert isinstance(found, Kinship)


def test_the_seed_decides_everything_that_is_drawn() -> None:
    a, b = llama(intermediate_size=1500), llama(seed=1, intermediate_size=1500)
    assert kinship(a, b, seed=3) == kinship(a, b, seed=3)
    assert kinship(a, b, seed=3) != kinship(a, b, seed=4), "1,024 of 1,500 units are drawn"
