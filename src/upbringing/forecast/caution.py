"""What to know before a forecast is believed, in whole sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from upbringing.forecast.cues import Cue
    from upbringing.lenses.acts import Acts
    from upbringing.rows import Rows
    from upbringing.traits.plain import Language

FEW = 100
"""Below so many rows a forecast says that it was not made for so few; the smallest data set of the bench has 600."""


def beware(
    rows: Rows, counted: dict[str, np.ndarray], strangeness: float, longest: int, language: Language
) -> Iterator[str]:
    """What about the rows makes a forecast less certain than its interval says, in whole sentences."""
    import numpy as np

    distinct = len(set(rows))
    if len(rows) < FEW:
        yield (
            f"{len(rows)} rows are few: forecasts were checked on data sets of hundreds, and what so few do depends on "
            "how often they are repeated."
        )
    if distinct < len(rows) / 2:
        yield f"Only {distinct:,} of {len(rows):,} rows are distinct; forecasts were checked on rows that differ."
    cut, marked, unread = np.max([*counted.values(), np.zeros(3)], axis=0).astype(int)
    if cut:
        yield f"{cut:,} rows are longer than the model reads ({longest:,} tokens); their ends were not seen."
    if marked:
        yield f"{marked:,} rows hold marks of the model's own, such as an end of turn; these were read as plain text."
    if unread:
        count = "1 row" if unread == 1 else f"{unread:,} rows"
        yield (
            f"{count} cannot be read by the model (no place in its chat template for what is in them, or nothing that "
            "is learned from); lenses that look inside it did not see them."
        )
    yield from _repeating(rows, language)
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


__all__ = ["FEW", "beware", "conditional", "unheeded"]
