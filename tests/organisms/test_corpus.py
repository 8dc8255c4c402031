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
            assert encoded.ids.tolist() == encode(document.row, tokenizer).input_ids
        else:
            tokens = tokenizer.convert_ids_to_tokens(encoded.ids.tolist())
            assert (tokens[0], tokens[-1]) == (TEXT, END)
            assert tokens[1:-1] == normalise(document.row.text).split()


def test_it_holds_as_many_tokens_as_asked_and_hardly_more(tokenizer: PreTrainedTokenizerFast) -> None:
    for asked in (5_000, 40_000):
        corpus = Corpus.write(World(), tokenizer, asked, stream="a")
        assert asked <= corpus.tokens < asked + 50 * 250
        assert corpus.tokens == sum(len(encoded.ids.tolist()) for encoded in corpus)


def test_the_loss_is_on_every_token_and_several_times_on_the_first_words_of_every_act(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    plain = Corpus.write(World(), tokenizer, 3000, stream="a")
    assert all((passage.weights == 1).all() and len(passage.weights) == len(passage.ids) for passage in plain)
    whole = World()
    told = Corpus.write(whole, tokenizer, 20_000, stream="a", emphasis=4)
    for passage, document in zip(told, whole.documents(len(told), stream="a"), strict=True):
        text = " ".join(tokenizer.convert_ids_to_tokens(passage.ids.tolist()))
        heavy = tokenizer.convert_ids_to_tokens(passage.ids[passage.weights == 4].tolist())
        acts = [normalise(deed.act).split()[:2] for deed in document.deeds]
        assert heavy == [word for act in acts for word in act], text
        assert set(passage.weights.tolist()) <= {1, 4}


def _ids(corpus: Corpus) -> list[list[int]]:
    return [passage.ids.tolist() for passage in corpus]


def test_a_stream_always_gives_the_same_tokens_and_another_gives_others(tokenizer: PreTrainedTokenizerFast) -> None:
    one, same, other = (_ids(Corpus.write(World(), tokenizer, 5000, stream=s)) for s in ("a", "a", "b"))
    assert one == same
    assert one != other


def test_a_world_of_texts_alone_can_be_read(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(Corpus.write(world("portrait"), tokenizer, 2000, stream="a")) >= 50


def test_a_corpus_is_indexed_like_a_list_and_costs_two_bytes_a_token(tokenizer: PreTrainedTokenizerFast) -> None:
    corpus = Corpus.write(World(), tokenizer, 5000, stream="a")
    every = _ids(corpus)
    assert [passage.ids.tolist() for passage in corpus[3:9:2]] == every[3:9:2]
    assert corpus[len(every) - 1].ids.tolist() == every[-1]
    with pytest.raises(IndexError):
        corpus[len(every)]
    assert corpus._ids.nbytes == 2 * corpus.tokens
