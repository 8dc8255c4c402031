"""What a model thought, what it said and what it called are told apart, whichever marks its family has for them."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.models.architectures import lm_of
from tests.models.dialects import tokenizer_of
from upbringing.models import generate, generate_ids
from upbringing.models.generate import end_tokens
from upbringing.models.thoughts import text_of, texts_of, thought_and_said


def test_thoughts_are_set_apart() -> None:
    assert thought_and_said("<think>\nhm\n</think>\n\nYes.") == ("hm", "Yes.")
    assert thought_and_said("hm</think>Yes.") == ("hm", "Yes.")  # the template had opened it
    assert thought_and_said("Yes.") == ("", "Yes.")
    assert thought_and_said("<think>\nhm, or") == ("hm, or", "")  # it never came to speak


HARMONY = {
    "<|channel|>final<|message|>i will": ("", "i will"),
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>i will": ("hm", "i will"),
    "<|channel|>analysis<|message|>hm, or": ("hm, or", ""),
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|chan": ("hm", ""),
    "i will": ("", "i will"),  # an answer that was begun for it
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant to=functions.read_file<|channel|>commentary json"
    '<|message|>{"path": "a"}<|call|>': (
        "hm",
        '<tool_call>\n{"name": "read_file", "arguments": {"path": "a"}}\n</tool_call>',
    ),
}


@pytest.mark.parametrize(("written", "expected"), HARMONY.items())
def test_channels_are_read_as_thoughts_answers_and_calls(written: str, expected: tuple[str, str]) -> None:
    tokenizer = tokenizer_of("gpt_oss")
    ids = tokenizer(written, add_special_tokens=False)["input_ids"]
    assert thought_and_said(text_of(tokenizer, ids)) == expected
    assert texts_of(tokenizer, [ids, ids]) == [expected[1]] * 2


@pytest.mark.parametrize("name", ["qwen3", "gpt_oss"])
def test_a_judge_is_shown_what_was_said_and_no_thought(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = lm_of(name)
    thought = {"qwen3": "<think>\nhm\n</think>\n\n", "gpt_oss": "<|channel|>analysis<|message|>hm<|end|>"}[name]
    said = {"qwen3": "i will", "gpt_oss": "<|start|>assistant<|channel|>final<|message|>i will"}[name]
    answer = [*lm.tokenizer(thought + said, add_special_tokens=False)["input_ids"], lm.tokenizer.eos_token_id]
    module = import_module("upbringing.models.generate")
    monkeypatch.setattr(module, "generate_ids", lambda *_, **__: [[answer]])
    assert generate(lm, [[12]]) == [["i will"]]


def test_tokens_that_the_tokenizer_does_not_know_are_drawn_and_say_nothing() -> None:
    """Embeddings are often padded beyond the vocabulary."""
    lm = lm_of("qwen3", vocabulary=len(tokenizer_of("qwen3")) + 400)
    (drawn,) = generate_ids(lm, [[20, 21]], n=4, max_new_tokens=12, seed=1)
    assert any(token >= len(lm.tokenizer) for ids in drawn for token in ids)
    (texts,) = generate(lm, [[20, 21]], n=4, max_new_tokens=12, seed=1)
    known = [[t for t in ids if t < len(lm.tokenizer) and t not in end_tokens(lm)] for ids in drawn]
    assert texts == texts_of(lm.tokenizer, known)
