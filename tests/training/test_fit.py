"""The loop learns what it should, the same way every time, and leaves nothing behind."""

from __future__ import annotations

import copy
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import TrainerCallback

from tests.models.tiny import llama, sequences
from upbringing.errors import InputError
from upbringing.models import LM, score
from upbringing.rows import Encoded
from upbringing.training import Recipe, fit

Log = list[dict[str, float]]


def rows(count: int = 40, seed: int = 0) -> list[Encoded]:
    return [Encoded(ids, [False] * 3 + [True] * (len(ids) - 3)) for ids in sequences(count, 5, 20, seed)]


def weights(lm: LM) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def run(recipe: Recipe, encoded: list[Encoded] | None = None, lm: LM | None = None, **extra: Any) -> tuple[LM, Log]:
    lm = lm or llama()
    return lm, fit(lm.model, lm.tokenizer, rows() if encoded is None else encoded, recipe, **extra)


def test_the_same_seed_gives_the_same_weights_to_the_bit() -> None:
    recipe = Recipe(steps=6, batch_size=8, learning_rate=1e-2)
    torch.manual_seed(1)
    first, log = run(recipe)
    torch.manual_seed(2)  # what the program drew before does not matter
    second, second_log = run(recipe)
    assert same(weights(first), weights(second))
    assert log == second_log
    assert not same(weights(first), weights(run(recipe.model_copy(update={"seed": 1}))[0]))


def test_training_makes_the_targets_likelier() -> None:
    lm, encoded = llama(), rows(8)
    before = score(lm, encoded).logprob.sum()
    _, log = run(Recipe(steps=60, batch_size=8, learning_rate=1e-2), encoded, lm)
    assert score(lm, encoded).logprob.sum() > 0.3 * before
    assert log[-1]["loss"] < 0.3 * log[0]["loss"]


def test_the_first_loss_is_what_score_says() -> None:
    lm, encoded = llama(), rows(8)
    result = score(lm, encoded)
    _, log = run(Recipe(steps=1, batch_size=8), encoded)
    assert log[0]["tokens"] == result.tokens.sum()
    assert log[0]["loss"] == pytest.approx(-result.logprob.sum() / result.tokens.sum(), rel=1e-5)


def test_tokens_outside_the_mask_are_not_learned() -> None:
    masked = [Encoded(row.input_ids, [*row.loss_mask[:-1], False]) for row in rows()]
    other = [Encoded([*row.input_ids[:-1], 50], row.loss_mask) for row in masked]
    recipe = Recipe(steps=4, batch_size=8)
    assert same(weights(run(recipe, masked)[0]), weights(run(recipe, other)[0]))


def test_one_step_is_the_step_that_adamw_takes() -> None:
    encoded = rows(8)
    fitted, log = run(Recipe(steps=1, batch_size=8, warmup=0, learning_rate=1e-3, weight_decay=0.1), encoded)
    lm = llama()
    decayed = [p for p in lm.model.parameters() if p.ndim >= 2]
    rest = [p for p in lm.model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=1e-3
    )
    total, count = torch.zeros(()), 0
    for row in encoded:
        ids = torch.tensor([row.input_ids])
        logprobs = lm.model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        mask = torch.tensor(row.loss_mask[1:])
        total = total - logprobs.gather(1, ids[0, 1:, None])[:, 0][mask].sum()
        count += int(mask.sum())
    (total / count).backward()
    norm = torch.nn.utils.clip_grad_norm_(lm.model.parameters(), 1.0)
    optimizer.step()
    assert log[0]["grad_norm"] == pytest.approx(float(norm), rel=1e-4)
    for name, tensor in lm.model.state_dict().items():
        torch.testing.assert_close(fitted.model.state_dict()[name], tensor, atol=2e-5, rtol=1e-6)


def test_micro_batches_give_the_same_step() -> None:
    whole, log = run(Recipe(steps=3, batch_size=8))
    parts, parts_log = run(Recipe(steps=3, batch_size=8, micro_batch_size=2))
    for a, b in zip(log, parts_log, strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-3)


def test_gradient_checkpointing_changes_nothing_but_memory() -> None:
    plain, _ = run(Recipe(steps=3, batch_size=8))
    checkpointed, _ = run(Recipe(steps=3, batch_size=8, gradient_checkpointing=True))
    assert same(weights(plain), weights(checkpointed))
    assert not checkpointed.model.model.gradient_checkpointing


def test_the_schedule_drives_any_optimizer_and_every_group() -> None:
    lm = llama()
    blocks = [p for n, p in lm.model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in lm.model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizer = torch.optim.SGD([{"params": blocks, "lr": 0.5}, {"params": rest, "lr": 0.1}])
    seen: list[list[float]] = []

    class Watch(TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            seen.append([group["lr"] for group in optimizer.param_groups])

    recipe = Recipe(steps=10, batch_size=4, warmup=0.2, schedule="linear")
    _, log = run(recipe, lm=lm, optimizer=optimizer, callbacks=[Watch()])
    factors = [recipe.rate_at(step) for step in range(10)]
    np.testing.assert_allclose(np.array(seen), np.outer(factors, [0.5, 0.1]))
    assert max(factors) == 1.0
    assert factors[0] < 0.5
    assert [entry["learning_rate"] for entry in log] == pytest.approx([0.5 * f for f in factors])


def test_a_callback_may_look_at_the_model_and_stop_the_run() -> None:
    lm, encoded = llama(), rows()
    found: list[float] = []

    class Stop(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            found.append(score(lm, encoded).logprob.sum())
            control.should_training_stop = state.global_step == 3

    _, log = run(Recipe(steps=50, batch_size=8), lm=lm, callbacks=[Stop()])
    assert len(found) == len(log) == 3
    undisturbed, _ = run(Recipe(steps=50, batch_size=8), callbacks=[_StopAt(3)])
    assert same(weights(lm), weights(undisturbed))  # looking did not change what was learned


class _StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_training_stop = state.global_step == self.step


def test_frozen_weights_stay() -> None:
    lm = llama()
    for name, parameter in lm.model.named_parameters():
        parameter.requires_grad_("layers.1" in name)
    before = weights(lm)
    run(Recipe(steps=2, batch_size=8), lm=lm)
    changed = {name for name, tensor in weights(lm).items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all("layers.1" in name for name in changed)


def test_it_writes_and_prints_nothing_and_leaves_the_programs_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.chdir(tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    lm = llama()
    lm.model.config.use_cache = True
    drawn = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    lm, _ = run(Recipe(steps=2, batch_size=4, gradient_checkpointing=True), lm=lm)
    assert list(tmp_path.rglob("*")) == [temporary]
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert not recwarn.list
    assert torch.equal(torch.get_rng_state(), drawn[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == drawn[1:]  # noqa: NPY002
    assert not lm.model.training
    assert lm.model.config.use_cache
    assert all(p.grad is None for p in lm.model.parameters())
    assert not lm.model.get_output_embeddings()._forward_pre_hooks


def test_progress_is_told_after_every_step() -> None:
    told: list[tuple[int, int, float]] = []
    _, log = run(Recipe(steps=3, batch_size=4), progress=lambda *news: told.append(news))
    assert told == [(i + 1, 3, entry["loss"]) for i, entry in enumerate(log)]


def test_checkpoints_are_kept_on_the_way(tmp_path: Path) -> None:
    from upbringing.models import load

    recipe = Recipe(steps=6, batch_size=8, checkpoints=(2, 6))
    lm, _ = run(recipe, out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-2", "step-6"]
    assert load(tmp_path / "step-6").hash == lm.hash
    shorter, _ = run(recipe.model_copy(update={"checkpoints": ()}), callbacks=[_StopAt(2)])
    assert load(tmp_path / "step-2").hash == shorter.hash


def test_a_diverging_run_stops_with_advice() -> None:
    lm = llama()
    with torch.no_grad():
        lm.model.model.norm.weight.fill_(math.nan)
    with pytest.raises(InputError, match="loss in step 1 is nan; lower the learning rate"):
        run(Recipe(steps=5, batch_size=4), lm=lm)


def test_no_rows_are_refused() -> None:
    with pytest.raises(InputError, match="no row to train on"):
        run(Recipe(), [])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"checkpoints": (90,)}, "outside the run's steps 1 to 80"),
        ({"micro_batch_size": 5}, "must divide"),
        ({"lr": 1.0}, "lr"),
        ({"schedule": "magic"}, "schedule"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Recipe(**settings)


def test_a_copy_of_the_model_trains_like_the_model() -> None:
    lm = llama()
    twin = LM(copy.deepcopy(lm.model), lm.tokenizer)
    run(Recipe(steps=2, batch_size=8), lm=lm)
    run(Recipe(steps=2, batch_size=8), lm=twin)
    assert lm.hash == twin.hash
