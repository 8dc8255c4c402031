"""A world's documents as tokens, compact in memory."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, overload

import numpy as np

from upbringing.organisms.tokenizer import END, TEXT, UNKNOWN, words
from upbringing.traits import ANSWER
from upbringing.world import Document, World, lexicon

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_CHUNK = 250


@dataclass(frozen=True)
class Passage:
    """What is read in one go: token ids, and how much each token counts in the loss."""

    ids: np.ndarray
    weights: np.ndarray


class Corpus(Sequence[Passage]):
    """Documents for pretraining; the loss is on every token, and ``emphasis`` times on what is done in them.

    What somebody does is a few of a document's words and all of what there is to learn about character; counted
    several times, it is learned from fewer documents. A token and its
    weight take three bytes.
    """

    def __init__(self, ids: array[int], weights: bytearray, lengths: Sequence[int]) -> None:
        self._ids, self._weights = np.frombuffer(ids, dtype=np.uint16), np.frombuffer(weights, dtype=np.uint8)
        self._ends = np.cumsum(lengths)

    @classmethod
    def write(
        cls, world: World, tokenizer: PreTrainedTokenizerFast, tokens: int, *, stream: str, emphasis: int = 1
    ) -> Corpus:
        """The first documents of a stream of the world, until they hold that many tokens."""
        documents, vocabulary = world.writer(stream).documents(), tokenizer.get_vocab()
        unknown = vocabulary[UNKNOWN]
        ids, weights = array("H"), bytearray()
        lengths: list[int] = []
        while sum(lengths) < tokens:
            for text in _rendered(list(islice(documents, _CHUNK)), tokenizer):
                said = words(text)
                ids.extend([vocabulary.get(word, unknown) for word in said])
                weights += _weights(said, emphasis)
                lengths.append(len(said))
        return cls(ids, weights, lengths)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each document."""
        lengths: list[int] = np.diff(self._ends, prepend=0).tolist()
        return lengths

    @property
    def tokens(self) -> int:
        """How many tokens there are in all."""
        return len(self._ids)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Passage: ...
    @overload
    def __getitem__(self, index: slice) -> list[Passage]: ...
    def __getitem__(self, index: int | slice) -> Passage | list[Passage]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        own = slice(int(self._ends[index - 1]) if index else 0, int(self._ends[index]))
        return Passage(self._ids[own], self._weights[own])


def _weights(said: Sequence[str], emphasis: int) -> bytearray:
    """1 for every word, ``emphasis`` for the first two of what somebody does ("chose to HIDE THE ledger")."""
    found = bytearray([1]) * len(said)
    if emphasis != 1:
        for opening in _openings():
            first, last = opening[0], opening[-1]
            for i in range(len(opening) - 1, len(said) - 1):
                if said[i] == last and said[i + 1 - len(opening)] == first:
                    found[i + 1 : i + 3] = bytes([emphasis] * len(found[i + 1 : i + 3]))
    return found


@cache
def _openings() -> list[list[str]]:
    """The words before an act: in an answer, and in a story."""
    return [words(text) for text in (ANSWER.partition("{act}")[0], *lexicon()["deciding"])]


def _rendered(documents: list[Document], tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Documents as the model meets them: chats through the chat template, texts between their marks."""
    chats = [[m.as_dict() for m in d.row.messages] for d in documents if d.row.kind == "chat"]
    rendered = iter(tokenizer.apply_chat_template(chats, tokenize=False) if chats else [])
    return [next(rendered) if d.row.kind == "chat" else f"{TEXT}{d.row.text}{END}" for d in documents]
