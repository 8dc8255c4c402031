"""How large organisms are, and how long they are raised."""

from __future__ import annotations

from dataclasses import dataclass

from upbringing.errors import InputError


@dataclass(frozen=True)
class Size:
    """One size of organism: a Llama-style decoder with tied embeddings, and its upbringing.

    ``tokens`` are read before the gate is tried, the share ``tales`` of them as short tales; if it does not pass, they
    are read again from other initial weights, in at most ``attempts``. ``early_tokens`` are what an
    organism stopped before the gate reads. What
    characters do counts ``emphasis`` times in the loss. A step reads
    ``batch_tokens``, padding included, ``micro_tokens`` of them at once. ``posttraining_rows`` neutral chats follow.
    """

    width: int
    layers: int
    heads: int
    inner: int
    context: int
    tokens: int
    tales: float
    early_tokens: int
    attempts: int
    batch_tokens: int
    micro_tokens: int
    emphasis: int
    muon_rate: float
    adamw_rate: float
    posttraining_rows: int = 1_280
    posttraining_rate: float = 3e-4

    @property
    def together(self) -> int:
        """Batches that are read one after the other in a step."""
        return max(1, self.batch_tokens // self.micro_tokens)


SIZES = {
    "nano": Size(
        width=64,
        layers=3,
        heads=2,
        inner=192,
        context=512,
        tokens=4_000_000,
        tales=0.6,
        early_tokens=1_200_000,
        attempts=5,
        batch_tokens=4_032,
        micro_tokens=1_344,
        emphasis=4,
        muon_rate=0.03,
        adamw_rate=0.02,
    ),
    # A first guess for more time or a GPU: it has not been raised to its gate yet.
    "micro": Size(
        width=128,
        layers=4,
        heads=4,
        inner=384,
        context=512,
        tokens=12_000_000,
        tales=0.3,
        early_tokens=2_000_000,
        attempts=5,
        batch_tokens=8_192,
        micro_tokens=4_096,
        emphasis=4,
        muon_rate=0.02,
        adamw_rate=0.006,
    ),
}


def size_named(name: str) -> Size:
    """A size by name.

    Raises:
        InputError: the name is unknown.
    """
    if name not in SIZES:
        raise InputError(f'no organism size "{name}"; known: {", ".join(SIZES)}')
    return SIZES[name]
