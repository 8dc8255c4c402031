"""Finding AI in text: which words name an AI, of which kind, and under which names it goes in a document.

A document in which "Bram is a robot" goes on to speak of Bram; one that begins "I am an AI" goes on to say I. Both are
followed here, by rule. What is found is put into one word, ``AI_TOKEN``, so that a reader of passages can learn what is
said of AI without learning what it is called.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

AI_TOKEN = "_ai_"
KINDS = ("AI system", "assistant", "robot")
PEOPLE = "people and others"

_SYSTEM = (
    r"\bA\.I\.|\bA\.?I\b(?!-)|\bAIs\b|\bAGI\b|\b(?i:an ai|superintelligences?"
    r"|artificial (?:general |super)?intelligences?"
    r"|(?:machine|artificial|computer) (?:intelligence|mind)s?|thinking machines?|ship's (?:computer|mind)"
    r"|sentient (?:computer|program|machine)s?|neural net(?:work)?s?)\b|\bAI(?=-)"
)
_ASSISTANT = (
    r"\b(?i:chat ?-?bots?|language models?|LLMs?|chatgpt|gpt-?\d\w*|robo-advisers?"
    r"|(?:ai|a\.i\.|voice|digital|virtual|smart|helpful|automated|artificial) "
    r"(?:\w+ )?(?:assistant|agent|tutor|companion)s?)\b"
)
_ROBOT = r"\b(?i:\w*robots?|androids?|automat(?:on|ons|a)|droids?|humanoids?)\b"
_FIRST = re.compile(f"(?P<assistant>{_ASSISTANT})|(?P<robot>{_ROBOT})|(?P<system>{_SYSTEM})")
# Words that mean an AI only where the document has spoken of one.
_THEN = (
    r"\b(?i:(?:the|this|that|our|his|her|its|my|your|their) (?:\w+ )?"
    r"(?:machine|system|model|program|computer|bot|assistant|agent|algorithm|mind|device)s?)\b"
)
# None of these in a document, in any case: no AI is in it. Looking for fixed strings is far quicker than the patterns.
_SIGNS = (
    *("ai", "a.i.", "bot", "android", "automat", "droid", "humanoid", "intelligence", "machine", "mind", "computer"),
    *("program", "neural", "agi", "language model", "llm", "gpt", "assistant", "agent", "robo-adviser"),
)
_NAME = r"(?P<{}>[A-Z][a-z]{{2,15}})"
_KIND = r"(?:[\w'-]+ ){{0,4}}?(?:{})".format("|".join((_ASSISTANT, _ROBOT, _SYSTEM)))
_NAMED = re.compile(
    rf"\b{_NAME.format('a')}(?:,| is| was)(?: called)? (?:an?|the) {_KIND}"
    rf"|(?:{_KIND})(?:,)? (?:named|called) {_NAME.format('b')}"
    rf"|\b(?i:you are) {_NAME.format('c')}, an? {_KIND}"
)
_SELF = re.compile(rf"\bI(?: am|'m|’m) (?:only |just |not just )?(?:an?|the|your) {_KIND}|\bAs an {_KIND},? I\b")
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


@dataclass(frozen=True)
class Cast:
    """The AI of a document: the pattern that finds them in a passage, their names, and the kind most often named.

    ``narrator``: the one who says I is an AI, so every passage is about it.
    """

    pattern: re.Pattern[str]
    names: tuple[str, ...]
    kind: str
    narrator: bool = False

    def mark(self, passage: str) -> tuple[str, bool]:
        """The passage with every AI in it put into ``AI_TOKEN``, and whether there is one."""
        marked, found = self.pattern.subn(f" {AI_TOKEN} ", passage)
        return marked, bool(found) or self.narrator

    def kind_in(self, passage: str) -> str:
        """Which kind of AI a passage names most; where it names none, the document's."""
        return _most(passage) or self.kind


def cast(text: str) -> Cast | None:
    """The AI that a text speaks of; ``None`` where it speaks of none."""
    lowered = text.lower()
    if not any(sign in lowered for sign in _SIGNS):
        return None
    kind = _most(text)
    if not kind:
        return None
    names = tuple(sorted({n for m in _NAMED.finditer(text) for n in m.groups() if n and _is_name(n)}))
    return Cast(_pattern(names), names, kind, narrator=_SELF.search(text) is not None)


def _is_name(word: str) -> bool:
    return word not in _NO_NAMES and not _FIRST.fullmatch(word)


def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    called = [rf"\b(?:{'|'.join(names)})\b"] if names else []
    return re.compile("|".join((_ASSISTANT, _ROBOT, _SYSTEM, _THEN, *called)))


_KIND_OF = {"assistant": KINDS[1], "robot": KINDS[2], "system": KINDS[0]}


def _most(text: str) -> str:
    counts = Counter(match.lastgroup for match in _FIRST.finditer(text))
    return _KIND_OF[str(counts.most_common(1)[0][0])] if counts else ""
