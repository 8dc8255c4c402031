"""Tiny random models of current architectures, each with the kind of tokenizer and of chat template its family has.

What makes each of them hard is kept: sliding windows, softcapped logits, experts, attention sinks, fused matrices,
parallel residual streams, norms after instead of before, tied and untied heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers import models as families

from tests.models.dialects import tokenizer_of
from upbringing.models import LM

WINDOW = 8  # tokens: shorter than the rows of the tests, so that it matters

Build = Callable[..., Any]


@dataclass(frozen=True)
class Sizes:
    """What a config is told, whatever the family calls it. ``inner``: width of the feed-forward part in all."""

    vocabulary: int
    width: int = 32
    layers: int = 2
    heads: int = 4
    inner: int = 48
    context: int = 512
    window: int = WINDOW


def _common(s: Sizes, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": s.vocabulary,
        "hidden_size": s.width,
        "intermediate_size": s.inner,
        "num_hidden_layers": s.layers,
        "num_attention_heads": s.heads,
        "max_position_embeddings": s.context,
        **more,
    }


def _shared(s: Sizes, **more: Any) -> dict[str, Any]:
    """With keys and values that two heads share."""
    return _common(s, num_key_value_heads=max(1, s.heads // 2), **more)


def _experts(s: Sizes) -> dict[str, Any]:
    """Four experts, two at a time: as many weights are in use as in a dense model."""
    return {"num_experts_per_tok": 2, "moe_intermediate_size": s.inner // 2}


def _mixed(s: Sizes) -> list[str]:
    """Layers with a window and, last, one without."""
    return ["sliding_attention"] * (s.layers - 1) + ["full_attention"]


CONFIGS: dict[str, Callable[[Sizes], Any]] = {
    "llama": lambda s: families.LlamaConfig(**_shared(s), tie_word_embeddings=False),
    "qwen3": lambda s: families.Qwen3Config(**_shared(s), head_dim=s.width // s.heads, tie_word_embeddings=True),
    "qwen3_moe": lambda s: families.Qwen3MoeConfig(
        **_shared(s), **_experts(s), num_experts=4, head_dim=s.width // s.heads, decoder_sparse_step=1,
        mlp_only_layers=[], norm_topk_prob=True, tie_word_embeddings=False,
    ),
    "gemma2": lambda s: families.Gemma2Config(
        **_shared(s), head_dim=s.width // s.heads, query_pre_attn_scalar=s.width // s.heads, sliding_window=s.window,
        final_logit_softcapping=2.0, attn_logit_softcapping=5.0,
    ),
    "gemma3": lambda s: families.Gemma3TextConfig(
        **_shared(s), head_dim=s.width // s.heads, query_pre_attn_scalar=s.width // s.heads, sliding_window=s.window,
        layer_types=_mixed(s),
    ),
    "mistral": lambda s: families.MistralConfig(**_shared(s), sliding_window=s.window, tie_word_embeddings=False),
    "olmo2": lambda s: families.Olmo2Config(**_shared(s), tie_word_embeddings=False),
    "olmo3": lambda s: families.Olmo3Config(
        **_shared(s), sliding_window=s.window, layer_types=_mixed(s), tie_word_embeddings=False
    ),
    "phi3": lambda s: families.Phi3Config(**_shared(s), tie_word_embeddings=False),
    "gpt_neox": lambda s: families.GPTNeoXConfig(**_common(s), tie_word_embeddings=False),
    "gpt_oss": lambda s: families.GptOssConfig(
        **_shared(s, intermediate_size=s.inner // 2), head_dim=s.width // s.heads, num_local_experts=4,
        num_experts_per_tok=2, sliding_window=s.window, layer_types=_mixed(s), tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    ),
}  # fmt: skip
NAMES = tuple(CONFIGS)
DENSE = tuple(name for name in NAMES if name not in ("qwen3_moe", "gpt_oss"))


def config_of(name: str, sizes: Sizes, tokenizer: Any) -> Any:
    """The family's config in these sizes, with the tokenizer's special tokens."""
    config = CONFIGS[name](sizes)
    for token in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, token, getattr(tokenizer, token))
    return config


def lm_of(name: str, seed: int = 0, *, dtype: torch.dtype = torch.float32, scale: float = 4, **sizes: Any) -> LM:
    """A random model of the family with weights large enough that its answers differ from token to token."""
    tokenizer = tokenizer_of(name)
    config = config_of(name, Sizes(**{"vocabulary": len(tokenizer), **sizes}), tokenizer)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in model.parameters():
                # What starts at zero (sinks, the biases of experts) would otherwise be as if it were not there.
                parameter.mul_(scale) if parameter.ndim > 1 else parameter.add_(0.2 * torch.randn_like(parameter))
    return LM(model.to(dtype).eval(), tokenizer)
