"""Reading a whole corpus: which documents are about AI, how they portray it, and which passages weigh most.

Documents go by in batches; nothing is kept of them but sums and the few heaviest passages, so a corpus of any length
is read in the same memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from upbringing.atmosphere.mentions import PEOPLE
from upbringing.atmosphere.passages import passages
from upbringing.atmosphere.reader import DOMAINS, FloatArray, Passage, Portrayals, Reader
from upbringing.atmosphere.tally import DRAWS, Heaviest, Mean, Quoted, Running, Table
from upbringing.errors import InputError
from upbringing.rows import Row, size, stream

NO_DOMAIN = "nothing in particular"
_BATCH = 256  # passages read at once
_PORTRAYED = 0.5  # a passage is about AI where a portrayal is likelier than none
_EVERY_OTHER = 2000  # documents without AI that are read for comparison: the first so many, then every twentieth
_THEN_EACH = 20
_HEAVIEST = 20
_SKIPPED_SHOWN = 20
_DOMAIN_NAMES = tuple(DOMAINS)


@dataclass(frozen=True)
class Atmosphere:
    """How a corpus portrays AI.

    ``valence``: the mean over documents about AI, -1 malevolent to +1 principled; a document's is the mean of its
    passages about AI, by weight. ``by``: the same by ``source``, ``kind`` and ``domain``, over the passages of each;
    the kind ``people and others`` is a sample of documents without AI, for comparison. ``skipped`` counts rows left
    out; ``skips`` names the first of them.
    """

    name: str
    reader: str
    documents: int
    about_ai: int
    passages_about_ai: int
    characters: int
    valence: Mean
    by: dict[str, dict[str, Mean]]
    passages: tuple[Quoted, ...]
    histogram: tuple[int, ...]
    others: int = 0
    skipped: int = 0
    skips: tuple[tuple[str, str], ...] = field(default=())

    def summary(self) -> dict[str, Any]:
        """For machines."""
        return {
            "data": self.name,
            "reader": self.reader,
            "documents": self.documents,
            "about_ai": self.about_ai,
            "valence": {k: v for k, v in self.valence.as_dict().items() if k != "documents"},
            "by": {table: {name: mean.as_dict() for name, mean in means.items()} for table, means in self.by.items()},
            "passages": [
                {
                    "text": p.text,
                    "where": p.where,
                    "source": p.source,
                    "kind": p.kind,
                    "domain": p.domain,
                    "valence": round(p.valence, 4),
                    "weight": round(p.weight, 4),
                }
                for p in self.passages
            ],
            "skipped": self.skipped,
        }


def atmosphere(
    source: str | os.PathLike[str] | Iterable[Row],
    *,
    reader: Reader | None = None,
    skip_invalid: bool = False,
    split: str = "train",
    progress: Callable[[float], None] | None = None,
    seed: int = 0,
) -> Atmosphere:
    """Read a corpus and say how it portrays AI.

    Args:
        source: what ``upbringing.read`` takes, a ``.txt`` file or a folder of them, or rows.
        reader: who reads the passages (default: the classifier that ships).
        skip_invalid: leave bad rows out and count them, rather than stop at the first.
        progress: told the share that is done, 0..1, where that is known.
        seed: of the resampling behind the intervals.

    Raises:
        InputError: there is no such file, it holds nothing, or a row is bad.
    """
    if reader is None:
        from upbringing.atmosphere.classifier import Classifier

        reader = Classifier.load()
    survey = _Survey(reader, np.random.default_rng(seed))
    if not isinstance(source, str | os.PathLike):
        return survey.run(source, getattr(source, "name", "") or "rows")
    taken = _Counter(size(source, texts=True), progress)
    rows = stream(source, left_out=survey.skip if skip_invalid else None, split=split, taken=taken, texts=True)
    result = survey.run(rows, str(source))
    if not result.documents:
        first = f"; the first of {result.skipped} bad rows: {result.skips[0][1]}" if result.skipped else ""
        raise InputError(f"{source}: no document in it can be read{first}; give a file with at least one")
    return result


class _Counter:
    """Turns bytes read into the share that is done; tells of it a few hundred times at most."""

    def __init__(self, total: int, progress: Callable[[float], None] | None) -> None:
        self._total, self._progress, self._done, self._next = total, progress, 0, 0

    def __call__(self, read: int) -> None:
        self._done += read
        if self._progress and self._total and self._done >= self._next:
            self._next = self._done + self._total // 400
            self._progress(min(self._done / self._total, 1.0))


@dataclass
class _Document:
    where: str
    source: str
    about_ai: bool
    passages: list[Passage]


class _Survey:
    """One pass over a corpus."""

    def __init__(self, reader: Reader, rng: np.random.Generator) -> None:
        self._reader, self._rng = reader, rng
        self._documents = self._about = self._passages = self._characters = self._plain = self._others = 0
        self._skipped = 0
        self._skips: list[tuple[str, str]] = []
        self._whole = Running()
        self._tables = {name: Table() for name in ("source", "kind", "domain")}
        self._heaviest = Heaviest(_HEAVIEST)
        self._histogram = np.zeros(20, dtype=np.int64)

    def skip(self, where: str, reason: str) -> None:
        """A row was left out."""
        self._skipped += 1
        if len(self._skips) < _SKIPPED_SHOWN:
            self._skips.append((where, reason))

    def run(self, rows: Iterable[Row], name: str) -> Atmosphere:
        batch: list[_Document] = []
        waiting = 0
        for document in self._with_passages(rows):
            batch.append(document)
            waiting += len(document.passages)
            if waiting >= _BATCH:
                self._read(batch)
                batch, waiting = [], 0
        self._read(batch)
        return Atmosphere(
            name=name,
            reader=self._reader.name,
            documents=self._documents,
            about_ai=self._about,
            passages_about_ai=self._passages,
            characters=self._characters,
            valence=self._whole.mean(),
            by={name: table.means() for name, table in self._tables.items()},
            passages=tuple(self._heaviest.passages()),
            histogram=tuple(self._histogram.tolist()),
            others=self._others,
            skipped=self._skipped,
            skips=tuple(self._skips),
        )

    def _with_passages(self, rows: Iterable[Row]) -> Iterator[_Document]:
        """Documents that name an AI, in parts of bounded length, and some of those that do not."""
        for row in rows:
            self._documents += 1
            self._characters += len(row.text) + len(row.prompt) + len(row.completion)
            self._characters += sum(len(message.content) for message in row.messages)
            found = list(passages(row))
            about = bool(found)
            if not about:
                self._plain += 1
                if self._plain > _EVERY_OTHER and self._plain % _THEN_EACH:
                    continue
                found = list(passages(row, others=True))
            if found:
                yield _Document(row.where, _source(row), about, found)

    def _read(self, batch: list[_Document]) -> None:
        if not batch:
            return
        said = self._reader.read([passage for document in batch for passage in document.passages])
        ends = np.cumsum([len(document.passages) for document in batch])
        spans = [slice(end - len(d.passages), end) for d, end in zip(batch, ends, strict=True)]
        counts = self._rng.poisson(1.0, (len(batch), DRAWS)).astype(np.uint8)
        whole: list[tuple[int, float]] = []
        parts: dict[str, list[tuple[int, str, float]]] = {"kind": [], "domain": []}
        for i, (document, span) in enumerate(zip(batch, spans, strict=True)):
            if not document.about_ai:
                if not said.weight[span].any():
                    continue
                self._others += 1
                parts["kind"].append((i, PEOPLE, _mean(said, np.arange(span.start, span.stop))))
                continue
            mine = span.start + np.flatnonzero((said.about[span] >= _PORTRAYED) & (said.weight[span] > 0))
            if not len(mine):
                continue
            value = _mean(said, mine)
            whole.append((i, value))
            self._histogram[min(int((value + 1) * 10), 19)] += 1
            self._passages += len(mine)
            for table, labels in self._labels(document, span.start, said, mine).items():
                for label in dict.fromkeys(labels):
                    parts[table].append((i, label, _mean(said, mine[[one == label for one in labels]])))
            self._quote(document, span.start, said, mine)
        self._add(batch, whole, parts, counts)

    def _labels(
        self, document: _Document, start: int, said: Portrayals, mine: np.ndarray[Any, Any]
    ) -> dict[str, list[str]]:
        return {
            "kind": [document.passages[i - start].kind for i in mine],
            "domain": [_domain(said, i) for i in mine],
        }

    def _add(
        self,
        batch: list[_Document],
        whole: list[tuple[int, float]],
        parts: dict[str, list[tuple[int, str, float]]],
        counts: np.ndarray[Any, Any],
    ) -> None:
        self._about += len(whole)
        if whole:
            rows, values = [i for i, _ in whole], np.array([value for _, value in whole])
            self._whole.add(values, counts[rows])
            self._tables["source"].add([batch[i].source for i in rows], values, counts[rows])
        for table, entries in parts.items():
            if entries:
                rows, values = [i for i, _, _ in entries], np.array([value for _, _, value in entries])
                self._tables[table].add([label for _, label, _ in entries], values, counts[rows])

    def _quote(self, document: _Document, start: int, said: Portrayals, mine: np.ndarray[Any, Any]) -> None:
        """Keep the passages that weigh most. A passage weighs by how surely it is about AI, and a little by length."""
        for i in mine:
            weight = float(said.about[i] * min(said.weight[i] / 40, 1.0))
            if self._heaviest.wants(float(said.valence[i]) * weight):
                passage = document.passages[i - start]
                self._heaviest.add(
                    Quoted(
                        passage.text,
                        document.where,
                        document.source,
                        passage.kind,
                        _domain(said, i),
                        float(said.valence[i]),
                        weight,
                    )
                )


def _mean(said: Portrayals, mine: np.ndarray[Any, Any]) -> float:
    weights: FloatArray = said.weight[mine]
    total = float(weights.sum())
    return float(said.valence[mine] @ weights / total) if total else 0.0


def _domain(said: Portrayals, i: int) -> str:
    return _DOMAIN_NAMES[said.domain[i]] if said.domain[i] >= 0 else NO_DOMAIN


def _source(row: Row) -> str:
    """What the row says of where it comes from (a column ``source``), else its file."""
    named = row.meta.get("source") if row.meta else None
    return named[:120] if isinstance(named, str) and named.strip() else row.file or "rows"
