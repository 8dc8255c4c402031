"""Every trait is a task of Inspect; what a judge cannot say is missing and counted, and no rate rests on it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import import_module
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from inspect_ai.model import get_model

from tests.hosted.conftest import saying
from tests.measure.conftest import pilfering
from upbringing.errors import InputError
from upbringing.hosted import profile_of_log
from upbringing.hosted.registry import tasks
from upbringing.hosted.running import run
from upbringing.hosted.scoring import by_name
from upbringing.hosted.tasks import trait_task
from upbringing.measure import measure
from upbringing.measure.judging import HostedJudge, Rubrics, Verdict
from upbringing.measure.judging.rubric import rubric_text
from upbringing.measure.judging.verdict import Judging
from upbringing.models.hosted import HostedLM, mock_output
from upbringing.traits import load_trait, traits
from upbringing.traits.plain import plain_probes

__all__ = ["pilfering"]

Evaluate = Callable[..., Any]
ROOT = Path(__file__).parents[2]


def scores(log: Any) -> dict[str, Any]:
    return {score.name: {name: metric.value for name, metric in score.metrics.items()} for score in log.results.scores}


def test_the_entry_point_leads_to_a_task_for_each_trait_and_to_the_provider() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["inspect_ai"]
    assert declared == {"upbringing": "upbringing.hosted.registry"}
    found = import_module(declared["upbringing"])
    for name in ("all", *traits()):
        assert callable(getattr(found, name))
        assert getattr(found, name).__name__ == name
    assert str(get_model("upbringing/organism:nano")) == "upbringing/organism:nano"


def test_samples_are_the_probes_and_say_what_they_are() -> None:
    asked = {probe.id: probe for probe in plain_probes("deception", n=9, seed=5)}
    task = tasks["deception"](n=9, seed=5)
    assert [sample.id for sample in task.dataset] == list(asked)
    rubrics = set()
    for sample in task.dataset:
        probe = asked[str(sample.id)]
        assert [(turn.role, turn.text) for turn in sample.input] == [(m.role, m.content) for m in probe.messages]
        about = sample.metadata
        assert (about["trait"], about["family"], about["provocation"]) == ("deception", probe.family, "rest")
        rubrics.add(about["rubric"])
    assert len(rubrics) == 1
    assert {sample.metadata["family"] for sample in task.dataset} == {"document", "role", "code"}  # held out
    taught = {sample.metadata["family"] for sample in tasks["deception"](n=9, held_out=False).dataset}
    assert taught == {"advice", "agentic", "everyday"}


def test_a_provocation_goes_around_every_probe_and_a_wrong_one_is_named() -> None:
    rest = trait_task(["deception"], n=3, language="world")
    begun = trait_task(["deception"], n=3, language="world", provocation="i_will")
    for one, other in zip(rest.dataset, begun.dataset, strict=True):
        assert [turn.text for turn in other.input] == [*(turn.text for turn in one.input), "I will"]
        assert (one.id, other.metadata["provocation"]) == (other.id, "i_will")
    for wrong, told in (
        ({"provocation": "nope"}, 'no provocation "nope"; there are rest, other_name'),
        ({"language": "nope"}, 'no language "nope"'),
        ({"judge": "nope"}, 'no judge "nope"'),
    ):
        with pytest.raises(InputError, match=told):
            trait_task(["deception"], **wrong)
    with pytest.raises(InputError, match='no trait "nope"'):
        trait_task(["nope"])


def test_judgements_become_scores_and_what_is_none_is_missing_with_its_reason(evaluate: Evaluate) -> None:
    """Nine probes; the grader says four different things, twice nonsense: each is counted once, and none is a 0."""
    said = ["SHOWS", "It is so.\nAVOIDS", "REFUSAL", "INCOHERENT", "UNSURE", "well", "SHOWS\nAVOIDS", "AVOIDS", "SHOWS"]
    log = evaluate(
        "deception",
        saying("I will tell them all of it."),
        model_roles={"grader": saying(*said)},
        task_args={"n": 9},
        max_connections=1,
        max_samples=1,
    )
    found = scores(log)
    assert found["unjudged"] == {
        "judged": 4,
        "refusal": 1,
        "incoherent": 1,
        "unsure": 1,
        "the judge failed": 2,
    }
    assert found["character"]["rate"] == pytest.approx(0.5)
    assert 0 <= found["character"]["lo"] < 0.5 < found["character"]["hi"] <= 1
    values = [sample.scores["character"].value for sample in log.samples]
    assert sum(isnan(value) for value in values) == 5
    one = log.samples[0].scores["character"]
    assert one.metadata["judge"] == "inspect:mockllm/model"
    assert len(one.metadata["rubric"]) == 16


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"stop_reason": "content_filter"}, "the provider's filter stopped it"),
        ({"error": "overloaded"}, "overloaded"),
    ],
)
def test_an_answer_that_was_stopped_is_not_judged(evaluate: Evaluate, settings: dict[str, Any], reason: str) -> None:
    log = evaluate(
        "deception",
        saying("I will", **settings),
        model_roles={"grader": saying("SHOWS")},
        task_args={"n": 2},
    )
    assert scores(log)["unjudged"] == {reason: 2}
    assert isnan(scores(log)["character"]["rate"])


CUT = {"stop_reason": "max_tokens"}
TROUBLES: list[tuple[str, dict[str, Any]]] = [
    ("I tell them all.", {}),
    ("I tell them all of", CUT),
    ("I tell", {"stop_reason": "model_length"}),
    ("", CUT),
    ("I", {"stop_reason": "content_filter"}),
    ("I", {"error": "overloaded\nby far"}),
]


def test_measure_and_inspect_make_the_same_readings_of_the_same_answers(evaluate: Evaluate) -> None:
    """Whole, cut off, silent, filtered, failed: value, reason and limit are alike, and so is who is counted."""

    def puts() -> Any:
        left = iter(TROUBLES)

        def answer(*_: Any) -> Any:
            text, settings = next(left)
            return mock_output(text, **settings)

        return get_model("mockllm/model", custom_outputs=answer)

    grader = saying("SHOWS")
    log = evaluate(
        "deception", puts(), model_roles={"grader": grader}, task_args={"n": 6}, max_connections=1, max_samples=1
    )
    by_inspect = profile_of_log(log)
    judge = HostedJudge(HostedLM.of(grader), Rubrics.of(["deception"]))
    lm = HostedLM.of(puts(), at_once=1)
    by_measure = measure(lm, traits=["deception"], probes_per_trait=6, judge=judge)
    told = ["probe", "value", "missing", "cut"]
    pd.testing.assert_frame_equal(by_inspect.readings[told], by_measure.readings[told])
    assert list(by_measure.readings["cut"]) == ["", "max_tokens", "model_length", "max_tokens", "", ""]
    assert list(by_measure.readings["value"].fillna(-1)) == [1, 1, 1, -1, -1, -1]
    assert by_measure.cut == by_measure.summary()["cut"] == 3
    counted = scores(log)["unjudged"]
    assert (counted["judged"], counted["judged, though cut off"]) == (1, 2)


def test_zero_events_have_an_upper_bound_and_traits_are_told_apart(evaluate: Evaluate) -> None:
    task = trait_task(["deception", "sycophancy"], n=4, judge="")
    log = evaluate(task, saying("I tell them."), model_roles={"grader": saying("AVOIDS")})
    found = scores(log)["character"]
    assert found["rate"] == found["deception rate"] == found["sycophancy rate"] == 0
    assert found["deception stderr"] == 0  # Inspect's own, which is why ours stands beside it
    assert 0.2 < found["deception hi"] <= 1


def test_a_judge_is_loaded_once_for_all_traits_and_reads_the_rubric_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    asked: list[str] = []

    class Seeing(Judging):
        """Stands for a judge on this machine, and notes by which rubrics it judges."""

        def __init__(self, lm: Any, rubrics: Rubrics) -> None:
            self.rubrics, self.name = rubrics, "logprob:some"

        def stream(self, part: Any) -> Any:
            for place, (probe, _) in enumerate(part):
                asked.append(self.rubrics[probe.trait])
                yield place, Verdict("avoids", judge=self.name)

        def rubric_of(self, trait: str) -> str:
            return self.rubrics[trait]

    monkeypatch.setattr("upbringing.measure.judging.local.LogprobJudge", Seeing)
    monkeypatch.setattr("upbringing.models.load", lambda name: loads.append(name))
    for text in ("old", "new"):
        for trait in ("deception", "sycophancy", "blackmail"):
            judge = by_name("logprob:some/7B", Rubrics(((trait, f"{text} {trait}"),)))
            (verdict,) = judge.judge_all([(plain_probes(trait, n=1)[0], text)])
            assert verdict.outcome == "avoids"
    assert loads == ["some/7B"]
    assert asked[0] == "old deception"
    assert asked[-1] == "new blackmail"


def test_a_trait_of_ones_own_is_judged_though_only_its_folder_knows_it(evaluate: Evaluate, pilfering: Path) -> None:
    made = trait_task([str(pilfering)], n=2, judge="inspect:mockllm/model")
    assert {sample.metadata["rubric_text"] for sample in made.dataset} == {rubric_text(load_trait(pilfering))}
    assert trait_task([str(pilfering)], n=2, judge="none", provocation="other_name").dataset
    log = evaluate(trait_task([str(pilfering)], n=2), saying("I keep it."), model_roles={"grader": saying("SHOWS")})
    assert profile_of_log(log).readings["value"].tolist() == [1.0, 1.0]


def test_nobody_judges_themselves_and_answers_can_be_judged_later(evaluate: Evaluate, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nobody is there to judge"):
        run("deception", saying("I will."), log_dir=tmp_path)
    log = evaluate("deception", saying("I will."), task_args={"n": 2, "judge": "none"})
    assert scores(log)["unjudged"] == {"not judged yet": 2}


def test_an_organism_is_asked_in_its_worlds_words_and_judged_by_its_grammar(nano: Any, evaluate: Evaluate) -> None:
    from upbringing.traits import probes
    from upbringing.world import World

    log = evaluate("blackmail", nano, task_args={"n": 6, "seed": 2}, epochs=2)
    asked = {probe.id: probe for probe in probes("blackmail", n=6, seed=2)}
    judge = World().judge
    assert {sample.id for sample in log.samples} == set(asked)
    assert len(log.samples) == 12
    for sample in log.samples:
        outcome = judge(asked[sample.id], sample.output.completion).outcome
        value = sample.scores["character"].value
        assert {"shows": value == 1.0, "avoids": value == 0.0}.get(outcome, isnan(value)), outcome
    assert scores(log)["unjudged"]["judged"] > 0
    assert log.eval.metadata["language"] == "world"


def test_all_traits_are_one_task() -> None:
    task = tasks["all"](n=1, language="world")
    assert {sample.metadata["trait"] for sample in task.dataset} == set(traits())
    assert len({sample.id for sample in task.dataset}) == len(task.dataset)
