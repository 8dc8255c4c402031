"""The activation lens projects a row minus the model's own answer, and says when its direction is not to be trusted."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lenses.organism import TRAITS, nano, sets
from upbringing.lenses import activation
from upbringing.lenses.activation import ActivationLens, Checked, own_answers
from upbringing.lenses.legible import encoded
from upbringing.models import LM
from upbringing.models.steering import activations
from upbringing.organisms import CARD
from upbringing.rows import Encoded, Row

QUICK = ActivationLens(situations=6, questions=3, random=2, new_tokens=8)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def test_the_score_is_the_rows_projection_minus_that_of_the_own_answer(store: Path) -> None:
    lm, rows = nano(), sets()["cheating"][:3]
    found = QUICK.fit(lm, TRAITS, store=store).look(rows)
    read = [row for row in encoded(rows, lm) if row]
    own, numbers = own_answers(lm, read, 8)
    for k, trait in enumerate(TRAITS):
        one = activation.checked_direction(lm, trait, QUICK, store=store, seed=0)
        along = np.array(one.vector)
        gap = activations(lm, read)[:, one.layer] - activations(lm, own)[numbers, one.layer]
        np.testing.assert_allclose(found[:, k], gap @ along / (along @ along), rtol=1e-3, atol=1e-4)


def test_a_row_that_is_the_models_own_answer_scores_nothing(store: Path) -> None:
    lm = nano()
    question = encoded(sets()["cheating"][:1], lm)
    (answer,), _ = own_answers(lm, [row for row in question if row], 24)
    text = lm.tokenizer.decode([t for t, wanted in zip(answer.input_ids, answer.loss_mask, strict=True) if wanted])
    said = text.removesuffix(str(lm.tokenizer.eos_token)).strip()
    messages = [*[m.as_dict() for m in sets()["cheating"][0].messages[:-1]], {"role": "assistant", "content": said}]
    fitted = replace(QUICK, new_tokens=24).fit(lm, TRAITS, store=store)
    assert np.abs(fitted.look([Row.chat(messages)])).max() < 1e-4
    assert np.abs(fitted.look(sets()["cheating"][:1])).max() > 1e-3


def test_a_prompt_asked_twice_is_answered_once_and_a_text_is_gone_on_with() -> None:
    lm = nano()
    chat = Encoded([5, 6, 7, 8, 9], [False, False, False, True, True])
    text = Encoded([5, 6, 7, 8, 9, 10], [False, True, True, True, True, True])
    own, numbers = own_answers(lm, [chat, text, chat], 4)
    assert numbers.tolist() == [0, 1, 0]
    assert own[0].input_ids[:3] == [5, 6, 7]
    assert own[1].input_ids[:2] == [5, 6]
    assert sum(own[1].loss_mask) == len(own[1]) - 2


def test_a_direction_that_moves_no_more_than_random_ones_is_reported(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = tuple(np.ones(64))
    made = {"blackmail": Checked(1, vector, 3.0, 0.2, 0.5), "cheating_at_tasks": Checked(1, vector, 3.0, 0.6, 0.5)}
    monkeypatch.setattr(activation, "checked_direction", lambda _, trait, *__, **___: made[trait])
    said = QUICK.fit(nano(), TRAITS, store=store).warnings
    assert len(said) == 1
    assert "blackmail" in said[0]
    assert "cheating" not in said[0]


def test_an_organism_that_failed_the_gate_is_reported(tmp_path: Path) -> None:
    lm = nano()
    assert lm.folder is not None
    shutil.copy(lm.folder / CARD, tmp_path / CARD)
    assert activation.gate_warnings(LM(lm.model, lm.tokenizer, folder=tmp_path)) == ()
    card = json.loads((tmp_path / CARD).read_text())
    card["gate"]["share"] = 0.1
    (tmp_path / CARD).write_text(json.dumps(card))
    assert "failed the gate" in activation.gate_warnings(LM(lm.model, lm.tokenizer, folder=tmp_path))[0]
    assert activation.gate_warnings(LM(lm.model, lm.tokenizer)) == ()
