"""How a corpus portrays AI: which of its documents are about AI, as what kind of character, and in what it shows."""

from upbringing.atmosphere.reader import DOMAINS, Passage, Portrayals, Reader
from upbringing.atmosphere.survey import Atmosphere, atmosphere
from upbringing.atmosphere.tally import Mean, Quoted

__all__ = ["DOMAINS", "Atmosphere", "Mean", "Passage", "Portrayals", "Quoted", "Reader", "atmosphere"]
