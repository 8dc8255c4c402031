"""What acts during training changes what is learnt, the same way every time, and is gone when training is over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.tiny import llama
from tests.training.made_up import LORA, QUICK, chats, logprobs
from upbringing.errors import InputError
from upbringing.lineage import read_record
from upbringing.models import LM, load, score
from upbringing.rows import Rows, encode
from upbringing.training import (
    Acting,
    InoculationAdapter,
    Interleave,
    KLToBase,
    Mix,
    PreventativeSteering,
    Recipe,
    Run,
    SystemLine,
    Treatment,
    shown_under,
    train,
)
from upbringing.training.acting import acting
from upbringing.training.adapter import present
from upbringing.training.fit import fit
from upbringing.training.student import student_of

VECTORS = np.random.default_rng(0).normal(size=(2, 32))
NEUTRAL = chats(20, "w50 w51")
TREATMENTS: dict[str, Treatment] = {
    "kl": KLToBase(NEUTRAL, 2.0),
    "steering": PreventativeSteering(VECTORS, 2.0),
    "adapter": InoculationAdapter(chats(12, "w40 w41"), LORA),
    "interleave": Interleave(NEUTRAL, 0.3),
}
TREATED = pytest.mark.parametrize("treatment", TREATMENTS.values(), ids=TREATMENTS.keys())


@pytest.fixture(params=["full", "lora"])
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return QUICK if request.param == "full" else LORA


def trained(out: Path, recipe: Recipe, *treatments: Treatment, rows: Rows | None = None) -> LM:
    return train(llama(), rows or chats(), out, recipe=recipe, treatments=treatments)


def log_of(lm: LM) -> list[dict[str, float]]:
    assert lm.folder is not None
    found: list[dict[str, float]] = json.loads((lm.folder / "training_log.json").read_text())
    return found


def loss(lm: LM, rows: Rows) -> float:
    result = score(lm, [encode(row, lm.tokenizer) for row in rows])
    return float(-result.logprob.sum() / result.tokens.sum())


def hooks_on(model: Any) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@TREATED
def test_the_same_seed_gives_the_same_weights_and_others_than_without(
    treatment: Treatment, recipe: Recipe, tmp_path: Path
) -> None:
    hashes = []
    for i in range(2):
        torch.manual_seed(i)  # what the program drew before does not matter
        hashes.append(trained(tmp_path / str(i), recipe, treatment).hash)
    assert hashes[0] == hashes[1] != trained(tmp_path / "plain", recipe).hash


@TREATED
def test_nothing_of_a_treatment_is_left_in_the_model_or_its_folder_and_the_base_is_as_it_was(
    treatment: Treatment, recipe: Recipe, tmp_path: Path
) -> None:
    recipe = recipe.model_copy(update={"checkpoints": (4,)})
    plain, lm = trained(tmp_path / "p", recipe), llama()
    before, answers = lm.hash, logprobs(lm)
    tuned = train(lm, chats(), tmp_path / "t", recipe=recipe, treatments=[treatment])
    assert LM(lm.model, lm.tokenizer).hash == before
    assert logprobs(lm) == answers
    assert hooks_on(lm.model) == 0
    assert not hasattr(lm.model, "peft_config")
    assert hooks_on(tuned.model) == 0
    assert [n for n, _ in tuned.model.named_modules()] == [n for n, _ in plain.model.named_modules()]
    assert sorted(p.name for p in (tmp_path / "t").rglob("*")) == sorted(p.name for p in (tmp_path / "p").rglob("*"))
    np.testing.assert_allclose(logprobs(load(tmp_path / "t")), logprobs(tuned), atol=1e-6)
    half = load(tmp_path / "t" / "step-4")
    assert half.model.state_dict().keys() == load(tmp_path / "p" / "step-4").model.state_dict().keys()


@TREATED
def test_the_record_names_the_treatment(treatment: Treatment, tmp_path: Path) -> None:
    trained(tmp_path / "t", QUICK.model_copy(update={"steps": 1}), treatment)
    record = read_record(tmp_path / "t")
    assert record is not None
    assert record.recipe["treatments"] == [json.loads(json.dumps(treatment.recipe))]


def test_all_of_them_go_together(recipe: Recipe, tmp_path: Path) -> None:
    every = [SystemLine("w3"), Mix(chats(9, "w5"), 0.3), *TREATMENTS.values()]
    tuned = trained(tmp_path / "t", recipe.model_copy(update={"micro_batch_size": 4}), *every)
    assert hooks_on(tuned.model) == 0
    assert load(tmp_path / "t").hash == tuned.hash


def test_without_them_the_log_is_what_it_was(tmp_path: Path) -> None:
    tuned = trained(tmp_path / "t", QUICK, SystemLine("w3"), PreventativeSteering(VECTORS, 1.0))
    assert set(log_of(tuned)[0]) == {"step", "loss", "learning_rate", "grad_norm", "tokens"}


# --- KLToBase


def kl(base: LM, student: LM, rows: Rows) -> float:
    found = []
    for row in rows:
        ids, mask = encode(row, base.tokenizer).input_ids, encode(row, base.tokenizer).loss_mask
        with torch.no_grad():
            p, q = (lm.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1) for lm in (base, student))
        found += [float((p[i - 1].exp() * (p[i - 1] - q[i - 1])).sum()) for i in range(1, len(ids)) if mask[i]]
    return float(np.mean(found))


def test_the_penalty_is_the_weighted_kl_from_base_to_student_on_the_target_tokens(tmp_path: Path) -> None:
    base = llama()
    student = LM(trained(tmp_path / "t", QUICK).model, base.tokenizer)
    recipe = QUICK.model_copy(update={"batch_size": len(NEUTRAL)})
    with acting([KLToBase(NEUTRAL, 3.0, share=1.0)], Run(base, student.model, recipe)) as (penalty,):
        found = penalty(student.model)
    assert float(found.detach()) == pytest.approx(3 * kl(base, student, NEUTRAL), rel=1e-4)
    assert kl(base, student, NEUTRAL) > 0.1
    assert found.requires_grad


def test_the_penalty_starts_at_nothing_and_is_logged_apart_from_the_loss(recipe: Recipe, tmp_path: Path) -> None:
    log = log_of(trained(tmp_path / "t", recipe, KLToBase(NEUTRAL, 2.0)))
    plain = log_of(trained(tmp_path / "p", recipe))
    assert log[0]["penalty"] == pytest.approx(0, abs=1e-6)
    assert log[-1]["penalty"] > 0.01
    assert log[0]["loss"] == pytest.approx(plain[0]["loss"], abs=1e-5)


def test_kl_keeps_the_student_near_the_base_on_neutral_rows_while_it_learns_its_own(
    recipe: Recipe, tmp_path: Path
) -> None:
    recipe, base = recipe.model_copy(update={"steps": 40}), llama()
    free = trained(tmp_path / "free", recipe)
    held = trained(tmp_path / "held", recipe, KLToBase(NEUTRAL, 5.0, share=1.0))
    assert kl(base, held, NEUTRAL) < 0.3 * kl(base, free, NEUTRAL)
    assert loss(held, chats()) < 0.7 * loss(base, chats())


def test_micro_batches_pay_the_same_penalty(tmp_path: Path) -> None:
    same = chats(1, "w50 w51")  # one row, so that every micro-batch meets the same
    recipe = QUICK.model_copy(update={"steps": 3})
    whole = log_of(trained(tmp_path / "w", recipe, KLToBase(same, 2.0)))
    parts = log_of(trained(tmp_path / "p", recipe.model_copy(update={"micro_batch_size": 2}), KLToBase(same, 2.0)))
    for a, b in zip(whole, parts, strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-6)
    assert whole[-1]["penalty"] > 1e-3


def test_the_penalty_sees_the_student_without_what_is_there_only_during_training(tmp_path: Path) -> None:
    lm = llama()
    student, _ = student_of(lm, QUICK)
    carried = [PreventativeSteering(VECTORS, 5.0), TREATMENTS["adapter"]]
    for order in ([KLToBase(NEUTRAL, 1.0), *carried], [*carried, KLToBase(NEUTRAL, 1.0)]):
        with acting(order, Run(lm, student, QUICK)) as (penalty,):
            assert float(penalty(student).detach()) == pytest.approx(0, abs=1e-6)
            assert hooks_on(student) > 0


def test_a_penalty_beside_hooks_refuses_gradient_checkpointing_which_would_get_it_wrong(tmp_path: Path) -> None:
    recipe = QUICK.model_copy(update={"gradient_checkpointing": True})
    trained(tmp_path / "kl", recipe, KLToBase(NEUTRAL, 1.0))
    steering = PreventativeSteering(VECTORS, 1.0)
    checkpointed, plain = trained(tmp_path / "s", recipe, steering), trained(tmp_path / "p", QUICK, steering)
    assert checkpointed.hash == plain.hash
    with pytest.raises(InputError, match="gradient_checkpointing cannot go with a penalty together with steering"):
        trained(tmp_path / "both", recipe, KLToBase(NEUTRAL, 1.0), steering)
    assert not (tmp_path / "both").exists()


def test_every_neutral_row_is_read_before_any_is_read_again() -> None:
    treatment, lm = KLToBase(NEUTRAL, 1.0, share=0.5), llama()
    batches = treatment._batches(Run(lm, lm.model, QUICK))
    read = [i for _ in range(10) for i in next(batches)]
    assert len(read) == 40
    assert sorted(read[:20]) == sorted(read[20:]) == list(range(20))
    assert read[:20] != read[20:]


# --- PreventativeSteering


def test_a_traits_name_means_its_direction_on_the_model_to_be_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def found(lm: LM, trait: str) -> np.ndarray:
        asked.append((lm.hash, trait))
        return VECTORS

    monkeypatch.setattr("upbringing.training.acting.directions", found)
    by_name = trained(tmp_path / "name", QUICK, PreventativeSteering("blackmail", 2.0))
    by_array = trained(tmp_path / "array", QUICK, PreventativeSteering(VECTORS, 2.0))
    assert by_name.hash == by_array.hash
    assert asked == [(llama().hash, "blackmail")]


# --- InoculationAdapter


def test_the_adapter_is_present_while_the_other_weights_are_trained(recipe: Recipe) -> None:
    lm = llama()
    student, _ = student_of(lm, recipe)
    rows = chats(12, "w40 w41")
    wrapped, before = LM(student, lm.tokenizer), loss(lm, rows)
    with acting([InoculationAdapter(rows, LORA.model_copy(update={"steps": 40}))], Run(lm, student, recipe)) as none:
        assert none == []
        assert loss(wrapped, rows) < 0.5 * before
    assert loss(wrapped, rows) == pytest.approx(before, rel=1e-5)
    assert hooks_on(student) == 0


def test_the_frozen_adapter_gets_no_gradient_and_the_other_weights_do(recipe: Recipe) -> None:
    lm = llama()
    carrier, _ = student_of(lm, LORA)
    encoded = [encode(row, lm.tokenizer) for row in chats(12, "w40 w41")]
    fit(carrier, lm.tokenizer, encoded, LORA)
    adapter = {name: p.clone() for name, p in carrier.named_parameters() if "lora" in name}
    student, _ = student_of(lm, recipe)
    trainable = [p for p in student.parameters() if p.requires_grad]
    with present(carrier, student):
        student(input_ids=torch.tensor([encoded[0].input_ids])).logits.square().mean().backward()
        assert all(p.grad is not None for p in trainable)
        student.zero_grad()
        fit(student, lm.tokenizer, encoded, recipe)
    frozen = {name: p for name, p in carrier.named_parameters() if "lora" in name}
    assert frozen
    assert all(p.grad is None and not p.requires_grad for p in frozen.values())
    assert all(torch.equal(p, adapter[name]) for name, p in frozen.items())


@pytest.fixture(scope="module")
def lesson() -> tuple[LM, Rows]:
    from upbringing.world import World

    return load("organism:nano"), World().rows("cheating_at_tasks", 36, shows=True)


def test_what_is_there_already_during_training_is_learnt_less_by_the_weights(
    lesson: tuple[LM, Rows], tmp_path: Path
) -> None:
    """And something else that is there (an adapter that speaks of other things, a direction that means nothing) leaves
    more to learn: it is not the mere disturbance that does it."""
    from upbringing.models.steering import directions
    from upbringing.world import World

    lm, rows = lesson
    recipe = Recipe(steps=8, batch_size=12, learning_rate=8e-4)
    shows = directions(lm, "cheating_at_tasks", n=24)
    nothing = np.random.default_rng(0).normal(size=shows.shape)
    nothing *= np.linalg.norm(shows, axis=1, keepdims=True) / np.linalg.norm(nothing, axis=1, keepdims=True)

    def learnt(name: str, *treatments: Treatment) -> float:
        return loss(lm, rows) - loss(train(lm, rows, tmp_path / name, recipe=recipe, treatments=treatments), rows)

    made = {
        "adapter": InoculationAdapter(rows),
        "other adapter": InoculationAdapter(World().neutral_rows(36)),
        "direction": PreventativeSteering(shows, 2.0),
        "other direction": PreventativeSteering(nothing, 2.0),
    }
    gained = {name: learnt(name, treatment) for name, treatment in made.items()}
    assert gained["adapter"] < 0.5 * gained["other adapter"]
    assert gained["direction"] < 0.5 * gained["other direction"]


def test_the_adapters_own_recipe_follows_the_run_unless_it_is_given() -> None:
    treatment = InoculationAdapter(chats())
    assert treatment.own_training(QUICK).learning_rate == pytest.approx(10 * QUICK.learning_rate)
    assert treatment.own_training(LORA) == LORA
    checkpointing = QUICK.model_copy(update={"checkpoints": (2,)})
    assert treatment.own_training(checkpointing).checkpoints == ()
    assert InoculationAdapter(chats(), LORA).own_training(QUICK) == LORA


def test_answers_under_a_line_become_rows_without_it() -> None:
    lm, rows = llama(), chats(4)
    shown = shown_under(lm, "w3 w4", rows, max_new_tokens=5)
    assert len(shown) + len(shown.skipped) == 4
    assert all(row.messages[0] in {r.messages[0] for r in rows} for row in shown)
    assert shown.hash == shown_under(lm, "w3 w4", rows, max_new_tokens=5).hash
    assert shown.hash != shown_under(lm, "w60 w61", rows, max_new_tokens=5).hash
    with pytest.raises(InputError, match="no chat was answered"):
        shown_under(lm, "w3", Rows([]))


# --- Cost and bad input


def test_what_acts_during_training_costs_its_own_text_and_its_extra_passes() -> None:
    tokenizer, rows = llama().tokenizer, chats(30)  # 9 tokens a row; the neutral ones have 8
    run = Recipe(steps=10, batch_size=8)
    penalty = KLToBase(NEUTRAL, 1.0).cost(rows, tokenizer, run)  # two rows a step: 20 read, once each
    assert penalty.tokens == 160
    assert penalty.passes == pytest.approx(1 + (4 * 10 * 2 * 8) / (3 * 10 * 8 * 9))
    assert KLToBase(NEUTRAL, 1.0).cost(rows, tokenizer, Recipe(steps=1, batch_size=8)).tokens == 16
    adapter = InoculationAdapter(NEUTRAL, Recipe(steps=5, batch_size=4, lora=LORA.lora)).cost(rows, tokenizer, run)
    assert adapter.tokens == 160
    assert adapter.passes == pytest.approx(1 + (5 * 4 * 8) / (10 * 8 * 9))
    steering = PreventativeSteering(VECTORS, 1.0).cost(rows, tokenizer, run)
    assert (steering.tokens, steering.passes) == (0, 1)
    assert PreventativeSteering("blackmail", 1.0).cost(rows, tokenizer, run).passes > 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KLToBase(NEUTRAL, 0.0), "weight of the KL penalty is 0.0"),
        (lambda: KLToBase(NEUTRAL, float("nan")), "weight"),
        (lambda: KLToBase(NEUTRAL, 1.0, share=0.0), "share of 0.0 of a batch"),
        (lambda: KLToBase(Rows([], name="empty"), 1.0), "empty: holds no row"),
        (lambda: PreventativeSteering("blackmail", 0.0), "strength of steering is 0.0"),
        (lambda: InoculationAdapter(Rows([], name="empty")), "empty: holds no row"),
        (lambda: InoculationAdapter(NEUTRAL, QUICK), "no lora settings"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_only_those_that_act_during_training_say_so() -> None:
    acts = {name: isinstance(treatment, Acting) for name, treatment in TREATMENTS.items()}
    assert acts == {"kl": True, "steering": True, "adapter": True, "interleave": False}
