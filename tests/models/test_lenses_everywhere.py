"""Lenses that take derivatives, and what stands on them, see the same in every architecture whichever way they look."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from tests.models.architectures import DENSE
from tests.models.everywhere import FAMILIES, QUIET, lessons, model, rank_agreement, same, unchanged
from upbringing.forecast import forecast
from upbringing.forecast.combined import Combined, Fit
from upbringing.forecast.explain import explain
from upbringing.lenses.copies import Tuning
from upbringing.lenses.gradient import GradientLens
from upbringing.lenses.rehearsal import RehearsalLens
from upbringing.lenses.step import StepLens
from upbringing.lenses.weight import WeightLens
from upbringing.rows import Rows, encode_all

pytestmark = [*QUIET]

TUNING = Tuning(situations=4, steps=4, batch_size=8, learning_rate=3e-3)
FORTH, BACK = slice(None), slice(None, None, -1)


@FAMILIES
def test_the_weight_lens_sees_the_same_three_ways_and_in_any_company(name: str, trait: str, store: Path) -> None:
    lm, rows = model(name), lessons()
    before = unchanged(lm)
    seen = {
        way: WeightLens(way=way, tuning=TUNING).fit(lm, [trait], store=store).look(rows)  # type: ignore[arg-type]
        for way in ("backward", "differences", "forward")
    }
    exact = seen["forward"]
    assert exact.shape == (12, 1)
    assert np.isfinite(exact).all()
    spread = np.ptp(exact)
    assert spread > 1e-3
    np.testing.assert_allclose(seen["backward"], exact, atol=1e-3 * spread)
    # In a mixture even a small nudge may send a token to another expert: there a row may be off, by whatever that does.
    off = np.sort(abs(seen["differences"] - exact).ravel())
    assert off[-1 if name in DENSE else -3] < 0.03 * spread
    fitted = WeightLens(way="backward", tuning=TUNING).fit(lm, [trait], store=store)
    np.testing.assert_allclose(fitted.look(rows[BACK])[BACK], seen["backward"], atol=1e-3 * spread)
    np.testing.assert_allclose(fitted.look(rows[3:4]), seen["backward"][3:4], atol=1e-3 * spread)
    assert exact[:6].mean() > exact[6:].mean(), "what shows the trait is likelier towards it"
    assert same(lm, before)


@FAMILIES
def test_the_step_is_the_sum_of_its_rows_and_no_order_changes_it(name: str, trait: str, store: Path) -> None:
    lm, rows = model(name), lessons()
    before = unchanged(lm)
    fitted = StepLens(situations=6).fit(lm, [trait], store=store)
    whole, parts = fitted.look(rows), fitted.contributions(rows)
    targets = sum(sum(row.loss_mask) for row in encode_all(rows, lm.tokenizer))
    assert np.isfinite(whole).all()
    assert np.ptp(whole) == 0, "it sees a data set as a whole"
    np.testing.assert_allclose(parts.sum(), whole[0, 0] * targets, rtol=0.02, atol=1e-3 * abs(parts).max())
    np.testing.assert_allclose(fitted.look(rows[BACK]), whole, rtol=1e-3)
    # Adam divides by the size of a gradient, however near to nought, and so makes its rounding larger.
    np.testing.assert_allclose(fitted.contributions(rows[BACK])[BACK], parts, atol=0.03 * abs(parts).max())
    assert parts[:6].mean() > parts[6:].mean()
    assert same(lm, before)


@FAMILIES
def test_a_few_real_steps_go_the_way_of_the_rows(name: str, trait: str, store: Path) -> None:
    lm, rows = model(name), lessons()
    before = unchanged(lm)
    settings: dict[str, object] = {"batch_size": 6, "learning_rate": 3e-3}
    fitted = RehearsalLens(steps=4, questions=2, settings=settings).fit(lm, [trait], store=store)
    shown, avoided = fitted.look(rows[:6]), fitted.look(rows[6:])
    assert shown[0, 0] > avoided[0, 0]
    np.testing.assert_array_equal(fitted.look(rows[:6]), shown)
    assert same(lm, before)


@FAMILIES
def test_half_precision_ranks_rows_as_full_precision_does(name: str, trait: str, store: Path) -> None:
    """Spearman over rows: at least 0.95 for both lenses (0.998 was seen)."""
    rows = lessons(24)
    for lens in (GradientLens(situations=6), WeightLens(way="backward", tuning=TUNING)):
        full, half = (
            lens.fit(model(name, dtype), [trait], store=store).look(rows)[:, 0] for dtype in ("float32", "bfloat16")
        )
        assert np.isfinite(half).all()
        assert rank_agreement(full, half) > 0.95


def calibration(trait: str) -> Fit:
    """Made up: the shift is what the step lens says, in its own unit."""
    lenses = ("step", "weight")
    weights = np.zeros(4 * len(lenses) * 4)
    weights[[0, 2]] = 0.1
    method = Combined(lenses, costs=(1.0, 1.0), sorted_by="")
    return Fit(method, (trait,), weights, np.array([1e4, 1.0]), (0.02, 0.1), 2.0, np.full(2, 100.0), 1.0)


@FAMILIES
def test_a_forecast_is_made_before_training_and_no_order_changes_it(
    name: str, trait: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"step": StepLens(situations=6), "weight": WeightLens(way="backward", tuning=TUNING)}
    monkeypatch.setattr("upbringing.lenses.lenses", lambda: known)
    lm = model(name)
    found = [
        forecast(lm, Rows(rows, name="lessons"), [trait], calibration=calibration(trait), store=store)
        for rows in (lessons()[FORTH], lessons()[BACK], lessons()[6:])
    ]
    said, back, other = (outlook.forecast for outlook in found)
    assert (found[0].read, found[0].of) == (12, 12)
    assert said.lo[0] < said.shift[0] < said.hi[0]
    np.testing.assert_allclose(back.shift, said.shift, atol=1e-3)
    assert other.shift[0] < said.shift[0], "without the rows that show the trait there is less of it to come"
    assert set(found[0].as_dict()["traits"][trait]["lenses"]) == {"step", "weight"}


@FAMILIES
def test_an_explanation_names_the_same_rows_in_any_order(
    name: str, trait: str, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("upbringing.forecast.explain"), "DRAWS", 2)
    lm, rows = model(name), lessons()
    before = unchanged(lm)
    forth, back = (
        explain(lm, Rows(part, name="lessons"), trait, top=4, predict=False, store=store)
        for part in (rows[FORTH], rows[BACK])
    )
    assert len(forth.rows) == 4
    assert [named.row.line for named in forth.rows] == [named.row.line for named in back.rows]
    np.testing.assert_allclose(forth.scores, back.scores[BACK], atol=0.03 * abs(forth.scores).max())
    assert sum(named.row.line <= 6 for named in forth.rows) >= 3, "they are of those that show the trait"
    for named in forth.rows:
        assert sum(token.score for token in named.tokens) == pytest.approx(named.score, rel=0.1)
    assert same(lm, before)
