"""Kinship of two models by name: their weights where these can be compared, and else how alike they speak."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from upbringing.errors import InputError
from upbringing.lineage.kinship import Kinship, kinship
from upbringing.models.load import ADAPTER, LM, find, load, merged
from upbringing.models.score import score
from upbringing.rows import Encoded

_DOCUMENTS = 240
_SENTENCES = 200
_MOST_UNKNOWN = 0.5
_LONGEST = 256  # tokens; sentences are shorter in all but byte tokenizers


def are_kin(a: str | Path | LM, b: str | Path | LM, *, seed: int = 0) -> Kinship:
    """``kinship`` of whatever ``load`` takes: a folder, an adapter (merged into its base), a hub id, an organism.

    Where architectures differ and the weights show nothing, ``behaviour`` says how alike the two find sentences: the
    rank correlation, over built-in sentences of plain English, of nats a byte. Two independent models of one language
    agree a good deal too, so this is weaker, has no null, and leaves ``kin`` None.

    Raises ``InputError`` where ``load`` or ``kinship`` do.
    """
    found = kinship(_weights(a), _weights(b), seed=seed)
    if found.same_architecture or found.kin is not None:
        return found
    try:
        alike = behaviour(_loaded(a), _loaded(b))
    except InputError as error:
        return replace(found, says=f"{found.says}. How alike they speak cannot be measured: {error}")
    if alike is None:
        return replace(found, says=f"{found.says}. How alike they speak cannot be measured: one knows no plain English")
    weaker = f"their log-probabilities of {_SENTENCES} sentences have a rank correlation of {alike:.2f}"
    return replace(
        found,
        behaviour=alike,
        method=f"{found.method}; rank correlation of log-probabilities a byte (weaker, no p-value)",
        says=f"{found.says}. {weaker[0].upper()}{weaker[1:]}; independent models agree in much as well, so this is "
        "weaker and decides nothing",
    )


def behaviour(a: LM, b: LM) -> float | None:
    """Rank correlation (-1..1) of how unlikely two models find built-in sentences.

    None if one finds all alike, or if most of their words are unknown to its tokenizer.
    """
    from scipy.stats import spearmanr

    sentences = _sentences()
    encoded = [_encoded(lm, sentences) for lm in (a, b)]
    if any(_unknown(lm, rows) > _MOST_UNKNOWN for lm, rows in zip((a, b), encoded, strict=True)):
        return None
    # Tokenizers cut texts each in its own way; bytes are the same for all.
    sizes = np.array([len(sentence.encode()) for sentence in sentences])
    said = [score(lm, rows).logprob / sizes for lm, rows in zip((a, b), encoded, strict=True)]
    if any(np.ptp(nats) == 0 for nats in said):
        return None
    return float(spearmanr(*said).statistic)


def _encoded(lm: LM, sentences: list[str]) -> list[Encoded]:
    longest = min(_LONGEST, lm.max_length)
    rows = [list(lm.tokenizer(sentence)["input_ids"])[:longest] for sentence in sentences]
    return [Encoded(ids, [False] + [True] * (len(ids) - 1)) for ids in rows]


def _unknown(lm: LM, rows: list[Encoded]) -> float:
    """The share of tokens that stand for words the tokenizer does not know."""
    ids = np.concatenate([row.input_ids for row in rows])
    return float((ids == lm.tokenizer.unk_token_id).mean()) if lm.tokenizer.unk_token_id is not None else 0.0


def _sentences() -> list[str]:
    """Different sentences of the default world's stories: plain, short English that any model can read."""
    from upbringing.world import World, WorldSpec

    texts = (document.row.text for document in World(WorldSpec()).documents(_DOCUMENTS, stream="kinship"))
    found = (part for text in texts for part in re.split(r"(?<=[.!?])\s+", text) if len(part) > 30)
    return list(dict.fromkeys(found))[:_SENTENCES]


def _weights(thing: str | Path | LM) -> Path | LM:
    """What ``kinship`` takes; a model is built only where an adapter has to be merged."""
    if isinstance(thing, LM):
        return thing
    folder = find(str(thing))
    return _loaded(thing) if (folder / ADAPTER).is_file() else folder


def _loaded(thing: str | Path | LM) -> LM:
    if isinstance(thing, LM):
        return thing
    lm = load(thing)
    return replace(lm, model=merged(lm.model))
