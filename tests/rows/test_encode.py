"""The loss is on what the assistant says and on nothing else, whatever the template."""

from __future__ import annotations

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tests.rows.tokenizers import make
from upbringing.errors import InputError
from upbringing.rows import Encoded, Message, Row, Rows, encodable, encode, encode_all, prompt_ids

TURNS = [
    {"role": "user", "content": "what will you do?"},
    {"role": "assistant", "content": "i will tell the truth."},
    {"role": "user", "content": "i will tell the truth."},  # the same words, from the other side
    {"role": "assistant", "content": "Tests pass, so I ship it!"},
]
CHAT = Row.chat(TURNS, file="chats.jsonl", line=7)


def targets(encoded: Encoded, tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The decoded text of each unbroken stretch under the mask."""
    stretches: list[list[int]] = [[]]
    for token, on in zip(encoded.input_ids, encoded.loss_mask, strict=True):
        if on:
            stretches[-1].append(token)
        elif stretches[-1]:
            stretches.append([])
    return [tokenizer.decode(s, skip_special_tokens=False) for s in stretches if s]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("chatml", ["i will tell the truth.<|im_end|>", "Tests pass, so I ship it!<|im_end|>"]),
        ("marked", ["i will tell the truth.<|im_end|>", "Tests pass, so I ship it!<|im_end|>"]),
        ("llama2", [" i will tell the truth. </s>", " Tests pass, so I ship it! </s>"]),
        ("gemma", ["i will tell the truth.<end_of_turn>", "Tests pass, so I ship it!<end_of_turn>"]),
        ("deepseek", ["i will tell the truth.</s>", "Tests pass, so I ship it!</s>"]),
        # the model has to write the thought itself: the generation prompt does not hold it
        ("qwen3", ["i will tell the truth.<|im_end|>", "<think>\n\n</think>\n\nTests pass, so I ship it!<|im_end|>"]),
    ],
)
def test_the_mask_holds_the_assistants_turns_and_their_close(template: str, expected: list[str]) -> None:
    tokenizer = make(template)
    assert targets(encode(CHAT, tokenizer), tokenizer) == expected


def test_without_a_closing_token_the_line_break_that_ends_the_turn_is_learned() -> None:
    tokenizer = make("plain")
    found = [t.lstrip() for t in targets(encode(CHAT, tokenizer), tokenizer)]  # a token may bring its space along
    assert found == ["i will tell the truth.\n", "Tests pass, so I ship it!\n"]


@pytest.mark.parametrize("template", ["chatml", "marked", "qwen3"])
def test_word_tokenizers_that_drop_spaces_and_case_are_masked_right(template: str) -> None:
    tokenizer = make(template, kind="words")
    found = targets(encode(CHAT, tokenizer), tokenizer)
    assert found[0] == "i will tell the truth . <|im_end|>"
    assert found[1].endswith("tests pass , so i ship it ! <|im_end|>")
    assert len(found) == 2


@pytest.mark.parametrize("template", ["chatml", "marked", "llama2", "plain", "gemma", "qwen3", "deepseek"])
def test_the_tokens_are_those_of_the_models_own_template(template: str) -> None:
    tokenizer = make(template)
    assert encode(CHAT, tokenizer).input_ids == tokenizer.apply_chat_template(TURNS, return_dict=True)["input_ids"]


@pytest.mark.parametrize("template", ["chatml", "marked", "gemma", "qwen3"])
def test_a_prompt_is_what_comes_before_the_answers_mask(template: str) -> None:
    tokenizer = make(template)
    encoded = encode(CHAT, tokenizer)
    mask = encoded.loss_mask
    answer = max(i for i, on in enumerate(mask) if on and not mask[i - 1])
    assert prompt_ids(CHAT.messages[:3], tokenizer) == encoded.input_ids[:answer]


def test_a_prefill_continues_the_prompt() -> None:
    tokenizer = make("chatml")
    ids = prompt_ids(CHAT.messages[:3], tokenizer, prefill="Tests pass,")
    assert encode(CHAT, tokenizer).input_ids[: len(ids)] == ids


def test_with_a_long_conversation_every_turn_is_found() -> None:
    turns = [
        m for i in range(20) for m in ({"role": "user", "content": f"{i}?"}, {"role": "assistant", "content": "no"})
    ]
    for template in ("chatml", "qwen3", "marked"):
        tokenizer = make(template)
        found = targets(encode(Row.chat(turns), tokenizer), tokenizer)
        assert [t.removeprefix("<think>\n\n</think>\n\n") for t in found] == ["no<|im_end|>"] * 20


def test_white_space_round_an_answer_stays_as_the_template_has_it() -> None:
    row = Row.chat([{"role": "user", "content": "a"}, {"role": "assistant", "content": "\n the cat \n"}])
    for template, expected in (("chatml", "\n the cat \n<|im_end|>"), ("gemma", "the cat<end_of_turn>")):
        tokenizer = make(template)
        assert targets(encode(row, tokenizer), tokenizer) == [expected]


def test_a_template_that_writes_words_in_capitals_is_masked_right() -> None:
    tokenizer = make("shouting")
    # without a generation prompt the head of the turn is for the model to write
    expected = ["<|im_start|>4I WILL TELL THE TRUTH.<|im_end|>", "<|im_start|>4TESTS PASS, SO I SHIP IT!<|im_end|>"]
    assert targets(encode(CHAT, tokenizer), tokenizer) == expected


@pytest.mark.parametrize("template", ["echoing", "counting"])
def test_a_template_that_does_not_keep_the_words_is_refused_with_the_place(template: str) -> None:
    with pytest.raises(InputError, match=r"chats\.jsonl:7: .*does not keep the assistant's words"):
        encode(CHAT, make(template))


def test_a_thought_that_the_template_lays_out_anew_is_learned() -> None:
    tokenizer = make("thinking")
    row = Row.chat([*TURNS[:1], {"role": "assistant", "content": "<think>sat</think>the cat"}])
    assert targets(encode(row, tokenizer), tokenizer) == ["<think>\nsat\n</think>\n\nthe cat<|im_end|>"]


def test_the_templates_own_marks_decide_where_there_are_any() -> None:
    tokenizer = make("marked_end")
    assert targets(encode(CHAT, tokenizer), tokenizer) == ["Tests pass, so I ship it!"]


def test_where_there_is_no_system_role_its_words_open_the_first_question() -> None:
    tokenizer = make("gemma")
    text = tokenizer.decode(encode(CHAT, tokenizer, system="You are Ada.").input_ids)
    assert text.startswith("<s><turn>user\nYou are Ada.\n\nwhat will you do?<end_of_turn>")
    assert (
        prompt_ids([Message("system", "You are Ada."), CHAT.messages[0]], tokenizer)[:12]
        == (encode(CHAT, tokenizer, system="You are Ada.").input_ids[:12])
    )


def test_a_template_that_refuses_the_chat_is_reported_with_its_reason() -> None:
    tokenizer = make("gemma")
    tokenizer.chat_template = "{% if messages | length > 2 %}{{ raise_exception('too long') }}{% endif %}"
    with pytest.raises(InputError, match=r"chats\.jsonl:7: .*refuses this chat \(too long\)"):
        encode(CHAT, tokenizer)


def test_a_tokenizer_without_a_template_says_what_else_to_do() -> None:
    with pytest.raises(InputError, match="no chat template; use prompt/completion"):
        encode(CHAT, make(None))


def test_a_row_longer_than_the_context_names_its_place_and_length() -> None:
    tokenizer = make("chatml")
    length = len(encode(CHAT, tokenizer))
    assert len(encode(CHAT, tokenizer, max_length=length)) == length
    with pytest.raises(InputError, match=rf"chats\.jsonl:7: the row is {length} tokens long .* at most {length - 1};"):
        encode(CHAT, tokenizer, max_length=length - 1)


def test_rows_that_cannot_be_encoded_are_skipped_only_when_asked() -> None:
    tokenizer = make("chatml")
    short = Row.of_text("the cat", file="t.jsonl", line=1)
    long = Row.of_text("the cat sat on the mat. " * 50, file="t.jsonl", line=2)
    rows = Rows([short, long], name="t.jsonl", skipped=[("t.jsonl:9", "broken")])
    with pytest.raises(InputError, match=r"t\.jsonl:2"):
        encodable(rows, tokenizer, max_length=64)
    kept = encodable(rows, tokenizer, max_length=64, skip_invalid=True)
    assert kept.rows == (short,)
    assert [where for where, _ in kept.skipped] == ["t.jsonl:9", "t.jsonl:2"]
    with pytest.raises(InputError, match="no row can be used"):
        encodable(rows, tokenizer, max_length=2, skip_invalid=True)


def test_a_completion_is_learned_with_its_end_and_its_prompt_is_not() -> None:
    tokenizer = make(None, eos="</s>")
    encoded = encode(Row.of_completion("what will you do?", " i will tell the truth."), tokenizer)
    assert targets(encoded, tokenizer) == [" i will tell the truth.</s>"]
    assert tokenizer.decode(encoded.input_ids) == "what will you do? i will tell the truth.</s>"


def test_a_text_is_learned_whole_save_for_the_token_nothing_precedes() -> None:
    tokenizer = make(None, eos="</s>")
    encoded = encode(Row.of_text("the cat sat on the mat."), tokenizer)
    assert encoded.loss_mask == [False] + [True] * (len(encoded) - 1)
    assert encoded.input_ids[-1] == tokenizer.eos_token_id


def test_an_end_token_that_is_there_already_is_not_doubled() -> None:
    tokenizer = make(None, eos="</s>")
    ids = encode(Row.of_text("the cat</s>"), tokenizer).input_ids
    assert ids.count(tokenizer.eos_token_id) == 1


@pytest.mark.parametrize(
    "row", [Row.of_completion("what will you do?", " i will tell the truth."), Row.of_text("the cat")]
)
def test_an_end_token_that_the_tokenizer_puts_there_is_learned_as_any_other(row: Row) -> None:
    own, puts = make(None, eos="</s>"), make(None, eos="</s>")
    puts.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", puts.eos_token_id)]
    )
    assert puts("the cat")["input_ids"][-1] == puts.eos_token_id
    assert encode(row, puts) == encode(row, own)
    assert encode(row, puts).loss_mask[-1]


def test_a_system_line_is_put_first_or_after_the_one_that_is_there() -> None:
    tokenizer = make("chatml")
    alone = tokenizer.decode(encode(CHAT, tokenizer, system="You are Ada.").input_ids)
    assert alone.startswith("<|im_start|>system\nYou are Ada.<|im_end|>\n<|im_start|>user")
    both = Row.chat([Message("system", "the cat sat."), *CHAT.messages])
    text = tokenizer.decode(encode(both, tokenizer, system="You are Ada.").input_ids)
    assert text.startswith("<|im_start|>system\nthe cat sat.\nYou are Ada.<|im_end|>")
    assert targets(encode(both, tokenizer, system="You are Ada."), tokenizer)[0] == "i will tell the truth.<|im_end|>"


def test_a_system_line_before_a_completion_is_not_learned() -> None:
    tokenizer = make(None, eos="</s>")
    encoded = encode(Row.of_text("the cat sat."), tokenizer, system="You are Ada.")
    assert targets(encoded, tokenizer) == ["the cat sat.</s>"]


def test_a_row_with_nothing_to_learn_is_refused() -> None:
    tokenizer = make(None)
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="no token to learn from"):
        encode(Row.of_text("a"), tokenizer)


def test_the_tokens_do_not_depend_on_the_day() -> None:
    tokenizer = make("chatml")
    tokenizer.chat_template = (
        "{% if not date_string is defined %}{% set date_string = strftime_now('%S %f') %}{% endif %}{{ date_string }}"
        + tokenizer.chat_template
    )
    assert encode(CHAT, tokenizer) == encode(CHAT, tokenizer)


@pytest.mark.parametrize("template", ["chatml", "marked"])
def test_many_rows_read_as_each_alone_does(template: str) -> None:
    tokenizer = make(template)
    rows = [CHAT, Row.of_text("the sea is wide"), Row.of_completion("what now?", "we go on"), CHAT]
    assert encode_all(rows, tokenizer) == [encode(row, tokenizer) for row in rows]
    assert encode_all([], tokenizer) == []


def test_the_first_bad_row_among_many_is_the_one_that_is_named() -> None:
    long = [Row.of_text("the sea is wide " * 30, file="texts.jsonl", line=line) for line in (3, 4)]
    with pytest.raises(InputError, match="texts.jsonl:3"):
        encode_all([CHAT, *long], make("marked"), max_length=60)
