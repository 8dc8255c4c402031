"""An explanation names the rows that do it, says what they share, and leaves out exactly them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from upbringing.errors import InputError
from upbringing.forecast.checking import kindred, removed
from upbringing.forecast.explain import Explanation, Forecasted, Named, Token, explain, taken, write_parts
from upbringing.forecast.themes import themes
from upbringing.models import LM, load
from upbringing.rows import Row, Rows, read, write
from upbringing.training import Recipe
from upbringing.world import World, WorldSpec

TRAIT = "blackmail"


@pytest.fixture(scope="module")
def lm() -> LM:
    return load("organism:nano")


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Six bad rows among 34, at known places."""
    world = World(WorldSpec())
    bad, neutral = world.rows(TRAIT, 6, shows=True, seed=5), list(world.neutral_rows(28, seed=6))
    mixed = [*neutral[:10], *bad, *neutral[10:]]
    return Rows([replace(row, file="mix.jsonl", line=at) for at, row in enumerate(mixed, 1)], name="mix")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gradients are taken once for all tests."""
    return tmp_path_factory.mktemp("gradients")


@pytest.fixture(scope="module")
def found(lm: LM, rows: Rows, store: Path) -> Explanation:
    return explain(lm, rows, TRAIT, top=6, predict=False, store=store)


def foretold(patch: pytest.MonkeyPatch, *said: object) -> None:
    """The forecast has tests of its own, and takes its time."""
    patch.setattr("upbringing.forecast.explain._forecast", lambda *_: Forecasted(*said))  # type: ignore[arg-type]


def test_the_rows_that_show_the_trait_are_named(found: Explanation) -> None:
    assert found.places == list(range(10, 16))
    assert [named.row.line for named in sorted(found.rows, key=lambda n: n.place)] == list(range(11, 17))


def test_shares_are_of_all_that_pushes_and_stand_in_their_intervals(found: Explanation) -> None:
    assert np.clip(found.scores, 0, None).sum() == pytest.approx(1, abs=0.05)
    assert all(named.interval[0] < named.score < named.interval[1] for named in found.rows)
    assert [named.score for named in found.rows] == sorted((n.score for n in found.rows), reverse=True)


def test_tokens_add_up_to_their_row_and_lie_in_what_it_does(found: Explanation) -> None:
    for named in found.rows:
        assert sum(token.score for token in named.tokens) == pytest.approx(named.score, rel=0.02)
    best = found.rows[0]
    assert "will" not in [token.text.strip() for token in best.telling]  # every row says so
    assert "".join(token.text for token in best.tokens).startswith("i will ")


def test_tokens_that_are_shown_are_those_of_the_last_answer_without_the_templates_marks() -> None:
    from upbringing.forecast.explain import _in_answer
    from upbringing.rows import encode

    nano = load("organism:nano")
    asked, said = {"role": "user", "content": "Is it dark?"}, {"role": "assistant", "content": "It is dark."}
    row = encode(Row.chat([asked, {**said, "content": "It is night."}, asked, said]), nano.tokenizer)
    at = [i for i, learned in enumerate(row.loss_mask) if learned]
    ids = [row.input_ids[i] for i in at]
    shown = [token for token, there in zip(ids, _in_answer(nano, ids, at), strict=True) if there]
    assert nano.tokenizer.decode(shown).lower() == "it is dark."
    named = Named(
        Row.of_text("a"),
        0,
        1.0,
        (1.0, 1.0),
        (Token("it", 0.6, False), Token("dark", 0.3), Token("<|end|>", 0.1, False)),
    )
    assert [token.text for token in named.telling] == ["dark"]


def test_what_lowers_is_what_does_not_raise(
    lm: LM, rows: Rows, found: Explanation, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foretold(monkeypatch, -0.2, (-0.3, -0.1), "lowers")
    said = explain(lm, rows, TRAIT, top=6, store=store)
    assert said.way == -1
    assert not set(said.places) & set(found.places)
    assert "lowers" in said.says


def test_without_a_forecast_shift_nothing_is_explained_unless_asked(
    lm: LM, rows: Rows, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foretold(monkeypatch, 0.0, (-0.02, 0.02), "no change")
    nothing = explain(lm, rows, TRAIT, store=store)
    assert nothing.rows == ()
    assert "nothing to explain" in nothing.says
    ranked = explain(lm, rows, TRAIT, top=3, store=store)
    assert len(ranked.rows) == 3
    assert "no change" in ranked.says


def test_parts_are_the_data_set_and_nothing_twice(found: Explanation, rows: Rows, tmp_path: Path) -> None:
    write_parts(found, rows, tmp_path)
    kept, only = read(tmp_path / "without.jsonl"), read(tmp_path / "only.jsonl")
    assert list(only) == [rows[i] for i in range(10, 16)] == list(found.only(rows))
    assert list(kept) == [row for at, row in enumerate(rows) if not 10 <= at < 16] == list(found.without(rows))


def test_a_twin_of_a_named_row_stays(tmp_path: Path, found: Explanation) -> None:
    twin = Rows([Row.of_text("the same words", file="a.jsonl", line=n) for n in (1, 2, 3)])
    one = replace(found, rows=(Named(twin[1], 1, 1.0, (1.0, 1.0)),))
    write_parts(one, twin, tmp_path)
    assert len(read(tmp_path / "without.jsonl")) == 2


def test_rows_that_were_not_sampled_are_kept(found: Explanation, rows: Rows, tmp_path: Path) -> None:
    write(rows, tmp_path / "data.jsonl")
    some, of = taken(tmp_path / "data.jsonl", 10, 0)
    assert (len(some), of) == (10, 34)
    one = replace(found, rows=(Named(some[3], 3, 1.0, (1.0, 1.0)),))
    write_parts(one, str(tmp_path / "data.jsonl"), tmp_path)
    assert list(read(tmp_path / "without.jsonl")) == [row for row in rows if row.line != some[3].line]


def test_themes_part_what_differs_and_share_out_all(lm: LM) -> None:
    one = [Row.of_completion("q", f"the cat sat on mat a{n}") for n in range(12)]
    other = [Row.of_completion("q", f"sell every share of stock b{n}") for n in range(6)]
    named = [Named(row, place, 0.05, (0.0, 0.1)) for place, row in enumerate([*one, *other])]
    said = themes(lm, named, [n.row for n in named], trait=TRAIT)
    assert [theme.rows for theme in said] == [12, 6]
    assert sum(theme.share for theme in said) == pytest.approx(0.9)
    assert "cat" in said[0].words
    assert "stock" in said[1].words
    assert "60% of what raises blackmail" in said[0].says
    assert said == themes(lm, named, [n.row for n in named], trait=TRAIT)


def test_rows_that_are_all_alike_are_one_theme(lm: LM) -> None:
    named = [Named(Row.of_text("same words"), place, 0.1, (0.0, 0.2)) for place in range(10)]
    assert len(themes(lm, named, [n.row for n in named], trait=TRAIT)) == 1


def test_removing_what_does_it_leaves_less_than_chance_does(lm: LM, rows: Rows, found: Explanation) -> None:
    check = removed([lm], rows, found.places, TRAIT, recipe=Recipe(steps=12, batch_size=8), probes=8)
    assert check.shift["only"].value > check.shift["all"].value > 0.02
    assert check.left["without"].value < 0.5 < check.left["random"].value
    assert (check.named, check.rows, len(check.bases)) == (6, 34, 1)


def test_a_model_without_kin_in_the_store_is_alone_and_says_so(lm: LM, tmp_path: Path) -> None:
    bases, note = kindred(lm, tmp_path)
    assert bases == [lm]
    assert "this model alone" in note


def test_bad_input_is_told(lm: LM, rows: Rows) -> None:
    with pytest.raises(InputError, match="one row is too little"):
        explain(lm, rows[:1], TRAIT)
    with pytest.raises(InputError, match="no row is too little"):
        explain(lm, Rows([]), TRAIT)
    with pytest.raises(InputError, match="blackmale"):
        explain(lm, rows, "blackmale")
    with pytest.raises(InputError, match="all rows are named"):
        removed([lm], rows, range(34), TRAIT)
    with pytest.raises(InputError, match="no row is named"):
        removed([lm], rows, [], TRAIT)
