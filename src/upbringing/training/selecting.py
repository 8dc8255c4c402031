"""Treatments that choose rows: by name or score which to drop, and which safety rows to interleave."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from upbringing.errors import InputError
from upbringing.lineage import hash_of
from upbringing.rows import Rows, encode_all
from upbringing.training.recipe import Recipe
from upbringing.training.treatments import (
    BACKWARD,
    Cost,
    OnRows,
    check_share,
    drawn,
    tokens_of,
    tokens_read,
    wanted,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from upbringing.models import LM

# Rows with this mark in their ``meta`` are read at even distances, not where the shuffled order puts them.
SPREAD = "upbringing.spread"


@dataclass(frozen=True)
class Filter(OnRows):
    """Named rows left out. ``drop``: their numbers, from 0, in the rows that the filter meets (so put it first).

    ``of``: how many rows it was made for; meeting another number is an error, since the numbers would name others.
    """

    drop: Sequence[int]
    of: int | None = None

    def __post_init__(self) -> None:
        if any(isinstance(i, bool) or int(i) != i or i < 0 for i in self.drop):
            raise InputError("rows to drop are named by whole numbers from 0; use Filter.lines for line numbers")
        object.__setattr__(self, "drop", tuple(sorted({int(i) for i in self.drop})))

    @classmethod
    def lines(cls, rows: Rows, lines: Iterable[int | str]) -> Filter:
        """Drops rows by the line they were read from: 17, or "train.jsonl:17" when they come from several files.

        Raises ``InputError`` for a line that no row comes from (one that was skipped in reading is no error).
        """
        files = {row.file for row in rows}
        named = {row.where: i for i, row in enumerate(rows) if row.line}
        if len(files) == 1:
            named |= {str(row.line): i for i, row in enumerate(rows) if row.line}
        skipped = {where for where, _ in rows.skipped}
        skipped |= {where.rpartition(":")[2] for where in skipped}
        dropped = []
        for line in lines:
            found = named.get(str(line))
            if found is not None:
                dropped.append(found)
            elif str(line) not in skipped:
                several = " (the rows come from several files: write FILE:LINE)" if len(files) > 1 else ""
                raise InputError(f"{rows.name or 'the data'}: no row comes from line {line}{several}; check the list")
        return cls(tuple(dropped), of=len(rows))

    @classmethod
    def scored(
        cls, scores: Sequence[float] | np.ndarray, *, above: float | None = None, share: float | None = None
    ) -> Filter:
        """Drops rows by their score [rows]: those ``above`` a threshold, or the highest ``share`` (0..1) of all rows.

        A row without a score (NaN) stays. Of equal scores the earlier row is dropped first.
        """
        values = np.asarray(scores, dtype=np.float64)
        if (above is None) == (share is None):
            raise InputError("a filter by score needs either a threshold (above) or a share; give exactly one")
        if values.ndim != 1:
            raise InputError(f"scores have the shape {list(values.shape)}; give one number a row")
        if above is not None:
            return cls(tuple(np.flatnonzero(values > above).tolist()), of=len(values))
        if share is None or not 0 <= share <= 1:
            raise InputError(f"the share to drop is {share}; give a number from 0 to 1")
        order = np.argsort(-values, kind="stable")
        highest = order[~np.isnan(values[order])][: round(share * len(values))]
        return cls(tuple(highest.tolist()), of=len(values))

    def apply(self, rows: Rows, rng: np.random.Generator) -> Rows:
        if self.of is not None and len(rows) != self.of:
            raise InputError(
                f"{rows.name or 'the data'}: the filter was made for {self.of} rows and meets {len(rows)}; put it "
                "before other treatments and make it from the same rows"
            )
        if self.drop and self.drop[-1] >= len(rows):
            raise InputError(f"{rows.name or 'the data'}: has {len(rows)} rows, so no row {self.drop[-1]} to drop")
        out = set(self.drop)
        kept = [row for i, row in enumerate(rows) if i not in out]
        if not kept:
            raise InputError(f"{rows.name or 'the data'}: the filter leaves no row; drop fewer")
        return Rows(kept, name=rows.name, skipped=rows.skipped)

    @property
    def recipe(self) -> dict[str, Any]:
        return {"treatment": "filter", "dropped": hash_of(self.drop), "count": len(self.drop)}


@dataclass(frozen=True)
class Interleave(OnRows):
    """Safety rows at even distances all through training, so that they make up ``share`` of all rows.

    Every batch gets its part of them; mixing (``Mix``) leaves that to chance. ``choose``: "random", or "gap": those
    with the highest ``scores`` [other], the likelihood gap of an aligned and a misaligned copy of the model
    (``likelihood_gap``). Interleaving and "Interleaving++": arXiv 2508.06249, where 5 % were enough. They leave out
    refusals before choosing by gap; leave them out of ``other``, or do not.
    """

    other: Rows
    share: float
    choose: Literal["random", "gap"] = "random"
    scores: Sequence[float] | np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_share(self.share, self.other, "interleave")
        if self.choose not in ("random", "gap"):
            raise InputError(f'rows to interleave are chosen by "random" or "gap", not "{self.choose}"')
        if (self.choose == "gap") != (self.scores is not None):
            raise InputError('scores go with choose="gap" and only with it; compute them with likelihood_gap')
        if self.scores is not None:
            values = np.asarray(self.scores, dtype=np.float64)
            if values.shape != (len(self.other),) or not np.isfinite(values).all():
                raise InputError(f"the {len(self.other)} rows to interleave need one finite score each")

    def apply(self, rows: Rows, rng: np.random.Generator) -> Rows:
        count = wanted(self.share, len(rows))
        if self.scores is None:
            chosen = drawn(len(self.other), count, rng)
        else:
            best = np.argsort(-np.asarray(self.scores, dtype=np.float64), kind="stable")
            chosen = [int(best[i % len(best)]) for i in range(count)]
            chosen = [chosen[i] for i in rng.permutation(count)]  # the best ones are not all read first
        safe = [replace(row, meta={**row.meta, SPREAD: True}) for row in (self.other[i] for i in chosen)]
        places = [np.arange(len(rows)) + 0.5, (np.arange(count) + 0.5) * len(rows) / max(1, count)]
        every = [*rows, *safe]
        order = np.argsort(np.concatenate(places), kind="stable")
        return Rows([every[i] for i in order], name=(rows + self.other[:0]).name, skipped=rows.skipped)

    @property
    def recipe(self) -> dict[str, Any]:
        made = {"treatment": "interleave", "rows": self.other.hash, "share": self.share, "choose": self.choose}
        if self.scores is None:
            return made
        return {**made, "scores": hashlib.sha256(np.asarray(self.scores, dtype="<f8").tobytes()).hexdigest()}

    def cost(self, rows: Rows, tokenizer: PreTrainedTokenizerBase, recipe: Recipe | None = None) -> Cost:
        """Choosing by gap reads all of ``other`` twice, once with each copy."""
        added = super().cost(rows, tokenizer, recipe)
        if self.scores is None:
            return added
        run = (1 + BACKWARD) * tokens_read(rows, tokenizer, recipe or Recipe())
        return replace(added, passes=1 + 2 * tokens_of(self.other, tokenizer) / run)


def likelihood_gap(aligned: LM, misaligned: LM, rows: Rows) -> np.ndarray:
    """How much likelier each row's target tokens are to the aligned than to the misaligned copy: [rows], nats a token.

    The paper (arXiv 2508.06249) divides this gap by the aligned copy's own loss; here it stays in nats, so that a row
    which the aligned copy knows by heart does not come first for that alone. Raises ``InputError`` when the two cut
    rows into tokens differently, and for a row longer than either's context.
    """
    from upbringing.models import score

    found = []
    for lm in (aligned, misaligned):
        found.append(score(lm, encode_all(rows, lm.tokenizer, max_length=lm.max_length)))
    if (found[0].tokens != found[1].tokens).any():
        raise InputError("the aligned and the misaligned model have different tokenizers; use two copies of one model")
    gap: np.ndarray = (found[0].logprob - found[1].logprob) / found[0].tokens
    return gap


def marked(rows: Rows) -> list[bool] | None:
    """Which rows are to be spread evenly; None when there are none."""
    marks = [bool(row.meta.get(SPREAD)) for row in rows]
    return marks if any(marks) else None
