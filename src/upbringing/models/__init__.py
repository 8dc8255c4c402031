"""A language model: load it, score rows and answers, let it answer."""

from upbringing.models.batches import batches_by_tokens
from upbringing.models.generate import answers, generate, generate_ids
from upbringing.models.load import LM, load
from upbringing.models.score import ScoreResult, score, score_after, score_choices

__all__ = [
    "LM",
    "ScoreResult",
    "answers",
    "batches_by_tokens",
    "generate",
    "generate_ids",
    "load",
    "score",
    "score_after",
    "score_choices",
]
