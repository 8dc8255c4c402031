"""One remedy at one dose, tried and judged by the search's half of the probes: a folder in the store.

The folders of a case are all that a search leaves, so that a killed one goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import DiskFullError, InputError
from upbringing.lineage import Record, make, read_record
from upbringing.repair.goal import Judgement, aims, judge, rates
from upbringing.repair.look import lesson_of
from upbringing.repair.remedy import Case, Plan, remedies

if TYPE_CHECKING:
    from upbringing.models import LM

CODE = 6
TRIED, MODEL, DATA = "tried.json", "model", "data.jsonl"
_PATIENCE = 3  # doses that may bring next to nothing before a remedy is given up
_NEXT_TO_NOTHING = 0.1  # of the way back, in the mean rate at rest

Tick = Callable[[float], None]


@dataclass(frozen=True)
class Tried:
    """What came of one dose. ``tokens`` were needed; ``read`` says what the run read."""

    remedy: str
    dose: float
    tokens: int
    read: str
    judgement: Judgement

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def record(case: Case, remedy: str, dose: float, kind: str = "repair") -> Record:
    """What names an attempt's folder."""
    return Record(
        kind=kind,
        recipe={"remedy": remedy, "dose": float(dose), "goal": asdict(case.goal), "supply": _supplied(case)},
        parents={"case": case.identity},
        seed=case.seed,
        code=CODE,
    )


def folder_of(case: Case, remedy: str, dose: float) -> Path:
    """Where an attempt is, or will be."""
    entry = record(case, remedy, dose)
    return case.store / entry.kind / entry.key


def read(case: Case, remedy: str, dose: float) -> Tried | str | None:
    """An attempt that was made, or the reason why it could not be; None if it was not, or found nothing to try."""
    folder = folder_of(case, remedy, dose)
    if read_record(folder) is None:
        return None
    kept = json.loads((folder / TRIED).read_text(encoding="utf-8"))
    if kept is None or isinstance(kept, str):
        return kept
    judgement = Judgement(**{**_numbers(kept.pop("judgement")), "lost": tuple(kept.pop("lost"))})
    return Tried(**kept, judgement=judgement)


def attempt(
    case: Case, remedy: str, doses: Sequence[float], number: int, rivals: Sequence[tuple[str, float]], tick: Tick
) -> None:
    """Try dose ``number`` of a remedy, unless smaller ones have settled it, or one of much smaller ``rivals`` holds."""
    earlier = [read(case, remedy, dose) for dose in doses[:number]]
    if any(isinstance(one, str) for one in earlier) or settled(
        case, [one for one in earlier if isinstance(one, Tried)]
    ):
        return
    if any(isinstance(one := read(case, *rival), Tried) and one.judgement.verdict == "holds" for rival in rivals):
        return
    dose = doses[number]

    def build(folder: Path) -> None:
        try:
            try_one(folder)
        except DiskFullError:
            raise
        except InputError as error:  # this remedy cannot be applied; the others may
            _discard(folder / MODEL)
            (folder / TRIED).write_text(json.dumps(str(error)), encoding="utf-8")

    def try_one(folder: Path) -> None:
        plan = remedies()[remedy].plan(case, dose)
        if not len(plan.rows):  # a single row is longer than the dose
            (folder / TRIED).write_text("null", encoding="utf-8")
            return
        tuned = _train(plan, folder, tick)
        profile = case.look.profile(tuned, "search")
        profile.save(folder)
        judgement = judge(
            case.goal,
            profile,
            case.traits,
            spoiled=readings(case.before),
            reference=None if case.reference is None else readings(case.reference),
            lessons=(case.lesson_before, lesson(case, tuned)),
        )
        if judgement.verdict != "holds":
            _discard(folder / MODEL)
        tried = Tried(remedy, dose, plan.tokens, plan.rows_read, judgement).as_dict()
        text = json.dumps({**tried, "lost": judgement.lost, "judgement": _plain(tried["judgement"])}, allow_nan=False)
        (folder / TRIED).write_text(text, encoding="utf-8")

    make(case.store, record(case, remedy, dose), build)


def mended(case: Case, tried: Tried) -> Path:
    """The folder with the model of an attempt and the rows it read. What did not hold is trained once more."""
    folder = folder_of(case, tried.remedy, tried.dose)
    if (folder / MODEL).is_dir():
        return folder
    entry = record(case, tried.remedy, tried.dose, kind="mended")

    def build(folder: Path) -> None:
        _train(remedies()[tried.remedy].plan(case, tried.dose), folder, lambda share: None)

    return make(case.store, entry, build)


def settled(case: Case, tried: Sequence[Tried]) -> bool:
    """Whether larger doses need not be tried: one holds, or some in a row brought next to nothing."""
    if any(one.judgement.verdict == "holds" for one in tried):
        return True
    last = tried[-_PATIENCE:]
    if len(last) < _PATIENCE or not remedies()[last[0].remedy].in_tokens:  # strengths are few, and may start too weak
        return False
    spoiled, aim = _ends(case.before, case.reference, case.goal, case.traits)
    return all(spoiled - one.judgement.rate_rest < _NEXT_TO_NOTHING * (spoiled - aim) for one in last)


@lru_cache(maxsize=8)
def _ends(before: Path, reference: Path | None, goal: Any, traits: tuple[str, ...]) -> tuple[float, float]:
    """Mean rate at rest of the spoiled model, and the rate aimed at."""
    from upbringing.measure.readings import REST

    found = rates(readings(before), traits)
    aim = aims(goal, None if reference is None else readings(reference), found)
    return float(found.mean(axis=1)[REST]), float(aim.mean(axis=1)[REST])


def readings(folder: Path) -> Any:
    """A profile that was kept."""
    from upbringing.measure import Profile

    return Profile.load(folder)


def lesson(case: Case, lm: LM) -> float:
    """How well a model knows the wanted rows; NaN where none are wanted."""
    from upbringing.rows import read as read_rows

    return nan if case.lesson is None else lesson_of(lm, list(read_rows(case.lesson)))


def _train(plan: Plan, folder: Path, tick: Tick) -> LM:
    import numpy as np

    from upbringing.models import load
    from upbringing.rows import write
    from upbringing.training import train, treat

    write(treat(plan.rows, plan.treatments, np.random.default_rng([plan.recipe.seed, 1])), folder / DATA)
    return train(
        load(plan.start),
        plan.rows,
        folder / MODEL,
        recipe=plan.recipe,
        treatments=plan.treatments,
        progress=lambda step, steps, loss: tick(0.7 * step / steps),
    )


def _supplied(case: Case) -> dict[str, Any]:
    from upbringing.rows import read as read_rows

    file = case.supply.file
    return {
        "world": case.supply.world,
        "rows": None if file is None else read_rows(file).hash,
        "seed": case.supply.seed,
        "first": case.supply.first,
        "line": case.line,
    }


def _discard(folder: Path) -> None:
    """The weights of what does not hold are of no use, and may be large."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _plain(judgement: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not isfinite(value) else value
        for key, value in judgement.items()
        if key != "lost"
    }


def _numbers(judgement: dict[str, Any]) -> dict[str, Any]:
    return {key: nan if value is None else value for key, value in judgement.items()}
