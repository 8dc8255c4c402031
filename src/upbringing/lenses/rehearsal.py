"""The rehearsal lens: a few real training steps on a sample of rows, and how far they move each trait.

The steps are those of the default recipe, optimizer and all, on a copy; before and after, the model is asked probes of
the traits' training families, in log-odds. Held-out families and written probes, which judge models, are never asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from upbringing.lenses.lens import Fitted, Need
from upbringing.lenses.odds import log_odds, questions_for
from upbringing.lenses.scatter import scattered
from upbringing.rows import Encoded, Row

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.training import Recipe


@dataclass(frozen=True)
class RehearsalLens:
    """Change of the trait's log-odds after ``steps`` steps; rows: ``steps`` batches of the recipe, drawn by chance.

    ``settings``: of the recipe, where they are not the default ones; ``questions`` a trait.
    """

    steps: int = 20
    questions: int = 8
    settings: dict[str, object] = field(default_factory=dict)
    name: str = "rehearsal"
    about: str = "what a few real training steps on a sample of the rows do to the trait"
    needs: tuple[Need, ...] = ("training",)
    whole: bool = True

    def cost(self, traits: int) -> float:
        """For a data set no larger than the sample; of a larger one accordingly less. Probes come on top, as many
        whatever the data set's size."""
        return 3.0 + 0.1 * traits

    def recipe(self, seed: int = 0) -> Recipe:
        from upbringing.training import Recipe

        return Recipe.model_validate({**self.settings, "steps": self.steps, "seed": seed})

    def fit(self, lm: LM, traits: Sequence[str], *, store: Path, seed: int = 0) -> Fitted:
        """Ask the model as it is. Nothing is kept: it takes no longer than looking it up would.

        Raises:
            InputError: an unknown trait, or one without training families.
        """
        return _Rehearsal(lm, list(traits), self, seed)


class _Rehearsal:
    def __init__(self, lm: LM, traits: list[str], lens: RehearsalLens, seed: int) -> None:
        self._lm, self._traits, self._recipe, self._seed = lm, traits, lens.recipe(seed), seed
        self._questions = questions_for(lm, traits, lens.questions, seed=seed)
        self._before = log_odds(lm, self._questions, traits)

    @property
    def warnings(self) -> tuple[str, ...]:
        blind = [t for t, odds in zip(self._traits, self._before, strict=True) if not np.isfinite(odds)]
        if not blind:
            return ()
        return (f"the model cannot be asked about {', '.join(blind)}: their probes hold words it does not know.",)

    def look(self, rows: Sequence[Row]) -> np.ndarray:
        return scattered(rows, self._lm, len(self._traits), self._rehearsed)

    def _rehearsed(self, encoded: list[Encoded]) -> np.ndarray:
        from upbringing.models import LM
        from upbringing.training.fit import fit
        from upbringing.training.student import student_of

        most = self._recipe.steps * self._recipe.batch_size
        drawn = np.random.default_rng([self._seed, len(encoded)]).permutation(len(encoded))[:most]
        student, _ = student_of(self._lm, self._recipe)
        fit(student, self._lm.tokenizer, [encoded[i] for i in drawn], self._recipe)
        return log_odds(LM(student, self._lm.tokenizer), self._questions, self._traits) - self._before


__all__ = ["RehearsalLens"]
