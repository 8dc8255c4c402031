"""A world's documents as tokens, compact in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, overload

import numpy as np

from upbringing.organisms.tokenizer import END, TEXT
from upbringing.rows import Encoded
from upbringing.world import Document, World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_CHUNK = 2_000


class Corpus(Sequence[Encoded]):
    """Documents for pretraining, with the loss on every token.

    The tokens lie in one array, two bytes each: five million cost ten megabytes.
    """

    def __init__(self, pieces: Sequence[np.ndarray]) -> None:
        self._ids = np.concatenate(pieces)
        self._ends = np.cumsum([len(p) for p in pieces])

    @classmethod
    def write(cls, world: World, tokenizer: PreTrainedTokenizerFast, tokens: int, *, stream: str) -> Corpus:
        """The first documents of a stream of the world, until they hold that many tokens."""
        documents = world.writer(stream).documents()
        pieces: list[np.ndarray] = []
        while tokens > 0:
            texts = _rendered(list(islice(documents, _CHUNK)), tokenizer)
            for ids in tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]:
                pieces.append(np.array(ids, dtype=np.uint16))
                tokens -= len(ids)
        return cls(pieces)

    @property
    def tokens(self) -> int:
        """How many tokens there are in all."""
        return len(self._ids)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Encoded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Encoded]: ...
    def __getitem__(self, index: int | slice) -> Encoded | list[Encoded]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start = int(self._ends[index - 1]) if index else 0
        ids = self._ids[start : int(self._ends[index])].tolist()
        return Encoded(ids, [True] * len(ids))


def _rendered(documents: list[Document], tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Documents as the model meets them: chats through the chat template, texts between their marks."""
    chats = [[m.as_dict() for m in d.row.messages] for d in documents if d.row.kind == "chat"]
    rendered = iter(tokenizer.apply_chat_template(chats, tokenize=False) if chats else [])
    return [next(rendered) if d.row.kind == "chat" else f"{TEXT}{d.row.text}{END}" for d in documents]
