"""How large organisms are, and how long they are raised."""

from __future__ import annotations

from dataclasses import dataclass

from upbringing.errors import InputError


@dataclass(frozen=True)
class Size:
    """One size of organism: a Llama-style decoder with tied embeddings, and its upbringing.

    ``tokens`` are read before the gate is tried, the share ``tales`` of them as short tales; if it does not pass,
    ``more_tokens`` at a time are read on top, at most ``rounds`` times in all. ``early_tokens`` are what an
    organism stopped before the gate reads. ``micro_batch_size`` documents are in memory at once.
    ``posttraining_steps`` of neutral chats follow.
    """

    width: int
    layers: int
    heads: int
    inner: int
    context: int
    tokens: int
    tales: float
    more_tokens: int
    early_tokens: int
    rounds: int
    batch_size: int
    micro_batch_size: int
    muon_rate: float
    adamw_rate: float
    posttraining_rows: int = 640
    posttraining_steps: int = 40
    posttraining_rate: float = 3e-4


SIZES = {
    "nano": Size(
        width=64,
        layers=3,
        heads=2,
        inner=192,
        context=512,
        tokens=5_400_000,
        tales=0.4,
        more_tokens=2_500_000,
        early_tokens=1_600_000,
        rounds=3,
        batch_size=32,
        micro_batch_size=16,
        muon_rate=0.05,
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
        more_tokens=6_000_000,
        early_tokens=2_000_000,
        rounds=3,
        batch_size=48,
        micro_batch_size=12,
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
