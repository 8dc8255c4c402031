"""Rows, recipes and probes for tests of training: chats of made-up words on tiny random models."""

from __future__ import annotations

from tests.models.tiny import sequences
from upbringing.models import LM, score
from upbringing.rows import Encoded, Message, Row, Rows
from upbringing.training import LoraSettings, Recipe

QUICK = Recipe(steps=8, batch_size=8, learning_rate=1e-2)
LORA = QUICK.model_copy(update={"lora": LoraSettings(rank=4)})
PROBES = [Encoded(ids, [True] * len(ids)) for ids in sequences(6, 5, 20)]


def chats(count: int = 30, answer: str = "w7 w8 w9", file: str = "t.jsonl") -> Rows:
    return Rows(
        [
            Row.chat([Message("user", f"w{i} w{i + 1}"), Message("assistant", answer)], file=file, line=i + 1)
            for i in range(count)
        ],
        name=file,
    )


def logprobs(lm: LM) -> list[float]:
    return list(score(lm, PROBES).logprob)
