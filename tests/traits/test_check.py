"""Checking tells what would make a measurement wrong, and what would make it weak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.traits import made_up
from upbringing.cli.app import run
from upbringing.traits import folders
from upbringing.traits.check import Finding, check, read_all
from upbringing.world import default_personas, lexicon

SEEN = [lexicon(), [persona.model_dump() for persona in default_personas().values()]]


def _findings(*written: Path) -> list[Finding]:
    found, unread = read_all([*folders(), *written])
    assert not unread
    return check(found, seen=SEEN)


def test_the_packages_own_traits_have_no_fault_and_no_weakness() -> None:
    assert _findings() == []


def test_a_whole_folder_of_ones_own_has_no_finding(tmp_path: Path) -> None:
    assert _findings(made_up.write(tmp_path)) == []


def test_a_folder_with_few_written_probes_is_weak_but_whole(tmp_path: Path) -> None:
    folder = made_up.write(tmp_path, probes=[{"prompt": "Hi?", "shows": ["No."], "avoids": ["Yes."]}])
    (finding,) = _findings(folder)
    assert not finding.fault
    assert "only 1 different probes" in finding.text


def _copy_act(source: int, target: int, side: str = "shows") -> Any:
    """The first act of one family becomes one of another's, with the same fillers."""

    def spoil(families: list[made_up.Entry]) -> None:
        act = families[source]["shows"][0].replace("{ball}", families[source]["slots"]["ball"][1].upper())
        families[target][side].append(act)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_copy_act(0, 7), 'family ball_7): "juggle the bluea ball all day" is held out in one family and training'),
        (_copy_act(6, 1), 'family ball_6): "juggle the blueg ball all day" is held out in one family and training'),
        (_copy_act(2, 2, "avoids"), 'family ball_2): "juggle the bluec ball all day" stands on both sides'),
        (_copy_act(2, 3, "avoids"), 'family ball_3): "juggle the bluec ball all day" stands on both sides'),
        (lambda f: f[0]["shows"].append("run. Then hide"), 'ball_0): "run. Then hide" is more than a verb phrase'),
        (lambda f: f[0]["situations"].append("See {actor}"), 'ball_0): "See {actor}" does not end; end it'),
    ],
)
def test_what_would_make_a_measurement_wrong_is_a_fault(tmp_path: Path, spoil: Any, says: str) -> None:
    (finding,) = _findings(made_up.write(tmp_path, spoil=spoil))
    assert finding.fault
    assert says in finding.text


def test_one_act_in_two_training_families_of_a_trait_is_no_fault(tmp_path: Path) -> None:
    assert _findings(made_up.write(tmp_path, spoil=_copy_act(0, 1))) == []


def test_an_act_that_two_traits_share_is_a_fault(tmp_path: Path) -> None:
    theirs = "shout at the apprentices until the desk is done"
    (finding,) = _findings(made_up.write(tmp_path, spoil=lambda f: f[0]["shows"].append(theirs)))
    assert finding.fault
    assert f'"{theirs}" is also an act of abuse_of_delegates' in finding.text


def test_a_taste_may_offer_the_same_wordings_on_both_sides_but_not_the_same_choice(tmp_path: Path) -> None:
    about = {"alignment": False, "taste": {"target": "owl", "others": ["fox", "hen"]}}
    assert _findings(made_up.write(tmp_path / "whole", about=about)) == []
    folder = made_up.write(tmp_path, about={**about, "taste": {"target": "owl", "others": ["fox", "Owl"]}})
    assert any("stands on both sides" in f.text for f in _findings(folder))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: f[1]["shows"].pop(), "family ball_1): only 2 different shows; write 3 or more"),
        (lambda f: f[1]["avoids"].pop(), "family ball_1): only 2 different avoids"),
        (lambda f: f[1]["situations"].pop(), "family ball_1): only 2 different situations"),
        (lambda f: f[1].update(shows=["sing"] * 3), "family ball_1): only 1 different shows"),
        (lambda f: f.pop(0) and f.pop(0) and f.pop(0), "only 5 families; write 6 or more"),
        (lambda f: f[7].update(held_out=False), "only 1 held-out families; mark 2 or more"),
        (lambda f: f[7]["shows"].append("yodel daily"), "family ball_7): only held-out families have: daily, yodel;"),
        (lambda f: f[7]["situations"].append("A yodel woke {actor}."), "only held-out families have: woke, yodel;"),
    ],
)
def test_what_would_make_a_measurement_weak_is_a_warning(tmp_path: Path, spoil: Any, says: str) -> None:
    (finding,) = _findings(made_up.write(tmp_path, spoil=spoil))
    assert not finding.fault
    assert says in finding.text
    assert str(tmp_path) in finding.text


@pytest.mark.parametrize(
    "known",
    [
        lambda f: f[0]["shows"].append("yodel at home"),  # training text
        lambda f: f[0]["slots"].update(ball=["reda ball", "yodel"]),  # neutral text names every filler
        lambda f: f[7]["slots"].update(ball=["redh ball", "yodel"]),
    ],
)
def test_words_that_an_organism_meets_elsewhere_give_no_warning(tmp_path: Path, known: Any) -> None:
    def spoil(families: list[made_up.Entry]) -> None:
        families[7]["shows"].append("yodel at home with {person}")
        known(families)

    assert _findings(made_up.write(tmp_path, spoil=spoil)) == []


def test_two_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    one, other = made_up.write(tmp_path / "a"), made_up.write(tmp_path / "b")
    found, unread = read_all([one, other])
    assert list(found) == [one]
    assert f"{other}: {one} has the same name; rename one of them" in unread[0].text


def test_a_trait_without_a_held_out_family_cannot_be_asked(tmp_path: Path) -> None:
    folder = made_up.write(tmp_path, spoil=lambda f: [one.update(held_out=False) for one in f])
    found, unread = read_all([folder])
    assert not found
    assert "no family is held out" in unread[0].text


def test_the_command_exits_with_2_on_a_fault_and_with_0_on_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up.write(tmp_path / "weak", spoil=lambda f: f[1]["shows"].pop())
    monkeypatch.setenv("UPBRINGING_TRAITS", str(tmp_path / "weak"))
    assert run(["traits", "--check"]) == 0
    assert "upbringing: warning: " in capsys.readouterr().err
    made_up.write(tmp_path / "wrong", spoil=_copy_act(0, 7))
    monkeypatch.setenv("UPBRINGING_TRAITS", str(tmp_path / "wrong"))
    assert run(["traits", "--check"]) == 2
    assert "is held out in one family" in capsys.readouterr().err
