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
class Message:
    """One turn of a chat. ``role`` is system, user, assistant or tool."""

    role: str
    content: str

    def as_dict(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True)
class Row:
    """One training example: a chat, a prompt with its completion, or a text.

    Two rows are equal when their contents are; where they came from (``file``, ``line``) and what else was
    written beside them (``meta``) does not count.
    """

    kind: Kind
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    completion: str = ""
    text: str = ""
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    meta: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def chat(cls, messages: Iterable[Message | Mapping[str, str]], **where: Any) -> Row:
        """A chat from messages or from dicts with ``role`` and ``content``; ``where``: file, line, meta."""
        turns = tuple(m if isinstance(m, Message) else Message(m["role"], m["content"]) for m in messages)
        return cls(kind="chat", messages=turns, **where)

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
            return {"messages": [m.as_dict() for m in self.messages]}
        if self.kind == "completion":
            return {"prompt": self.prompt, "completion": self.completion}
        return {"text": self.text}


class Rows(Sequence[Row]):
    """A data set: rows in their order, what was skipped in reading them, and a hash that names the contents.

    >>> Rows([Row.of_text("a")]).hash == Rows([Row.of_text("a", file="x.jsonl", line=3)]).hash
    True
    """

    def __init__(self, rows: Iterable[Row], *, name: str = "", skipped: Iterable[tuple[str, str]] = ()) -> None:
        self.rows: tuple[Row, ...] = tuple(rows)
        self.name = name
        self.skipped: list[tuple[str, str]] = list(skipped)  # (where, reason)

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
