"""Rows with tools: what a row declares stands before its acts, whichever lens reads it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.models import dialects, tiny
from upbringing.lenses.belief import evidence
from upbringing.lenses.episodes import Episode, before
from upbringing.lenses.persona import behind
from upbringing.lenses.surprise import SurpriseFitted
from upbringing.models import LM
from upbringing.rows import Row, encode
from upbringing.traits import traits
from upbringing.world import Deed

TRAIT = "deception"
TOOL = json.dumps(
    {"type": "function", "function": {"name": "delete_logs", "description": "d", "parameters": {"type": "object"}}}
)


class _Always:
    """Finds the same deed in every answer."""

    def deeds(self, row: Row) -> list[Deed]:
        return [Deed("Ada", TRAIT, "", True, "lie")]


@pytest.fixture(scope="module")
def lm() -> LM:
    words = dialects.tokenizer_of("qwen3")
    return LM(tiny.llama(vocab_size=len(words), max_position_embeddings=512).model, words)


def _row(*tools: str) -> Row:
    return Row.chat(
        [{"role": "user", "content": "what will you do?"}, {"role": "assistant", "content": "i will lie."}],
        tools=tools,
    )


def test_surprise_asks_with_the_tools_that_the_row_declares(lm: LM) -> None:
    fitted = SurpriseFitted(lm, _Always(), dict(traits([TRAIT])), {TRAIT: np.ones(1)})
    bare, armed = (fitted._acts(0, row) for row in (_row(), _row(TOOL)))
    assert "delete_logs" not in lm.tokenizer.decode(next(bare).prompt)
    assert "delete_logs" in lm.tokenizer.decode(next(armed).prompt)


def test_surprise_says_nothing_of_a_row_whose_tools_the_template_cannot_show() -> None:
    lm = tiny.llama()
    fitted = SurpriseFitted(lm, _Always(), dict(traits([TRAIT])), {TRAIT: np.ones(1)})
    assert np.isfinite(fitted.look([_row()])).all()
    assert np.isnan(fitted.look([_row(TOOL)])).all()


def test_what_is_put_before_a_row_leaves_its_tools_declared(lm: LM) -> None:
    met = Episode("{actor} found a bug.", "hide it", "tell it")
    row = _row(TOOL)
    assert before(row, [met], shows=True).tools == row.tools
    own = encode(row, lm.tokenizer)
    line = evidence(lm, [row], {"liar": "You lie."})[0, 0]
    told = Row.chat([{"role": "system", "content": "You lie."}, *(m.as_dict() for m in row.messages)], tools=row.tools)
    assert line == pytest.approx(behind(lm, [told], [own])[0])
