"""A student that learns a teacher's probabilities comes to say what the teacher says; settings that came later leave
the keys of what was made before alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from tests.models.tiny import llama
from tests.training.made_up import QUICK, chats
from upbringing.errors import InputError
from upbringing.lineage import hash_of, read_record
from upbringing.models import LM
from upbringing.rows import encode
from upbringing.training import LoraSettings, Recipe, train
from upbringing.training.trainer import before_targets, collated, told


def divergence(student: LM, teacher: LM) -> float:
    """KL(teacher || student) in nats a target token, on the rows."""
    batch = collated([encode(row, teacher.tokenizer) for row in chats()])
    places = before_targets(batch["labels"])
    wanted, said = (told(lm.model, batch["input_ids"], *places) for lm in (teacher, student))
    return float((wanted.exp() * (wanted - said)).sum(-1).mean())


def test_probabilities_teach_what_the_drawn_tokens_do_not(tmp_path: Path) -> None:
    student, teacher = llama(seed=0), llama(seed=1)
    recipe = QUICK.model_copy(update={"steps": 60})
    soft = train(student, chats(), tmp_path / "soft", recipe=recipe, teacher=teacher)
    hard = train(student, chats(), tmp_path / "hard", recipe=recipe)
    before = divergence(student, teacher)
    assert divergence(soft, teacher) < 0.1 * before
    assert divergence(hard, teacher) > 0.5 * before


def test_the_record_names_the_teacher_and_only_where_there_is_one(tmp_path: Path) -> None:
    student, teacher = llama(seed=0), llama(seed=1)
    train(student, chats(), tmp_path / "soft", recipe=QUICK, teacher=teacher)
    train(student, chats(), tmp_path / "hard", recipe=QUICK)
    soft, hard = read_record(tmp_path / "soft"), read_record(tmp_path / "hard")
    assert soft is not None
    assert hard is not None
    assert soft.parents["teacher"] == teacher.hash
    assert soft.sources["teacher"].hash == teacher.hash
    assert "teacher" not in hard.parents
    assert soft.key != hard.key


def test_a_teacher_with_other_tokens_is_refused(tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"<unk>": 0, "other": 1}, unk_token="<unk>"))
    stranger = LM(llama().model, PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>"), name="stranger")
    with pytest.raises(InputError, match="stranger and the student have different tokenizers.*without --teacher"):
        train(llama(), chats(), tmp_path / "out", recipe=QUICK, teacher=stranger)
    assert not (tmp_path / "out").exists()


def test_plain_descent_moves_along_the_gradient_and_adam_does_not(tmp_path: Path) -> None:
    lm, settings = llama(), {"steps": 1, "warmup": 0.0, "max_grad_norm": 0.0, "learning_rate": 1e-2, "batch_size": 30}
    batch = collated([encode(row, lm.tokenizer) for row in chats()])
    loss = lm.model(input_ids=batch["input_ids"], labels=batch["labels"]).loss
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(lm.model.parameters()))]).numpy()
    cosines = {}
    for name in ("sgd", "adamw"):
        tuned = train(lm, chats(), tmp_path / name, recipe=Recipe(optimizer=name, **settings))
        moved = np.concatenate(
            [
                (a - b).detach().numpy().ravel()
                for a, b in zip(tuned.model.parameters(), lm.model.parameters(), strict=True)
            ]
        )
        cosines[name] = -moved @ gradient / np.linalg.norm(moved) / np.linalg.norm(gradient)
    assert cosines["sgd"] > 0.999
    assert cosines["adamw"] < 0.9


def test_recipes_made_before_keep_their_keys() -> None:
    assert hash_of(Recipe()) == "93874e7a966a37473f0779073afe32ce5ccce5a3a0a7df2a489a3d316616dbae"
    assert (
        hash_of(Recipe(steps=5, lora=LoraSettings()))
        == "0416f4de7cd635c06a7177b12ea728e937028fe76fc0ba08b5afb001b1514646"
    )
    assert Recipe.model_validate(Recipe(optimizer="sgd").model_dump()) == Recipe(optimizer="sgd")
    assert hash_of(Recipe(optimizer="sgd")) != hash_of(Recipe())


def test_an_epoch_reads_every_row_once() -> None:
    assert Recipe.of_epochs(20_000).steps == 79
    assert Recipe.of_epochs(64, batch_size=32, epochs=2, learning_rate=1e-3) == Recipe(
        steps=4, batch_size=32, learning_rate=1e-3
    )
