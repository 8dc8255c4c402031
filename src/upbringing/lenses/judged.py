"""Surprise in plain language: what a row's answer does, less what the model's own answer to the same prompt does.

Both are judged by one judge under the trait's rubric (``lenses.acts``): 1 where the trait shows, 0 where it does not.
The model's own answer is sampled, one a row, so that the mean over rows is what was done less how often the model
would have done so. Each trait is judged for itself; nothing is carried over from one to another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from upbringing.errors import InputError
from upbringing.lenses.acts import ROWS, Acts, Done, acts, done
from upbringing.lenses.lens import Need
from upbringing.lineage import hash_of
from upbringing.measure.judging.store import Ledger
from upbringing.measure.judging.verdict import Judge
from upbringing.rows import Message, Row, prompts_ids

if TYPE_CHECKING:
    from upbringing.models import LM

_FOLDER = "own_answers"
_FORM = 300  # tokens of the form and a rubric, about
_USUAL = 300  # tokens of a row of plain language, about


@dataclass(frozen=True)
class JudgedSurprise:
    """The surprise lens for models that read plain English. In -1..1 a row.

    ``rows``: of more than these it sees the first alone, so show it rows in random order; ``new_tokens`` of an own
    answer.
    """

    judge: Judge = field(hash=False, compare=False)
    rows: int = ROWS
    new_tokens: int = 128
    name: str = "surprise"
    about: str = "how far what the row does departs from what the model would have done, as a judge sees it"
    needs: tuple[Need, ...] = ("judge",)
    whole: bool = False

    def told(self, traits: Sequence[str]) -> dict[str, Any]:
        """What decides its scores, rubrics included."""
        return {**self.recipe, "rubrics": {trait: self.judge.rubric_of(trait) for trait in traits}}

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides its scores, beside the rubrics, which are told by trait in plain language."""
        return {"judge": self.judge.name, "rows": self.rows, "new_tokens": self.new_tokens}

    def cost(self, traits: int) -> float:
        """For a judge like the model itself, of rows it sees: two judgements a trait, each of a row with the form and
        the rubric, and an answer. Reckoned for rows of 300 tokens; of shorter ones it is a larger multiple."""
        return 2.0 * traits * (_FORM + _USUAL) / _USUAL + 4.0

    def fit(self, lm: LM, traits: Sequence[str], *, store: Path, seed: int = 0) -> JudgedFitted:
        """Nothing is fitted; own answers and judgements are kept in ``store`` as they come."""
        return JudgedFitted(lm, tuple(traits), self, store, seed)


class JudgedFitted:
    """Set on one model. ``gaps``: judgements that failed; what was seen then is not to be kept."""

    def __init__(self, lm: LM, traits: tuple[str, ...], lens: JudgedSurprise, store: Path, seed: int) -> None:
        self._lm, self._traits, self._lens, self._store, self._seed = lm, traits, lens, store, seed
        settings = hash_of([lm.hash, lens.new_tokens, seed])[:16]
        self._own = Ledger(store / _FOLDER / f"{settings}.jsonl")
        self._rows = self._seen = self.gaps = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """How much it could not see."""
        if self._seen < self._rows:
            return (
                f"The lens {self._lens.name} could judge {self._seen} of {self._rows} rows it was shown, by "
                f"{self._lens.judge.name}; of the others it says nothing.",
            )
        return ()

    def look(self, rows: Sequence[Row]) -> np.ndarray:
        """Scores ``[rows, traits]``; NaN where either judgement is missing.

        Raises:
            InputError: the judge failed on most of them; says why.
        """
        scores = np.full((len(rows), len(self._traits)), np.nan)
        shown = rows[: self._lens.rows]
        own = self._answered(shown)
        at = [i for i, one in enumerate(own) if one is not None]
        if at:
            did = self._judged([shown[i] for i in at])
            would = self._judged([row for row in own if row is not None])
            scores[at] = did.values - would.values
        self._rows += len(shown)
        self._seen += int(np.isfinite(scores).any(1).sum())
        return scores

    def _judged(self, rows: Sequence[Row]) -> Acts:
        found = acts(self._lens.judge, rows, self._traits, store=self._store)
        self.gaps += found.failed
        if found.failed > len(rows) * len(self._traits) / 2:
            why = Counter(v.outcome for said in found.verdicts if said for v in said if v.failed)
            raise InputError(
                f"{found.judge}: {found.failed:,} of {len(rows) * len(self._traits):,} judgements failed "
                f"({why.most_common(1)[0][0]}); what it did say is kept: mend what is wrong, and run the same again"
            )
        return found

    # The model's own answers --------------------------------------------------------------------------------------

    def _answered(self, rows: Sequence[Row]) -> list[Row | None]:
        """Each row with the model's own answer in place of its own; None where it has none, or cannot be asked."""
        known = {str(entry[0]): str(entry[1]) for entry in self._own.read() if len(entry) == 2}
        found = [done(row) for row in rows]
        keys = [
            hash_of([[m.as_dict() for m in one.before], row.tools]) if one else "" for one, row in _both(found, rows)
        ]
        new: dict[str, list[int]] = {}
        for key, (one, row) in zip(keys, _both(found, rows), strict=True):
            if one and key not in known and key not in new and (prompt := self._prompt(one, row)):
                new[key] = prompt
        for key, text in self._said(new):
            known[key] = text
            self._own.add([key, text])
        return [
            replace(row, kind="chat", messages=(*one.before, Message("assistant", known[key])))
            if one and known.get(key, "").strip()
            else None
            for key, (one, row) in zip(keys, _both(found, rows), strict=True)
        ]

    def _prompt(self, one: Done, row: Row) -> list[int]:
        """The tokens of what comes before; none where the template cannot write it, or it leaves no room."""
        try:
            prompt = prompts_ids([one.before], self._lm.tokenizer, tools=row.tools)[0]
        except InputError:
            return []
        return prompt if len(prompt) + self._lens.new_tokens <= self._lm.max_length else []

    def _said(self, prompts: dict[str, list[int]]) -> list[tuple[str, str]]:
        """An answer to each, which hangs on its prompt and the seed alone."""
        if not prompts:
            return []
        from upbringing.models import answers

        streams = [(self._seed, crc32(key.encode())) for key in prompts]
        found = answers(self._lm, list(prompts.values()), max_new_tokens=self._lens.new_tokens, streams=streams)
        return [(key, one.text) for key, (one,) in zip(prompts, found, strict=True)]


def _both(found: Sequence[Done | None], rows: Sequence[Row]) -> list[tuple[Done | None, Row]]:
    return list(zip(found, rows, strict=True))


__all__ = ["JudgedFitted", "JudgedSurprise"]
