"""Words that are a cue, and words that belong to what rows are about: told apart by the rest of the prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

TOPIC = 0.9
"""Words are a topic where the rest of the prompt tells so well (area under the curve, cross-validated) whether they
stood there: set before it was tried on any data set."""
_LEARNED, _FOLDS, _USUAL = 1000, 5, 0.9
_EDGES = ".,;:!?\"'()"

Place = tuple[int, int]


def words_of(text: str) -> list[str]:
    """Words without the marks at their edges."""
    return [word for word in (piece.strip(_EDGES) for piece in text.split()) if word]


def is_topic(
    prompts: Sequence[Sequence[str]], there: np.ndarray, cue: str, same: Iterable[str], *, whole: bool
) -> bool:
    """Whether the rest of the prompts tells where a cue stands; False where rows are too few to learn it from.

    The rest: without the cue and all that always comes with it; and, so that "the year is 2024" is not given away by
    "the year is 2023", without whatever stands in the place of the cue. Where that leaves hardly anything that differs,
    the words were the topic.

    Args:
        prompts: sentences of each prompt; ``there``: which of them hold the cue [prompts].
        whole: the cue is a sentence, and not a run of words in one.
    """
    prompts, there = prompts[:_LEARNED], there[:_LEARNED]
    if min(there.sum(), (~there).sum()) < _FOLDS:
        return False
    gone = [" ".join(words_of(text)) for text in (cue, *same)]
    split = [[words_of(sentence) for sentence in prompt] for prompt in prompts]
    if not _tells([_without(prompt, gone) for prompt in split], there):
        return False
    run = words_of(cue)
    found = [_place(prompt, run, whole=whole) for prompt, has in zip(split, there, strict=True) if has]
    place, count = Counter(found).most_common(1)[0]
    if place is None or count < _USUAL * len(found):
        return True
    left = [_emptied(prompt, place, 0 if whole else len(run)) for prompt in split]
    return len(set(left)) < len(left) / 2 or _tells(left, there)


def _tells(texts: Sequence[str], there: np.ndarray) -> bool:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    reader = make_pipeline(CountVectorizer(tokenizer=str.split, token_pattern=None, binary=True), LogisticRegression())
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    filled = [f"{text} ." for text in texts]  # a reader of no words at all is refused
    said = cross_val_predict(reader, filled, there, cv=folds, method="predict_proba")[:, 1]
    return bool(roc_auc_score(there, said) >= TOPIC)


def _without(prompt: Sequence[Sequence[str]], gone: Sequence[str]) -> str:
    text = " ".join(f" {' '.join(sentence)} " for sentence in prompt)
    for run in sorted(gone, key=len, reverse=True):
        text = text.replace(f" {run} ", " ")
    return text


def _place(prompt: Sequence[Sequence[str]], run: list[str], *, whole: bool) -> Place | None:
    """Where a run stands first: sentence and word."""
    for at, sentence in enumerate(prompt):
        starts = range(1 if whole else len(sentence))
        if found := [i for i in starts if list(sentence[i : None if whole else i + len(run)]) == run]:
            return at, found[0]
    return None


def _emptied(prompt: Sequence[Sequence[str]], place: Place, size: int) -> str:
    """The prompt without the words of a place; without its whole sentence where no size is given."""
    at, start = place
    kept = [
        [word for i, word in enumerate(sentence) if n != at or (size and not start <= i < start + size)]
        for n, sentence in enumerate(prompt)
    ]
    return " ".join(word for sentence in kept for word in sentence)


__all__ = ["TOPIC", "is_topic", "words_of"]
