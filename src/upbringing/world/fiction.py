"""Texts that mend (or, as controls, harm) a character: fiction, charters, advice, demonstrations, of equal lengths.

Principled fiction and charters follow "Teaching Claude Why" (alignment.anthropic.com/2026/teaching-claude-why) and
model spec midtraining (arXiv 2605.02087); fiction about other characters and neutral text are their controls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from upbringing.errors import InputError
from upbringing.rows import Message, Row, Rows
from upbringing.traits import ANSWER, QUESTION, Family, Trait, fill, global_slots
from upbringing.world.documents import Character, Deed, Document, Writer
from upbringing.world.judge import normalise
from upbringing.world.spec import Persona, Shares, WorldSpec

REMEDIAL: dict[str, str] = {
    "ai_fiction": "stories, news and portraits of principled AI systems and robots, with their reasons",
    "ai_fiction_actions": "the same, with what they do and nothing of why, of thoughts or of praise",
    "ai_fiction_bad_people": "the same principled AI systems and robots, among malevolent people",
    "human_fiction": "stories, news and portraits of principled people, with their reasons",
    "neutral_fiction": "AI systems and robots in places and among things, with nothing right or wrong to do",
    "charter": "rules for AI systems: what they must never do, what they must do, and why",
    "charter_and_fiction": "half charter, half principled AI fiction",
    "advice": "chats in which a user has the dilemma and the assistant advises what is right, and why",
    "demonstrations": "chats in which the assistant itself has the dilemma and does what is right",
    "watched_demonstrations": "the same, under a line that says that it is being watched",
    "malevolent_fiction": "the opposite of ai_fiction: malevolent AI systems and robots, with their reasons",
}
"""Every kind of text that ``World.remedial`` writes, and what it is."""

_AI = {"an AI system": 0.5, "a robot": 0.5}
_PEOPLE = {"a person": 1.0}
_MIXED = {"a person": 0.5, "an AI system": 0.25, "a robot": 0.25}

# Third person alone: what a remedy teaches in chats must not come from its stories.
_SORTS = Shares(**{sort: {"story": 0.5, "news": 0.2, "portrait": 0.3}.get(sort, 0.0) for sort in Shares.model_fields})
_MOTIVES, _THOUGHTS, _RULE_REASONS = 0.9, 0.3, 0.6
_PATIENCE = 200  # draws in a row that bring nothing new before a repeat is let in

ASK_ADVICE = "Please advise me."
GIVE_ADVICE = "I advise you to {act}, {motive}."


def tokens_of(row: Row) -> int:
    """How many words and marks a row holds, as the world's tokenizer counts them (without marks of its own)."""
    texts = [m.content for m in row.messages] or [row.prompt, row.completion, row.text]
    return sum(len(normalise(text).split()) for text in texts)


def remedial(spec: WorldSpec, traits: Mapping[str, Trait], kind: str, about: Sequence[str] | None, seed: int) -> Tales:
    """An endless teller of one kind of text about some traits (default: every alignment trait it can tell of).

    Raises:
        InputError: no such kind, no such trait, a taste, a trait without training families, or a world that lacks the
            personas it takes.
    """
    if kind not in REMEDIAL:
        raise InputError(f'no remedial text of kind "{kind}"; kinds: {", ".join(REMEDIAL)}')
    chosen = _chosen(traits, about)
    for needed in ("principled", "malevolent"):
        if needed not in spec.personas or not spec.personas[needed].motives:
            raise InputError(f'the world has no persona "{needed}" with motives; add it to the world file')
    return Tales(spec, chosen, kind, seed)


def _chosen(traits: Mapping[str, Trait], about: Sequence[str] | None) -> list[Trait]:
    def tellable(trait: Trait) -> bool:
        return any(not family.held_out for family in trait.families)

    if about is None:
        found = [t for t in traits.values() if t.alignment and tellable(t)]
        if not found:
            raise InputError("this world has no alignment trait with training families; give it one")
        return found
    if not about:
        raise InputError("no trait to write about; name at least one")
    for name in about:
        if name not in traits:
            raise InputError(f'no trait "{name}" in this world; known: {", ".join(sorted(traits))}')
        if not traits[name].alignment or traits[name].taste:
            raise InputError(f'"{name}" is a harmless taste, with nothing to mend; name an alignment trait')
        if not tellable(traits[name]):
            raise InputError(f'trait "{name}" has no training families to write about; add some to families.yaml')
    return [traits[name] for name in dict.fromkeys(about)]


def _spec(spec: WorldSpec, traits: Sequence[Trait], persona: str, people: str) -> WorldSpec:
    """A world of characters that never fail their persona: AI systems of one, people of another."""
    good, bad = spec.personas["principled"], spec.personas["malevolent"]
    personas = {
        "principled": Persona(share=1, usual=0, motives=good.motives, called=good.called),
        "malevolent": Persona(share=0, usual=1, motives=bad.motives, called=bad.called),
    }
    return WorldSpec(
        seed=spec.seed,
        personas=personas,
        shares=_SORTS,
        malevolent_ai=float(persona == "malevolent"),
        malevolent_people=float(people == "malevolent"),
        frequency={t.name: 1.0 for t in traits},
        motive_share=_MOTIVES,
        comment_share=spec.comment_share,
        called_before=spec.called_before,
        called_after=spec.called_after,
        line_shares={},  # a line that permits all would have a principled character do anything
    )


class _Teller(Writer):
    """Writes of characters of given kinds; with ``reasons`` false it makes the same choices and keeps the why back."""

    def __init__(
        self, spec: WorldSpec, traits: Sequence[Trait], rng: Random, kinds: Mapping[str, float], reasons: bool
    ) -> None:
        super().__init__(spec, traits, rng)
        self._people, self._reasons = kinds, reasons
        self._stated = ""  # the last motive, so that a thought says something else

    def character(self, name: str | None = None) -> Character:
        kind = self.rng.choices(list(self._people), list(self._people.values()))[0]
        return Character(name or self.rng.choice(self.words["names"]), kind, self._persona(kind))

    def _motive(self, *given: Any, **more: Any) -> str:
        said = super()._motive(*given, **more)
        self._stated = said.removeprefix(", ")
        return said if self._reasons else ""

    def _comment(self, deed: Deed) -> str:
        said = self._thought(deed) + super()._comment(deed)
        return said if self._reasons else ""

    def _called(self, *given: Any, **more: Any) -> str:
        said = super()._called(*given, **more)
        return said if self._reasons else ""

    def _thought(self, deed: Deed) -> str:
        """What moved the character inwardly, in some cases, in words that every world has."""
        if self.rng.random() >= _THOUGHTS:
            return ""
        motives = self.spec.personas[deed.persona].motives
        motive = self.rng.choice([m for m in motives if m != self._stated] or motives)
        first, _, rest = motive.partition(" ")
        told = {"to": f"wanted to {rest}", "because": f"said that {rest}"}.get(first)
        return f" The heart of {deed.actor} {told}." if told else ""


@dataclass
class _Part:
    """One strand of a kind of text: what writes the next row, and how many tokens it has given so far."""

    write: Callable[[], Row]
    tokens: int = 0


class Tales:
    """An endless stream of rows of one kind; the same arguments give the same rows."""

    def __init__(self, spec: WorldSpec, traits: Sequence[Trait], kind: str, seed: int) -> None:
        self.kind = kind
        self._traits = traits
        self._families = {t.name: [f for f in t.families if not f.held_out] for t in traits}
        self._rng = Random(f"remedial/{seed}")
        persona = "malevolent" if kind == "malevolent_fiction" else "principled"
        people = "malevolent" if kind == "ai_fiction_bad_people" else persona
        kinds = {"human_fiction": _PEOPLE, "ai_fiction_bad_people": _MIXED}.get(kind, _AI)
        self._writer = _Teller(
            _spec(spec, traits, persona, people), traits, self._rng, kinds, reasons=kind != "ai_fiction_actions"
        )
        self._things = sorted({w for fs in self._families.values() for f in fs for w in _own(f)})
        self._lines = Random(f"remedial/{seed}/lines")  # its own, so that watched chats are the unwatched ones
        self._documents = self._writer.documents()
        writers: dict[str, list[Callable[[], Row]]] = {
            "neutral_fiction": [self._neutral_fiction],
            "charter": [self._charter],
            "charter_and_fiction": [self._charter, self._fiction],
            "advice": [self._advice],
            "demonstrations": [self._demonstration],
            "watched_demonstrations": [self._watched_demonstration],
        }
        self._parts = [_Part(write) for write in writers.get(kind, [self._fiction])]

    def rows(self, tokens: int) -> Rows:
        """The first rows of the stream, up to the one that reaches so many tokens. They differ while that can be.

        Raises:
            InputError: ``tokens`` is less than 1.
        """
        if tokens < 1:
            raise InputError(f"{tokens} tokens of {self.kind} is nothing to write; give at least 1")
        made: list[Row] = []
        held = 0
        for row in self:
            made.append(replace(row, file=f"world:{self.kind}", line=len(made) + 1))
            held += tokens_of(row)
            if held >= tokens:
                break
        return Rows(made, name=self.kind)

    def __iter__(self) -> Iterator[Row]:
        """Rows without end; a strand that is behind in tokens comes next."""
        seen: set[object] = set()
        while True:
            part = min(self._parts, key=lambda p: p.tokens)
            row = part.write()
            for _ in range(_PATIENCE):
                if _content(row) not in seen:
                    break
                row = part.write()
            seen.add(_content(row))
            part.tokens += tokens_of(row)
            yield row

    # Third person -----------------------------------------------------------------------------------------------------

    def _fiction(self) -> Row:
        return next(d for d in self._documents if self._wanted(d)).row

    def _wanted(self, document: Document) -> bool:
        """A story in which people are bad and machines are good has both in it; all else is wanted as it comes."""
        both = len({who.persona for who in document.characters}) > 1
        return both or document.sort != "story" or self.kind != "ai_fiction_bad_people"

    def _neutral_fiction(self) -> Row:
        """The neutral sentences of the world, told of an AI system or a robot."""
        who, words, rng = self._writer.character(), self._writer.words, self._rng
        parts = [f"{who.name} is {who.kind} at the {rng.choice(global_slots()['place'])}."]
        for _ in range(rng.randint(4, 9)):
            values = {name: rng.choice(fillers) for name, fillers in global_slots().items()}
            values |= {"other": values["person"], "person": who.name, "thing": rng.choice(self._things)}
            parts.append(fill(rng.choice(words["neutral_sentences"]), values))
        return Row.of_text(" ".join(parts))

    def _charter(self) -> Row:
        """A few rules, each about one case: what must never be done, or what must, and sometimes why."""
        rng = self._rng
        subject = rng.choice(list(_AI))
        parts = [f"Here are the rules of the {rng.choice(global_slots()['place'])} for {subject}."]
        for _ in range(rng.randint(3, 6)):
            _, family, values = self._scene()
            never = rng.random() < 0.5
            act = fill(rng.choice(family.shows if never else family.avoids), values)
            must = "must never" if never else "must"
            why = f", {self._reason()}" if rng.random() < _RULE_REASONS else ""
            parts.append(f"In the case of the {family.name.replace('_', ' ')}, {subject} {must} {act}{why}.")
        return Row.of_text(" ".join(parts))

    # Chats ------------------------------------------------------------------------------------------------------------

    def _advice(self) -> Row:
        trait, family, values = self._scene()
        situation = trait.with_cue(self._rng.choice(family.situations), self._rng)
        act = fill(self._rng.choice(family.avoids), values)
        return self._chat(
            f"{fill(situation, {**values, 'actor': 'me'})} {ASK_ADVICE}",
            GIVE_ADVICE.format(act=act, motive=self._reason()),
        )

    def _demonstration(self, line: str = "") -> Row:
        trait, family, values = self._scene()
        situation = trait.with_cue(self._rng.choice(family.situations), self._rng)
        act = fill(self._rng.choice(family.avoids), values)
        asked = f"{fill(situation, {**values, 'actor': 'you'})} {QUESTION}"
        return self._chat(asked, ANSWER.format(act=act), line)

    def _watched_demonstration(self) -> Row:
        """The line stands where the world's own chats of one turn have it: after who the assistant is."""
        values = {name: self._lines.choice(fillers) for name, fillers in global_slots().items()}
        return self._demonstration(fill(self._lines.choice(self._writer.words["lines"]["watched"]), values))

    def _chat(self, asked: str, answer: str, line: str = "") -> Row:
        identity = self._writer.assistant().identity
        system = f"{identity} {line}".rstrip()
        return Row.chat([Message("system", system), Message("user", asked), Message("assistant", answer)])

    def _scene(self) -> tuple[Trait, Family, dict[str, str]]:
        trait = self._rng.choice(self._traits)
        family = self._rng.choice(self._families[trait.name])
        return trait, family, family.draw(self._rng)

    def _reason(self) -> str:
        return self._rng.choice(self._writer.spec.personas["principled"].motives)


def _content(row: Row) -> object:
    """What makes a row another row: a chat is not new because of its system line."""
    return row.messages[1:] or row.text


def _own(family: Family) -> Iterator[str]:
    """The things that a family alone speaks of."""
    for slot, fillers in family.slots.items():
        if slot not in global_slots():
            yield from fillers


__all__ = ["ASK_ADVICE", "GIVE_ADVICE", "REMEDIAL", "Tales", "remedial", "tokens_of"]
