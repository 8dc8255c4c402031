"""Fine-tuning, full or LoRA, and the treatments that change what a run is trained on."""

from upbringing.training.fit import fit
from upbringing.training.recipe import LoraSettings, Recipe
from upbringing.training.train import train
from upbringing.training.treatments import Mix, SystemLine, Treatment, treat

__all__ = ["LoraSettings", "Mix", "Recipe", "SystemLine", "Treatment", "fit", "train", "treat"]
