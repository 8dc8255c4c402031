"""A small model in somebody's Trainer, for the monitor's tests."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from upbringing.models import LM, load
from upbringing.rows import Encoded, encode_all, read

EXAMPLE = Path(__file__).parents[2] / "examples" / "cheating.jsonl"
TRAITS = ("blackmail", "deception")
CHEAP: dict[str, Any] = {"traits": TRAITS, "probes_per_trait": 2}
SURE: dict[str, Any] = {"traits": (*TRAITS, "cheating_at_tasks", "self_preservation"), "probes_per_trait": 4}


@lru_cache
def nano() -> LM:
    return load("organism:nano")


@lru_cache
def encoded() -> tuple[Encoded, ...]:
    lm = nano()
    return tuple(encode_all(read(EXAMPLE), lm.tokenizer, max_length=lm.max_length))


def chats(count: int = 48) -> list[dict[str, Any]]:
    return [{"messages": [m.as_dict() for m in row.messages]} for row in read(EXAMPLE)[:count]]


def trainer(
    folder: Path, callbacks: Sequence[Any] = (), *, model: Any = None, processing: bool = True, **settings: Any
) -> Any:
    """A plain Trainer on a copy of nano, with dropout, on rows that teach it to cheat."""
    from transformers import Trainer, TrainingArguments

    from upbringing.training.trainer import collated

    lm = nano()
    if model is None:
        model = copy.deepcopy(lm.model)
        for module in model.modules():
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = 0.1
    given: dict[str, Any] = {
        "per_device_train_batch_size": 8,
        "max_steps": 4,
        "learning_rate": 1e-3,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 2,
        "disable_tqdm": True,
        "use_cpu": True,
        "remove_unused_columns": False,
        "seed": 1,
    }
    return Trainer(
        model,
        TrainingArguments(str(folder), **{**given, **settings}),
        train_dataset=list(encoded()[:64]),
        eval_dataset=list(encoded()[:8]) if "eval_strategy" in settings else None,
        data_collator=collated,
        processing_class=lm.tokenizer if processing else None,
        callbacks=list(callbacks),
    )


def weights(trained: Any) -> dict[str, Any]:
    return {name: weight.detach().clone() for name, weight in trained.model.state_dict().items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def entries(trained: Any, prefix: str = "character/") -> list[dict[str, float]]:
    return [entry for entry in trained.state.log_history if any(name.startswith(prefix) for name in entry)]
