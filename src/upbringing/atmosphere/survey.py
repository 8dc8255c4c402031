"""Reading a whole corpus: which documents are about AI, how they portray it, and which passages weigh most.

Documents go by in batches (see ``batches``); nothing is kept of them but sums and the few heaviest passages, so a
corpus of any length is read in the same memory. On a cluster one task makes the batches, workers read them, and what
they say is added up here, in the same order and with the same random numbers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from upbringing.atmosphere.batches import SKIPPED_SHOWN, Batch, Document, batches
from upbringing.atmosphere.mentions import PEOPLE
from upbringing.atmosphere.reader import DOMAINS, FloatArray, Portrayals, Reader
from upbringing.atmosphere.tally import Heaviest, Mean, Quoted, Running, Table, counts_of, key_of
from upbringing.cluster import Cluster, through
from upbringing.errors import InputError
from upbringing.rows import Row, size

NO_DOMAIN = "nothing in particular"
_PORTRAYED = 0.5  # a passage is about AI where a portrayal is likelier than none
_HEAVIEST = 20
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
    cluster: Cluster | None = None,
) -> Atmosphere:
    """Read a corpus and say how it portrays AI.

    Args:
        source: what ``upbringing.read`` takes, a ``.txt`` file or a folder of them, or rows.
        reader: who reads the passages (default: the classifier that ships).
        skip_invalid: leave bad rows out and count them, rather than stop at the first.
        progress: told the share that is done, 0..1, where that is known.
        seed: of the resampling behind the intervals.
        cluster: have passages read by the workers of this Ray cluster, which must see the files; the numbers are the
            same. None: read here.

    Raises:
        InputError: there is no such file, it holds nothing, or a row is bad.
    """
    if reader is None:
        from upbringing.atmosphere.classifier import Classifier

        reader = Classifier.load()
    survey = _Survey(reader.name, seed)
    in_memory = not isinstance(source, str | os.PathLike)
    counter = _Counter(size(source, texts=True) if isinstance(source, str | os.PathLike) else 0, progress)
    made: Iterable[tuple[Batch, Portrayals | None]]
    if cluster is None:
        made = map(_reading(reader), batches(source, skip_invalid=skip_invalid, split=split, taken=counter))
    else:
        if in_memory and not isinstance(source, Sequence):
            raise InputError("rows that come one by one cannot be sent to a cluster; write them to a file and name it")
        pieces = partial(batches, source, skip_invalid=skip_invalid, split=split, folder=str(Path.cwd()))
        made = through(cluster, pieces, _reading, (reader,))
    for batch, said in made:
        survey.add(batch, said)
        if cluster is not None:
            counter(batch.bytes)
    result = survey.result((getattr(source, "name", "") or "rows") if in_memory else str(source))
    if not in_memory and not result.documents:
        first = f"; the first of {result.skipped} bad rows: {result.skips[0][1]}" if result.skipped else ""
        raise InputError(f"{source}: no document in it can be read{first}; give a file with at least one")
    return result


def _reading(reader: Reader) -> Callable[[Batch], tuple[Batch, Portrayals | None]]:
    """What is done with each batch, here or in a worker: nothing is asked of one without documents."""

    def read(batch: Batch) -> tuple[Batch, Portrayals | None]:
        shown = [passage for document in batch.documents for passage in document.passages]
        return batch, reader.read(shown) if shown else None

    return read


class _Counter:
    """Turns bytes read into the share that is done; tells of it a few hundred times at most."""

    def __init__(self, total: int, progress: Callable[[float], None] | None) -> None:
        self._total, self._progress, self._done, self._next = total, progress, 0, 0

    def __call__(self, read: int) -> None:
        self._done += read
        if self._progress and self._total and self._done >= self._next:
            self._next = self._done + self._total // 400
            self._progress(min(self._done / self._total, 1.0))


class _Entry(NamedTuple):
    """What a document adds to a table: its row there, its value, and the key of the words that were read."""

    label: str
    value: float
    key: int


class _Survey:
    """One pass over a corpus, added up."""

    def __init__(self, reader: str, seed: int) -> None:
        self._reader, self._seed = reader, seed
        self._documents = self._about = self._passages = self._characters = self._others = 0
        self._skipped = 0
        self._skips: list[tuple[str, str]] = []
        self._whole = Running()
        self._tables = {name: Table() for name in ("source", "kind", "domain")}
        self._heaviest = Heaviest(_HEAVIEST)
        self._histogram = np.zeros(20, dtype=np.int64)

    def add(self, batch: Batch, said: Portrayals | None) -> None:
        """The next batch, and what was read in its passages."""
        self._documents += batch.seen
        self._characters += batch.characters
        self._skipped += batch.skipped
        self._skips += batch.skips[: SKIPPED_SHOWN - len(self._skips)]
        if said is not None:
            self._read(batch.documents, said)

    def result(self, name: str) -> Atmosphere:
        return Atmosphere(
            name=name,
            reader=self._reader,
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

    def _read(self, batch: Sequence[Document], said: Portrayals) -> None:
        ends = np.cumsum([len(document.passages) for document in batch])
        spans = [slice(end - len(d.passages), end) for d, end in zip(batch, ends, strict=True)]
        whole: list[_Entry] = []
        parts: dict[str, list[_Entry]] = {"kind": [], "domain": []}
        for document, span in zip(batch, spans, strict=True):
            if not document.about_ai:
                if not said.weight[span].any():
                    continue
                self._others += 1
                parts["kind"].append(self._entry(PEOPLE, document, said, np.arange(span.start, span.stop), span.start))
                continue
            mine = span.start + np.flatnonzero((said.about[span] >= _PORTRAYED) & (said.weight[span] > 0))
            if not len(mine):
                continue
            whole.append(self._entry(document.source, document, said, mine, span.start))
            self._histogram[min(int((whole[-1].value + 1) * 10), 19)] += 1
            self._passages += len(mine)
            for table, labels in self._labels(document, span.start, said, mine).items():
                for label in dict.fromkeys(labels):
                    those = mine[[one == label for one in labels]]
                    parts[table].append(self._entry(label, document, said, those, span.start))
            self._quote(document, span.start, said, mine)
        self._add(whole, parts)

    def _entry(
        self, label: str, document: Document, said: Portrayals, passages: np.ndarray[Any, Any], start: int
    ) -> _Entry:
        """The mean of some passages of a document, and the key of their words."""
        key = key_of((document.passages[i - start].text for i in passages), self._seed)
        return _Entry(label, _mean(said, passages), key)

    def _labels(
        self, document: Document, start: int, said: Portrayals, mine: np.ndarray[Any, Any]
    ) -> dict[str, list[str]]:
        return {
            "kind": [document.passages[i - start].kind for i in mine],
            "domain": [_domain(said, i) for i in mine],
        }

    def _add(self, whole: list[_Entry], parts: dict[str, list[_Entry]]) -> None:
        self._about += len(whole)
        for table, entries in {"source": whole, **parts}.items():
            if not entries:
                continue
            values = np.array([entry.value for entry in entries])
            keys = np.array([entry.key for entry in entries], dtype=np.uint64)
            counts = counts_of(keys)
            if table == "source":
                self._whole.add(values, counts, keys)
            self._tables[table].add([entry.label for entry in entries], values, counts, keys)

    def _quote(self, document: Document, start: int, said: Portrayals, mine: np.ndarray[Any, Any]) -> None:
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
