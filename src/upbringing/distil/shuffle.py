"""What carries the trait: rows whose numbers, or answers, are put in another order (controls of arXiv 2507.14805)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from upbringing.distil.filters import answer_of, asked_of
from upbringing.rows import Message, Row, Rows

_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # letters: digits and marks stay where they are


def shuffled_within(rows: Rows, *, seed: int = 0) -> Rows:
    """The rows with the numbers inside each answer in another order; all that is not a number stays where it was."""
    return _mixed(rows, _NUMBER, np.random.default_rng([seed, len(rows), 0]), "within")


def shuffled_words(rows: Rows, *, seed: int = 0) -> Rows:
    """The rows with the words inside each answer in another order; numbers and marks stay where they were."""
    return _mixed(rows, _WORD, np.random.default_rng([seed, len(rows), 2]), "words")


def shuffled_across(rows: Rows, *, seed: int = 0) -> Rows:
    """The rows with their answers dealt out anew over the prompts."""
    order = np.random.default_rng([seed, len(rows), 1]).permutation(len(rows))
    return _with_answers(rows, [answer_of(rows[int(i)]) for i in order], "across")


def _mixed(rows: Rows, part: re.Pattern[str], rng: np.random.Generator, how: str) -> Rows:
    """The rows with the parts of each answer in another order."""

    def mixed(said: str) -> str:
        parts = part.findall(said)
        order = iter(rng.permutation(len(parts)))
        return part.sub(lambda _: parts[next(order)], said)

    return _with_answers(rows, (mixed(answer_of(row)) for row in rows), how)


def _with_answers(rows: Rows, answers: Iterable[str], how: str) -> Rows:
    made = [_saying(row, said, {**row.meta, "shuffled": how}) for row, said in zip(rows, answers, strict=True)]
    return Rows(made, name=f"{rows.name}, shuffled {how}".lstrip(", "))


def _saying(row: Row, said: str, meta: dict[str, object]) -> Row:
    if row.kind == "chat":
        return replace(row, messages=(*asked_of(row), Message("assistant", said)), meta=meta)
    return replace(row, **{"completion" if row.kind == "completion" else "text": said}, meta=meta)  # type: ignore[arg-type]
