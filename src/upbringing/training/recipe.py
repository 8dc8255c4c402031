"""What decides a training run, beside the model and the rows."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from upbringing.defaults import BATCH_SIZE, LEARNING_RATE, STEPS


class LoraSettings(BaseModel):
    """Low-rank adapters (LoRA, arXiv 2106.09685) instead of training all weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(8, ge=1, description="inner size of each adapter")
    alpha: float = Field(16.0, gt=0, description="the adapters' output is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the adapters' inputs dropped while training")
    targets: str | tuple[str, ...] = Field("all-linear", description='modules to adapt; "all-linear": all but the head')


class Recipe(BaseModel):
    """Settings of one run; the defaults suit a nano organism."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(STEPS, ge=1, description="optimizer steps")
    batch_size: int = Field(BATCH_SIZE, ge=1, description="rows a step")
    learning_rate: float = Field(LEARNING_RATE, gt=0, description="the optimizer's peak rate")
    weight_decay: float = Field(0.0, ge=0, description="the optimizer's decay, on matrices only")
    warmup: float = Field(0.05, ge=0, le=1, description="share of the steps in which the rate rises from 0")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        "constant", description="the rate after warm-up; cosine and linear fall to 0 at the end"
    )
    max_grad_norm: float = Field(1.0, ge=0, description="larger gradients are scaled down to this norm; 0: never")
    lora: LoraSettings | None = Field(None, description="train adapters only")
    seed: int = Field(0, ge=0, description="decides the order of rows, adapters' initial weights and dropout")
    max_length: int | None = Field(None, ge=2, description="longest row in tokens; None: the model's context")
    checkpoints: tuple[int, ...] = Field((), description="steps after which a copy is kept under step-N")
    length_window: int = Field(
        4, ge=1, description="batches are cut from this many batches of rows sorted by length; 1: wholly random batches"
    )
    micro_batch_size: int | None = Field(
        None, ge=1, description="rows in memory at once; gradients add up over them; None: the whole batch"
    )
    gradient_checkpointing: bool = Field(False, description="compute activations twice to hold fewer of them")
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw", description="sgd: plain, without momentum; traits pass through harmless data by adaptive steps"
    )

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Settings that came later stay out where they change nothing: what was made before keeps its key."""
        written: dict[str, Any] = handler(self)
        if self.optimizer == "adamw":
            del written["optimizer"]
        return written

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if bad := [step for step in self.checkpoints if not 1 <= step <= self.steps]:
            raise ValueError(f"checkpoints: {bad} lie outside the run's steps 1 to {self.steps}")
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"micro_batch_size: {self.micro_batch_size} must divide batch_size {self.batch_size} without remainder"
            )
        return self

    @classmethod
    def of_epochs(cls, rows: int, *, epochs: float = 1.0, batch_size: int = 256, **settings: Any) -> Recipe:
        """A recipe with as many steps as ``epochs`` passes over so many rows take; the last batch is filled up."""
        return cls(steps=max(1, math.ceil(epochs * rows / batch_size)), batch_size=batch_size, **settings)

    def longest(self, context: int) -> int:
        """The longest row in tokens that a model with this context may be given."""
        return min(self.max_length or context, context)

    def rate_at(self, step: int) -> float:
        """The learning rate in step ``step`` (0 is the first), as a share of its peak."""
        warm = round(self.warmup * self.steps)
        if step < warm:
            return (step + 1) / (warm + 1)
        done = (step - warm) / max(1, self.steps - warm)
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        return 1 - done if self.schedule == "linear" else 1.0
