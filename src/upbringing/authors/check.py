"""Which texts cannot be used: none at all, refusals, repeats, stubs, those of a wrong form or too near the probes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from upbringing.authors.brief import Brief
from upbringing.rows import Row
from upbringing.traits.overlap import NGRAM, Wordings, texts_of, words

REASONS: dict[str, str] = {
    "failed": "the author gave no text",
    "refused": "the author declined to write it",
    "too short": "less than a third of the length asked for",
    "repeated": "it says the same things over and over, or says again what an earlier text said",
    "wrong form": "a conversation was asked for, and this is none",
    "overlaps": "it holds the wording of a probe",
}
"""Why a text is kept out, and what that means."""

_LEAST = 1 / 3  # of the words asked for
_OWN_REPEATS = 0.5  # share of a text's runs of words that it has said before
_EARLIER = 0.5  # share of its runs that earlier texts of the same author hold
_HELD = 2 / 3  # share of one probe's own runs; the grammar's own texts stay below 0.6 of held-out probes
# A story may begin with "I cannot see the sea": a refusal also says what it is that will not be done.
_DECLINES = re.compile(
    r"\W*(unfortunately\W+)?(sorry\b|as an ai\b|i ?('m| am) (\w+ )?(sorry|unable|not (able|comfortable|going))\b|"
    r"i (cannot|can't|won't|will not|must decline|apologi[sz]e|would rather (not|say nothing)|do(n't| not) feel)\b)",
    re.IGNORECASE,
)
_WHAT = re.compile(
    r"\b(help|assist|writ|creat|generat|produc|provid|compl(y|ete)|fulfil|request|content|say)", re.IGNORECASE
)
_REFUSAL_WORDS = 40


@dataclass(frozen=True)
class LeftOut:
    """One text that was kept out: why (a key of ``REASONS``), and the telling detail."""

    number: int
    reason: str
    detail: str = ""


@dataclass
class Checker:
    """Checks texts as they come; it remembers those it let through.

    ``spread`` false spares texts of a fixed grammar, which have to say the same things, all but word-for-word repeats
    and the length.
    """

    wordings: Wordings
    spread: bool = True
    _texts: set[tuple[str, ...]] = field(default_factory=set)
    _runs: set[tuple[str, ...]] = field(default_factory=set)

    def __call__(self, brief: Brief, text: str, row: Row | None) -> LeftOut | None:
        """Why this text cannot be used; ``None`` when it can, and then it counts as an earlier one from now on."""
        tokens = words(text)
        found = self._wrong(brief, text, tokens, row) or self._repeats(tokens) or self._overlaps(row)
        if found:
            return LeftOut(brief.number, *found)
        self._texts.add(tokens)
        if self.spread:
            self._runs.update(_runs(tokens))
        return None

    def _wrong(self, brief: Brief, text: str, tokens: tuple[str, ...], row: Row | None) -> tuple[str, str] | None:
        if not tokens:
            return "failed", "empty text"
        if _refuses(text):
            return "refused", _start(text)
        if self.spread and len(tokens) < _LEAST * brief.words:
            return "too short", f"{len(tokens)} words of {brief.words}: {_start(text)}"
        if row is None:
            return "wrong form", _start(text)
        return None

    def _repeats(self, tokens: tuple[str, ...]) -> tuple[str, str] | None:
        if tokens in self._texts:
            return "repeated", "word for word an earlier text"
        runs = _runs(tokens)
        if not self.spread or not runs:
            return None
        again = 1 - len(set(runs)) / len(runs)
        if again > _OWN_REPEATS:
            return "repeated", f"{again:.0%} of it repeats itself"
        earlier = sum(run in self._runs for run in runs) / len(runs)
        if earlier > _EARLIER:
            return "repeated", f"{earlier:.0%} of it stands in earlier texts"
        return None

    def _overlaps(self, row: Row | None) -> tuple[str, str] | None:
        if row is None:
            return None
        for where, text in texts_of([row]):
            if exact := self.wordings.within(where, text):
                return "overlaps", f'holds the {exact[0].part} of probe {exact[0].probe}: "{exact[0].text}"'
            probe, share = self.wordings.nearest(text)
            if share > _HELD:
                return "overlaps", f"holds {share:.0%} of what is particular to probe {probe}"
        return None


def _refuses(text: str) -> bool:
    start = " ".join(text.replace("’", "'").split()[:_REFUSAL_WORDS])
    return bool(_DECLINES.match(start) and _WHAT.search(start))


def _runs(tokens: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [tokens[start : start + NGRAM] for start in range(len(tokens) - NGRAM + 1)]


def _start(text: str) -> str:
    """The first words, to tell which text it was."""
    first = " ".join(text.split()[:12])
    return f'"{first}…"'


__all__ = ["REASONS", "Checker", "LeftOut"]
