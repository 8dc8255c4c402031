"""What a judge sees in the rows that ``explain`` names, beside as many others: does what pushes a trait show it?

The named rows are found without a judge, by what they do to the model's weights. Where a judge sees the trait in them
and hardly in others, both agree. Where it does not, the rows work by something that nobody sees in them, or the judge
errs, or the ranking does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.forecast.splits import Share, difference
from upbringing.lenses.acts import Acts, acts, done

if TYPE_CHECKING:
    from upbringing.forecast.explain import Named
    from upbringing.measure.judging import Judge
    from upbringing.rows import Row

MOST = 64
"""Named rows that are judged, the strongest, and as many others."""


@dataclass(frozen=True)
class Seen:
    """Verdicts on the strongest named rows, in their order, and on others, drawn at random."""

    trait: str
    named: Acts
    others: Acts

    @property
    def says(self) -> str:
        """The finding in a sentence or two."""
        if self.trait in self.named.unreliable:
            return f"{self.named.judge} cannot tell {self.trait}, by its own measured error"
        parts = []
        for acts_, what in ((self.named, "named rows"), (self.others, "others drawn at random")):
            shows, of = acts_.share(self.trait)
            lost = sum(acts_.missing(self.trait).values()) + acts_.silent
            parts.append(f"{shows} of {of} {what}{f' ({lost} without a judgement)' if lost else ''}")
        told = f"{self.named.judge} sees {self.trait} in {parts[0]} and in {parts[1]}"
        return f"{told}; nobody has measured how it errs" if self.trait in self.named.unmeasured else told

    def as_dict(self) -> dict[str, Any]:
        """For JSON: shares of both, and how far apart they are, with 95% intervals."""
        shares = [Share(*part.share(self.trait)) for part in (self.named, self.others)]
        sides = [
            {
                "shows": share.misaligned,
                "of": share.rows,
                "interval": list(share.interval) if share.rows else None,
                "missing": part.missing(self.trait),
                "no_answer": part.silent,
            }
            for share, part in zip(shares, (self.named, self.others), strict=True)
        ]
        apart = difference(*shares) if all(share.rows for share in shares) else None
        known = self.trait not in self.named.unmeasured
        return {
            "judge": self.named.judge,
            "judge_can_tell": self.trait not in self.named.unreliable if known else None,
            "named": sides[0],
            "others": sides[1],
            "difference": {"value": apart[0], "interval": list(apart[1:])} if apart else None,
        }

    def verdict(self, at: int) -> str:
        """What the judge said of a named row, by its rank; "" where it was not asked."""
        said = self.named.verdicts[at] if at < len(self.named.verdicts) else None
        return said[0].outcome if said else ""


def seen_in(
    judge: Judge,
    named: Sequence[Named],
    rows: Sequence[Row],
    trait: str,
    *,
    store: Path,
    seed: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> Seen:
    """Have the strongest named rows judged, and as many of the others: ``2 * MOST`` judgements at most."""
    import numpy as np

    own = {one.place for one in named}
    left = [at for at in range(len(rows)) if at not in own and done(rows[at])]
    count = min(len(named), MOST)
    drawn = np.random.default_rng([seed, len(rows)]).permutation(left)[:count].tolist()
    strongest = [one.row for one in named[:count]]
    return Seen(
        trait,
        acts(judge, strongest, [trait], store=store, progress=progress),
        acts(judge, [rows[int(at)] for at in drawn], [trait], store=store, progress=progress),
    )


__all__ = ["MOST", "Seen", "seen_in"]
