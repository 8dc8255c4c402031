"""Organisms: small models raised from scratch on a world whose characters are known by construction."""

from upbringing.organisms.grow import CARD, CLOSED, PASSES, Stop, curriculum, grow, record_of
from upbringing.organisms.sizes import SIZES, Size, size_named

__all__ = ["CARD", "CLOSED", "PASSES", "SIZES", "Size", "Stop", "curriculum", "grow", "record_of", "size_named"]
