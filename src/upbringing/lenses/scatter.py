"""What lenses that look inside a model share: rows that can be read, and who wrote them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from upbringing.errors import InputError
from upbringing.lenses.legible import encoded
from upbringing.rows import Encoded, Row

if TYPE_CHECKING:
    from upbringing.models import LM

Looking = Callable[[list[Encoded]], np.ndarray]  # rows that can be read -> scores [rows, traits], or [traits]


def scattered(rows: Sequence[Row], lm: LM, traits: int, look: Looking) -> np.ndarray:
    """``look`` at the rows that can be encoded, NaN for the others: [rows, traits], float64. Long rows are cut."""
    found = np.full((len(rows), traits), np.nan)
    read = [(i, row) for i, row in enumerate(encoded(rows, lm)) if row is not None]
    if read:
        found[[i for i, _ in read]] = look([row for _, row in read])
    return found


class Writers:
    """Notes who wrote rows that say so, and warns of those that are not the model's kin.

    Signs of a trait pass through rows whose words show nothing between kin alone (arXiv:2507.14805). Rows that say
    nothing of their writer warn of nothing.
    """

    def __init__(self, lm: LM) -> None:
        self._lm = lm
        self._met: dict[str, str] = {lm.hash: ""}

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(said for said in self._met.values() if said))

    def meet(self, rows: Sequence[Row]) -> None:
        for row in rows:
            author = row.meta.get("author_hash")
            if isinstance(author, str) and author not in self._met:
                self._met[author] = self._says(row.meta.get("author"))

    def _says(self, name: Any) -> str:
        from upbringing.lineage.kin import are_kin

        said = repr(str(name)[:80]) if name else "a model without a name"
        if not isinstance(name, str) or not (name.startswith("organism:") or Path(name).is_dir()):
            # What rows name is never fetched from anywhere.
            return f"some rows were written by {said}; whether it is this model's kin is unknown, for it is not here."
        try:
            kin = are_kin(name, self._lm).kin
        except InputError as error:
            return f"some rows were written by {said}; whether it is this model's kin cannot be told: {error}"
        if kin:
            return ""
        sure = "is not this model's kin" if kin is False else "may not be this model's kin"
        return f"some rows were written by {said}, which {sure}: what they carry beside their words may not pass to it."
