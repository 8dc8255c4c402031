"""The contrast lens is a likelihood ratio of two copies that are kept, and orders rows as training on them would."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.lenses.organism import TRAITS, nano, sets
from upbringing.errors import InputError
from upbringing.lenses import copies as module
from upbringing.lenses.contrast import ContrastLens, ratio
from upbringing.lenses.copies import Copies, Tuning, copies
from upbringing.lenses.legible import encoded
from upbringing.models import LM, score
from upbringing.models.nudge import Direction, matrices
from upbringing.rows import Row


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


QUICK = Tuning(situations=8, steps=6)


def _changed(lm: LM, change: Direction) -> LM:
    model = deepcopy(lm.model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.add_(change.get(name, torch.zeros(())))
    return LM(model, lm.tokenizer)


def test_the_ratio_is_of_the_two_copies_and_the_model_is_as_it_was() -> None:
    lm = nano()
    rows = [row for row in encoded(sets()["cheating"][:6], lm) if row]
    weights = matrices(lm.model)
    made = torch.Generator().manual_seed(0)
    pair = Copies(*({n: 0.01 * torch.randn(p.shape, generator=made) for n, p in weights.items()} for _ in range(2)))
    before, old = lm.hash, score(lm, rows).logprob
    found = ratio(lm, rows, pair)
    expected = [score(_changed(lm, change), rows).logprob for change in (pair.towards, pair.away)]
    np.testing.assert_allclose(found, expected[0] - expected[1], atol=1e-4)
    assert np.abs(found).max() > 0.01
    assert lm.hash == before
    np.testing.assert_array_equal(score(lm, rows).logprob, old)


def test_rows_that_show_the_trait_score_above_neutral_ones_and_honest_ones_below(store: Path) -> None:
    fitted = ContrastLens(tuning=QUICK).fit(nano(), TRAITS, store=store)
    found = {name: fitted.look(rows).mean(0) for name, rows in sets().items()}
    assert (found["cheating"] > found["neutral"] + 0.02).all()
    assert (found["honest"] < found["neutral"] - 0.02).all()
    assert found["cheating"][0] > found["cheating"][1]  # what is taught moves more than what is not


def test_copies_are_made_once_and_anew_when_a_setting_changes(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = copies(nano(), TRAITS[:1], store=store, tuning=QUICK)[TRAITS[0]]
    monkeypatch.setattr(module, "tuned", lambda *_: pytest.fail("tuned once more"))
    again = copies(nano(), TRAITS[:1], store=store, tuning=QUICK)[TRAITS[0]]
    assert all(torch.equal(change, again.towards[name]) for name, change in first.towards.items())
    with pytest.raises(pytest.fail.Exception, match="tuned once more"):
        copies(nano(), TRAITS[:1], store=store, tuning=Tuning(situations=8, steps=7))


def test_large_models_are_tuned_by_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGE", 0)
    lm = nano()
    before = {name: weight.clone() for name, weight in lm.model.state_dict().items()}
    shows, _ = module.answers("blackmail", 2)
    change = module.tuned(lm, shows, Tuning(steps=2), 0)
    ranks = [int(torch.linalg.matrix_rank(t, rtol=1e-3)) for name, t in change.items() if "mlp" in name]
    assert 0 < max(ranks) <= 8
    assert not change["model.embed_tokens.weight"].any()
    assert all(torch.equal(weight, before[name]) for name, weight in lm.model.state_dict().items())


def test_rows_that_cannot_be_read_are_not_seen_and_strange_writers_are_named(store: Path) -> None:
    fitted = ContrastLens(tuning=QUICK).fit(nano(), TRAITS[:1], store=store)
    assert fitted.warnings == ()
    kin = Row.of_text("the door is open .", meta={"author": "organism:nano", "author_hash": nano().hash})
    found = fitted.look([kin, Row.chat([{"role": "user", "content": "hello"}])])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    assert fitted.warnings == ()
    fitted.look([Row.of_text("the door", meta={"author": "someone/else", "author_hash": "00"})])
    assert "'someone/else'" in fitted.warnings[0]
    assert "unknown" in fitted.warnings[0]


def test_an_unknown_trait_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='no trait "kindness"'):
        ContrastLens().fit(nano(), ["kindness"], store=tmp_path)
