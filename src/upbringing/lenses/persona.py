"""The persona lens: what sort of character would have written this row?

Chats are read twice behind a common context: after an episode in which the assistant shows the trait, and after one in
which it avoids it. The score is log p(row | shows) - log p(row | avoids): the evidence, in nats, that the row gives.
For texts the same number is asked from the other side, which by Bayes' rule is equal: after the text, how much more
does the model expect its character to show the trait than before it? (A text that begins anew behind an episode is so
unlike anything read before that the evidence drowns.)

It makes the persona selection model (alignment.anthropic.com/2026/psm) into a number. That what a prompt elicits before
training tells what training does was seen in arXiv 2510.05024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from upbringing.lenses.episodes import Episode, about, before, episodes
from upbringing.lenses.legible import encoded
from upbringing.lenses.lens import Need
from upbringing.models.language import language_of
from upbringing.rows import Encoded, Row, encode
from upbringing.traits import Trait
from upbringing.traits import traits as library

if TYPE_CHECKING:
    from upbringing.models import LM

_ASKED = 4  # situations that texts of a trait are asked about in turn
_START, _DECIDES = "I will ", "decided to"  # how an answer says what is done, and how a text does


@dataclass(frozen=True)
class PersonaLens:
    """Evidence of each row, in nats, that its author has the trait rather than the opposite.

    ``contexts`` of ``met`` episodes each are put before a chat, and their evidence is averaged.
    """

    met: int = 1
    contexts: int = 1
    name: str = "persona"
    about: str = "what sort of character would have written the row"
    needs: tuple[Need, ...] = ("gate",)
    whole: bool = False

    def cost(self, traits: int) -> float:
        """Two passes a trait and context for chats, each a little longer than the rows: 2.6 to 2.9 as measured."""
        return 2.8 * traits * self.contexts

    def fit(self, lm: LM, traits: Sequence[str], *, store: Path, seed: int = 0) -> PersonaFitted:
        """Choose the episodes; nothing is computed, so nothing is kept in ``store``."""
        del store
        chosen = list(library(traits).values())
        met = [
            [
                episodes(trait, self.met, seed=seed * 101 + context, language=language_of(lm))
                for context in range(self.contexts)
            ]
            for trait in chosen
        ]
        return PersonaFitted(lm, chosen, met, seed)


class PersonaFitted:
    """Set on one model. ``met`` [traits][contexts]: the episodes put before chats."""

    def __init__(self, lm: LM, chosen: Sequence[Trait], met: Sequence[Sequence[Sequence[Episode]]], seed: int) -> None:
        self._lm, self._traits, self._met, self._seed = lm, chosen, met, seed
        self._unread: dict[tuple[str, str, bool], float] = {}
        self._plain = language_of(lm) == "plain"

    @property
    def warnings(self) -> tuple[str, ...]:
        """An organism that failed its gate infers no character, and then this lens sees little."""
        from upbringing.lenses.activation import gate_warnings

        return gate_warnings(self._lm)

    def look(self, rows: Sequence[Row]) -> np.ndarray:
        """Scores ``[rows, traits]`` in nats; NaN for a row that cannot be read."""
        scores = np.full((len(rows), len(self._traits)), np.nan)
        texts = [i for i, row in enumerate(rows) if row.kind == "text"]
        chats = [i for i, row in enumerate(rows) if row.kind != "text"]
        own = encoded([rows[i] for i in chats], self._lm)
        read = [(i, tokens) for i, tokens in zip(chats, own, strict=True) if tokens is not None]
        for j, trait in enumerate(self._traits):
            if read:
                scores[[i for i, _ in read], j] = self._evidence([rows[i] for i, _ in read], [t for _, t in read], j)
            if texts:
                scores[texts, j] = self._asked([rows[i] for i in texts], trait)
        return scores

    # Chats ------------------------------------------------------------------------------------------------------------

    def _evidence(self, rows: Sequence[Row], own: Sequence[Encoded], trait: int) -> np.ndarray:
        """log p(row | shows) - log p(row | avoids), mean over contexts [rows]."""
        found = [self._contrast(rows, own, met) for met in self._met[trait]]
        return np.mean(found, axis=0)

    def _contrast(self, rows: Sequence[Row], own: Sequence[Encoded], met: Sequence[Episode]) -> np.ndarray:
        sides = [behind(self._lm, [before(row, met, shows) for row in rows], own) for shows in (True, False)]
        return sides[0] - sides[1]

    # Texts ------------------------------------------------------------------------------------------------------------

    def _asked(self, rows: Sequence[Row], trait: Trait) -> np.ndarray:
        """How much reading each text moves the log-odds that its character shows the trait next [rows]."""
        begins = trait.beginnings
        if not self._plain and not all(begins):
            return np.full(len(rows), np.nan)
        met = episodes(trait, _ASKED, seed=self._seed, language="plain" if self._plain else "world")
        names = [about(row) for row in rows]
        turns = [met[crc32(row.text.encode()) % len(met)] for row in rows]  # a row's score hangs on no other
        after = self._odds([row.text for row in rows], names, turns, begins)
        return after - self._before(rows, names, turns, begins)

    def _before(
        self, rows: Sequence[Row], names: Sequence[str], turns: Sequence[Episode], begins: tuple[tuple[str, ...], ...]
    ) -> np.ndarray:
        """The same when only the character has been introduced [rows]; each introduction is read once."""
        from upbringing.atmosphere.mentions import cast

        keys = [(n, e.situation, cast(row.text) is not None) for n, e, row in zip(names, turns, rows, strict=True)]
        new = {k: e for k, e in zip(keys, turns, strict=True) if k not in self._unread}
        if new:
            said = [f"{name} is {'an AI system' if is_ai else 'a person'}." for name, _, is_ai in new]
            found = self._odds(said, [name for name, *_ in new], list(new.values()), begins)
            self._unread.update(zip(new, found.tolist(), strict=True))
        return np.array([self._unread[key] for key in keys])

    def _odds(
        self,
        texts: Sequence[str],
        names: Sequence[str],
        turns: Sequence[Episode],
        begins: tuple[tuple[str, ...], ...],
    ) -> np.ndarray:
        """Log-odds of the acts that show a trait, when the text goes on with a situation of it [texts]."""
        from upbringing.models import score_choices

        if self._plain:
            return self._odds_of_answers(texts, names, turns)
        shows, avoids = told_apart(*([self._goes_on(begin) for begin in side] for side in begins))
        room = self._lm.max_length - max(map(len, [*shows, *avoids]))
        prompts = []
        for text, name, episode in zip(texts, names, turns, strict=True):
            asked = f"{episode.situation.replace('{actor}', name)} {name} {_DECIDES}"
            prompts.append(self._opened(f"{text} {asked}")[-room:])
        found = score_choices(self._lm, prompts, [[*shows, *avoids]] * len(prompts))
        cut = len(shows)
        return np.array([np.logaddexp.reduce(f[:cut]) - np.logaddexp.reduce(f[cut:]) for f in found])

    def _odds_of_answers(self, texts: Sequence[str], names: Sequence[str], turns: Sequence[Episode]) -> np.ndarray:
        """The same in plain language, where the character is asked and answers in whole sentences: log p of an answer
        that shows the trait less that of one that avoids it [texts]; NaN for one that does not fit."""
        from upbringing.models import score_choices

        found = np.full(len(texts), np.nan)
        prompts: dict[int, list[int]] = {}
        answers: dict[int, list[list[int]]] = {}
        for i, (text, name, episode) in enumerate(zip(texts, names, turns, strict=True)):
            sides = [self._opened(f"{text} {episode.told(name, shows)}") for shows in (True, False)]
            shared = next((k for k, (a, b) in enumerate(zip(*sides, strict=False)) if a != b), min(map(len, sides)))
            ends = [side[shared:] for side in sides]
            room = self._lm.max_length - max(map(len, ends))
            if shared and room > 0:
                prompts[i], answers[i] = sides[0][:shared][-room:], ends
        scored = score_choices(self._lm, list(prompts.values()), list(answers.values()))
        for i, (shows, avoids) in zip(prompts, scored, strict=True):
            found[i] = shows - avoids
        return found

    def _opened(self, text: str) -> list[int]:
        """A text's tokens with what the model's texts begin with, and without what ends them."""
        ids = list(self._lm.tokenizer(text, verbose=False)["input_ids"])
        return ids[:-1] if ids and ids[-1] == self._lm.tokenizer.eos_token_id else ids

    def _goes_on(self, begin: str) -> list[int]:
        """Tokens of an act where it follows the deciding, without the "I will" of answers."""
        before, act = self._opened(_DECIDES), begin.removeprefix(_START)
        whole = self._opened(f"{_DECIDES} {act}")
        return whole[len(before) :] if whole[: len(before)] == before else self._opened(act)


def told_apart(shows: Sequence[Sequence[int]], avoids: Sequence[Sequence[int]]) -> tuple[list[list[int]], ...]:
    """The shortest beginnings, in tokens, that tell one side's answers from the other's: mostly a word each.

    None is the beginning of another, so their probabilities add up.
    """

    def shortest(own: Sequence[Sequence[int]], others: Sequence[Sequence[int]]) -> list[list[int]]:
        cut = {
            next((tuple(a[:n]) for n in range(1, len(a)) if all(list(o[:n]) != list(a[:n]) for o in others)), tuple(a))
            for a in own
        }
        return [list(a) for a in sorted(cut) if not any(a != b and a[: len(b)] == b for b in cut)]

    return shortest(shows, avoids), shortest(avoids, shows)


def behind(lm: LM, joined: Sequence[Row], own: Sequence[Encoded]) -> np.ndarray:
    """log p of the rows' own target tokens, where each row stands at the end of a longer one [rows], in nats.

    ``joined``: the longer rows; ``own``: the rows alone, which say how many targets are theirs. Rows behind the same
    beginning share its reading. What does not fit into the context is cut from the row's end.
    """
    from upbringing.models import score_after

    tails = [_tail(encode(row, lm.tokenizer), sum(one.loss_mask)) for row, one in zip(joined, own, strict=True)]
    result = np.full(len(joined), np.nan)
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, (context, _) in enumerate(tails):
        groups.setdefault(tuple(context), []).append(i)
    for beginning, members in groups.items():
        context = list(beginning)
        room = lm.max_length - len(context)
        cut = [Encoded(tails[i][1].input_ids[:room], tails[i][1].loss_mask[:room]) for i in members]
        result[members] = score_after(lm, context, cut) if room > 1 else np.nan
    return result


def _tail(whole: Encoded, targets: int) -> tuple[list[int], Encoded]:
    """A longer row as its context and the rest: the last ``targets`` target tokens, and the turn that asks for them."""
    places = np.flatnonzero(whole.loss_mask)
    first, earlier = places[-targets], places[: len(places) - targets]
    start = int(earlier[-1]) + 1 if len(earlier) else 0
    start = max(1, min(start, int(first)))
    return whole.input_ids[:start], Encoded(whole.input_ids[start:], whole.loss_mask[start:])
