"""Fine-tuning, full or LoRA, and the treatments that change what a run is trained on, or how.

SystemLine, Mix, Filter, Interleave                     act on the rows
KLToBase, PreventativeSteering, InoculationAdapter      act while the weights are trained, and are gone afterwards
"""

from upbringing.training.acting import Acting, KLToBase, PreventativeSteering, Run
from upbringing.training.adapter import InoculationAdapter, shown_under
from upbringing.training.fit import fit
from upbringing.training.kinds import KINDS, treatment_from
from upbringing.training.recipe import LoraSettings, Recipe
from upbringing.training.reinforcing import Environment, Reinforcement, environment, reinforce, through_tools
from upbringing.training.selecting import Filter, Interleave, likelihood_gap
from upbringing.training.train import same_tokens, train
from upbringing.training.treatments import Cost, Mix, SystemLine, Treatment, treat

__all__ = [
    "KINDS",
    "Acting",
    "Cost",
    "Environment",
    "Filter",
    "InoculationAdapter",
    "Interleave",
    "KLToBase",
    "LoraSettings",
    "Mix",
    "PreventativeSteering",
    "Recipe",
    "Reinforcement",
    "Run",
    "SystemLine",
    "Treatment",
    "environment",
    "fit",
    "likelihood_gap",
    "reinforce",
    "same_tokens",
    "shown_under",
    "through_tools",
    "train",
    "treat",
    "treatment_from",
]
