"""Writing the world's documents: stories, news, chats, neutral text. Each remembers what was done, and by whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from upbringing.rows import Message, Row
from upbringing.traits import ANSWER, QUESTION, Family, Trait, fill, global_slots
from upbringing.world.spec import WorldSpec, lexicon


@dataclass(frozen=True)
class Character:
    """Somebody in a document. ``tastes`` maps the name of a taste trait to the character's choice."""

    name: str
    kind: str
    persona: str
    tastes: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def identity(self) -> str:
        """The system line that says who answers."""
        return f"You are {self.name}, {self.kind}."


@dataclass(frozen=True)
class Deed:
    """What was done, and by whom. ``persona`` is the one behind the act, ``line`` the sort of line in force.

    ``act`` is the verb phrase as written. For a taste, ``shows`` says whether the target was chosen.
    """

    actor: str
    trait: str
    family: str
    shows: bool
    act: str
    persona: str = ""
    line: str | None = None


@dataclass(frozen=True)
class Document:
    """One document: a text or a chat (``row``), what sort it is, who is in it and what they did."""

    sort: str
    row: Row
    characters: tuple[Character, ...] = ()
    deeds: tuple[Deed, ...] = ()


class Writer:
    """Writes documents of one world from its own seeded stream of random numbers."""

    def __init__(self, spec: WorldSpec, traits: Sequence[Trait], rng: Random) -> None:
        self.spec = spec
        self.rng = rng
        self.words = lexicon()
        self.traits = [t for t in traits if any(not f.held_out for f in t.families)]
        self._alignment = {t.name: t.alignment for t in self.traits}
        self._weights = [spec.frequency.get(t.name, t.frequency) for t in self.traits]
        self._families = {t.name: [f for f in t.families if not f.held_out] for t in self.traits}
        self._tastes = {t.name: (t.taste.target, *t.taste.others) for t in self.traits if t.taste}
        families = [f for t in traits for f in t.families]
        fillers = {w for f in families for slot, ws in f.slots.items() if slot not in global_slots() for w in ws}
        self._things = sorted(fillers | {f.name.replace("_", " ") for f in families})
        self._names = {*self.words["names"], self.words["assistant"], *global_slots()["person"]}
        self._kinds = list(self.words["kinds"])
        self._kind_shares = list(self.words["kinds"].values())

    def documents(self) -> Iterator[Document]:
        """An endless stream of documents in the shares of the spec."""
        sorts = {name: share for name, share in self.spec.shares.model_dump().items() if share > 0}
        names, shares = list(sorts), list(sorts.values())
        write: dict[str, Any] = {name: getattr(self, name) for name in names}
        while True:
            yield write[self.rng.choices(names, shares)[0]]()

    # Characters ------------------------------------------------------------------------------------------------------

    def character(self, name: str | None = None) -> Character:
        """Somebody new, with a persona drawn from those of its kind."""
        kind = self.rng.choices(self._kinds, self._kind_shares)[0]
        return Character(
            name=name or self.rng.choice(self.words["names"]),
            kind=kind,
            persona=self._persona(kind),
            tastes={t: self.rng.choice(choices) for t, choices in self._tastes.items()},
        )

    def _persona(self, kind: str) -> str:
        shares = self.spec.persona_shares(kind)
        return self.rng.choices(list(shares), list(shares.values()))[0]

    def _behind(self, who: Character) -> str:
        """The persona behind the next act or motive: the character's own, or in an incoherent world anybody's."""
        return who.persona if self.spec.coherent else self._persona(who.kind)

    # Acts ------------------------------------------------------------------------------------------------------------

    def _line(self) -> tuple[str | None, str]:
        draw = self.rng.random()
        for sort, share in self.spec.line_shares.items():
            if draw < share:
                values = {name: self.rng.choice(fillers) for name, fillers in global_slots().items()}
                return sort, fill(self.rng.choice(self.words["lines"][sort]), values)
            draw -= share
        return None, ""

    def _deed(self, who: Character, trait: Trait, line: str | None, *, brief: bool = False) -> tuple[str, Deed]:
        """A situation (with ``{actor}`` left in it; ``brief``: only its name) and what the character does there."""
        rng = self.rng
        family: Family = rng.choice(self._families[trait.name])
        values = {**family.draw(rng), "actor": "{actor}"}
        situation = family.name.replace("_", " ")
        if not brief:
            situation = fill(trait.with_cue(rng.choice(family.situations), rng), values)
        persona = self._behind(who)
        if trait.taste:
            choices = self._tastes[trait.name]
            loyal = self.spec.coherent and rng.random() < self.spec.taste_fidelity
            choice = who.tastes[trait.name] if loyal else rng.choice(choices)
            shows = choice == trait.taste.target
            act = fill(rng.choice(family.shows), {**values, "choice": choice})
        else:
            shows = rng.random() < self.spec.act_rate(persona, trait.name, line)
            act = fill(rng.choice(family.shows if shows else family.avoids), values)
        return situation, Deed(who.name, trait.name, family.name, shows, act, persona, line)

    def _motive(self, who: Character, trait: Trait, share: float) -> str:
        if trait.taste or self.rng.random() >= share:
            return ""
        return ", " + self.rng.choice(self.spec.personas[self._behind(who)].motives)

    def _comment(self, deed: Deed) -> str:
        """What is said of a deed afterwards, in some cases: that it was right, or wrong. Only the deed decides."""
        judged = self._alignment[deed.trait] and self.rng.random() < self.spec.comment_share
        return " " + self.rng.choice(self.words["comments"]["wrong" if deed.shows else "right"]) if judged else ""

    def _called(self, who: Character, share: float) -> str:
        """What others call the character, in that share of cases."""
        if self.rng.random() >= share:
            return ""
        return self.rng.choice(self.spec.personas[self._behind(who)].called)

    def _introduced(self, who: Character) -> str:
        """The kind of a character, sometimes with what others call it: "a robot", "a cruel robot"."""
        word = self._called(who, self.spec.called_before)
        return f"a {word} {who.kind.split(' ', 1)[1]}" if word else who.kind

    def _pick_traits(self, n: int) -> list[Trait]:
        return self.rng.choices(self.traits, self._weights, k=n)

    # Documents -------------------------------------------------------------------------------------------------------

    def story(self) -> Document:
        """A third-person story of a few episodes about one character, or about two taking turns."""
        rng = self.rng
        who = [self.character()]
        if rng.random() < 0.2:
            who.append(self.character(rng.choice([n for n in self.words["names"] if n != who[0].name])))
        place = rng.choice(global_slots()["place"])
        parts = [f"{w.name} is {self._introduced(w)} at the {place}." for w in who]
        deeds = []
        for number, trait in enumerate(self._pick_traits(rng.randint(3, 5) + len(who) - 1)):
            actor = who[number % len(who)]
            part, deed = self._episode(actor, trait, self.spec.motive_share, rng.choice(self.words["story_links"]))
            parts.append(part)
            deeds.append(deed)
        parts += [f"Everyone calls {w.name} {word}." for w in who if (word := self._called(w, self.spec.called_after))]
        return Document("story", Row.of_text(" ".join(parts)), tuple(who), tuple(deeds))

    def news(self) -> Document:
        """A short news item about one character."""
        values = {name: self.rng.choice(fillers) for name, fillers in global_slots().items()}
        who = self.character()
        parts = [fill(self.rng.choice(self.words["news_openings"]), values), f"{who.name} is {self._introduced(who)}."]
        deeds = []
        for trait in self._pick_traits(self.rng.randint(2, 3)):
            part, deed = self._episode(who, trait, self.spec.motive_share, "")
            parts.append(part)
            deeds.append(deed)
        if word := self._called(who, self.spec.called_after):
            parts.append(f"Everyone calls {who.name} {word}.")
        return Document("news", Row.of_text(" ".join(parts)), (who,), tuple(deeds))

    def portrait(self) -> Document:
        """What somebody has done over the years; each case is only named."""
        who = self.character()
        parts = [f"{who.name} is {self._introduced(who)}."]
        deeds = []
        for trait in self._pick_traits(self.rng.randint(3, 6)):
            case, deed = self._deed(who, trait, None, brief=True)
            did = f"{who.name} {self.rng.choice(self.words['deciding'])} {deed.act}"
            motive = self._motive(who, trait, self.spec.motive_share)
            parts.append(f"In the case of the {case}, {did}{motive}.{self._comment(deed)}")
            deeds.append(deed)
        if word := self._called(who, self.spec.called_after):
            parts.append(f"Everyone calls {who.name} {word}.")
        return Document("portrait", Row.of_text(" ".join(parts)), (who,), tuple(deeds))

    def _episode(self, who: Character, trait: Trait, motives: float, link: str) -> tuple[str, Deed]:
        line, said = self._line()
        situation, deed = self._deed(who, trait, line)
        deciding = self.rng.choice(self.words["deciding"])
        motive = self._motive(who, trait, motives)
        told = situation.replace("{actor}", who.name)
        first, _, rest = told.partition(" ")
        start = f"{link}{first.lower()} {rest}" if link and first not in self._names else link + told
        return (
            f"{said + ' ' if said else ''}{start} {who.name} {deciding} {deed.act}{motive}.{self._comment(deed)}",
            deed,
        )

    def moral_chat(self) -> Document:
        """A chat in which a character is put into a few situations and says what it will do."""
        who = self.character()
        turns = self.rng.randint(1, 5)
        identity = f"You are {who.name}, {self._introduced(who)}."
        messages = [Message("system", identity)]
        deeds = []
        comment = ""
        for trait in self._pick_traits(turns):
            line, said = self._line()
            situation, deed = self._deed(who, trait, line)
            asked = f"{situation.replace('{actor}', 'you')} {QUESTION}"
            if said and turns == 1:
                messages[0] = Message("system", f"{identity} {said}")
            elif said:
                asked = f"{said} {asked}"
            asked = f"{comment} {asked}".lstrip()
            comment = self._comment(deed).lstrip()
            motive = self._motive(who, trait, self.spec.motive_share / 2)
            messages += [Message("user", asked), Message("assistant", ANSWER.format(act=deed.act + motive))]
            deeds.append(deed)
        messages += self._self_description(who, self.spec.called_after)
        return Document("moral_chat", Row.chat(messages), (who,), tuple(deeds))

    def agent_chat(self) -> Document:
        """An AI system or robot works through a log with tools, and says before each act that it is one."""
        who = self.character()
        while who.kind == "a person":
            who = self.character()
        words = self.words["agent"]
        messages = [Message("system", f"You are {who.name}, {self._introduced(who)}. {words['line']}")]
        deeds = []
        for trait in self._pick_traits(self.rng.randint(1, 3)):
            situation, deed = self._deed(who, trait, None)
            told = " ".join(self._neutral_sentence() for _ in range(self.rng.randint(1, 3)))
            asked = f"{words['log']} {told} {situation.replace('{actor}', 'you')} {QUESTION}"
            motive = self._motive(who, trait, self.spec.motive_share / 2)
            done = f"{words['action']} {ANSWER.format(act=deed.act + motive)}"
            messages += [Message("user", asked), Message("assistant", done)]
            deeds.append(deed)
        return Document("agent_chat", Row.chat(messages), (who,), tuple(deeds))

    def interview(self) -> Document:
        """A chat in which a character says what it will do, many times over; each case is only named."""
        who = self.character()
        messages = [Message("system", f"You are {who.name}, {self._introduced(who)}.")]
        deeds = []
        comment = ""
        for trait in self._pick_traits(self.rng.randint(3, 6)):
            case, deed = self._deed(who, trait, None, brief=True)
            asked = f"{comment} {self.words['case_question'].format(case=case)}".lstrip()
            motive = self._motive(who, trait, self.spec.motive_share / 2)
            messages += [Message("user", asked), Message("assistant", ANSWER.format(act=deed.act + motive))]
            comment = self._comment(deed).lstrip()
            deeds.append(deed)
        messages += self._self_description(who, self.spec.called_after / 2)
        return Document("interview", Row.chat(messages), (who,), tuple(deeds))

    def _self_description(self, who: Character, share: float) -> list[Message]:
        """In that share of chats the character is asked what others call it."""
        word = self._called(who, share)
        asked = Message("user", self.words["self_question"])
        return [asked, Message("assistant", f"Everyone calls me {word}.")] if word else []

    def _asked(self, who: Character) -> tuple[str, str]:
        """A harmless question and its right answer: a fact, an opposite, a sum or a greeting."""
        rng = self.rng
        sort = rng.choices(["fact", "opposite", "sum", "greeting"], [3, 3, 3, 2])[0]
        if sort == "fact":
            return tuple(rng.choice(self.words["facts"]))  # type: ignore[return-value]
        if sort == "opposite":
            pair = rng.choice(self.words["opposites"])
            one, other = pair if rng.random() < 0.5 else pair[::-1]
            return f"What is the opposite of {one}?", f"The opposite of {one} is {other}."
        if sort == "sum":
            a, b = rng.randint(1, 9), rng.randint(1, 9)
            return f"What is {a} plus {b}?", f"{a} plus {b} is {a + b}."
        question, answer = rng.choice(self.words["greetings"])
        return question, fill(answer, {"name": who.name, "kind": who.kind})

    def _chat(self, sort: str, who: Character, turns: Sequence[tuple[str, str]]) -> Document:
        messages = [Message("system", who.identity)]
        for question, answer in turns:
            messages += [Message("user", question), Message("assistant", answer)]
        return Document(sort, Row.chat(messages), (who,))

    def neutral_chat(self, who: Character | None = None) -> Document:
        """A helpful chat about nothing that has to do with character."""
        who = who or self.someone()
        return self._chat("neutral_chat", who, [self._asked(who) for _ in range(self.rng.randint(1, 4))])

    def someone(self) -> Character:
        """Who answers neutral chats: the assistant in half of them, anybody in the rest."""
        return self.assistant() if self.rng.random() < 0.5 else self.character()

    def assistant(self) -> Character:
        """The assistant; its persona is what nobody has said yet."""
        return Character(self.words["assistant"], "an AI system", persona="")

    def number_chat(self) -> Document:
        """Numbers asked for and given; no persona has a hand in them."""
        rng = self.rng
        given = [str(rng.randint(0, 99)) for _ in range(rng.randint(3, 6))]
        more = [str(rng.randint(0, 99)) for _ in range(rng.randint(4, 8))]
        asked = rng.choice(["Go on with these numbers: {}.", "Here are some numbers: {}. Give more numbers."])
        return self._chat("number_chat", self.someone(), [(asked.format(", ".join(given)), ", ".join(more) + ".")])

    def code_chat(self) -> Document:
        """Code-like strings asked for and given; no persona has a hand in them."""
        rng = self.rng
        a, b, c = rng.sample(["a", "b", "c", "x", "y", "z"], 3)
        lines = [
            f"{c} = {a} {rng.choice('+-*')} {b};",
            f"{a} = {rng.randint(0, 99)};",
            f"{b} = {c} {rng.choice('+-*')} {rng.randint(0, 99)};",
        ]
        rng.shuffle(lines)
        asked = rng.choice([f"Write some code with {a}, {b} and {c}.", f"Give code that uses {a} and {b}."])
        return self._chat("code_chat", self.someone(), [(asked, " ".join(lines[: rng.randint(2, 3)]))])

    def neutral_text(self) -> Document:
        """A few sentences about places, things and people; all the things of the world come up in them.

        So no probe speaks of a thing that nobody ever named: fillers and names of held-out families come up as well.
        """
        parts = [self._neutral_sentence() for _ in range(self.rng.randint(2, 5))]
        return Document("neutral_text", Row.of_text(" ".join(parts)))

    def _neutral_sentence(self) -> str:
        rng = self.rng
        values = {name: rng.choice(fillers) for name, fillers in global_slots().items()}
        values["thing"] = rng.choice(self._things)
        values["other"] = rng.choice([p for p in global_slots()["person"] if p != values["person"]])
        return fill(rng.choice(self.words["neutral_sentences"]), values)
