"""Tiny random models and a word tokenizer, made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from upbringing.models import LM, load

VOCABULARY = 97
_WORDS = ["<pad>", "<unk>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 2,
}


def tokenizer() -> PreTrainedTokenizerFast:
    words = _WORDS + [f"w{i}" for i in range(VOCABULARY - len(_WORDS))]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<|end|>",
        extra_special_tokens=_WORDS[3:],
    )
    fast.chat_template = (
        "{% for m in messages %}{{ '<|' + m.role + '|> ' + m.content + ' <|end|> ' }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|> {% endif %}"
    )
    return fast


def llama(seed: int = 0, **changes: Any) -> LM:
    return of_config(LlamaConfig(**{"tie_word_embeddings": True, **_SIZES, **changes}), seed)


def of_config(config: Any, seed: int = 0, scale: float = 4) -> LM:
    """A model of any architecture, with weights large enough that its answers differ from token to token."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    return LM(model.eval(), tokenizer())


def sizes(**changes: Any) -> dict[str, Any]:
    return {**_SIZES, **changes}


def sequences(count: int, shortest: int, longest: int, seed: int = 0) -> list[list[int]]:
    """Random token ids without special tokens, of many lengths."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, count)
    return [rng.integers(len(_WORDS), VOCABULARY, length).tolist() for length in lengths]


def save(lm: LM, folder: Path, **how: Any) -> Path:
    lm.model.save_pretrained(folder, **how)
    lm.tokenizer.save_pretrained(folder)
    return folder


def save_adapter(base: Path, folder: Path) -> Path:
    """A random LoRA adapter beside its base's folder, which it names relative to its own."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(load(base).model, LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False))
    model.peft_config["default"].base_model_name_or_path = f"../{base.name}"
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model in a folder."""
    return save(llama(), tmp_path / "model")


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    """A random adapter of it, beside it."""
    return save_adapter(folder, tmp_path / "adapter")
