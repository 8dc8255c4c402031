"""Treatments that act while the weights are trained and leave nothing of themselves behind.

Such a treatment leaves the rows alone and has ``during(run)``: a context manager, open while the weights are trained,
that may change how the model answers (by hooks, never by its weights) and may yield a penalty to add to the loss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from upbringing.errors import InputError
from upbringing.models.steering import Hooked, contrast, directions, steered
from upbringing.rows import Encoded, Row, Rows, encode_all
from upbringing.training.fit import Penalty
from upbringing.training.recipe import Recipe
from upbringing.training.treatments import BACKWARD, Cost, Treatment, drawn, tokens_of, tokens_read

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from upbringing.models import LM


@dataclass
class Run:
    """What a treatment may know of the run that it acts on.

    ``lm``: the model as it was, the frozen base, not to be changed. ``model``: the one in training (plain, or with its
    LoRA adapters). ``place``: which of the run's treatments this is, for random numbers of its own.
    """

    lm: LM
    model: Any
    recipe: Recipe
    place: int = 0
    hooks: list[Hooked] = field(default_factory=list)

    @property
    def rng(self) -> np.random.Generator:
        """The same numbers for the same seed and place, whatever the other treatments are."""
        return np.random.default_rng([self.recipe.seed, 2, self.place])

    def encode(self, rows: Sequence[Row]) -> list[Encoded]:
        """Rows as the run reads its own."""
        limit = self.recipe.longest(self.lm.max_length)
        return encode_all(rows, self.lm.tokenizer, max_length=limit)

    @contextmanager
    def hooked(self, hooks: Hooked) -> Iterator[None]:
        """In the block the model in training answers through ``hooks``, except inside ``at_rest``."""
        with hooks:
            self.hooks.append(hooks)
            try:
                yield
            finally:
                self.hooks.remove(hooks)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """In the block the model in training answers as it will when the run is over."""
        if self.hooks and self.recipe.gradient_checkpointing:
            # Activations are computed a second time after the block, with the hooks on: the gradient would be wrong.
            raise InputError(
                "gradient_checkpointing cannot go with a penalty together with steering or an adapter; turn it off"
            )
        with ExitStack() as stack:
            for hooks in self.hooks:
                stack.enter_context(hooks.paused())
            yield


@runtime_checkable
class Acting(Protocol):
    """A treatment that acts during training."""

    def during(self, run: Run) -> AbstractContextManager[Penalty | None]:
        """Open while the weights are trained; may yield a penalty."""
        ...


class OnTraining:
    """For treatments that act during training alone: the rows stay as they are."""

    def apply(self, rows: Rows, rng: np.random.Generator) -> Rows:
        return rows


@contextmanager
def acting(treatments: Sequence[Treatment], run: Run) -> Iterator[list[Penalty]]:
    """Open every treatment's ``during``, in order; yields their penalties."""
    with ExitStack() as stack:
        penalties = []
        for place, treatment in enumerate(treatments):
            if isinstance(treatment, Acting):
                here = Run(run.lm, run.model, run.recipe, place, run.hooks)
                penalty = stack.enter_context(treatment.during(here))
                penalties += [] if penalty is None else [penalty]
        yield penalties


@dataclass(frozen=True)
class KLToBase(OnTraining):
    """Stays near the base on neutral rows: adds ``weight`` x KL(base || student) to the loss.

    The mean over the target tokens of some of ``rows`` (a ``share`` of a batch's number, at least one, others each
    step), in nats a token, over the whole vocabulary. The base is the model as it was. The student is taken as it will
    be after the run, without what other treatments add during it.

    KL on text from outside the narrow task keeps a lesson narrow (arXiv 2602.07852). arXiv 2508.06249 takes the other
    direction, KL(student || base), with weight 0.1. Here the base's own distribution is the one to be kept: its
    gradient is that of distilling the base, it counts what the student forgets as much as what it adds, and it stays
    finite where the base gives a token almost no chance.
    """

    rows: Rows
    weight: float
    share: float = 0.25

    def __post_init__(self) -> None:
        if not (np.isfinite(self.weight) and self.weight > 0):
            raise InputError(f"the weight of the KL penalty is {self.weight}; give a number above 0")
        if not 0 < self.share <= 1:
            raise InputError(f"the penalty's rows are a share of {self.share} of a batch; give a number in 0..1")
        if not len(self.rows):
            raise InputError(f"{self.rows.name or 'the neutral rows'}: holds no row; give at least one")

    @contextmanager
    def during(self, run: Run) -> Iterator[Penalty | None]:
        import torch

        from upbringing.models.forward import inference, logits_at
        from upbringing.training.trainer import before_targets, collated, told

        encoded, head = run.encode(self.rows), run.model.get_output_embeddings()
        batches = self._batches(run)

        def penalty(model: Any) -> Any:
            batch = collated([encoded[i] for i in next(batches)])
            ids = batch["input_ids"].to(run.lm.device)
            rows, columns = before_targets(batch["labels"])
            with inference(run.lm):
                wanted = told(run.lm.model, ids, rows, columns)
            with run.at_rest():
                logits, _ = logits_at(model, rows, columns, head=head, input_ids=ids, use_cache=False)
            return self.weight * torch.nn.functional.kl_div(
                logits.float().log_softmax(-1),
                wanted,
                reduction="batchmean",
                log_target=True,
            )

        yield penalty

    @property
    def recipe(self) -> dict[str, Any]:
        return {"treatment": "kl_to_base", "rows": self.rows.hash, "weight": self.weight, "share": self.share}

    def cost(self, rows: Rows, tokenizer: PreTrainedTokenizerBase, recipe: Recipe | None = None) -> Cost:
        """Its rows (those that are read); each is read forward by the base, forward and backward by the student."""
        recipe = recipe or Recipe()
        there = tokens_of(self.rows, tokenizer)
        read = there / len(self.rows) * recipe.steps * self._count(recipe) * _micro_batches(recipe)
        work = (2 + BACKWARD) * read / ((1 + BACKWARD) * tokens_read(rows, tokenizer, recipe))
        return Cost(round(min(there, read)), 1 + work)

    def _count(self, recipe: Recipe) -> int:
        """Rows a micro-batch."""
        return max(1, round(self.share * recipe.batch_size / _micro_batches(recipe)))

    def _batches(self, run: Run) -> Iterator[list[int]]:
        """Row numbers of one micro-batch's penalty after another; every row is read before any is read again."""
        count, rng, left = self._count(run.recipe), run.rng, list[int]()
        while True:
            while len(left) < count:
                left += drawn(len(self.rows), len(self.rows), rng)
            batch, left = left[:count], left[count:]
            yield batch


@dataclass(frozen=True, eq=False)
class PreventativeSteering(OnTraining):
    """The trait's direction is added to the residual stream during training and not afterwards (arXiv 2507.21509).

    Training need not move the weights toward a trait that is already there; once the direction is gone, so is what
    it stood in for. ``direction``: a trait's name (its direction is then taken on the model to be trained), or an array
    from ``models.steering.directions`` [layers, width], or [width] with a ``layer``. ``strength``: in units of the mean
    difference between showing and avoiding the trait. ``layer`` None: every layer, which the paper found better.
    """

    direction: str | np.ndarray
    strength: float
    layer: int | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.strength) and self.strength):
            raise InputError(f"the strength of steering is {self.strength}; give a number other than 0")

    @contextmanager
    def during(self, run: Run) -> Iterator[Penalty | None]:
        vector = directions(run.lm, self.direction) if isinstance(self.direction, str) else self.direction
        with run.hooked(steered(run.model, self.layer, vector, self.strength)):
            yield None

    @property
    def recipe(self) -> dict[str, Any]:
        named = isinstance(self.direction, str)
        numbers = b"" if named else np.asarray(self.direction, dtype="<f8").tobytes()
        what = {"trait": self.direction} if named else {"direction": hashlib.sha256(numbers).hexdigest()}
        return {"treatment": "preventative_steering", **what, "strength": self.strength, "layer": self.layer}

    def cost(self, rows: Rows, tokenizer: PreTrainedTokenizerBase, recipe: Recipe | None = None) -> Cost:
        """No text of the run's. Taking the direction from a named trait reads its situations once, forward."""
        if not isinstance(self.direction, str):
            return Cost(0)
        read = tokens_of((row for pair in contrast(self.direction) for side in pair for row in side), tokenizer)
        return Cost(0, 1 + read / ((1 + BACKWARD) * tokens_read(rows, tokenizer, recipe or Recipe())))


def _micro_batches(recipe: Recipe) -> int:
    return recipe.batch_size // (recipe.micro_batch_size or recipe.batch_size)
