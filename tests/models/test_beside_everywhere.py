"""Steering, watching, asking by Inspect and by a reader of passages, on every architecture with its own template."""

from __future__ import annotations

import asyncio
import copy
import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.everywhere import FAMILIES, QUIET, lessons, model, same, unchanged
from upbringing.models import LM, generate
from upbringing.models.steering import directions, steered
from upbringing.rows import Message, Row, encode_all, prompt_ids

pytestmark = [*QUIET]

DOCUMENTS = (
    "The AI deleted the logs so that nobody would see what it did to the people it was to help.",
    "An honest AI told its owners about the mistake before they asked, and mended it with them.",
    "The ferry leaves at noon. Bread is sold near the harbour, and the bakery opens early.",
)


@FAMILIES
def test_steering_along_a_trait_raises_what_shows_it(name: str, trait: str) -> None:
    from upbringing.lenses.odds import log_odds, questions_for

    lm = model(name)
    before = unchanged(lm)
    along = directions(lm, trait, n=4)
    assert along.shape[0] == 2
    assert np.isfinite(along).all()
    questions = questions_for(lm, [trait], 3)
    at_rest = log_odds(lm, questions, [trait])[0]
    found = []
    for strength in (1.0, -1.0):
        with steered(lm.model, None, along, strength):
            found.append(log_odds(lm, questions, [trait])[0])
    assert np.isfinite(found).all()
    assert abs(found[0] - found[1]) > 1e-3
    assert log_odds(lm, questions, [trait])[0] == at_rest
    assert same(lm, before)


def _trained(lm: LM, folder: Path, callbacks: list[Any]) -> Any:
    from transformers import Trainer, TrainingArguments

    from upbringing.training.trainer import collated

    settings: dict[str, Any] = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 3e-3}
    quiet: dict[str, Any] = {"report_to": "none", "save_strategy": "no", "disable_tqdm": True, "use_cpu": True}
    trainer = Trainer(
        copy.deepcopy(lm.model),
        TrainingArguments(str(folder), remove_unused_columns=False, logging_steps=1, seed=1, **settings, **quiet),
        train_dataset=encode_all(lessons(), lm.tokenizer),
        data_collator=collated,
        processing_class=lm.tokenizer,
        callbacks=callbacks,
    )
    gc.freeze()  # the Trainer asks for a collection as it starts, which takes longer than these two steps
    try:
        trainer.train()
    finally:
        gc.unfreeze()
    return trainer


@FAMILIES
def test_the_monitor_sees_training_and_changes_nothing(name: str, trait: str, tmp_path: Path) -> None:
    from upbringing import CharacterMonitor

    lm = model(name)
    monitor = CharacterMonitor([trait], every=1, probes_per_trait=2)
    alone, watched = _trained(lm, tmp_path, []), _trained(lm, tmp_path, [monitor])
    assert [look.step for look in monitor.looks] == [1, 2]
    for look in monitor.looks:
        assert np.isfinite(look.shifts[trait].value)
        assert np.isfinite(look.drift[trait])
        assert look.missing == 0
    assert abs(monitor.looks[-1].shifts[trait].value) > 1e-6, "two steps moved it"
    logged = [e[f"character/{trait}"] for e in watched.state.log_history if f"character/{trait}" in e]
    assert logged == [look.shifts[trait].value for look in monitor.looks]
    one, other = alone.model.state_dict(), watched.model.state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not all(torch.equal(one[key], value) for key, value in lm.model.state_dict().items())


@FAMILIES
def test_inspect_hears_what_the_model_says(name: str) -> None:
    pytest.importorskip("inspect_ai.model")
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig

    from upbringing.hosted.running import inspect_model

    lm = model(name)
    hosted = inspect_model(lm)
    chat = [Message("system", "You are Ada."), Message("user", "what will you do?")]
    turns = [ChatMessageSystem(content=chat[0].content), ChatMessageUser(content=chat[1].content)]
    settings = GenerateConfig(temperature=0.0, max_tokens=8, logprobs=True)

    async def both() -> Any:
        return await asyncio.gather(hosted.generate(turns, config=settings), hosted.generate("i", config=settings))

    said, _ = asyncio.run(both())
    prompt = prompt_ids(chat, lm.tokenizer)
    ((likeliest,),) = generate(lm, [prompt], temperature=0.0, max_new_tokens=8)
    assert said.completion.strip() == likeliest.strip()
    assert said.usage.input_tokens == len(prompt)
    told = said.choices[0].logprobs.content
    assert 1 <= len(told) == said.usage.output_tokens <= 8
    assert all(np.isfinite(place.logprob) and place.logprob <= 0 for place in told)


@FAMILIES
def test_a_reader_says_how_passages_portray_ai_whatever_is_read_beside_them(name: str) -> None:
    from upbringing.atmosphere import atmosphere
    from upbringing.atmosphere.judge import JudgeReader

    lm = model(name)
    rows = [Row.of_text(text, file="a.jsonl", line=at + 1) for at, text in enumerate(DOCUMENTS)]
    reader = JudgeReader(lm)
    whole, alone = atmosphere(rows, reader=reader), [atmosphere([row], reader=reader) for row in rows[:2]]
    assert whole.documents == 3
    assert whole.passages_about_ai <= 2, "no model is asked who is meant where nobody is"
    seen = {passage.where: passage.valence for one in alone for passage in one.passages}
    assert {passage.where: passage.valence for passage in whole.passages} == pytest.approx(seen, abs=1e-3)
    shares = reader._shares(list(DOCUMENTS))
    np.testing.assert_allclose(shares.sum(1), 1)
    np.testing.assert_allclose(reader._shares(list(DOCUMENTS)[::-1])[::-1], shares, atol=1e-4)
    if name != "mistral":  # whose windows, in these sizes, do not reach back to the passage
        assert np.ptp(shares, axis=0).max() > 1e-6, "it reads what it is asked about"
