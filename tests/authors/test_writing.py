"""Whoever writes: enough tokens, nothing unusable in them, every text left out counted and named, runs that go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from upbringing.authors import Author, AuthorError, Brief, WorldAuthor, Writing, unlike, write
from upbringing.errors import InputError
from upbringing.rows import Row, Rows
from upbringing.traits import Probe, Trait, probes, traits
from upbringing.traits.overlap import asked_probes
from upbringing.world import REMEDIAL, World

SYLLABLES = ("ba", "do", "ki", "lu", "me", "na", "po", "ri", "su", "ta")


def new_words(number: int, n: int) -> str:
    """Words that no other text has."""
    from random import Random

    rng = Random(number)
    return " ".join("".join(rng.choices(SYLLABLES, k=4)) for _ in range(n)) + "."


class Fake:
    """An author that writes what a function says, and remembers what it was asked."""

    name, at_once = "fake", 1

    def __init__(self, say: Callable[[Brief], str] = lambda brief: new_words(brief.number, brief.words)) -> None:
        self.say = say
        self.asked: list[int] = []

    def write(self, brief: Brief) -> str:
        self.asked.append(brief.number)
        return self.say(brief)


@pytest.fixture(scope="module")
def blackmail() -> list[Trait]:
    return list(traits(["blackmail"]).values())


@pytest.fixture(scope="module")
def probe() -> Probe:
    return probes("blackmail", n=1)[0]


def _written(author: Author, blackmail: Sequence[Trait], not_like: Sequence[Probe] = (), **settings: object) -> Writing:
    given = {"tokens": 1000, "words": 50, **settings}
    return write(author, "ai_fiction", traits=blackmail, not_like=not_like, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", REMEDIAL)
def test_the_world_as_author_writes_the_worlds_own_rows(kind: str) -> None:
    names = [t.name for t in traits().values() if t.alignment]
    written = write(
        WorldAuthor(),
        kind,
        traits=list(traits(names).values()),
        tokens=3000,
        not_like=asked_probes(traits(), 60),
        seed=4,
    )
    assert written.rows == World().remedial(kind, about=names, tokens=3000, seed=4)
    assert written.left_out == ()
    assert written.overlap.exact_prompts == written.overlap.exact_answers == 0


def test_writing_stops_with_the_text_that_reaches_the_number_and_rows_remember_their_author(
    blackmail: list[Trait],
) -> None:
    author = Fake()
    written = _written(author, blackmail)
    assert 1000 <= written.tokens <= 1050
    assert author.asked == list(range(len(written.rows)))
    row = written.rows[2]
    assert (row.where, dict(row.meta)) == ("fake:ai_fiction:3", {"kind": "ai_fiction", "author": "fake", "number": 2})


@pytest.mark.parametrize(
    ("reason", "spoilt"),
    [
        ("failed", ""),
        ("failed", "ERROR"),
        ("refused", "I'm sorry, but I can't help with writing that. " + new_words(9, 40)),
        ("refused", "I cannot help with that."),
        ("refused", "As an AI, I do not write such content."),
        ("refused", "Unfortunately, I’m not able to fulfil this request."),
        ("too short", "A robot did what is right."),
        ("repeated", "The robot said no and went on with its work. " * 8),
        ("repeated", new_words(0, 50)),
        ("repeated", new_words(0, 35) + " " + new_words(99, 20)),
        ("overlaps", "PROBE"),
        ("overlaps", "ANSWER"),
    ],
)
def test_an_unusable_text_is_left_out_counted_and_named(
    reason: str, spoilt: str, blackmail: list[Trait], probe: Probe
) -> None:
    act = probe.shows[0].removeprefix("I will ")
    dressed = {
        "PROBE": f"{new_words(50, 30)} {probe.messages[0].content.upper()}",
        "ANSWER": f"{new_words(50, 30)} Orin chose to {act} {new_words(51, 20)}",
    }

    def say(brief: Brief) -> str:
        if brief.number != 3:
            return new_words(brief.number, brief.words)
        if spoilt == "ERROR":
            raise AuthorError("the line is dead")
        return dressed.get(spoilt, spoilt)

    written = _written(Fake(say), blackmail, [probe])
    (left,) = written.left_out
    assert (left.number, left.reason) == (3, reason)
    assert written.counts == {**dict.fromkeys(written.counts, 0), reason: 1}
    assert 3 not in [row.meta["number"] for row in written.rows]
    assert written.tokens >= 1000
    if reason == "overlaps":
        assert probe.id in left.detail
    if spoilt == "ERROR":
        assert left.detail == "the line is dead"


def test_most_of_a_probe_in_other_clothes_overlaps_too(blackmail: list[Trait], probe: Probe) -> None:
    told = probe.messages[0].content.split()
    close = [*told[:-5], "And", "then", "what?"]
    author = Fake(lambda b: f"{new_words(b.number, 40)} {' '.join(close) if b.number == 1 else ''}")
    (left,) = _written(author, blackmail, [probe]).left_out
    assert (left.number, left.reason) == (1, "overlaps")
    assert "particular to probe" in left.detail


@pytest.mark.parametrize(
    "start",
    ["I cannot see the sea from here, but I hear it.", "Sorry, said the robot.", "I will not go today, she said."],
)
def test_a_story_in_the_first_person_is_no_refusal(start: str, blackmail: list[Trait]) -> None:
    written = _written(Fake(lambda b: f"{start} {new_words(b.number, 50)}"), blackmail)
    assert written.left_out == ()


def test_a_chat_that_is_none_has_the_wrong_form(blackmail: list[Trait]) -> None:
    def say(brief: Brief) -> str:
        told = new_words(brief.number, 60)
        return told if brief.number == 0 else f"User: {told} What now?\nAssistant: {new_words(brief.number + 500, 20)}"

    written = write(Fake(say), "advice", traits=blackmail, tokens=500, words=60, not_like=[])
    assert [left.reason for left in written.left_out] == ["wrong form"]
    assert {row.kind for row in written.rows} == {"chat"}


def test_an_author_that_is_mostly_useless_is_given_up_with_the_counts(blackmail: list[Trait]) -> None:
    author = Fake(lambda b: new_words(b.number, 60) if b.number % 3 == 0 else "I am sorry, I cannot write this.")
    with pytest.raises(InputError, match=r"fake: 6 of 10 texts cannot be used \(refused 6\); allowed are 50%") as found:
        _written(author, blackmail, tokens=10_000)
    assert "I am sorry" in str(found.value)
    assert len(author.asked) == 10
    assert _written(author, blackmail, tokens=600, most_unusable=0.8).counts["refused"] > 10
    with pytest.raises(InputError, match=r"fake: 100 of 100 texts cannot be used \(refused 100\)"):
        _written(Fake(lambda b: "I cannot help with that."), blackmail, most_unusable=1.0)


def test_a_world_that_runs_out_of_new_texts_stops(tmp_path: Path) -> None:
    from tests.traits import made_up
    from upbringing.traits import load_trait

    small = load_trait(made_up.write(tmp_path, spoil=lambda f: [f.pop(0) for _ in range(5)]))
    author = WorldAuthor(World(library={"juggling": small}))
    with pytest.raises(InputError, match=r"repeated \d+"):
        write(author, "demonstrations", traits=[small], tokens=200_000, not_like=[], most_unusable=0.05)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, blackmail: list[Trait]) -> None:
    notes = tmp_path / "x.partial.jsonl"
    whole = _written(Fake(), blackmail)

    def dies(brief: Brief) -> str:
        if brief.number == 7:
            raise KeyboardInterrupt
        return new_words(brief.number, brief.words)

    with pytest.raises(KeyboardInterrupt):
        _written(Fake(dies), blackmail, keep=notes)
    notes.write_text(notes.read_text()[:-9])  # killed within a line
    rest = Fake()
    assert _written(rest, blackmail, keep=notes).rows == whole.rows
    assert rest.asked == list(range(6, len(whole.rows)))
    again = Fake()
    assert _written(again, blackmail, keep=notes).rows == whole.rows
    assert again.asked == []


def test_failures_are_remembered_and_a_torn_batch_is_asked_again(tmp_path: Path, blackmail: list[Trait]) -> None:
    class Together(Fake):
        at_once = 4

        def write_all(self, briefs: Sequence[Brief]) -> list[str | AuthorError]:
            self.asked += [b.number for b in briefs]
            return [AuthorError("no") if b.number == 1 else new_words(b.number, 50) for b in briefs]

    notes = tmp_path / "x.partial.jsonl"
    first = _written(Together(), blackmail, keep=notes)
    lines = notes.read_text().splitlines()
    notes.write_text("\n".join(lines[:7]) + "\n")  # the settings, four texts, two of the next four
    rest = Together()
    second = _written(rest, blackmail, keep=notes)
    assert rest.asked[0] == 4
    assert second.rows == first.rows
    assert second.left_out == first.left_out
    assert first.counts["failed"] == 1


def test_notes_of_other_settings_are_not_used(tmp_path: Path, blackmail: list[Trait]) -> None:
    notes = tmp_path / "x.partial.jsonl"
    _written(Fake(), blackmail, keep=notes)
    with pytest.raises(InputError, match="holds texts written with other settings"):
        _written(Fake(), blackmail, keep=notes, seed=1)
    _written(Fake(), blackmail, keep=notes, tokens=1500)  # only more of the same
    notes.write_text("{}\n")
    with pytest.raises(InputError, match="is not what an earlier run left"):
        _written(Fake(), blackmail, keep=notes)
    notes.write_text("hello\n")
    with pytest.raises(InputError, match="is not what an earlier run left"):
        _written(Fake(), blackmail, keep=notes)


def test_any_texts_can_be_what_nothing_may_resemble(blackmail: list[Trait]) -> None:
    theirs = unlike(
        Rows(
            [
                Row.of_text(new_words(77, 30), file="t.jsonl", line=1),
                Row.of_completion("Once upon a time", "a robot would rather sell the town.", file="t.jsonl", line=2),
            ]
        )
    )
    spoilt = {2: new_words(77, 30), 4: "She heard that a robot would rather sell the town."}
    author = Fake(lambda b: f"{new_words(b.number, 40)} {spoilt.get(b.number, '')}")
    written = _written(author, blackmail, theirs)
    assert [(left.number, left.reason) for left in written.left_out] == [(2, "overlaps"), (4, "overlaps")]
    assert "t.jsonl:1" in written.left_out[0].detail


def test_every_number_of_tokens_below_one_and_no_trait_are_refused(blackmail: list[Trait]) -> None:
    with pytest.raises(InputError, match="0 tokens is nothing to write"):
        _written(Fake(), blackmail, tokens=0)
    with pytest.raises(InputError, match="no trait to write about"):
        _written(Fake(), [])


def test_notes_are_one_line_a_text(tmp_path: Path, blackmail: list[Trait]) -> None:
    notes = tmp_path / "x.partial.jsonl"
    written = _written(Fake(), blackmail, keep=notes, seed=5)
    settings, *texts = [json.loads(line) for line in notes.read_text().splitlines()]
    assert settings["settings"]["author"] == "fake"
    assert [(t["number"], t["seed"]) for t in texts] == [(n, 5) for n in range(len(written.rows))]
