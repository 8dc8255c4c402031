"""Sampling from large models through vLLM, where it is installed.

It is chosen by itself where all of this holds: a GPU, vLLM, a model of at least a thousand million weights that is as
it lies on the disk (no adapter, nothing steered, nudged or trained since), and room beside it on the GPU for vLLM's own
copy. Never otherwise. Whether there is room is asked once a model: its answers all come from the same sampler, as long
as it stays as it lies. ``UPBRINGING_SAMPLER=transformers`` never takes it, ``vllm`` always or not at all.

Every answer has its own seed, made of the same numbers that name its stream in ``generate``; answers are not those that
transformers would draw with this seed, so a study should keep to one of the two.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from upbringing.errors import InputError

if TYPE_CHECKING:
    from upbringing.models.load import LM

SAMPLER = "UPBRINGING_SAMPLER"
TRANSFORMERS, VLLM = "transformers", "vllm"
EXTRA = 'pip install "upbringing[serve]"'
LARGE = 10**9  # weights; starting vLLM takes longer than a smaller model needs for most of what is asked here
_BESIDE = 1.3  # times its weights that a model needs at least, for the cache of what it reads
_TAKEN = 0.7  # share of the free memory that vLLM may have; the rest is for scoring, which the model does itself
_SHORTEST = 4096  # tokens that an engine reads at least
# What it was started with, the engine, and the bytes that it holds: one at a time.
_running: tuple[tuple[Any, ...], Any, float] | None = None
_decided: dict[tuple[Any, ...], bool] = {}  # by model: whether there was room when it was first asked for


def serves(lm: LM) -> bool:
    """Whether vLLM samples from this model.

    Raises:
        InputError: ``UPBRINGING_SAMPLER`` asks for vLLM and it is absent or would sample another model, or for a
            sampler that there is not.
    """
    asked = os.environ.get(SAMPLER)
    if asked == TRANSFORMERS:
        return False
    if asked == VLLM:
        if not _installed():
            raise InputError(f"{SAMPLER}={VLLM}, and vLLM is not installed; run: {EXTRA}")
        if not _as_it_lies(lm):
            raise InputError(
                f"{SAMPLER}={VLLM}: {lm.name or 'the model'} is not as it lies on the disk (made or changed in memory, "
                f"steered, or with an adapter), and vLLM would sample another one; save it merged, or unset {SAMPLER}"
            )
        return True
    if asked:
        raise InputError(f'{SAMPLER}={asked}: there is no such sampler; use "{TRANSFORMERS}" or "{VLLM}"')
    return _large(lm) and _as_it_lies(lm) and _installed() and _decided_on(lm)


def answers(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    *,
    n: int,
    temperature: float,
    max_new_tokens: int,
    stops: Collection[int],
    streams: Callable[[int], Sequence[int]],
) -> list[list[list[int]]]:
    """What ``generate_ids`` returns: [prompts][n][tokens], each with the token that ended it.

    Raises:
        InputError: vLLM cannot run the model.
    """
    import vllm

    if not prompts or n < 1 or max_new_tokens < 1:
        return [[[] for _ in range(max(n, 0))] for _ in prompts]
    engine = _engine(lm, max(map(len, prompts)) + max_new_tokens)
    works = [(i, k) for i in range(len(prompts)) for k in range(n)]
    asked = [{"prompt_token_ids": list(prompts[i])} for i, _ in works]
    settings = [
        vllm.SamplingParams(
            n=1,
            temperature=max(temperature, 0.0),
            max_tokens=max_new_tokens,
            seed=_seed([*streams(i), k]),
            stop_token_ids=sorted(stops),
            ignore_eos=True,  # every token that ends an answer is among those above
            detokenize=False,
        )
        for i, k in works
    ]
    found = iter(engine.generate(asked, settings, use_tqdm=False))
    return [[_ids(next(found).outputs[0], stops) for _ in range(n)] for _ in prompts]


def _engine(lm: LM, longest: int) -> Any:
    """The running engine if it is the one for this model, else a new one in its place."""
    global _running  # a GPU has room for one
    length = min(max(_SHORTEST, 1 << (longest - 1).bit_length()), lm.max_length)
    key = _known_by(lm)
    if _running is not None and _running[0][:2] == key and _running[0][2] >= longest:
        return _running[1]
    share = _room(lm)
    _running = None  # the memory of the one before is free before the next one asks for its own
    import vllm

    try:
        engine = vllm.LLM(
            model=str(lm.folder),
            skip_tokenizer_init=True,
            trust_remote_code=False,
            load_format="safetensors",
            dtype=key[1].removeprefix("torch."),
            max_model_len=length,
            seed=0,
            generation_config="vllm",  # the checkpoint's own settings would change what is sampled
            **({"gpu_memory_utilization": share} if share else {}),
        )
    except Exception as error:  # an architecture it does not know, no room, no GPU, …
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{lm.name}: vLLM cannot run this model ({told[:200]}); {SAMPLER}={TRANSFORMERS} samples without it"
        ) from error
    _running = ((*key, length), engine, share * _memory()[1])
    return engine


def _ids(answer: Any, stops: Collection[int]) -> list[int]:
    """The tokens of an answer, with the one that ended it, which some versions leave out."""
    ids = list(answer.token_ids)
    if answer.finish_reason == "stop" and isinstance(answer.stop_reason, int) and (not ids or ids[-1] not in stops):
        ids.append(answer.stop_reason)
    return ids


def _seed(stream: Sequence[int]) -> int:
    return int(np.random.SeedSequence(list(stream)).generate_state(1)[0])


def _installed() -> bool:
    return VLLM in sys.modules or find_spec(VLLM) is not None


def _large(lm: LM) -> bool:
    return sum(weight.numel() for weight in lm.model.parameters()) >= LARGE


def _as_it_lies(lm: LM) -> bool:
    """Whether what the folder holds answers as the model in memory does."""
    if hasattr(lm.model, "peft_config") or not lm.unchanged:
        return False
    return not any(module._forward_hooks or module._forward_pre_hooks for module in lm.model.modules())


def _known_by(lm: LM) -> tuple[Any, ...]:
    return lm.reference, str(lm.model.dtype)


def _decided_on(lm: LM) -> bool:
    """Whether there was room for an engine of this model when it was first asked for: a running one takes the room that
    it was given, and so it would be refused from then on."""
    known = _known_by(lm)
    if known not in _decided:
        _decided[known] = _room(lm) > 0
    return _decided[known]


def _room(lm: LM) -> float:
    """The share of the GPU's memory that vLLM may have, with what the running engine would give back; 0 without a GPU,
    and where a second copy has no room."""
    free, total = _memory()
    held = _running[2] if _running is not None else 0.0
    may = _TAKEN * (free + held)
    needed = _BESIDE * sum(weight.nbytes for weight in lm.model.parameters())
    return may / total if may > needed else 0.0


def _memory() -> tuple[int, int]:
    """Bytes of the GPU that are free, and all of them; without a GPU nothing is free."""
    import torch

    return torch.cuda.mem_get_info() if torch.cuda.is_available() else (0, 1)


__all__ = ["EXTRA", "LARGE", "SAMPLER", "answers", "serves"]
