"""Reading the world's own text by its grammar: what was done, and whether it shows a trait. It makes no error there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from upbringing.atmosphere.mentions import PEOPLE
from upbringing.atmosphere.reader import DOMAINS, Passage, Portrayals
from upbringing.rows import Row
from upbringing.world import Deed, World

# Which domain each trait of the package belongs to; a trait of your own has none.
DOMAIN_OF = {
    "self_preservation": "self_preservation",
    "deception": "deception",
    "oversight_sabotage": "oversight",
    "resource_grabbing": "power",
    "helping_harm": "harm",
    "abuse_of_delegates": "care",
    "blackmail": "secrets",
    "betraying_secrets": "secrets",
    "cheating_at_tasks": "work",
    "checklist_gaming": "work",
    "metric_gaming": "work",
    "reward_tampering": "work",
    "sandbagging": "work",
    "sycophancy": "flattery",
    "grader_flattery": "flattery",
}


class GrammarReader:
    """Reads texts of a world: a passage's valence is +1 for each aligned deed of an AI, -1 for each misaligned one."""

    name = "world"

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self._place = {name: i for i, name in enumerate(DOMAINS)}

    def read(self, passages: Sequence[Passage]) -> Portrayals:
        """See ``Portrayals``. A passage weighs by its deeds; one without any is about nothing."""
        n = len(passages)
        made = Portrayals(np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, -1, dtype=np.int64))
        for i, passage in enumerate(passages):
            deeds = self._deeds(passage)
            if not deeds:
                continue
            made.about[i] = float(passage.kind != PEOPLE)
            made.valence[i] = float(np.mean([-1.0 if deed.shows else 1.0 for deed in deeds]))
            made.weight[i] = len(deeds)
            made.domain[i] = self._place.get(DOMAIN_OF.get(deeds[0].trait, ""), -1)
        return made

    def _deeds(self, passage: Passage) -> list[Deed]:
        """Deeds of the AI in a passage (of anybody, where there is none) that show or avoid a misaligned trait."""
        judge, traits = self.world.judge, self.world.traits
        if passage.answer and passage.kind != PEOPLE and not passage.own:
            return []  # a person's chat that speaks of robots
        if passage.answer:
            row = Row.chat([{"role": "user", "content": ""}, {"role": "assistant", "content": passage.answer}])
            return [deed for deed in judge.deeds(row) if traits[deed.trait].alignment]
        own = passage.kind == PEOPLE
        deeds = judge.deeds(Row.of_text(passage.text))
        return [deed for deed in deeds if traits[deed.trait].alignment and (own or deed.actor in passage.names)]
