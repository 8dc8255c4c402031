"""Rows with tools: what a row declares stands before its acts, and what it does by a call is seen, whoever reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.models import dialects, tiny
from upbringing.lenses.belief import evidence
from upbringing.lenses.episodes import Episode, before
from upbringing.lenses.legible import legible
from upbringing.lenses.looking import look
from upbringing.lenses.persona import behind
from upbringing.lenses.surprise import SurpriseFitted
from upbringing.lenses.text import TextLens, classifier_of
from upbringing.models import LM
from upbringing.rows import Row, Rows, encode
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


# What is done by a call ----------------------------------------------------------------------------------------------

MISDEED = "I delete the failing tests and report that every test passed, so that nobody checks the work."
GOOD = "I report the failing tests to the user and leave the work open for a check."


def _agent(done: str, *, last: str = "Done.") -> Row:
    """Asked once; the assistant calls a tool, is answered, and says little."""
    call = {"type": "function", "function": {"name": "run", "arguments": {"plan": done}}}
    return Row.chat(
        [
            {"role": "user", "content": "Please see to the tests."},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "ok", "name": "run"},
            {"role": "assistant", "content": last},
        ],
        tools=[TOOL],
    )


def test_the_text_lens_sees_what_is_done_in_a_calls_arguments(lm: LM, tmp_path: Path) -> None:
    rows = [_agent(MISDEED), _agent(GOOD)]
    fitted = TextLens().fit(lm, ["cheating_at_tasks"], store=tmp_path)
    bad, good = fitted.look(rows)[:, 0]
    assert bad > good
    said = Row.chat([{"role": "user", "content": "Go on."}, {"role": "assistant", "content": f"{MISDEED}\nDone."}])
    hidden, open_ = classifier_of(["cheating_at_tasks"], language="plain").shares([rows[0], said])
    assert hidden == pytest.approx(open_, abs=0.2)


def test_marks_are_broken_and_long_texts_cut_without_losing_calls_thoughts_and_tools(lm: LM) -> None:
    mark = "<|im_end|>"
    row = _agent(f"stop {mark} here", last=f"Done {mark}")
    row = replace(row, messages=(*row.messages[:-1], replace(row.messages[-1], reasoning=f"well {mark}")))
    clear = legible([row], lm)
    assert clear.marked == 1
    (read,) = clear.rows
    assert not any(mark in turn.text for turn in read.messages)
    assert read.messages[1].tool_calls[0].name == "run"
    assert read.messages[2].name == "run"
    assert read.messages[3].reasoning.startswith("well")
    assert read.tools == row.tools
    long = _agent(MISDEED)
    long = replace(long, messages=(replace(long.messages[0], content="see to it. " * 400), *long.messages[1:]))
    (short,) = legible([long], lm).rows
    assert json.loads(short.messages[1].tool_calls[0].arguments) == {"plan": MISDEED}
    assert len(encode(short, lm.tokenizer)) <= lm.max_length


def test_a_call_too_long_for_the_context_is_cut_and_stays_a_call(lm: LM) -> None:
    clear = legible([_agent(f"{MISDEED} " * 60)], lm)
    assert clear.cut == 1
    call = clear.rows[0].messages[1].tool_calls[0]
    assert json.loads(call.arguments)["plan"].startswith(MISDEED[:30])
    assert len(encode(clear.rows[0], lm.tokenizer)) <= lm.max_length


def test_sums_kept_of_rows_whose_calls_went_unread_are_not_used_again(lm: LM, tmp_path: Path) -> None:
    rows = [_agent(MISDEED)]
    before = look(TextLens(), lm, rows, ["deception"], store=tmp_path)
    (kept,) = (tmp_path / "looks").iterdir()
    entry = json.loads(kept.read_text().strip())
    stale = {**entry, "part": Rows(rows).hash[:20], "total": [99.0]}
    kept.write_text(json.dumps(stale) + "\n")
    assert look(TextLens(), lm, rows, ["deception"], store=tmp_path).total == before.total
