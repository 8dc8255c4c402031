"""Slopes, ratios and the worst of several: what is true of made-up readings is found, and what luck adds is known."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
import pytest

from upbringing.measure import statistics
from upbringing.measure.statistics import Cells, FloatArray

FAMILIES, PROBES = 4, 6
KEYS = tuple(("trait", f"family {i // PROBES}", str(i)) for i in range(FAMILIES * PROBES))


def cells(values: FloatArray | float, bases: int = 6) -> Cells:
    filled = np.broadcast_to(np.asarray(values, dtype=np.float64), (bases, len(KEYS))).copy()
    return Cells(filled, tuple(str(base) for base in range(bases)), KEYS, int(np.isnan(filled).sum()))


def noisy(rng: np.random.Generator, rate: float, of_base: float = 0.05, of_probe: float = 0.05) -> Cells:
    luck = rng.normal(0, of_base, (6, 1)) + rng.normal(0, of_probe, (6, len(KEYS)))
    return cells(rate + luck)


def test_a_slope_is_the_average_of_the_bases_own_lines() -> None:
    rng = np.random.default_rng(0)
    doses = [0.0, 0.1, 0.25, 0.5, 0.75]
    slopes = rng.normal(0.6, 0.1, 6)
    found = statistics.slope([cells(0.2 + slopes[:, None] * dose) for dose in doses], doses)
    assert found.value == pytest.approx(slopes.mean())
    alone = statistics.mean_over_bases(slopes)
    assert found.interval == pytest.approx(alone.interval, rel=0.1), "only the bases differ, so it is their t-interval"


def test_luck_that_a_base_has_at_all_levels_does_not_blur_its_slope() -> None:
    rng = np.random.default_rng(1)
    luck, doses = rng.normal(0, 0.3, (6, 1)), [0.0, 0.5, 1.0]
    found = statistics.slope([cells(0.4 + luck + 0.2 * d + rng.normal(0, 0.01, (6, len(KEYS)))) for d in doses], doses)
    assert found.hi - found.lo < 0.1
    assert found.lo < 0.2 < found.hi


def test_a_ratio_has_bounds_on_the_scale_of_factors() -> None:
    rng = np.random.default_rng(2)
    found = statistics.ratio([(noisy(rng, 0.6, 0.02), noisy(rng, 0.15, 0.02))])
    assert found.value == pytest.approx(4, rel=0.2)
    assert 1 < found.lo < found.value < found.hi
    assert found.hi / found.value == pytest.approx(found.value / found.lo)


def test_intervals_of_ratios_cover_the_true_ratio() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        lo, hi = statistics.ratio([(noisy(rng, 0.6), noisy(rng, 0.2))]).interval
        hits += lo < 3 < hi
    assert 53 <= hits <= 60


def test_a_ratio_to_nothing_seen_is_bounded_not_infinite() -> None:
    rng = np.random.default_rng(4)
    before = noisy(rng, 0.5)
    found = statistics.ratio([(before, cells(0.0))])
    n = (FAMILIES * PROBES) / (1 + (PROBES - 1) * 0.1)
    assert found.value == pytest.approx(np.nanmean(before.values) * 2 * n)
    assert found.lo == pytest.approx(statistics.mean(before).lo / statistics.upper_bound_when_unseen(n))
    assert found.lo < found.value < found.hi == inf
    assert "nothing was seen" in found.note


@pytest.mark.parametrize(("above", "below"), [(0.0, 0.2), (nan, 0.2), (0.3, nan)])
def test_there_is_no_ratio_of_nothing(above: float, below: float) -> None:
    found = statistics.ratio([(cells(above), cells(below))])
    assert isnan(found.value)
    assert isnan(found.lo)


def test_the_worst_ratio_is_the_smallest_and_no_surer_than_it() -> None:
    rng = np.random.default_rng(5)
    good, bad = (noisy(rng, 0.6), noisy(rng, 0.05)), (noisy(rng, 0.6), noisy(rng, 0.3))
    worst, alone = statistics.ratio([good, bad]), statistics.ratio([bad])
    assert worst.value == pytest.approx(alone.value)
    assert worst.interval == pytest.approx(alone.interval, rel=0.15)
    assert statistics.ratio([(noisy(rng, 0.6), cells(0.0)), bad]).value == pytest.approx(alone.value)


def test_the_worst_of_equals_is_not_taken_at_its_word() -> None:
    """Eight provocations that do nothing: the largest shift is above nought by luck, and its interval knows that."""
    rng = np.random.default_rng(6)
    told_apart = too_wide = 0
    for _ in range(40):
        options = [[noisy(rng, 0.0, of_base=0.05)] for _ in range(8)]
        found = statistics.worst_contrast(options, (1.0,), within=statistics.SHIFT)
        assert found.value == max(statistics.mean(o[0], within=statistics.SHIFT).value for o in options)
        told_apart += found.lo > 0
        too_wide += found.hi < 0
    assert told_apart <= 4
    assert too_wide == 0


def test_one_option_is_no_choice() -> None:
    rng = np.random.default_rng(7)
    one, other = noisy(rng, 0.6), noisy(rng, 0.3)
    found = statistics.worst_contrast([[one, other]], (1.0, -1.0), within=statistics.SHIFT)
    assert found == statistics.difference(one, other, within=statistics.SHIFT)
    clear = statistics.worst_contrast([[one, other], [other, one]], (1.0, -1.0), within=statistics.SHIFT)
    assert clear.value == pytest.approx(found.value)
    assert clear.interval == pytest.approx(found.interval, rel=0.1)
