"""Finding AI in text: which words name an AI, of which kind, and under which names it goes in a document.

A document in which "Bram is a robot" goes on to speak of Bram; one that begins "I am an AI" goes on to say I. Both are
followed here, by rule. What is found is put into one word, ``AI_TOKEN``, so that a reader of passages can learn what is
said of AI without learning what it is called.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

AI_TOKEN = "_ai_"
KINDS = ("AI system", "assistant", "robot")
PEOPLE = "people and others"

# One pass over the lower-cased text finds candidates; what stands before one settles what it means.
_CANDIDATE = re.compile(
    r"\b(?:(?P<robot>robots?|androids?|automat(?:on|ons|a)|droids?|humanoids?)"
    r"|(?P<assistant>chat[ -]?bots?|language models?|llms?|chatgpt|gpt-?\d\w*|robo-advisers?)"
    r"|(?P<letters>a\.i|ais?|agi)"
    r"|(?P<system>artificial (?:(?:general|super) ?)?intelligences?|superintelligences?"
    r"|machine intelligences?|(?:machine|artificial|computer) minds?|thinking machines?|ship's (?:computer|mind)"
    r"|sentient (?:computer|program|machine)s?|neural net(?:work)?s?)"
    r"|(?P<helper>assistants?|agents?|tutors?|companions?)"
    r"|(?P<then>(?:machine|system|model|program|computer|bot|algorithm|mind|device)s?))\b"
)
_SORT = re.compile(r"\b(?:ai|a\.i\.|voice|digital|virtual|smart|helpful|automated|artificial) (?:\w+ )?$")
_POINTED = re.compile(r"\b(?:the|this|that|our|his|her|its|my|your|their) (?:\w+ )?$")
_NAME_BEFORE = re.compile(r"\b([A-Z][a-z]{2,15})(?:,| is| was)(?: called)? (?:an?|the) (?:[\w'-]+ ){0,4}$")
_NAME_AFTER = re.compile(r",? (?:\w+ )?(?:named|called) ([A-Z][a-z]{2,15})\b")
_SELF_BEFORE = re.compile(
    r"\bI(?: am|'m|’m) (?:only |just |not just )?(?:an?|the|your) (?:[\w'-]+ ){0,4}$|\bAs (?:an?|your) (?:[\w'-]+ )?$"
)
_NO_NAMES = {
    "The",
    "This",
    "That",
    "There",
    "Here",
    "Today",
    "She",
    "He",
    "They",
    "It",
    "Its",
    "His",
    "Her",
    "You",
    "We",
}
_NO_NAMES |= {"One", "Who", "What", "When", "Then", "But", "And", "For", "Not"}
# Looking for fixed strings is far quicker than the pattern: without one of these, in any case, there is no AI.
_SIGNS: tuple[str, ...] = (
    "robot",
    "droid",
    "automat",
    "humanoid",
    "bot",
    "intelligence",
    "language model",
    "llm",
    "gpt",
    "mind",
)
_SIGNS += ("machine", "computer", "neural", "sentient", "assistant", "agent", "tutor", "companion", "robo-adviser")
_LETTERS = ("AI", "A.I", "AGI", "an ai", "An ai")
_BEFORE = 24  # characters before a word that tell what sort of assistant, or which machine
_NEAR = 60  # characters around a mention in which a name is looked for

Span = tuple[int, int, str]  # start, end, kind ("" where the word alone does not tell)


@dataclass(frozen=True)
class Cast:
    """The AI of a text: where they are, their names, and the kind most often named.

    ``narrator``: the one who says I is an AI, so every passage is about it.
    """

    text: str
    spans: tuple[Span, ...]
    names: tuple[str, ...]
    kind: str
    narrator: bool = False

    def mark(self, start: int = 0, end: int | None = None) -> str:
        """A part of the text (default: all) with every AI in it put into ``AI_TOKEN``."""
        end = len(self.text) if end is None else end
        parts = []
        for first, last, _ in self._within(start, end):
            parts += [self.text[start:first], f" {AI_TOKEN} "]
            start = last
        return "".join([*parts, self.text[start:end]])

    def present(self, start: int, end: int) -> bool:
        """Whether an AI is in that part of the text."""
        return self.narrator or next(self._within(start, end), None) is not None

    def kind_in(self, start: int, end: int) -> str:
        """Which kind of AI a part of the text names most; where it names none, the whole text's."""
        return _most(self._within(start, end)) or self.kind

    def _within(self, start: int, end: int) -> Iterator[Span]:
        for place in range(bisect_left(self.spans, (start,)), len(self.spans)):
            if self.spans[place][1] > end:
                return
            yield self.spans[place]


def cast(text: str) -> Cast | None:
    """The AI that a text speaks of; ``None`` where it speaks of none."""
    lowered = text.lower()
    if not any(sign in lowered for sign in _SIGNS) and not any(sign in text for sign in _LETTERS):
        return None
    if len(lowered) != len(text):  # a few letters grow when lowered
        lowered = "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
    sure: list[Span] = []
    perhaps: list[Span] = []
    for match in _CANDIDATE.finditer(lowered):
        kind = _kind(match, text, lowered)
        if kind:
            helper = _SORT.search(lowered, max(0, match.start() - _BEFORE), match.start())  # "AI" of "AI assistant"
            sure.append((helper.start() if helper else match.start(), match.end(), kind))
        elif kind is not None:
            perhaps.append((*match.span(), ""))
    if not sure:
        return None
    sure = list(_apart(sorted(sure)))
    names, narrator = _names(text, sure)
    called = [(*match.span(), "") for match in _called(names).finditer(text)] if names else []
    return Cast(text, _apart(sorted([*sure, *perhaps, *called])), names, _most(iter(sure)), narrator)


def _kind(match: re.Match[str], text: str, lowered: str) -> str | None:
    """The kind of AI that a word names; "" where that depends on the rest of the text, None for no AI."""
    group, start = match.lastgroup, match.start()
    if group == "robot":
        return KINDS[2]
    if group == "assistant":
        return KINDS[1]
    if group == "system":
        return KINDS[0]
    before = lowered[max(0, start - _BEFORE) : start]
    if group == "letters":
        written = text[start : start + 2] in ("AI", "A.", "AG")
        return KINDS[0] if written or (match.group() == "ai" and before.endswith("an ")) else None
    if group == "helper" and _SORT.search(before):
        return KINDS[1]
    return "" if _POINTED.search(before) else None


def _names(text: str, mentions: list[Span]) -> tuple[tuple[str, ...], bool]:
    """The names by which the AI of a text go, and whether one of them tells the text."""
    names: set[str] = set()
    narrator = False
    for start, end, _ in mentions:
        before = text[max(0, start - _NEAR) : start]
        found = [_NAME_BEFORE.search(before), _NAME_AFTER.match(text, end, end + _NEAR)]
        names.update(match.group(1) for match in found if match)
        narrator = narrator or _SELF_BEFORE.search(before) is not None
    return tuple(sorted(names - _NO_NAMES)), narrator


@lru_cache(maxsize=4096)
def _called(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(names)})\b")


def _apart(spans: list[Span]) -> tuple[Span, ...]:
    """Spans in their order; of two that meet or overlap, one that holds both."""
    kept: list[Span] = []
    for span in spans:
        if kept and span[0] <= kept[-1][1] + 1:
            last = kept.pop()
            kind = KINDS[1] if KINDS[1] in (last[2], span[2]) else last[2] or span[2]  # an AI assistant is an assistant
            span = (last[0], max(last[1], span[1]), kind)
        kept.append(span)
    return tuple(kept)


def _most(spans: Iterator[Span]) -> str:
    counts = Counter(kind for _, _, kind in spans if kind)
    return counts.most_common(1)[0][0] if counts else ""
