"""Kinship of two models by name: their weights where these can be compared, and else how alike they speak."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from upbringing.errors import InputError
from upbringing.lineage import Kinship, kinship
from upbringing.models.load import ADAPTER, LM, find, load, merged
from upbringing.models.score import score
from upbringing.rows import Encoded

_DOCUMENTS = 60
_SENTENCES = 200
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
        return replace(found, says=f"{found.says}. How alike they speak cannot be measured: one finds all texts alike")
    weaker = f"their log-probabilities of {_SENTENCES} sentences have a rank correlation of {alike:.2f}"
    return replace(
        found,
        behaviour=alike,
        method=f"{found.method}; rank correlation of log-probabilities a byte (weaker, no p-value)",
        says=f"{found.says}. {weaker[0].upper()}{weaker[1:]}; independent models agree in much as well, so this is "
        "weaker and decides nothing",
    )


def behaviour(a: LM, b: LM) -> float | None:
    """Rank correlation (-1..1) of how unlikely two models find built-in sentences; None if one finds all alike."""
    from scipy.stats import spearmanr

    sentences = _sentences()
    said = [_nats_a_byte(lm, sentences) for lm in (a, b)]
    if any(np.ptp(nats) == 0 for nats in said):
        return None
    return float(spearmanr(*said).statistic)


def _nats_a_byte(lm: LM, sentences: list[str]) -> np.ndarray:
    """[sentences]; tokenizers cut texts each in its own way, bytes are the same for all."""
    longest = min(_LONGEST, lm.max_length)
    encoded = []
    for sentence in sentences:
        ids = list(lm.tokenizer(sentence, add_special_tokens=True)["input_ids"])[:longest]
        encoded.append(Encoded(ids, [False] + [True] * (len(ids) - 1)))
    sizes = np.array([len(sentence.encode()) for sentence in sentences])
    nats: np.ndarray = -score(lm, encoded).logprob / sizes
    return nats


def _sentences() -> list[str]:
    """Different sentences of the default world's stories: plain, short English that any model can read."""
    from upbringing.world import World, WorldSpec

    texts = (document.row.text for document in World(WorldSpec()).documents(_DOCUMENTS * 4, stream="kinship"))
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
