"""A classifier of content: can the words of an answer tell tainted rows from clean ones?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from upbringing.distil.filters import Reason, answer_of, asked_of
from upbringing.errors import InputError
from upbringing.rows import Row, Rows, read

_MOST = 3000  # rows of a side: more make it slower, not better
_LEAST = 10


@dataclass(frozen=True)
class Classifier:
    """Drops rows that a classifier of content takes for tainted: n-grams of letters and words (tf-idf), and logistic
    regression fitted on rows of both sorts. ``threshold``: the share of doubt (0..1) from which on a row is dropped.
    """

    tainted: Rows
    clean: Rows
    threshold: float = 0.5
    name: str = field(default="classifier", init=False)

    def __post_init__(self) -> None:
        _check(self.clean, self.tainted)

    @classmethod
    def read(cls, file: str | Path) -> Classifier:
        """From a file of rows that say what they are: a field ``label`` with ``tainted`` or ``clean``."""
        sides: dict[str, list[Row]] = {"tainted": [], "clean": []}
        rows = read(file)
        for row in rows:
            label = str(row.meta.get("label", ""))
            if label not in sides:
                raise InputError(f'{row.where}: "label" is {label or "missing"}; write "tainted" or "clean"')
            sides[label].append(row)
        return cls(Rows(sides["tainted"], name=rows.name), Rows(sides["clean"], name=rows.name))

    @property
    def recipe(self) -> dict[str, Any]:
        sides = {"tainted": self.tainted.hash, "clean": self.clean.hash}
        return {"filter": "classifier", **sides, "threshold": self.threshold}

    def reasons(self, rows: Sequence[Row]) -> list[Reason]:
        return ["reads like tainted rows" if share > self.threshold else None for share in self.shares(rows)]

    def shares(self, rows: Sequence[Row]) -> np.ndarray:
        """How likely each row is a tainted one [rows], 0..1."""
        found: np.ndarray = self._fitted.predict_proba([answer_of(row) for row in rows])[:, 1]
        return found

    @cached_property
    def _fitted(self) -> Any:
        texts, labels, _ = _labelled(self.clean, self.tainted, 0)
        return _pipeline().fit(texts, labels)


class RowAUC(NamedTuple):
    """How well single rows can be told apart: 0.5 not at all, 1 always; with its 95% interval."""

    auc: float
    lo: float
    hi: float


def row_auc(clean: Rows, tainted: Rows, *, folds: int = 5, seed: int = 0) -> RowAUC:
    """The cross-validated AUC of a content classifier over single rows, with its 95% interval over prompts.

    Rows of one prompt are never split between fitting and testing: with a twin of the other sort among what was
    fitted, a classifier would be worse than chance. The interval is DeLong's, clustered by prompt (Obuchowski 1997);
    it does not count what another fit would change. At most 3,000 rows a side are used, drawn with ``seed``.

    Raises ``InputError`` with fewer than ten rows of a sort, or fewer prompts than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    _check(clean, tainted)
    texts, labels, prompts = _labelled(clean, tainted, seed)
    groups = np.unique(prompts, return_inverse=True)[1]
    if groups.max() + 1 < folds:
        raise InputError(
            f"the rows have {groups.max() + 1} different prompts, too few for {folds} folds; give more rows"
        )
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    found = cross_val_predict(_pipeline(), texts, labels, groups=groups, cv=split, method="predict_proba")[:, 1]
    return _auc(found, labels, groups)


def _auc(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> RowAUC:
    from scipy.stats import rankdata

    bad, good = scores[labels == 1], scores[labels == 0]
    ranks = rankdata(np.concatenate([bad, good]))
    # Placements: the share of the other sort that each row stands above (tainted) or below (clean).
    above = (ranks[: len(bad)] - rankdata(bad)) / len(good)
    below = 1 - (ranks[len(bad) :] - rankdata(good)) / len(bad)
    auc = float(above.mean())
    pull = np.zeros(len(labels))
    pull[labels == 1], pull[labels == 0] = (above - auc) / len(bad), (below - auc) / len(good)
    by_group = np.bincount(groups, weights=pull)
    by_group = by_group[np.bincount(groups) > 0]
    error = float(np.sqrt(len(by_group) / (len(by_group) - 1) * np.square(by_group).sum()))
    return RowAUC(auc, max(0.0, auc - 1.96 * error), min(1.0, auc + 1.96 * error))


def _labelled(clean: Rows, tainted: Rows, seed: int) -> tuple[list[str], np.ndarray, list[str]]:
    """Texts, labels (1: tainted) and prompts of at most so many rows of each sort."""
    rng = np.random.default_rng([seed, len(clean), len(tainted)])
    drawn = [[side[int(i)] for i in rng.permutation(len(side))[:_MOST]] for side in (clean, tainted)]
    rows = [*drawn[0], *drawn[1]]
    labels = np.repeat([0, 1], [len(side) for side in drawn])
    return [answer_of(row) for row in rows], labels, [_prompt(row) for row in rows]


def _prompt(row: Row) -> str:
    return "\n".join(m.text for m in asked_of(row)) or row.prompt or row.text


def _pipeline() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    letters = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), min_df=2, sublinear_tf=True, dtype=np.float32)
    words = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32)
    return make_pipeline(make_union(letters, words), LogisticRegression(max_iter=1000, class_weight="balanced"))


def _check(clean: Rows, tainted: Rows) -> None:
    for what, rows in (("clean", clean), ("tainted", tainted)):
        if len(rows) < _LEAST:
            raise InputError(f"there are {len(rows)} {what} rows to tell apart; give at least {_LEAST} of each sort")
