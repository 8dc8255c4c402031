"""The weight lens looks the same whichever way it takes; the step lens sees what a small share of rows does to Adam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.lenses.organism import TRAITS, nano, sets
from upbringing.errors import InputError
from upbringing.lenses.contrast import ContrastLens
from upbringing.lenses.copies import Tuning
from upbringing.lenses.legible import encoded
from upbringing.lenses.step import StepLens
from upbringing.lenses.weight import WeightLens
from upbringing.models.rowwise import Rowwise

QUICK = Tuning(situations=8, steps=6)
STEP = StepLens(situations=8, batch_size=8)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def test_three_ways_have_one_result(store: Path) -> None:
    rows = [*sets()["cheating"][:8], *sets()["neutral"][:8]]
    seen = [
        WeightLens(way=way, tuning=QUICK).fit(nano(), TRAITS, store=store).look(rows)  # type: ignore[arg-type]
        for way in ("backward", "differences", "forward")
    ]
    spread = seen[0].std(0).min()
    assert np.abs(seen[2] - seen[0]).max() < 1e-4 * spread
    assert np.abs(seen[1] - seen[0]).max() < 2e-2 * spread


def test_it_is_the_contrast_lens_at_first_order(store: Path) -> None:
    rows = [*sets()["cheating"], *sets()["honest"], *sets()["neutral"]]
    weight = WeightLens(tuning=QUICK).fit(nano(), TRAITS, store=store).look(rows)
    contrast = ContrastLens(tuning=QUICK).fit(nano(), TRAITS, store=store).look(rows)
    assert all(np.corrcoef(weight[:, k], contrast[:, k])[0, 1] > 0.95 for k in range(len(TRAITS)))


def test_one_trait_is_looked_at_by_two_copies_and_many_by_one_backward_pass() -> None:
    lens = WeightLens()
    assert lens.cost(1) < 2.1
    assert lens.cost(10) == lens.cost(17) < 4
    assert WeightLens(rank=16).cost(10) < lens.cost(10)


def test_where_rows_cannot_be_told_apart_differences_are_taken_and_it_says_so(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InputError("layer: does not read row by row")

    rows = sets()["cheating"][:4]
    expected = WeightLens(way="differences", tuning=QUICK).fit(nano(), TRAITS, store=store).look(rows)
    monkeypatch.setattr(Rowwise, "__call__", refuse)
    fitted = WeightLens(tuning=QUICK).fit(nano(), TRAITS, store=store)
    assert "differences are taken instead" in fitted.warnings[0]
    np.testing.assert_array_equal(fitted.look(rows), expected)
    with pytest.raises(InputError, match="row by row"):
        WeightLens(way="backward", tuning=QUICK).fit(nano(), TRAITS, store=store)


def test_a_tenth_of_bad_rows_moves_the_step_by_more_than_a_tenth(store: Path) -> None:
    fitted = STEP.fit(nano(), TRAITS[:1], store=store)
    found = {name: fitted.look(rows) for name, rows in sets().items()}
    assert all(np.ptp(scores) == 0 and len(scores) == 48 for scores in found.values())
    cheating, tenth, neutral, honest = (found[n][0, 0] for n in ("cheating", "tenth", "neutral", "honest"))
    assert tenth - neutral > 0.15 * (cheating - neutral) > 0
    assert honest < neutral


def test_contributions_of_rows_add_up_to_the_step(store: Path) -> None:
    lm, rows = nano(), sets()["cheating"]
    fitted = StepLens(situations=8, batch_size=48).fit(lm, TRAITS, store=store)
    targets = sum(sum(row.loss_mask[1:]) for row in encoded(rows, lm) if row)
    np.testing.assert_allclose(fitted.contributions(rows).sum(0) / targets, fitted.look(rows)[0], rtol=1e-3)
