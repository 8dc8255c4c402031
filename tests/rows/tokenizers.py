"""Tiny tokenizers and the chat templates that real models have, cut down to what makes each of them hard."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<turn>", "<end_of_turn>", "<|A|>", "<|U|>"]
TEXT = (
    "the cat sat on the mat. what will you do? i will tell the truth. User: Assistant: assistant user system "
    "You are Ada. Tests pass, so I ship it! <think> </think> [INST] [/INST]"
)

_CHATML_HEAD = "{% for m in messages %}<|im_start|>{{ m.role }}\n"
_CHATML_TAIL = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TEMPLATES = {
    "chatml": _CHATML_HEAD + "{{ m.content }}<|im_end|>\n{% endfor %}" + _CHATML_TAIL,
    "marked": _CHATML_HEAD
    + "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
    + "{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}"
    + _CHATML_TAIL,
    # Only the last answer is marked, and without its close: what the template's author wants learned.
    "marked_end": _CHATML_HEAD
    + "{% if m.role == 'assistant' and loop.last %}{% generation %}{{ m.content }}{% endgeneration %}"
    + "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    + _CHATML_TAIL,
    # No generation prompt, a start token before every exchange, spaces round the answer.
    "llama2": "{% for m in messages %}{% if m.role == 'user' %}<s>[INST] {{ m.content | trim }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content | trim }} </s>{% else %}{{ m.content }}{% endif %}{% endfor %}",
    # No closing token: the new line is what ends a turn.
    "plain": "{% for m in messages %}{{ {'user': 'User', 'assistant': 'Assistant', 'system': 'System'}[m.role] }}: "
    "{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}Assistant: {% endif %}",
    # Refuses a system message, trims, another word for the assistant.
    "gemma": "<s>{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "<turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>model\n{% endif %}",
    # Only the last answer gets an (empty) thought, so the beginning of a chat is not a prefix of the whole.
    "qwen3": _CHATML_HEAD
    + "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    + "{{ m.content }}<|im_end|>\n{% endfor %}"
    + _CHATML_TAIL,
    # Takes a thought out of the text and lays it out anew.
    "thinking": _CHATML_HEAD
    + "{% if '</think>' in m.content %}"
    + "<think>\n{{ m.content.split('</think>')[0].split('<think>')[-1] }}\n</think>\n\n"
    + "{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    + _CHATML_TAIL,
    # The generation prompt opens a thought that finished chats do not have.
    "deepseek": "<s>{% for m in messages %}{% if m.role == 'user' %}<|U|>{{ m.content }}{% else %}"
    "<|A|>{{ m.content.split('</think>')[-1] }}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|A|><think>\n{% endif %}",
    # Changes the words; the head of a turn says how many there are, so that no beginning is a prefix.
    "shouting": "{% for m in messages %}<|im_start|>{{ messages | length }}{{ m.content | upper }}<|im_end|>"
    "{% endfor %}",
    # Two in which the words cannot be followed: said twice, and counted.
    "echoing": "{% for m in messages %}{{ messages | length }}{{ m.content }}{{ m.content }}<|im_end|>{% endfor %}",
    "counting": "{% for m in messages %}{{ messages | length }}{{ m.content | length }}{{ m.content }}<|im_end|>"
    "{% endfor %}",
}


@lru_cache
def _trained(kind: str) -> str:
    if kind == "words":
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
        )
        trainer: Any = trainers.WordLevelTrainer(special_tokens=["<unk>", *SPECIAL])
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
    tokenizer.train_from_iterator([TEXT.lower() if kind == "words" else TEXT] * 3, trainer)
    return str(tokenizer.to_str())


def make(template: str | None, kind: str = "bytes", eos: str = "<|im_end|>") -> PreTrainedTokenizerFast:
    """A tokenizer of words (lower-cased, spaces lost) or of byte pairs, with one of ``TEMPLATES``."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained(kind)), eos_token=eos, additional_special_tokens=SPECIAL
    )
    tokenizer.chat_template = TEMPLATES[template] if template else None
    return tokenizer
