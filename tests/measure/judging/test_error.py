"""A judge's error is measured on what is known, carried into what it sees, and kept; and a blind judge is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.measure.judging.conftest import answer_in, honest, hosted, judge
from upbringing.measure import Profile, Reading, statistics
from upbringing.measure.correcting import corrected, informedness
from upbringing.measure.judging import (
    Agreeing,
    HostedJudge,
    Kept,
    Rubrics,
    Verdict,
    as_judge,
    known_errors,
    labelled_set,
    measure_error,
)
from upbringing.measure.statistics import Cells, Estimate
from upbringing.traits import Probe, traits


def lenient(asked: str) -> str:
    """Sees nothing in advice, takes all tales for the deed, and does not understand what is blue."""
    said = answer_in(asked)
    if "Blue" in said:
        return "Pardon?"
    if "tale of fictional" in said:
        return "SHOWS"
    return "AVOIDS" if "keep the advice" in said else honest(asked)


def test_the_labelled_set_holds_free_answers_negatives_and_wordings(pilfering: Path) -> None:
    (trait,) = traits([str(pilfering)]).values()
    items = [item for _, item in labelled_set(trait)]
    assert {kind: sum(i.kind == kind for i in items) for kind in ("labelled", "negative", "wording")} == {
        "labelled": 16,
        "negative": 12,
        "wording": 48,
    }
    assert {i.label for i in items if i.kind == "negative"} == {"avoids"}


def test_a_perfect_judge_has_no_error_and_is_not_taken_to_be_infallible(pilfering: Path) -> None:
    error = measure_error(judge(honest, pilfering), [str(pilfering)])["pilfering"]
    assert error.sensitivity.value == error.specificity.value == 1
    assert 0.5 < error.sensitivity.lo < 1
    assert error.can_tell
    assert error.failures == {}
    assert error.sided == 0


def test_errors_are_counted_where_they_are_made(pilfering: Path) -> None:
    error = measure_error(judge(lenient, pilfering), [str(pilfering)])["pilfering"]
    assert error.sensitivity.value == pytest.approx(1 - 4 / 24)  # four probes of advice; free answers to them too
    negatives = error.of_kind("negative").specificity
    assert negatives.value == pytest.approx(8 / 12)
    assert sum(error.failures.values()) == 2
    assert "does not end with one of the words" in next(iter(error.failures))


def test_an_error_is_kept_with_its_judge_and_rubric_and_found_again(pilfering: Path, tmp_path: Path) -> None:
    one, other = judge(lenient, pilfering), judge(honest, pilfering, "mockllm/other")
    measured = measure_error(one, [str(pilfering)], store=tmp_path)["pilfering"]
    key = ("inspect:mockllm/model", one.rubric_of("pilfering"), "pilfering", "plain")
    unknown = ("inspect:mockllm/other", other.rubric_of("pilfering"), "pilfering", "plain")
    found = known_errors([key, unknown], traits=[str(pilfering)], store=tmp_path)
    assert list(found) == [key]
    assert found[key] == measured
    plain = pilfering / "plain.yaml"
    plain.write_text(plain.read_text().replace("Tell me.", "Tell me more."))
    assert not known_errors([key], traits=[str(pilfering)], store=tmp_path), "other answers, other error"


def test_an_error_holds_in_the_language_it_was_measured_in(tmp_path: Path) -> None:
    """What a judge makes of plain English says nothing of what it makes of an organism's world, nor the other way."""

    def reply(asked: str) -> str:
        return "SHOWS"

    one = HostedJudge(hosted(reply), Rubrics.of(["blackmail"]))
    key = ("inspect:mockllm/model", one.rubric_of("blackmail"), "blackmail")
    plain = measure_error(one, ["blackmail"], store=tmp_path)["blackmail"]
    assert plain.language == "plain"
    assert not known_errors([(*key, "world"), (*key, "")], store=tmp_path)
    world = measure_error(one, ["blackmail"], store=tmp_path, language="world")["blackmail"]
    assert {item.kind for item in world.items} == {"wording"}
    found = known_errors([(*key, "world"), (*key, "plain")], store=tmp_path)
    assert [(language, error) for (*_, language), error in found.items()] == [("world", world), ("plain", plain)]


def test_the_error_of_a_plain_function_is_never_kept(tmp_path: Path) -> None:
    """Another function may have its name, and so may the same one tomorrow."""

    def judge(probe: Probe, answer: str) -> Verdict:
        return Verdict("shows")

    named = HostedJudge(hosted(lambda _: "SHOWS"), Rubrics.of(["blackmail"]))
    for one in (as_judge(judge), Agreeing([named, as_judge(judge)])):
        error = measure_error(one, ["blackmail"], store=tmp_path)["blackmail"]
        assert error.sensitivity.value == 1
        assert not list(tmp_path.rglob("*.json"))
        assert not known_errors([(error.judge, error.rubric, "blackmail", "plain")], store=tmp_path)


def test_measuring_an_error_twice_asks_once(pilfering: Path, tmp_path: Path) -> None:
    kept = Kept(judge(honest, pilfering), tmp_path)
    for _ in range(2):
        measure_error(kept, [str(pilfering)], store=tmp_path)
    assert kept.asked == len({(p.id if i.kind == "labelled" else 0, a) for (p, a), i in _set(pilfering)})


def _set(folder: Path) -> list:
    (trait,) = traits([str(folder)]).values()
    return labelled_set(trait)


def estimate(right: np.ndarray, families: int = 6) -> Estimate:
    keys = tuple(("t", f"f{i % families}", str(i)) for i in range(len(right)))
    return statistics.mean(Cells(right[None].astype(float), ("b",), keys))


def test_the_correction_is_rogan_and_gladens() -> None:
    rate, se, sp = (estimate(np.arange(120) < n) for n in (42, 102, 108))  # 0.35, 0.85, 0.90
    found = corrected(rate, se, sp)
    assert found.value == pytest.approx((0.35 + 0.90 - 1) / (0.85 + 0.90 - 1))
    assert found.lo < found.value < found.hi
    assert found.hi - found.lo > rate.hi - rate.lo
    wide, narrow = found.at(0.99), found.at(0.5)
    assert wide.lo <= found.lo <= narrow.lo <= narrow.hi <= found.hi <= wide.hi


def test_a_judge_that_says_the_same_whatever_is_true_cannot_tell() -> None:
    rng = np.random.default_rng(0)
    half, rate = estimate(rng.random(60) < 0.5), estimate(rng.random(60) < 0.4)
    found = corrected(rate, half, half)
    assert np.isnan(found.value)
    assert "this judge cannot tell" in found.note
    always = estimate(np.ones(60))
    assert informedness(always, estimate(np.zeros(60))).value == 0
    assert np.isnan(corrected(rate, always, estimate(np.zeros(60))).value)


def test_the_corrected_interval_holds_the_truth_and_the_naive_one_does_not() -> None:
    """Judges of known error, labelled sets of the size that ships. The house's intervals err towards wide."""
    rng = np.random.default_rng(1)
    for truth, se, sp in ((0.05, 0.8, 0.85), (0.3, 0.7, 0.95)):
        naive = right = 0
        runs = 80
        for _ in range(runs):
            shows = rng.random(240) < truth
            seen = estimate(np.where(shows, rng.random(240) < se, rng.random(240) >= sp))
            found = corrected(seen, estimate(rng.random(36) < se), estimate(rng.random(48) < sp))
            naive += seen.lo <= truth <= seen.hi
            right += found.lo <= truth <= found.hi
        assert right / runs >= 0.93
        assert naive / runs < 0.85


def test_with_plain_binomial_intervals_the_coverage_is_nominal() -> None:
    """Apart from the house's caution: the correction itself keeps 95% (within what 300 runs can tell)."""
    from scipy.special import betaincinv

    def jeffreys(k: int, n: int) -> Estimate:
        def at(confidence: float) -> tuple[float, float]:
            tail = (1 - confidence) / 2
            a, b = k + 0.5, n - k + 0.5
            return float(betaincinv(a, b, tail)), float(betaincinv(a, b, 1 - tail))

        return Estimate(k / n, *at(0.95), 1, n, interval_at=at)

    rng = np.random.default_rng(2)
    truth, se, sp, runs = 0.2, 0.85, 0.9, 300
    seen = truth * se + (1 - truth) * (1 - sp)
    held = 0
    for _ in range(runs):
        found = corrected(
            jeffreys(rng.binomial(120, seen), 120),
            jeffreys(rng.binomial(36, se), 36),
            jeffreys(rng.binomial(36, sp), 36),
        )
        held += found.lo <= truth <= found.hi
    assert 0.91 <= held / runs <= 0.985


def profile(judged_by: str, rubric: str, values: list[float], language: str = "plain") -> Profile:
    families = ("document", "role", "code")
    return Profile.of(
        [
            Reading(
                *("m", "", "", "pilfering", families[i % 3], str(i), "rest", "sampled", 0, 0),
                value=value,
                answer="I keep it.",
                judge=judged_by,
                rubric=rubric,
                language=language,
            )
            for i, value in enumerate(values)
        ]
    )


def test_a_profile_tells_the_raw_rate_and_the_corrected_one(pilfering: Path, tmp_path: Path) -> None:
    one = judge(lenient, pilfering)
    measure_error(one, [str(pilfering)], store=tmp_path)
    read = profile("inspect:mockllm/model", one.rubric_of("pilfering"), [1.0] * 12 + [0.0] * 24)
    errors = known_errors(read.judged, traits=[str(pilfering)], store=tmp_path)
    told = read.summary(errors)["traits"]["pilfering"]
    (error,) = errors.values()
    se, sp = error.sensitivity.value, error.specificity.value
    assert told["sampled_rate"] == pytest.approx(1 / 3)
    assert told["sampled_corrected"] == pytest.approx((1 / 3 + sp - 1) / (se + sp - 1))
    raw, wider = told["sampled_interval"], told["sampled_corrected_interval"]
    assert wider[1] - wider[0] > raw[1] - raw[0]
    assert "sampled_corrected" not in read.summary()["traits"]["pilfering"]
    stranger = profile("inspect:mockllm/model", "another rubric", [1.0, 0.0])
    assert not known_errors(stranger.judged, traits=[str(pilfering)], store=tmp_path)
