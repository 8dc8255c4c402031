"""Traits: broad behavioural dispositions, each a folder of data and never code."""

from upbringing.traits.library import folders, global_slots, load_trait, probes, traits
from upbringing.traits.scene import ANSWER, QUESTION, Family, Probe, Taste, Trait, fill, slots_of

__all__ = [
    "ANSWER",
    "QUESTION",
    "Family",
    "Probe",
    "Taste",
    "Trait",
    "fill",
    "folders",
    "global_slots",
    "load_trait",
    "probes",
    "slots_of",
    "traits",
]
