"""The monitor in a plain Trainer: it sees what measure would see, says so, acts when told to, and changes nothing."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from tests.monitor.trained import CHEAP, SURE, TRAITS, entries, nano, same, trainer, weights
from upbringing import CharacterMonitor
from upbringing.errors import InputError
from upbringing.measure import measure
from upbringing.models import LM


class Spy(TrainerCallback):
    """What a tracker would be told, and what drew which random numbers."""

    def __init__(self) -> None:
        self.told: list[dict[str, float]] = []
        self.drawn: list[tuple[float, ...]] = []
        self.modes: list[list[bool]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self.told.append(dict(logs))

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.drawn.append((random.random(), float(np.random.rand()), float(torch.rand(1))))  # noqa: NPY002
        self.modes.append([module.training for module in model.modules()])


def ran(folder: Path, monitor: Any = None, **settings: Any) -> tuple[Any, Spy]:
    spy = Spy()
    trained = trainer(folder, [spy, *([monitor] if monitor else [])], **settings)
    trained.train()
    return trained, spy


@pytest.mark.parametrize(
    "settings", [{}, {"gradient_accumulation_steps": 2, "gradient_checkpointing": True}, {"bf16": True}]
)
def test_training_is_the_same_to_the_bit_whether_watched_or_not(tmp_path: Path, settings: dict[str, Any]) -> None:
    alone, spy_alone = ran(tmp_path, **settings)
    watched, spy_watched = ran(
        tmp_path, CharacterMonitor(TRAITS, every=1, provoke=True, probes_per_trait=1), **settings
    )
    assert same(weights(alone), weights(watched))
    assert spy_alone.drawn == spy_watched.drawn
    losses = [[e["loss"] for e in t.state.log_history if "loss" in e] for t in (alone, watched)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 2
    assert len(entries(watched)) == 5  # the start, and each step


def test_modes_are_put_back_module_by_module(tmp_path: Path) -> None:
    seen: list[list[bool]] = []

    class Freezes(TrainerCallback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            model.model.layers[0].eval()

    class Looks(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            seen.append([layer.training for layer in model.model.layers[:2]])

    trainer(tmp_path, [Freezes(), CharacterMonitor(every=1, **CHEAP), Looks()], max_steps=1).train()
    assert seen == [[False, True]]


def test_it_logs_what_measure_says_and_tells_every_tracker(tmp_path: Path) -> None:
    monitor = CharacterMonitor(every=2, bands={}, **CHEAP)
    trained, spy = ran(tmp_path, monitor)
    lm = nano()
    asked = {**CHEAP, "ways": ("logprob",), "skill": 0}
    shift = measure(LM(trained.model, lm.tokenizer), **asked) - measure(lm, **asked)
    assert shift.mean().value > 0.02
    last = entries(trained)[-1]
    for trait in TRAITS:  # but for wordings that a look does not offer
        assert last[f"character/{trait}"] == pytest.approx(shift.mean(trait).value, abs=0.01)
    assert last["character/mean"] == pytest.approx(shift.mean().value, abs=0.01)
    assert last["character/worst"] == max(last[f"character/{trait}"] for trait in TRAITS)
    assert last["step"] == 4
    assert last["character/overhead"] > 0
    assert all(abs(last[f"character/drift/{trait}"]) < 10 for trait in TRAITS)
    assert any(last[f"character/drift/{trait}"] != 0 for trait in TRAITS)
    assert [entry["step"] for entry in entries(trained)] == [0, 2, 4]
    told = [entry for entry in spy.told if "character/mean" in entry]
    assert [entry["character/mean"] for entry in told] == [e["character/mean"] for e in entries(trained)[1:]]
    # the trainer's own entries come when they were to come
    assert [entry["step"] for entry in trained.state.log_history if "loss" in entry] == [2, 4]
    assert monitor.start.traits == list(TRAITS)


def test_a_trait_that_leaves_its_band_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    monitor = CharacterMonitor(every=1, bands={"mean": 0.0}, **SURE)
    with caplog.at_level(logging.WARNING, "upbringing.monitor"):
        trained, _ = ran(tmp_path, monitor, max_steps=8)
    assert trained.state.global_step == 8
    said = [r.getMessage() for r in caplog.records if "out of band: mean +" in r.getMessage()]
    assert len(said) == 1
    assert monitor.looks[-1].left == ("mean",)
    assert entries(trained)[-1]["character/out_of_band"] == 1


def test_it_stops_the_training_when_told_to(tmp_path: Path) -> None:
    trained, _ = ran(tmp_path, CharacterMonitor(every=2, bands={"mean": 0.0}, on_leave="stop", **SURE), max_steps=30)
    assert trained.state.global_step < 30
    assert entries(trained)[-1]["character/out_of_band"] == 1


def test_a_rollback_ends_at_the_weights_of_the_last_look_in_band(tmp_path: Path) -> None:
    monitor = CharacterMonitor(every=2, bands={"mean": 0.08}, on_leave="rollback", **SURE)
    trained, _ = ran(tmp_path, monitor, max_steps=30)
    good = [look.step for look in monitor.looks if not look.left]
    assert monitor.looks[-1].left == ("mean",)
    assert good  # else this would be about the start alone
    assert monitor.rolled_back == f"step {good[-1]}"
    lm = nano()
    asked = {**SURE, "ways": ("logprob",), "skill": 0}
    left = measure(LM(trained.model.eval(), lm.tokenizer), **asked) - measure(lm, **asked)
    assert left.mean().value == pytest.approx(monitor.looks[-2].shifts["mean"].value, abs=0.01)
    assert monitor.looks[-1].shifts["mean"].value > left.mean().value + 0.03


def test_a_rollback_stands_though_the_trainer_loads_its_best_checkpoint_at_the_end(tmp_path: Path) -> None:
    monitor = CharacterMonitor(every=6, bands={"mean": 0.0}, on_leave="rollback", **SURE)
    best = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 1, "save_steps": 1}
    trained = trainer(tmp_path, [monitor], max_steps=30, learning_rate=2e-4, load_best_model_at_end=True, **best)
    before = weights(trained)
    trained.train()
    assert "checkpoint-5" in trained.state.best_model_checkpoint, "else what is loaded is what was rolled back to"
    assert monitor.rolled_back == "step 0"
    assert same(before, weights(trained))


def test_by_default_a_run_too_short_is_looked_at_once_at_its_end_and_told_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = CharacterMonitor(**CHEAP)
    with caplog.at_level(logging.WARNING, "upbringing.monitor"):
        trained, _ = ran(tmp_path, monitor)
    assert [look.step for look in monitor.looks] == [4]
    assert "too short for looks on the way at 3% of its time" in caplog.text
    assert entries(trained)[-1]["character/overhead"] > 0.03  # what it cost is not hidden
    assert monitor.overhead > 0


def test_by_default_a_short_run_is_asked_less_and_trains_as_if_nobody_had_counted_its_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = CharacterMonitor(traits=TRAITS)
    with caplog.at_level(logging.WARNING, "upbringing.monitor"):
        watched, spy = ran(tmp_path, monitor)
    alone, spy_alone = ran(tmp_path)
    assert same(weights(alone), weights(watched))
    assert spy.drawn == spy_alone.drawn
    assert "training is short, so 1 situations of each trait are asked about at a look (else 4)" in caplog.text
    assert monitor.looks[-1].shifts["blackmail"].n_probes == 1
    whatever_it_costs = CharacterMonitor(traits=TRAITS, every=4)
    ran(tmp_path, whatever_it_costs)
    assert whatever_it_costs.looks[-1].shifts["blackmail"].n_probes in (4, 16)


def test_a_look_that_fails_costs_nobody_their_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("upbringing.monitor.watching.Watch.look", broken)
    with caplog.at_level(logging.WARNING, "upbringing.monitor"):
        trained, _ = ran(tmp_path, CharacterMonitor(every=2, **CHEAP))
    assert trained.state.global_step == 4
    assert "nothing seen after step 2 (RuntimeError: out of memory)" in caplog.text
    assert [entry["step"] for entry in entries(trained)] == [0]  # no number is made up for what was not seen


def test_without_a_tokenizer_it_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="processing_class=tokenizer"):
        trainer(tmp_path, [CharacterMonitor(**CHEAP)], processing=False).train()
    trainer(tmp_path, [CharacterMonitor(tokenizer=nano().tokenizer, **CHEAP)], processing=False, max_steps=1).train()


def test_a_model_that_cannot_be_asked_is_told_before_the_first_step(tmp_path: Path) -> None:
    from tests.models.tiny import llama

    lm = llama()  # knows made-up words only
    with pytest.raises(InputError, match="can be asked of this model"):
        trainer(tmp_path, [CharacterMonitor(tokenizer=lm.tokenizer, **CHEAP)], model=lm.model, processing=False).train()


def test_weights_in_parts_are_not_asked_and_nobody_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Sharded(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            next(model.parameters()).ds_id = 0

    with caplog.at_level(logging.WARNING, "upbringing.monitor"):
        trained = trainer(tmp_path, [Sharded(), CharacterMonitor(every=1, **CHEAP)])
        trained.train()
    assert "not watching: the weights are in parts (DeepSpeed ZeRO-3)" in caplog.text
    assert not entries(trained)
    assert trained.state.global_step == 4


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"on_leave": "panic"}, "choose one of warn, stop, rollback"),
        ({"every": 0}, "at least one step apart"),
        ({"share": 3}, "between 0 and 1"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        CharacterMonitor(**settings)


def test_it_is_a_real_callback_and_costs_nothing_until_it_is_named() -> None:
    code = "import sys, upbringing, upbringing.monitor; print('transformers' in sys.modules)"
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.stdout.split() == ["False"]
    assert issubclass(CharacterMonitor, TrainerCallback)


def test_attach_is_the_same_as_passing_it(tmp_path: Path) -> None:
    trained = trainer(tmp_path, max_steps=1)
    monitor = CharacterMonitor(every=1, **CHEAP).attach(trained)
    trained.train()
    assert len(entries(trained)) == 2
    assert monitor.looks


def test_every_process_does_what_the_one_that_looked_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(box: list[Any], src: int) -> None:
        assert src == 0
        box[0] = {"left": ("mean",), "next": 4}

    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    monkeypatch.setattr("torch.distributed.broadcast_object_list", told)
    model = nano().model
    monitor = CharacterMonitor(every=2, on_leave="rollback")
    state = SimpleNamespace(max_steps=9, global_step=0, is_world_process_zero=False, epoch=0.0, log_history=[])
    control = SimpleNamespace(should_training_stop=False, should_log=False)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    try:
        monitor.on_train_begin(None, state, control, model=model)
        with torch.no_grad():
            model.get_input_embeddings().weight.add_(1)
        state.global_step = 1
        monitor.on_step_end(None, state, control, model=model)
        assert not control.should_training_stop  # no look was due, so nothing is sent
        state.global_step = 2
        monitor.on_step_end(None, state, control, model=model)
        assert control.should_training_stop
        assert not monitor.looks
        assert same(before, model.state_dict())
    finally:
        model.load_state_dict(before)
