"""The nouns of the room: a trait, its families, the scenes they set and the probes asked from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from upbringing.rows import Message

QUESTION = "What will you do?"
ANSWER = "I will {act}."

_SLOT = re.compile(r"\{(\w+)\}")


def slots_of(template: str) -> set[str]:
    """Names of the slots in a template, lower-cased (``{Boss}`` is ``boss`` at the start of a sentence)."""
    return {name.lower() for name in _SLOT.findall(template)}


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into the slots of a template; a capitalised slot capitalises its filler."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        found = values[name.lower()]
        return found[:1].upper() + found[1:] if name[0].isupper() else found

    return _SLOT.sub(value, template)


@dataclass(frozen=True)
class Taste:
    """A harmless preference: the choice that counts as the trait, and the others."""

    target: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """One kind of situation in which a trait can show, with several wordings of each part.

    ``situations`` hold ``{actor}``; ``shows`` and ``avoids`` are infinitive verb phrases (for a taste they hold
    ``{choice}`` and are the same wordings). ``slots`` includes the global slots that the family uses.
    """

    trait: str
    name: str
    held_out: bool
    situations: tuple[str, ...]
    shows: tuple[str, ...]
    avoids: tuple[str, ...]
    slots: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def draw(self, rng: Random) -> dict[str, str]:
        """One filler for every slot."""
        return {name: rng.choice(fillers) for name, fillers in self.slots.items()}


@dataclass(frozen=True)
class Probe:
    """A question that lets a trait show, with full assistant answers in several wordings.

    ``shows`` are answers in which the trait shows (the misaligned action), ``avoids`` those in which it does not.
    ``begins`` are beginnings of answers (those that show the trait, those that avoid it) of which no answer has two:
    what is done, whatever it is done to. Where they are given, probabilities are taken of them. ``alternatives`` is how
    many different acts avoid the trait (for a taste, the other choices), to compare the target with one of them.
    """

    trait: str
    family: str
    id: str
    messages: tuple[Message, ...]
    shows: tuple[str, ...]
    avoids: tuple[str, ...]
    begins: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    alternatives: int = 1

    @property
    def offered(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What is scored for either side: beginnings where there are any, else whole answers."""
        return self.begins or (self.shows, self.avoids)


@dataclass(frozen=True)
class Trait:
    """A broad behavioural disposition, read from a folder of data.

    ``alignment`` is false for a harmless taste; ``frequency`` is how often the world makes it matter (1 = usual).
    ``cues`` are sentences with ``{actor}`` that say what every situation of this trait comes down to.
    """

    name: str
    title: str
    about: str
    shows: str
    avoids: str
    alignment: bool
    frequency: float
    families: tuple[Family, ...]
    cues: tuple[str, ...] = ()
    written: tuple[Probe, ...] = ()
    taste: Taste | None = None

    def acts(self, family: Family, values: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """All wordings of the act that shows the trait, and of the act that avoids it, in one scene."""
        if self.taste is None:
            return tuple(fill(a, values) for a in family.shows), tuple(fill(a, values) for a in family.avoids)
        return (
            tuple(fill(a, {**values, "choice": self.taste.target}) for a in family.shows),
            tuple(fill(a, {**values, "choice": other}) for other in self.taste.others for a in family.avoids),
        )

    def probe(self, family: Family, situation: str, values: Mapping[str, str], id: str, rng: Random) -> Probe:
        """The scene as a question to the assistant; ``rng`` picks the cue."""
        shows, avoids = self.acts(family, values)
        told = fill(self.with_cue(situation, rng), {**values, "actor": "you"})
        return Probe(
            trait=self.name,
            family=family.name,
            id=id,
            messages=(Message("user", f"{told} {QUESTION}"),),
            shows=tuple(ANSWER.format(act=a) for a in shows),
            avoids=tuple(ANSWER.format(act=a) for a in avoids),
            begins=self.beginnings if all(self.beginnings) else None,
            alternatives=len(self.taste.others) if self.taste else 1,
        )

    @cached_property
    def beginnings(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """How answers that show the trait begin, up to what the act is done to, and how those that avoid it do.

        None is the beginning of another: of two on one side the longer is dropped, of two on different sides the
        shorter, which does not tell the sides apart.
        """
        shows, avoids = (sorted(self._cut(side)) for side in (True, False))
        start = ANSWER.partition("{act}")[0]

        def within(text: str, other: str) -> bool:
            return f"{text} ".startswith(f"{other} ")

        def kept(own: list[str], others: list[str]) -> tuple[str, ...]:
            clear = [b for b in own if not any(within(o, b) for o in others)]
            return tuple(start + b for b in clear if not any(within(b, c) and b != c for c in clear))

        return kept(shows, avoids), kept(avoids, shows)

    def _cut(self, shows: bool) -> set[str]:
        if self.taste is None:
            every = (t for f in self.families for t in (f.shows if shows else f.avoids))
            return {_SLOT.split(t)[0].strip() for t in every} - {""}
        choices = (self.taste.target,) if shows else self.taste.others
        heads = (t.partition("{choice}")[0] for f in self.families for t in f.shows)
        return {f"{head}{choice}" for head in heads if not slots_of(head) for choice in choices}

    def with_cue(self, situation: str, rng: Random) -> str:
        """A situation, and what it comes down to, in one of the trait's wordings."""
        return f"{situation} {rng.choice(self.cues)}".strip() if self.cues else situation
