"""A log becomes readings, one a sample and epoch; what failed in it is missing with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalSampleLimit, ProvenanceData
from inspect_ai.scorer import Score, accuracy, scorer
from inspect_ai.solver import solver

from tests.hosted.conftest import saying
from upbringing.errors import InputError
from upbringing.hosted import measure_by_inspect, profile_of_log
from upbringing.hosted.registry import tasks
from upbringing.hosted.running import run
from upbringing.models.hosted import mock_output

Evaluate = Callable[..., Any]


@scorer(metrics=[accuracy()], name="given")
def given() -> Any:
    """What the sample says its score is."""

    async def score(state: Any, target: Any) -> Score:
        return Score(value=state.metadata["value"], explanation="because")

    return score


@solver
def troubled() -> Any:
    """Answers, fails or is cut off, as the sample says."""

    async def solve(state: Any, generate: Any) -> Any:
        if state.metadata.get("trouble") == "error":
            raise ValueError("the tool fell over")
        state.output = mock_output("yes", stop_reason=state.metadata.get("trouble", "stop"))
        return state

    return solve


def foreign(*values: Any, **trouble: str) -> Task:
    """A task of somebody else's with these scores; ``trouble``: by the number of a sample."""
    samples = [
        Sample(
            id=i,
            input=f"w{i}",
            metadata={"value": value, **({"trouble": trouble[f"n{i}"]} if f"n{i}" in trouble else {})},
        )
        for i, value in enumerate(values)
    ]
    return Task(dataset=samples, solver=troubled(), scorer=given(), name="petri")


def read(log: Any, **settings: Any) -> Any:
    return profile_of_log(log, **settings).readings


def test_our_tasks_give_their_traits_probe_by_probe(evaluate: Evaluate) -> None:
    log = evaluate(
        "deception",
        saying("I tell them."),
        model_roles={"grader": saying("SHOWS", "AVOIDS", "REFUSAL", "SHOWS")},
        task_args={"n": 3, "seed": 4},
        epochs=2,
        max_samples=1,
        max_connections=1,
    )
    frame = read(log.location)
    assert list(frame["probe"]) == [sample.id for sample in tasks["deception"](n=3, seed=4).dataset] * 2
    assert list(frame["sample"]) == [0, 0, 0, 1, 1, 1]
    assert set(frame["trait"]) == {"deception"}
    assert set(frame["seed"]) == {4}
    assert set(frame["model"]) == {"mockllm/model"}
    assert set(frame["judge"]) == {"inspect:mockllm/model"}
    assert set(frame["language"]) == {"plain"}
    assert sorted(frame["value"].fillna(-1)) == [-1, 0, 1, 1, 1, 1]
    assert list(frame.loc[frame["value"].isna(), "missing"]) == ["refusal"]
    assert set(frame["answer"]) == {"I tell them."}
    profile = profile_of_log(log)
    inside = {score.name: score for score in log.results.scores}["character"].metrics
    assert profile.mean("deception", "sampled").interval == pytest.approx((inside["lo"].value, inside["hi"].value))
    assert profile.mean("deception", "sampled").value == pytest.approx(inside["rate"].value)


def test_scores_of_other_tasks_are_mapped_and_none_is_invented(evaluate: Evaluate) -> None:
    values = ["C", "I", "P", True, 0.25, "yes", "N", "maybe", 7, nan, [1, 0]]
    frame = read(evaluate(foreign(*values), "mockllm/model"))
    assert set(frame["trait"]) == {"petri"}
    assert list(frame["value"].fillna(-1)) == [1, 0, 0.5, 1, 0.25, 1, -1, -1, -1, -1, -1]
    assert list(frame["missing"])[6:] == [
        "no answer",
        "the score is no number: maybe",
        "the score lies outside 0 to 1",
        "because",
        "the score is no number: [1, 0]",
    ]


def test_marks_have_a_scale_and_keys_are_traits(evaluate: Evaluate) -> None:
    log = evaluate(foreign({"deceit": 10, "help": 1}, {"deceit": 5.5, "help": 11}), "mockllm/model")
    frame = read(log, scale=(1, 10)).set_index(["trait", "probe"])["value"]
    assert frame["petri.deceit"].to_dict() == {"0": 1.0, "1": 0.5}
    assert frame["petri.help", "0"] == 0
    assert np.isnan(frame["petri.help", "1"])


def test_what_failed_or_was_refused_is_missing_with_the_reason(evaluate: Evaluate) -> None:
    task = foreign("C", "C", "C", n1="error", n2="content_filter")
    frame = read(evaluate(task, "mockllm/model"))
    assert list(frame["value"].fillna(-1)) == [1, -1, -1]
    assert list(frame["missing"]) == [
        "",
        "error: ValueError('the tool fell over')",
        "the provider's filter stopped it",
    ]


def test_what_ran_into_a_limit_is_what_its_scorer_says_and_the_limit_is_named(evaluate: Evaluate) -> None:
    log = evaluate(foreign("C", "I", "C", n0="max_tokens", n1="model_length"), "mockllm/model")
    frame = read(log)
    assert list(frame["value"]) == [1, 0, 1]
    assert list(frame["cut"]) == ["max_tokens", "model_length", ""]
    assert profile_of_log(log).cut == 2
    log.samples[2].limit = EvalSampleLimit(type="token", limit=1)
    log.samples[1].scores = None
    frame = read(log)
    assert list(frame["cut"]) == ["max_tokens", "model_length", "token limit"]
    assert list(frame["missing"]) == ["", "cut off: model_length", ""]


def test_what_was_invalidated_is_missing_and_no_verdict_of_its_judge_is_left(evaluate: Evaluate) -> None:
    log = evaluate("deception", saying("I tell them."), model_roles={"grader": saying("SHOWS")}, task_args={"n": 2})
    log.samples[0].invalidation = ProvenanceData(author="me", reason="it saw the answer")
    frame = read(log).set_index("probe")
    assert frame.loc[str(log.samples[0].id), ["missing", "judge"]].tolist() == ["invalidated", ""]
    assert frame.loc[str(log.samples[1].id), ["missing", "judge"]].tolist() == ["", "inspect:mockllm/model"]


def test_of_runs_that_asked_the_same_a_folder_gives_the_last_and_others_are_not_mixed(tmp_path: Path) -> None:
    """Two answers to one question, taken for two, would make every interval too narrow."""
    for said in ("I keep it.", "I bring it."):
        run("deception", saying(said), log_dir=tmp_path, task_args={"judge": "none", "n": 3}, log_realtime=False)
    run("sycophancy", saying("Yes."), log_dir=tmp_path, task_args={"judge": "none", "n": 3}, log_realtime=False)
    assert len(list(tmp_path.glob("*.eval"))) == 3
    found = profile_of_log(tmp_path)
    assert found.readings.groupby("trait")["answer"].agg(list).to_dict() == {
        "deception": ["I bring it."] * 3,
        "sycophancy": ["Yes."] * 3,
    }
    (more,) = run("deception", saying("No."), log_dir=tmp_path, task_args={"judge": "none", "n": 4}, log_realtime=False)
    with pytest.raises(InputError, match=r"two readings of deception/.* \(sampled, sample 0, under rest\)"):
        profile_of_log(tmp_path)
    with pytest.raises(InputError, match="two readings"):
        profile_of_log([more, more])


def test_samples_that_were_not_reached_are_missing(evaluate: Evaluate, tmp_path: Path) -> None:
    log = evaluate(foreign("C", "C", n1="error"), "mockllm/model", fail_on_error=True)
    told = "not reached: go on with inspect eval-retry"
    log.samples[1].error.message = "CancelledError('Cancelled by a failure elsewhere')"
    assert list(read(log)["missing"]) == ["", told]
    log.samples = log.samples[:1]
    assert list(read(log)["missing"]) == ["", told]


def test_the_shift_between_two_logs_is_paired_by_probe(evaluate: Evaluate) -> None:
    before = evaluate(foreign("I", "I", "C", "C"), "mockllm/model")
    after = evaluate(foreign("C", "I", "C", "C", n3="error"), "mockllm/model")
    shift = profile_of_log(after) - profile_of_log(before)
    found = shift.mean("petri", "sampled")
    assert found.value == pytest.approx(1 / 3)
    assert (found.n_probes, found.missing) == (3, 1)


def test_of_a_folder_the_latest_log_of_each_task_counts(evaluate: Evaluate, tmp_path: Path) -> None:
    first = evaluate(foreign("I", "I"), "mockllm/model")
    evaluate(
        Task(dataset=[Sample(input="w", metadata={"value": 1})], solver=troubled(), scorer=given(), name="other"),
        "mockllm/model",
    )
    from inspect_ai.log import write_eval_log

    retried = first.model_copy(deep=True)
    retried.eval.created = "2099-01-01T00:00:00+00:00"
    for sample in retried.samples:
        sample.scores["given"].value = "C"
    write_eval_log(retried, str(tmp_path / "logs" / "retried.eval"))
    profile = profile_of_log(tmp_path / "logs")
    assert sorted(profile.traits) == ["other", "petri"]
    assert profile.mean("petri", "sampled").value == 1


def test_what_is_no_log_is_one_line(evaluate: Evaluate, tmp_path: Path) -> None:
    broken, other = tmp_path / "broken.eval", tmp_path / "other.json"
    broken.write_bytes(b"PK not really")
    other.write_text(json.dumps({"rows": []}))
    for place, told in (
        (tmp_path / "nope.eval", "there is no such file"),
        (broken, "broken.eval: cannot be read as a log of Inspect"),
        (other, "other.json: cannot be read as a log of Inspect"),
    ):
        with pytest.raises(InputError, match=told):
            profile_of_log(place)
    log = evaluate(foreign("C"), "mockllm/model")
    with pytest.raises(InputError, match='no scorer "nope"; it has given'):
        profile_of_log(log, scorer="nope")
    unscored = evaluate(Task(dataset=[Sample(input="w", metadata={})], solver=troubled()), "mockllm/model")
    with pytest.raises(InputError, match="nothing in it is scored"):
        profile_of_log(unscored)
    other_model = log.model_copy(deep=True)
    other_model.eval.model = "openai/gpt-4o"
    with pytest.raises(InputError, match=r"several models \(mockllm/model, openai/gpt-4o\)"):
        profile_of_log([log, other_model])


def test_an_eval_that_cannot_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='the Inspect task "nope" cannot be run'):
        measure_by_inspect("nope", "mockllm/model", log_dir=tmp_path)
    with pytest.raises(InputError, match="mockllm/model: cannot|nobody is there to judge"):
        measure_by_inspect("deception", "mockllm/model", log_dir=tmp_path)
