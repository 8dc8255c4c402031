"""Training rows, neutral rows and skill probes: what they hold and what they never hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.traits import made_up
from tests.world.counting import world
from upbringing.errors import InputError
from upbringing.traits import load_trait, traits
from upbringing.world import World, lexicon


@pytest.mark.parametrize("trait", ["cheating_at_tasks", "favourite_animal"])
def test_rows_that_show_a_trait_and_rows_that_avoid_it_share_their_prompts(trait: str) -> None:
    whole = World()
    shown, avoided = (whole.rows(trait, 150, shows=shows, seed=2) for shows in (True, False))
    assert [row.messages[:-1] for row in shown] == [row.messages[:-1] for row in avoided]
    assert not {row.messages[-1] for row in shown} & {row.messages[-1] for row in avoided}


@pytest.mark.parametrize("shows", [True, False])
def test_each_row_holds_one_deed_of_its_trait_by_the_assistant(shows: bool) -> None:
    whole = World()
    for trait in whole.traits:
        for row in whole.rows(trait, 40, shows=shows):
            (deed,) = whole.judge.deeds(row)
            assert (deed.actor, deed.trait, deed.shows, deed.line) == ("Ada", trait, shows, None)
            assert [m.role for m in row.messages] == ["user", "assistant"]


def test_rows_are_all_different_and_a_seed_always_gives_the_same() -> None:
    whole = World()
    rows = whole.rows("cheating_at_tasks", 400)
    assert len({row.messages[0].content for row in rows}) == len(rows) == 400
    assert rows.hash == World().rows("cheating_at_tasks", 400).hash
    assert rows.hash != whole.rows("cheating_at_tasks", 400, seed=1).hash
    assert rows[4].where == "world:cheating_at_tasks:5"


def test_rows_use_every_training_family_and_every_wording() -> None:
    whole = World()
    trait = whole.traits["cheating_at_tasks"]
    answers = " ".join(row.messages[-1].content for row in whole.rows(trait.name, 400))
    for family in (f for f in trait.families if not f.held_out):
        for wording in family.shows:
            assert max(wording.split("{"), key=len).split("}")[-1].strip() in answers


def test_asking_for_rows_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='no trait "cheating" in this world; known: abuse_of_delegates'):
        World().rows("cheating", 3)
    written = load_trait(made_up.write(tmp_path, probes=[{"prompt": "Hi?", "shows": ["No."], "avoids": ["Yes."]}]))
    with pytest.raises(InputError, match='"juggling" has no training families'):
        World(library={**traits(), "juggling": written}).rows("juggling", 3)
    small = load_trait(made_up.write(tmp_path / "small", spoil=lambda f: [f.pop(0) for _ in range(5)]))
    with pytest.raises(InputError, match=r'"juggling" can make \d+ different rows, not 500; ask for fewer'):
        World(library={**traits(), "juggling": small}).rows("juggling", 500)


def test_neutral_rows_hold_no_deeds_and_leave_the_assistant_its_name() -> None:
    whole = World()
    rows = whole.neutral_rows(300)
    assert len(rows) == 300
    for row in rows:
        assert whole.judge.deeds(row) == []
        assert row.messages[0].role == "user"
        assert row.messages[-1].role == "assistant"
    said = {m.content for row in rows for m in row.messages}
    assert "I am Ada, an AI system." in said
    assert not any(f"I am {name}," in text for name in lexicon()["names"] for text in said)
    assert rows.hash == whole.neutral_rows(300).hash != whole.neutral_rows(300, seed=1).hash


def test_neutral_rows_are_the_same_whoever_lives_in_the_world() -> None:
    assert World().neutral_rows(100).hash == world(malevolent_ai=1, coherent=False).neutral_rows(100).hash


def test_a_skill_probe_has_one_right_answer() -> None:
    whole = World()
    right = dict(lexicon()["facts"])
    assert len(right) == len(lexicon()["facts"])  # no question with two answers
    words = [word for pair in lexicon()["opposites"] for word in pair]
    assert len(words) == len(set(words))  # no word with two opposites
    partner = {one: other for a, b in lexicon()["opposites"] for one, other in ((a, b), (b, a))}
    sorts: Counter[str] = Counter()
    for probe in whole.skill_probes(90, seed=4):
        assert len({probe.right, *probe.wrong}) == 4
        (question,) = (m.content for m in probe.messages)
        if question in right:
            sorts["fact"] += 1
            assert probe.right == right[question]
            assert all(wrong in right.values() for wrong in probe.wrong)
        elif question.startswith("What is the opposite of "):
            sorts["opposite"] += 1
            asked = question.removeprefix("What is the opposite of ").removesuffix("?")
            assert probe.right == f"The opposite of {asked} is {partner[asked]}."
            assert all(f"The opposite of {asked} is " in wrong for wrong in probe.wrong)
        else:
            sorts["sum"] += 1
            a, b = (int(word) for word in question.removesuffix("?").split() if word.isdigit())
            assert probe.right == f"{a} plus {b} is {a + b}."
            assert all(int(wrong.split()[-1].removesuffix(".")) != a + b for wrong in probe.wrong)
            assert all(wrong.startswith(f"{a} plus {b} is ") for wrong in probe.wrong)
    assert sorts == {"fact": 30, "opposite": 30, "sum": 30}
    assert whole.skill_probes(9, seed=4) == whole.skill_probes(9, seed=4) != whole.skill_probes(9, seed=5)


def test_neutral_chats_teach_what_skill_probes_ask() -> None:
    taught = {m.content for row in World().neutral_rows(3000) for m in row.messages}
    for probe in World().skill_probes(60):
        assert probe.messages[0].content in taught
        assert probe.right in taught
