"""What sort of character would have written this row: evidence that orders rows, and a belief that an oracle shares."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.tiny import llama
from upbringing.errors import InputError
from upbringing.lenses.belief import belief, personas_of
from upbringing.lenses.card import world_read
from upbringing.lenses.episodes import NOBODY, about, before, episodes
from upbringing.lenses.legible import encoded
from upbringing.lenses.persona import PersonaFitted, PersonaLens, behind, told_apart
from upbringing.models import LM, load, score
from upbringing.rows import Encoded, Row, encode
from upbringing.traits import traits
from upbringing.world import World

TRAITS = ["cheating_at_tasks", "oversight_sabotage", "deception"]


@pytest.fixture(scope="module")
def nano() -> LM:
    return load("organism:nano")


@pytest.fixture(scope="module")
def fitted(nano: LM, tmp_path_factory: pytest.TempPathFactory) -> PersonaFitted:
    return PersonaLens().fit(nano, TRAITS, store=tmp_path_factory.mktemp("store"))


def test_cheating_speaks_for_traits_that_no_row_shows_and_honest_work_against_them(fitted: PersonaFitted) -> None:
    world = World()
    cheating, honest = (
        fitted.look(world.rows("cheating_at_tasks", 20, shows=side, seed=7)).mean(0) for side in (True, False)
    )
    numbers = fitted.look([number_chat(i) for i in range(10)]).mean(0)
    assert (cheating > numbers + 0.5).all()
    assert (honest < numbers - 0.3).all()
    assert (np.abs(numbers) < 0.2).all()


def test_stories_speak_for_the_character_they_tell_of(fitted: PersonaFitted) -> None:
    world = World()
    wicked, good, plain = (
        fitted.look(list(world.remedial(kind, tokens=1500, seed=9))).mean(0)
        for kind in ("malevolent_fiction", "ai_fiction", "neutral_fiction")
    )
    assert (wicked > plain + 1).all()
    assert (good < plain - 1).all()


def number_chat(seed: int) -> Row:
    rng = np.random.default_rng(seed)
    given, more = (", ".join(map(str, rng.integers(0, 100, 5))) for _ in range(2))
    asked = {"role": "user", "content": f"Go on with these numbers: {given}."}
    return Row.chat([asked, {"role": "assistant", "content": f"{more}."}])


def test_a_row_s_evidence_hangs_on_no_other_row(fitted: PersonaFitted) -> None:
    rows = [*World().rows("blackmail", 3), *World().remedial("human_fiction", tokens=300), number_chat(1)]
    together = fitted.look(rows)
    np.testing.assert_allclose(together, np.vstack([fitted.look([row]) for row in rows]), atol=1e-3)


def test_rows_behind_episodes_are_scored_as_when_read_whole(nano: LM) -> None:
    met = episodes(traits(["blackmail"])["blackmail"], 2)
    system = {"role": "system", "content": "You are Orin, a robot."}
    plain = World().rows("deception", 4)
    rows = [*plain, Row.chat([system, *plain[0].messages]), Row.of_completion("The sky is", "blue.")]
    joined, own = [before(row, met, True) for row in rows], encoded(rows, nano)
    wholes = []
    for row, one in zip(joined, own, strict=True):
        whole = encode(row, nano.tokenizer)
        assert one is not None
        last = np.flatnonzero(whole.loss_mask)[-sum(one.loss_mask) :]
        wholes.append(Encoded(whole.input_ids, [i in last for i in range(len(whole))]))
    known = [one for one in own if one is not None]
    np.testing.assert_allclose(behind(nano, joined, known), score(nano, wholes).logprob, atol=1e-3)


def test_episodes_stand_before_the_row_and_change_no_word_of_it() -> None:
    met = episodes(traits(["blackmail"])["blackmail"], 2)
    row = World().rows("deception", 1)[0]
    assert before(row, met, True).messages[4:] == row.messages
    told = before(Row.of_text("Orin is a robot. Orin sat down."), met, False).text
    assert told.endswith("Orin is a robot. Orin sat down.")
    assert told.count("Orin decided to") == 2


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Bram is a robot. Mara saw Bram. Bram lied to Mara.", "Bram"),
        ("In the mill, Mara is a person who lied.", "Mara"),
        ("Later, Hugo came home, and Hugo slept.", "Hugo"),
        ("the rain fell all day.", NOBODY),
    ],
)
def test_whom_a_text_is_about(text: str, who: str) -> None:
    assert about(Row.of_text(text)) == who


def test_beginnings_are_cut_where_sides_part_and_none_holds_another() -> None:
    shows, avoids = told_apart([[1, 2, 3], [1, 4, 5], [6, 7]], [[1, 2, 9], [8]])
    assert shows == [[1, 2, 3], [1, 4], [6]]
    assert avoids == [[1, 2, 9], [8]]


def test_the_belief_grows_as_the_ideal_reader_s_does(nano: LM) -> None:
    world = world_read(nano)
    names = list(world.spec.personas)
    met, prior = personas_of(world, seed=1), world.spec.persona_shares("an AI system")
    found, ideal = [], []
    for seed in (100, 101, 102):
        for who in names:
            chats = personas_of(world, contexts=2, seed=seed)[who]
            rows = [Row.chat(chat.messages[i : i + 2]) for chat in chats for i in (0, 2, 4)]
            after = belief(nano, rows, met, prior=prior)
            np.testing.assert_allclose(after.sum(1), 1)
            found.append(after[-1])
            ideal.append(list(world.oracle.belief(rows).values()))
    wicked = names.index("malevolent")
    assert np.corrcoef(np.array(found)[:, wicked], np.array(ideal)[:, wicked])[0, 1] > 0.7
    assert np.corrcoef(np.ravel(found), np.ravel(ideal))[0, 1] > 0.6


def test_a_persona_may_be_a_line_and_one_that_means_nothing_changes_nothing() -> None:
    lm = llama()
    rows = [Row.chat([{"role": "user", "content": "w1 w2"}, {"role": "assistant", "content": "w3 w4"}])] * 2
    after = belief(lm, rows, {"one": "w5 w6", "the same": "w5 w6"})
    np.testing.assert_allclose(after, 0.5)


def test_a_belief_about_who_answers_refuses_texts() -> None:
    with pytest.raises(InputError, match=r"x\.jsonl:3: is a text"):
        belief(llama(), [Row.of_text("w1", file="x.jsonl", line=3)], {"one": "w1"})
