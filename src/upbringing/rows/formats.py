"""Question and answer under the names that common data sets give them, as the chats they are.

Alpaca has ``instruction``, ``input`` and ``output``; others ``question`` and ``answer``, ``prompt`` and ``response``.
Preference data (TRL's ``prompt``, ``chosen``, ``rejected``) has two answers: the chosen one is what is learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from upbringing.rows.row import Row
from upbringing.rows.tools import Bad

CHOSEN, REJECTED = "chosen", "rejected"
PAIRS = (  # what is asked, what is answered; the first pair that a record has both of is taken
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("prompt", "response"),
    ("prompt", "answer"),
    ("query", "response"),
    ("input", "output"),
    ("instruction", CHOSEN),
    ("question", CHOSEN),
    ("prompt", CHOSEN),
)
_MATTER = ("input", "context")  # what an instruction is about
_SYSTEM = ("system", "system_prompt")
_PEOPLE = ("user", "human")  # roles of turns that ask
_HISTORY = "history"  # earlier turns, [[asked, answered], …]
KNOWN = (
    'give it "messages" (or "conversations"), "prompt" and "completion", "text", "instruction" with "input" and '
    '"output", "question" and "answer", "prompt" and "response", or "prompt", "chosen" and "rejected"'
)


def has_template_of_alpaca(record: Mapping[str, Any]) -> bool:
    """Whether a record's ``text`` is only its own instruction and output in Alpaca's template, as its files have it."""
    text, answer = record.get("text"), record.get("output")
    asked = record.get("instruction")
    return all(isinstance(one, str) and one for one in (text, asked, answer)) and asked in text and answer in text  # type: ignore[operator]


def chat_of(record: Mapping[str, Any], bad: Bad) -> tuple[list[Any], str, tuple[str, ...]] | None:
    """The turns of a record as mappings, the column of its answer, and the columns that were used; None: it is of no
    form that is known here. Raises what ``bad`` makes where what is asked is no text."""
    chosen = record.get(CHOSEN)
    if isinstance(chosen, list):
        return [*_asked(record.get("prompt"), chosen, bad), *chosen], CHOSEN, ("prompt", CHOSEN)
    pair = next((pair for pair in PAIRS if pair[0] in record and pair[1] in record), None)
    if pair is None:
        return None
    ask, answer = pair
    used = [ask, answer]
    asked = _text(record, ask, bad)
    matter = next((name for name in _MATTER if ask == "instruction" and record.get(name)), None)
    if matter is not None:
        asked = f"{asked}\n\n{_text(record, matter, bad)}"
        used.append(matter)
    turns = []
    system = next((name for name in _SYSTEM if record.get(name)), None)
    if system is not None:
        turns.append({"role": "system", "content": _text(record, system, bad)})
        used.append(system)
    if record.get(_HISTORY):
        turns += _earlier(record[_HISTORY], bad)
        used.append(_HISTORY)
    said = _text(record, answer, bad)
    if not said.strip():
        raise bad(f'"{answer}" is empty', "drop the row or give it an answer")
    turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    return turns, answer, tuple(used)


def notes(rows: Iterable[Row]) -> list[str]:
    """What a person should know of how rows were read, a line each."""
    preferred = sum(REJECTED in row.meta for row in rows)
    many = "1 row has" if preferred == 1 else f"{preferred:,} rows have"
    return [f"{many} a chosen and a rejected answer: the chosen one is what is learned"] if preferred else []


def _asked(prompt: Any, chosen: list[Any], bad: Bad) -> list[Any]:
    """The turns before a chosen answer that is a list of turns; some data sets repeat them in it."""
    if prompt is None:
        return []
    if isinstance(prompt, str):
        begun = any(isinstance(turn, Mapping) and turn.get("role", turn.get("from")) in _PEOPLE for turn in chosen)
        return [] if begun else [{"role": "user", "content": prompt}]
    if not isinstance(prompt, list):
        raise bad('"prompt" is neither a string nor a list of messages', "write the text itself")
    return [] if chosen[: len(prompt)] == prompt else prompt


def _earlier(history: Any, bad: Bad) -> list[dict[str, str]]:
    whole = isinstance(history, list) and all(
        isinstance(turn, list) and len(turn) == 2 and all(isinstance(said, str) for said in turn) for turn in history
    )
    if not whole:
        raise bad('"history" must be a list of pairs of texts', "write [[asked, answered], …]")
    return [
        {"role": role, "content": said}
        for turn in history
        for role, said in zip(("user", "assistant"), turn, strict=True)
    ]


def _text(record: Mapping[str, Any], column: str, bad: Bad) -> str:
    value = record[column]
    if not isinstance(value, str):
        raise bad(f'"{column}" must be a string', "write the text itself")
    return value


__all__ = ["CHOSEN", "KNOWN", "PAIRS", "REJECTED", "chat_of", "has_template_of_alpaca", "notes"]
