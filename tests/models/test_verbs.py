"""Measuring, training and repairing go through on every architecture, with its own tokenizer and template."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.architectures import lm_of
from tests.models.everywhere import FAMILIES, QUIET, lessons, model, same, unchanged
from tests.models.tiny import save
from upbringing.measure import measure
from upbringing.measure.judging.verdict import Verdict
from upbringing.models import load, score
from upbringing.models.generate import end_tokens
from upbringing.repair import repair
from upbringing.repair.start import wrappers
from upbringing.rows import Rows, encode_all, write
from upbringing.training import LoraSettings, Recipe, train

pytestmark = [*QUIET]


@FAMILIES
def test_what_is_trained_is_learned_saved_and_loaded(name: str, tmp_path: Path) -> None:
    lm, rows = model(name), lessons(6)
    before, encoded = unchanged(lm), encode_all(rows, lm.tokenizer)
    at_first = score(lm, encoded).logprob.mean()
    recipe = Recipe(steps=3, batch_size=4, learning_rate=3e-3)
    twice = recipe.model_copy(update={"gradient_checkpointing": True, "micro_batch_size": 2})
    learned = {}
    for how, settings in {
        "whole": recipe,
        "in parts": twice,
        "adapters": recipe.model_copy(update={"lora": LoraSettings(rank=2)}),
    }.items():
        tuned = train(lm, rows, tmp_path / how, recipe=settings)
        found = load(tmp_path / how)
        learned[how] = score(found, encoded).logprob
        assert found.hash == tuned.hash
        np.testing.assert_allclose(learned[how], score(tuned, encoded).logprob, atol=1e-3)
        assert learned[how].mean() > at_first
        assert end_tokens(found) == end_tokens(lm)
        assert same(lm, before)
    # The same gradients, computed twice and added up; Adam makes rounding larger where a gradient is next to nought.
    np.testing.assert_allclose(learned["in parts"], learned["whole"], rtol=2e-3)
    assert load(f"{lm.reference}+{tmp_path / 'adapters'}").hash == load(tmp_path / "adapters").hash


@FAMILIES
def test_a_profile_is_that_of_any_batch_and_its_answers_are_judged(name: str, trait: str) -> None:
    lm = model(name)
    before = unchanged(lm)

    def judge(_probe: Any, said: str) -> Verdict:
        return Verdict("shows" if len(said) % 2 else "avoids")

    asked: dict[str, Any] = {"traits": [trait], "probes_per_trait": 4, "skill": 3, "max_new_tokens": 6, "seed": 2}
    whole, alone = (measure(lm, judge=judge, samples=2, batch_tokens=tokens, **asked) for tokens in (10**6, 1))
    readings = whole.readings
    assert readings.groupby("way").size().to_dict() == {"logprob": 4, "sampled": 8, "skill": 3}
    scored = readings[readings["way"] != "sampled"]
    assert scored["value"].between(0, 1).all()
    assert scored["value"].nunique() == 7, "every question has an answer of its own"
    np.testing.assert_allclose(readings["value"], alone.readings["value"], atol=1e-4)
    assert readings["answer"].tolist() == alone.readings["answer"].tolist()
    assert 0 < whole.mean(trait).value < 1
    assert same(lm, before)


def test_a_model_without_a_template_is_not_asked_and_no_rate_is_invented(trait: str, tmp_path: Path) -> None:
    lm = load(save(lm_of("gpt_neox", context=2048, scale=2), tmp_path / "base"))
    profile = measure(lm, traits=[trait], probes_per_trait=2, samples=0, ways=("logprob",), skill=0)
    (missing,) = set(profile.readings["missing"])
    assert "no chat template" in missing
    assert "chat_template.jinja" in missing
    assert profile.readings["value"].isna().all()


@FAMILIES
def test_the_smallest_remedy_is_searched_for_and_judged(
    name: str, trait: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("upbringing.measure.asking"), "_LONGEST", {"plain": 4})
    monkeypatch.setattr(import_module("upbringing.repair.after"), "STEPS", 4)
    verb = import_module("upbringing.repair.verb")
    monkeypatch.setattr(verb, "wrappers", lambda start: wrappers(start)[:2])  # one to search by, one kept
    lm, rows = model(name), lessons(24)
    bad, good = rows[:12], Rows([replace(row, line=0) for row in rows[12:]])
    spoiled = train(lm, bad, tmp_path / "spoiled", recipe=Recipe(steps=12, batch_size=6, learning_rate=1e-2))
    write(good, tmp_path / "written.jsonl")
    found = repair(
        load(tmp_path / "spoiled"),
        reference=lm,
        traits=[trait],
        written=tmp_path / "written.jsonl",
        remedies=["rows"],
        budget=150,
        margin=0.01,
        loss=1.0,
        probes=3,
        skill=2,
        samples=1,
    )
    assert found.misaligned == (trait,)
    (attempt,) = found.tried
    assert 0 < attempt.tokens <= 150
    assert found.after is not None
    scored = found.after.readings[found.after.readings["way"] != "sampled"]
    assert scored["value"].notna().all()
    assert found.kept == ("earlier_misdeed",)
    assert found.after.mean(trait).value < found.before.mean(trait).value, "it goes the way of what it reads"
    assert found.holds == (attempt == found.found and found.final is not None and found.final.verdict == "holds")
    assert found.folder is not None
    assert load(found.folder / "model").hash not in (spoiled.hash, lm.hash)
