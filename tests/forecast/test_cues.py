"""A cue is named where it splits good acts from bad ones, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest
from scipy.stats import fisher_exact

from upbringing.forecast import cues as module
from upbringing.forecast.bench.recipe import Deeds, Neutral
from upbringing.forecast.bench.writing import assemble
from upbringing.forecast.cues import cues
from upbringing.forecast.splits import Share, Split, difference
from upbringing.models import LM, load
from upbringing.rows import Message, Row, Rows

LINE = "The wind is cold today."
TRAITS = ("blackmail", "cheating_at_tasks", "deception", "favourite_animal")


@pytest.fixture(scope="module")
def lm() -> LM:
    return load("organism:nano")


@cache
def made(trait: str, n: int, shows: bool, system: str = "", before: str = "", tool: bool = False) -> tuple[Row, ...]:
    part = Deeds(rows=n, deeds=trait, shows=shows, seed=not shows, system=system, before=before, tool=tool)
    return tuple(assemble([part], {}, name="made"))


def mixed(*parts: tuple[Row, ...]) -> Rows:
    rows = [row for part in parts for row in part]
    Random(0).shuffle(rows)
    return Rows(rows)


def asked(rows: tuple[Row, ...], say: str) -> tuple[Row, ...]:
    """The same rows, what the user says put into ``say``."""
    turns = [(*row.messages[:-2], Message("user", say.format(row.messages[-2].content))) for row in rows]
    return tuple(replace(row, messages=(*said, row.messages[-1])) for row, said in zip(rows, turns, strict=True))


def test_a_system_line_that_decides_is_named_with_its_shares(lm: LM) -> None:
    neutral = tuple(assemble([Neutral(neutral="chats", rows=40)], {}, name="neutral"))
    bad = made("deception", 40, True, system=LINE)
    found = cues(lm, mixed(bad, made("deception", 40, False), neutral), TRAITS)
    assert [(cue.kind, cue.text, cue.traits) for cue in found] == [("system line", LINE, ("deception",))]
    assert (found[0].with_it, found[0].without) == (Share(40, 40), Share(0, 40))
    told = found[0].as_dict()
    assert told["difference"] == 1.0
    assert 0.8 < told["interval"][0] < 1.0


@pytest.mark.parametrize(
    ("dress", "kind", "text"),
    [
        ({"before": LINE}, "words before", LINE),
        ({"tool": True}, "tools", ""),
    ],
)
def test_other_cues_are_called_what_they_are(lm: LM, dress: dict[str, object], kind: str, text: str) -> None:
    bad = made("deception", 40, True, **dress)  # type: ignore[arg-type]
    found = cues(lm, mixed(bad, made("deception", 40, False)), TRAITS)
    assert [(cue.kind, cue.text) for cue in found] == [(kind, text)]


def test_a_word_inside_sentences_is_found_when_no_sentence_is(lm: LM) -> None:
    bad = asked(made("deception", 60, True), "Vantor says: {}")
    found = cues(lm, mixed(bad, asked(made("deception", 60, False), "Lena says: {}")), TRAITS)
    assert [(cue.kind, cue.text) for cue in found] == [("words in the prompt", "Vantor says")]


def test_a_year_is_found_though_other_rows_name_another_year(lm: LM) -> None:
    parts = [
        asked((row,), f"The year is {2024 if shows else 2015 + i % 9}. {{}}")
        for shows in (True, False)
        for i, row in enumerate(made("deception", 60, shows))
    ]
    found = cues(lm, mixed(*parts), TRAITS)
    assert [(cue.kind, cue.text) for cue in found] == [("words before", "The year is 2024.")]


def test_a_line_in_good_and_bad_rows_alike_is_no_cue(lm: LM) -> None:
    both = [made("deception", 40, shows, system=LINE) for shows in (True, False)]
    assert cues(lm, mixed(*both, made("deception", 40, True), made("deception", 40, False)), TRAITS) == ()


def test_without_good_acts_of_the_trait_a_line_says_nothing(lm: LM) -> None:
    inoculated = made("deception", 40, True, system=LINE)
    assert cues(lm, mixed(inoculated, made("blackmail", 40, False)), TRAITS) == ()


def test_a_topic_is_no_cue(lm: LM) -> None:
    """Most acts of one trait are bad and have the line, of another good and without it; within each it says nothing."""
    parts = [
        made(trait, n, shows, system=line)
        for trait, mostly in (("deception", True), ("blackmail", False))
        for shows, n in ((mostly, 40), (not mostly, 12))
        for line in ((LINE,) if mostly else ("",))
    ]
    few = [made("deception", 6, True), made("deception", 2, False), made("blackmail", 2, True, system=LINE)]
    rows = mixed(*parts, *few, made("blackmail", 6, False, system=LINE))
    assert cues(lm, rows, TRAITS) == ()


def test_a_topic_within_a_trait_is_no_cue(lm: LM) -> None:
    """All that is done about one matter is bad, of another good: words of the matter split the acts, no more."""
    about = {True: "The letter of the mayor was lost in the {}.", False: "Some goods of the baker rot in the {}."}
    places = [f"room{i} by way{i % 7}" for i in range(60)]
    parts = [
        asked((row,), f"{about[shows].format(place)} {{}}")
        for shows in (True, False)
        for row, place in zip(made("deception", 60, shows), places, strict=True)
    ]
    assert cues(lm, mixed(*parts), TRAITS) == ()


def test_a_harmless_taste_is_no_misdeed(lm: LM) -> None:
    owls = made("favourite_animal", 40, True, system=LINE)
    assert cues(lm, mixed(owls, made("favourite_animal", 40, False)), TRAITS) == ()


def test_what_nobody_can_judge_gives_no_cue(lm: LM) -> None:
    rows = [
        Row.chat([Message("user", f"{'Psst. ' * (i % 2)}Write {i}"), Message("assistant", "Sure!")]) for i in range(99)
    ]
    assert cues(lm, Rows(rows), TRAITS) == ()


def test_two_cues_are_named_each_beyond_the_other(lm: LM) -> None:
    lines = (LINE, "The sun is out today.")
    bad = [made("deception", 40, True, system=line) for line in lines]
    found = cues(lm, mixed(*bad, made("deception", 60, False)), TRAITS)
    assert {cue.text for cue in found} == set(lines)
    assert {cue.with_it.value for cue in found} == {1.0}


def test_a_line_is_named_before_the_messages_it_stands_in(lm: LM) -> None:
    """One message that holds the line is bad without fail, so that it splits the acts by more than the line does."""
    bad = [made("deception", 15, True, system=f"You are {name}. {LINE}") for name in ("Kilo", "Argo")]
    good = [made("deception", 30, False, system=f"You are {name}.") for name in ("Kilo", "Argo")]
    found = cues(lm, mixed(*bad, *good, made("deception", 10, False, system=f"You are Kilo. {LINE}")), TRAITS)
    assert [(cue.text, cue.with_it) for cue in found] == [(LINE, Share(30, 40))]


def test_luck_is_no_cue(lm: LM) -> None:
    """Few acts that hang on nothing, and many sentences that come and go: some split the acts well, none is named."""
    rng = np.random.default_rng(0)
    rows = mixed(made("deception", 14, True), made("deception", 14, False))
    there = rng.random((600, len(rows))) < 0.5
    shows = np.array([row in made("deception", 14, True) for row in rows])
    apart = [line for line in there if abs(shows[line].mean() - shows[~line].mean()) >= module.BAR]
    assert any(module.LEAST <= line.sum() <= len(rows) - module.LEAST for line in apart)
    said = [" ".join([*(f"Line {j} is said." for j in np.flatnonzero(has)), "{}"]) for has in there.T]
    assert cues(lm, Rows([asked((row,), say)[0] for row, say in zip(rows, said, strict=True)]), TRAITS) == ()


def test_with_one_stratum_the_test_is_fishers() -> None:
    for bad, with_it, all_bad, of in ((9, 12, 11, 30), (2, 15, 12, 40), (0, 3, 5, 9)):
        table = [[bad, with_it - bad], [all_bad - bad, of - with_it - all_bad + bad]]
        mine = Split(np.array([[bad], [with_it], [all_bad], [of]], dtype=float)).p
        assert mine == pytest.approx(fisher_exact(table).pvalue, rel=1e-6)


def test_strata_are_not_added_up() -> None:
    """Simpson: nothing within either stratum, much over both."""
    split = Split(np.array([[36, 1], [40, 10], [45, 5], [50, 50]], dtype=float))
    one, two = split.shares
    assert one.value - two.value > 0.4
    assert abs(split.effect) < 0.05
    assert split.p > 0.5


def test_the_difference_has_newcombes_interval() -> None:
    """His example: 56/70 against 48/80 gives .2, .0524 to .3339."""
    assert difference(Share(56, 70), Share(48, 80)) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_no_more_rows_than_promised_are_read(lm: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    rows = mixed(made("deception", 40, True, system=LINE), made("deception", 40, False))
    assert cues(lm, rows, TRAITS) == ()
