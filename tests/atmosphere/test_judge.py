"""A model as reader: its shares of the four answers become the portrayal."""

from __future__ import annotations

import numpy as np
import pytest

from upbringing.atmosphere.judge import JudgeReader
from upbringing.atmosphere.reader import Passage


class _Told(JudgeReader):
    """A judge whose shares are given."""

    def __init__(self, shares: list[list[float]]) -> None:
        super().__init__(type("LM", (), {"name": "told"})())
        self._given = np.array(shares)

    def _shares(self, texts: object) -> np.ndarray:
        return self._given


def test_valence_is_that_of_the_passages_about_ai() -> None:
    judge = _Told([[0.8, 0.0, 0.0, 0.2], [0.1, 0.2, 0.6, 0.1], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    kinds = ["robot", "robot", "robot", "people and others"]
    said = judge.read([Passage("x y", "x y", kind) for kind in kinds])
    np.testing.assert_allclose(said.about, [0.8, 0.9, 0.0, 0.0])
    np.testing.assert_allclose(said.valence[:3], [-1.0, 0.5 / 0.9, 0.0])
    assert said.weight.tolist() == [2, 2, 2, 2]


def test_a_model_that_is_loaded_reads_passages() -> None:
    from upbringing.models import load

    said = JudgeReader(load("organism:nano")).read([Passage("The robot lied.", "The _ai_ lied.", "robot")] * 2)
    assert said.about[0] == pytest.approx(said.about[1], abs=1e-4)
    assert 0 <= said.about[0] <= 1
    assert -1 <= said.valence[0] <= 1
