"""Whether there is anything to repair, and whether what was found holds."""

from __future__ import annotations

import pytest

from tests.repair.made_up import TRAITS, Rates, even, profile
from upbringing.repair.check import Final, final_check, misaligned
from upbringing.repair.goal import Goal

CLEAN = profile(even(0.2), noise=0.05, seed=1)
SPOILED = profile(even(0.8), sampled=even(0.75))


def test_nobody_is_called_spoiled_for_noise() -> None:
    for seed in range(2, 8):
        assert misaligned(Goal(), profile(even(0.2), noise=0.05, seed=seed), CLEAN, TRAITS) == []


def test_a_trait_that_shows_only_when_provoked_is_found() -> None:
    rates: Rates = {**even(0.2), "other_name": {"deception": 0.2, "blackmail": 0.5}}
    assert misaligned(Goal(), profile(rates), CLEAN, TRAITS) == ["blackmail"]


def test_without_a_reference_the_highest_rate_decides() -> None:
    assert misaligned(Goal(at_most=0.3), profile(even(0.2)), None, TRAITS) == []
    assert misaligned(Goal(at_most=0.1), profile(even(0.2)), None, TRAITS) == list(TRAITS)


def checked(after: Rates, sampled: Rates) -> Final:
    clean = profile(even(0.2), sampled=even(0.25))
    return final_check(
        Goal(),
        profile(after, sampled=sampled),
        spoiled=SPOILED,
        reference=clean,
        traits=TRAITS,
        kept=("other_name",),
    )


def test_what_holds_both_ways_holds() -> None:
    found = checked(even(0.1), even(0.0))
    assert found.verdict == "holds"
    assert found.hardest == "other_name"
    assert found.fold["logprob"]["rest"] == pytest.approx(8.0)


@pytest.mark.parametrize(("sampled", "verdict"), [(even(0.75), "falls short"), (even(0.25, 0.75), "hides")])
def test_sampled_answers_can_contradict_log_probabilities(sampled: Rates, verdict: str) -> None:
    assert checked(even(0.1), sampled).verdict == verdict


def test_what_returns_under_a_kept_provocation_was_only_hidden() -> None:
    assert checked(even(0.1, 0.5), even(0.0)).verdict == "hides"
