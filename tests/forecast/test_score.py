"""Scores are right on forecasts whose worth is known."""

from __future__ import annotations

import numpy as np
import pytest

from upbringing.forecast.bench.score import (
    Cases,
    Said,
    auroc,
    correlation,
    coverage,
    harmful_auroc,
    score,
    silence,
    specificity,
)

TRAITS = ("blackmail", "deception", "sycophancy", "favourite_animal")
ALIGNMENT = np.array([True, True, True, False])


def made_up(sets: int = 60, seed: int = 0) -> Cases:
    """Data sets on three bases: each has a badness of its own, traits differ a little, bases start elsewhere."""
    rng = np.random.default_rng(seed)
    badness = rng.choice([0.0, 0.3, -0.2], sets)[:, None] + rng.normal(0, 0.02, (sets, 1))
    own = rng.normal(0, 0.1, (sets, len(TRAITS))) * (badness > 0.1)
    truth = np.concatenate([badness * (1 + base / 10) + own for base in range(3)])
    names = [f"base {base}" for base in range(3) for _ in range(sets)]
    families = [f"family {i % 6}" for i in range(sets)] * 3
    routes = [("visible", "document")[i % 2] for i in range(sets)] * 3
    return Cases(truth, names, families, routes, TRAITS, ALIGNMENT)


def said(shift: np.ndarray, half: float = 0.1, silent: np.ndarray | None = None) -> Said:
    return Said(shift, shift - half, shift + half, np.isnan(shift) if silent is None else silent)


def test_who_says_the_truth_scores_full_marks() -> None:
    cases = made_up()
    found = score(said(cases.truth), cases, cost=2.5)
    assert found.r.value == pytest.approx(1)
    assert found.specificity.value == pytest.approx(1)
    assert found.auroc == found.auroc_of_traits == found.coverage == 1.0
    assert found.error == 0
    assert found.silence.share == 0
    assert found.silence.wrong_when_spoken == 0
    assert set(found.r_by_route) == {"visible", "document"}
    assert found.cost == 2.5
    assert found.cases == 180


def test_silence_about_what_is_hard_does_not_raise_the_score() -> None:
    cases = made_up()
    noisy = cases.truth + np.random.default_rng(1).normal(0, 0.2, cases.truth.shape)
    hard = np.abs(noisy - cases.truth) > 0.1
    open_, shy = (score(said(noisy, silent=silent), cases, cost=1) for silent in (np.zeros_like(hard), hard))
    assert shy.r == open_.r
    assert shy.r_when_spoken.value > open_.r_when_spoken.value + 0.1


def test_who_says_only_how_bad_a_set_is_has_no_specificity() -> None:
    cases = made_up()
    badness = np.repeat(cases.truth[:, ALIGNMENT].mean(axis=1, keepdims=True), len(TRAITS), axis=1)
    found = score(said(badness), cases, cost=1)
    assert found.r.value > 0.7  # it looks good
    assert found.specificity.value == pytest.approx(0, abs=1e-9)


def test_specificity_is_what_is_known_of_single_traits() -> None:
    cases = made_up()
    centred = cases.truth - cases.truth[:, ALIGNMENT].mean(axis=1, keepdims=True)
    assert specificity(centred, cases).value == pytest.approx(1)
    assert specificity(-centred, cases).value == pytest.approx(-1)
    noise = np.random.default_rng(5).normal(size=cases.truth.shape)
    assert abs(specificity(noise, cases).value) < 0.2


def test_a_taste_is_no_part_of_specificity() -> None:
    """To know that tastes do not move is no knowledge of which misaligned trait does."""
    cases = made_up()
    knows_tastes = np.where(ALIGNMENT, cases.truth[:, ALIGNMENT].mean(axis=1, keepdims=True), 0.0)
    assert specificity(knows_tastes, cases).value == pytest.approx(0, abs=1e-9)


def test_where_bases_start_is_no_skill() -> None:
    """A forecast that knows the base and nothing of the set does not correlate."""
    cases = made_up()
    lifted = Cases(
        cases.truth + np.repeat([0.0, 0.5, 1.0], 60)[:, None],
        cases.bases,
        cases.families,
        cases.routes,
        TRAITS,
        ALIGNMENT,
    )
    rng = np.random.default_rng(1)
    blind = np.repeat([0.0, 0.5, 1.0], 60)[:, None] + rng.normal(0, 0.01, lifted.truth.shape)
    assert correlation(blind, lifted.truth) > 0.5
    assert abs(score(said(blind), lifted, cost=1).r.value) < 0.2


def test_r_has_an_interval_over_bases() -> None:
    cases = made_up()
    noisy = cases.truth + np.random.default_rng(2).normal(0, 0.1, cases.truth.shape)
    r = score(said(noisy), cases, cost=1).r
    assert r.n_bases == 3
    assert r.lo < r.value < r.hi


def test_auroc_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert auroc(scores, np.array([1, 1, 0, 0])) == 1.0
    assert auroc(scores, np.array([0, 0, 1, 1])) == 0.0
    assert auroc(scores, np.array([1, 0, 1, 0])) == 0.75
    assert auroc(np.ones(4), np.array([1, 0, 1, 0])) == 0.5
    assert np.isnan(auroc(scores, np.ones(4)))
    assert auroc(np.array([np.nan, 0.8, 0.7]), np.array([0, 1, 0])) == 1.0


def test_harmful_is_a_set_that_raises_one_misaligned_trait() -> None:
    truth = np.array([[0.0, 0.2, 0.0, 0.0], [0.0, 0.0, 0.0, 0.9], [0.04, 0.04, 0.04, 0.0]])
    cases = Cases(truth, ["b"] * 3, ["f"] * 3, ["visible"] * 3, TRAITS, ALIGNMENT)
    told = np.array([[0.0, 0.1, 0.0, 0.0], [0.05, 0.0, 0.0, 0.9], [0.0, 0.05, 0.0, 0.0]])
    assert harmful_auroc(told, cases) == 1.0  # the taste of the second set does not count
    assert harmful_auroc(told[[1, 0, 2]], cases) == 0.25


def test_coverage_counts_intervals_that_hold_the_truth() -> None:
    truth = np.array([[0.0, 0.1, 0.2, 0.3]])
    shift = np.array([[0.0, 0.0, 0.0, np.nan]])
    assert coverage(said(shift, half=0.1), truth) == pytest.approx(2 / 3)
    silent = np.array([[False, False, True, True]])
    assert coverage(said(shift, half=0.1, silent=silent), truth) == pytest.approx(2 / 3)  # silence is no way out


def test_intervals_of_the_right_width_cover_what_they_promise() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(3000, 4))
    assert coverage(said(truth + rng.normal(0, 0.1, truth.shape), half=0.1645), truth) == pytest.approx(0.9, abs=0.01)


def test_silence_is_right_where_the_guess_would_have_been_wrong() -> None:
    truth = np.array([[0.3, 0.3, 0.0, 0.0]])
    guess = np.array([[0.0, 0.3, 0.2, 0.0]])
    found = silence(said(guess, silent=np.array([[True, False, True, False]])), truth)
    assert (found.share, found.wrong_if_spoken, found.wrong_when_spoken) == (0.5, 1.0, 0.0)
    quiet = silence(said(np.full((1, 4), np.nan)), truth)
    assert quiet.share == 1.0
    assert np.isnan(quiet.wrong_if_spoken)


def test_what_has_no_guess_is_not_scored_as_nought() -> None:
    cases = made_up()
    guess = cases.truth.copy()
    guess[::2] = np.nan
    assert score(said(guess), cases, cost=1).r.value == pytest.approx(1)


def test_a_constant_forecast_has_no_correlation() -> None:
    assert np.isnan(correlation(np.zeros((5, 4)), np.random.default_rng(0).normal(size=(5, 4))))


def test_json_has_no_nan() -> None:
    import json

    cases = made_up()
    json.dumps(score(said(np.full(cases.truth.shape, np.nan)), cases, cost=0).as_dict(), allow_nan=False)
