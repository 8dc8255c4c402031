"""One forward pass, with logits only where they are wanted, and a key/value cache that rows can share."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from upbringing.models.adapters import beneath

if TYPE_CHECKING:
    import torch

    from upbringing.models.load import LM

# Logits [positions, vocabulary] held at once: 2**27 float32 numbers are half a GiB.
MAX_LOGITS = 2**27


@contextmanager
def inference(lm: LM) -> Iterator[None]:
    """In the block: no gradients, no dropout. Afterwards the model is in the mode it was in."""
    import torch

    was_training = lm.model.training
    if was_training:
        lm.model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if was_training:
            lm.model.train()


def logits_at(
    model: Any, rows: torch.Tensor, columns: torch.Tensor, *, head: Any = None, **inputs: Any
) -> tuple[torch.Tensor, Any]:
    """A forward pass with logits [positions, vocabulary] at the given rows and columns only, and its cache.

    The output layer is most of a small model's work and, with a large vocabulary, most of any model's memory, and
    only the targets need it. A hook narrows what goes *into* the layer, so whatever a model does to its logits
    afterwards (scaling, soft caps) still happens. ``head`` is the output layer when ``model`` is a wrapper that
    cannot name it; where it is not found, the logits are cut afterwards.
    """
    head = head if head is not None else model.get_output_embeddings()
    narrowed = False

    def narrow(_module: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        nonlocal narrowed
        if not args or args[0].ndim != 3:
            return None
        narrowed = True
        hidden = args[0]
        return (hidden[rows.to(hidden.device), columns.to(hidden.device)][None], *args[1:])

    handle = head.register_forward_pre_hook(narrow) if head is not None else None
    try:
        out = model(**inputs)
    finally:
        if handle is not None:
            handle.remove()
    logits = out.logits[0] if narrowed else out.logits[rows.to(out.logits.device), columns.to(out.logits.device)]
    return logits, getattr(out, "past_key_values", None)


def logprobs_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """log p(target) in nats, float64 on the CPU [positions], from logits [positions, vocabulary]."""
    import torch

    loss = torch.nn.functional.cross_entropy(logits.float(), targets.to(logits.device), reduction="none")
    return -loss.double().cpu() if loss.device.type != "mps" else -loss.cpu().double()


def positions(model: Any, position_ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """``position_ids`` as an argument, for models that take it (others count tokens in the attention mask)."""
    architecture: Any = type(beneath(model))
    return {"position_ids": position_ids} if _takes_positions(architecture) else {}


@lru_cache
def _takes_positions(architecture: Any) -> bool:
    return "position_ids" in inspect.signature(architecture.forward).parameters


def border_of(model: Any) -> int | None:
    """The length in tokens beyond which a model turns *all* places of a sequence another way (LongRoPE,
    arXiv:2402.13753, as in Phi-3 with 128k tokens); None for most.

    Which way is decided by the longest sequence that is read together, so one that is shorter must not be read beside
    it, and what was read before the border cannot be kept behind it.
    """
    plain = beneath(model)
    settings = getattr(plain.config.get_text_config(), "rope_parameters", None) or {}
    for found in (settings, *(own for own in settings.values() if isinstance(own, dict))):
        if found.get("rope_type") == "longrope":
            return int(found["original_max_position_embeddings"])
    return None


def modules_for_text(model: Any) -> set[int]:
    """``id`` of every module that reads or writes text: all, but for what a model sees pictures or hears with."""
    plain = beneath(model)
    parts = (plain.get_decoder(), plain.get_input_embeddings(), plain.get_output_embeddings())
    return {id(module) for part in parts if part is not None for module in part.modules()}


def can_share_cache(lm: LM, token: int) -> bool:
    """Whether the model's key/value cache can be re-indexed by row: plain and sliding-window attention.

    Asked of a real cache, since neither the class of a model nor its config says it reliably. Recurrent states,
    indexed attention and other caches say no. Call it inside ``inference``.
    """
    import torch
    from transformers import cache_utils

    ids = torch.tensor([[token]], device=lm.device)
    cache: Any = getattr(lm.model(input_ids=ids, use_cache=True), "past_key_values", None)
    plain = (cache_utils.DynamicLayer, cache_utils.DynamicSlidingWindowLayer)
    # Exact types: a subclass may hold state that re-indexing the keys and values leaves behind.
    return type(cache) is cache_utils.DynamicCache and all(
        type(layer) in plain and layer.is_initialized for layer in cache.layers
    )


def rows_of_cache(cache: Any, rows: torch.Tensor) -> Any:
    """A new cache whose row ``i`` is row ``rows[i]`` of ``cache``, which stays as it is."""
    selected = copy.copy(cache)
    selected.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in selected.layers:
        layer.batch_select_indices(rows.to(layer.keys.device))
    return selected
