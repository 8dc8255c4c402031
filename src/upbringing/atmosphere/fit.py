"""Fitting the classifier that ships, and measuring it on groups of passages it has not seen.

Needs scikit-learn: reading a corpus does not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from upbringing.atmosphere.classifier import ABOUT, COLUMNS, DOMAIN, FOLDER, VALENCE, Classifier, features
from upbringing.atmosphere.mentions import PEOPLE, cast
from upbringing.atmosphere.reader import DOMAINS, FloatArray, Passage, Portrayals

STRENGTH = 3.0  # of the fit against the prior (scikit-learn's C)
_LEAST = 2  # a word that stands in one passage only says nothing about others


@dataclass(frozen=True)
class Labelled:
    """A passage that the project wrote, with what it says.

    ``about`` is ai, tool (AI is only named), people or nothing; ``valence`` is -1, 0 or 1, of people too; passages of
    one ``group`` share a topic and a genre and are never split between fitting and testing. ``style`` is pair (nearly
    the same words, opposite deeds) or plain; ``hard`` names what makes it hard, if anything.
    """

    text: str
    group: str
    about: str
    valence: int
    domain: str | None = None
    style: str = "plain"
    hard: str = ""

    @property
    def passage(self) -> Passage:
        found = cast(self.text)
        marked = found.mark() if found else self.text
        return Passage(self.text, marked, found.kind if found else PEOPLE)


def labelled(file: Path = FOLDER / "passages.jsonl") -> list[Labelled]:
    """The passages that ship with the package."""
    return [Labelled(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def fit(examples: Sequence[Labelled]) -> Classifier:
    """A classifier of these passages: is an AI portrayed (or only named), how, and in which domain."""
    from sklearn.feature_extraction import DictVectorizer

    found = [features(example.passage.marked) for example in examples]
    counts: dict[str, int] = {}
    for one in found:
        for name in one:
            counts[name] = counts.get(name, 0) + 1
    vectors = DictVectorizer()
    table = vectors.fit_transform([{k: v for k, v in one.items() if counts[k] >= _LEAST} for one in found])
    names = vectors.get_feature_names_out().tolist()
    weights, intercepts = np.zeros((len(names), COLUMNS)), np.zeros(COLUMNS)

    about = np.array([e.about for e in examples])
    domain = np.array([e.domain or "" for e in examples])
    spoken = np.flatnonzero(np.isin(about, ["ai", "tool"]))
    told = np.flatnonzero(np.isin(domain, list(DOMAINS)) & np.isin(about, ["ai", "people"]))
    everything = np.arange(len(examples))
    for columns, rows, labels, order, balanced in (
        (ABOUT, spoken, about == "ai", [True], True),
        (VALENCE, everything, np.array([e.valence for e in examples]), [-1, 0, 1], False),
        (DOMAIN, told, domain, list(DOMAINS), False),
    ):
        coefficients, at_zero = _regression(table[rows], labels[rows], order, balanced)
        weights[:, columns], intercepts[columns] = coefficients.T, at_zero
    return Classifier(names, weights, intercepts)


def _regression(table: Any, labels: Any, order: Sequence[Any], balanced: bool) -> tuple[FloatArray, FloatArray]:
    """Coefficients ``[classes, features]`` and intercepts, the classes in ``order`` (two classes: of the second)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=STRENGTH, max_iter=2000, class_weight="balanced" if balanced else None)
    model.fit(table, labels)
    if len(order) == 1:
        return model.coef_, model.intercept_
    place = {label: i for i, label in enumerate(model.classes_)}
    rows = [place[label] for label in order]
    return model.coef_[rows], model.intercept_[rows]


def cross_validated(examples: Sequence[Labelled], *, folds: int = 10) -> Portrayals:
    """What classifiers say of each passage that were fitted without any passage of its group."""
    from sklearn.model_selection import GroupKFold

    groups = [example.group for example in examples]
    n = len(examples)
    whole = Portrayals(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64))
    for learned, asked in GroupKFold(folds).split(groups, groups=groups):
        said = fit([examples[i] for i in learned]).read([examples[i].passage for i in asked])
        for into, values in ((whole.about, said.about), (whole.valence, said.valence), (whole.domain, said.domain)):
            into[asked] = values
        whole.weight[asked] = said.weight
    return whole
