"""The transformers Trainer, stripped to what a run needs: no output, no files, logits at targets only.

Imported by ``fit`` alone, because it imports torch and transformers.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from upbringing.errors import InputError
from upbringing.models.adapters import beneath
from upbringing.models.batches import padded
from upbringing.models.forward import logits_at
from upbringing.models.memory import OutOfMemoryWarning, make_room, no_room, too_long
from upbringing.models.steering import Hooked
from upbringing.rows import Encoded
from upbringing.training import processes
from upbringing.training.fit import Penalty
from upbringing.training.recipe import Recipe

IGNORED = -100  # transformers' mark for "no target here"


def collated(rows: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    """``input_ids`` and ``labels`` [rows, longest], padded on the right, where no target can see it, so that no
    attention mask is needed (but for what a mixture of experts says of its routers)."""
    ids, mask = padded([row.input_ids for row in rows])
    wanted, _ = padded([row.loss_mask for row in rows])
    wanted[:, :1] = 0  # nothing comes before a first token
    labels = np.where(wanted & mask, ids, IGNORED)
    return {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}


def before_targets(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns of the positions whose next token is a target."""
    rows, columns = torch.nonzero(labels[:, 1:] != IGNORED, as_tuple=True)
    return rows, columns


def told(model: Any, ids: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """What a frozen model says at some places of ``ids`` [rows, longest]: log-probabilities [places, vocabulary]."""
    ids = ids.to(model.get_input_embeddings().weight.device)
    with torch.inference_mode():
        logits, _ = logits_at(model, rows, columns, input_ids=ids, use_cache=False)
    return logits.clone().float().log_softmax(-1)  # a copy, since what inference made may not enter a gradient


def _say_what_fits(rows: int) -> None:
    warnings.warn(
        f"out of memory: training goes on with {rows} rows in memory at once, with the same gradients "
        f"(micro_batch_size={rows} from the start saves the attempts)",
        OutOfMemoryWarning,
        stacklevel=2,
    )


class RowTrainer(Trainer):
    """Trains on encoded rows in a given order and keeps a log of every step.

    Where several processes train together, each reads its share of every micro-batch; the loss, its gradients and the
    log are those of one process that reads it all, up to rounding.

    Args:
        order: row numbers of every micro-batch, in the order they are read.
        progress: called after each step with (step, steps, loss).
        penalties: each gives what to add to a micro-batch's loss; their mean over a step is in its log ("penalty").
        teacher: a frozen model whose probabilities are the targets, in place of the rows' own tokens.
    """

    def __init__(
        self,
        model: Any,
        encoded: Sequence[Encoded],
        order: list[list[int]],
        recipe: Recipe,
        *,
        optimizer: torch.optim.Optimizer,
        callbacks: Iterable[TrainerCallback],
        workplace: Path,
        autocast: bool,
        progress: Callable[[int, int, float], None] | None,
        penalties: Sequence[Penalty] = (),
        teacher: Any = None,
    ) -> None:
        self.steps_log: list[dict[str, float]] = []
        self._step_read: list[dict[str, Any]]
        self._penalties, self._charged = penalties, torch.zeros(())
        self._step, self._step_read = -1, []
        self._rows_at_once, self._parts = sys.maxsize, 1
        self._teacher = teacher
        self._encoded, self._order, self._progress = encoded, order, progress
        self._head = model.get_output_embeddings()
        self._coefficient = _of_routers(model)
        micro = recipe.micro_batch_size or recipe.batch_size
        arguments = TrainingArguments(
            output_dir=str(workplace),
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=recipe.batch_size // micro,
            max_steps=recipe.steps,
            max_grad_norm=recipe.max_grad_norm,
            seed=recipe.seed,
            bf16=autocast,
            use_cpu=model.get_input_embeddings().weight.device.type == "cpu" and not processes.will_shard(),
            save_strategy="no",
            logging_steps=1,
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
            log_level="error",
            remove_unused_columns=False,
        )
        arguments._n_gpu = 1  # several GPUs would mean DataParallel, which copies modules and their hooks every step
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate_at)
        self.optimizer: Any
        self.lr_scheduler: Any
        self._made = optimizer, schedule  # handed over below: the Trainer takes none where a model will be sharded
        super().__init__(model, arguments, callbacks=list(callbacks))
        self.remove_callback(PrinterCallback)
        # Makes the Trainer count the targets of a whole step and hand the number to compute_loss.
        self.model_accepts_loss_kwargs = True

    def create_optimizer(self, model: Any = None) -> Any:
        """The optimizer that was given."""
        if self.optimizer is None:
            self.optimizer = self._made[0]
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The recipe's."""
        if self.lr_scheduler is None:
            self.lr_scheduler = self._made[1]
        return self.lr_scheduler

    def get_train_dataloader(self) -> DataLoader[int]:
        numbers: Any = range(len(self._encoded))  # all that DataLoader wants: a length and places
        return DataLoader(numbers, batch_sampler=processes.share(self._order), collate_fn=self._collate)

    def _collate(self, numbers: list[int]) -> dict[str, torch.Tensor]:
        rows = [self._encoded[i] for i in numbers]
        read = collated(rows)
        if self._coefficient:  # padding is nothing that experts should share
            read["attention_mask"] = torch.from_numpy(padded([row.input_ids for row in rows])[1])
        return read

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro-batch, in parts where there is no room for it: the same gradients, in more time.

        A pass that broke off may have left the gradients of some layers, so all that the step has read until then is
        read once more.
        """
        if self._step != self.state.global_step:
            self._step, self._step_read = self.state.global_step, []
        self._step_read.append(inputs)
        cut = False
        while True:
            try:
                if cut:
                    model.zero_grad(set_to_none=True)
                    self._charged = torch.zeros(())
                loss = [
                    self._in_parts(model, part, num_items_in_batch) for part in self._step_read[0 if cut else -1 :]
                ][-1]
            except RuntimeError as error:
                if not no_room(error):
                    raise
                if processes.count() > 1:  # the others would wait for gradients that never come
                    raise InputError(
                        "out of memory in one of several processes; give each fewer rows at once: a smaller "
                        "micro_batch_size (--micro-batch-size), or more processes"
                    ) from error
                if self._rows_at_once == 1:
                    raise too_long(inputs["input_ids"].shape[1]) from error
            else:
                if cut:
                    _say_what_fits(self._rows_at_once)
                return loss
            cut = True
            rows = min(self._rows_at_once, max(len(part["input_ids"]) for part in self._step_read))
            self._rows_at_once = max(1, rows // 2)
            make_room()

    def _in_parts(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any) -> torch.Tensor:
        """The loss of a micro-batch, with its gradients added, so many rows at once as there is room for."""
        rows = len(inputs["input_ids"])
        starts = range(0, rows, min(rows, self._rows_at_once))
        self._parts = len(starts)
        losses = []
        for start in starts:
            part = {name: value[start : start + self._rows_at_once] for name, value in inputs.items()}
            losses.append(super().training_step(model, part, num_items_in_batch))
        return torch.stack(losses).sum()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean over the step's targets of -log p(target), in nats, and the mean of the penalties.

        With a teacher, -log p is its mean over the teacher's probabilities of what might stand there. Where a mixture's
        config asks for its routers (``output_router_logits``) what keeps experts in even use (arXiv:2101.03961) is
        added with the config's coefficient, as transformers' own loss has it.
        """
        labels = inputs["labels"]
        rows, columns = before_targets(labels)
        read = {name: value for name, value in inputs.items() if name != "labels"}
        uneven: list[torch.Tensor] = []
        plain = self.accelerator.unwrap_model(model)
        seeing = Hooked([(plain, lambda _m, _i, out: uneven.append(out.aux_loss))]) if self._coefficient else None
        with seeing or nullcontext():
            logits, _ = logits_at(model, rows, columns, head=self._head, use_cache=False, **read)
        if self._teacher is None:
            targets = labels[rows, columns + 1].to(logits.device)
        else:
            targets = told(self._teacher, inputs["input_ids"], rows, columns).to(logits.device).exp()
        total = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
        # Targets were counted over all processes, and gradients will be averaged over them.
        loss = total.to(self.args.device) * processes.count() / num_items_in_batch
        for aux in uneven:
            share = self.args.gradient_accumulation_steps * self._parts
            loss = loss + self._coefficient * aux.to(loss.device) / share
        for penalty in self._penalties:
            charge = penalty(model).to(loss.device) / (self.args.gradient_accumulation_steps * self._parts)
            self._charged = self._charged.to(loss.device) + charge.detach()
            loss = loss + charge
        return loss

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        return 0  # counting parameters every step takes longer than the optimizer does

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Called by the Trainer after every step (and once at the end, with a summary that is not kept)."""
        if "loss" not in logs:
            return
        step = self.state.global_step
        if not math.isfinite(logs["loss"]):
            raise InputError(
                f"training diverged: the loss in step {step} is {logs['loss']}; lower the learning rate, or look for a "
                "broken checkpoint"
            )
        per_step = self.args.gradient_accumulation_steps
        numbers = [i for micro in self._order[(step - 1) * per_step : step * per_step] for i in micro]
        self.steps_log.append(
            {
                "step": step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "grad_norm": float(logs.get("grad_norm", math.nan)),
                "tokens": sum(sum(self._encoded[i].loss_mask[1:]) for i in numbers),
            }
        )
        if self._penalties:
            self.steps_log[-1]["penalty"] = float(self._charged)
            self._charged = torch.zeros(())
        if self._progress is not None:
            self._progress(step, self.args.max_steps, logs["loss"])


def _of_routers(model: Any) -> float:
    """What an uneven use of a mixture's experts counts in its loss; 0 where its config does not ask for it."""
    plain = beneath(model)
    config = plain.config.get_text_config()
    asked = getattr(config, "output_router_logits", False)
    return float(getattr(config, "router_aux_loss_coef", 0.0) or 0.0) if asked else 0.0


class SaveSteps(TrainerCallback):
    """Calls ``save(step)`` after each of ``steps``."""

    def __init__(self, steps: Iterable[int], save: Callable[[int], None]) -> None:
        self._steps, self._save = frozenset(steps), save

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in self._steps:
            self._save(state.global_step)
