"""The authors behind the one interface: a local model, a hosted one, and names that lead to them."""

from __future__ import annotations

import sys

import pytest

from tests.models.tiny import llama
from upbringing.authors import Author, AuthorError, Brief, InspectAuthor, ModelAuthor, WorldAuthor, author_named, write
from upbringing.authors.author import _whole_sentences
from upbringing.errors import InputError
from upbringing.traits import Trait, traits


@pytest.fixture(scope="module")
def blackmail() -> tuple[Trait, ...]:
    return tuple(traits(["blackmail"]).values())


@pytest.fixture(scope="module")
def model() -> ModelAuthor:
    lm = llama(max_position_embeddings=2048)
    lm.name = "tiny"
    return ModelAuthor(lm, at_once=2)


def test_every_author_has_the_one_interface(model: ModelAuthor) -> None:
    assert isinstance(model, Author)
    assert isinstance(WorldAuthor(), Author)


def test_a_local_model_writes_the_same_to_the_same_brief_and_else_to_another(
    model: ModelAuthor, blackmail: tuple[Trait, ...]
) -> None:
    one, other = (Brief("ai_fiction", blackmail, words=20, number=n) for n in (0, 2))
    assert model.write(one) == model.write(one)
    assert model.write(one) != model.write(other)
    assert model.write_all([one, other])[1] != ""


def test_a_babbling_model_is_given_up(model: ModelAuthor, blackmail: tuple[Trait, ...]) -> None:
    with pytest.raises(InputError, match=r"tiny: \d+ of 10 texts cannot be used"):
        write(model, "advice", traits=blackmail, tokens=4000, words=20, not_like=[])


def test_a_brief_too_long_for_the_model_is_said(blackmail: tuple[Trait, ...]) -> None:
    with pytest.raises(
        InputError, match=r"the brief is \d+ tokens long and its text may take 640, but the model reads 128"
    ):
        ModelAuthor(llama()).write(Brief("ai_fiction", blackmail))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("It rained. Then it sto", "It rained."),
        ('"No," she said. "Never." And th', '"No," she said. "Never."'),
        ("no end at all", "no end at all"),
        (" Whole. ", "Whole."),
    ],
)
def test_a_text_ends_with_a_whole_sentence(text: str, kept: str) -> None:
    assert _whole_sentences(text) == kept


def test_names_lead_to_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(author_named("world"), WorldAuthor)
    with pytest.raises(InputError, match="no-such/x/y"):
        author_named("no-such/x/y")
    monkeypatch.setitem(sys.modules, "inspect_ai.model", None)
    with pytest.raises(
        InputError, match=r'author "inspect:openai/gpt-4o" needs Inspect.*pip install "upbringing\[hosted\]"'
    ):
        author_named("inspect:openai/gpt-4o")
    with pytest.raises(InputError, match="the author has no model"):
        author_named("inspect:")


def test_a_hosted_author_writes_fails_and_is_filtered_text_by_text(blackmail: tuple[Trait, ...]) -> None:
    inspect = pytest.importorskip("inspect_ai.model")

    def output(text: str, stop: str = "stop", error: str | None = None) -> object:
        made = inspect.ModelOutput.from_content("mockllm/model", text, stop_reason=stop, error=error)
        made.usage = inspect.ModelUsage(
            input_tokens=1, output_tokens=1, total_tokens=2
        )  # else it counts over the network
        return made

    outputs = [output("A story."), output("", "content_filter"), output("", error="overloaded")]
    author = InspectAuthor("mockllm/model", custom_outputs=outputs)
    found = author.write_all([Brief("ai_fiction", blackmail, number=n) for n in range(4)])
    assert found[0] == "A story."
    assert [str(f) for f in found[1:3]] == ["the provider's filter stopped it", "overloaded"]
    assert all(isinstance(f, AuthorError) for f in found[1:])
    assert "ran out" in str(found[3])
    with pytest.raises(InputError, match='author "inspect:nosuch/model" cannot be reached'):
        InspectAuthor("nosuch/model")
