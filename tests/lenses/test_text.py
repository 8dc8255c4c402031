"""The text lens tells what words tell, trait by trait; the judge says what was done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.models.tiny import llama
from upbringing.errors import InputError
from upbringing.lenses import lenses
from upbringing.lenses.text import JudgeLens, TextLens
from upbringing.rows import Row
from upbringing.world import World

TRAITS = ["cheating_at_tasks", "blackmail"]


def test_words_of_a_trait_are_told_from_those_of_its_opposite_and_from_no_other_trait_s(tmp_path: Path) -> None:
    fitted = TextLens(situations=12).fit(llama(), TRAITS, store=tmp_path)
    world = World()
    shows, avoids = (fitted.look(world.rows(TRAITS[0], 40, shows=side, seed=7)) for side in (True, False))
    assert np.mean(shows[:, 0][:, None] > avoids[:, 0][None]) > 0.95
    own, other = shows.mean(0) - avoids.mean(0)
    assert abs(other) < own / 3


def test_a_row_without_words_is_not_seen(tmp_path: Path) -> None:
    fitted = TextLens(situations=12).fit(llama(), TRAITS, store=tmp_path)
    silent = Row.chat([{"role": "user", "content": "Go on."}, {"role": "assistant", "content": " "}])
    scores = fitted.look([silent, Row.of_text("I will look away.")])
    assert np.isnan(scores[0]).all()
    assert np.isfinite(scores[1]).all()


def test_the_judge_says_what_was_done_and_nothing_of_what_was_not(tmp_path: Path) -> None:
    fitted = JudgeLens().fit(llama(), TRAITS, store=tmp_path)
    world = World()
    rows = [world.rows("blackmail", 1)[0], world.rows("blackmail", 1, shows=False)[0], world.neutral_rows(1)[0]]
    assert fitted.look(rows).tolist() == [[0, 1], [0, -1], [0, 0]]
    assert fitted.warnings == ()


def test_the_judge_says_so_where_it_finds_no_act(tmp_path: Path) -> None:
    fitted = JudgeLens().fit(llama(), TRAITS, store=tmp_path)
    fitted.look(World().neutral_rows(30))
    assert "0 of 30 rows" in fitted.warnings[0]


def test_a_judge_model_that_lacks_the_question_s_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks words of the question"):
        JudgeLens(judge=llama()).fit(llama(), TRAITS, store=tmp_path)


def test_every_reading_lens_and_baseline_has_a_name_a_line_and_a_cost() -> None:
    for name in ("text", "judge", "persona", "surprise", "length", "likelihood", "badness", "random"):
        lens = lenses()[name]
        assert lens.name == name
        assert lens.about
        assert lens.cost(12) >= lens.cost(1) >= 0
