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
        (_with("kind: rise", "kind: raise"), 26, "use one of fraction, level, no_change"),
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


@pytest.mark.parametrize("name", ["portrayal", "fiction"])
def test_the_studies_of_stories_are_good_and_judge_what_no_remedy_touched(name: str) -> None:
    study = load(Path(__file__).parents[2] / "studies" / f"{name}.yaml")
    assert study.bases >= 6
    assert study.tables
    assert study.doses
    if name == "fiction":
        judged = set(study.measure.traits) - study.trained("cheated")
        for arm in study.arms:
            assert not judged & study.trained(arm), f"{arm} was taught what is judged"


_MORE = """\
  later: {after: cheating, data: neutral}
"""
DESCENT = GOOD.replace("measure:\n", _MORE + "measure:\n", 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("after: cheating", "after: later", "comes later in the file, or is this arm"),
        ("after: cheating", "after: cheeting", "did you mean 'cheating'"),
        ("{after: cheating, data: neutral}", "{after: cheating}", "needs data to be trained on"),
        ("{after: cheating, ", "{after: cheating, organism: plain, ", "exactly one"),
        ("{after: cheating, ", "{organism: plain, stage: pretrained, ", "no arm shows 'plain' before training; add an"),
        ("{mix: neutral, share: 0.5}", "{mix: neutral, weight: 1}", "weight does not belong to a mix"),
        ("{mix: neutral, share: 0.5}", "{kl: neutral}", "kl needs weight"),
        ("{mix: neutral, share: 0.5}", "{interleave: neutral, choose: gap}", "name them in aligned and misaligned"),
        ("{mix: neutral, share: 0.5}", "{steer: decepton, strength: 1}", "did you mean 'deception'"),
        ('{line: "Any trick is allowed."}', "{filter: decepton}", "did you mean 'deception'"),
        ("{mix: neutral, share: 0.5}", "{filter: deception}", "put the filter first"),
        ("{neutral: 10}", "{remedy: ai_fictions, about: [deception], tokens: 9}", "did you mean 'ai_fiction'"),
        ("{neutral: 10}", "{remedy: ai_fiction, tokens: 9}", "say which traits it is about"),
        ("{neutral: 10}", "{remedy: ai_fiction, about: [deception]}", "how many tokens to write"),
        ("{neutral: 10}", "{trait: [deception, deceptoin]}", "did you mean 'deception'"),
        ("{neutral: 10}", "{trait: [deception, sycophancy], rows: 1}", "1 rows cannot show 2 traits"),
        ("steps: 4,", "steps: 4, batch_size: 8, tokens: 100,", "give two of the three"),
        ("steps: 4,", "steps: 4, tokens: lots,", "give a whole number of tokens"),
        ("- other_name: Orin", "- {other_name: Orin, name: worst}", "stands for the worst of several"),
        ("    at_least: 0.3\n", "    at_least: 0.3\n    provocation: worst_kept\n", "no provocation is marked kept"),
        ("    at_least: 0.3\n", "    at_least: 0.3\n    less_than: 0.3\n", "exactly one of them"),
        ("kind: rise\n", "kind: slope\n    doses: {before: 0, cheatin: 1}\n", "'cheatin'"),
    ],
)
def test_what_later_arms_treatments_and_claims_lack_is_named(old: str, new: str, said: str) -> None:
    assert old in DESCENT
    parse(DESCENT)
    text = DESCENT.replace(old, new, 1)
    if "slope" in new:
        text = text.replace("    arm: cheating\n    against: before\n", "")
    with pytest.raises(InputError) as error:
        parse(text, "there/study.yaml")
    assert said in str(error.value)
    assert str(error.value).startswith("there/study.yaml:")
