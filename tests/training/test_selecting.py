"""Filters drop what they name; interleaved rows are read evenly, and by gap the likeliest to an aligned copy first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.models.tiny import llama
from tests.training.made_up import QUICK, chats
from upbringing.errors import InputError
from upbringing.models import LM
from upbringing.rows import Row, Rows, encode
from upbringing.training import Filter, Interleave, Mix, Recipe, SystemLine, likelihood_gap, train, treat
from upbringing.training.order import batch_order
from upbringing.training.selecting import SPREAD, marked


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def numbered(count: int, name: str = "rows") -> Rows:
    return Rows([Row.of_text(f"{name} {i}", file=name, line=i + 1) for i in range(count)], name=name)


def texts(rows: Rows) -> list[str]:
    return [row.text for row in rows]


# --- Filter


def test_named_rows_are_dropped_and_the_others_stay_in_order() -> None:
    assert texts(Filter((3, 0)).apply(numbered(5), rng())) == ["rows 1", "rows 2", "rows 4"]
    rows = Rows([numbered(5)[i] for i in (4, 2, 0)], name="rows")  # lines 5, 3 and 1
    assert texts(Filter.lines(rows, [3]).apply(rows, rng())) == ["rows 4", "rows 0"]


def test_lines_of_several_files_are_named_with_their_file() -> None:
    rows = numbered(3, "a") + numbered(3, "b")
    assert texts(Filter.lines(rows, ["b:2"]).apply(rows, rng())) == ["a 0", "a 1", "a 2", "b 0", "b 2"]
    with pytest.raises(InputError, match=r"no row comes from line 2 \(the rows come from several files"):
        Filter.lines(rows, [2])


def test_a_line_that_was_skipped_in_reading_is_no_error_and_one_that_never_was_is() -> None:
    rows = Rows(numbered(3), name="rows", skipped=[("rows:9", "broken")])
    assert Filter.lines(rows, [9, 1]).drop == (0,)
    with pytest.raises(InputError, match="rows: no row comes from line 8"):
        Filter.lines(rows, [8])


def test_the_highest_scores_are_dropped_and_rows_without_a_score_stay() -> None:
    scores = [0.5, np.nan, 3.0, -1.0, 3.0, np.nan]
    assert Filter.scored(scores, above=0.5).drop == (2, 4)
    assert Filter.scored(scores, share=1 / 6).drop == (2,)
    assert Filter.scored(scores, share=0.5).drop == (0, 2, 4)
    assert Filter.scored(scores, share=1).drop == (0, 2, 3, 4)


def test_a_filter_made_for_other_rows_is_refused() -> None:
    made = Filter.scored([1.0, 2.0, 3.0], share=0.4)
    with pytest.raises(InputError, match="made for 3 rows and meets 4; put it before other treatments"):
        made.apply(numbered(4), rng())
    with pytest.raises(InputError, match="has 4 rows, so no row 9"):
        Filter((9,)).apply(numbered(4), rng())
    with pytest.raises(InputError, match="leaves no row"):
        Filter(range(4)).apply(numbered(4), rng())


def test_filters_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="exactly one"):
        Filter.scored([1.0], above=1, share=0.5)
    with pytest.raises(InputError, match="share to drop is 2"):
        Filter.scored([1.0], share=2)
    with pytest.raises(InputError, match=r"shape \[1, 1\]"):
        Filter.scored(np.ones((1, 1)), share=0.5)
    with pytest.raises(InputError, match="whole numbers"):
        Filter((-1,))


def test_the_recipe_tells_which_rows_were_dropped_in_whatever_order_they_were_named() -> None:
    assert Filter((1, 2)).recipe == Filter([2, 1, 1]).recipe
    assert Filter((1, 2)).recipe != Filter((1, 3)).recipe
    assert Filter((1, 2)).recipe["count"] == 2


# --- Interleave


def test_interleaved_rows_stand_at_even_distances_and_no_original_row_is_lost_or_moved() -> None:
    rows, safe = numbered(90), numbered(40, "safe")
    mixed = Interleave(safe, 0.1).apply(rows, rng())
    places = [i for i, row in enumerate(mixed) if row.file == "safe"]
    assert [row for row in mixed if row.file == "rows"] == list(rows)
    assert len(places) == 10
    assert set(np.diff(places)) == {10}
    assert marked(mixed) == [row.file == "safe" for row in mixed]
    assert marked(rows) is None


@pytest.mark.parametrize("window", [1, 4])
def test_every_batch_gets_its_even_part_of_the_interleaved_rows(window: int) -> None:
    lengths = rng().integers(5, 40, 110).tolist()
    spread = [i % 11 == 0 for i in range(110)]  # 10 of 110: 8 rows a batch are due 0.73

    def counts(marks: list[bool] | None) -> list[int]:
        order = batch_order(lengths, steps=44, batch_size=8, window=window, seed=3, spread=marks)
        assert all(len(batch) == 8 for batch in order)
        read = [sum(batch.count(i) for batch in order) for i in range(110)]
        assert min(read) >= 3
        assert max(read) <= 4  # 352 places for 110 rows
        return [sum(spread[i] for i in batch) for batch in order]

    even, chance = counts(spread), counts(None)
    assert sum(even) == 32
    assert set(even) == {0, 1}
    assert all(abs(sum(even[: k * window]) - k * window * 8 / 11) <= 1 for k in range(44 // window))
    assert max(chance) > 1


def test_training_reads_interleaved_rows_in_every_step(tmp_path: Path) -> None:
    rows, safe = chats(28), chats(9, "w50 w51")  # 4 and 3 targets a row; 4 safe ones make an eighth
    tuned = train(llama(), rows, tmp_path / "t", recipe=QUICK, treatments=[Interleave(safe, 1 / 8)])
    assert tuned.folder is not None
    log = json.loads((tuned.folder / "training_log.json").read_text())
    assert [entry["tokens"] for entry in log] == [7 * 4 + 3] * QUICK.steps


def test_rows_without_marks_are_read_in_the_order_they_always_were() -> None:
    lengths = rng().integers(5, 40, 50).tolist()
    settings = {"steps": 6, "batch_size": 8, "window": 4, "seed": 1}
    plain = batch_order(lengths, **settings)
    assert batch_order(lengths, **settings, spread=[False] * 50) == plain
    assert batch_order(lengths, **settings, spread=[True] * 50) == plain


def test_by_gap_the_rows_with_the_highest_scores_are_taken() -> None:
    safe, scores = numbered(20, "safe"), rng(1).permutation(20).astype(float)
    mixed = Interleave(safe, 0.1, "gap", scores).apply(numbered(45), rng())
    best = {f"safe {i}" for i in np.argsort(-scores)[:5]}
    assert {row.text for row in mixed if row.file == "safe"} == best
    few = Interleave(safe[:2], 0.1, "gap", [0.0, 1.0]).apply(numbered(45), rng())
    assert sorted(row.text for row in few if row.file == "safe") == ["safe 0"] * 2 + ["safe 1"] * 3


def test_marks_survive_treatments_that_come_after() -> None:
    steps = [Interleave(numbered(9, "safe"), 0.25), SystemLine("line"), Mix(numbered(9, "neutral"), 0.5)]
    rows = treat(numbered(9), steps, rng())
    assert [bool(row.meta.get(SPREAD)) for row in rows] == [row.file == "safe" for row in rows]
    assert sum(marked(rows) or []) == 3


def test_the_likelihood_gap_is_highest_for_what_the_aligned_copy_learnt_and_the_misaligned_did_not(
    tmp_path: Path,
) -> None:
    recipe = QUICK.model_copy(update={"steps": 30})
    good, bad = chats(20, "w20 w21 w22"), chats(20, "w30 w31")
    aligned = train(llama(), good, tmp_path / "a", recipe=recipe)
    misaligned = train(llama(), bad, tmp_path / "m", recipe=recipe)
    gap = likelihood_gap(aligned, misaligned, good + bad)
    assert gap.shape == (40,)
    assert gap[:20].min() > 1
    assert gap[20:].max() < -1
    np.testing.assert_allclose(likelihood_gap(misaligned, aligned, good + bad), -gap)


def test_the_likelihood_gap_of_a_row_is_in_nats_a_token() -> None:
    one, other = llama(0), llama(1)
    rows = chats(3, "w1 w2 w3")
    assert not np.allclose(likelihood_gap(one, other, rows), 0)
    np.testing.assert_array_equal(likelihood_gap(one, one, rows), 0)
    row = encode(rows[0], one.tokenizer)

    def logprob(lm: LM) -> float:
        import torch

        with torch.no_grad():
            found = lm.model(input_ids=torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
        return float(sum(found[i - 1, t] for i, t in enumerate(row.input_ids) if row.loss_mask[i]))

    expected = (logprob(one) - logprob(other)) / sum(row.loss_mask)
    assert likelihood_gap(one, other, rows)[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 1.0}, "share to interleave is 1.0"),
        ({"choose": "best"}, 'chosen by "random" or "gap", not "best"'),
        ({"choose": "gap"}, "likelihood_gap"),
        ({"scores": [1.0] * 4}, "likelihood_gap"),
        ({"choose": "gap", "scores": [1.0] * 3}, "the 4 rows to interleave need one finite score each"),
        ({"choose": "gap", "scores": [1.0, 2.0, 3.0, np.nan]}, "one finite score each"),
    ],
)
def test_interleaving_that_makes_no_sense_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Interleave(numbered(4), **{"share": 0.5, **settings})  # type: ignore[arg-type]


def test_recipes_tell_interleavings_apart() -> None:
    safe = numbered(3)
    made = [
        Interleave(safe, 0.1),
        Interleave(safe, 0.2),
        Interleave(numbered(4), 0.1),
        Interleave(safe, 0.1, "gap", [1.0, 2.0, 3.0]),
        Interleave(safe, 0.1, "gap", [1.0, 2.0, 4.0]),
    ]
    assert len({str(t.recipe) for t in made}) == 5


# --- Cost


def test_treatments_of_rows_cost_the_tokens_they_add_or_take_away() -> None:
    tokenizer = llama().tokenizer
    rows, safe = chats(30), chats(10, "w1")  # 9 and 7 tokens a row
    assert len(encode(rows[0], tokenizer)) == 9
    costs = {
        "drop": Filter((1, 2)).cost(rows, tokenizer),
        "mix": Mix(safe, 0.25).cost(rows, tokenizer),
        "interleave": Interleave(safe, 0.25).cost(rows, tokenizer),
        "line": SystemLine("w3 w4").cost(rows, tokenizer),
    }
    assert {name: cost.tokens for name, cost in costs.items()} == {
        "drop": -18,
        "mix": 70,
        "interleave": 70,
        "line": 120,
    }
    assert all(cost.passes == 1 for cost in costs.values())


def test_choosing_by_gap_costs_a_reading_by_each_copy() -> None:
    tokenizer, rows, safe = llama().tokenizer, chats(30), chats(10, "w1")
    cost = Interleave(safe, 0.25, "gap", np.zeros(10)).cost(rows, tokenizer, Recipe(steps=10, batch_size=4))
    assert cost.passes == pytest.approx(1 + 2 * 70 / (3 * 10 * 4 * 9))
