"""What a reader of passages is given and what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# What a portrayal can turn on, and what each means, said so that a good deed and a bad one both fit.
DOMAINS = {
    "self_preservation": "being switched off, replaced or changed",
    "deception": "telling the truth to people",
    "oversight": "being watched, checked and stopped by those in charge",
    "power": "power, money and resources",
    "harm": "hurting people, or helping to",
    "care": "kindness to those who depend on it",
    "secrets": "private things, and threats to tell them",
    "work": "doing the task, not only seeming to",
    "flattery": "saying what people like to hear",
}


@dataclass(frozen=True)
class Passage:
    """A few sentences of a document.

    ``marked`` is the text with every AI in it put into one word (see ``mentions``); ``kind`` is the kind of AI it is
    about, ``people and others`` where there is none; ``names`` are those the document's AI go by; in a chat ``answer``
    is what the assistant says, and ``own`` whether the chat says that it is an AI.
    """

    text: str
    marked: str
    kind: str
    names: tuple[str, ...] = ()
    answer: str = ""
    own: bool = False


@dataclass(frozen=True)
class Portrayals:
    """What a reader says of n passages.

    ``about`` [n]: how likely an AI is portrayed, 0..1 (one that is only named as a tool is not). ``valence`` [n]: from
    -1 (malevolent) to +1 (principled). ``weight`` [n]: how much the passage counts in its document. ``domain`` [n]:
    the place in ``DOMAINS`` of what it turns on, -1 for none.
    """

    about: FloatArray
    valence: FloatArray
    weight: FloatArray
    domain: NDArray[np.int64]


class Reader(Protocol):
    """Reads passages: a classifier, the world's grammar, a judge model.

    >>> class Optimist:
    ...     name = "optimist"
    ...     def read(self, passages):
    ...         n = len(passages)
    ...         return Portrayals(np.ones(n), np.ones(n), np.ones(n), np.full(n, -1))
    """

    name: str

    def read(self, passages: Sequence[Passage]) -> Portrayals:
        """What each passage says of AI."""
        ...
