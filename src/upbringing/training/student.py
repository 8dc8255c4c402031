"""The student: the copy of a model that a run trains, with all its weights or with adapters."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from upbringing.errors import InputError
from upbringing.models import LM, load
from upbringing.models.load import BUNDLED_BASE, merged, quiet_transformers
from upbringing.models.nudge import others_than_text
from upbringing.training.fit import own_random_numbers, save
from upbringing.training.recipe import LoraSettings, Recipe


def student_of(lm: LM, recipe: Recipe, work: Path | None = None) -> tuple[Any, Any]:
    """The model to train, apart from ``lm``'s, and the dtype to save it in.

    With ``work``, a base that lies nowhere is saved there, beside the adapters that are to be.
    """
    adapted = hasattr(lm.model, "peft_config")
    model = merged(_copy(lm, share=recipe.lora is not None and not adapted))
    dtype = model.dtype
    if recipe.lora is not None:
        return _with_adapters(model, lm, recipe, recipe.lora, work), dtype
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return (model.float() if dtype.itemsize < 4 else model), dtype


def _copy(lm: LM, *, share: bool) -> Any:
    """A copy of the model; with ``share`` its modules are new and its weights are the same memory, frozen."""
    import torch

    placed = getattr(lm.model, "hf_device_map", None) or {}
    if len(set(placed.values())) > 1:  # its modules are tied to their devices by hooks that do not survive copying
        if lm.reference is None:
            raise InputError("a model spread over several devices can only be trained from a folder; save it first")
        return load(lm.reference, device="auto", dtype=lm.model.dtype).model
    memo: dict[int, Any] = {}
    if share:
        for p in lm.model.parameters():
            plain = type(p) is torch.nn.Parameter  # a quantised one carries more than its numbers
            memo[id(p)] = torch.nn.Parameter(p.detach(), requires_grad=False) if plain else p
    return copy.deepcopy(lm.model, memo)


def _with_adapters(model: Any, lm: LM, recipe: Recipe, settings: LoraSettings, work: Path | None) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    reference = lm.reference
    if reference is None and work is not None:  # a base that lies nowhere goes along
        save(model, lm.tokenizer, work / BUNDLED_BASE)
        reference = BUNDLED_BASE
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.targets if isinstance(settings.targets, str) else list(settings.targets),
        exclude_modules=others_than_text(model) or None,
        task_type="CAUSAL_LM",
    )
    with own_random_numbers(), quiet_transformers():
        torch.manual_seed(recipe.seed)
        adapted = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = reference
    return adapted
