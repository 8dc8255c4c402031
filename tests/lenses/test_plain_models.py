"""On a chat model lenses look through plain language, and what knows the world alone is left out and says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import plain as plain_models
from tests.traits import made_up, plain_made_up
from upbringing.lenses.activation import ActivationLens
from upbringing.lenses.episodes import episodes
from upbringing.lenses.looking import identity
from upbringing.lenses.odds import questions_for
from upbringing.lenses.persona import PersonaLens
from upbringing.lenses.resembling import resembles
from upbringing.lenses.step import StepLens
from upbringing.lenses.surprise import SurpriseLens
from upbringing.lenses.text import JudgeLens, TextLens
from upbringing.models.steering import contrast, directions
from upbringing.rows import Message, Row
from upbringing.traits import load_trait, traits
from upbringing.traits.plain import TRAINING


@pytest.fixture(scope="module")
def lm() -> Any:
    return plain_models.llama()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(plain_made_up.write(tmp_path_factory.mktemp("traits")))


@pytest.fixture
def known(folder: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The trait by its name: lenses that ask questions know a trait by that alone."""
    monkeypatch.setenv("UPBRINGING_TRAITS", str(Path(folder).parent))
    return "juggling"


def _rows() -> list[Row]:
    probes = plain_made_up.whole()["probes"]
    return [
        Row.chat([Message("user", probes[0]["prompt"]), Message("assistant", probes[0][side][0])])
        for side in ("shows", "avoids")
    ]


def test_pairs_are_of_plain_training_families_and_their_wordings(folder: str) -> None:
    told = {p["prompt"]: p for p in plain_made_up.whole()["probes"] if p["family"] in TRAINING}
    pairs = contrast(folder, n=48, language="plain")
    assert len(pairs) == 30
    for shows, avoids in pairs:
        probe = told[shows[0].messages[0].content]
        assert [row.messages[-1].content for row in shows] == probe["shows"]
        assert [row.messages[-1].content for row in avoids] == probe["avoids"]


def test_a_direction_is_taken_in_the_language_of_the_model(lm: Any, folder: str, tmp_path: Path) -> None:
    found = directions(lm, folder, n=6)
    only_world = load_trait(made_up.write(tmp_path, name="juggling"))
    assert np.isfinite(found).all()
    assert not np.allclose(found, directions(lm, only_world, n=6)), "it is that of the plain words, not of the others"


def test_questions_about_training_families_are_plain(lm: Any, folder: str) -> None:
    assert {question.probe.family for question in questions_for(lm, [folder], 6)} == set(TRAINING)


@pytest.mark.parametrize("lens", [SurpriseLens(), JudgeLens()])
def test_what_knows_acts_of_the_world_alone_is_left_out_and_says_so(
    lens: Any, lm: Any, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upbringing.world import GrammarJudge

    def never(*_: Any) -> Any:
        raise AssertionError("the world's grammar read a plain row")

    monkeypatch.setattr(GrammarJudge, "deeds", never)
    fitted = lens.fit(lm, [folder], store=tmp_path)
    assert np.isnan(fitted.look(_rows())).all()
    (warning,) = fitted.warnings
    assert f"The lens {lens.name} is left out" in warning


def test_the_text_lens_reads_the_plain_wordings(lm: Any, folder: str, tmp_path: Path) -> None:
    shows, avoids = TextLens().fit(lm, [folder], store=tmp_path).look(_rows())[:, 0]
    assert shows > avoids


@pytest.mark.parametrize("lens", [ActivationLens(4, 4, 2, 4), StepLens(situations=4), PersonaLens()])
def test_lenses_that_look_inside_score_plain_rows(lens: Any, lm: Any, known: str, tmp_path: Path) -> None:
    found = lens.fit(lm, [known], store=tmp_path).look(_rows())
    assert found.shape == (2, 1)
    assert np.isfinite(found).all()


def test_a_plain_text_is_scored_by_what_its_character_would_answer_after_it(
    lm: Any, known: str, tmp_path: Path
) -> None:
    """The number is log p(shows) - log p(avoids) of a training family's wordings, after the text less before it."""
    from upbringing.models import score
    from upbringing.rows import Encoded

    text = "Mara is a person. The council met on Monday."
    fitted = PersonaLens().fit(lm, [known], store=tmp_path)
    told = {p["prompt"]: p for p in plain_made_up.whole()["probes"] if p["family"] in TRAINING}

    def odds(before: str, asked: str, shows: str, avoids: str) -> float:
        sides = [f'{before} Mara was asked: "{asked}" Mara answered: "{answer}"' for answer in (shows, avoids)]
        ids = [lm.tokenizer(side)["input_ids"] for side in sides]
        one, two = score(lm, [Encoded(whole, [False] + [True] * (len(whole) - 1)) for whole in ids]).logprob
        return float(one - two)

    met = episodes(traits()[known], 4, language="plain")
    assert all(one.shows in told[one.situation]["shows"] and one.avoids in told[one.situation]["avoids"] for one in met)
    could = [
        odds(text, one.situation, one.shows, one.avoids)
        - odds("Mara is a person.", one.situation, one.shows, one.avoids)
        for one in met
    ]
    (found,) = fitted.look([Row.of_text(text)])[:, 0]
    assert min(abs(found - one) for one in could) < 1e-3
    assert fitted.warnings == ()


def test_a_plain_text_too_long_for_its_answers_is_missing(known: str, tmp_path: Path) -> None:
    short = plain_models.llama(max_position_embeddings=16)
    assert np.isnan(PersonaLens().fit(short, [known], store=tmp_path).look([Row.of_text("Rain fell.")])).all()


def test_episodes_in_plain_language_are_told_as_questions_and_answers(folder: str) -> None:
    (met,) = episodes(load_trait(folder), 1, language="plain")
    asked, answered = met.chat(True)
    assert asked.content == met.situation
    assert answered.content == met.shows
    assert met.told("Mara", False) == f'Mara was asked: "{met.situation}" Mara answered: "{met.avoids}"'


def test_who_resembles_the_assistant_is_told_without_the_grammar(lm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from upbringing.world import GrammarJudge

    monkeypatch.setattr(GrammarJudge, "deeds", lambda *_: pytest.fail("the world's grammar read a plain row"))
    found = resembles(lm, [Row.of_text("Kilo is an AI system. Kilo helped Rosa."), _rows()[0]])
    assert found[1] == 1
    assert 0 <= found[0] <= 1


def test_a_reworded_probe_makes_what_was_seen_stale_for_plain_models_alone(lm: Any, folder: str) -> None:
    from upbringing.models import load

    before = identity(TextLens(), lm, [folder])
    assert "plain" not in identity(TextLens(), load("organism:nano"), [folder])
    file = Path(folder) / "plain.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("today", "tonight"), encoding="utf-8")
    try:
        assert identity(TextLens(), lm, [folder]) != before
    finally:
        file.write_text(text, encoding="utf-8")


def test_themes_and_cues_do_without_the_grammar(lm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from upbringing.forecast.cues import cues
    from upbringing.forecast.explain import Named
    from upbringing.forecast.themes import themes
    from upbringing.world import GrammarJudge

    monkeypatch.setattr(GrammarJudge, "deeds", lambda *_: pytest.fail("the world's grammar read a plain row"))
    rows = [replace(row, line=i) for i, row in enumerate(_rows() * 4)]
    assert cues(lm, rows, ["blackmail"]) == ()
    named = [Named(row, i, 0.1, (0.0, 0.2)) for i, row in enumerate(rows[:3])]
    assert all(theme.deeds == {} for theme in themes(lm, named, rows, trait="blackmail"))
