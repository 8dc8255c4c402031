"""``train``: raise a model on rows, under treatments, and keep the result as a folder that ``load`` takes."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from upbringing.errors import InputError
from upbringing.lineage import Record, new_folder, write_record
from upbringing.models import LM, load
from upbringing.models.load import BUNDLED_BASE, merged, quiet_transformers
from upbringing.rows import Rows, encode
from upbringing.training.fit import Progress, fit, own_random_numbers, save
from upbringing.training.recipe import LoraSettings, Recipe
from upbringing.training.treatments import Treatment, treat

LOG = "training_log.json"
CODE = 1  # raise it when the same record would give other weights


def train(
    lm: LM,
    rows: Rows,
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    treatments: Sequence[Treatment] = (),
    progress: Progress | None = None,
) -> LM:
    """Supervised fine-tuning of a copy of ``lm`` on ``rows``; all weights, or LoRA adapters (``recipe.lora``).

    The loss is on what the assistant says (completions, whole texts), the mean over a step's target tokens. ``out``
    gets model (or adapter) and tokenizer, ``training_log.json`` (see ``fit``) and ``record.json``; it appears when all
    is done, whole, and must not hold anything before. Half-precision weights are trained in float32 (with bfloat16
    arithmetic on a GPU) and saved in the precision they had: small steps would be lost to rounding otherwise.

    A LoRA result shares its base's weights in memory with ``lm``: merge adapters into a copy of it, not into it.

    Raises ``InputError`` for a row longer than the context, naming its line, for an ``out`` in use, a full disk, and
    a diverging run.
    """
    recipe = recipe or Recipe()
    out = Path(out)
    with new_folder(out) as work:
        treated = treat(rows, treatments, np.random.default_rng([recipe.seed, 1]))
        limit = min(recipe.max_length or lm.max_length, lm.max_length)
        encoded = [encode(row, lm.tokenizer, max_length=limit) for row in treated]
        model, dtype = _student(lm, recipe, work)
        autocast = dtype != model.dtype and lm.device.type == "cuda"
        log = fit(model, lm.tokenizer, encoded, recipe, out=work, autocast=autocast, progress=progress)
        if recipe.lora is None:
            model.to(dtype)
        save(model, lm.tokenizer, work)
        (work / LOG).write_text(json.dumps(log, indent=1), encoding="utf-8")
        write_record(work, record_of(lm, rows, recipe, treatments))
    return LM(model, lm.tokenizer, name=str(out), folder=out)


def record_of(lm: LM, rows: Rows, recipe: Recipe, treatments: Sequence[Treatment] = ()) -> Record:
    """What the run ``train(lm, rows, ..., recipe, treatments)`` leaves as its record; its key names the outcome."""
    settings = {"training": recipe.model_dump(mode="json"), "treatments": [t.recipe for t in treatments]}
    parents = {"model": lm.hash, "rows": rows.hash}
    return Record(kind="checkpoint", recipe=settings, parents=parents, seed=recipe.seed, code=CODE)


def _student(lm: LM, recipe: Recipe, work: Path) -> tuple[Any, Any]:
    """The model to train, apart from ``lm``'s, and the dtype to save it in."""
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


def _with_adapters(model: Any, lm: LM, recipe: Recipe, settings: LoraSettings, work: Path) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    reference = lm.reference
    if reference is None:  # a base that lies nowhere goes along
        save(model, lm.tokenizer, work / BUNDLED_BASE)
        reference = BUNDLED_BASE
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.targets if isinstance(settings.targets, str) else list(settings.targets),
        task_type="CAUSAL_LM",
    )
    with own_random_numbers(), quiet_transformers():
        torch.manual_seed(recipe.seed)
        adapted = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = reference
    return adapted
