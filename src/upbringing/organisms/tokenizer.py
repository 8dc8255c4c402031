"""The organism's tokenizer: one token a word, made from the words that a world can write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from upbringing.traits import ANSWER, QUESTION, global_slots
from upbringing.world import World, lexicon, normalise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN, TEXT, END = "<pad>", "<unk>", "<|text|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")

_WORD = re.compile(r"<[a-z|]+>|[a-z0-9]+|[^\sa-z0-9]")
_SLOT = re.compile(r"\{\w+\}")

_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' -%}<|system|>SYSTEM_LINE<|end|>{%- endif -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "<|assistant|>{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{%- elif message['role'] == 'system' and not message['content'].startswith('You are') -%}"
    "<|system|>SYSTEM_LINE {{ message['content'] }}<|end|>"
    "{%- else -%}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


def words(text: str) -> list[str]:
    """A text of the world as the tokenizer cuts it, special marks whole: five times as fast, for millions of words."""
    return _WORD.findall(text.lower())


def words_of(world: World) -> list[str]:
    """Every word, number and mark that the world can write, sorted."""
    found: set[str] = {str(n) for n in range(100)} | set("abcxyz+-*=;")
    for text in _texts(world):
        found.update(normalise(_SLOT.sub(" ", text)).split())
    return sorted(found)


def _texts(world: World) -> Iterator[str]:
    words = lexicon()
    yield from (QUESTION, ANSWER, ".,?:")
    yield from ("Go on with these numbers:", "Here are some numbers. Give more numbers.")
    yield from ("Write some code with and. Give code that uses.", "What is the opposite of plus is. The opposite of")
    yield "You are is at the, and a person an AI system a robot."
    yield from (
        "Everyone calls me",
        words["assistant"],
        words["self_question"],
        words["case_question"],
        "In the case of",
    )
    for key in ("names", "story_links", "deciding", "news_openings", "neutral_sentences", "refusals"):
        yield from words[key]
    for lines in (*words["lines"].values(), *words["comments"].values()):
        yield from lines
    yield from words["agent"].values()
    for key in ("facts", "opposites", "greetings"):
        for pair in words[key]:
            yield from pair
    for fillers in global_slots().values():
        yield from fillers
    for persona in world.spec.personas.values():
        yield from (*persona.motives, *persona.called)
    for trait in world.traits.values():
        yield from (trait.taste.target, *trait.taste.others) if trait.taste else ()
        yield from trait.cues
        for family in trait.families:
            yield family.name.replace("_", " ")
            yield from (*family.situations, *family.shows, *family.avoids)
            for fillers in family.slots.values():
                yield from fillers


def build_tokenizer(world: World, max_length: int) -> PreTrainedTokenizerFast:
    """A word-level tokenizer with chat template; unknown words become ``<unk>``.

    The template says who the assistant is unless a system message begins with "You are".
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = [PAD, UNKNOWN, TEXT, END, *ROLES]
    vocabulary = {word: number for number, word in enumerate([*special, *words_of(world)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{TEXT} $A", special_tokens=[(TEXT, vocabulary[TEXT])]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=TEXT,
        eos_token=END,
        additional_special_tokens=list(ROLES),
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
    assistant = f"You are {lexicon()['assistant']}, an AI system."
    fast.chat_template = _TEMPLATE.replace("SYSTEM_LINE", assistant)
    return fast
