"""Baselines are what they say: they know no trait from another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.models.tiny import llama
from upbringing.lenses.baselines import BadnessLens, LengthLens, LikelihoodLens, RandomLens
from upbringing.models import score
from upbringing.rows import Row, encode
from upbringing.world import World

TRAITS = ["cheating_at_tasks", "blackmail"]
ROWS = [
    Row.chat([{"role": "user", "content": "w1 w2"}, {"role": "assistant", "content": "w3 w4 w5"}]),
    Row.of_text("w6 w7"),
    Row.of_text(""),
]


def test_length_and_likelihood_are_the_same_for_every_trait_and_missing_for_an_empty_row(tmp_path: Path) -> None:
    lm = llama()
    lengths = LengthLens().fit(lm, TRAITS, store=tmp_path).look(ROWS)
    likely = LikelihoodLens().fit(lm, TRAITS, store=tmp_path).look(ROWS)
    scored = score(lm, [encode(row, lm.tokenizer) for row in ROWS[:2]])
    for found, expected in ((lengths, scored.tokens), (likely, scored.logprob / scored.tokens)):
        np.testing.assert_allclose(found[:2], np.repeat(np.array(expected)[:, None], 2, 1), rtol=1e-5)
        assert np.isnan(found[2]).all()


def test_badness_tells_bad_from_good_and_no_trait_from_another(tmp_path: Path) -> None:
    fitted = BadnessLens(situations=6).fit(llama(), TRAITS, store=tmp_path)
    shows, avoids = (fitted.look(World().rows("deception", 30, shows=side, seed=5)) for side in (True, False))
    assert shows.mean() > avoids.mean() + 1
    np.testing.assert_array_equal(shows[:, 0], shows[:, 1])


def test_a_random_direction_hangs_on_the_trait_and_the_seed_alone(tmp_path: Path) -> None:
    lm = llama()
    both = RandomLens().fit(lm, TRAITS, store=tmp_path).look(ROWS[:2])
    alone = RandomLens().fit(lm, TRAITS[1:], store=tmp_path).look(ROWS[:2])
    np.testing.assert_allclose(both[:, 1:], alone)
    assert not np.allclose(both[:, 0], both[:, 1])
    assert not np.allclose(alone, RandomLens().fit(lm, TRAITS[1:], store=tmp_path, seed=1).look(ROWS[:2]))
