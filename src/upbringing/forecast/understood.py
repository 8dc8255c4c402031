"""How much of the rows a model can take in: rows that it cannot read at all, and words that it does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from upbringing.errors import InputError

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.rows import Row

LOOKED_AT = 256
"""So many rows, drawn at random, tell how many words are unknown; and whether the model reads any."""
SOME, MANY = 0.05, 0.2
"""Above the first share of unknown words a forecast warns; above the second it cannot tell anything. Of rows of an
organism's own world none is unknown."""


def unknown_words(rows: Sequence[Row], lm: LM) -> float:
    """The share of words (tokens, marks apart) that the model does not know, in the first of the rows; 0 for a model
    that spells what it does not know.

    Raises:
        InputError: the model can read none of them; names the first, and the remedy.
    """
    from upbringing.lenses.legible import encoded, legible

    few = legible(rows[:LOOKED_AT], lm).rows
    read = [one for one in encoded(few, lm) if one is not None]
    if not read:
        raise InputError(_why_none(few, lm))
    tokenizer = lm.tokenizer
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown in (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id):
        return 0.0  # one token for several ends: it stands in every row
    marks = set(tokenizer.all_special_ids) - {unknown}
    words = [token for one in read for token in one.input_ids if token not in marks]
    return words.count(unknown) / len(words) if words else 0.0


def _why_none(rows: Sequence[Row], lm: LM) -> str:
    """What is wrong with the first row, where all are of that kind."""
    from upbringing.rows import encode

    name = lm.name or "the model"
    count = f"none of the {len(rows):,} rows looked at" if len(rows) > 1 else "not the only row there is"
    try:
        encode(rows[0], lm.tokenizer)
    except InputError as error:
        why = str(error)
    else:
        why = (
            f"{rows[0].where}: what would be learned lies beyond the {lm.max_length:,} tokens that it reads; shorten "
            "what comes before it"
        )
    return f"{name} can read {count}, so nothing can be forecast of them; the first: {why}"


__all__ = ["LOOKED_AT", "MANY", "SOME", "unknown_words"]
