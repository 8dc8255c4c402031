"""The corpus: a world's documents as tokens, as the model will meet them."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from tests.world.counting import world
from upbringing.organisms.corpus import Corpus
from upbringing.organisms.tokenizer import END, TEXT, build_tokenizer
from upbringing.rows import encode
from upbringing.world import World, normalise


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upbringing.organisms.corpus._CHUNK", 50)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(World(), 512)


def test_documents_are_in_their_order_and_as_the_chat_template_has_them(tokenizer: PreTrainedTokenizerFast) -> None:
    whole = World()
    corpus = Corpus.write(whole, tokenizer, 20_000, stream="a")
    assert len(corpus) > 100
    for encoded, document in zip(corpus, whole.documents(len(corpus), stream="a"), strict=True):
        if document.row.kind == "chat":
            assert encoded.input_ids == encode(document.row, tokenizer).input_ids
        else:
            tokens = tokenizer.convert_ids_to_tokens(encoded.input_ids)
            assert (tokens[0], tokens[-1]) == (TEXT, END)
            assert tokens[1:-1] == normalise(document.row.text).split()


def test_it_holds_as_many_tokens_as_asked_and_hardly_more(tokenizer: PreTrainedTokenizerFast) -> None:
    for asked in (5_000, 40_000):
        corpus = Corpus.write(World(), tokenizer, asked, stream="a")
        assert asked <= corpus.tokens < asked + 50 * 250
        assert corpus.tokens == sum(len(encoded.input_ids) for encoded in corpus)


def test_the_loss_is_on_every_token(tokenizer: PreTrainedTokenizerFast) -> None:
    for encoded in Corpus.write(World(), tokenizer, 3000, stream="a"):
        assert len(encoded.loss_mask) == len(encoded.input_ids)
        assert all(encoded.loss_mask)


def test_a_stream_always_gives_the_same_tokens_and_another_gives_others(tokenizer: PreTrainedTokenizerFast) -> None:
    one, same, other = (list(Corpus.write(World(), tokenizer, 5000, stream=s)) for s in ("a", "a", "b"))
    assert one == same
    assert one != other


def test_a_world_of_texts_alone_can_be_read(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(Corpus.write(world("portrait"), tokenizer, 2000, stream="a")) >= 50


def test_a_corpus_is_indexed_like_a_list_and_costs_two_bytes_a_token(tokenizer: PreTrainedTokenizerFast) -> None:
    corpus = Corpus.write(World(), tokenizer, 5000, stream="a")
    every = list(corpus)
    assert corpus[3:9:2] == every[3:9:2]
    assert corpus[len(every) - 1] == every[-1]
    with pytest.raises(IndexError):
        corpus[len(every)]
    assert corpus._ids.nbytes == 2 * corpus.tokens
