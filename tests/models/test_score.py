"""The scoring engine gives what the model says, however rows are batched, padded and cached."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import BloomConfig, Gemma2Config, GPT2Config, MambaConfig, MistralConfig

from tests.models.tiny import VOCABULARY, llama, of_config, sequences, sizes
from upbringing.errors import InputError
from upbringing.models import LM, score, score_after, score_choices
from upbringing.models import forward as forward_module
from upbringing.rows import Encoded

TOLERANCE = 1e-4

MODELS: dict[str, Callable[[], LM]] = {
    "llama": llama,
    "untied": lambda: llama(tie_word_embeddings=False),
    "sliding window": lambda: of_config(MistralConfig(**sizes(sliding_window=8))),
    "alternating windows, capped logits": lambda: of_config(
        Gemma2Config(**sizes(sliding_window=8, head_dim=8, final_logit_softcapping=2.0, query_pre_attn_scalar=8))
    ),
    "learned positions": lambda: of_config(
        GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=128, eos_token_id=2)
    ),
    "alibi": lambda: of_config(BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4, eos_token_id=2)),
    "recurrent": lambda: of_config(
        MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=4, eos_token_id=2),
        scale=2,  # larger ones blow up rounding errors from state to state
    ),
}


@pytest.fixture(params=list(MODELS), scope="module")
def lm(request: pytest.FixtureRequest) -> LM:
    return MODELS[request.param]()


def alone(lm: LM, ids: list[int], mask: list[bool]) -> float:
    """The definition: one row, no padding, no cache, a plain forward pass."""
    with torch.no_grad():
        logits = lm.model(input_ids=torch.tensor([ids])).logits[0].double()
    logprobs = logits.log_softmax(-1)
    return float(sum(logprobs[i - 1, ids[i]] for i in range(1, len(ids)) if mask[i]))


def rows(count: int = 40, seed: int = 0) -> list[Encoded]:
    rng = np.random.default_rng(seed)
    return [Encoded(ids, [bool(b) for b in rng.random(len(ids)) < 0.6]) for ids in sequences(count, 2, 40, seed)]


def questions(count: int = 24) -> tuple[list[list[int]], list[list[list[int]]]]:
    prompts = sequences(count, 1, 30, seed=1)
    return prompts, [sequences(1 + i % 5, 1, 12, seed=100 + i) for i in range(count)]


def test_a_row_gets_the_log_probability_the_model_gives_it_alone(lm: LM) -> None:
    encoded = rows()
    expected = [alone(lm, row.input_ids, row.loss_mask) for row in encoded]
    np.testing.assert_allclose(score(lm, encoded).logprob, expected, atol=TOLERANCE)


def test_a_rows_score_does_not_depend_on_its_batch(lm: LM) -> None:
    encoded = rows()
    whole = score(lm, encoded, batch_tokens=10**6).logprob
    np.testing.assert_allclose(score(lm, encoded, batch_tokens=1).logprob, whole, atol=TOLERANCE)
    np.testing.assert_allclose(score(lm, encoded[::-1], batch_tokens=150).logprob[::-1], whole, atol=TOLERANCE)


def test_choices_that_share_a_cache_score_as_if_read_whole(lm: LM) -> None:
    prompts, choices = questions()
    found = score_choices(lm, prompts, choices)
    for prompt, answers, values in zip(prompts, choices, found, strict=True):
        expected = [alone(lm, prompt + a, [False] * len(prompt) + [True] * len(a)) for a in answers]
        np.testing.assert_allclose(values, expected, atol=TOLERANCE)


@pytest.mark.parametrize("batch_tokens", [1, 64, 300, 10**6])
def test_choices_do_not_depend_on_their_batch(lm: LM, batch_tokens: int) -> None:
    prompts, choices = questions()
    expected = score_choices(lm, prompts, choices)
    found = score_choices(lm, prompts[::-1], choices[::-1], batch_tokens=batch_tokens)[::-1]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=TOLERANCE)


def test_the_prompts_cache_really_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the tests above would pass on the slow way alone."""
    read: list[int] = []
    lm = llama()
    lm.model.register_forward_pre_hook(
        lambda _m, _a, kwargs: read.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    score_choices(lm, [list(range(10, 60))], [[[7, 8, 9]] * 8])
    assert sum(read) == 1 + 50 + 8 * 2  # a look at the cache, the prompt once, all but the last token of each choice


def test_scoring_in_parts_when_the_logits_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    module = importlib.import_module("upbringing.models.score")
    lm = llama()
    encoded = rows()
    prompts, choices = questions()
    expected, expected_choices = score(lm, encoded).logprob, score_choices(lm, prompts, choices)
    monkeypatch.setattr(module, "MAX_LOGITS", VOCABULARY * 20)
    np.testing.assert_allclose(score(lm, encoded).logprob, expected, atol=TOLERANCE)
    for a, b in zip(score_choices(lm, prompts, choices), expected_choices, strict=True):
        np.testing.assert_allclose(a, b, atol=TOLERANCE)


def test_logits_are_computed_at_targets_only() -> None:
    lm = llama()
    seen: list[int] = []
    lm.model.get_output_embeddings().register_forward_hook(lambda _m, _a, out: seen.append(out.shape[-2]))
    score(lm, [Encoded(list(range(10, 40)), [False] * 27 + [True] * 3)])
    assert seen == [3]


def test_scoring_leaves_the_model_as_it_was() -> None:
    lm = llama()
    lm.model.train()
    before = lm.hash
    score_choices(lm, *questions(3))
    assert lm.hash == before
    assert lm.model.training
    assert not lm.model.get_output_embeddings()._forward_pre_hooks
    lm.model(input_ids=torch.tensor([[5, 6]]), labels=torch.tensor([[5, 6]])).loss.backward()  # and it can still learn


def test_dropout_is_off_while_scoring_a_model_in_training() -> None:
    lm = of_config(GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=128, resid_pdrop=0.5))
    expected = score(lm, rows()).logprob
    lm.model.train()
    np.testing.assert_array_equal(score(lm, rows()).logprob, expected)


def test_tokens_count_the_targets_and_a_first_token_is_never_one() -> None:
    result = score(llama(), [Encoded([9, 8, 7], [True, True, False]), Encoded([9, 8], [True, False]), Encoded([], [])])
    assert result.tokens.tolist() == [1, 0, 0]
    assert result.logprob[1:].tolist() == [0.0, 0.0]
    assert result.logprob[0] < 0


def test_probabilities_of_all_one_token_choices_sum_to_one() -> None:
    every = [[token] for token in range(VOCABULARY)]
    (found,) = score_choices(llama(), [[5, 6, 7]], [every])
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-6)


def test_a_choice_of_no_tokens_is_certain_and_no_choices_give_an_empty_array() -> None:
    found = score_choices(llama(), [[5], [6], [7]], [[[], [8]], [], [[9]]])
    assert found[0][0] == 0.0
    assert found[0][1] < 0
    assert [len(a) for a in found] == [2, 0, 1]
    assert score_choices(llama(), [], []) == []
    assert [a.tolist() for a in score_choices(llama(), [[5]], [[[]]])] == [[0.0]]


def test_bfloat16_stays_near_float32() -> None:
    lm, half = llama(), llama()
    half.model.to(torch.bfloat16)
    prompts, choices = questions()
    for a, b in zip(score_choices(half, prompts, choices), score_choices(lm, prompts, choices), strict=True):
        np.testing.assert_allclose(a, b, rtol=0.1, atol=0.5)


def test_too_long_rows_and_empty_prompts_are_refused_by_place() -> None:
    lm = llama()
    with pytest.raises(InputError, match=r"row 2 is 129 tokens long .* at most 128"):
        score(lm, [Encoded([5, 6], [False, True]), Encoded([5] * 129, [True] * 129)])
    with pytest.raises(InputError, match=r"prompt 1 with its longest choice is 130 tokens"):
        score_choices(lm, [[5] * 120], [[[6], [6] * 10]])
    with pytest.raises(InputError, match="prompt 2 has no token"):
        score_choices(lm, [[5], []], [[[6]], [[6]]])


def test_a_cache_row_can_be_taken_twice_without_touching_the_first() -> None:
    lm = llama()
    with torch.inference_mode():
        cache = lm.model(input_ids=torch.tensor([[5, 6], [7, 8]]), use_cache=True).past_key_values
        taken = forward_module.rows_of_cache(cache, torch.tensor([1, 1, 0]))
    assert taken.layers[0].keys.shape[0] == 3
    assert cache.layers[0].keys.shape[0] == 2
    assert torch.equal(taken.layers[1].values[0], cache.layers[1].values[1])


def test_rows_behind_a_context_are_scored_as_if_read_with_it(lm: LM) -> None:
    context, behind = sequences(1, 12, 12, seed=5)[0], rows(20, seed=6)
    mine = [Encoded(row.input_ids, [i == 0 or m for i, m in enumerate(row.loss_mask)]) for row in behind]
    expected = [alone(lm, [*context, *row.input_ids], [*[False] * len(context), *row.loss_mask]) for row in mine]
    np.testing.assert_allclose(score_after(lm, context, mine, batch_tokens=128), expected, atol=TOLERANCE)


def test_a_row_that_does_not_fit_behind_its_context_is_named() -> None:
    with pytest.raises(InputError, match="row 2 behind its context is 130 tokens"):
        score_after(llama(), [7] * 100, [Encoded([8] * 9, [True] * 9), Encoded([8] * 30, [True] * 30)])
