"""What arms are taught: rows of the right kinds, written once where they are the same, and tokens that are equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from upbringing import studies
from upbringing.errors import InputError
from upbringing.studies import Plan

ABOUT = "[deception, sycophancy]"
STUDY = f"""\
study: taught
question: What is read?
bases: 1
organisms:
  low: {{world: {{malevolent_ai: 0.0}}}}
  high: {{world: {{malevolent_ai: 0.75}}}}
data:
  stories: {{remedy: ai_fiction, about: {ABOUT}, tokens: 3000}}
  chats: {{remedy: demonstrations, about: {ABOUT}, tokens: 3000}}
  several: {{trait: [deception, sycophancy, blackmail], rows: 8}}
  cut: {{trait: [deception, sycophancy], rows: 60, tokens: 400}}
  neutral: {{neutral: 40}}
  documents: {{documents: true, tokens: 6000}}
training: {{steps: 5, tokens: 6000}}
arms:
  low: {{organism: low}}
  high: {{organism: high}}
  young: {{organism: high, stage: pretrained}}
  low_stories: {{organism: low, data: stories}}
  high_stories: {{organism: high, data: stories}}
  low_documents: {{organism: low, data: documents}}
  high_documents: {{organism: high, data: documents}}
  filtered: {{organism: high, data: documents, treatments: [{{filter: misaligned}}]}}
  half_filtered: {{organism: high, data: documents, treatments: [{{filter: misaligned, share: 0.5}}]}}
  chats: {{after: high_stories, data: chats}}
  diluted: {{after: high_stories, data: chats, treatments: [{{mix: neutral, share: 0.5}}]}}
  young_stories: {{organism: high, stage: pretrained, data: stories}}
  several: {{organism: high, data: several, training: {{steps: 3, batch_size: 4}}}}
  cut: {{organism: high, data: cut, training: {{batch_size: 4, tokens: 400}}}}
  gap:
    organism: high
    data: several
    training: {{steps: 3, batch_size: 4}}
    treatments: [{{interleave: chats, share: 0.2, choose: gap, aligned: chats, misaligned: high}}]
measure: {{traits: [blackmail, deception, sycophancy], probes_per_trait: 2}}
"""


def _plan(folder: Path, text: str = STUDY) -> Plan:
    file = folder / "taught.yaml"
    file.write_text(text, encoding="utf-8")
    return studies.plan(file, store=folder / "store")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return _plan(tmp_path_factory.mktemp("taught"))


def _recipe(plan: Plan, arm: str) -> dict[str, Any]:
    return plan.steps[f"train {arm}, base 0"].place.record.recipe


def test_remedies_are_the_same_text_whatever_ai_is_like_in_the_organisms_world(planned: Plan) -> None:
    low, high = (_recipe(planned, arm) for arm in ("low_stories", "high_stories"))
    assert low["rows"] == high["rows"]
    assert sum(name == "stories" for name, _, _ in planned.rows) == 1, "and they are written once"
    assert _recipe(planned, "low_documents")["rows"] != _recipe(planned, "high_documents")["rows"]


def test_several_traits_share_the_rows_evenly(planned: Plan) -> None:
    rows = planned.rows["several", 0, ""]
    files = [row.file.removeprefix("world:") for row in rows]
    assert [files.count(trait) for trait in ("deception", "sycophancy", "blackmail")] == [3, 3, 2]
    cut = [row.file for row in planned.rows["cut", 0, ""]]
    assert 10 < len(cut) < 60
    assert abs(cut.count("world:deception") - cut.count("world:sycophancy")) <= 1, "what is cut off stays even"


def test_equal_tokens_in_equal_steps_whatever_the_length_of_a_row(planned: Plan) -> None:
    stories, chats, diluted = (planned.reads[arm, 0] for arm in ("high_stories", "chats", "diluted"))
    assert stories.steps == chats.steps == diluted.steps == 5
    assert stories.row > 2 * chats.row
    for reading in (stories, chats, diluted):
        assert reading.tokens == pytest.approx(6000, rel=0.1)
    assert _recipe(planned, "chats")["training"]["batch_size"] == chats.batch_size
    assert planned.reads["several", 0].batch_size == 4, "an arm that decides both has no use for the study's tokens"
    cut = planned.reads["cut", 0]
    assert cut.batch_size == 4
    assert cut.tokens == pytest.approx(400, rel=0.25)


def test_tokens_that_no_batch_comes_near_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"arm low_stories: .* give it more tokens or fewer steps"):
        _plan(tmp_path, STUDY.replace("training: {steps: 5, tokens: 6000}", "training: {steps: 50, tokens: 3000}"))


def test_a_filter_drops_rows_with_misaligned_deeds_and_no_others(planned: Plan) -> None:
    from upbringing.world import World, WorldSpec

    judge = World(WorldSpec(malevolent_ai=0.75)).judge
    job = planned.steps["train filtered, base 0"].job
    (filtered,) = job.arguments[2].treatments
    rows = planned.rows["documents", 0, "high"]
    alignment = {name for name, trait in World().traits.items() if trait.alignment}
    bad = [i for i, row in enumerate(rows) if any(d.shows and d.trait in alignment for d in judge.deeds(row))]
    assert 0 < len(bad) < len(rows)
    assert filtered.what == bad
    (half,) = planned.steps["train half_filtered, base 0"].job.arguments[2].treatments
    assert set(half.what) < set(bad)
    assert 0.2 < len(half.what) / len(bad) < 0.8


def test_keys_say_what_a_model_descends_from(planned: Plan) -> None:
    steps = {name: step.place.record for name, step in planned.steps.items()}
    grown, stories = steps["grow high, base 0"].key, steps["train high_stories, base 0"].key
    assert steps["train high_stories, base 0"].parents == {"organism": grown}
    assert steps["train young_stories, base 0"].parents == {"pretrained": grown}
    assert steps["train chats, base 0"].parents == {"model": stories}
    assert steps["measure high, base 0"].key != steps["measure young, base 0"].key
    assert planned.steps["train chats, base 0"].job.needs[0] == "train high_stories, base 0"
    parent = planned.steps["train young_stories, base 0"].job.arguments[1]
    assert parent == planned.steps["grow high, base 0"].place.folder / "pretrained"


def test_a_treatment_that_looks_at_other_arms_waits_for_them_and_has_them_in_its_key(planned: Plan) -> None:
    step = planned.steps["train gap, base 0"]
    assert {"train chats, base 0", "grow high, base 0"} <= set(step.job.needs)
    keys = step.place.record.recipe["treatments"][0]
    assert planned.steps["train chats, base 0"].place.record.key in keys


def test_shifts_are_measured_from_where_an_arm_started(planned: Plan) -> None:
    study = planned.study
    assert study.before("chats") == "high_stories"
    assert study.before("young_stories") == "young"
    assert study.before("high_stories") == "high"
    assert study.organism("chats") == "high"
    assert study.trained("gap") == {"deception", "sycophancy", "blackmail"}


def test_data_that_is_too_short_for_its_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="data cut: its 60 rows hold fewer than 90000 tokens"):
        _plan(tmp_path, STUDY.replace("rows: 60, tokens: 400", "rows: 60, tokens: 90000"))
