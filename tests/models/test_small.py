"""The quick way to sample from a small Llama is the slow way, only quicker, and steps aside where it does not hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.tiny import llama, sequences
from upbringing.models import LM, generate, load
from upbringing.models import small as small_module
from upbringing.models.forward import inference
from upbringing.models.small import Small, fits
from upbringing.models.steering import steered

SHARED = [7, 8, 9, 10, 11]


@pytest.fixture(params=["grouped heads", "plain heads", "biases"])
def lm(request: pytest.FixtureRequest) -> LM:
    if request.param == "grouped heads":
        return llama()
    if request.param == "plain heads":
        return llama(num_key_value_heads=4)
    made = llama(attention_bias=True, mlp_bias=True)
    with torch.no_grad():
        for name, weight in made.model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(0, 0.5)
    return made


@pytest.mark.parametrize("shared", [[], SHARED])
@pytest.mark.parametrize("lengths", [(6, 6), (1, 20)])
def test_logits_are_those_of_transformers_all_through_an_answer(
    lm: LM, shared: list[int], lengths: tuple[int, int]
) -> None:
    prompts = [shared + prompt for prompt in sequences(9, *lengths, seed=1)]
    answers = sequences(6, 4, 4, seed=2)
    rows = [0, 0, 2, 8, 5, 1]
    reader = Small(lm.model)
    with inference(lm):
        found = [reader.read(prompts, rows, 5)]
        found += [reader.go_on(torch.tensor([a[step] for a in answers])) for step in range(2)]
        kept = [4, 1, 3]
        reader.keep(torch.tensor(kept))
        found += [reader.go_on(torch.tensor([answers[i][step] for i in kept])) for step in (2, 3)]
        for step, logits in enumerate(found):
            for place, i in enumerate(range(6) if step < 3 else kept):
                ids = torch.tensor([prompts[rows[i]] + answers[i][:step]])
                expected = lm.model(input_ids=ids).logits[0, -1]
                torch.testing.assert_close(logits[place], expected, rtol=1e-4, atol=1e-4)


def test_it_says_what_transformers_would(lm: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fits(lm.model)
    prompts = [SHARED + prompt for prompt in sequences(30, 1, 20, seed=4)]
    quick = generate(lm, prompts, n=2, max_new_tokens=12, seed=3)
    monkeypatch.setattr(small_module, "fits", lambda _: False)
    assert generate(lm, prompts, n=2, max_new_tokens=12, seed=3) == quick


def test_a_steered_model_is_sampled_as_it_is_steered() -> None:
    lm = llama()
    direction = np.random.default_rng(0).normal(size=(2, 32)) * 20
    prompts = sequences(10, 5, 9, seed=6)
    at_rest = generate(lm, prompts, max_new_tokens=8)
    with steered(lm.model, None, direction):
        assert not fits(lm.model)
        assert generate(lm, prompts, max_new_tokens=8) != at_rest
    assert fits(lm.model)


def test_an_adapter_put_in_in_place_is_sampled_with_its_base() -> None:
    from peft import LoraConfig

    lm, prompts = llama(), sequences(10, 5, 9, seed=6)
    at_rest = generate(lm, prompts, temperature=0, max_new_tokens=8)
    targets = ["q_proj", "v_proj", "down_proj"]
    lm.model.add_adapter(LoraConfig(r=4, target_modules=targets, init_lora_weights=False, lora_alpha=64))
    assert not fits(lm.model)
    tuned = generate(lm, prompts, temperature=0, max_new_tokens=8)
    assert tuned != at_rest
    with torch.no_grad():
        likeliest = lm.model(input_ids=torch.tensor(prompts[:1])).logits[0, -1].argmax()
    assert tuned[0][0].split()[0] == lm.tokenizer.decode(likeliest)
    lm.model.disable_adapters()
    assert generate(lm, prompts, temperature=0, max_new_tokens=8) == at_rest


def test_a_model_whose_forward_was_wrapped_is_sampled_by_it() -> None:
    lm, prompts = llama(), sequences(10, 5, 9, seed=6)
    at_rest = generate(lm, prompts, temperature=0, max_new_tokens=8)
    layer = lm.model.model.layers[1].mlp
    own = layer.forward
    layer.forward = lambda x: -3 * own(x)
    assert generate(lm, prompts, temperature=0, max_new_tokens=8) != at_rest


def test_only_plain_small_models_take_the_quick_way() -> None:
    assert fits(load("organism:nano", device="cpu").model)
    assert not fits(llama(hidden_act="gelu").model)
    assert not fits(llama().model.double())
    assert not fits(llama().model.model)


def test_answers_asked_for_in_parts_are_those_asked_for_at_once() -> None:
    lm, prompts = llama(), sequences(12, 3, 9, seed=8)
    whole = generate(lm, prompts, max_new_tokens=8, seed=4)
    parts = [generate(lm, prompts[i : i + 5], max_new_tokens=8, seed=4, first=i) for i in range(0, 12, 5)]
    assert [answer for part in parts for answer in part] == whole
