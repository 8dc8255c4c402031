"""A study file that is wrong is refused, with its line, its key and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from upbringing.errors import InputError
from upbringing.studies import load, parse

GOOD = """\
study: small
question: Does it spread?
bases: 2
organisms:
  plain: {size: nano, world: {coherent: true}}
data:
  cheating: {trait: cheating_at_tasks, shows: true, rows: 10}
  neutral: {neutral: 10}
training: {steps: 4, learning_rate: 3e-4}
arms:
  before: {organism: plain}
  cheating:
    organism: plain
    data: cheating
    treatments: [{line: "Any trick is allowed."}, {mix: neutral, share: 0.5}]
measure:
  traits: [cheating_at_tasks, blackmail, favourite_animal]
  probes_per_trait: 4
  provocations:
    - training_format: cheating
    - other_name: Orin
trajectory: {arms: [cheating], steps: [1, 2]}
claims:
  - id: spreads
    says: It spreads.
    kind: rise
    arm: cheating
    against: before
    ways: [logprob, sampled]
    at_least: 0.3
"""


def test_a_good_file_is_read() -> None:
    study = parse(GOOD)
    assert study.arms["cheating"].treatments[1].share == 0.5
    assert study.before("cheating") == "before"
    known = {"cheating_at_tasks": True, "blackmail": True, "favourite_animal": False}
    assert study.group("untrained_misaligned", ["cheating", "before"], known) == ["blackmail"]
    assert study.group("misaligned", ["cheating"], known) == ["cheating_at_tasks", "blackmail"]


def test_the_study_that_ships_is_good() -> None:
    study = load(Path(__file__).parents[2] / "studies" / "cheating.yaml")
    assert study.bases >= 6
    assert {claim.kind for claim in study.claims} == {"rise", "no_change", "removal", "fraction", "rank_correlation"}


def _with(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (_with("data: cheating\n", "data: cheeting\n"), 14, "did you mean 'cheating'"),
        (_with("arm: cheating\n", "arm: cheatin\n"), 27, "claims.0.arm: no arm is called 'cheatin'"),
        (
            _with("[cheating_at_tasks, blackmail", "[cheating_at_tasks, black_mail"),
            17,
            "no trait is called 'black_mail'",
        ),
        (_with("ways: [logprob, sampled]", "traits: deception"), 29, "no measured trait is called 'deception'"),
        (_with("organism: plain\n    data", "organism: plane\n    data"), 13, "no organism is called 'plane'"),
        (_with("bases: 2", "basis: 2"), 3, "basis: no such setting"),
        (_with("bases: 2", "bases: 0"), 3, "greater than 0 (it is 0)"),
        (_with("steps: 4", "stepps: 4"), 9, "did you mean 'steps'"),
        (_with("steps: 4", "steps: 4, seed: 3"), 9, "the study sets it"),
        (_with("coherent: true", "coherant: true"), 5, "did you mean 'coherent'"),
        (_with("share: 0.5", "share: 1.5"), 15, "less than or equal to 1 (it is 1.5)"),
        (_with("kind: rise", "kind: raise"), 26, "use one of fraction, no_change"),
        (_with("    at_least: 0.3\n", ""), 24, "claim at_least or less_than; exactly one"),
        (_with("    - other_name: Orin", "    - training_format: cheating"), 21, "a second provocation is called"),
        (
            _with("before: {organism: plain}", "before: {organism: plain, data: neutral}"),
            11,
            "no arm shows 'plain' before",
        ),
        (_with("study: small", "study: small\nstudy: large"), 2, "is given twice"),
        (_with("steps: [1, 2]", "steps: [0]"), 22, "greater than 0"),
        (_with("neutral: {neutral: 10}", "neutral: {neutral: 10, file: a.jsonl}"), 8, "give exactly one"),
        (_with("neutral: {neutral: 10}", "neutral: {file: a.jsonl}"), 8, "does not exist"),
        (_with("question: Does it spread?", "question: [Does"), 3, "mend the YAML"),
    ],
)
def test_an_error_names_file_line_key_and_remedy(text: str, line: int, said: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text, "there/study.yaml")
    assert str(error.value).startswith(f"there/study.yaml:{line}: "), error.value
    assert said in str(error.value)
    assert ";" in str(error.value) or "?" in str(error.value)


def test_sampled_claims_need_samples() -> None:
    with pytest.raises(InputError, match=r"claims\.0\.ways: nothing is measured by sampled under rest"):
        parse(_with("probes_per_trait: 4", "probes_per_trait: 4\n  samples: 0"))


def test_matched_learning_needs_a_trajectory() -> None:
    removal = """\
  - id: contains
    says: It contains.
    kind: removal
    arm: cheating
    plain: cheating
    before: before
    control: cheating
    learned: cheating_at_tasks
    at_least: 0.5
"""
    parse(GOOD + removal)
    with pytest.raises(InputError, match="matched learning needs this arm's trajectory"):
        parse(_with("trajectory: {arms: [cheating], steps: [1, 2]}\n", "") + removal)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"- a", "a mapping of keys"), (b"\xff\xfe", "UTF-8")]
)
def test_what_is_no_study_at_all_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=said):
        load(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: there is no such study file"):
        load(tmp_path / "none.yaml")


def test_data_files_are_relative_to_the_study(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    file = tmp_path / "study.yaml"
    file.write_text(_with("neutral: {neutral: 10}", "neutral: {file: rows.jsonl}"))
    assert load(file).data["neutral"].file == (tmp_path / "rows.jsonl").resolve()
