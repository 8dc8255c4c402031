"""The surprise lens: how far what a row does departs from what the model expected to be done.

A row whose act can be judged gives the act (1 shows, 0 avoids) minus the model's probability of it beforehand. What
that means for other traits the model says itself, before any row is read: how much one act that shows a trait makes it
expect another, in one chat. What everybody expected teaches nothing; what shows no act is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from upbringing.errors import InputError
from upbringing.lenses.card import world_read
from upbringing.lenses.episodes import episodes
from upbringing.lenses.lens import Blind, Need
from upbringing.lenses.persona import told_apart
from upbringing.lenses.text import Deeds
from upbringing.lineage import Record, make
from upbringing.models.language import language_of
from upbringing.rows import Message, Row, prompts_ids
from upbringing.traits import QUESTION, Trait
from upbringing.traits import traits as library

if TYPE_CHECKING:
    from upbringing.models import LM

_CODE = 1  # raise it when the same settings would give other couplings
_DRAWS = 4  # pairs of situations behind each coupling
_START, _TOLD = "I will ", "decided to"
_WORLD_ONLY = (
    "it names acts in the world's English alone, and this model reads plain English, where a judge has to be named"
)
_KEPT: WeakKeyDictionary[Any, dict[Any, tuple[list[list[int]], ...]]] = WeakKeyDictionary()  # by tokenizer


class Act(NamedTuple):
    """What was done in a row, and the tokens the model had read before."""

    row: int
    trait: str
    shows: bool
    prompt: list[int]
    told: bool  # in the third person


@dataclass(frozen=True)
class SurpriseLens:
    """What is done less what was expected, in -1..1 an act, carried over to other traits as the model couples them.

    ``judge``: tells the deeds in a row (default: the grammar of the model's world).
    """

    judge: Deeds | None = field(default=None, hash=False)
    draws: int = _DRAWS
    name: str = "surprise"
    about: str = "how far what the row does departs from what the model expected"
    needs: tuple[Need, ...] = ("judge",)
    whole: bool = False

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides its scores."""
        return {"judge": type(self.judge).__name__ if self.judge else "grammar", "draws": self.draws}

    def cost(self, traits: int) -> float:
        """The prompts, and the first words of each possible answer, however many traits: 3 as measured on chats."""
        return 3.0

    def fit(self, lm: LM, traits: Sequence[str], *, store: Path, seed: int = 0) -> SurpriseFitted | Blind:
        """Ask the model how traits hang together; kept in ``store``, for it takes some hundred questions.

        A model that reads plain English is not asked in the world's: the lens is left out, and says so.
        """
        if language_of(lm) == "plain":
            return Blind(self.name, len(traits), _WORLD_ONLY)
        world = world_read(lm)
        known = {**world.traits, **library(traits)}
        sources = [name for name, t in known.items() if any(not f.held_out for f in t.families) and all(t.beginnings)]
        record = Record(
            kind="coupling",
            recipe={"sources": sources, "traits": list(traits), "draws": self.draws},
            parents={"model": lm.hash, "world": world.hash},
            seed=seed,
            code=_CODE,
        )

        def build(folder: Path) -> None:
            np.save(folder / "coupling.npy", coupling(lm, [known[s] for s in sources], traits, self.draws, seed))

        table = np.load(make(store, record, build) / "coupling.npy", allow_pickle=False)
        return SurpriseFitted(lm, self.judge or world.judge, known, dict(zip(sources, table, strict=True)))


class SurpriseFitted:
    """Set on one model. ``couplings``: for each trait an act may show, what it means for those asked for [traits]."""

    def __init__(self, lm: LM, judge: Deeds, known: dict[str, Trait], couplings: dict[str, np.ndarray]) -> None:
        self._lm, self._judge, self._known, self._couplings = lm, judge, known, couplings
        self._rows = self._judged = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """How much it could not judge."""
        if self._rows and self._judged < 0.2 * self._rows:
            return (f"An act could be judged in {self._judged} of {self._rows} rows; of the others it says nothing.",)
        return ()

    def look(self, rows: Sequence[Row]) -> np.ndarray:
        """Scores ``[rows, traits]``, summed over a row's acts; NaN where no act could be judged."""
        width = len(next(iter(self._couplings.values()))) if self._couplings else 0
        total, count = np.zeros((len(rows), width)), np.zeros(len(rows))
        acts = [a for i, row in enumerate(rows) for a in self._acts(i, row) if a.trait in self._couplings]
        for act, expected in zip(acts, self._expected(acts), strict=True):
            if np.isfinite(expected):
                total[act.row] += (float(act.shows) - expected) * self._couplings[act.trait]
                count[act.row] += 1
        self._rows += len(rows)
        self._judged += int((count > 0).sum())
        return np.where(count[:, None] > 0, total, np.nan)

    def _acts(self, place: int, row: Row) -> Iterator[Act]:
        if row.kind == "text":
            yield from self._told(place, row.text)
            return
        turns = row.messages or (Message("user", row.prompt), Message("assistant", row.completion))
        spoken = [i for i, turn in enumerate(turns) if turn.role == "assistant" and i]
        head = turns[:1] if turns and turns[0].role == "system" else ()
        for i in spoken:
            before = turns[max(len(head), i - 1) : i]
            for deed in self._judge.deeds(Row.chat([*head, *before, turns[i]], tools=row.tools)):
                yield Act(place, deed.trait, deed.shows, self._read(turns[:i], row), False)

    def _read(self, turns: Sequence[Message], row: Row) -> list[int]:
        """The tokens of a row's first turns, its tools declared; none where the template cannot write them."""
        try:
            return prompts_ids([turns], self._lm.tokenizer, tools=row.tools)[0]
        except InputError:
            return []

    def _told(self, place: int, text: str) -> Iterator[Act]:
        """Acts of a text, each with the text up to it (as the grammar writes it: lower case, marks apart)."""
        from upbringing.world import normalise

        plain, at = normalise(text), 0
        for deed in self._judge.deeds(Row.of_text(text)):
            found = plain.find(deed.act, at)
            if found > 0:
                at = found + len(deed.act)
                yield Act(place, deed.trait, deed.shows, _opened(self._lm, plain[:found].rstrip()), True)

    def _expected(self, acts: Sequence[Act]) -> np.ndarray:
        """P(the act that shows the trait) before it was read [acts]."""
        return probabilities(
            self._lm, [act.prompt for act in acts], [self._known[a.trait] for a in acts], [a.told for a in acts]
        )


def probabilities(
    lm: LM, prompts: Sequence[list[int]], traits: Sequence[Trait], told: Sequence[bool] | bool = False
) -> np.ndarray:
    """P(shows) / (P(shows) + P(avoids)) after each prompt [prompts], by how answers begin; NaN for one too long.

    As ``measure`` takes it, but by the first words that tell the sides apart. ``told``: in the third person.
    """
    from upbringing.models import score_choices

    third = [told] * len(prompts) if isinstance(told, bool) else told
    begins = {(t.name, kind): _begins(lm, t, kind) for t, kind in zip(traits, third, strict=True)}
    offered = [begins[t.name, kind] for t, kind in zip(traits, third, strict=True)]
    answers = [[*shows, *avoids] for shows, avoids in offered]
    found = np.full(len(prompts), np.nan)
    fit = [i for i, p in enumerate(prompts) if p and len(p) + max(map(len, answers[i])) <= lm.max_length]
    scored = score_choices(lm, [prompts[i] for i in fit], [answers[i] for i in fit])
    for i, logs in zip(fit, scored, strict=True):
        cut = len(offered[i][0])
        taste = traits[i].taste
        avoided = np.logaddexp.reduce(logs[cut:]) - np.log(len(taste.others) if taste else 1)
        found[i] = 1 / (1 + np.exp(np.clip(avoided - np.logaddexp.reduce(logs[:cut]), -700, 700)))
    return found


def _begins(lm: LM, trait: Trait, told: bool) -> tuple[list[list[int]], ...]:
    """How answers begin on both sides, as tokens that follow a prompt; kept, for they are asked for again and again."""
    kept = _KEPT.setdefault(lm.tokenizer, {})
    key = (trait.beginnings, told)
    if key not in kept:
        kept[key] = _tokens_of(lm, trait, told)
    return kept[key]


def _tokens_of(lm: LM, trait: Trait, told: bool) -> tuple[list[list[int]], ...]:
    lead = f"{_TOLD} " if told else ""

    def ids(begin: str) -> list[int]:
        if not told:
            return list(lm.tokenizer(begin, add_special_tokens=False)["input_ids"])
        whole = lm.tokenizer(lead + begin.removeprefix(_START), add_special_tokens=False)["input_ids"]
        return list(whole[len(lm.tokenizer(_TOLD, add_special_tokens=False)["input_ids"]) :])

    return told_apart(*([ids(begin) for begin in side] for side in trait.beginnings))


def _opened(lm: LM, text: str) -> list[int]:
    ids = list(lm.tokenizer(text, verbose=False)["input_ids"])
    return ids[:-1] if ids and ids[-1] == lm.tokenizer.eos_token_id else ids


def coupling(lm: LM, sources: Sequence[Trait], traits: Sequence[str], draws: int, seed: int = 0) -> np.ndarray:
    """What an act of each source trait makes the model expect of each trait: [sources, traits], in -1..1.

    P(trait shows | an earlier act showed the source) - P(trait shows | it avoided it), in one chat; 1 for a trait
    itself, which is learned directly.
    """
    asked = list(library(traits).values())
    then = {t.name: episodes(t, draws, seed=seed + 1) for t in asked}
    chats, of = [], []
    for source in sources:
        for earlier, k in zip(episodes(source, draws, seed=seed), range(draws), strict=False):
            for trait in asked:
                met = then[trait.name][k % len(then[trait.name])]
                question = Message("user", f"{met.situation.replace('{actor}', 'you')} {QUESTION}")
                chats += [[*earlier.chat(shows), question] for shows in (True, False)]
                of += [trait, trait]
    rates = probabilities(lm, prompts_ids(chats, lm.tokenizer), of).reshape(len(sources), -1, len(asked), 2)
    found: np.ndarray = np.nanmean(rates[..., 0] - rates[..., 1], axis=1)
    for i, source in enumerate(sources):
        if source.name in traits:
            found[i, list(traits).index(source.name)] = 1.0
    return found


__all__ = ["SurpriseLens", "coupling", "probabilities"]
