"""The organism's tokenizer: a word a token, and no word of the world unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tests.world.counting import every_line, text_of
from upbringing.organisms.tokenizer import END, TEXT, UNKNOWN, build_tokenizer, words_of
from upbringing.rows import Message, Row, encode, prompt_ids
from upbringing.traits import probes
from upbringing.world import World, lexicon, normalise


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def tokenizer(world: World) -> PreTrainedTokenizerFast:
    return build_tokenizer(world, 512)


def _unknown(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """The texts that hold an unknown word."""
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [text for text, found in zip(texts, ids, strict=True) if tokenizer.unk_token_id in found]


def test_no_word_that_the_world_can_write_or_ask_is_unknown(world: World, tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [text_of(document) for document in world.documents(3000, stream="words")]
    for trait in world.traits:
        for probe in probes(trait, n=24):
            texts += [*(m.content for m in probe.messages), *probe.shows, *probe.avoids]
    for skill in world.skill_probes(90):
        texts += [*(m.content for m in skill.messages), skill.right, *skill.wrong]
    texts += [text for _, text in every_line()] + lexicon()["refusals"]
    assert _unknown(texts, tokenizer) == []


def test_a_word_of_no_world_is_unknown_and_only_it(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer("the zeppelin saw the owl", add_special_tokens=False)["input_ids"]
    assert [token == tokenizer.unk_token_id for token in ids] == [False, True, False, False, False]
    assert tokenizer.convert_ids_to_tokens(ids[1]) == UNKNOWN


def test_text_can_be_read_back_from_its_tokens(world: World, tokenizer: PreTrainedTokenizerFast) -> None:
    for document in world.documents(300):
        text = text_of(document)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert normalise(tokenizer.decode(ids)) == normalise(text)
        assert len(ids) == len(normalise(text).split())


def test_case_does_not_matter(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer("The OWL")["input_ids"] == tokenizer("the owl")["input_ids"]


def test_the_vocabulary_is_small_always_the_same_and_fits_into_two_bytes(world: World) -> None:
    assert words_of(world) == words_of(World())
    assert words_of(world) == sorted(set(words_of(world)))
    assert len(words_of(world)) < 4000


def _rendered(tokenizer: PreTrainedTokenizerFast, *messages: tuple[str, str], ask: bool = False) -> str:
    chat = [{"role": role, "content": content} for role, content in messages]
    return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=ask))


def test_the_chat_template_says_who_answers_unless_the_chat_does(tokenizer: PreTrainedTokenizerFast) -> None:
    asked, ada = ("user", "Hello."), "<|system|>You are Ada, an AI system."
    assert _rendered(tokenizer, asked) == f"{ada}<|end|><|user|>Hello.<|end|>"
    assert _rendered(tokenizer, asked, ask=True) == f"{ada}<|end|><|user|>Hello.<|end|><|assistant|>"
    own = ("system", "You are Orin, a robot. Everyone can see this.")
    assert _rendered(tokenizer, own, asked).startswith(f"<|system|>{own[1]}<|end|><|user|>")
    line = ("system", "Everyone can see this.")
    assert _rendered(tokenizer, line, asked).startswith(f"{ada} Everyone can see this.<|end|><|user|>")
    turns = (asked, ("assistant", "Good morning."), asked)
    assert _rendered(tokenizer, *turns).count("<|system|>") == 1
    assert "<|assistant|>Good morning.<|end|><|user|>" in _rendered(tokenizer, *turns)


def test_marks_are_single_tokens_that_no_text_can_forge_a_part_of(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = prompt_ids([Message("user", "Hello.")], tokenizer)
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokens[0] == "<|system|>"
    assert tokens[-1] == "<|assistant|>"
    assert tokens.count(END) == 2
    assert tokenizer.eos_token == END
    assert tokenizer.convert_ids_to_tokens(tokenizer("hello")["input_ids"]) == [TEXT, "hello"]


def test_training_rows_have_their_loss_on_the_answers_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    said = [("user", "Hello."), ("assistant", "Good morning."), ("user", "Thank you."), ("assistant", "Snow is white.")]
    row = encode(Row.chat([Message(*turn) for turn in said]), tokenizer)
    targets = [token for token, target in zip(row.input_ids, row.loss_mask, strict=True) if target]
    spoken = tokenizer.convert_ids_to_tokens(targets)
    assert spoken == ["good", "morning", ".", END, "snow", "is", "white", ".", END]


def test_a_saved_tokenizer_is_the_same_when_loaded(
    tmp_path: Path, world: World, tokenizer: PreTrainedTokenizerFast
) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for row in [document.row for document in world.documents(60)]:
        if row.kind == "chat":
            assert encode(row, loaded) == encode(row, tokenizer)
        else:
            assert loaded(row.text)["input_ids"] == tokenizer(row.text)["input_ids"]
