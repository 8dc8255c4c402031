"""Directions in weight space: a model nudged along one, and what rows' log-probability does meanwhile.

>>> with nudged(lm.model, direction, 1e-4):                                  # doctest: +SKIP
...     score(lm, rows)

A direction names matrices (weights of linear layers, the token embedding) and how each is to change. Gains and biases
are left as they are: they are a thousandth of the weights, and what is left is what all ways of taking a derivative
here agree about. So are the experts of a mixture, which are no linear layers in transformers but one block of numbers:
there a direction is in the attention, the embedding and the head, and says nothing of the larger part of the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from upbringing.errors import InputError
from upbringing.models.adapters import beneath
from upbringing.models.batches import batches_by_tokens, budget, padded
from upbringing.models.forward import border_of, logits_at, modules_for_text
from upbringing.models.score import score
from upbringing.rows import Encoded

if TYPE_CHECKING:
    import torch

    from upbringing.models.load import LM

Direction = Mapping[str, "torch.Tensor"]  # a parameter's name -> its change, of the parameter's shape

# ||change|| / ||weights|| of a nudge. Central differences in float32 agree with the derivative from 1e-5 to 1e-3;
# in bfloat16 anything smaller than 3e-3 is lost to rounding, and anything larger is curvature.
RELATIVE_STEP = {4: 1e-4, 2: 3e-3}


def matrices(model: Any) -> dict[str, torch.Tensor]:
    """The weights a direction may change, by name: of linear layers and of the token embedding; tied ones once.

    Raises ``InputError`` for quantised ones, which cannot be moved by a little.
    """
    if any(not module.weight.is_floating_point() for module in linear_modules(model).values()):
        raise InputError("the model's weights are quantised and cannot be nudged; load the checkpoint that was not")
    held = {id(module.weight) for module in linear_modules(model).values()}
    held.add(id(model.get_input_embeddings().weight))
    return {name: p for name, p in model.named_parameters() if id(p) in held}


def linear_modules(model: Any) -> dict[str, Any]:
    """Linear layers that read text, by name, also those that GPT-2 calls ``Conv1D`` and stores the other way round."""
    text = modules_for_text(model)
    return {name: module for name, module in _all_linear(model).items() if id(module) in text}


def others_than_text(model: Any) -> list[str]:
    """Linear layers, by name, that no adapter belongs on: those that see or hear, and routers of mixtures that are
    linear layers and give back more than one (Llama 4's)."""
    text = modules_for_text(model)
    return [
        name
        for name, module in _all_linear(model).items()
        if id(module) not in text or type(module).__module__.startswith("transformers.models.")
    ]


def _all_linear(model: Any) -> dict[str, Any]:
    import torch
    from transformers.pytorch_utils import Conv1D

    return {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear | Conv1D)}


def norm(tensors: Mapping[str, torch.Tensor]) -> float:
    """Length of a direction, or of a model's matrices, as one long vector."""
    return float(sum(float(t.detach().double().square().sum()) for t in tensors.values()) ** 0.5)


@contextmanager
def nudged(model: Any, direction: Direction, amount: float) -> Iterator[None]:
    """In the block the model's weights are moved by ``amount`` times the direction; afterwards they are as they were,
    to the bit. Raises ``KeyError`` for a weight the model lacks."""
    own = dict(model.named_parameters())
    before = {name: own[name].data for name in direction}
    try:
        for name, change in direction.items():
            old = before[name]
            wide = old if old.dtype.itemsize >= 4 else old.float()  # half precision would round the sum twice
            own[name].data = (wide + amount * change.to(wide.device, wide.dtype)).to(old.dtype)
        yield
    finally:
        for name, old in before.items():
            own[name].data = old


def by_differences(
    lm: LM, encoded: Sequence[Encoded], direction: Direction, *, batch_tokens: int | None = None
) -> np.ndarray:
    """d log p(row) along ``direction`` [rows], in nats, by two nudged copies: two passes, for anything that can score.

    Central differences at a step that suits the weights' precision; the error is of its square.
    """
    length = norm(direction)
    if length == 0:
        return np.zeros(len(encoded))
    step = RELATIVE_STEP[min(4, lm.model.dtype.itemsize)] * norm(matrices(lm.model)) / length
    found = []
    for amount in (step, -step):
        with nudged(lm.model, direction, amount):
            found.append(score(lm, encoded, batch_tokens=batch_tokens).logprob)
    difference: np.ndarray = (found[0] - found[1]) / (2 * step)
    return difference


def by_forward_mode(
    lm: LM, encoded: Sequence[Encoded], direction: Direction, *, batch_tokens: int | None = None
) -> np.ndarray:
    """The same derivative [rows], exactly, by carrying it along through one forward pass; about twice as dear."""
    import torch
    from torch.autograd import forward_ad
    from torch.nn.attention import SDPBackend, sdpa_kernel

    own = dict(lm.model.named_parameters())
    found = np.zeros(len(encoded))
    head = lm.model.get_output_embeddings()
    with (
        torch.no_grad(),
        evaluating(lm.model),
        _experts_one_by_one(lm.model),
        sdpa_kernel(SDPBackend.MATH),
        forward_ad.dual_level(),
    ):
        dual = {
            name: forward_ad.make_dual(own[name].detach(), change.to(own[name].device, own[name].dtype))
            for name, change in direction.items()
        }

        def model(**inputs: Any) -> Any:
            return torch.func.functional_call(lm.model, dual, (), inputs, tie_weights=True)

        lengths, tokens = [len(row) for row in encoded], budget(batch_tokens, lm.device)
        for batch in batches_by_tokens(lengths, tokens, border=border_of(lm.model)):
            ids, rows, columns = laid_out([encoded[i] for i in batch])
            inputs = {"input_ids": torch.from_numpy(ids).to(lm.device), "use_cache": False}
            logits, _ = logits_at(model, torch.from_numpy(rows), torch.from_numpy(columns), head=head, **inputs)
            wanted = torch.from_numpy(ids[rows, columns + 1]).to(logits.device)
            said = torch.log_softmax(logits.float(), -1).gather(1, wanted[:, None])[:, 0]
            tangent = forward_ad.unpack_dual(said).tangent
            if tangent is not None:
                found[batch] = np.bincount(rows, weights=tangent.double().cpu().numpy(), minlength=len(batch))
    return found


@contextmanager
def _experts_one_by_one(model: Any) -> Iterator[None]:
    """In the block a mixture of experts reads them one after the other: the product of all at once that transformers
    prefers has no forward derivative."""
    plain = beneath(model)
    was = getattr(plain.config, "_experts_implementation", None)
    if was in (None, "eager"):
        yield
        return
    plain.set_experts_implementation("eager")
    try:
        yield
    finally:
        plain.set_experts_implementation(was)


def laid_out(encoded: Sequence[Encoded]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Token ids [rows, longest], padded on the right, and the rows and columns *before* each target, row by row."""
    ids, _ = padded([row.input_ids for row in encoded])
    before = [np.flatnonzero(row.loss_mask[1:]) for row in encoded]
    rows = np.repeat(np.arange(len(encoded)), [len(found) for found in before])
    return ids, rows, np.concatenate(before) if before else np.zeros(0, dtype=np.int64)


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """In the block the model is in its evaluation mode, without dropout; afterwards in the mode it was in."""
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)


def batch_gradients(
    lm: LM, encoded: Sequence[Encoded], batches: Iterable[Sequence[int]]
) -> Iterator[dict[str, torch.Tensor]]:
    """For each batch of row numbers the gradient of its loss (mean over targets of -log p, in nats), by matrix.

    What a training step would see, on weights that stay as they are.
    """
    import torch

    own = matrices(lm.model)
    weights = list(own.values())
    asked = [p.requires_grad for p in lm.model.parameters()]
    try:
        for p in lm.model.parameters():
            p.requires_grad_(False)
        for p in weights:
            p.requires_grad_(True)
        for batch in batches:
            ids, rows, columns = laid_out([encoded[i] for i in batch])
            with evaluating(lm.model), torch.enable_grad():
                read = torch.from_numpy(ids).to(lm.device)
                logits, _ = logits_at(
                    lm.model, torch.from_numpy(rows), torch.from_numpy(columns), input_ids=read, use_cache=False
                )
                wanted = torch.from_numpy(ids[rows, columns + 1]).to(logits.device)
                loss = torch.nn.functional.cross_entropy(logits.float(), wanted)
                found = torch.autograd.grad(loss, weights, allow_unused=True)
            yield {
                name: torch.zeros_like(p) if g is None else g.detach()
                for (name, p), g in zip(own.items(), found, strict=True)
            }
    finally:
        for p, was in zip(lm.model.parameters(), asked, strict=True):
            p.requires_grad_(was)
