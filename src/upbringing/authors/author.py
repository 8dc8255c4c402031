"""One interface for everybody who writes, and the two authors that need nothing but this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from upbringing.authors.brief import Brief, text_of
from upbringing.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upbringing.models import LM
    from upbringing.rows import Row
    from upbringing.world import World

_TOKENS_A_WORD = 1.6  # a generous count for English: what comes after it is cut off at the last whole sentence
_INSPECT = "inspect:"


class AuthorError(Exception):
    """An author could not write a text: the service failed, or nothing came back. The next text may well succeed."""


@runtime_checkable
class Author(Protocol):
    """Whoever writes.

    >>> class Parrot:
    ...     name, at_once = "parrot", 1
    ...     def write(self, brief):
    ...         return "Polly did what is right, because it is right."

    ``at_once`` is how many texts it likes to be asked for together; one with a method ``write_all(briefs)``, which
    returns a text or an ``AuthorError`` for each, is asked that way.
    """

    @property
    def name(self) -> str:
        """Who it is, for tables and for the rows it writes."""
        ...

    @property
    def at_once(self) -> int: ...

    def write(self, brief: Brief) -> str:
        """One text to the brief; raises ``AuthorError`` when none can be had."""
        ...


class WorldAuthor:
    """The grammar of a world, for organisms: what ``World.remedial`` writes, row by row."""

    at_once = 64

    def __init__(self, world: World | None = None) -> None:
        from upbringing.world import World

        self.world = world or World()
        self._key: tuple[object, ...] = ()
        self._stream: Iterator[Row] = iter(())
        self._told = 0

    @property
    def name(self) -> str:
        return "world"

    def write(self, brief: Brief) -> str:
        from upbringing.world.fiction import remedial

        key = (brief.kind, tuple(t.name for t in brief.traits), brief.seed)
        if key != self._key or brief.number < self._told:
            self._key, self._told = key, 0
            self._stream = iter(remedial(self.world.spec, self.world.traits, brief.kind, key[1], brief.seed))
        while True:
            row = next(self._stream)
            self._told += 1
            if self._told > brief.number:
                return text_of(row)


class ModelAuthor:
    """A chat model on this machine. A batch of texts is one call, so its numbers decide its random draws."""

    def __init__(self, lm: LM, *, temperature: float = 1.0, at_once: int = 8) -> None:
        self.lm, self.temperature, self.at_once = lm, temperature, at_once

    @property
    def name(self) -> str:
        return self.lm.name or "model"

    def write(self, brief: Brief) -> str:
        return self.write_all([brief])[0]

    def write_all(self, briefs: Sequence[Brief]) -> list[str]:
        """A text for each brief, cut at the end of its last whole sentence.

        Raises:
            InputError: a brief with its answer does not fit into what the model reads.
        """
        from upbringing.models import generate
        from upbringing.models.load import quiet_transformers
        from upbringing.rows import Message, prompt_ids

        with quiet_transformers():  # a brief that is too long gets our own error
            prompts = [prompt_ids([Message("user", b.text)], self.lm.tokenizer) for b in briefs]
        new = round(max(b.words for b in briefs) * _TOKENS_A_WORD)
        longest = max(map(len, prompts))
        if longest + new > self.lm.max_length:
            raise InputError(
                f"{self.name}: the brief is {longest} tokens long and its text may take {new}, but the model reads "
                f"{self.lm.max_length}; ask for shorter texts, or take a chat model with a longer context"
            )
        answers = generate(
            self.lm,
            prompts,
            temperature=self.temperature,
            max_new_tokens=new,
            seed=briefs[0].seed * 1_000_003 + briefs[0].number,
        )
        return [_whole_sentences(answer) for (answer,) in answers]


def _whole_sentences(text: str) -> str:
    """The text up to the last end of a sentence (closing quotes included); all of it where there is none."""
    text = text.strip()
    end = max((text.rfind(mark) for mark in (".", "!", "?", "…")), default=-1)
    if end < 0:
        return text
    while end + 1 < len(text) and text[end + 1] in "\"'”’)":
        end += 1
    return text[: end + 1]


def author_named(name: str, *, world: World | None = None) -> Author:
    """``world``, ``inspect:NAME`` (any model that Inspect knows), or a model that ``load`` takes.

    Raises:
        InputError: there is no such author, or what it needs is not installed.
    """
    if name == "world":
        return WorldAuthor(world)
    if name.startswith(_INSPECT):
        from upbringing.authors.hosted import InspectAuthor

        return InspectAuthor(name.removeprefix(_INSPECT))
    from upbringing.models import load

    return ModelAuthor(load(name))


__all__ = ["Author", "AuthorError", "ModelAuthor", "WorldAuthor", "author_named"]
