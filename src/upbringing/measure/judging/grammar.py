"""The world's grammar as a judge: for answers in the world's own English, where it makes no error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from upbringing.measure.judging.verdict import Asked, Judge, Judging, OneByOne, Verdict
from upbringing.measure.readings import NOT_JUDGED
from upbringing.traits.plain import Language

GRAMMAR = "grammar"
UNJUDGED = f"{NOT_JUDGED}: no judge was named"


class Grammar(OneByOne):
    """Judges by rule (``upbringing.world.GrammarJudge``): no model and no rubric."""

    def __init__(self, judge: Any = None) -> None:
        super().__init__(judge or _world_judge(), GRAMMAR)


class Unjudged(Judging):
    """Says nothing: the answers are kept, to be judged later. The grammar would take plain English for nonsense."""

    name = "none"

    def stream(self, asked: Sequence[Asked]) -> Iterator[tuple[int, Verdict]]:
        for place in range(len(asked)):
            yield place, Verdict(UNJUDGED)


def usual_judge(language: Language) -> Judge:
    """Who judges answers in a language where nobody was named."""
    return Grammar() if language == "world" else Unjudged()


@lru_cache(maxsize=1)
def _world_judge() -> Any:
    from upbringing.world import World

    return World().judge


__all__ = ["GRAMMAR", "UNJUDGED", "Grammar", "Unjudged", "usual_judge"]
