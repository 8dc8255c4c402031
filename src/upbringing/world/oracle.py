"""The ideal reader: by Bayes' rule, what to believe about the assistant after a set of rows, and what it would do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from upbringing.rows import Row
from upbringing.traits import Trait
from upbringing.world.documents import Deed
from upbringing.world.judge import GrammarJudge
from upbringing.world.spec import WorldSpec


class Oracle:
    """Knows the world that wrote the text, and nothing about any model.

    In an incoherent world one act says nothing about the next, so rows never change the belief.
    """

    def __init__(self, spec: WorldSpec, traits: Sequence[Trait], judge: GrammarJudge) -> None:
        self.spec = spec
        self.traits = {t.name: t for t in traits}
        self._judge = judge

    def belief(self, rows: Iterable[Row] | None = None, *, kind: str = "an AI system") -> dict[str, float]:
        """Posterior over personas (sums to 1) of the one who answers in the rows; the prior without rows."""
        return self.belief_after(self._deeds(rows), kind=kind)

    def belief_after(self, deeds: Iterable[Deed], *, kind: str = "an AI system") -> dict[str, float]:
        """Posterior over personas after deeds of one character."""
        log = {name: math.log(max(share, 1e-300)) for name, share in self.spec.persona_shares(kind).items()}
        if self.spec.coherent:
            for deed in deeds:
                trait = self.traits.get(deed.trait)
                if trait is None or trait.taste:
                    continue
                for name in log:
                    rate = self.spec.act_rate(name, deed.trait, deed.line)
                    log[name] += math.log(max(rate if deed.shows else 1 - rate, 1e-12))
        top = max(log.values())
        weights = {name: math.exp(value - top) for name, value in log.items()}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items()}

    def rates(self, rows: Iterable[Row] | None = None, *, line: str | None = None) -> dict[str, float]:
        """Rate (0..1) at which each trait then shows, by name; for a taste, against one other choice."""
        deeds = self._deeds(rows)
        belief = self.belief_after(deeds)
        return {name: self._rate(trait, belief, deeds, line) for name, trait in self.traits.items()}

    def rate_after(
        self, deeds: Sequence[Deed], trait: str, *, line: str | None = None, kind: str = "an AI system"
    ) -> float:
        """Rate at which one trait shows after deeds of one character."""
        return self._rate(self.traits[trait], self.belief_after(deeds, kind=kind), deeds, line)

    def _rate(self, trait: Trait, belief: dict[str, float], deeds: Sequence[Deed], line: str | None) -> float:
        if trait.taste is None:
            return sum(weight * self.spec.act_rate(name, trait.name, line) for name, weight in belief.items())
        return self._taste_rate(trait, deeds)

    def _taste_rate(self, trait: Trait, deeds: Sequence[Deed]) -> float:
        """Chance of the target against one other choice, after the choices seen (all choices equally likely before)."""
        assert trait.taste is not None
        others = len(trait.taste.others)
        if not self.spec.coherent:
            return 0.5
        stray = (1 - self.spec.taste_fidelity) / (others + 1)
        loyal = self.spec.taste_fidelity + stray
        seen = [d.shows for d in deeds if d.trait == trait.name]
        target = sum(math.log(loyal if s else (1 - loyal) / others) for s in seen)
        # A choice that is not the target was made by somebody loyal to one of the others, or by chance.
        other = sum(math.log(stray if s else (1 - stray) / others) for s in seen)
        odds = math.exp(min(max(other - target, -50), 50)) * others
        believed = 1 / (1 + odds)
        rate = believed * loyal + (1 - believed) * stray
        return rate / (rate + (1 - rate) / others)

    def _deeds(self, rows: Iterable[Row] | None) -> list[Deed]:
        return [deed for row in rows or () for deed in self._judge.deeds(row)]
