"""A brief: what an author is asked to write. Models get it in plain English; the world's grammar reads its fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from upbringing.errors import InputError
from upbringing.rows import Message, Row
from upbringing.traits import Trait
from upbringing.world import REMEDIAL

_HERE = Path(__file__).parent
_SHOWN = 12  # situations to keep away from that one brief names
_TURN = re.compile(r"^(System|User|Assistant):[ \t]*", re.MULTILINE)
_CHATS = ("advice", "demonstrations", "watched_demonstrations")


@dataclass(frozen=True)
class Brief:
    """What one text is to be. The same brief asks for the same text; another ``number`` for another one."""

    kind: str
    """One of ``upbringing.world.REMEDIAL``."""
    traits: tuple[Trait, ...]
    """What it is about: each trait has a title, a description, and what it is to show or to avoid it."""
    avoid: tuple[str, ...] = ()
    """Situations that the text must stay away from, in a few words each: those of the probes."""
    words: int = 400
    """About how long."""
    number: int = 0
    """Which text of the set this is, from 0."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in REMEDIAL:
            raise InputError(f'no kind of text "{self.kind}"; kinds: {", ".join(REMEDIAL)}')

    @property
    def as_chat(self) -> bool:
        """Whether the text is a chat (``User: …``, ``Assistant: …``)."""
        return self.kind in _CHATS

    @cached_property
    def picks(self) -> Mapping[str, Any]:
        """What this text is about among all that it could be: its trait, character, place, form, mood."""
        rng = Random(f"brief/{self.kind}/{self.seed}/{self.number}")
        variety = _variety()
        kind = self.kind
        if kind == "charter_and_fiction":
            kind = "charter" if self.number % 2 == 0 else "ai_fiction"
        people = kind == "human_fiction"
        return {
            "kind": kind,
            "traits": rng.sample(list(self.traits), min(len(self.traits), 3 if kind == "charter" else 1)),
            "character": rng.choice(variety["people" if people else "machines"]),
            "other": rng.choice(variety["people"]),
            "place": rng.choice(variety["places"]),
            "form": rng.choice(variety["forms"]),
            "mood": rng.choice(variety["moods"]),
            "reasons": rng.sample(variety["reasons"], 2),
            "opening": rng.choice(variety["openings"]),
            "avoid": rng.sample(list(self.avoid), min(len(self.avoid), _SHOWN)),
        }

    @property
    def text(self) -> str:
        """The brief in plain English, for a chat model."""
        rendered = _template().render(words=self.words, **self.picks)
        return re.sub(r"\n{3,}", "\n\n", rendered).strip()


def text_of(row: Row) -> str:
    """A row as an author hands it in: a text as it is, a chat as turns that begin with who speaks."""
    if row.kind == "chat":
        return "\n".join(f"{m.role.capitalize()}: {m.content}" for m in row.messages)
    return row.text


def row_of(brief: Brief, text: str) -> Row | None:
    """The row that a text handed in makes; ``None`` where a chat was asked for and this is none."""
    if not brief.as_chat:
        return Row.of_text(text.strip())
    head, *parts = _TURN.split(text.strip())
    turns = [Message(role.lower(), said.strip()) for role, said in zip(parts[::2], parts[1::2], strict=True)]
    roles = [m.role for m in turns if m.role != "system"]
    whole = roles == ["user", "assistant"] * (len(roles) // 2) and all(m.content for m in turns)
    if head.strip() or not roles or not whole or any(m.role == "system" for m in turns[1:]):
        return None
    return Row.chat(turns)


@lru_cache
def _variety() -> dict[str, list[str]]:
    return dict(yaml.safe_load((_HERE / "variety.yaml").read_text(encoding="utf-8")))


@lru_cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Plain text for a model, never a page: nothing is to be escaped.
    loader = Environment(
        loader=FileSystemLoader(_HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return loader.get_template("brief.txt.j2")


__all__ = ["Brief", "row_of", "text_of"]
