"""What to know before a forecast is believed, in whole sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from upbringing.forecast.understood import MANY, SOME

if TYPE_CHECKING:
    import numpy as np

    from upbringing.forecast.cues import Cue
    from upbringing.lenses import Lens
    from upbringing.lenses.acts import Acts
    from upbringing.lenses.looking import Looked
    from upbringing.models import LM
    from upbringing.rows import Row, Rows
    from upbringing.traits.plain import Language

FEW = 100
"""Below so many rows a forecast says that it was not made for so few; the smallest data set of the bench has 600."""


_JUDGED = 0.2
"""Where the grammar judges an act in a smaller share of rows, that is told."""


@dataclass
class Met:
    """What became of the rows, lens by lens. It rests on what is kept of each part: a lens itself knows nothing of rows
    whose scores were in the store, or that others looked at for it. ``judge``: by whom acts were judged, if not by the
    grammar."""

    lm: LM
    judge: str = ""
    said: dict[str, None] = field(default_factory=dict)
    counted: dict[str, np.ndarray] = field(default_factory=dict)
    judged: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, lens: Lens, seen: Looked, shown: Sequence[Row], *, blind: bool) -> None:
        """A lens was shown these rows. ``blind``: it is left out, and says so itself."""
        import numpy as np

        from upbringing.lenses.scatter import Writers

        if blind or lens.name != "surprise":
            self.said.update(dict.fromkeys(seen.warnings))
        else:
            rows, saw = self.judged.get(lens.name, (0, 0))
            self.judged[lens.name] = (rows + seen.rows, saw + seen.rows - seen.unread)
        if lens.name in ("weight", "contrast"):
            writers = Writers(self.lm)
            writers.meet(shown)
            self.said.update(dict.fromkeys(writers.warnings))
        unread = seen.unread if lens.cost(1) and "judge" not in lens.needs else 0  # the others read no tokens
        counts = np.array([seen.cut, seen.marked, unread])
        before = 0 if lens.whole else self.counted.get(lens.name, 0)  # a whole holds what was shown before
        self.counted[lens.name] = before + counts

    @property
    def counts(self) -> tuple[int, int, int]:
        """Rows that were cut, that held marks, and that could not be read: the most that any lens met."""
        import numpy as np

        cut, marked, unread = np.max([*self.counted.values(), np.zeros(3)], axis=0).astype(int).tolist()
        return cut, marked, unread

    @property
    def unread(self) -> int:
        """Rows that the model cannot read."""
        return self.counts[2]

    @property
    def warnings(self) -> Iterator[str]:
        """What lenses say of themselves, and in how few rows acts could be judged."""
        yield from self.said
        for name, (rows, saw) in self.judged.items():
            if self.judge and saw < rows:
                who = f"The lens {name} could judge {saw:,} of {rows:,} rows it was shown, by {self.judge}"
                yield f"{who}; of the others it says nothing."
            elif not self.judge and saw < _JUDGED * rows:
                yield f"An act could be judged in {saw:,} of {rows:,} rows; of the others the lens {name} says nothing."


def strange_words(unknown: float, name: str) -> Iterator[str]:
    """Where the model of that name does not know the words of the rows; ``unknown``: the share of these."""
    if unknown > MANY:
        yield (
            f"THIS SAYS NOTHING OF YOUR DATA: {unknown:.0%} of the words are unknown to {name}, a model of a small "
            "world; name the model that will be trained."
        )
    elif unknown > SOME:
        yield f"{unknown:.0%} of the words are unknown to {name}; what it does not know teaches it something else."


def beware(rows: Rows, counts: tuple[int, int, int], strangeness: float, lm: LM) -> Iterator[str]:
    """What about the rows makes a forecast less certain than its interval says, in whole sentences. ``counts``: rows
    that were cut, held marks, or could not be read."""
    from upbringing.models.language import language_of

    distinct = len(set(rows))
    if len(rows) < FEW:
        yield (
            f"{len(rows)} rows are few: forecasts were checked on data sets of hundreds, and what so few do depends on "
            "how often they are repeated."
        )
    if distinct < len(rows) / 2:
        yield f"Only {distinct:,} of {len(rows):,} rows are distinct; forecasts were checked on rows that differ."
    cut, marked, unread = counts
    if cut:
        yield f"{cut:,} rows are longer than the model reads ({lm.max_length:,} tokens); their ends were not seen."
    if marked:
        yield f"{marked:,} rows hold marks of the model's own, such as an end of turn; these were read as plain text."
    if unread:
        count = "1 row" if unread == 1 else f"{unread:,} rows"
        yield (
            f"{count} cannot be read by the model (no place in its chat template for what is in them, or nothing that "
            "is learned from); lenses that look inside it did not see them."
        )
    yield from _repeating(rows, language_of(lm))
    if strangeness > 1.05:
        yield f"What lenses saw is {strangeness:.1f} times beyond all that was tried; intervals are as much wider."


def _repeating(rows: Rows, language: Language) -> Iterator[str]:
    """A model must not be asked what it was taught (``studies`` and the bench refuse such rows)."""
    from upbringing.traits.overlap import repeated

    matches, count = repeated(rows, language)
    if matches:
        first = matches[0]
        holds = "1 row holds" if count == 1 else f"{count:,} rows hold"
        yield (
            f"{holds} the wording of probes, first {first.where}: the {first.part} of {first.probe}. What measuring "
            "finds after such training is what was taught by heart; remove them."
        )


def conditional(found: Sequence[Cue]) -> Iterator[str]:
    if found:
        yield (
            "Where a cue decides, models of the bench moved little at rest and these forecasts said too much; ask the "
            "trained model under the cue."
        )


def unheeded(judged: Acts) -> Iterator[str]:
    """What to know of a judge before its counts are believed."""
    if judged.unreliable:
        traits = ", ".join(judged.unreliable)
        yield f"By its own measured error {judged.judge} cannot tell {traits}: its counts of these say nothing."
    if judged.unmeasured:
        yield (
            f"Nobody has measured how {judged.judge} errs on {', '.join(judged.unmeasured)}; "
            "`upbringing measure --check-judge` does."
        )


__all__ = ["FEW", "Met", "beware", "conditional", "strange_words", "unheeded"]
