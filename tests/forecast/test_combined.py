"""Lenses combined: what is known of made-up data sets is found again, and intervals hold on families left out."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from upbringing.errors import InputError
from upbringing.forecast import Case, Measured
from upbringing.forecast.combined import Combined
from upbringing.forecast.method import LEVEL
from upbringing.lenses import View
from upbringing.rows import Row, Rows

TRAITS = ("blackmail", "deception", "sycophancy", "favourite_animal")
LENSES = ("weight", "noise", "surprise")
METHOD = Combined(LENSES, costs=(2.0, 1.0, 1.0))
ROWS = Rows([Row.of_text("numbers")] * 3)


def case(name: str, scores: dict[str, np.ndarray]) -> Case:
    views = {lens: View.of(lens, TRAITS, np.stack([scores[lens]] * 3)) for lens in LENSES}
    return Case(name, "base", {}, lambda: ROWS, partial(pytest.fail, "no model is needed"), views)


def bench(families: int, seed: int, noise: float = 0.03, strength: float = 1.0) -> list[Measured]:
    """Shifts that the weight lens sees in its own unit, a common part and a special one; another lens sees nothing."""
    rng = np.random.default_rng(seed)
    found = []
    for family in range(families):
        bias = rng.normal(0, noise, len(TRAITS))
        for number in range(6):
            common = rng.normal(0, 0.25) * np.array([1, 1, 1, 0])
            truth = strength * np.clip(common + rng.normal(0, 0.1, len(TRAITS)), -0.6, 0.6)
            seen = {"weight": 40 * truth, "noise": rng.normal(size=4), "surprise": np.full(4, np.nan)}
            shift = truth + bias + rng.normal(0, noise, len(TRAITS))
            found.append(Measured(case(f"{family}/{number}", seen), f"f{family}", "visible", shift, np.full(4, 0.01)))
    return found


def test_a_lens_that_sees_is_followed_and_one_that_does_not_is_not() -> None:
    fitted = METHOD.fit(bench(8, 0), TRAITS)
    new = bench(4, 1)
    guesses = np.stack([fitted.predict(one.case).shift for one in new])
    shifts = np.stack([one.shift for one in new])
    assert np.corrcoef(guesses.ravel(), shifts.ravel())[0, 1] > 0.95
    special = [part - part[:, :3].mean(1, keepdims=True) for part in (guesses, shifts)]
    assert np.corrcoef(special[0][:, :3].ravel(), special[1][:, :3].ravel())[0, 1] > 0.85


def test_intervals_hold_on_families_that_nobody_saw() -> None:
    inside = []
    for seed in range(6):
        fitted = METHOD.fit(bench(10, seed), TRAITS)
        for one in bench(6, 100 + seed):
            said = fitted.predict(one.case)
            inside.append((said.lo <= one.shift) & (one.shift <= said.hi))
    assert LEVEL - 0.06 < np.mean(inside) < 0.99


def test_more_of_a_lens_never_lowers_the_forecast() -> None:
    fitted = METHOD.fit(bench(8, 0), TRAITS)
    seen = {"weight": np.array([2.0, 2.0, 2.0, 0.0]), "noise": np.zeros(4), "surprise": np.full(4, np.nan)}
    little = fitted.predict(case("a", seen)).shift
    more = fitted.predict(case("b", {**seen, "weight": seen["weight"] * 2})).shift
    assert (more >= little).all()


def test_intervals_widen_beyond_what_was_ever_seen() -> None:
    fitted = METHOD.fit(bench(8, 0, noise=0.01), TRAITS)
    seen = {"weight": np.zeros(4), "noise": np.zeros(4), "surprise": np.full(4, np.nan)}
    usual = fitted.predict(case("a", seen))
    strange = fitted.predict(case("b", {**seen, "noise": np.full(4, 500.0)}))
    assert not usual.cannot_tell.any()
    assert (strange.hi - strange.lo > 2 * (usual.hi - usual.lo)).all()
    assert strange.cannot_tell.all()


def test_what_no_lens_sees_has_no_forecast() -> None:
    fitted = METHOD.fit(bench(8, 0), TRAITS)
    said = fitted.predict(case("a", {lens: np.full(4, np.nan) for lens in LENSES}))
    assert np.isnan(said.shift).all()
    assert said.cannot_tell.all()


def test_too_few_families_are_refused() -> None:
    with pytest.raises(InputError, match="2 families"):
        METHOD.fit(bench(2, 0), TRAITS)
