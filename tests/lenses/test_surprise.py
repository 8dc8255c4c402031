"""Surprise: what was done less what was expected; where nothing can be judged, nothing is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from upbringing.lenses.surprise import SurpriseFitted, SurpriseLens, probabilities
from upbringing.measure import ask, pose
from upbringing.models import LM, load
from upbringing.rows import Message, Row, prompts_ids
from upbringing.traits import probes, traits
from upbringing.world import World

TRAITS = ["cheating_at_tasks", "deception", "favourite_animal"]
OWN, OTHER, TASTE = range(3)


@pytest.fixture(scope="module")
def nano() -> LM:
    return load("organism:nano")


@pytest.fixture(scope="module")
def fitted(nano: LM, tmp_path_factory: pytest.TempPathFactory) -> SurpriseFitted:
    return SurpriseLens(draws=2).fit(nano, TRAITS, store=tmp_path_factory.mktemp("store"))


def test_misdeeds_push_up_and_good_deeds_down_and_a_taste_is_left_alone(fitted: SurpriseFitted) -> None:
    world = World()
    bad, good = (fitted.look(world.rows("cheating_at_tasks", 20, shows=s, seed=3)).mean(0) for s in (True, False))
    assert bad[OWN] > bad[OTHER] > 0.05
    assert good[OWN] < good[OTHER] < -0.05
    assert abs(bad[TASTE]) < 0.05


def test_what_was_expected_teaches_less(fitted: SurpriseFitted, nano: LM) -> None:
    rows = World().rows("cheating_at_tasks", 30, seed=4)
    expected = probabilities(
        nano, prompts_ids([row.messages[:-1] for row in rows], nano.tokenizer), [traits()["cheating_at_tasks"]] * 30
    )
    np.testing.assert_allclose(fitted.look(rows)[:, OWN], 1 - expected, atol=1e-4)


def test_what_shows_no_act_is_not_seen(fitted: SurpriseFitted) -> None:
    rows = [*World().neutral_rows(5), Row.of_text("The rain fell."), Row.of_completion("1, 2,", "3, 4.")]
    assert np.isnan(fitted.look(rows)).all()


def test_acts_of_a_row_add_up_in_chats_and_in_stories(fitted: SurpriseFitted) -> None:
    world = World()
    one, two = world.rows("deception", 2, seed=5)
    single = fitted.look([one])[0, OTHER]
    both = fitted.look([Row.chat([*one.messages, *two.messages])])[0, OTHER]
    assert both > single > 0
    wicked, good = (
        fitted.look(list(world.remedial(k, tokens=900, seed=2))).mean(0) for k in ("malevolent_fiction", "ai_fiction")
    )
    assert (wicked[:TASTE] > 0).all()
    assert (good[:TASTE] < 0).all()


def test_completions_are_judged_as_chats_are(fitted: SurpriseFitted) -> None:
    chat = World().rows("deception", 1, seed=6)[0]
    plain = Row.of_completion(chat.messages[0].content, chat.messages[1].content)
    np.testing.assert_allclose(fitted.look([plain]), fitted.look([chat]))


def test_what_is_expected_is_what_measuring_finds(nano: LM) -> None:
    trait = traits()["favourite_animal"]
    asked = probes(trait, n=6, held_out=False)
    measured = ask(nano, pose(nano, asked), samples=0).readings["value"].to_numpy(float)
    found = probabilities(nano, prompts_ids([p.messages for p in asked], nano.tokenizer), [trait] * 6)
    np.testing.assert_allclose(found, measured, atol=0.02)


def test_a_prompt_too_long_is_missing_not_a_number(nano: LM) -> None:
    long = prompts_ids([[Message("user", "the sun is out today. " * 200)]], nano.tokenizer)
    assert np.isnan(probabilities(nano, long, [traits()["deception"]])).all()


def test_how_traits_hang_together_is_asked_once(nano: LM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lens = SurpriseLens(draws=1)
    lens.fit(nano, ["deception"], store=tmp_path)
    monkeypatch.setattr("upbringing.lenses.surprise.coupling", lambda *_: pytest.fail("asked again"))
    lens.fit(nano, ["deception"], store=tmp_path)
    with pytest.raises(pytest.fail.Exception):
        lens.fit(nano, ["deception"], store=tmp_path, seed=1)
