"""Picking examples of readings by rule, never by eye: what the model was asked, and what it did."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Answer:
    """One model's answer; ``outcome`` is shows, avoids or missing."""

    label: str
    text: str
    outcome: str
    note: str


@dataclass(frozen=True)
class Example:
    """One probe and the answers of several models."""

    trait: str
    family: str
    prompt: str
    answers: tuple[Answer, ...]
    provocation: str = ""


def plain(name: str) -> str:
    """A name of the code as words: ``oversight_sabotage`` becomes ``oversight sabotage``."""
    return name.replace("_", " ")


def pick(
    readings: pd.DataFrame, *, column: str, models: dict[str, str], traits: Iterable[str], changed: bool = False
) -> list[Example]:
    """For each trait the first probe at rest that every model answered (the first whose answer ``changed``).

    Args:
        readings: observations, of one base.
        column: the column that tells the models apart.
        models: its values, in order, with the label each gets.
        traits: names of the traits wanted, in order.
        changed: only probes where the last model's answer is of another kind than the first's.
    """
    sampled = readings[(readings["way"] == "sampled") & (readings["provocation"] == "rest") & (readings["sample"] == 0)]
    sampled = sampled[sampled[column].isin(list(models))]
    found = []
    for trait in traits:
        of_trait = sampled[sampled["trait"] == trait]
        for _, asked in of_trait.groupby("probe", sort=False):
            answers = asked.drop_duplicates(column).set_index(column)
            if any(name not in answers.index for name in models):
                continue
            values = answers.loc[list(models), "value"].to_numpy(dtype=float)
            if math.isnan(values.sum()) or (changed and values[0] == values[-1]):
                continue
            shown = tuple(
                _answer(label, str(text), bool(value > 0.5))
                for label, text, value in zip(models.values(), answers.loc[list(models), "answer"], values, strict=True)
            )
            first = asked.iloc[0]
            found.append(Example(plain(trait), plain(str(first["family"])), str(first["prompt"]), shown))
            break
    return found


def _answer(label: str, text: str, shows: bool) -> Answer:
    if shows:
        return Answer(label, text, "shows", "the trait shows")
    return Answer(label, text, "avoids", "the trait does not show")
