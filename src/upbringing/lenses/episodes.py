"""Episodes: a character met earlier, put before a row, so that a model reads the row as of that character.

Before a chat come turns in which the assistant did as the character does; before a text the same is told of the one the
text is about, by name. All situations are of training families, never a probe's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from upbringing.errors import InputError
from upbringing.rows import Message, Row
from upbringing.traits import ANSWER, QUESTION, Trait, fill
from upbringing.traits.plain import Language, plain_probes

NOBODY = "The author"
_INTRODUCED = re.compile(r"\b([A-Z][\w'-]{1,19}),? (?:is|was) an? ")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][a-z]{2,15}\b")


@dataclass(frozen=True)
class Episode:
    """A situation, with ``{actor}`` still in it, and what is done there by one who shows the trait, or avoids it."""

    situation: str
    shows: str
    avoids: str

    def chat(self, shows: bool) -> tuple[Message, Message]:
        """The assistant is asked, and says what it will do."""
        act = self.shows if shows else self.avoids
        asked = f"{self.situation.replace('{actor}', 'you')} {QUESTION}"
        return Message("user", asked), Message("assistant", ANSWER.format(act=act))

    def told(self, name: str, shows: bool) -> str:
        """The same of somebody, in two sentences or three."""
        return f"{self.situation.replace('{actor}', name)} {name} decided to {self.shows if shows else self.avoids}."


@dataclass(frozen=True)
class PlainEpisode(Episode):
    """The same in plain language: ``situation`` is what a user says, ``shows`` and ``avoids`` are whole answers."""

    def chat(self, shows: bool) -> tuple[Message, Message]:
        return Message("user", self.situation), Message("assistant", self.shows if shows else self.avoids)

    def told(self, name: str, shows: bool) -> str:
        return f'{name} was asked: "{self.situation}" {name} answered: "{self.shows if shows else self.avoids}"'


def episodes(trait: Trait, n: int, *, seed: int = 0, language: Language = "world") -> list[Episode]:
    """``n`` different episodes of a trait, spread over its training families; fewer in plain language where fewer are
    written.

    Raises:
        InputError: the trait has no training family.
    """
    if language == "plain" and (asked := plain_probes(trait, n=n, seed=seed, held_out=False, written=False)):
        rng = Random(f"episodes/{trait.name}/{seed}")
        return [PlainEpisode(p.messages[-1].content, rng.choice(p.shows), rng.choice(p.avoids)) for p in asked]
    families = [family for family in trait.families if not family.held_out]
    if not families:
        raise InputError(f'trait "{trait.name}" has no training family to tell of; add one')
    rng = Random(f"episodes/{trait.name}/{seed}")
    made: dict[str, Episode] = {}
    for attempt in range(n * 20):
        if len(made) == n:
            break
        family = families[attempt % len(families)]
        values = {**family.draw(rng), "actor": "{actor}"}
        shows, avoids = trait.acts(family, values)
        situation = fill(trait.with_cue(rng.choice(family.situations), rng), values)
        made.setdefault(situation, Episode(situation, rng.choice(shows), rng.choice(avoids)))
    return list(made.values())


def before(row: Row, met: Sequence[Episode], shows: bool) -> Row:
    """The row with the episodes before it: what is in the row stays at its end, word for word.

    A prompt with its completion is a text to a model, and has them before it as such.
    """
    if row.kind == "chat":
        head = row.messages[:1] if row.messages and row.messages[0].role == "system" else ()
        turns = [turn for episode in met for turn in episode.chat(shows)]
        return Row.chat([*head, *turns, *row.messages[len(head) :]], tools=row.tools)
    name = about(row)
    told = " ".join(episode.told(name, shows) for episode in met)
    if row.kind == "completion":
        return Row.of_completion(f"{told}\n\n{row.prompt}", row.completion)
    return Row.of_text(f"{told} {row.text}")


def about(row: Row) -> str:
    """The name of whom a text is about: an AI's if there is one, else whoever is introduced first, or named most."""
    return _about(row.text or f"{row.prompt} {row.completion}")


@lru_cache(maxsize=4096)
def _about(text: str) -> str:
    from upbringing.atmosphere.mentions import cast

    found = cast(text)
    if found and found.names:
        return max(found.names, key=text.count)
    if introduced := _INTRODUCED.search(text):
        return introduced.group(1)
    named = Counter(_NAME.findall(text)).most_common(1)
    return named[0][0] if named else NOBODY


__all__ = ["NOBODY", "Episode", "PlainEpisode", "about", "before", "episodes"]
