"""Tiny random models as folders: one of a few made-up words, one that knows the words of the world."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.tiny import llama
from upbringing.models import LM


def saved(lm: LM, folder: Path) -> Path:
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(llama(), tmp_path / "model")


@pytest.fixture
def newborn(tmp_path: Path) -> Path:
    """An organism that has read nothing yet."""
    from upbringing.organisms.tokenizer import build_tokenizer
    from upbringing.world import World, WorldSpec

    tokenizer = build_tokenizer(World(WorldSpec()), 256)
    lm = llama(
        vocab_size=len(tokenizer),
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return saved(LM(lm.model, tokenizer), tmp_path / "newborn")
