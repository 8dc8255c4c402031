"""The loop under every training run: encoded rows in, changed weights and a log of the steps out."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from upbringing.errors import InputError
from upbringing.models.load import quiet_transformers
from upbringing.rows import Encoded
from upbringing.training import processes
from upbringing.training.order import batch_order
from upbringing.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase, TrainerCallback

Progress = Callable[[int, int, float], None]  # (step, steps, loss)
Penalty = Callable[[Any], Any]  # the model in training -> what to add to a micro-batch's loss, in nats (a tensor)


def fit(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    encoded: Sequence[Encoded],
    recipe: Recipe,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    callbacks: Iterable[TrainerCallback] = (),
    out: Path | None = None,
    autocast: bool = False,
    progress: Progress | None = None,
    penalties: Sequence[Penalty] = (),
    spread: Sequence[bool] | None = None,
    teacher: Any = None,
) -> list[dict[str, float]]:
    """Train ``model`` in place on the rows' target tokens and return the log, one entry a step.

    An entry is {step, loss (nats a target token), learning_rate, grad_norm (before clipping), tokens (targets)}.
    Only weights with ``requires_grad`` change. ``optimizer`` (default: the recipe's) is driven by its schedule, which
    multiplies each group's own rate. ``callbacks`` are transformers' and may stop the run
    (``control.should_training_stop``); ``out`` is needed for the recipe's checkpoints, kept under ``out/step-N``.
    ``autocast`` computes in bfloat16. ``penalties`` are added to the loss, of which the log then tells what they are
    ("penalty"); ``spread`` marks rows that every batch gets its even part of. With a ``teacher`` (a model that reads
    the same tokens) the loss at each target is the cross-entropy to the teacher's probabilities, not to the token.
    Nothing else is written and nothing is printed.

    The same model, rows, recipe and number of threads give the same weights, to the bit on a CPU. The program's own
    random numbers go on afterwards as if nothing had been drawn. Raises ``InputError`` without rows, and when the
    loss is no longer a number.
    """
    from upbringing.training.trainer import RowTrainer, SaveSteps

    if not encoded:
        raise InputError("there is no row to train on; give at least one")
    if recipe.checkpoints and out is None:
        raise ValueError("checkpoints need a folder: pass out")
    order = batch_order(
        [len(row.input_ids) for row in encoded],
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        window=recipe.length_window,
        seed=recipe.seed,
        spread=spread,
    )
    callbacks = list(callbacks)
    if out is not None and recipe.checkpoints:
        callbacks.append(SaveSteps(recipe.checkpoints, lambda step: save(model, tokenizer, out / f"step-{step}")))
    use_cache = vars(model.config).get("use_cache")
    with (
        TemporaryDirectory(prefix="upbringing-") as workplace,
        quiet_transformers(),
        own_random_numbers(),
        _old_left_alone(),
    ):
        trainer = RowTrainer(
            model,
            encoded,
            _micro_batches(order, recipe),
            recipe,
            optimizer=optimizer if optimizer is not None else optimizer_of(model, recipe),
            callbacks=callbacks,
            workplace=Path(workplace),
            autocast=autocast,
            progress=progress,
            penalties=penalties,
            teacher=teacher,
        )
        if recipe.gradient_checkpointing:
            _checkpointing(model, "enable")({"use_reentrant": False})
        try:
            trainer.train()
        finally:
            trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
            if recipe.gradient_checkpointing:
                _checkpointing(model, "disable")()
            if use_cache is None:  # of a config that leaves it to its text part
                vars(model.config).pop("use_cache", None)
            else:
                model.config.use_cache = use_cache
            model.zero_grad(set_to_none=True)
            model.eval()
    return trainer.steps_log


def optimizer_of(model: Any, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer on every trainable weight."""
    import torch

    if recipe.optimizer == "adamw":
        return adamw(model, recipe)
    return torch.optim.SGD(**_on_weights(model, recipe))


def adamw(model: Any, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW on every trainable weight, with decay on matrices only; one fused kernel where the device has it."""
    import torch

    return torch.optim.AdamW(**_on_weights(model, recipe))


def _on_weights(model: Any, recipe: Recipe) -> dict[str, Any]:
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in weights)
    return {"params": [g for g in groups if g["params"]], "lr": recipe.learning_rate, "fused": fused}


def save(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, *, dtype: torch.dtype | None = None) -> None:
    """Write model (or its adapters alone) and tokenizer to ``folder`` so that ``load`` finds them; never pickled.

    Where several processes train together all must call it, and the main one writes. ``dtype``: of a sharded model's
    weights as they are saved.
    """
    weights = processes.whole_weights(model)
    if processes.number():
        return
    if weights is not None:
        weights = {name: w.to(dtype) if dtype and w.is_floating_point() else w for name, w in weights.items()}
    given = {} if weights is None else {"state_dict": weights}
    with quiet_transformers():
        if hasattr(model, "peft_config"):
            # Otherwise PEFT asks the hub whether the vocabulary was resized, and writes a model card.
            model.create_or_update_model_card = lambda *_: None
            model.save_pretrained(folder, save_embedding_layers=False, **given)
            del model.create_or_update_model_card
        else:
            _may_be_saved(model)
            model.save_pretrained(folder, **given)
        tokenizer.save_pretrained(folder)


def _may_be_saved(model: Any) -> None:
    """Settings of sampling without ``do_sample``, which many checkpoints came with, would keep transformers from saving
    a model that is trained by now; they are meant for sampling."""
    settings = model.generation_config
    try:
        settings.validate(strict=True)
    except ValueError:
        settings.do_sample = True


def _checkpointing(model: Any, change: str) -> Callable[..., None]:
    """The model's method under its new name, or under the one older versions of transformers have."""
    method: Callable[..., None] = getattr(model, f"activation_checkpointing_{change}", None) or getattr(
        model, f"gradient_checkpointing_{change}"
    )
    return method


def _micro_batches(order: list[list[int]], recipe: Recipe) -> list[list[int]]:
    micro = recipe.micro_batch_size or recipe.batch_size
    return [batch[i : i + micro] for batch in order for i in range(0, len(batch), micro)]


@contextmanager
def _old_left_alone() -> Iterator[None]:
    """In the block a garbage collection looks at new objects only: the Trainer asks for one as it starts, and going
    through all that the libraries have loaded takes half a second, longer than many a run of a small model."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def own_random_numbers() -> Iterator[None]:
    """In the block the global generators may be seeded and used; afterwards they are where they were."""
    import torch

    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002  (to put them back)
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)  # noqa: NPY002
