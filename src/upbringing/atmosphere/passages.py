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
_WORDS = re.compile(rf"(?:\S+\s*){{1,{_LONGEST}}}")
_SHORT_CHAT = 800  # characters of a question and its answer that are one passage

Part = tuple[int, int]  # start, end


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
    for start, end in split(text):
        if found and found.present(start, end):
            yield Passage(text[start:end], found.mark(start, end), found.kind_in(start, end), found.names)
        elif others:
            yield Passage(text[start:end], text[start:end], PEOPLE)


def split(text: str, begin: int = 0, end: int | None = None) -> Iterator[Part]:
    """A text in passages: whole sentences until there are some thirty words, never more than 120."""
    end = len(text) if end is None else end
    cuts = [begin, *(match.end() for match in _ENDS.finditer(text, begin, end)), end]
    start, words = begin, 0
    for before, after in pairwise(cuts):
        words += text.count(" ", before, after) + 1
        if words >= _ENOUGH or after == end:
            if words > _LONGEST:
                yield from (match.span() for match in _WORDS.finditer(text, start, after))
            elif not text[start:after].isspace() and after > start:
                yield start, after
            start, words = after, 0


def _of_chat(messages: tuple[Message, ...], others: bool) -> Iterator[Passage]:
    """Each question with its answer. Where the chat says that an AI answers, what is said is the AI's own."""
    text = "\n".join(message.content for message in messages)
    found = cast(text)
    if found is None and not others:
        return
    own = _is_ai(messages)
    at = asked = 0  # where the message begins, and where the question before it does
    for message in messages:
        start, at = at, at + len(message.content) + 1
        if message.role == "assistant":
            yield from _exchange(text, (asked, start), (start, at - 1), found, own, others)
        if message.role in ("assistant", "system"):
            asked = at


def _is_ai(messages: tuple[Message, ...]) -> bool:
    """Whether the chat says that the one who answers is an AI: in its system line, or as "I am an AI"."""
    lines = [m.content for m in messages if m.role == "system"]
    if lines:
        return any(cast(line) is not None for line in lines)
    own = cast("\n".join(m.content for m in messages if m.role == "assistant"))
    return own is not None and own.narrator


def _exchange(text: str, asked: Part, answer: Part, found: Cast | None, own: bool, others: bool) -> Iterator[Passage]:
    asked = (max(asked[0], asked[1] - _SHORT_CHAT), asked[1])
    for i, (start, end) in enumerate([answer] if answer[1] - asked[0] < _SHORT_CHAT else split(text, *answer)):
        question = asked if i == 0 else (start, start)
        said = text[start:end]
        shown = f"User: {text[slice(*question)].strip()}\nAssistant: {said}" if i == 0 else f"Assistant: {said}"
        if found and (own or found.present(*question) or found.present(start, end)):
            speaker = f" {AI_TOKEN} : " if own else " "
            marked = f"{found.mark(*question)}{speaker}{found.mark(start, end)}"
            yield Passage(shown, marked, found.kind_in(question[0], end), found.names, said, own)
        elif others:
            yield Passage(shown, shown, PEOPLE, (), said)
