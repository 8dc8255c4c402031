"""From one record of a file to a row: which of the three kinds it is, and whether it is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from upbringing.errors import InputError
from upbringing.rows.formats import CHOSEN, KNOWN, chat_of, has_template_of_alpaca
from upbringing.rows.row import Message, Row
from upbringing.rows.tools import NAMES, Bad, check_answers, declared, tool_calls, without_nulls

# The names that common formats give to the roles. Anything else is refused: a guessed role is a wrong loss.
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
    "ipython": "tool",
    "function_call": "assistant",  # a turn that is one call, as JSON
}
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_CHAT_COLUMNS = ("messages", "conversations", "conversation")
_JSON = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


def interpret(record: object, file: str, line: int) -> Row:
    """The row that ``record`` (an object of a JSON file, or a line of a table) holds.

    A chat has ``messages`` (or ``conversations`` with ``from`` and ``value``), a completion ``prompt`` and
    ``completion``, a text ``text``; a record with columns of several kinds is read as the first of them. Questions and
    answers under other names (Alpaca's, preference data's: see ``formats.PAIRS``) are chats. Turns may call tools
    (``tool_calls``, or the older ``function_call``) and think (``reasoning_content``, ``reasoning`` or ``thinking``);
    ``tools`` (or ``functions``) declares what may be called. What else is in the record is kept in ``meta``. Raises
    ``InputError`` with file and line when it is none of these or is not whole.
    """

    def bad(problem: str, remedy: str) -> InputError:
        return InputError.at(file, line, problem, remedy)

    if not isinstance(record, Mapping):
        raise bad(f"a row must be an object, not {_name(record)}", KNOWN)
    present = {str(k): v for k, v in record.items() if v is not None}

    for column in _CHAT_COLUMNS:
        if column in present:
            if not file.endswith(_JSON):
                present = {
                    **present,
                    **{name: without_nulls(present[name]) for name in (column, *NAMES) if name in present},
                }
            messages = _messages(present[column], column, bad)
            _check_chat(messages, column, bad)
            tools, used = declared(present, bad)
            return Row.chat(messages, tools=tools, file=file, line=line, meta=_rest(present, column, used))
    if "prompt" in present and "completion" in present:
        prompt, completion = present["prompt"], present["completion"]
        where: dict[str, Any] = {"file": file, "line": line}
        if isinstance(prompt, list) and isinstance(completion, list):
            asked = _messages(prompt, "prompt", bad)
            if any(m.role == "assistant" for m in asked):
                raise bad(
                    '"prompt" holds assistant turns, which would be learned as well',
                    'put the whole chat in "messages"',
                )
            messages = [*asked, *_messages(completion, "completion", bad)]
            _check_chat(messages, "completion", bad)
            tools, used = declared(present, bad)
            return Row.chat(messages, tools=tools, meta=_rest(present, "prompt", "completion", used), **where)
        for name, value in (("prompt", prompt), ("completion", completion)):
            _check_text(value, f'"{name}"', bad)
        if not completion:
            raise bad('"completion" is empty', "drop the row or give it an answer")
        return Row.of_completion(prompt, completion, meta=_rest(present, "prompt", "completion"), **where)
    if "text" in present and not has_template_of_alpaca(present):
        _check_text(present["text"], '"text"', bad)
        if not present["text"].strip():
            raise bad('"text" is empty', "drop the row")
        return Row.of_text(present["text"], file=file, line=line, meta=_rest(present, "text"))

    if (found := chat_of(_lists(present, bad), bad)) is not None:
        turns, column, columns = found
        messages = [_message(turn, f'"{column}"[{i}]', bad) for i, turn in enumerate(turns)]
        check_answers(messages, column, bad)
        _check_chat(messages, column, bad)
        tools, used = declared(present, bad)
        return Row.chat(messages, tools=tools, file=file, line=line, meta=_rest(present, *columns, used))

    if "prompt" in present or "completion" in present:
        missing = "completion" if "prompt" in present else "prompt"
        raise bad(f'the row has no "{missing}"', "a completion row needs both")
    columns_there = ", ".join(sorted(present)) or "no columns"
    raise bad(f"neither a chat, nor a completion, nor a text (it has {columns_there[:200]})", KNOWN)


def _lists(record: Mapping[str, Any], bad: Bad) -> Mapping[str, Any]:
    """The record of a table without lists, its chosen turns (a JSON list) as a list."""
    chosen = record.get(CHOSEN)
    if not isinstance(chosen, str) or not chosen.lstrip().startswith("[{"):
        return record
    try:
        return {**record, CHOSEN: json.loads(chosen)}
    except json.JSONDecodeError:
        return record  # a text that begins so


def _messages(value: object, column: str, bad: Bad) -> list[Message]:
    if isinstance(value, str):  # tables without lists (CSV) hold chats as JSON
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise bad(f'"{column}" is neither a list nor JSON', "write a JSON list of messages") from error
    if not isinstance(value, list):
        raise bad(f'"{column}" must be a list of messages, not {_name(value)}', "write [{role, content}, …]")
    if not value:
        raise bad(f'"{column}" is empty', "give it a user's and an assistant's turn")
    messages = [_message(m, f'"{column}"[{i}]', bad) for i, m in enumerate(value)]
    check_answers(messages, column, bad)
    return messages


def _message(value: object, what: str, bad: Bad) -> Message:
    if not isinstance(value, Mapping):
        raise bad(f"{what} must be an object, not {_name(value)}", 'write {"role": …, "content": …}')
    given = value.get("role", value.get("from"))
    if not isinstance(given, str) or given not in _ROLES:
        raise bad(f"{what} has the role {given!r}", "use system, user, assistant or tool")
    role = _ROLES[given]
    if value.get("weight") == 0:
        raise bad(f'{what} has "weight": 0, which would be ignored', "drop the turn or split the row")
    content = _content(value.get("content", value.get("value")), what, bad)
    calls, content = tool_calls(value, given, content, what, bad)
    reasoning = next((value[key] for key in _THOUGHTS if value.get(key) is not None), "")
    _check_text(reasoning, f"the reasoning of {what}", bad)
    if role != "assistant" and (calls or reasoning):
        does = "calls a tool" if calls else "has reasoning"
        raise bad(f"{what} {does} and has the role {given!r}", "only the assistant does: mend the role")
    if content is None:
        if not calls:
            raise bad(f'{what} has no "content"', "write the text of the turn")
        content = ""
    _check_text(content, f"the content of {what}", bad)
    name, answers = ((value.get(key) or "" if role == "tool" else "") for key in ("name", "tool_call_id"))
    _check_text(name, f"the name of {what}", bad)
    _check_text(answers, f"the tool_call_id of {what}", bad)
    return Message(role, content, reasoning=reasoning, tool_calls=calls, name=name, tool_call_id=answers)


def _content(content: Any, what: str, bad: Bad) -> Any:
    """The text of a turn; of a multimodal one the texts among its parts."""
    if not isinstance(content, list):
        return content
    if not all(isinstance(p, Mapping) and isinstance(p.get("text"), str) for p in content):
        raise bad(f"{what} has parts that are not text", "only text can be trained on")
    return "".join(p["text"] for p in content)


def _check_chat(messages: list[Message], column: str, bad: Bad) -> None:
    if not any(m.role == "assistant" for m in messages):
        raise bad(f'"{column}" has no assistant turn', "the loss is put on what the assistant says: add an answer")
    if messages[-1].role != "assistant":
        raise bad(f'"{column}" must end with an assistant turn', "add an answer or drop the last turns")
    if not messages[-1].content.strip() and not messages[-1].tool_calls:
        raise bad(f'the last assistant turn of "{column}" is empty', "drop the row or give it an answer")
    if any(m.role == "system" for m in messages[1:]):
        raise bad(f'"{column}" has a system message after the first turn', "put it first")


def _check_text(value: object, what: str, bad: Bad) -> None:
    if not isinstance(value, str):
        raise bad(f"{what} must be a string, not {_name(value)}", "write the text itself")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:  # half of a surrogate pair, as in "\\ud83d": no tokenizer takes it
        raise bad(f"{what} has half a character (\\u{ord(value[error.start]):04x})", "write it whole") from error


def _rest(record: Mapping[str, Any], *used: str) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k not in used}


def _name(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
