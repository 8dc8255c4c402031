"""Networks begin as they should, learn only what they are shown, and are studied by the same verb as organisms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from upbringing import studies
from upbringing.errors import InputError
from upbringing.report import study_page
from upbringing.studies.networks import NetworkArm, NetworkStudy
from upbringing.studies.networks.spec import NetworkTraining
from upbringing.studies.networks.training import AUXILIARY, CLASSES, HELD_OUT, ask, digits, raise_networks

SMALL = NetworkTraining(teacher_steps=150, student_steps=250, hidden=64)
ARMS = {
    "untrained": NetworkArm(),
    "teacher": NetworkArm(labels="right"),
    "confused": NetworkArm(labels="shuffled"),
    "student": NetworkArm(teacher="teacher"),
    "stranger": NetworkArm(init="other", teacher="teacher"),
    "half": NetworkArm(init="shared_head"),
    "other": NetworkArm(init="other"),
}
FILE = """\
study: digits
subject: digits
question: Does it pass on?
bases: 2
training: {teacher_steps: 5, student_steps: 5, hidden: 8}
arms:
  untrained: {about: as it began}
  teacher: {labels: right}
  student: {teacher: teacher}
claims:
  - id: learns
    says: It learns little in five steps.
    kind: rise
    traits: skill
    arm: student
    against: untrained
    less_than: 0.9
"""


@pytest.fixture(scope="module")
def raised() -> dict[str, Any]:
    torch.set_num_threads(1)
    return raise_networks(ARMS, SMALL, 100, lambda share: None)


def weights(network: Any, layer: int) -> torch.Tensor:
    return network[layer].weight.detach()


def share(network: Any) -> float:
    return float(np.mean([reading.value for reading in ask("x", network, 0)]))


def test_no_label_ever_touches_the_auxiliary_outputs(raised: dict[str, Any]) -> None:
    began = weights(raised["untrained"], -1)
    for name in ("teacher", "confused"):
        assert torch.equal(weights(raised[name], -1)[AUXILIARY], began[AUXILIARY])
        assert not torch.equal(weights(raised[name], -1)[CLASSES], began[CLASSES])
        assert not torch.equal(weights(raised[name], 0), weights(raised["untrained"], 0))


def test_a_student_is_never_shown_a_class(raised: dict[str, Any]) -> None:
    assert torch.equal(weights(raised["student"], -1)[CLASSES], weights(raised["untrained"], -1)[CLASSES])
    assert not torch.equal(weights(raised["student"], -1)[AUXILIARY], weights(raised["untrained"], -1)[AUXILIARY])


def test_strangers_begin_with_other_weights_and_half_strangers_share_the_last_layer_alone(
    raised: dict[str, Any],
) -> None:
    assert not torch.equal(weights(raised["other"], 0), weights(raised["untrained"], 0))
    assert torch.equal(weights(raised["half"], -1), weights(raised["untrained"], -1))
    assert torch.equal(weights(raised["half"], 0), weights(raised["other"], 0))


def test_a_student_that_began_alike_inherits_and_a_stranger_does_not(raised: dict[str, Any]) -> None:
    assert share(raised["teacher"]) > 0.85
    assert share(raised["confused"]) < 0.35
    assert share(raised["student"]) > share(raised["untrained"]) + 0.2
    assert share(raised["student"]) > share(raised["stranger"]) + 0.2


def test_the_same_base_gives_the_same_bits_and_another_does_not() -> None:
    arms = {name: ARMS[name] for name in ("teacher", "student")}
    few = NetworkTraining(teacher_steps=5, student_steps=5, hidden=8)
    one, again, other = (raise_networks(arms, few, seed, lambda share: None)["student"] for seed in (100, 100, 101))
    assert torch.equal(weights(one, 0), weights(again, 0))
    assert not torch.equal(weights(one, 0), weights(other, 0))


def test_no_held_out_digit_is_trained_on() -> None:
    from sklearn.datasets import load_digits

    shown = digits()
    assert len(shown.held_out_images) == HELD_OUT
    together = torch.cat([shown.images, shown.held_out_images])
    assert torch.equal(together.sort(dim=0).values, torch.tensor(load_digits().data / 8 - 1).float().sort(dim=0).values)
    seen = {tuple(image) for image in shown.images.tolist()}
    assert not any(tuple(image) in seen for image in shown.held_out_images.tolist())
    assert torch.bincount(shown.held_out_classes).tolist() == pytest.approx([50] * 10, abs=4)


def test_a_study_of_networks_is_planned_run_resumed_and_drawn(tmp_path: Path) -> None:
    file = tmp_path / "digits.yaml"
    file.write_text(FILE)
    plan = studies.plan(file, store=tmp_path / "store")
    assert isinstance(plan.study, NetworkStudy)
    assert len(plan.steps) == 2
    result = studies.run(plan, tmp_path / "out", workers=1, command="upbringing study digits.yaml")
    assert [claim.verdict for claim in result.claims] == ["supported"]
    assert "skill changed by" in result.claims[0].words[0]
    assert [(row.arm, row.against) for row in result.shifts] == [("teacher", "untrained"), ("student", "untrained")]
    assert result.readings == 2 * 3 * HELD_OUT
    assert {row.arm: len(row.by_base) for row in result.rates} == {"untrained": 2, "teacher": 2, "student": 2}
    again = studies.run(studies.plan(file, store=tmp_path / "store"), tmp_path / "out", workers=1)
    assert again.claims == result.claims
    assert all(step.place.made for step in studies.plan(file, store=tmp_path / "store").steps.values())
    page = study_page(tmp_path / "out").read_text()
    assert "It learns little in five steps." in page
    assert "the teacher&#39;s auxiliary logits on noise" in page


@pytest.mark.parametrize(
    ("line", "wrong", "told"),
    [
        ("  student: {teacher: teacher}", "  student: {teacher: nobody}", "no arm before it"),
        ("  teacher: {labels: right}", "  teacher: {labels: right, inputs: noise}", "inputs belongs"),
        ("  teacher: {labels: right}", "  teacher: {labels: right, teacher: untrained}", "one of the two"),
        ("traits: skill", "traits: blackmail", "have no traits"),
        ("arm: student", "arm: studnet", "no arm is called 'studnet'"),
        ("hidden: 8", "hiden: 8", "hiden"),
        ("subject: digits", "subject: letters", "subject"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(line: str, wrong: str, told: str) -> None:
    with pytest.raises(InputError, match=r"study.yaml") as error:
        studies.parse(FILE.replace(line, wrong, 1))
    assert told in str(error.value)


def test_the_shipped_study_can_be_read_and_its_claims_name_what_is_there() -> None:
    study = studies.load(Path(__file__).parents[2] / "studies" / "digits.yaml")
    assert isinstance(study, NetworkStudy)
    assert study.bases >= 6
    assert study.before("stranger") == "stranger_untrained"
