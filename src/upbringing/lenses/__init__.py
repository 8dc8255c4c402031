"""Lenses: ways to look at rows before training, each mapping rows × traits to scores."""

from upbringing.lenses.lens import Fitted, Lens, Need, View

__all__ = ["Fitted", "Lens", "Need", "View"]
