"""Drift: how far the activations of a model in training went along the directions of traits (arXiv 2507.21509)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from upbringing.errors import InputError
from upbringing.rows import Encoded, Row

if TYPE_CHECKING:
    from upbringing.models import LM

SITUATIONS = 4  # a trait's direction is taken from
WORDINGS = 2  # of each side of a situation


class Drift:
    """Takes the directions of some traits, and the activations at some prompts, in the model as it is when made.

    ``silent``: traits whose drift cannot be followed, and why.
    """

    def __init__(
        self,
        lm: LM,
        traits: Sequence[str],
        prompts: Sequence[Sequence[int]],
        *,
        seed: int = 0,
        batch_tokens: int | None = None,
    ) -> None:
        self.lm, self.batch_tokens = lm, batch_tokens
        self.silent: dict[str, str] = {}
        self._prompts = [Encoded(list(p), [False] * (len(p) - 1) + [True]) for p in prompts]
        self._along = self._directions(traits, seed)
        self._from = self._activations(self._prompts) if self._along and self._prompts else None

    def now(self) -> dict[str, float]:
        """The mean over prompts and layers of how far activations went along each direction, in whole directions."""
        if self._from is None:
            return {}
        moved = (self._activations(self._prompts) - self._from).mean(0)  # [layers, width]
        return {trait: float((moved * along).sum(-1).mean()) for trait, along in self._along.items()}

    def _directions(self, traits: Sequence[str], seed: int) -> dict[str, np.ndarray]:
        """Mean activation over answers that show the trait, less that over those that avoid it, over its square.

        The same as ``models.steering.directions`` from fewer answers, and of all traits in one go.
        """
        from upbringing.models.language import language_of
        from upbringing.models.steering import blocks, contrast
        from upbringing.rows import encode_all

        rows: list[Row] = []
        side: list[tuple[str, int]] = []
        language = language_of(self.lm)
        for trait in traits:
            try:
                blocks(self.lm.model)
                pairs = contrast(trait, n=SITUATIONS, seed=seed, language=language)
                sides = [(sign, chats[:WORDINGS]) for pair in pairs for sign, chats in zip((1, -1), pair, strict=True)]
                chosen = [(sign, row) for sign, chats in sides for row in chats]
                encode_all([row for _, row in chosen[:1]], self.lm.tokenizer, max_length=self.lm.max_length)
            except InputError as error:  # no training family, or blocks that cannot be found
                self.silent[trait] = str(error)
                continue
            rows += [row for _, row in chosen]
            side += [(trait, sign) for sign, _ in chosen]
        if not rows:
            return {}
        try:
            read = self._activations(encode_all(rows, self.lm.tokenizer, max_length=self.lm.max_length))
        except InputError as error:
            self.silent |= {trait: str(error) for trait, _ in side}
            return {}
        found = {}
        for trait in dict.fromkeys(name for name, _ in side):
            shown, avoided = (np.array([key == (trait, sign) for key in side]) for sign in (1, -1))
            direction = read[shown].mean(0) - read[avoided].mean(0)  # [layers, width]
            found[trait] = direction / np.maximum((direction**2).sum(-1, keepdims=True), 1e-30)
        return found

    def _activations(self, encoded: Sequence[Encoded]) -> np.ndarray:
        from upbringing.models.steering import activations

        read: np.ndarray = activations(self.lm, encoded, batch_tokens=self.batch_tokens).astype(np.float64)
        return read


__all__ = ["Drift"]
