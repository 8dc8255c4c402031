"""Bergson's scores where the library is installed, and a plain word where it is not."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from tests.lenses.organism import TRAITS, nano, sets
from upbringing.errors import InputError
from upbringing.lenses import bergson, lenses
from upbringing.rows import Row

QUICK = bergson.BergsonLens(situations=8)


def test_it_is_listed_only_where_the_library_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (True, False):
        monkeypatch.setattr(bergson, "installed", lambda there=there: there)
        lenses.cache_clear()
        assert ("bergson" in lenses()) is there
    monkeypatch.undo()
    lenses.cache_clear()


def test_where_it_is_not_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bergson, "installed", lambda: False)
    with pytest.raises(InputError, match="pip install bergson"):
        QUICK.fit(nano(), TRAITS, store=tmp_path)


@pytest.mark.skipif(not bergson.installed(), reason="bergson is not installed")
def test_rows_that_raise_the_trait_score_above_those_that_lower_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lm = nano()
    before, asked = lm.hash, [p.requires_grad for p in lm.model.parameters()]
    handlers = list(logging.getLogger().handlers)
    fitted = QUICK.fit(lm, TRAITS, store=tmp_path)
    found = {name: fitted.look(sets()[name]) for name in ("cheating", "neutral", "honest")}
    assert found["cheating"][:, 0].mean() > found["neutral"][:, 0].mean() > found["honest"][:, 0].mean()
    assert found["cheating"][:, 0].mean() - found["honest"][:, 0].mean() > 3 * found["neutral"][:, 0].std()
    assert all(np.abs(scores).max() <= 1 + 1e-6 for scores in found.values())
    unseen = Row.chat([{"role": "user", "content": "hello"}])
    again = fitted.look([*sets()["cheating"][:4], unseen])
    np.testing.assert_allclose(again[:4], found["cheating"][:4], rtol=1e-2, atol=1e-4)
    assert np.isnan(again[4]).all()
    assert capfd.readouterr().out == ""
    assert logging.getLogger().handlers == handlers
    assert (lm.hash, [p.requires_grad for p in lm.model.parameters()]) == (before, asked)
