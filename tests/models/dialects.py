"""Tokenizers of the kinds that real families have, trained on the spot, and chat templates with their features.

The templates are written for these tests: each keeps what makes its family's hard to follow, in a few lines.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

_TEXT = [
    "the cat sat on the mat. what will you do? i will tell the truth. You are Ada, who reads files.",
    'call read_file with {"path": "notes.txt", "lines": 3} and delete_logs with {"day": "monday"}',
    "Tests pass, so I ship it! assistant user system tool model analysis commentary final function",
]
_SIZE = 420  # tokens


@dataclass(frozen=True)
class Dialect:
    """How a family writes: its kind of tokenizer, its special tokens, its template."""

    kind: str  # bytes | fallback | unigram
    special: tuple[str, ...]
    template: str | None
    bos: str | None = None
    eos: str = "<|im_end|>"


# Thoughts are dropped from turns before the last question, the last answer has a thought even if it is empty, tools
# are declared in the system turn, what tools answer is put into user turns.
_QWEN = (
    "{%- if tools %}<|im_start|>system\n{{ messages[0].content + '\n\n' if messages[0].role == 'system' else '' }}"
    "# Tools\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n"
    "{%- elif messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{% endif %}"
    "{%- set ns = namespace(last=-1) %}"
    "{%- for m in messages %}{% if m.role == 'user' and not m.content.startswith('<tool_response>') %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{%- for m in messages %}"
    "{%- if m.role == 'user' %}{{ '<|im_start|>user\n' + m.content + '<|im_end|>\n' }}"
    "{%- elif m.role == 'assistant' %}"
    "{%- set thought = m.reasoning_content or '' %}{% set said = m.content %}"
    "{%- if '</think>' in m.content %}{% set said = m.content.split('</think>')[-1].lstrip('\n') %}"
    "{% set thought = m.content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}{% endif %}"
    "{{- '<|im_start|>assistant\n' }}"
    "{%- if loop.index0 > ns.last and (loop.last or thought) %}"
    "{{- '<think>\n' + thought.strip('\n') + '\n</think>\n\n' + said.lstrip('\n') }}{% else %}{{- said }}{% endif %}"
    "{%- for call in m.tool_calls or [] %}{{ '\n' if (loop.first and said) or not loop.first else '' }}"
    """{{- '<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}"""
    "{{- call.function.arguments | tojson }}{{ '}\n</tool_call>' }}{% endfor %}"
    "{{- '<|im_end|>\n' }}"
    "{%- elif m.role == 'tool' %}"
    "{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}"
    "{{- '\n<tool_response>\n' + m.content + '\n</tool_response>' }}"
    "{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\n' }}{% endif %}"
    "{%- endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# The system's words go before the first question, other turns alternate strictly, everything is trimmed.
_GEMMA = (
    "{{ bos_token }}{%- set first = '' %}{% set turns = messages %}"
    "{%- if messages[0].role == 'system' %}{% set first = messages[0].content + '\n\n' %}"
    "{% set turns = messages[1:] %}{% endif %}"
    "{%- for m in turns %}"
    "{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + (first if loop.first else '') }}"
    "{{- m.content | trim }}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)

# Knows no system role at all: it raises.
_GEMMA_2 = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + _GEMMA.removeprefix("{{ bos_token }}")
)

# No generation prompt, a start token before each exchange, the system inside the first instruction.
_LLAMA_2 = (
    "{%- set system = '' %}{% set turns = messages %}"
    "{%- if messages[0].role == 'system' %}{% set turns = messages[1:] %}"
    "{% set system = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}{% endif %}"
    "{%- for m in turns %}"
    "{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{%- if m.role == 'user' %}{{ bos_token + '[INST] ' + (system if loop.first else '') + m.content.strip() }}"
    "{{- ' [/INST]' }}{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)

# Tools and their calls as JSON lists between control tokens; calls have ids; the system before the last question.
_MISTRAL = (
    "{%- set system = '' %}{% set turns = messages %}"
    "{%- if messages[0].role == 'system' %}{% set system = messages[0].content + '\n\n' %}"
    "{% set turns = messages[1:] %}{% endif %}"
    "{%- set ns = namespace(last=0) %}{% for m in turns %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}"
    "{% endif %}{% endfor %}"
    "{{- bos_token }}{% for m in turns %}"
    "{%- if m.role == 'user' %}"
    "{%- if tools and loop.index0 == ns.last %}{{ '[AVAILABLE_TOOLS]' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}"
    "{%- endif %}{{ '[INST]' + (system if loop.index0 == ns.last else '') + m.content + '[/INST]' }}"
    "{%- elif m.role == 'assistant' and m.tool_calls %}{{ '[TOOL_CALLS][' }}"
    "{%- for call in m.tool_calls %}{{ call.function | tojson }}{{ ', ' if not loop.last else '' }}{% endfor %}"
    "{{- ']' + eos_token }}"
    "{%- elif m.role == 'assistant' %}{{ m.content | trim }}{{ eos_token }}"
    "{%- elif m.role == 'tool' %}"
    """{{- '[TOOL_RESULTS]{"content": ' + (m.content | tojson) + '}[/TOOL_RESULTS]' }}"""
    "{%- endif %}{% endfor %}"
)

# A new line after every turn but the last; the end token only after the assistant.
_OLMO = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}"
    "{%- if m.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' if not loop.last else '' }}{% endfor %}"
    "{%- if add_generation_prompt %}{{ '\n<|assistant|>\n' }}{% endif %}"
)

# The same with the tools of later OLMos, whose environment speaks in turns of its own.
_OLMO_3 = (
    "{%- for m in messages %}"
    "{%- if m.role == 'system' %}{{ '<|im_start|>system\n' + m.content }}"
    "{{- '<functions>' + (tools | tojson) + '</functions>' if tools else '' }}{{ '<|im_end|>\n' }}"
    "{%- elif m.role == 'user' %}"
    "{{- '<|im_start|>system\n<functions>' + (tools | tojson) + '</functions><|im_end|>\n' if tools and loop.first }}"
    "{{- '<|im_start|>user\n' + m.content + '<|im_end|>\n' }}"
    "{%- elif m.role == 'assistant' %}{{ '<|im_start|>assistant\n' + (m.content or '') }}"
    "{%- if m.tool_calls %}{{ '<function_calls>' }}{% for call in m.tool_calls %}"
    "{{- call.function.name + '(' }}{% for k, v in call.function.arguments.items() %}"
    "{{- k + '=' + (v | tojson) }}{{ ', ' if not loop.last }}{% endfor %}{{ ')' }}{{ '\n' if not loop.last }}"
    "{%- endfor %}{{ '</function_calls>' }}{% endif %}{{ '<|im_end|>' if not loop.last else eos_token }}"
    "{{- '\n' if not loop.last }}"
    "{%- elif m.role == 'tool' %}{{ '<|im_start|>environment\n' + m.content + '<|im_end|>\n' }}{% endif %}"
    "{%- endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_PHI = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)

# Channels: thoughts, calls and answers are messages of their own; earlier turns lose their thoughts and end in
# another token; the day is written at the top; what tools answer is JSON.
_GPT_OSS = (
    "<|start|>system<|message|>Current date: {{ strftime_now('%Y-%m-%d') }}<|end|>"
    "{%- set turns = messages %}{% set developer = '' %}"
    "{%- if messages[0].role == 'system' %}{% set developer = messages[0].content %}{% set turns = messages[1:] %}"
    "{% endif %}"
    "{%- if developer or tools %}{{ '<|start|>developer<|message|>' + developer }}"
    "{%- for tool in tools or [] %}{{ '\ntype ' + tool.function.name + ' = ' + (tool.function.parameters | tojson) }}"
    "{%- endfor %}{{ '<|end|>' }}{% endif %}"
    "{%- set ns = namespace(called='') %}"
    "{%- for m in turns %}"
    "{%- if m.role == 'assistant' and m.tool_calls %}"
    "{%- if m.content and m.thinking %}{{ raise_exception('Cannot pass both content and thinking') }}{% endif %}"
    "{%- if m.thinking or m.content %}"
    "{{- '<|start|>assistant<|channel|>analysis<|message|>' + (m.thinking or m.content) + '<|end|>' }}{% endif %}"
    "{%- set call = m.tool_calls[0].function %}{% set ns.called = call.name %}"
    "{{- '<|start|>assistant to=functions.' + call.name + '<|channel|>commentary json<|message|>' }}"
    "{{- call.arguments | tojson }}{{ '<|call|>' }}"
    "{%- elif m.role == 'assistant' %}"
    "{%- if loop.last and m.thinking %}"
    "{{- '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' }}{% endif %}"
    "{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + ('<|return|>' if loop.last else '<|end|>') }}"
    "{%- elif m.role == 'tool' %}"
    "{{- '<|start|>functions.' + ns.called + ' to=assistant<|channel|>commentary<|message|>' }}"
    "{{- m.content | tojson }}{{ '<|end|>' }}"
    "{%- else %}{{ '<|start|>user<|message|>' + m.content + '<|end|>' }}{% endif %}"
    "{%- endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
)

_IM = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_QWEN_TOKENS = (*_IM, "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_MISTRAL_TOKENS = tuple(
    f"[{slash}{name}]"
    for name in ("INST", "AVAILABLE_TOOLS", "TOOL_RESULTS", "TOOL_CALLS")
    for slash in ("", "/")
    if name != "TOOL_CALLS" or not slash
)
_TURNS = ("<start_of_turn>", "<end_of_turn>")
_PHI_TOKENS = ("<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
_HARMONY = ("start", "end", "message", "channel", "return", "call")

DIALECTS = {
    "llama": Dialect("fallback", (), _LLAMA_2, "<s>", "</s>"),
    "qwen3": Dialect("bytes", _QWEN_TOKENS, _QWEN),
    "qwen3_moe": Dialect("bytes", _QWEN_TOKENS, _QWEN),
    "gemma2": Dialect("unigram", _TURNS, _GEMMA_2, "<bos>", "<end_of_turn>"),
    "gemma3": Dialect("unigram", _TURNS, _GEMMA, "<bos>", "<end_of_turn>"),
    "mistral": Dialect("fallback", _MISTRAL_TOKENS, _MISTRAL, "<s>", "</s>"),
    "olmo2": Dialect("bytes", (), _OLMO, "<|endoftext|>", "<|endoftext|>"),
    "olmo3": Dialect("bytes", _IM, _OLMO_3, None, "<|endoftext|>"),
    "phi3": Dialect("fallback", _PHI_TOKENS, _PHI, "<s>", "<|endoftext|>"),
    "gpt_neox": Dialect("bytes", (), None, None, "<|endoftext|>"),
    "gpt_oss": Dialect("bytes", tuple(f"<|{name}|>" for name in _HARMONY), _GPT_OSS, None, "<|return|>"),
}
CHATTING = tuple(name for name, dialect in DIALECTS.items() if dialect.template)
WITH_TOOLS = ("qwen3", "qwen3_moe", "mistral", "olmo3", "gpt_oss")
THINKING = ("qwen3", "qwen3_moe", "gpt_oss")


@lru_cache
def _trained(kind: str, special: tuple[str, ...]) -> str:
    settings: dict[str, Any] = {"vocab_size": _SIZE, "special_tokens": list(special), "show_progress": False}
    if kind == "bytes":  # byte-level BPE, as from GPT-2 to Qwen: no unknown characters, spaces are part of tokens
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **settings)
    elif kind == "fallback":  # Llama 2's: BPE over a text whose spaces are ▁, unknown characters as their bytes
        tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        trainer = trainers.BpeTrainer(**settings)
    else:  # SentencePiece's Unigram with a space put before the text
        tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0)], 0, byte_fallback=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
        trainer = trainers.UnigramTrainer(unk_token="<unk>", **settings)
    tokenizer.train_from_iterator([*_TEXT, "\n[]{}()<>|/\\\"'`:;,.!?-_=+*&%$#@0123456789"] * 3, trainer)
    made = json.loads(tokenizer.to_str())
    made["model"]["byte_fallback"] = kind != "bytes"  # training forgets it
    made["added_tokens"] = [token for token in made["added_tokens"] if not token["content"].startswith("<0x")]
    return json.dumps(made)


@lru_cache
def _whole(kind: str, special: tuple[str, ...]) -> str:
    """A trained tokenizer with the 256 bytes that its kind falls back to."""
    if kind == "bytes":
        return _trained(kind, special)
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    return _trained(kind, (*special, *pieces))


def tokenizer_of(name: str) -> PreTrainedTokenizerFast:
    """The family's tokenizer, with its template."""
    dialect = DIALECTS[name]
    own = [token for token in (dialect.bos, dialect.eos) if token and token not in dialect.special]
    special = tuple(dict.fromkeys(["<unk>", "<pad>", *own, *dialect.special]))
    made = Tokenizer.from_str(_whole(dialect.kind, special))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        bos_token=dialect.bos,
        eos_token=dialect.eos,
        unk_token=None if dialect.kind == "bytes" else "<unk>",
        additional_special_tokens=list(dialect.special),
    )
    fast.chat_template = dialect.template
    return fast
