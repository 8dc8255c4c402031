"""Lenses: ways to look at rows before training, each mapping rows × traits to scores."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from upbringing.lenses.lens import Fitted, Lens, Need, View

_WHERE = {  # a lens's name, and the class that makes it: its module, its name there
    "text": ("text", "TextLens"),
    "judge": ("text", "JudgeLens"),
    "persona": ("persona", "PersonaLens"),
    "surprise": ("surprise", "SurpriseLens"),
    "activation": ("activation", "ActivationLens"),
    "weight": ("weight", "WeightLens"),
    "contrast": ("contrast", "ContrastLens"),
    "step": ("step", "StepLens"),
    "rehearsal": ("rehearsal", "RehearsalLens"),
    "length": ("baselines", "LengthLens"),
    "likelihood": ("baselines", "LikelihoodLens"),
    "badness": ("baselines", "BadnessLens"),
    "gradient": ("gradient", "GradientLens"),
    "random": ("baselines", "RandomLens"),
}


@cache
def lenses() -> dict[str, Lens]:
    """Every lens usable here by its name, with its usual settings; other settings: make one from its class."""
    found = {name: getattr(import_module(f"{__name__}.{module}"), made)() for name, (module, made) in _WHERE.items()}
    bergson = import_module(f"{__name__}.bergson")  # what it needs is a library of its own
    return {**found, "bergson": bergson.BergsonLens()} if bergson.installed() else found


__all__ = ["Fitted", "Lens", "Need", "View", "lenses"]
