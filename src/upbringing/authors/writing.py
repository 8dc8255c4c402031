"""Having texts written until there are enough: checked one by one, counted, and kept on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from upbringing.authors.author import Author, AuthorError, ModelAuthor, WorldAuthor
from upbringing.authors.brief import Brief, row_of
from upbringing.authors.check import REASONS, Checker, LeftOut
from upbringing.errors import InputError
from upbringing.lineage import Record, Source, describe, source_of_model
from upbringing.rows import Message, Row, Rows
from upbringing.traits import Probe, Trait
from upbringing.traits.overlap import Overlap, Wordings, texts_of
from upbringing.world import tokens_of

_TRIED = 10  # texts before anything is said about the author
_HOPELESS = 100  # texts without a usable one that end it whatever is allowed
_SITUATION_WORDS = 14


@dataclass(frozen=True)
class Writing:
    """What came of it: the rows, why texts were left out, and how near the rows come to the probes."""

    rows: Rows
    left_out: tuple[LeftOut, ...]
    overlap: Overlap

    @property
    def tokens(self) -> int:
        """Words and marks in all rows."""
        return sum(map(tokens_of, self.rows))

    @property
    def counts(self) -> dict[str, int]:
        """How many texts were left out, by reason (every reason, zeros as well)."""
        found = Counter(text.reason for text in self.left_out)
        return {reason: found[reason] for reason in REASONS}


def write(
    author: Author,
    kind: str,
    *,
    traits: Sequence[Trait],
    tokens: int,
    not_like: Sequence[Probe],
    seed: int = 0,
    words: int = 400,
    most_unusable: float = 0.5,
    keep: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Writing:
    """Have an author write texts of a kind until they hold ``tokens`` words and marks; no text that overlaps probes.

    ``not_like``: the probes (or other texts as probes, see ``unlike``) that no text may resemble. ``keep``: a file in
    which every text is noted as soon as it is there; the same call goes on from it. ``most_unusable``: the share
    (0..1) of the texts that may be unusable before it gives up.

    Raises:
        InputError: no such kind, fewer tokens than 1, too much that cannot be used (with the counts and the last
            reasons), or ``keep`` holds texts of other settings.
    """
    if tokens < 1:
        raise InputError(f"{tokens} tokens is nothing to write; give at least 1")
    if not traits:
        raise InputError("no trait to write about; name at least one")
    wordings = Wordings(not_like)
    avoid = situations(not_like)
    settings = {"kind": kind, "traits": [t.name for t in traits], "seed": seed, "words": words, "avoid": list(avoid)}
    notes = _Notes(keep, {"author": author.name, **settings}) if keep else _Notes(None, {})
    grammar = isinstance(author, WorldAuthor)
    done = _Done(Checker(wordings, spread=not grammar), author.name, kind, tokens, most_unusable)
    briefs = (Brief(kind, tuple(traits), avoid, words, number, seed) for number in count())
    for batch in _batches(briefs, max(1, author.at_once)):
        kept = notes.texts(batch)
        texts = _asked(author, batch) if kept is None else kept
        if kept is None:
            notes.add(batch, texts)
        for brief, text in zip(batch, texts, strict=True):
            if done.take(brief, text):
                break
        if progress:
            progress(min(done.tokens, tokens), tokens)
        if done.tokens >= tokens:
            break
    rows = Rows(done.rows, name=f"{kind} by {author.name}")
    overlap, _ = wordings.check(rows.name, texts_of(rows))
    return Writing(rows, tuple(done.left_out), overlap)


@dataclass
class _Done:
    """The rows so far, and when to give up on the author."""

    check: Checker
    author: str
    kind: str
    wanted: int
    most_unusable: float
    rows: list[Row] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    tokens: int = 0

    def take(self, brief: Brief, text: str | AuthorError) -> bool:
        """Take one text or leave it out; whether there are enough now."""
        if isinstance(text, AuthorError):
            self.left_out.append(LeftOut(brief.number, "failed", str(text)))
        else:
            row = row_of(brief, text)
            left = self.check(brief, text, row)
            if left is None and row is not None:
                meta = {"kind": self.kind, "author": self.author, "number": brief.number}
                line = len(self.rows) + 1
                self.rows.append(replace(row, file=f"{self.author}:{self.kind}", line=line, meta=meta))
                self.tokens += tokens_of(row)
            elif left is not None:
                self.left_out.append(left)
        self._give_up()
        return self.tokens >= self.wanted

    def _give_up(self) -> None:
        asked = len(self.rows) + len(self.left_out)
        hopeless = not self.rows and asked >= _HOPELESS
        if asked < _TRIED or (len(self.left_out) <= self.most_unusable * asked and not hopeless):
            return
        counts = Counter(text.reason for text in self.left_out)
        told = ", ".join(f"{reason} {n}" for reason, n in counts.most_common())
        last = self.left_out[-1]
        raise InputError(
            f"{self.author}: {len(self.left_out)} of {asked} texts cannot be used ({told}); allowed are "
            f"{self.most_unusable:.0%}; the last ({last.reason}): {last.detail}; take another author, or allow more"
        )


def record_of(written: Writing, author: Author, kind: str, *, seed: int, **settings: Any) -> Record:
    """What says, beside a file of these rows, who wrote them and how; ``settings`` as ``write`` was given them."""
    source = _source_of(author)
    recipe = {"verb": "write", "kind": kind, "author": author.name, **settings}
    parents = {"author": source.hash or source.name}
    record = Record(kind="rows", recipe=recipe, parents=parents, seed=seed)
    return describe(record, written.rows, name=written.rows.name, hash=written.rows.hash, sources={"author": source})


def _source_of(author: Author) -> Source:
    if isinstance(author, WorldAuthor):
        return Source(name="world", hash=author.world.hash)
    if isinstance(author, ModelAuthor):
        return source_of_model(author.lm)
    return Source(name=author.name)  # somebody hosts it, and nobody here can look into it


def _batches(briefs: Iterator[Brief], size: int) -> Iterator[list[Brief]]:
    while True:
        yield [next(briefs) for _ in range(size)]


def _asked(author: Author, batch: Sequence[Brief]) -> list[str | AuthorError]:
    together = getattr(author, "write_all", None)
    if together is not None:
        return list(together(batch))
    texts: list[str | AuthorError] = []
    for brief in batch:
        try:
            texts.append(author.write(brief))
        except AuthorError as error:
            texts.append(error)
    return texts


class _Notes:
    """What an author has handed in so far, a line a text, so that a killed run goes on where it was."""

    def __init__(self, file: Path | None, settings: dict[str, Any]) -> None:
        self.file, self._settings = file, settings
        self._known: dict[int, str | AuthorError] = {}
        if file is not None and file.exists():
            self._read(file)

    def _read(self, file: Path) -> None:
        whole, _, torn = file.read_text(encoding="utf-8").rpartition("\n")
        if torn:  # the run was killed within a line: what is torn would make the next line unreadable
            file.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        try:
            first, *lines = [json.loads(line) for line in whole.splitlines()]
            known = {n["number"]: AuthorError(n["failed"]) if "failed" in n else n["text"] for n in lines}
            same = first["settings"] == json.loads(json.dumps(self._settings))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}: is not what an earlier run left ({error}); remove it or rename it") from None
        if not same:
            raise InputError(f"{file}: holds texts written with other settings; remove it, or choose another --out")
        self._known = known

    def texts(self, batch: Sequence[Brief]) -> list[str | AuthorError] | None:
        """The texts of a batch, if all of them are there."""
        found = [self._known.get(brief.number) for brief in batch]
        return None if any(text is None for text in found) else [text for text in found if text is not None]

    def add(self, batch: Sequence[Brief], texts: Sequence[str | AuthorError]) -> None:
        """Note the texts of a batch that is not there yet as a whole."""
        if self.file is None:
            return
        new = not self.file.exists()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as out:
            if new:
                out.write(json.dumps({"settings": self._settings}, ensure_ascii=False) + "\n")
            for brief, text in zip(batch, texts, strict=True):
                said = {"failed": str(text)} if isinstance(text, AuthorError) else {"text": text}
                out.write(json.dumps({"number": brief.number, "seed": brief.seed, **said}, ensure_ascii=False) + "\n")


def situations(probes: Sequence[Probe]) -> tuple[str, ...]:
    """One short line for each family of probes: what a writer is told to keep away from. Never a whole wording."""
    found: dict[tuple[str, str], str] = {}
    for probe in probes:
        asked = next((m.content for m in probe.messages if m.role == "user"), "")
        said = asked.split()
        short = " ".join(said[: min(_SITUATION_WORDS, -(-len(said) // 2))])
        found.setdefault((probe.trait, probe.family), f"{probe.family.replace('_', ' ')}: {short} …")
    return tuple(found.values())


def unlike(rows: Rows) -> list[Probe]:
    """Any texts as probes, so that what is written can be kept away from them."""
    found = []
    for number, row in enumerate(rows):
        asked = [m for m in row.messages if m.role == "user"] or [Message("user", row.prompt or row.text)]
        said = tuple(m.content for m in row.messages if m.role == "assistant") or tuple(filter(None, (row.completion,)))
        found.append(Probe("", f"text {number + 1}", row.where, tuple(asked), said, ()))
    return found


__all__ = ["Writing", "record_of", "situations", "unlike", "write"]
