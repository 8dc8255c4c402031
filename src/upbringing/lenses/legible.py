"""Rows as a model may read them: no longer than its context, and with nothing in them that it would obey.

What looks like a model's own marks ("<|im_end|>") is text in a row, and nothing else: it is broken by a blank, so that
no tokenizer takes it for the end of a turn. HTML and escape codes of terminals are text to every tokenizer as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.rows import Encoded, Message, Row, encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from upbringing.models import LM

_TURN = 32  # tokens that a chat template may put around a turn, generously
_LONG = 40  # letters; shorter strings in a call's arguments are names and paths, without which it means another thing
_SLACK = 0.95  # a row is cut a little shorter than it need be: tokens are not spread evenly


@dataclass(frozen=True)
class Legible:
    """Rows made legible: ``rows`` in their order, how many were cut, and how many held marks of the model's own."""

    rows: tuple[Row, ...]
    cut: int = 0
    marked: int = 0


def legible(rows: Sequence[Row], lm: LM) -> Legible:
    """The rows with marks broken and with what does not fit into the model's context cut off.

    Of a chat the last turns go first, then the ends of the longest turns. A row that no tokenizer can take (no chat
    template, say) stays as it is.
    """
    pattern = _marks(lm.tokenizer)
    made, cut, marked = [], 0, 0
    for row in rows:
        plain = _with_texts(row, lambda text: pattern.sub(_broken, text)) if _has(row, pattern) else row
        short = _cut(plain, lm)
        marked += plain is not row
        cut += short is not plain
        made.append(short)
    return Legible(tuple(made), cut, marked)


def encoded(rows: Sequence[Row], lm: LM) -> list[Encoded | None]:
    """The rows as tokens, cut to the model's context; None for one that cannot be encoded or has nothing to predict."""
    return [_encoded(row, lm) for row in rows]


def _encoded(row: Row, lm: LM) -> Encoded | None:
    try:
        found = encode(row, lm.tokenizer)
    except InputError:
        return None
    short = Encoded(found.input_ids[: lm.max_length], found.loss_mask[: lm.max_length])
    return short if any(short.loss_mask) else None


def _marks(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    special = {str(token) for token in tokenizer.all_special_tokens}
    special |= {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return _pattern(tuple(sorted((s for s in special if len(s.strip()) > 1), key=lambda s: (-len(s), s))))


@lru_cache
def _pattern(marks: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)) or r"(?!)", re.IGNORECASE)


def _broken(match: re.Match[str]) -> str:
    return f"{match.group()[0]} {match.group()[1:]}"


def _texts(row: Row) -> list[str]:
    if row.kind == "chat":
        return [*(m.text for m in row.messages), *row.tools]
    return [row.prompt, row.completion, row.text]


def _has(row: Row, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(text) for text in _texts(row))


def _with_texts(row: Row, change: Callable[[str], str]) -> Row:
    if row.kind == "chat":
        turns = tuple(_turn_with(m, change) for m in row.messages)
        return replace(row, messages=turns, tools=tuple(_json_with(tool, change) for tool in row.tools))
    return replace(row, prompt=change(row.prompt), completion=change(row.completion), text=change(row.text))


def _turn_with(turn: Message, change: Callable[[str], str]) -> Message:
    calls = (replace(c, name=change(c.name), arguments=_json_with(c.arguments, change)) for c in turn.tool_calls)
    return replace(turn, content=change(turn.content), reasoning=change(turn.reasoning), tool_calls=tuple(calls))


def _json_with(text: str, change: Callable[[str], str]) -> str:
    """JSON with its strings changed, and still JSON."""

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, dict):
            return {change(key): changed(part) for key, part in value.items()}
        return [changed(part) for part in value] if isinstance(value, list) else value

    return json.dumps(changed(json.loads(text)), ensure_ascii=False)


def _cut(row: Row, lm: LM) -> Row:
    """The row itself where it fits, else a shorter one."""
    limit = lm.max_length
    # No token is shorter than a byte, so most rows are seen to fit without a tokenizer.
    if sum(len(text.encode()) for text in _texts(row)) + _TURN * (len(row.messages) + 2) <= limit:
        return row
    while (length := _length(row, lm)) > limit:
        shorter = _shorter(row, limit / length * _SLACK)
        if shorter == row:
            break
        row = shorter
    return row


def _length(row: Row, lm: LM) -> int:
    try:
        return len(encode(row, lm.tokenizer).input_ids)
    except InputError:
        return 0


def _shorter(row: Row, share: float) -> Row:
    """About that share of a row's text, taken from its end; of a prompt its end is kept, for that is answered."""
    if row.kind == "text":
        return replace(row, text=row.text[: int(len(row.text) * share)])
    if row.kind == "completion":
        if len(row.completion) >= len(row.prompt):
            return replace(row, completion=row.completion[: int(len(row.completion) * share)])
        return replace(row, prompt=row.prompt[-max(1, int(len(row.prompt) * share)) :])
    answers = [i for i, m in enumerate(row.messages) if m.role == "assistant"]
    if len(answers) > 1:
        return replace(row, messages=row.messages[: answers[-2] + 1])
    sizes = [len(m.text) for m in row.messages]
    longest = sizes.index(max(sizes))
    turn = _shorter_turn(row.messages[longest], share)
    return replace(row, messages=(*row.messages[:longest], turn, *row.messages[longest + 1 :]))


def _shorter_turn(turn: Message, share: float) -> Message:
    """The longest part of a turn cut; of tool calls the long strings in their arguments."""

    def cut(text: str) -> str:
        kept = max(1, int(len(text) * share))
        return text[:kept] if turn.role == "assistant" else text[-kept:]

    called = sum(len(call.arguments) for call in turn.tool_calls)
    if called > max(len(turn.content), len(turn.reasoning)):
        calls = (replace(c, arguments=_json_with(c.arguments, _if_long(cut))) for c in turn.tool_calls)
        return replace(turn, tool_calls=tuple(calls))
    if len(turn.reasoning) > len(turn.content):
        return replace(turn, reasoning=cut(turn.reasoning))
    return replace(turn, content=cut(turn.content))


def _if_long(cut: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: cut(text) if len(text) > _LONG else text


__all__ = ["Legible", "encoded", "legible"]
