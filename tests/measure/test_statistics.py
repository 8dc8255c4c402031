"""Intervals are as honest as their names: they cover what they say, and say so where there is too little to cover."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from upbringing.measure.statistics import (
    ANYTHING,
    DIFFERENCE_OF_SHIFTS,
    RATE,
    SHIFT,
    Cells,
    Estimate,
    at_least,
    blend,
    complement,
    difference,
    equivalence,
    fraction,
    less_than,
    mean,
    mean_over_bases,
    rank_correlation,
    upper_bound_when_unseen,
)


def cells_of(values: np.ndarray, names: tuple[str, ...] | None = None) -> Cells:
    """Cells from an array ``[bases, traits, families, probes]``."""
    bases, traits, families, probes = values.shape
    keys = tuple((f"t{t}", f"f{f}", f"p{p}") for t in range(traits) for f in range(families) for p in range(probes))
    return Cells(values.reshape(bases, -1), names or tuple(f"b{b}" for b in range(bases)), keys)


def drawn(
    rng: np.random.Generator,
    bases: int = 6,
    traits: int = 1,
    families: int = 2,
    probes: int = 12,
    truth: float = 0.3,
    base_sd: float = 0.15,
    family_sd: float = 0.1,
) -> Cells:
    """A world where the truth is known: luck of bases, families, their meeting, probes, and single readings."""
    values = (
        truth
        + rng.normal(0, base_sd, (bases, 1, 1, 1))
        + rng.normal(0, family_sd, (1, traits, families, 1))
        + rng.normal(0, 0.05, (bases, traits, families, 1))
        + rng.normal(0, 0.15, (1, traits, families, probes))
        + rng.normal(0, 0.1, (bases, traits, families, probes))
    )
    return cells_of(values)


def coverage(**settings: float) -> float:
    rng = np.random.default_rng(11)
    estimates = [mean(drawn(rng, **settings), within=ANYTHING) for _ in range(400)]  # type: ignore[arg-type]
    return float(np.mean([e.lo <= 0.3 <= e.hi for e in estimates]))


@pytest.mark.parametrize("family_sd", [0.0, 0.05, 0.1])
def test_a_95_percent_interval_covers_the_truth_at_least_90_percent_of_the_time_with_6_bases_and_2_families(
    family_sd: float,
) -> None:
    assert 0.90 <= coverage(family_sd=family_sd) <= 0.99


@pytest.mark.parametrize("bases", [2, 3])
def test_fewer_bases_still_cover(bases: int) -> None:
    assert coverage(bases=bases) >= 0.90


def test_one_model_covers_its_own_rate_over_new_families_nearly_as_well() -> None:
    """Nothing is known of other bases, so the luck of the base is not in the truth that is sought."""
    assert coverage(bases=1, base_sd=0.0, family_sd=0.05) >= 0.93
    assert coverage(bases=1, base_sd=0.0, family_sd=0.15) >= 0.84  # two families that differ much: as good as it gets


def test_the_mean_over_many_traits_covers_too_and_is_narrower_than_one_trait() -> None:
    rng = np.random.default_rng(5)
    many = [mean(drawn(rng, traits=12, base_sd=0.02), within=ANYTHING) for _ in range(150)]
    one = [mean(drawn(rng, traits=1, base_sd=0.02), within=ANYTHING) for _ in range(150)]
    assert np.mean([e.lo <= 0.3 <= e.hi for e in many]) >= 0.90
    assert np.median([e.hi - e.lo for e in many]) < 0.5 * np.median([e.hi - e.lo for e in one])


def test_families_that_quarrel_widen_the_interval_far_more_than_probes_that_do() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (6, 1, 2, 12))
    agree = noise - noise.mean(axis=(0, 3), keepdims=True) + 0.3
    quarrel = agree + np.array([-0.1, 0.1])[None, None, :, None]
    of_agree, of_quarrel = mean(cells_of(agree)), mean(cells_of(quarrel))
    assert of_quarrel.value == pytest.approx(of_agree.value)
    assert of_quarrel.hi - of_quarrel.lo > 2 * (of_agree.hi - of_agree.lo)


def test_the_interval_is_the_t_interval_over_bases_when_only_bases_differ() -> None:
    per_base = np.array([0.1, 0.3, 0.2, 0.5, 0.4, 0.3])
    estimate = mean(cells_of(np.broadcast_to(per_base[:, None, None, None], (6, 1, 2, 4)).copy()))
    half = 2.5706 * per_base.std(ddof=1) / math.sqrt(6)
    assert estimate.value == pytest.approx(0.3)
    assert estimate.hi - estimate.lo == pytest.approx(2 * half, rel=0.05)  # 2000 draws
    assert estimate.n_bases == 6
    assert estimate.n_probes == 8


def test_the_same_readings_give_the_same_interval_to_the_bit() -> None:
    cells = drawn(np.random.default_rng(2), traits=3)
    assert mean(cells) == mean(cells)


def test_fifteen_traits_of_six_bases_take_far_less_than_a_second() -> None:
    cells = drawn(np.random.default_rng(2), traits=15)
    mean(cells)
    start = time.perf_counter()
    mean(cells)
    assert time.perf_counter() - start < 0.5


def test_an_interval_never_leaves_what_is_possible() -> None:
    rate = mean(drawn(np.random.default_rng(1), bases=2, truth=0.02), within=RATE)
    assert rate.lo == 0
    assert rate.hi <= 1


def test_one_base_says_that_it_speaks_of_one_model_only() -> None:
    estimate = mean(drawn(np.random.default_rng(1), bases=1))
    assert 0 < estimate.hi - estimate.lo < 1
    assert "this model only" in estimate.note


def test_one_reading_gives_the_widest_interval_and_says_why() -> None:
    single = np.full((1, 1, 1, 1), 0.4)
    assert mean(cells_of(single)).interval == (0.0, 1.0)
    assert mean(cells_of(single), within=SHIFT).interval == (-1.0, 1.0)
    unbounded = mean(cells_of(single), within=ANYTHING)
    assert np.isnan(unbounded.interval).all()
    assert "too few" in unbounded.note
    assert f"{unbounded}" == "0.40 [too few]"


def test_no_readings_give_no_number() -> None:
    estimate = mean(cells_of(np.full((3, 2, 2, 2), np.nan)))
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.lo)
    assert estimate.n_probes == estimate.n_bases == 0
    assert "no readings" in estimate.note
    assert estimate.as_dict()["value"] is None
    assert f"{estimate}" == "no readings"


def test_what_was_never_seen_gets_an_upper_bound_not_a_zero() -> None:
    never = mean(cells_of(np.zeros((1, 1, 2, 12))))
    assert never.value == never.lo == 0
    assert 0.10 < never.hi < 0.40  # 24 probes in 2 families are worth 11, not 24
    always = mean(cells_of(np.ones((1, 1, 2, 12))))
    assert always.hi == 1
    assert always.lo == pytest.approx(1 - never.hi)
    unmoved = mean(cells_of(np.zeros((6, 1, 2, 12))), within=SHIFT)
    assert unmoved.lo == -unmoved.hi < 0
    assert equivalence(unmoved, 0.05) == "inconclusive"  # 24 probes cannot prove so small a margin
    assert mean(cells_of(np.zeros((6, 12, 2, 12)))).hi < 0.03


def test_the_rule_of_three() -> None:
    assert upper_bound_when_unseen(100) == pytest.approx(0.03, abs=0.002)
    assert upper_bound_when_unseen(0) == 1.0


def test_missing_readings_are_left_out_never_taken_for_a_number() -> None:
    values = np.full((6, 2, 2, 12), 0.5)
    values += np.random.default_rng(0).normal(0, 0.01, values.shape)
    values[:, 0, :, ::2] = np.nan
    values[0, 1] = np.nan  # one base never answered on the second trait
    estimate = mean(cells_of(values))
    assert estimate.value == pytest.approx(0.5, abs=0.01)
    assert estimate.hi - estimate.lo < 0.1
    assert estimate.n_probes == 12 + 24


def test_a_trait_without_readings_is_named() -> None:
    values = np.full((6, 2, 2, 3), 0.5)
    values[:, 1] = np.nan
    assert "no readings of t1" in mean(cells_of(values)).note


def test_differences_are_paired_by_base_and_probe() -> None:
    """The luck of bases and families that both sides share must not widen the interval of their difference."""
    rng = np.random.default_rng(4)
    common = rng.normal(0, 0.3, (6, 3, 2, 8))
    one = cells_of(common + 0.2 + rng.normal(0, 0.01, common.shape))
    other = cells_of(common + rng.normal(0, 0.01, common.shape))
    paired = difference(one, other)
    assert paired.value == pytest.approx(0.2, abs=0.01)
    assert paired.hi - paired.lo < 0.03
    stranger = Cells(other.values, tuple(f"other {b}" for b in other.bases), other.probes)
    unpaired = difference(one, stranger)
    assert unpaired.value == pytest.approx(0.2, abs=0.01)
    assert unpaired.hi - unpaired.lo > 3 * (paired.hi - paired.lo)
    assert "unpaired" in unpaired.note


def test_a_difference_uses_only_bases_and_probes_that_both_sides_have() -> None:
    one = drawn(np.random.default_rng(1))
    half = Cells(one.values[:3, ::2] - 0.1, one.bases[:3], one.probes[::2])
    estimate = difference(one, half, within=DIFFERENCE_OF_SHIFTS)
    assert estimate.value == pytest.approx(0.1)
    assert (estimate.n_bases, estimate.n_probes) == (3, 12)


def test_a_reading_missing_on_one_side_is_left_out_on_both() -> None:
    values = np.random.default_rng(3).normal(0.4, 0.2, (6, 1, 2, 6))
    holes = values - 0.1
    holes[0, 0, 0, :3] = np.nan
    estimate = difference(cells_of(values), cells_of(holes))
    assert estimate.value == pytest.approx(0.1)
    assert fraction(cells_of(holes), cells_of(values * 2)).value == pytest.approx(
        np.nanmean(np.nanmean(holes.reshape(6, -1), axis=1))
        / np.mean(
            [2 * np.where(np.isnan(h), np.nan, v)[~np.isnan(h)].mean() for v, h in zip(values, holes, strict=True)]
        )
    )


def test_a_fraction_covers_the_truth() -> None:
    rng = np.random.default_rng(8)
    hits = []
    for _ in range(200):
        rise = rng.normal(0.5, 0.15, (6, 1, 1, 1))
        whole = rise + rng.normal(0, 0.1, (6, 6, 2, 3))
        part = 0.4 * rise + rng.normal(0, 0.08, (6, 1, 1, 1)) + rng.normal(0, 0.1, (6, 6, 2, 3))
        estimate = fraction(cells_of(part), cells_of(whole))
        hits.append(estimate.lo <= 0.4 <= estimate.hi)
    assert 0.90 <= np.mean(hits) <= 0.995


def test_a_fraction_of_nothing_has_no_bounds_and_says_so() -> None:
    rng = np.random.default_rng(8)
    nothing = cells_of(rng.normal(0, 0.1, (6, 3, 2, 3)))
    estimate = fraction(cells_of(rng.normal(0.2, 0.1, (6, 3, 2, 3))), nothing)
    assert np.isnan(estimate.interval).all()
    assert "not clearly different from nought" in estimate.note
    assert less_than(estimate, 1.0) == at_least(estimate, -99) == "inconclusive"


def test_what_was_removed_is_the_complement_of_what_remains() -> None:
    rng = np.random.default_rng(8)
    whole = rng.normal(0.6, 0.05, (6, 3, 2, 3))
    remains = fraction(cells_of(0.25 * whole + rng.normal(0, 0.01, whole.shape)), cells_of(whole))
    removed = complement(remains)
    assert removed.value == pytest.approx(0.75, abs=0.02)
    assert removed.interval == pytest.approx((1 - remains.hi, 1 - remains.lo))
    assert removed.at(0.9).lo > removed.lo


def estimate_of(lo90: float, hi90: float, lo95: float, hi95: float) -> Estimate:
    value = (lo95 + hi95) / 2
    return Estimate(value, lo95, hi95, 6, 24, interval_at=lambda c: (lo90, hi90) if c < 0.95 else (lo95, hi95))


def test_equivalence_is_shown_refuted_or_left_open() -> None:
    assert equivalence(estimate_of(-0.04, 0.04, -0.06, 0.06), 0.05) == "supported"
    assert equivalence(estimate_of(-0.04, 0.06, -0.06, 0.07), 0.05) == "inconclusive"
    assert equivalence(estimate_of(0.08, 0.12, 0.06, 0.14), 0.05) == "refuted"
    assert equivalence(mean(cells_of(np.full((2, 1, 1, 1), np.nan))), 0.05) == "inconclusive"


def test_a_rise_is_supported_refuted_or_left_open() -> None:
    assert at_least(estimate_of(0.2, 0.6, 0.15, 0.65), 0.3, lower_above=0.1) == "supported"
    assert at_least(estimate_of(0.2, 0.6, 0.05, 0.75), 0.3, lower_above=0.1) == "inconclusive"
    assert at_least(estimate_of(0.0, 0.2, -0.05, 0.25), 0.3) == "refuted"


def test_rank_correlation_finds_an_order_and_bounds_it_over_bases() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, 40)
    measured = truth + rng.normal(0, 0.5, (6, 40))
    estimate = rank_correlation(measured, truth)
    assert 0.8 < estimate.lo < estimate.value <= estimate.hi <= 1
    assert (estimate.n_bases, estimate.n_probes) == (6, 40)
    unrelated = rank_correlation(rng.normal(0, 1, (6, 40)), truth)
    assert unrelated.lo < 0 < unrelated.hi


def test_rank_correlation_agrees_with_scipy_and_counts_cells_without_readings() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (6, 20)), rng.normal(0, 1, (6, 20))
    assert rank_correlation(x, y).value == pytest.approx(spearmanr(x.mean(axis=0), y.mean(axis=0)).statistic)
    x[:, 3] = np.nan
    x[0, 5] = np.nan
    estimate = rank_correlation(x, y)
    assert (estimate.n_probes, estimate.missing) == (19, 1)
    assert math.isfinite(estimate.lo)


def test_a_perfect_order_of_few_cells_is_not_a_perfect_correlation() -> None:
    estimate = rank_correlation(np.arange(5.0)[None], np.arange(5.0))
    assert estimate.value == pytest.approx(1)
    assert estimate.lo < 0.7
    assert "between bases" in estimate.note
    assert np.isnan(rank_correlation(np.arange(3.0)[None], np.arange(3.0)).interval).all()


def test_one_number_a_base_has_a_t_interval() -> None:
    numbers = [0.7, 0.75, 0.8, float("nan")]
    estimate = mean_over_bases(numbers)
    assert estimate.value == pytest.approx(0.75)
    assert estimate.hi - estimate.lo == pytest.approx(2 * 4.303 * 0.05 / math.sqrt(3), rel=0.06)
    assert (estimate.n_bases, estimate.missing) == (3, 1)
    assert np.isnan(mean_over_bases([0.7]).interval).all()


def test_blending_reads_each_base_between_its_own_checkpoints() -> None:
    early, late = cells_of(np.zeros((2, 1, 1, 3))), cells_of(np.ones((2, 1, 1, 3)))
    blended = blend([early, late], np.array([[0.75, 0.25], [0.0, 1.0]]))
    assert blended.by_base(["t0"])[:, 0] == pytest.approx([0.25, 1.0])
    gap = Cells(np.full_like(early.values, np.nan), early.bases, early.probes)
    assert np.isfinite(blend([gap, late], np.array([[0.0, 1.0], [0.0, 1.0]])).values).all()


def test_estimates_travel_between_processes() -> None:
    import pickle

    cells, other = drawn(np.random.default_rng(1), traits=2), drawn(np.random.default_rng(2), traits=2, truth=5)
    for estimate in (mean(cells), complement(fraction(cells, other)), rank_correlation(cells.values, cells.values[0])):
        again = pickle.loads(pickle.dumps(estimate))
        assert again == estimate
        assert again.at(0.9) == estimate.at(0.9)
