"""A view adds up: rows may come in parts, what was not seen is not counted."""

from __future__ import annotations

import numpy as np
import pytest

from upbringing.lenses import View

TRAITS = ("deception", "blackmail")


def test_views_of_parts_add_up_to_the_view_of_all() -> None:
    scores = np.random.default_rng(0).normal(size=(40, 2))
    scores[3, 0] = np.nan
    whole = View.of("weight", TRAITS, scores)
    parts = View.of("weight", TRAITS, scores[:11]) + View.of("weight", TRAITS, scores[11:])
    np.testing.assert_allclose(parts.mean, np.nanmean(scores, axis=0))
    np.testing.assert_allclose(parts.se, whole.se)
    expected = np.nanstd(scores, axis=0, ddof=1) / np.sqrt([39, 40])
    np.testing.assert_allclose(whole.se, expected)


def test_what_was_not_seen_has_no_mean() -> None:
    view = View.of("weight", TRAITS, np.array([[np.nan, 1.0]]))
    assert np.isnan(view.mean[0])
    assert view.mean[1] == 1.0
    assert np.isnan(view.se).all()


def test_views_of_other_lenses_do_not_add() -> None:
    one = View.of("weight", TRAITS, np.ones((2, 2)))
    with pytest.raises(ValueError, match="do not add"):
        one + View.of("persona", TRAITS, np.ones((2, 2)))
