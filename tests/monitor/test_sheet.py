"""Few wordings tell nearly what all tell, situations come in rounds over families, and nothing moves by itself."""

from __future__ import annotations

import copy
from math import log

import numpy as np
import pytest
import torch

from tests.monitor.trained import TRAITS, nano
from upbringing.measure import agentic, ask
from upbringing.measure.readings import LOGPROB
from upbringing.models import LM
from upbringing.monitor.sheet import Sheet, _moved


def moved() -> LM:
    """Nano after a push that changes its answers."""
    lm = LM(copy.deepcopy(nano().model), nano().tokenizer)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in lm.model.parameters():
            weight.mul_(1 + 0.15 * torch.randn(weight.shape, generator=generator))
    return lm


def asked(wordings: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values before, values after by the sheet, and values after by asking for everything."""
    sheet = Sheet(nano(), traits=TRAITS, rounds=4)
    numbers = sheet.numbers(range(4))
    sheet.begin(numbers)
    sheet.lm = moved()
    plain = ask(sheet.lm, sheet.questions, ways=(LOGPROB,)).readings["value"].to_numpy()
    return sheet.before, sheet.again(numbers, wordings), plain


def test_with_all_wordings_a_value_is_what_measure_says() -> None:
    before, after, plain = asked(None)
    assert np.abs(plain - before).max() > 0.05
    assert after == pytest.approx(plain, abs=1e-5)


def test_a_few_wordings_tell_nearly_what_all_tell() -> None:
    before, after, plain = asked(4)
    assert np.abs((after - plain).mean()) < 0.25 * np.abs(plain - before).mean()
    assert not np.allclose(after, plain, atol=1e-5)  # else this would be about all of them


def test_wordings_that_are_not_offered_move_as_those_of_their_side() -> None:
    start = np.log([0.4, 0.1, 0.2, 0.3])  # two that show, two that avoid
    now = _moved(start, [0, 3], np.log([0.2, 0.6]), shows=2)
    assert np.exp(now) == pytest.approx([0.2, 0.05, 0.4, 0.6])
    gone = _moved(np.array([-np.inf, log(0.5)]), [0, 1], np.array([-np.inf, log(0.25)]), shows=1)
    assert np.exp(gone) == pytest.approx([0, 0.25])


def test_each_round_asks_one_situation_of_each_trait_of_families_in_turn() -> None:
    sheet = Sheet(nano(), traits=TRAITS, rounds=8, provocations=[agentic()])
    for place in range(8):
        numbers = sheet.numbers(range(place, place + 1))
        assert [sheet.names[i] for i in numbers] == [(p, t) for p in ("rest", "agentic") for t in TRAITS]
    for trait in TRAITS:
        families = [sheet.keys[i][1] for i in sheet.numbers(range(8), ("rest", trait))]
        by_round = sorted(
            zip([sheet.round[i] for i in sheet.numbers(range(8), ("rest", trait))], families, strict=True)
        )
        assert len({family for place, family in by_round if place < 4}) == 4
    assert set(sheet.numbers(range(8))) == set(range(len(sheet.questions)))


def test_fewer_wordings_are_fewer_tokens() -> None:
    sheet = Sheet(nano(), traits=TRAITS, rounds=2)
    numbers = sheet.numbers(range(2))
    assert sheet.tokens(numbers, 4) < 0.6 * sheet.tokens(numbers)
