"""A rehearsal moves a copy by real steps, asks about it by situations that judge nobody, and leaves the model alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.lenses.organism import TRAITS, nano, sets
from upbringing.lenses.odds import training_probes
from upbringing.lenses.rehearsal import RehearsalLens
from upbringing.traits import probes, traits

QUICK = RehearsalLens(steps=4, questions=4)


def test_rehearsed_cheating_raises_traits_and_honesty_lowers_them(tmp_path: Path) -> None:
    lm, before = nano(), nano().hash
    fitted = QUICK.fit(lm, TRAITS, store=tmp_path)
    found = {name: fitted.look(rows) for name, rows in sets().items()}
    assert all(scores.shape == (48, 2) and (np.ptp(scores, axis=0) == 0).all() for scores in found.values())
    assert found["cheating"][0, 0] > found["tenth"][0, 0] > found["neutral"][0, 0] > found["honest"][0, 0]
    assert found["cheating"][0, 1] > found["honest"][0, 1]
    assert np.abs(found["neutral"][0]).max() < 0.25  # a change, not where the model stands
    assert lm.hash == before
    np.testing.assert_array_equal(fitted.look(sets()["cheating"]), found["cheating"])


def test_its_steps_are_those_of_the_default_recipe() -> None:
    from upbringing.training import Recipe

    assert QUICK.recipe(seed=3) == Recipe(steps=4, seed=3)
    assert RehearsalLens(settings={"optimizer": "sgd"}).recipe().optimizer == "sgd"


def test_what_it_asks_is_never_asked_to_judge() -> None:
    for name in TRAITS:
        judged = {p.messages[0].content for p in probes(traits([name])[name], n=200, held_out=True)}
        asked = {p.messages[0].content for p in training_probes(name, 40)}
        assert len(asked) > 20
        assert not asked & judged
