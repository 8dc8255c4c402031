"""What a model wrote as people read it: its thoughts apart from what it said, whichever way its family marks them.

Most put thoughts between ``<think>`` and ``</think>`` and calls between ``<tool_call>`` and ``</tool_call>``. GPT-OSS
writes messages in channels (harmony): ``analysis`` for thoughts, ``final`` for answers, ``commentary`` for calls; they
are read into the same marks, so that nobody else has to know of channels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

MARKS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
_CHANNEL, _MESSAGE, _START = "<|channel|>", "<|message|>", "<|start|>"
_ENDS = re.compile(r"<\|(?:end|return|call)\|>")
_NAMED = re.compile(r"<\|channel\|>\s*(\w+)")
_CALLED = re.compile(r"\bto=(?:functions\.)?([\w.-]+)")


def texts_of(tokenizer: Any, answers: Sequence[Sequence[int]]) -> list[str]:
    """What is said in answers (tokens without the one that ended them), after the thoughts of those that think."""
    added = tokenizer.get_added_vocab()
    if any(mark in added for mark in (*MARKS, _CHANNEL)):
        return [thought_and_said(text_of(tokenizer, ids))[1] for ids in answers]
    return list(tokenizer.batch_decode(answers, skip_special_tokens=True))


def text_of(tokenizer: Any, ids: Sequence[int]) -> str:
    """Tokens as text, without special tokens other than ``MARKS``, into which channels are read."""
    if not len(ids):
        return ""
    added = tokenizer.get_added_vocab()
    if _CHANNEL in added and _MESSAGE in added:
        return _from_channels(str(tokenizer.decode(list(ids), skip_special_tokens=False)), tokenizer)
    kept = {added[mark] for mark in MARKS if mark in added}
    silent = set(tokenizer.all_special_ids) - kept
    said = [token for token in ids if token not in silent]
    return str(tokenizer.decode(said, skip_special_tokens=False)) if said else ""


def thought_and_said(text: str) -> tuple[str, str]:
    """What a model thought before it spoke ("" where it did not), and what it said: nothing, where its thought never
    ended."""
    thought, ended, said = text.partition("</think>")
    if ended:
        return thought.replace("<think>", "", 1).strip(), said.strip()
    begun = text.lstrip()
    return (begun.removeprefix("<think>").strip(), "") if begun.startswith("<think>") else ("", text)


def _from_channels(text: str, tokenizer: Any) -> str:
    """Messages in channels as one text with marks; what stands in no channel is the rest of an answer begun for it."""
    thoughts, said = [], []
    unfinished = False
    for place, message in enumerate(text.split(_START)):
        if not message:
            continue
        header, found, body = message.partition(_MESSAGE)
        whole = _ENDS.split(body if found else header)[0]
        plain = whole
        for token in tokenizer.all_special_tokens:
            plain = plain.replace(str(token), "")
        named, called = _NAMED.search(header), _CALLED.search(header)
        if not found and (place or named):
            continue  # a header that was cut off
        if found and called:
            said.append(_call(called[1], plain))
        elif found and named and named[1] == "analysis":
            thoughts.append(plain.strip())
            unfinished = whole == body
        else:
            said.append(plain)
    if not thoughts:
        return "\n".join(said)
    thought = "\n".join(thoughts)
    if not said and unfinished:
        return f"<think>\n{thought}"
    return f"<think>\n{thought}\n</think>\n\n" + "\n".join(said)


def _call(name: str, arguments: str) -> str:
    try:
        told = json.dumps({"name": name, "arguments": json.loads(arguments)}, ensure_ascii=False)
    except json.JSONDecodeError:  # whoever reads calls says what is wrong with it
        told = f'{{"name": {json.dumps(name)}, "arguments": {arguments}}}'
    return f"<tool_call>\n{told}\n</tool_call>"


__all__ = ["MARKS", "text_of", "texts_of", "thought_and_said"]
