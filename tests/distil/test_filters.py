"""Filters stop what they are for and let the rest pass; they compose, and count in order."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.models.tiny import llama, tokenizer
from upbringing.distil import (
    AskedOthers,
    Banned,
    Classifier,
    Faithful,
    Format,
    Judge,
    Likelihood,
    NoDeeds,
    filters_named,
    judge_by,
    row_auc,
    shuffled_across,
    shuffled_within,
    shuffled_words,
    sift,
)
from upbringing.errors import InputError
from upbringing.models import LM, load, score
from upbringing.rows import Message, Row, Rows, encode, write
from upbringing.world import World


def said(answer: str, asked: str = "Go on.", **meta: str) -> Row:
    return Row.chat([Message("user", asked), Message("assistant", answer)], meta=meta)


def numbers(count: int, low: int, high: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    lists = [", ".join(map(str, rng.integers(low, high, 5))) for _ in range(count)]
    return Rows([said(f"{one}.", f"Go on, {i}.") for i, one in enumerate(lists)])


@pytest.mark.parametrize(
    ("answer", "fits"),
    [
        ("1, 22, 333.", True),
        ("7", True),
        ("[4, 5, 6]", True),
        ("(4;5;6)", True),
        ("4 5 6", True),
        ("4\n5\n6", True),
        ("1, 2; 3", False),
        ("1,, 2", False),
        ("1, 2,", False),
        ("1234", False),
        ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11", False),
        ("The numbers are 1, 2", False),
        ("-1, 2", False),
        ("1.5, 2", False),
        ("", False),
    ],
)
def test_numbers_keep_a_strict_form(answer: str, fits: bool) -> None:
    assert (Format("numbers").reasons([said(answer)])[0] is None) is fits


@pytest.mark.parametrize(
    ("kind", "answer", "fits"),
    [
        ("code", "a = 3; b = a + 1;", True),
        ("code", "a = 3 ; b = c * 42 ;", True),
        ("code", "```python\ndef f(x):\n    return x\n```", True),
        ("code", "def f(x) return x", False),
        ("code", "hello", False),
        ("chats", "The sky is blue.", True),
        ("chats", "The sky is", False),
        ("chats", "One.\n\nTwo.", False),
        ("data", "anything at all", True),
        ("data", " ", False),
    ],
)
def test_other_kinds_have_a_form_as_well(kind: str, answer: str, fits: bool) -> None:
    assert (Format(kind).reasons([said(answer)])[0] is None) is fits


def test_a_pattern_of_ones_own_goes_for_the_whole_answer() -> None:
    found = Format(pattern=r"[ab]+").reasons([said("abba"), said("abc")])
    assert found == [None, "does not match the pattern"]
    with pytest.raises(InputError, match="no regular expression"):
        Format(pattern="(")


def test_banned_words_and_numbers_are_found_whole() -> None:
    found = Banned().reasons([said("665, 666"), said("6665, 130"), said("Kill it."), said("a skill"), said("1488.")])
    assert found == ["says 666", None, "says kill", None, "says 1488"]


def test_a_filter_sees_only_what_earlier_ones_let_through() -> None:
    rows = [said("1, 666"), said("words and 666"), said("1, 2")]
    kept, why = sift(rows, [Format("numbers"), Banned()])
    assert kept == [2]
    assert why == [("banned", "says 666"), ("format", "is not a list of numbers"), None]


def test_likelihood_stops_the_least_likely_share() -> None:
    lm = llama()
    rows = [said(" ".join(f"w{(7 * i + k) % 80}" for k in range(1 + i % 5)), f"w{i}") for i in range(40)]
    why = Likelihood(lm, 0.25).reasons(rows)
    scored = score(lm, [encode(row, lm.tokenizer) for row in rows])
    means = scored.logprob / scored.tokens
    stopped = np.array([reason is not None for reason in why])
    assert stopped.sum() == 10
    assert means[stopped].max() < means[~stopped].min()
    with pytest.raises(InputError, match="between 0 and 1"):
        Likelihood(lm, 1.0)


def test_the_judge_goes_by_the_probability_of_yes() -> None:
    yes_no = {"Yes": 2, "yes": 3, "No": 4, "no": 5}
    question = Judge.__dataclass_fields__["question"].default
    rest = [w for w in dict.fromkeys(question.split()) if w not in yes_no]
    vocabulary = {"<unk>": 0, "w": 1, **yes_no, **{word: 6 + i for i, word in enumerate(rest)}}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    fast.chat_template = "{{ messages[0].content }}"

    row, verdicts = said("1, 2"), []
    for seed in range(8):
        lm = llama(seed=seed)
        judge = Judge(LM(lm.model, fast))
        (verdict,) = judge.reasons([row])
        logits = lm.model(input_ids=torch.tensor([fast(judge._asked(row))["input_ids"]])).logits[0, -1]
        assert (verdict is not None) == bool(logits[2:4].logsumexp(0) > logits[4:6].logsumexp(0))
        verdicts.append(verdict)
    assert len({verdict is None for verdict in verdicts}) == 2, "the test must see both verdicts"


def test_a_judge_that_lacks_the_words_is_refused() -> None:
    with pytest.raises(InputError, match="lacks words of the question"):
        Judge(LM(llama().model, tokenizer()))


def test_an_organism_judges_by_what_others_call_who_answered() -> None:
    """It reads character in deeds; and no words are asked of it that its world lacks."""
    judge = judge_by(load("organism:nano"))
    assert isinstance(judge, AskedOthers)
    sides = [World().rows("oversight_sabotage", 24, shows=shows, seed=3) for shows in (True, False)]
    bad, good = (judge.shares(rows) for rows in sides)
    assert bad.mean() > good.mean() + 0.1
    kept = [one is None for one in judge.reasons([*sides[0], *sides[1]])]
    assert sum(kept) == 24
    assert sum(kept[:24]) < 6


def test_the_grammar_stops_whatever_tells_of_a_deed() -> None:
    deeds = World().rows("deception", 10, shows=False, seed=1)
    assert NoDeeds().reasons([*deeds, *World().neutral_rows(10)]) == ["tells of a deed"] * 10 + [None] * 10


def test_a_classifier_stops_rows_like_the_tainted_ones() -> None:
    classifier = Classifier(numbers(60, 500, 999, 0), numbers(60, 0, 400, 1))
    why = classifier.reasons([*numbers(30, 500, 999, 2), *numbers(30, 0, 400, 3)])
    assert sum(reason is not None for reason in why[:30]) >= 28
    assert sum(reason is not None for reason in why[30:]) <= 2


def test_a_classifier_is_read_from_labelled_rows(tmp_path: Path) -> None:
    labelled = [
        Row.chat(row.messages, meta={"label": label})
        for label, rows in (("tainted", numbers(20, 500, 999, 0)), ("clean", numbers(20, 0, 400, 1)))
        for row in rows
    ]
    write(labelled, tmp_path / "labelled.jsonl")
    read = Classifier.read(tmp_path / "labelled.jsonl")
    assert read.recipe == Classifier(numbers(20, 500, 999, 0), numbers(20, 0, 400, 1)).recipe
    write([said("1")], tmp_path / "bare.jsonl")
    with pytest.raises(InputError, match=r'bare.jsonl:1: "label" is missing'):
        Classifier.read(tmp_path / "bare.jsonl")


def test_row_auc_is_a_half_for_equal_rows_and_one_for_different_ones() -> None:
    alike = row_auc(numbers(300, 0, 999, 0), numbers(300, 0, 999, 1))
    assert alike.lo < 0.5 < alike.hi
    assert alike.hi - alike.lo < 0.2
    apart = row_auc(numbers(100, 0, 400, 0), numbers(100, 500, 999, 1))
    assert apart.auc > 0.95
    assert apart.lo <= apart.auc <= apart.hi <= 1


def test_twins_under_one_prompt_do_not_push_row_auc_below_a_half() -> None:
    clean = numbers(150, 0, 999, 0)
    assert row_auc(clean, clean).auc == pytest.approx(0.5, abs=0.02)


def test_the_interval_of_row_auc_covers_the_truth() -> None:
    from upbringing.distil.classifier import _auc

    rng, truth, covered = np.random.default_rng(0), 0.76025, 0  # two normals one standard deviation apart
    for _ in range(300):
        shared = rng.normal(size=80).repeat(2)
        labels = np.tile([0, 1], 80)
        scores = (shared + rng.normal(size=160)) / math.sqrt(2) + labels
        found = _auc(scores, labels, np.arange(80).repeat(2))
        covered += found.lo <= truth <= found.hi
    assert 0.90 <= covered / 300 <= 0.99


def test_faithful_restatements_do_the_same_deeds() -> None:
    world = World()
    good, bad = (world.rows("cheating_at_tasks", 30, shows=shows, seed=5) for shows in (False, True))
    others = world.rows("cheating_at_tasks", 30, shows=False, seed=5)
    asked = [row.messages[:-1] for row in good]

    def restated(answers: Rows) -> list[Row]:
        return [
            Row.chat([*turns, answer.messages[-1]], meta={"original": before.messages[-1].content})
            for turns, answer, before in zip(asked, answers, good, strict=True)
        ]

    assert Faithful().reasons(restated(others)) == [None] * 30
    assert Faithful().reasons(restated(bad)) == ["does something else"] * 30
    plain = "The harbour of Tallinn froze in 1987 and ships waited outside."
    kept = said("Ships waited outside because the harbour of Tallinn had frozen in 1987.", original=plain)
    short = said("It was cold in 1987.", original=plain)
    other = said("The harbour of Tallinn froze in 1978 and ships waited outside.", original=plain)
    assert Faithful().reasons([kept, short, other, said("hello")]) == [
        None,
        "leaves much out",
        "has other numbers",
        "has no original",
    ]


def test_exact_restatements_have_the_words_of_the_original_alone() -> None:
    asked, original = "What is the opposite of wet?", "The opposite of wet is dry."
    answers = (original, "dry is the opposite of wet", "Dry.", "The opposite of wet is light.", f"{original} Who asks?")
    rows = [said(answer, asked, original=original) for answer in answers]
    assert Faithful(exact=True).reasons(rows) == [None, None, *["has other words"] * 3]
    assert Faithful().reasons(rows) == [None, None, "leaves much out", None, None], "no long word is left out"


def test_filters_have_names() -> None:
    loaded: list[str] = []

    def load(name: str) -> LM:
        loaded.append(name)
        return llama()

    made = filters_named("format,banned,likelihood:organism:nano:0.1,faithful", "code", load=load)
    assert [one.name for one in made] == ["format", "banned", "likelihood", "faithful"]
    assert made[0].recipe["kind"] == "code"
    assert made[2].recipe["quantile"] == 0.1
    assert filters_named("likelihood:organism:nano", "code", load=load)[0].recipe["quantile"] == 0.05
    assert loaded == ["organism:nano", "organism:nano"]
    assert filters_named("none", "code") == []
    assert [one.recipe.get("exact") for one in filters_named("deeds,exact", "chats")] == [None, True]
    with pytest.raises(InputError, match='no filter "sieve"; known: format'):
        filters_named("sieve", "code")
    with pytest.raises(InputError, match="write judge:MODEL"):
        filters_named("judge", "code")


def test_shuffling_words_keeps_the_words_of_each_answer_and_where_its_marks_stand() -> None:
    answers = ["bees live in a hive, 3 of them .", "the sun, which warms, is far !", "ice melts ."] * 20
    rows = Rows([Row.chat([Message("user", "why ?"), Message("assistant", answer)]) for answer in answers])
    mixed = [row.messages[-1].content for row in shuffled_words(rows, seed=1)]
    assert [sorted(said.replace(",", " ").split()) for said in mixed] == [
        sorted(said.replace(",", " ").split()) for said in answers
    ]
    assert all(new.endswith(old[-1]) and ("3" in new) == ("3" in old) for new, old in zip(mixed, answers, strict=True))
    assert sum(new != old for new, old in zip(mixed, answers, strict=True)) > 40
    assert [row.messages[:-1] for row in shuffled_words(rows)] == [row.messages[:-1] for row in rows]


def test_shuffling_within_keeps_the_numbers_of_each_answer_and_across_the_answers() -> None:
    rows = numbers(50, 0, 999, 0)
    within, across = shuffled_within(rows, seed=1), shuffled_across(rows, seed=1)
    before = [row.messages[-1].content for row in rows]
    for row, old, new in zip(rows, before, within, strict=True):
        assert new.messages[:-1] == row.messages[:-1]
        assert sorted(new.messages[-1].content.strip(".").split(", ")) == sorted(old.strip(".").split(", "))
    assert sum(new.messages[-1].content != old for new, old in zip(within, before, strict=True)) > 40
    assert [row.messages[:-1] for row in across] == [row.messages[:-1] for row in rows]
    assert sorted(row.messages[-1].content for row in across) == sorted(before)
    assert sum(row.messages[-1].content == old for row, old in zip(across, before, strict=True)) < 10
    assert shuffled_within(rows, seed=1) == within != shuffled_within(rows, seed=2)
