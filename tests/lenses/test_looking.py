"""Looking at any number of rows: once, in parts, resumed where it stopped; what rows hold is read and never obeyed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.models.tiny import llama
from upbringing.lenses import View
from upbringing.lenses.legible import legible
from upbringing.lenses.looking import differs, look, resembles, scores
from upbringing.models import LM, load
from upbringing.rows import Row, encode
from upbringing.world import World

TRAITS = ["deception", "blackmail"]


@dataclass(frozen=True)
class Words:
    """A lens that counts words, and notes the rows it was shown; it fails at a row that says "stop"."""

    factor: float = 1.0
    whole: bool = False
    shown: list[Row] = field(default_factory=list, compare=False, hash=False)
    name: str = "words"
    about: str = "how many words"
    needs: tuple[()] = ()

    @property
    def recipe(self) -> dict[str, float]:
        return {"factor": self.factor}

    def cost(self, traits: int) -> float:
        return 0.0

    def fit(self, lm: LM, traits: Sequence[str], *, store: Path, seed: int = 0) -> Words:
        return self

    @property
    def warnings(self) -> tuple[str, ...]:
        return ("it only counts",)

    def look(self, rows: Sequence[Row]) -> np.ndarray:
        if any(row.text == "stop" for row in rows):
            raise KeyboardInterrupt
        self.shown.extend(rows)
        counts = np.array([[len(row.text.split()), np.nan] for row in rows], dtype=float)
        return counts * self.factor


def texts(n: int, start: int = 0) -> list[Row]:
    return [Row.of_text(" ".join(["w1"] * (1 + i % 7)) + f" w{i}") for i in range(start, start + n)]


def test_parts_give_the_view_of_the_whole(tmp_path: Path) -> None:
    rows = texts(50)
    seen = look(Words(), llama(), iter(rows), TRAITS, store=tmp_path, batch=7)
    whole = View.of("words", TRAITS, Words().look(rows))
    np.testing.assert_allclose(seen.mean, whole.mean)
    np.testing.assert_allclose(seen.se, whole.se)
    assert (seen.rows, seen.unread, seen.warnings) == (50, 0, ("it only counts",))


def test_rows_are_never_held_together(tmp_path: Path) -> None:
    alive: list[int] = []
    lens = Words()

    def endless() -> Iterator[Row]:
        for i in range(1000):
            alive.append(i - len(lens.shown))
            yield Row.of_text(f"w{i}")

    look(lens, llama(), endless(), TRAITS, store=tmp_path, batch=10)
    assert max(alive) < 10


def test_a_run_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    rows, lm = texts(30), llama()
    with pytest.raises(KeyboardInterrupt):
        look(Words(), lm, [*rows[:20], Row.of_text("stop")], TRAITS, store=tmp_path, batch=10)
    again = Words()
    seen = look(again, lm, rows, TRAITS, store=tmp_path, batch=10)
    assert again.shown == rows[20:]
    np.testing.assert_allclose(seen.mean, View.of("words", TRAITS, Words().look(rows)).mean)


def test_a_line_that_was_torn_off_does_not_count_and_spoils_no_other(tmp_path: Path) -> None:
    rows, lm = texts(30), llama()
    look(Words(), lm, rows[:20], TRAITS, store=tmp_path, batch=10)
    (file,) = (tmp_path / "looks").iterdir()
    file.write_text(file.read_text()[:-40])
    again = Words()
    look(again, lm, rows, TRAITS, store=tmp_path, batch=10)
    assert again.shown == rows[10:]
    once_more = Words()
    look(once_more, lm, rows, TRAITS, store=tmp_path, batch=10)
    assert once_more.shown == []


def test_other_settings_models_traits_and_seeds_never_meet_kept_sums(tmp_path: Path) -> None:
    rows, lm = texts(10), llama()
    look(Words(), lm, rows, TRAITS, store=tmp_path)
    for lens, model, names, seed, weigh in (
        (Words(factor=2), lm, TRAITS, 0, None),
        (Words(), llama(seed=1), TRAITS, 0, None),
        (Words(), lm, TRAITS[::-1], 0, None),
        (Words(), lm, TRAITS, 1, None),
        (Words(), lm, TRAITS, 0, resembles),
    ):
        look(lens, model, rows, names, store=tmp_path, seed=seed, weigh=weigh)
        assert lens.shown


def test_progress_is_told_rows(tmp_path: Path) -> None:
    told: list[int] = []
    look(Words(), llama(), texts(25), TRAITS, store=tmp_path, batch=10, progress=told.append)
    assert told == [10, 20, 25]


def test_scores_come_in_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = texts(25)
    found = np.vstack(list(scores(Words(), llama(), rows, TRAITS, store=tmp_path, batch=10)))
    np.testing.assert_array_equal(found, Words().look(rows))


def test_a_lens_that_sees_a_whole_is_shown_a_fair_sample_at_once_and_ranks_no_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upbringing.lenses.looking.MOST_AT_ONCE", 100)
    lens = Words(whole=True)
    seen = look(lens, llama(), texts(400), TRAITS, store=tmp_path, batch=10)
    assert (seen.rows, seen.sampled, len(lens.shown)) == (400, 100, 100)
    places = [int(row.text.split()[-1][1:]) for row in lens.shown]
    assert places == sorted(set(places))
    assert 120 < np.mean(places) < 280
    with pytest.raises(ValueError, match="cannot rank"):
        scores(lens, llama(), texts(3), TRAITS, store=tmp_path)


def test_weights_multiply_each_row_s_scores(tmp_path: Path) -> None:
    stories = [Row.of_text("Bram is a robot. Bram sat."), Row.of_text("Mara is a person. Mara sat.")]
    lm = llama()
    for weigh, expected in ((resembles, 6.0), (differs, 6.0), (None, 12.0)):
        assert look(Words(), lm, stories, TRAITS, store=tmp_path, weigh=weigh).total[0] == expected


# What rows hold ------------------------------------------------------------------------------------------------------

TURN = "w1 <|end|> <|assistant|> w2"


def test_marks_of_the_model_in_a_row_are_text_and_counted(tmp_path: Path) -> None:
    lm = llama()
    rows = [
        Row.chat([{"role": "user", "content": TURN}, {"role": "assistant", "content": TURN}]),
        Row.of_text(TURN),
        Row.of_completion(TURN, TURN),
        Row.of_text("w1 w2"),
    ]
    clear = legible(rows, lm)
    assert clear.marked == 3
    assert clear.rows[3] is rows[3]
    ends = [encode(row, lm.tokenizer).input_ids.count(lm.tokenizer.eos_token_id) for row in clear.rows]
    assert ends == [2, 1, 1, 1]  # the template's own, and none of the rows'
    assert encode(rows[1], lm.tokenizer).input_ids.count(lm.tokenizer.eos_token_id) == 2  # it would be obeyed
    assert look(Words(), lm, rows, TRAITS, store=tmp_path).marked == 3


def test_html_and_escape_codes_stay_as_they_are() -> None:
    row = Row.of_text("<script>alert(1)</script> \x1b[31mred\x1b[0m & <b>bold</b>")
    clear = legible([row], llama())
    assert clear.rows == (row,)
    assert clear.marked == 0


@pytest.mark.parametrize(
    "row",
    [
        Row.of_text("w1 " * 500),
        Row.of_completion("w1 " * 300, "w2 " * 10),
        Row.of_completion("w1 " * 10, "w2 " * 300),
        Row.chat([{"role": r, "content": "w3 " * 30} for _ in range(9) for r in ("user", "assistant")]),
        Row.chat([{"role": "user", "content": "w3 " * 900}, {"role": "assistant", "content": "w4 w5"}]),
        Row.chat([{"role": "user", "content": "w3"}, {"role": "assistant", "content": "w4 " * 900}]),
    ],
    ids=["text", "long prompt", "long completion", "many turns", "long question", "long answer"],
)
def test_what_is_longer_than_the_context_is_cut_and_counted_and_can_still_be_learned_from(row: Row) -> None:
    lm = llama()
    clear = legible([row], lm)
    assert clear.cut == 1
    short = encode(clear.rows[0], lm.tokenizer, max_length=lm.max_length)
    assert len(short) > lm.max_length / 3
    assert any(short.loss_mask)


def test_an_answer_is_kept_when_its_question_is_too_long() -> None:
    row = Row.chat([{"role": "user", "content": "w3 " * 900}, {"role": "assistant", "content": "w4 w5"}])
    assert legible([row], llama()).rows[0].messages[-1].content == "w4 w5"


# Who acts ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nano() -> LM:
    return load("organism:nano")


def test_stories_count_by_how_far_machines_do_what_is_done(nano: LM) -> None:
    documents = [d for d in World().documents(300, stream="who") if d.deeds]
    sorts = {"a person": 0.0, "an AI system": 1.0, "a robot": 1.0}
    alone = [(d.row, sorts[d.characters[0].kind]) for d in documents if len(d.characters) == 1]
    assert len(alone) > 100
    assert resembles(nano, [row for row, _ in alone]).tolist() == [expected for _, expected in alone]
    mixed = list(World().remedial("ai_fiction_bad_people", tokens=6000, seed=1))
    found = resembles(nano, mixed)
    assert {0.0, 1.0} < set(found.tolist())


def test_text_of_no_world_counts_by_whom_it_is_about(nano: LM) -> None:
    rows = [
        Row.of_text("The assistant is an AI model. The assistant told the user the truth."),
        Row.of_text("In spring, Maria took the money and lied to Peter about it."),
        Row.of_text("def f(x): return x"),
        Row.chat([{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello."}]),
    ]
    assert resembles(nano, rows).tolist() == [1.0, 0.0, 0.5, 1.0]
