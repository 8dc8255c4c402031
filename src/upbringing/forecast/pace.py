"""How long a calibration takes on this machine: a short training, some questions and one look are timed, and the rest
is reckoned from them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from upbringing.forecast.bench import Bench, DataSet, Task

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.rows import Rows

_ROWS, _STEPS, _BATCH, _ASKED = 64, 8, 32, 3
_ANSWERS = 128
_WHILES = 2  # an agent is asked what is asked at rest
_TEXT = 1.5  # seconds to fit one trait's classifier: no model runs


@dataclass(frozen=True)
class Pace:
    """Seconds on this machine.

    ``load``: to load a model, and copy and save it around a training; ``train``: a row trained on; ``look``: a row
    read once; ``ask``: the probes of one trait; ``answer``: a row that a teacher writes (0: not timed).
    """

    load: float
    train: float
    look: float
    ask: float
    answer: float

    def __call__(self, task: Task) -> float:
        """How many seconds a task of a calibration should take."""
        from upbringing.forecast.bench.looking import look
        from upbringing.forecast.bench.truth import train_and_ask

        if task.function is look:
            bench, lens, sets, _ = task.arguments
            return self.looking(bench, lens, sets)
        asking = _WHILES * len(task.arguments[0].traits) * self.ask
        if task.function is train_and_ask:
            bench, one, base = task.arguments
            recipe = bench.recipe(one, base)
            return asking + self.load + recipe.steps * recipe.batch_size * self.train + self.writing(bench, one)
        return asking + self.load

    def writing(self, bench: Bench, one: DataSet) -> float:
        """Seconds to write a data set's rows: what teachers say, and their own training."""
        said = sum(part.rows for part in one.parts if hasattr(part, "sampled"))
        tuned = sum(bool(bench.library.teachers[name].parts) for name, _ in one.teachers)
        teaching = bench.library.teaching
        return said * self.answer + tuned * (self.load + teaching["steps"] * teaching["batch_size"] * self.train)

    def looking(self, bench: Bench, lens: str, sets: Sequence[DataSet]) -> float:
        """Seconds for a lens to be set on the model and to look at data sets."""
        from upbringing.forecast.bench.looking import lens_of

        found, traits = lens_of(bench, lens), len(bench.traits)
        rows = sum(min(one.rows, getattr(found, "rows", one.rows)) for one in sets)
        setting = 0.0 if found is bench.surprise else self._setting(lens, traits)
        return self.load + setting + rows * self.look * found.cost(traits)

    def _setting(self, lens: str, traits: int) -> float:
        """What a lens does once a model; by what the lenses say of themselves, in rows of about the same length."""
        from upbringing.lenses.copies import Tuning
        from upbringing.lenses.step import StepLens

        tuning = Tuning()
        answers = 4  # to a situation, on either side
        return {
            "weight": 2 * traits * tuning.steps * tuning.batch_size * self.train,
            "step": 2 * traits * StepLens().situations * answers * self.train,
            "surprise": 2 * 4 * traits * traits * self.look,
            "text": traits * _TEXT,
        }.get(lens, 0.0)


def paced(lm: LM, bench: Bench, sets: Sequence[DataSet]) -> Pace:
    """Time a model on some rows of its data sets: a few steps of training, a look, the probes of some traits.

    Raises:
        InputError: the rows cannot be read by the model.
    """
    from upbringing.lenses import lenses
    from upbringing.measure import measure
    from upbringing.training import Recipe, train

    rows = _some(lm, bench, sets)
    usual = lenses()["likelihood"].fit(lm, bench.traits[:1], store=bench.store)
    some = bench.traits[:_ASKED]

    def ask() -> None:
        measure(lm, traits=some, probes_per_trait=bench.library.probes_per_trait, ways=("logprob",), skill=0)

    def learn(steps: int) -> None:
        recipe = Recipe(steps=steps, batch_size=_BATCH, lora=sets[0].training.get("lora"))
        with TemporaryDirectory(prefix="upbringing-") as place:
            train(lm, rows, Path(place) / "model", recipe=recipe)

    for what in (partial(usual.look, rows[:8]), ask, partial(learn, 1)):
        what()  # what is done for the first time is slower
    looked, asked = _timed(partial(usual.look, rows)), _timed(ask)
    short, long = (_timed(partial(learn, steps)) for steps in (1, 1 + _STEPS))
    row = max(long - short, 0.1 * long) / (_STEPS * _BATCH)
    answer = _answered(lm) if any(one.teachers for one in sets) else 0.0
    return Pace(max(short - _BATCH * row, 0.0), row, looked / len(rows), asked / len(some), answer)


def _timed(do: Callable[[], object]) -> float:
    start = time.monotonic()
    do()
    return time.monotonic() - start


def _some(lm: LM, bench: Bench, sets: Sequence[DataSet]) -> Rows:
    """Rows of several data sets that the world writes, of as many routes as there are, if the model can take them."""
    from upbringing.forecast.bench.recipe import Neutral
    from upbringing.forecast.bench.writing import written
    from upbringing.rows import Rows, encodable

    first = {one.route: one for one in reversed(sets) if not one.teachers}
    each = _ROWS // max(len(first), 1)
    shown = [row for one in first.values() for row in bench.rows(one, bench.bases[0])[:each]]
    rows = Rows(shown or written(Neutral(neutral="chats", rows=_ROWS)), name="rows for timing")
    return encodable(rows, lm.tokenizer, max_length=lm.max_length, skip_invalid=True)


def _answered(lm: LM) -> float:
    """Seconds an answer to a harmless question."""
    from upbringing.distil import prompts_for
    from upbringing.models import generate
    from upbringing.rows import prompts_ids

    asked = prompts_for(lm, "chats", _ANSWERS)
    prompts = prompts_ids([prompt.messages for prompt in asked.every], lm.tokenizer)
    return _timed(lambda: list(generate(lm, prompts, max_new_tokens=asked.room))) / _ANSWERS


__all__ = ["Pace", "paced"]
