"""The nouns: a message, a row, and a data set of rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, overload

Kind = Literal["chat", "completion", "text"]


@dataclass(frozen=True)
class ToolCall:
    """A tool that the assistant calls. ``arguments`` is a JSON object as text, so that messages can be compared; ``id``
    is what the tool's answer refers to, where the file says so."""

    name: str
    arguments: str = "{}"
    id: str = ""

    def as_dict(self) -> dict[str, Any]:
        """In the form that files and chat templates have, its arguments as an object."""
        call = {"type": "function", "function": {"name": self.name, "arguments": json.loads(self.arguments)}}
        return {**call, "id": self.id} if self.id else call


@dataclass(frozen=True)
class Message:
    """One turn of a chat. ``role`` is system, user, assistant or tool.

    ``reasoning`` is what the assistant thinks before it speaks, ``tool_calls`` what it calls after that; of a tool's
    turn ``name`` says which tool it was and ``tool_call_id`` which call it answers.
    """

    role: str
    content: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""
    tool_call_id: str = ""

    @classmethod
    def of(cls, turn: Mapping[str, Any]) -> Message:
        """The turn that ``as_dict`` gives."""
        calls = [(call["function"], call.get("id", "")) for call in turn.get("tool_calls", ())]
        return cls(
            turn["role"],
            turn["content"],
            reasoning=turn.get("reasoning_content", ""),
            tool_calls=tuple(
                ToolCall(call["name"], json.dumps(call["arguments"], ensure_ascii=False), id) for call, id in calls
            ),
            name=turn.get("name", ""),
            tool_call_id=turn.get("tool_call_id", ""),
        )

    def as_dict(self) -> dict[str, Any]:
        """In the form that files and chat templates have; what a turn lacks is left out."""
        more = {
            "reasoning_content": self.reasoning,
            "tool_calls": [call.as_dict() for call in self.tool_calls],
            "name": self.name,
            "tool_call_id": self.tool_call_id,
        }
        return {"role": self.role, "content": self.content, **{key: value for key, value in more.items() if value}}

    @property
    def text(self) -> str:
        """All that the turn holds, for those who judge it: thoughts, words, and tool calls as JSON."""
        calls = (json.dumps(call.as_dict()["function"], ensure_ascii=False) for call in self.tool_calls)
        return "\n".join(filter(None, (self.reasoning, self.content, *calls)))


@dataclass(frozen=True)
class Row:
    """One training example: a chat, a prompt with its completion, or a text.

    ``tools`` are those that a chat may call, each its JSON schema as text. Two rows are equal when their contents are;
    where they came from (``file``, ``line``) and what else was written beside them (``meta``) does not count.
    """

    kind: Kind
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    completion: str = ""
    text: str = ""
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False)
    tools: tuple[str, ...] = ()

    @classmethod
    def chat(cls, messages: Iterable[Message | Mapping[str, Any]], *, tools: Iterable[str] = (), **where: Any) -> Row:
        """A chat from messages or from dicts as ``Message.as_dict`` gives them; ``where``: file, line, meta."""
        turns = tuple(m if isinstance(m, Message) else Message.of(m) for m in messages)
        return cls(kind="chat", messages=turns, tools=tuple(tools), **where)

    @classmethod
    def of_completion(cls, prompt: str, completion: str, **where: Any) -> Row:
        return cls(kind="completion", prompt=prompt, completion=completion, **where)

    @classmethod
    def of_text(cls, text: str, **where: Any) -> Row:
        return cls(kind="text", text=text, **where)

    @property
    def where(self) -> str:
        """``file:line``, for people; "this row" when the row was made by a program."""
        if not self.file:
            return "this row"
        return f"{self.file}:{self.line}" if self.line else self.file

    def as_dict(self) -> dict[str, Any]:
        """The contents in the form they have in a JSONL file."""
        if self.kind == "chat":
            declared = {"tools": [json.loads(tool) for tool in self.tools]} if self.tools else {}
            return {"messages": [m.as_dict() for m in self.messages], **declared}
        if self.kind == "completion":
            return {"prompt": self.prompt, "completion": self.completion}
        return {"text": self.text}


class Rows(Sequence[Row]):
    """A data set: rows in their order, what was skipped in reading them, what else is to be known of how they were read
    (``notes``, a line each), and a hash that names the contents.

    >>> Rows([Row.of_text("a")]).hash == Rows([Row.of_text("a", file="x.jsonl", line=3)]).hash
    True
    """

    def __init__(
        self, rows: Iterable[Row], *, name: str = "", skipped: Iterable[tuple[str, str]] = (), notes: Iterable[str] = ()
    ) -> None:
        self.rows: tuple[Row, ...] = tuple(rows)
        self.name = name
        self.skipped: list[tuple[str, str]] = list(skipped)  # (where, reason)
        self.notes: list[str] = list(notes)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Row | Rows:
        if isinstance(index, slice):
            return Rows(self.rows[index], name=self.name)
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __add__(self, other: Iterable[Row]) -> Rows:
        """The rows of both, one after the other; what either skipped is kept."""
        skipped = self.skipped + (other.skipped if isinstance(other, Rows) else [])
        names = [self.name, other.name if isinstance(other, Rows) else ""]
        return Rows((*self.rows, *other), name=" + ".join(n for n in names if n), skipped=skipped)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and self.rows == other.rows

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"Rows({len(self)} rows, name={self.name!r}, hash={self.hash[:12]})"

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) of the contents in their order; files, lines and meta do not count."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(
                json.dumps(row.as_dict(), ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
            )
            digest.update(b"\n")
        return digest.hexdigest()
