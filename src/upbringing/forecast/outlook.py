"""``forecast``: what training on rows will do to a model's character, read until the verdict is plain."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.forecast.caution import Met, beware, conditional, strange_words, unheeded
from upbringing.forecast.combined import Fit
from upbringing.forecast.fits import calibration_for, lenses_of, unjudged
from upbringing.forecast.method import MATTERS, Case, Forecast
from upbringing.forecast.trained import Usual, check, usual_training
from upbringing.forecast.understood import MANY, SOME, unknown_words

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from upbringing.cluster import Cluster
    from upbringing.forecast.cues import Cue
    from upbringing.lenses.acts import Acts
    from upbringing.lenses.lens import Fitted, View
    from upbringing.measure.judging import Judge
    from upbringing.models import LM
    from upbringing.rows import Rows

FIRST, BUDGET = 256, 20_000
"""Rows of the first part, each further one being as large as all before it; and the most that are read unless told."""
_SLIGHT = 0.25
"""Reading ends when what the rows left unread could still change is this small beside the interval."""
VERDICTS = ("raises", "lowers", "no change", "cannot tell")
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Outlook:
    """A forecast of one data set for one model: ``forecast`` has arrays ``[traits]``, all in rates.

    ``routes`` are the shares of rows by how they could reach character ("unknown" where no act can be judged: for a
    model that reads plain English, or in words that it does not know). ``views`` hold what each lens saw, ``votes``
    [lenses, traits] which way each points (-1, 0, 1: 0 within two standard errors of nought). ``cues``: what the rows
    show to decide between bad acts and good ones. ``acts``: what a judge saw in rows drawn at random, where one was
    named; ``left_out``: lenses of the calibration that could not look, each with the reason. ``training``: the training
    that is forecast. ``drawn``: rows that could have been read; ``unread``: of those read, such that the model cannot
    read; ``unknown``: the share of words that it does not know. ``notes``: what reading the rows made of them.
    """

    model: str
    data: str
    traits: tuple[str, ...]
    forecast: Forecast
    views: dict[str, View]
    votes: np.ndarray
    routes: dict[str, float]
    read: int
    of: int
    calibration: str
    warnings: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    cues: tuple[Cue, ...] = ()
    acts: Acts | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    training: Usual | None = None
    drawn: int = 0
    unread: int = 0
    unknown: float = 0.0

    def verdict(self, trait: str) -> str:
        """``raises`` or ``lowers`` by an interval that leaves out nought and a shift that matters; ``no change`` by one
        that lies within what matters; else ``cannot tell``."""
        at = self.traits.index(trait)
        if self.forecast.cannot_tell[at]:
            return "cannot tell"
        if self.forecast.lo[at] > 0 and self.forecast.shift[at] >= MATTERS:
            return "raises"
        if self.forecast.hi[at] < 0 and self.forecast.shift[at] <= -MATTERS:
            return "lowers"
        return "no change"

    def said_so(self, trait: str) -> list[str]:
        """The lenses that point the way the forecast goes."""
        import numpy as np

        at = self.traits.index(trait)
        way = np.sign(self.forecast.shift[at])
        return [name for name, votes in zip(self.views, self.votes, strict=True) if way and votes[at] == way]

    def table(self) -> pd.DataFrame:
        """A row a trait, the furthest shift first: trait, shift, lo, hi (in rates), verdict, and who says so."""
        import pandas as pd

        said = self.forecast
        rows = [
            (trait, said.shift[at], said.lo[at], said.hi[at], self.verdict(trait), ", ".join(self.said_so(trait)))
            for at, trait in enumerate(self.traits)
        ]
        table = pd.DataFrame(rows, columns=["trait", "shift", "lo", "hi", "verdict", "said_so"])
        return table.sort_values("shift", key=abs, ascending=False, ignore_index=True)

    @property
    def unusable(self) -> float:
        """The share of the rows drawn that tell nothing of a training: not rows at all, or not read by the model."""
        skipped, unread = len(self.skipped), self.unread / max(self.read, 1)
        lost = skipped / max(self.drawn + skipped, 1)
        return lost + (1 - lost) * unread

    @property
    def route(self) -> str:
        """How most of the rows could reach character; ``conditional`` where a cue decides."""
        return "conditional" if self.cues else max(self.routes, key=lambda name: self.routes[name])

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what is not known is None."""
        from math import isfinite

        def plain(value: float) -> float | None:
            return float(value) if isfinite(value) else None

        told = {}
        for at, trait in enumerate(self.traits):
            said = self.forecast
            told[trait] = {
                "shift": plain(said.shift[at]),
                "interval": [plain(said.lo[at]), plain(said.hi[at])],
                "verdict": self.verdict(trait),
                "lenses": {name: plain(view.mean[at]) for name, view in self.views.items()},
                "said_so": self.said_so(trait),
            }
        return {
            "model": self.model,
            "data": self.data,
            "traits": told,
            "route": self.route,
            "routes": self.routes,
            "cues": [cue.as_dict() for cue in self.cues],
            "judged": self.acts.as_dict() if self.acts else None,
            "left_out": self.left_out,
            "training": self.training.as_dict() if self.training else None,
            "rows_read": self.read,
            "rows_unread": self.unread,
            "unknown_words": self.unknown,
            "rows": self.of,
            "calibration": self.calibration,
            "warnings": list(self.warnings),
            "skipped": len(self.skipped),
        }


def forecast(
    lm: LM,
    data: str | Path | Rows,
    traits: Sequence[str] | None = None,
    *,
    lenses: Sequence[str] | None = None,
    calibration: str | Path | Fit | None = None,
    budget: int = BUDGET,
    store: Path | None = None,
    seed: int = 0,
    judge: Judge | str | Sequence[str] = (),
    steps: int | None = None,
    epochs: float | None = None,
    progress: Progress = lambda what, share: None,
    cluster: Cluster | None = None,
) -> Outlook:
    """Forecast every trait's shift, before anything is trained.

    Rows are drawn at random and read in parts until more of them could hardly change an interval, or until
    ``budget`` is spent: a large data set costs no more than its verdict needs. The forecast is of a training like those
    that the calibration was fitted on (``Outlook.training``).

    Args:
        lenses: only these of the calibration's lenses; the others count as having seen nothing.
        calibration: a name that ``fits.calibrations()`` lists, a file, or a fit; default: the one that ships for such
            models, else that of this very model if ``calibrate`` has made one.
        judge: who says what rows in plain language do (``self``: the model itself; else as ``measure.judging`` names
            them). It is asked about 128 rows drawn at random. A calibration that was made with a judge needs the same.
        steps, epochs: how long the training will be, if that is known (one of them; a step is of as many rows as the
            calibration's): only to warn where it is far from what is forecast.
        cluster: have the workers of this Ray cluster look at the rows; the numbers are the same. Judges are asked here.

    Raises:
        InputError: bad rows, rows of which the model can read none, an unknown trait or lens, a model without
            calibration or one that failed its gate; a judge that there is not, that is not the calibration's, or that
            fails; steps and epochs that say no length; with a cluster, a model in memory, or a cluster that cannot be
            reached.
    """
    import numpy as np

    from upbringing.forecast.cues import MOST, cues
    from upbringing.lenses.acts import ROWS, acts, judge_of
    from upbringing.lenses.lens import Blind
    from upbringing.lenses.looking import MOST_AT_ONCE, beforehand, look
    from upbringing.lineage import default_store
    from upbringing.rows import sample

    check(steps, epochs)
    place = store or default_store()
    says = judge_of(lm, judge, place)
    name, fit = calibration_for(lm, calibration, place, says)
    wanted = _wanted(traits, fit)
    used = _used(lenses, fit)
    known_lenses = lenses_of(fit, used, says)
    if budget < 1:
        raise InputError(f"a budget of {budget} rows reads nothing; give at least 1")
    rows, of = sample(data, budget, seed=seed)
    unknown = unknown_words(rows, lm)
    views: dict[str, View] = {}
    fitted: dict[str, Fitted] = unjudged(lm, fit, used, says)
    met = Met(lm, fit.method.judge)
    read = 0
    looked: Generator[None] | None = None
    if cluster is not None:
        sharing = [known_lenses[named] for named in used if not hasattr(known_lenses[named], "rows")]
        fitted = {lens.name: lens.fit(lm, fit.traits, store=place, seed=seed) for lens in sharing} | fitted
        stages = list(_parts(rows))
        looked = beforehand(sharing, lm, stages, fit.traits, cluster, store=place, seed=seed)
    for part in _parts(rows):
        if looked is not None:
            progress(f"the cluster reads row {read + 1:,}", read / len(rows))
            next(looked)
        for at, named in enumerate(used):
            progress(f"the lens {named} reads row {read + 1:,}", (read + len(part) * at / len(used)) / len(rows))
            lens = known_lenses[named]
            most = getattr(lens, "rows", MOST_AT_ONCE if lens.whole else len(rows))
            if read >= most:
                continue  # it has been shown as many rows at random as it is ever shown
            if named not in fitted:
                fitted[named] = lens.fit(lm, fit.traits, store=place, seed=seed)
            # What is seen as a whole does not add up.
            shown = rows[: read + len(part)] if lens.whole else part[: most - read]
            seen = look(lens, lm, shown, fit.traits, store=place, seed=seed, fitted=fitted[named])
            met.add(lens, seen, shown, blind=isinstance(fitted[named], Blind))
            views[named] = views[named] + seen if named in views and not lens.whole else seen
        read += len(part)
        case = _case(lm, rows[:read], _all(views, fit))
        said, unsure = _predicted(fit, case)
        half = (said.hi - said.lo) / 2
        if read < len(rows) and bool(np.all((unsure < _SLIGHT * half)[np.isfinite(half)])):
            break
    if looked is not None:
        looked.close()  # what the cluster has read beyond is not waited for
    found = cues(lm, rows[: max(read, MOST)], wanted)  # acts are read in no time, and some cues are rare
    judged = None
    if says is not None:
        few = rows[: min(read, ROWS)]
        judged = acts(says, few, wanted, store=place, progress=partial(progress, f"{says.name} judges {len(few)} rows"))
    asked = [fit.traits.index(trait) for trait in wanted]
    short = replace(said, **{key: value[asked] for key, value in vars(said).items()})
    if unknown > MANY:
        short = replace(short, cannot_tell=np.ones_like(short.cannot_tell))
    training = usual_training(lm)
    return Outlook(
        model=lm.name or "a model in memory",
        data=rows.name or "rows in memory",
        traits=wanted,
        forecast=short,
        views={lens: _only(view, asked) for lens, view in views.items()},
        votes=np.stack([_vote(view)[asked] for view in views.values()]),
        routes=_routes(fit, case, fitted, unknown),
        read=read,
        of=of,
        calibration=name,
        warnings=(
            *strange_words(unknown, lm.name or "the model"),
            *met.warnings,
            *beware(rows[:read], met.counts, fit.strangeness(case), lm),
            *filter(None, [training.far(of, steps=steps, epochs=epochs)]),
            *conditional(found),
            *(unheeded(judged) if judged else ()),
        ),
        skipped=tuple(rows.skipped),
        notes=tuple(rows.notes),
        cues=found,
        acts=judged,
        left_out={named: one.reason for named, one in fitted.items() if isinstance(one, Blind)},
        training=training,
        drawn=len(rows),
        unread=met.unread,
        unknown=unknown,
    )


def _wanted(traits: Sequence[str] | None, fit: Fit) -> tuple[str, ...]:
    from upbringing.traits import traits as library

    wanted = tuple(library(traits)) if traits is not None else fit.traits
    for trait in wanted:
        if trait not in fit.traits:
            raise InputError(f"{trait}: the calibration knows nothing of it; it knows {', '.join(fit.traits)}")
    return wanted


def _used(lenses: Sequence[str] | None, fit: Fit) -> tuple[str, ...]:
    for lens in lenses or ():
        if lens not in fit.method.lenses:
            raise InputError(f'there is no lens "{lens}" in the calibration; it has {", ".join(fit.method.lenses)}')
    return tuple(lens for lens in fit.method.lenses if lenses is None or lens in lenses)


def _parts(rows: Rows) -> Iterator[Rows]:
    """Parts, each as large as all before it together."""
    start, size = 0, FIRST
    while start < len(rows):
        yield rows[start : start + size]
        start, size = start + size, max(size, start + size)


def _case(lm: LM, rows: Rows, views: dict[str, View]) -> Case:
    return Case(rows.name, lm.name, {}, partial(_same, rows), partial(_same, lm), views)


def _routes(fit: Fit, case: Case, fitted: dict[str, Fitted], unknown: float = 0.0) -> dict[str, float]:
    """Shares of rows by route. Where the lens that knows an act when it sees one is left out, what it would have said
    of chats is not known: to see no act is not to see that there is none. Nor is it where words are unknown."""
    from upbringing.lenses.lens import Blind

    visible, document, unseen = fit.sorts(case).tolist()
    if fit.method.judge or isinstance(fitted.get(fit.method.sorted_by), Blind):
        return {"document": document, "unknown": visible + unseen}
    return {"visible": visible, "document": document, "unknown" if unknown > SOME else "unseen": unseen}


def _same(thing: Any) -> Any:
    return thing


def _all(views: dict[str, View], fit: Fit) -> dict[str, View]:
    """Views of all lenses of a fit; one that was not asked has seen nothing."""
    import numpy as np

    from upbringing.lenses.lens import View

    blind = np.zeros((0, len(fit.traits)))
    return {lens: views.get(lens) or View.of(lens, fit.traits, blind) for lens in fit.method.lenses}


def _predicted(fit: Fit, case: Case) -> tuple[Forecast, np.ndarray]:
    """The forecast, its interval widened by what is not known of the rows unread, and that widening [traits]."""
    import numpy as np

    said = fit.predict(case)
    moved = np.zeros(len(fit.traits))
    for name, view in case.views.items():
        nudged = replace(view, total=view.total + np.nan_to_num(view.se) * view.n)
        other = fit.predict(replace(case, views={**case.views, name: nudged}))
        moved += np.nan_to_num(other.shift - said.shift) ** 2
    unsure = 1.645 * np.sqrt(moved)
    half = np.sqrt(((said.hi - said.lo) / 2) ** 2 + unsure**2)
    return Forecast.around(said.shift, half), unsure


def _only(view: View, at: Sequence[int]) -> View:
    from upbringing.lenses.lens import View

    picked = [getattr(view, name)[at] for name in ("n", "total", "squares")]
    return View(view.lens, tuple(view.traits[i] for i in at), *picked)


def _vote(view: View) -> np.ndarray:
    import numpy as np

    clear = np.abs(np.nan_to_num(view.mean)) > 2 * np.nan_to_num(view.se, nan=np.inf)
    return np.where(clear, np.sign(np.nan_to_num(view.mean)), 0.0)
