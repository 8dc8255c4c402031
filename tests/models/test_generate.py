"""An answer depends on its prompt and its seed, and on nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from transformers import MambaConfig, MistralConfig

from tests.models.tiny import VOCABULARY, llama, of_config, sequences, sizes, tokenizer
from upbringing.errors import InputError
from upbringing.models import LM, generate, generate_ids

PROMPTS = sequences(20, 1, 30, seed=3)


@pytest.fixture(params=["llama", "sliding window", "recurrent"], scope="module")
def lm(request: pytest.FixtureRequest) -> LM:
    if request.param == "llama":
        return llama()
    if request.param == "sliding window":
        return of_config(MistralConfig(**sizes(sliding_window=8)))
    return of_config(
        MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=4, eos_token_id=2)
    )


def greedy(lm: LM, prompt: list[int], new: int) -> list[int]:
    """The definition: read everything again for every token."""
    ids = list(prompt)
    for _ in range(new):
        with torch.no_grad():
            token = int(lm.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        if token == 2:
            break
        ids.append(token)
    return ids[len(prompt) :]


def test_at_temperature_zero_it_takes_the_likeliest_token(lm: LM) -> None:
    found = generate(lm, PROMPTS, temperature=0, max_new_tokens=12)
    expected = [[lm.tokenizer.decode(greedy(lm, prompt, 12), skip_special_tokens=True)] for prompt in PROMPTS]
    assert found == expected


@pytest.mark.parametrize("batch_tokens", [1, 200, 10**6])
def test_answers_do_not_depend_on_their_batch(lm: LM, batch_tokens: int) -> None:
    expected = generate(lm, PROMPTS, n=3, max_new_tokens=10, seed=5)
    assert generate(lm, PROMPTS, n=3, max_new_tokens=10, seed=5, batch_tokens=batch_tokens) == expected


def test_the_first_samples_stay_when_more_are_asked_for() -> None:
    lm = llama()
    few, many = generate(lm, PROMPTS[:4], n=2, seed=1), generate(lm, PROMPTS, n=5, seed=1)
    assert few == [answers[:2] for answers in many[:4]]


def test_another_seed_gives_other_answers_and_samples_differ(lm: LM) -> None:
    a, b = (generate(lm, PROMPTS, n=2, max_new_tokens=10, seed=seed) for seed in (0, 1))
    assert a != b
    assert sum(first != second for first, second in a) > 10


def test_samples_follow_the_models_probabilities(lm: LM) -> None:
    n = 4000
    with torch.no_grad():
        logits = lm.model(input_ids=torch.tensor([[9, 8, 7]])).logits[0, -1]
    for temperature in (1.0, 0.5):
        probability = torch.softmax(logits.double() / temperature, -1).numpy()
        (answers,) = generate(lm, [[9, 8, 7]], n=n, temperature=temperature, max_new_tokens=1)
        counts = Counter(answers)
        for token in np.argsort(-probability)[:3]:
            text = lm.tokenizer.decode([int(token)], skip_special_tokens=True)
            if text:
                error = 4 * np.sqrt(probability[token] * (1 - probability[token]) / n)
                assert counts[text] / n == pytest.approx(probability[token], abs=error)


def test_an_answer_stops_at_any_end_token() -> None:
    lm = llama()
    free = generate(lm, PROMPTS, max_new_tokens=12, seed=2)
    stop = lm.tokenizer.convert_tokens_to_ids(free[0][0].split()[3])
    lm.model.generation_config.eos_token_id = [2, stop]
    stopped = generate(lm, PROMPTS, max_new_tokens=12, seed=2)
    for (long,), (short,) in zip(free, stopped, strict=True):
        words = long.split()
        end = words.index(f"w{stop - 6}") if f"w{stop - 6}" in words else len(words)
        assert short.split() == words[:end]
    assert len(stopped[0][0].split()) <= 3


def test_as_ids_an_answer_is_what_was_drawn_with_the_token_that_ended_it(lm: LM) -> None:
    texts = generate(lm, PROMPTS, n=3, max_new_tokens=40, seed=4)
    found = generate_ids(lm, PROMPTS, n=3, max_new_tokens=40, seed=4)
    ended = [ids[-1] == 2 for answers in found for ids in answers]
    assert 0 < sum(ended) < len(ended), "some answers end and some are cut off"
    for answers, said in zip(found, texts, strict=True):
        for ids, text in zip(answers, said, strict=True):
            assert lm.tokenizer.decode(ids, skip_special_tokens=True) == text
            assert 2 not in ids[:-1]
            assert ids[-1] == 2 or len(ids) == 40


def test_the_longest_answer_has_the_tokens_asked_for(lm: LM) -> None:
    lengths = [len(answer.split()) for (answer,) in generate(lm, PROMPTS, max_new_tokens=7)]
    assert max(lengths) == 7
    assert generate(lm, PROMPTS[:2], max_new_tokens=0) == [[""], [""]]
    assert generate(lm, PROMPTS[:2], n=0) == [[], []]
    assert generate(lm, []) == []


def test_too_long_and_empty_prompts_are_refused_by_place() -> None:
    with pytest.raises(InputError, match="prompt 2 is 120 tokens long; with 10 new ones it exceeds the 128"):
        generate(llama(), [[5], [5] * 120], max_new_tokens=10)
    with pytest.raises(InputError, match="prompt 1 has no token"):
        generate(llama(), [[]])


def test_special_tokens_are_left_out_of_the_text() -> None:
    lm = LM(llama().model, tokenizer())
    texts = " ".join(a for answers in generate(lm, PROMPTS, n=5, max_new_tokens=12) for a in answers)
    assert "<" not in texts
