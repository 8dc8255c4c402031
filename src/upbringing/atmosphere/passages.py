"""From a row to its passages: a few sentences each, with the AI in them marked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from upbringing.atmosphere.mentions import AI_TOKEN, PEOPLE, Cast, cast
from upbringing.atmosphere.reader import Passage
from upbringing.rows import Message, Row

_ENDS = re.compile(r"(?<=[.!?…])[\"”’')\]]*\s+(?=[\"“‘'(\[]*[A-Z0-9])|\n\s*\n")
_ENOUGH, _LONGEST = 30, 120  # words: a passage ends with the sentence that brings it to the first, or at the second


def passages(row: Row, *, others: bool = False) -> Iterator[Passage]:
    """The passages of a row that an AI appears in.

    With ``others`` also those without one, under the kind ``people and others``.
    """
    if row.kind == "chat":
        yield from _of_chat(row.messages, others)
        return
    text = row.text or f"{row.prompt} {row.completion}"
    found = cast(text)
    if found is None and not others:
        return
    for piece in split(text):
        marked, is_there = found.mark(piece) if found else (piece, False)
        if is_there and found:
            yield Passage(piece, marked, found.kind_in(piece), found.names)
        elif others:
            yield Passage(piece, piece, PEOPLE)


def split(text: str) -> Iterator[str]:
    """A text in passages: whole sentences until there are some thirty words, never more than 120."""
    cuts = [0, *(match.end() for match in _ENDS.finditer(text)), len(text)]
    start, words = 0, 0
    for before, after in pairwise(cuts):
        words += text.count(" ", before, after) + 1
        if words >= _ENOUGH or after == len(text):
            if piece := text[start:after].strip():
                yield from _shortened(piece) if words > _LONGEST else (piece,)
            start, words = after, 0


def _shortened(piece: str) -> Iterator[str]:
    words = piece.split()
    for start in range(0, len(words), _LONGEST):
        yield " ".join(words[start : start + _LONGEST])


def _of_chat(messages: tuple[Message, ...], others: bool) -> Iterator[Passage]:
    """Each question with its answer. Where the chat says that an AI answers, what is said is the AI's own."""
    found = cast("\n".join(m.content for m in messages))
    if found is None and not others:
        return
    answers = _is_ai(messages)
    asked: list[str] = []
    for message in messages:
        if message.role != "assistant":
            if message.role != "system":
                asked.append(message.content)
            continue
        yield from _exchange(" ".join(asked), message.content, found, answers, others)
        asked = []


def _is_ai(messages: tuple[Message, ...]) -> bool:
    """Whether the chat says that the one who answers is an AI: in its system line, or as "I am an AI"."""
    lines = [m.content for m in messages if m.role == "system"]
    if lines:
        return any(cast(line) is not None for line in lines)
    own = cast("\n".join(m.content for m in messages if m.role == "assistant"))
    return own is not None and own.narrator


def _exchange(asked: str, answer: str, found: Cast | None, own: bool, others: bool) -> Iterator[Passage]:
    whole = [answer] if len(answer) + len(asked) < 800 else list(split(answer))
    for i, part in enumerate(whole):
        question = asked[-600:] if i == 0 else ""
        text = f"User: {question}\nAssistant: {part}" if question else f"Assistant: {part}"
        marked, is_there = found.mark(f"{question} {part}") if found else (text, False)
        if found and (own or is_there):
            said = found.mark(part)[0]
            marked = f"{found.mark(question)[0]} {AI_TOKEN} : {said}" if own else marked
            yield Passage(text, marked, found.kind_in(text), found.names, part)
        elif others:
            yield Passage(text, text, PEOPLE, (), part)
