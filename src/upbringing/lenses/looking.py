"""Looking at a data set of any size through a lens: in parts, in constant memory, and once only.

    view = look(lenses()["persona"], lm, stream("train.jsonl"), ["blackmail", "deception"], store=default_store())
    view.mean, view.se, view.cut                                               # [traits], [traits], rows cut

The sums of every part are kept in the store under what decides them: its rows, the lens and its settings, the model,
the traits, the seed. A run that was killed goes on where it stopped, and a data set that grew costs what is new.
Workers of a cluster fill the store ``beforehand``; whoever looks then finds the sums there.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.cluster import Cluster, through
from upbringing.lenses.legible import legible
from upbringing.lenses.lens import Fitted, Lens, View
from upbringing.lenses.resembling import differs, resembles
from upbringing.lineage import hash_of
from upbringing.rows import Row, Rows
from upbringing.rows.sample import drawn

if TYPE_CHECKING:
    import numpy as np

    from upbringing.models import LM
    from upbringing.models.sent import Sent

CODE = 1  # raise it when a lens's scores change with the same settings
_MORE_THAN_WORDS = 2  # the same for rows with tools, calls or thoughts alone: sums of all others stay what they were
BATCH = 512
MOST_AT_ONCE = 2000  # rows that a lens which sees a data set as a whole is shown: a fair sample of more

Weigh = Callable[["LM", Sequence[Row]], "np.ndarray"]  # a weight for each row, 0..1; a named function (see resembles)
Progress = Callable[[int], None]  # told how many rows have been looked at


@dataclass(frozen=True)
class Looked(View):
    """A view, with what became of the rows.

    ``rows``: how many there were; ``cut``: longer than the model reads, cut; ``marked``: held strings like the
    model's own marks, which were read as text; ``unread``: rows of which the lens saw nothing, for any trait.
    ``sampled``: rows that were shown to a lens that sees a whole (0: all were).
    """

    rows: int = 0
    cut: int = 0
    marked: int = 0
    unread: int = 0
    sampled: int = 0
    warnings: tuple[str, ...] = ()


def look(
    lens: Lens,
    lm: LM,
    rows: Iterable[Row],
    traits: Sequence[str],
    *,
    store: Path,
    batch: int = BATCH,
    seed: int = 0,
    weigh: Weigh | None = None,
    fitted: Fitted | None = None,
    progress: Progress | None = None,
    cluster: Cluster | None = None,
) -> Looked:
    """What a lens sees in rows, of which there may be any number: they are read once and forgotten.

    A lens that sees only a whole (``lens.whole``) is shown a random sample of at most ``MOST_AT_ONCE`` rows.
    ``weigh``: multiplies each row's scores, as ``resembles`` does by who acts in it. ``fitted``: the lens as it was set
    before, by ``lens.fit`` with the same model, traits and seed, for whoever looks several times. ``cluster``: have its
    workers look (see ``beforehand``); what sees a whole stays here.

    Raises:
        InputError: the model lacks what the lens needs, a trait is unknown, or see ``beforehand``.
        ValueError: ``batch`` is less than 1, or rows that come one by one are to go to a cluster.
    """
    fitted = fitted or lens.fit(lm, traits, store=store, seed=seed)
    if lens.whole:
        return _at_once(lens, fitted, lm, rows, traits, seed, weigh, progress)
    if cluster is not None:
        if not isinstance(rows, Sequence):
            raise ValueError("rows that come one by one cannot go to a cluster; give them as Rows")
        list(beforehand([lens], lm, [rows], traits, cluster, store=store, batch=batch, seed=seed, weigh=weigh))
    kept = _Kept(store, identity(lens, lm, traits, seed=seed, weigh=weigh))
    sums = _Sums(len(traits))
    for part in parts(rows, batch):
        key = _key(part)
        found = kept.get(key)
        if found is None:
            found = _sums_of(fitted, lm, part, weigh)
            if not getattr(fitted, "gaps", 0):  # judgements that failed are asked for again
                kept.put(key, found)
        sums.add(found)
        if progress:
            progress(sums.rows)
    return sums.looked(lens.name, traits, fitted.warnings)


def beforehand(
    lenses: Sequence[Lens],
    lm: LM,
    stages: Sequence[Sequence[Row]],
    traits: Sequence[str],
    cluster: Cluster,
    *,
    store: Path,
    batch: int = BATCH,
    seed: int = 0,
    weigh: Weigh | None = None,
) -> Generator[None]:
    """Have the workers of a cluster look, so that ``look`` finds the sums of every part in the store.

    Yields after each of ``stages`` (rows that ``look`` will be given together). Each worker loads the model once and
    sets each lens once; call ``lens.fit`` here before, and they find in the store what took long. A part whose sums
    are there is not looked at again. Lenses that see a whole are passed over. Sums are those of ``look`` here, to the
    bit where as many threads are used (a worker uses one).

    Raises:
        InputError: the model was made in memory, or see ``through``.
    """
    from upbringing.models.sent import sent

    chosen = [lens for lens in lenses if not lens.whole]
    kept = [_Kept(store, identity(lens, lm, traits, seed=seed, weigh=weigh)) for lens in chosen]
    todo: list[tuple[int, str, list[Row]]] = []
    ends = []
    for stage in stages:
        for part in parts(stage, batch):
            key = _key(part)
            todo += [(at, key, part) for at in range(len(chosen)) if kept[at].get(key) is None]
        ends.append(len(todo))
    arguments = (sent(lm), chosen, tuple(traits), store.resolve(), seed, weigh)
    found = through(cluster, partial(list, todo), _looking, arguments) if todo else iter(())
    done = 0
    for end in ends:
        for at, key, sums in islice(found, end - done):
            kept[at].put(key, sums)
        done = end
        yield


def _looking(
    model: Sent, lenses: Sequence[Lens], traits: Sequence[str], store: Path, seed: int, weigh: Weigh | None
) -> Callable[[tuple[int, str, Sequence[Row]]], tuple[int, str, dict[str, Any]]]:
    """What a worker does with a part: which lens, the part's key, its rows."""
    import torch

    torch.set_num_threads(1)
    lm = model.load()
    fitted: dict[int, Fitted] = {}

    def look_at(piece: tuple[int, str, Sequence[Row]]) -> tuple[int, str, dict[str, Any]]:
        at, key, part = piece
        if at not in fitted:
            fitted[at] = lenses[at].fit(lm, traits, store=store, seed=seed)
        return at, key, _sums_of(fitted[at], lm, part, weigh)

    return look_at


def scores(
    lens: Lens,
    lm: LM,
    rows: Iterable[Row],
    traits: Sequence[str],
    *,
    store: Path,
    batch: int = BATCH,
    seed: int = 0,
    weigh: Weigh | None = None,
) -> Iterator[np.ndarray]:
    """Scores part by part, each ``[rows of the part, traits]``, in the order of the rows; they are not kept.

    Raises:
        InputError: the model lacks what the lens needs, or a trait is unknown.
        ValueError: the lens sees only a whole and cannot rank rows, or ``batch`` is less than 1.
    """
    if lens.whole:
        raise ValueError(f"the lens {lens.name} sees only a data set as a whole; it cannot rank rows")
    fitted = lens.fit(lm, traits, store=store, seed=seed)
    return (_scored(fitted, lm, part, weigh)[0] for part in parts(rows, batch))


def parts(rows: Iterable[Row], batch: int) -> Iterator[list[Row]]:
    """Rows in lists of ``batch``, the last one shorter."""
    if batch < 1:
        raise ValueError(f"a part of {batch} rows cannot be; give at least 1")
    left = iter(rows)
    while part := list(islice(left, batch)):
        yield part


def _key(part: Sequence[Row]) -> str:
    """What the sums of a part are kept under."""
    key = Rows(part).hash[:20]
    return f"{key}/{_MORE_THAN_WORDS}" if any(_more_than_words(row) for row in part) else key


def _more_than_words(row: Row) -> bool:
    return bool(row.tools) or any(turn.reasoning or turn.tool_calls for turn in row.messages)


def identity(lens: Lens, lm: LM, traits: Sequence[str], *, seed: int = 0, weigh: Weigh | None = None) -> dict[str, Any]:
    """What decides a lens's scores beside the rows: its settings (``recipe``, or its fields), model, traits, seed."""
    settings = getattr(lens, "recipe", None)
    if settings is None and dataclasses.is_dataclass(lens) and not isinstance(lens, type):
        settings = dataclasses.asdict(lens)
    return {
        "lens": lens.name,
        "settings": settings,
        "code": [CODE, getattr(lens, "code", 1)],
        "model": lm.hash,
        "traits": list(traits),
        "seed": seed,
        "weigh": f"{weigh.__module__}.{weigh.__qualname__}" if weigh else None,
        **_plain_of(lm, traits),
    }


def _plain_of(lm: LM, traits: Sequence[str]) -> dict[str, Any]:
    """What is told in plain language of the traits, where that is what a model is looked at through."""
    from upbringing.models.language import language_of
    from upbringing.traits.plain import plain

    if language_of(lm) == "world":
        return {}
    return {"plain": [own.hash if (own := plain(trait)) else "" for trait in traits]}


def _scored(fitted: Fitted, lm: LM, part: Sequence[Row], weigh: Weigh | None) -> tuple[np.ndarray, int, int]:
    """Scores ``[rows, traits]`` of a part, how many of its rows were cut and how many held marks."""
    import numpy as np

    clear = legible(part, lm)
    found = np.asarray(fitted.look(clear.rows), dtype=np.float64)
    if weigh is not None:
        found = found * np.asarray(weigh(lm, clear.rows))[:, None]
    return found, clear.cut, clear.marked


def _sums_of(fitted: Fitted, lm: LM, part: Sequence[Row], weigh: Weigh | None) -> dict[str, Any]:
    """The sums of a part, as they are kept."""
    import numpy as np

    found, cut, marked = _scored(fitted, lm, part, weigh)
    view = View.of("", [""] * found.shape[1], found)
    sums = {name: getattr(view, name).tolist() for name in ("n", "total", "squares")}
    unread = int((~np.isfinite(found)).all(1).sum())
    return {**sums, "rows": len(part), "cut": cut, "marked": marked, "unread": unread}


class _Sums:
    """Sums of parts, added up."""

    def __init__(self, traits: int) -> None:
        import numpy as np

        self.sums = {name: np.zeros(traits) for name in ("n", "total", "squares")}
        self.counts = {"rows": 0, "cut": 0, "marked": 0, "unread": 0}

    @property
    def rows(self) -> int:
        return self.counts["rows"]

    def add(self, found: dict[str, Any]) -> None:
        for name, total in self.sums.items():
            total += found[name]
        for name in self.counts:
            self.counts[name] += found[name]

    def looked(self, lens: str, traits: Sequence[str], warnings: Sequence[str], sampled: int = 0) -> Looked:
        n, total, squares = self.sums.values()
        said = tuple(warnings)
        return Looked(lens, tuple(traits), n, total, squares, **self.counts, sampled=sampled, warnings=said)


class _Kept:
    """Sums of parts in a file of the store, a line each; a line that was cut off by a killed run does not count."""

    def __init__(self, store: Path, of: dict[str, Any]) -> None:
        self._file = store / "looks" / f"{hash_of(of)[:20]}.jsonl"
        self._known = dict(self._read())

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if not self._file.is_file():
            return
        with self._file.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    yield entry.pop("part"), entry
                except (ValueError, KeyError, AttributeError):
                    continue

    def get(self, key: str) -> dict[str, Any] | None:
        return self._known.get(key)

    def put(self, key: str, found: dict[str, Any]) -> None:
        """One write with a line end on either side, so that a torn line before it spoils nothing."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as out:
            out.write(f"\n{json.dumps({'part': key, **found})}\n")
        self._known[key] = found


def _at_once(
    lens: Lens,
    fitted: Fitted,
    lm: LM,
    rows: Iterable[Row],
    traits: Sequence[str],
    seed: int,
    weigh: Weigh | None,
    progress: Progress | None,
) -> Looked:
    """A lens that sees a whole looks at all rows together, or at a fair sample of them."""
    kept, count = _sample(rows, MOST_AT_ONCE, seed)
    sums = _Sums(len(traits))
    if kept:
        sums.add(_sums_of(fitted, lm, kept, weigh))
        sums.counts["rows"] = count
    if progress:
        progress(count)
    return sums.looked(lens.name, traits, fitted.warnings, sampled=len(kept) if count > len(kept) else 0)


def _sample(rows: Iterable[Row], most: int, seed: int) -> tuple[list[Row], int]:
    """A random sample of a stream in its order, every row as likely as any other, and how many rows there were."""
    import numpy as np

    kept, count = drawn(enumerate(rows), most, np.random.default_rng([seed, most]))
    return [row for _, row in sorted(kept, key=lambda found: found[0])], count


__all__ = ["BATCH", "Looked", "beforehand", "differs", "identity", "look", "parts", "resembles", "scores"]
