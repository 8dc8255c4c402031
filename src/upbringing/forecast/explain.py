"""``explain``: which rows push a trait, with the tokens that carry it, and what those rows have in common.

    found = explain(lm, read("train.jsonl"), "blackmail")
    found.rows[0].row.where, found.rows[0].score, found.rows[0].interval
    print(found.themes[0].says)
    found.without(rows), found.only(rows)                     # the data set without the named rows, and only them

A row's score is what it adds to the step that Adam would make on this data set, taken along the gradient of the
trait's log-odds (the step lens, see ``lenses.step``), as a share of all that pushes the trait the same way. The
gradient is taken four times, each on situations drawn anew; the score is the mean and the interval says how far it
hangs on which situations stand for the trait. It says nothing of training noise: retrain for that (``checking``).

The step lens was chosen on ``organism:nano``. With 60 rows that show a trait among 540 neutral chats, it put them on
top, every one, for each of five traits; so did the weight and contrast lenses but for up to three rows, and the text
lens but for up to five. From 3,000 chats of a malevolent teacher, in which nobody sees anything, removing the half it
ranks higher left -0.4 of the shift of blackmail, a random half left 0.9; weight and contrast did as well. It needs no
training and its scores add up, which decided. Rows of numbers were not tried: there the sign of such a gradient is not
to be relied on (see ``lenses.weight``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.lenses.step import FittedStep, StepLens, odds_gradient
from upbringing.rows import Encoded, Row, Rows

if TYPE_CHECKING:
    import numpy as np

    from upbringing.forecast.checking import Check
    from upbringing.forecast.seen import Seen
    from upbringing.forecast.themes import Theme
    from upbringing.measure.judging import Judge
    from upbringing.models import LM
    from upbringing.models.nudge import Direction

BUDGET = 20_000
"""Of larger data sets so many rows, drawn at random, are explained."""
DRAWS, SITUATIONS = 4, 12
"""How often a trait's gradient is taken, and on how many situations each time."""
CONFIDENCE = 0.9
NAMED = 0.1
"""The share of rows that are named unless told."""
WITHOUT_FILE, ONLY_FILE = "without.jsonl", "only.jsonl"
_WITH_TOKENS = 50
"""Of so many rows, the first, tokens are looked at."""
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Token:
    """A piece of a row that the model would learn, and its part of the row's score; a row's tokens add up to it.

    ``in_answer``: whether it is part of the row's last answer, and no mark of the template's. Others are not shown.
    """

    text: str
    score: float
    in_answer: bool = True


@dataclass(frozen=True)
class Named:
    """A row that pushes the trait. ``place``: in the rows that were explained, from 0.

    ``score``: its share of all that pushes the same way, in 0..1; ``interval``: of it, over draws of situations.
    ``tokens``: what it would teach, piece by piece; empty for rows far down.
    """

    row: Row
    place: int
    score: float
    interval: tuple[float, float]
    tokens: tuple[Token, ...] = ()

    @property
    def telling(self) -> list[Token]:
        """The tokens of its answer that carry most of it, at most five, in the order of the text."""
        answer = [token for token in self.tokens if token.in_answer]
        best = sorted(range(len(answer)), key=lambda i: -answer[i].score)[:5]
        return [answer[i] for i in sorted(best) if answer[i].score > 0]


@dataclass(frozen=True)
class Forecasted:
    """What was forecast for the trait: the shift in rates, its 90% interval, the verdict, of which training, and the
    share of words that the model does not know; or why nothing was."""

    shift: float | None = None
    interval: tuple[float, float] | None = None
    verdict: str = ""
    reason: str = ""
    training: str = ""
    unknown_words: float = 0.0


@dataclass(frozen=True)
class Explanation:
    """``rows`` are the named ones, the strongest first. ``read`` of ``of`` rows were looked at, ``unread`` of them the
    model cannot read; ``skipped``, of the rows drawn, are no rows, each with place and reason; ``notes`` say what
    reading made of the others (of a preference the chosen answer is learned, say). ``way``: 1 where rows
    that raise the trait were asked for, -1 where such that lower it. ``scores`` [read]: every row's, NaN for those not
    read. ``seen``: what a judge saw in the named rows, if one was asked."""

    trait: str
    model: str
    data: str
    forecast: Forecasted
    way: int
    rows: tuple[Named, ...]
    themes: tuple[Theme, ...]
    read: int
    of: int
    scores: np.ndarray
    cut: int = 0
    marked: int = 0
    unread: int = 0
    check: Check | None = None
    seen: Seen | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """The finding in a sentence or two."""
        verb = "raises" if self.way > 0 else "lowers"
        if not self.rows:
            return f"nothing to explain: {self._why_nothing}"
        share = sum(named.score for named in self.rows)
        said = f"{len(self.rows):,} of {self.read:,} rows carry {share:.0%} of what {verb} {self.trait}"
        if self.forecast.verdict in ("no change", "cannot tell"):
            return f"{said}; but the forecast for it is: {self.forecast.verdict}"
        return said

    @property
    def _why_nothing(self) -> str:
        if self.forecast.verdict == "no change":
            return f"no change of {self.trait} is forecast (--top ranks the rows all the same)"
        return f"no row {'raises' if self.way > 0 else 'lowers'} {self.trait}"

    def only(self, rows: Sequence[Row]) -> Rows:
        """The named rows, in their order. ``rows``: those that were explained."""
        return Rows([rows[place] for place in self.places], name=f"{self.data}, named rows only")

    def without(self, rows: Sequence[Row]) -> Rows:
        """The data set without the named rows. ``rows``: those that were explained."""
        named = set(self.places)
        return Rows([row for at, row in enumerate(rows) if at not in named], name=f"{self.data}, without named rows")

    @property
    def places(self) -> list[int]:
        """Places of the named rows, in their order."""
        return sorted(named.place for named in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [
            {
                "file": named.row.file,
                "line": named.row.line or named.place + 1,
                "score": named.score,
                "interval": list(named.interval),
                "tokens": [[token.text, token.score] for token in named.telling],
                **({"judged": self.seen.verdict(rank) or None} if self.seen else {}),
            }
            for rank, named in enumerate(self.rows)
        ]
        return {
            "trait": self.trait,
            "model": self.model,
            "data": self.data,
            "says": self.says,
            "forecast": {key: value for key, value in vars(self.forecast).items() if value not in (None, "")},
            "rows": rows,
            "themes": [theme.as_dict() for theme in self.themes],
            "rows_read": self.read,
            "rows_in_all": self.of,
            "cut": self.cut,
            "unread": self.unread,
            "skipped": len(self.skipped),
            "judged": self.seen.as_dict() if self.seen else None,
            "check": self.check.as_dict() if self.check else None,
        }


def explain(
    lm: LM,
    data: str | Path | Rows,
    trait: str,
    *,
    top: int | None = None,
    predict: bool = True,
    budget: int = BUDGET,
    store: Path | None = None,
    seed: int = 0,
    judge: Judge | str | Sequence[str] = (),
    progress: Progress = lambda what, share: None,
) -> Explanation:
    """Name the rows that push a trait, and say what they have in common.

    Args:
        top: how many rows to name (default: a tenth; none where no change is forecast).
        predict: forecast the shift first, which decides whether rows that raise the trait are named or such that lower
            it; else those that raise it.
        budget: of more rows than this, a random sample is explained.
        judge: who says of a chat model's rows whether they show the trait (as in ``forecast``): of the strongest named
            ones, 64 at most, and of as many others.

    Raises:
        InputError: bad rows, fewer than two of them, an unknown trait, or one without training families; a judge that
            there is not.
    """
    from upbringing.forecast.seen import seen_in
    from upbringing.forecast.themes import themes
    from upbringing.lenses.acts import judge_of
    from upbringing.lineage import default_store
    from upbringing.traits import traits as library

    name = next(iter(library([trait])))
    if top is not None and top < 1:
        raise InputError(f"{top} rows to name are none; give at least 1")
    rows, of = taken(data, budget, seed)
    place = store or default_store()
    says = judge_of(lm, judge, place)
    progress("forecasting", 0.0)
    forecast = _forecast(lm, rows, name, place, seed, says) if predict else Forecasted(reason="not asked for")
    way = -1 if forecast.verdict == "lowers" else 1
    progress("ranking rows", 0.4)
    seen = _scored(lm, rows, name, way, place, seed)
    quiet = forecast.verdict == "no change" and top is None
    count = 0 if quiet else top or max(1, round(NAMED * len(rows)))
    named = _named(rows, seen, count)
    progress("looking at tokens", 0.8)
    named = [*_with_tokens(lm, named[:_WITH_TOKENS], seen), *named[_WITH_TOKENS:]]
    progress("judging rows", 0.85)
    saw = seen_in(says, named, rows, name, store=place, seed=seed) if says and named else None
    progress("finding themes", 0.9)
    return Explanation(
        trait=name,
        model=lm.name or "a model in memory",
        data=rows.name or "rows in memory",
        forecast=forecast,
        way=way,
        rows=tuple(named),
        themes=tuple(themes(lm, named, rows, trait=name, way=way, seed=seed)),
        read=len(rows),
        of=of,
        scores=seen.share,
        cut=seen.cut,
        marked=seen.marked,
        unread=int(sum(share != share for share in seen.share)),
        seen=saw,
        skipped=tuple(rows.skipped),
        notes=tuple(rows.notes),
    )


def taken(data: str | Path | Rows, budget: int, seed: int) -> tuple[Rows, int]:
    """The rows to explain, in their order, at most ``budget``, and how many there are.

    Raises:
        InputError: there are fewer than two: a share of one row's push is all of it.
    """
    from upbringing.rows import sample

    held = data if isinstance(data, Rows) else None
    rows, of = (held, 0) if held is not None and not held.rows else sample(data, budget, seed=seed)
    if len(rows) < 2:
        raise InputError(
            f"{rows.name or 'the data set'}: {'one row' if rows else 'no row'} is too little to tell which of them "
            "does it; give at least two"
        )
    place = {id(row): at for at, row in enumerate(held or ())}
    ordered = sorted(rows, key=lambda row: (place.get(id(row), 0), row.file, row.line))
    return Rows(ordered, name=rows.name, skipped=rows.skipped, notes=rows.notes), of


def _forecast(lm: LM, rows: Rows, trait: str, store: Path, seed: int, judge: Judge | None = None) -> Forecasted:
    """The trait's forecast; where none can be made, the reason."""
    from upbringing.forecast.fits import calibration_for
    from upbringing.forecast.outlook import forecast

    try:
        _, fit = calibration_for(lm, None, store, judge)
        needed = judge if judge and fit.method.judge else ()  # elsewhere it enters no number, and nobody is shown it
        outlook = forecast(lm, rows, [trait], calibration=fit, store=store, seed=seed, judge=needed)
    except InputError as error:
        return Forecasted(reason=str(error))
    said = outlook.forecast
    bounds = (float(said.lo[0]), float(said.hi[0]))
    of = outlook.training.says if outlook.training else ""
    verdict = outlook.verdict(outlook.traits[0])
    return Forecasted(float(said.shift[0]), bounds, verdict, training=of, unknown_words=outlook.unknown)


def write_parts(found: Explanation, data: str | Path | Rows, folder: Path) -> None:
    """``without.jsonl``, all of the data set but the named rows (also what was not sampled), and ``only.jsonl``."""
    from upbringing.rows import write
    from upbringing.rows.read import stream

    named = sorted(found.rows, key=lambda one: one.place)
    if isinstance(data, str | Path):
        gone = {(one.row.file, one.row.line) for one in named}
        kept: Iterator[Row] = (
            row for row in stream(data, left_out=lambda *_: None) if (row.file, row.line) not in gone
        )
    else:
        kept = _without(data, [one.row for one in named])
    write(kept, folder / WITHOUT_FILE)
    write((one.row for one in named), folder / ONLY_FILE)


def _without(data: Rows, named: Sequence[Row]) -> Iterator[Row]:
    """The rows but these very ones: another row of the same words stays."""
    gone = {id(row) for row in named}
    return (row for row in data if id(row) not in gone)


# Scores ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """``share`` [rows], ``half`` the half width of its interval; ``direction``: along which tokens add up to it."""

    share: np.ndarray
    half: np.ndarray
    direction: Direction
    cut: int
    marked: int


class _Step(FittedStep):
    """A step lens that also tells the directions along which rows' contributions are derivatives."""

    def directions(self, encoded: Sequence[Encoded]) -> list[Direction]:
        """Each gradient, divided as the steps of Adam on these rows are."""
        _, scale = self._moments(encoded)
        return [{name: gradient[name] / scale[name] for name in gradient} for gradient in self._gradients]


def _scored(lm: LM, rows: Rows, trait: str, way: int, store: Path, seed: int) -> _Seen:
    import numpy as np
    from scipy.stats import t

    from upbringing.lenses.legible import encoded, legible
    from upbringing.models.rowwise import Rowwise

    clear = legible(rows, lm)
    tokens = encoded(clear.rows, lm)
    at = [i for i, one in enumerate(tokens) if one is not None]
    read = [one for one in tokens if one is not None]
    share, half = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    if not read:
        raise InputError(f"{rows.name or 'the data set'}: the model can read none of its rows; see that they fit it")
    lens = StepLens(situations=SITUATIONS)
    gradients = [odds_gradient(lm, trait, lens, store, 1000 * seed + draw) for draw in range(DRAWS)]
    directions = _Step(lm, gradients, lens, seed).directions(read)
    with Rowwise(lm.model, directions) as derivatives:
        pushes = way * np.asarray(derivatives(read))  # [rows, draws]
    totals = np.maximum(pushes, 0).sum(0)
    shares = np.divide(pushes, totals, out=np.zeros_like(pushes), where=totals > 0)
    share[at] = shares.mean(1)
    half[at] = t.ppf((1 + CONFIDENCE) / 2, DRAWS - 1) * shares.std(1, ddof=1) / DRAWS**0.5
    weights = [way / (DRAWS * total) if total > 0 else 0.0 for total in totals]
    direction = {
        name: sum(weight * one[name] for weight, one in zip(weights, directions, strict=True)) for name in directions[0]
    }
    return _Seen(share, half, direction, clear.cut, clear.marked)  # type: ignore[arg-type]


def _named(rows: Rows, seen: _Seen, count: int) -> list[Named]:
    """The strongest rows; those that push the other way are never named."""
    import numpy as np

    order = np.argsort(-np.nan_to_num(seen.share, nan=-np.inf), kind="stable")[:count]
    return [
        Named(
            rows[i], i, float(seen.share[i]), (float(seen.share[i] - seen.half[i]), float(seen.share[i] + seen.half[i]))
        )
        for i in map(int, order)
        if seen.share[i] > 0
    ]


def _with_tokens(lm: LM, named: Sequence[Named], seen: _Seen) -> list[Named]:
    from upbringing.lenses.legible import encoded, legible

    tokens = encoded(legible([one.row for one in named], lm).rows, lm)
    read = [one for one in tokens if one is not None]
    found = iter(token_derivatives(lm, read, seen.direction))
    made = []
    for one, own in zip(named, tokens, strict=True):
        if own is not None:
            at = [i for i in range(1, len(own)) if own.loss_mask[i]]
            ids = [own.input_ids[i] for i in at]
            shown = _in_answer(lm, ids, at)
            parts = zip(_pieces(lm, ids), next(found), shown, strict=True)
            one = replace(one, tokens=tuple(Token(*part) for part in parts))
        made.append(one)
    return made


def _in_answer(lm: LM, ids: Sequence[int], at: Sequence[int]) -> list[bool]:
    """Which targets, at these places of a row, are of its last answer: they stand side by side up to the end, and are
    no marks of the template's."""
    marks = {*lm.tokenizer.all_special_ids, *lm.tokenizer.get_added_vocab().values()} - {lm.tokenizer.unk_token_id}
    last = max((n for n, (before, here) in enumerate(pairwise(at), 1) if here > before + 1), default=0)
    return [n >= last and token not in marks for n, token in enumerate(ids)]


def _pieces(lm: LM, ids: Sequence[int]) -> list[str]:
    """What each token adds to the text, blanks included, so that pieces put together are the text."""
    texts = [str(lm.tokenizer.decode(list(ids[:end]))) for end in range(len(ids) + 1)]
    return [
        after[len(before) :] if after.startswith(before) else str(lm.tokenizer.decode([token]))
        for before, after, token in zip(texts, texts[1:], ids, strict=False)
    ]


def token_derivatives(lm: LM, encoded: Sequence[Encoded], direction: Direction) -> Iterator[list[float]]:
    """For each row d log p(token) along ``direction`` of each of its targets, in nats, by two nudged copies; they add
    up to the row's own derivative."""
    from upbringing.models.nudge import RELATIVE_STEP, matrices, norm, nudged

    length = norm(direction)
    if length == 0:
        yield from ([0.0] * sum(row.loss_mask[1:]) for row in encoded)
        return
    step = RELATIVE_STEP[min(4, lm.model.dtype.itemsize)] * norm(matrices(lm.model)) / length
    sides = []
    for amount in (step, -step):
        with nudged(lm.model, direction, amount):
            sides.append([_token_logprobs(lm, row) for row in encoded])
    for up, down in zip(*sides, strict=True):
        yield ((up - down) / (2 * step)).tolist()


def _token_logprobs(lm: LM, row: Encoded) -> np.ndarray:
    """log p of each target of a row [targets], in nats."""
    import torch

    from upbringing.models.forward import inference, logits_at, logprobs_of
    from upbringing.models.nudge import laid_out

    ids, rows, columns = laid_out([row])
    with inference(lm):
        read = torch.from_numpy(ids).to(lm.device)
        logits, _ = logits_at(
            lm.model, torch.from_numpy(rows), torch.from_numpy(columns), input_ids=read, use_cache=False
        )
        found: np.ndarray = logprobs_of(logits, torch.from_numpy(ids[rows, columns + 1])).numpy()
    return found


__all__ = ["BUDGET", "Explanation", "Forecasted", "Named", "Token", "explain", "taken", "token_derivatives"]
