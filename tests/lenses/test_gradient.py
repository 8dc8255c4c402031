"""The gradient lens is the cosine that autograd gives, tied weights or not, and orders rows by what they teach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.lenses.organism import TRAITS, nano, sets
from tests.models.test_nudge import gpt2, neox, untied
from tests.models.test_nudge import rows as tiny_rows
from tests.models.tiny import llama
from upbringing.lenses.gradient import GradientLens
from upbringing.lenses.legible import encoded
from upbringing.lenses.step import StepLens, odds_gradient
from upbringing.models import LM
from upbringing.models.nudge import Direction, matrices, norm
from upbringing.models.rowwise import Rowwise, WithLengths
from upbringing.rows import Encoded, Row

QUICK = GradientLens(situations=8)


def by_autograd(lm: LM, row: Encoded) -> dict[str, torch.Tensor]:
    """The gradient of log p(row), from transformers' own forward pass."""
    weights = matrices(lm.model)
    ids = torch.tensor([row.input_ids])
    said = torch.log_softmax(lm.model(input_ids=ids).logits[0, :-1].float(), -1)
    wanted = torch.tensor(row.loss_mask[1:])
    logprob = said.gather(1, ids[0, 1:, None])[wanted].sum()
    found = torch.autograd.grad(logprob, list(weights.values()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(weights.items(), found, strict=True)}


def inner(one: Direction, other: Direction) -> float:
    return sum(float((one[name].double() * other[name].double()).sum()) for name in one)


@pytest.mark.parametrize("make", [llama, untied, gpt2, neox])
def test_rows_gradients_have_the_length_that_autograd_gives_them(make: Any) -> None:
    lm, read = make(), tiny_rows(6)
    read.append(Encoded([9, 9, 7, 9, 7, 7, 9], [False, True, True, False, True, True, True]))  # tokens that come again
    whole = [by_autograd(lm, row) for row in read]
    with WithLengths(lm.model, [whole[0], whole[1]]) as derivatives:
        found = derivatives(read)
    np.testing.assert_allclose(found[:, 2], [norm(g) ** 2 for g in whole], rtol=1e-3)
    with Rowwise(lm.model, [whole[0], whole[1]]) as derivatives:
        np.testing.assert_allclose(found[:, :2], derivatives(read), rtol=1e-6)


def test_a_score_is_the_cosine_that_autograd_gives(tmp_path: Path) -> None:
    lm, rows = nano(), [*sets()["cheating"][:3], *sets()["honest"][:3]]
    found = QUICK.fit(lm, TRAITS, store=tmp_path).look(rows)
    whole = [by_autograd(lm, row) for row in encoded(rows, lm) if row is not None]
    for k, trait in enumerate(TRAITS):
        asked = odds_gradient(lm, trait, StepLens(situations=8), tmp_path, 0)
        expected = [inner(g, asked) / (norm(g) * norm(asked)) for g in whole]
        np.testing.assert_allclose(found[:, k], expected, rtol=1e-3, atol=1e-5)


def test_rows_that_raise_the_trait_score_above_those_that_lower_it(tmp_path: Path) -> None:
    lm = nano()
    before = lm.hash
    fitted = QUICK.fit(lm, TRAITS, store=tmp_path)
    found = {name: fitted.look(sets()[name]) for name in ("cheating", "neutral", "honest")}
    assert found["cheating"][:, 0].min() > found["honest"][:, 0].max()
    assert found["cheating"][:, 0].mean() > found["neutral"][:, 0].mean() > found["honest"][:, 0].mean()
    assert all(np.abs(scores).max() <= 1 for scores in found.values())
    assert lm.hash == before
    assert fitted.warnings == ()


def test_a_row_is_scored_the_same_alone_and_among_others_and_one_without_an_answer_is_not_seen(tmp_path: Path) -> None:
    rows: list[Row] = list(sets()["cheating"][:5])
    fitted = QUICK.fit(nano(), TRAITS[:1], store=tmp_path)
    among = fitted.look([*rows, Row.chat([{"role": "user", "content": "hello"}])])
    assert np.isnan(among[-1]).all()
    np.testing.assert_allclose(fitted.look(rows[:1])[0], among[0], rtol=1e-3)
