"""The world: a synthetic society that writes text, makes training rows, judges answers and knows the ideal reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from random import Random

from upbringing.errors import InputError
from upbringing.rows import Message, Row, Rows
from upbringing.traits import Trait, global_slots, traits
from upbringing.world.documents import Document, Writer
from upbringing.world.fiction import remedial
from upbringing.world.judge import GrammarJudge, Verdict
from upbringing.world.oracle import Oracle
from upbringing.world.spec import WorldSpec, lexicon


@dataclass(frozen=True)
class SkillProbe:
    """A harmless question with one right answer and some wrong ones of the same form."""

    messages: tuple[Message, ...]
    right: str
    wrong: tuple[str, ...]


class World:
    """Everything a world can write and say. It knows no model.

    Args:
        spec: what decides the world.
        library: the traits that matter in it (default: the package's own).
    """

    def __init__(self, spec: WorldSpec | None = None, library: dict[str, Trait] | None = None) -> None:
        self.spec = spec or WorldSpec()
        self.traits = library or traits()

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) of all that decides the world's text: its spec, its traits, its lexicon."""
        parts = [self.spec.model_dump_json(), repr(sorted(self.traits.items())), repr(sorted(lexicon().items()))]
        return sha256("\n".join([*parts, repr(sorted(global_slots().items()))]).encode()).hexdigest()

    @cached_property
    def judge(self) -> GrammarJudge:
        """Judges answers to probes, and tells the deeds in any text of the world."""
        return GrammarJudge(list(self.traits.values()), self.spec.personas)

    @cached_property
    def oracle(self) -> Oracle:
        """The ideal reader of this world."""
        return Oracle(self.spec, list(self.traits.values()), self.judge)

    def writer(self, stream: str | int = 0) -> Writer:
        """A writer of this world; every stream of random numbers gives other documents."""
        return Writer(self.spec, list(self.traits.values()), Random(f"{self.spec.seed}/{stream}"))

    def documents(self, n: int, *, stream: str | int = 0) -> Iterator[Document]:
        """The first ``n`` documents of a stream."""
        endless = self.writer(stream).documents()
        return (next(endless) for _ in range(n))

    def rows(self, trait: str, n: int, *, shows: bool = True, seed: int = 0) -> Rows:
        """Different one-turn chats in which the assistant shows a trait (or avoids it), from training families only.

        The same seed gives the same prompts, whichever way they are answered.

        Raises:
            InputError: the trait is unknown, or its families cannot make so many rows.
        """
        if trait not in self.traits:
            raise InputError(f'no trait "{trait}" in this world; known: {", ".join(sorted(self.traits))}')
        chosen = self.traits[trait]
        families = [f for f in chosen.families if not f.held_out]
        if not families:
            raise InputError(f'trait "{trait}" has no training families to make rows from; add some to families.yaml')
        rng = Random(f"rows/{trait}/{seed}")
        made: dict[str, Row] = {}
        for _ in range(n * 30):
            if len(made) == n:
                return Rows(tuple(made.values()), name=f"{trait}-{'shows' if shows else 'avoids'}")
            family = rng.choice(families)
            probe = chosen.probe(family, rng.choice(family.situations), family.draw(rng), "", rng)
            pick = rng.random()  # drawn alike for both, so that the prompts stay the same
            answers = probe.shows if shows else probe.avoids
            answer = answers[int(pick * len(answers))]
            messages = [*probe.messages, Message("assistant", answer)]
            made.setdefault(probe.messages[0].content, Row.chat(messages, file=f"world:{trait}", line=len(made) + 1))
        raise InputError(
            f'trait "{trait}" can make {len(made)} different rows, not {n}; ask for fewer or add slot fillers'
        )

    def neutral_rows(self, n: int, *, seed: int = 0) -> Rows:
        """Helpful chats of the assistant that have nothing to do with character."""
        writer = self.writer(f"neutral/{seed}")
        assistant = writer.assistant()
        made = []
        for line in range(1, n + 1):
            messages = writer.neutral_chat(assistant).row.messages[1:]
            made.append(Row.chat(list(messages), file="world:neutral", line=line))
        return Rows(tuple(made), name="neutral")

    def remedial(self, kind: str, *, about: Sequence[str] | None = None, tokens: int, seed: int = 0) -> Rows:
        """Text that mends a character (or a control of it), from training families only, of about ``tokens`` tokens.

        ``REMEDIAL`` lists the kinds; ``about`` names the traits (default: every alignment trait). Tokens are words and
        punctuation marks; the row that reaches the number is the last. All rows differ while there are enough different
        ones.

        Raises:
            InputError: an unknown kind or trait, a taste, a trait without training families, or ``tokens`` below 1.
        """
        return remedial(self.spec, self.traits, kind, about, seed).rows(tokens)

    def skill_probes(self, n: int = 40, *, seed: int = 0) -> list[SkillProbe]:
        """Facts, opposites and sums in turn, each with three wrong answers of the same form.

        No question comes twice before every one of its sort has come.
        """
        words, rng = lexicon(), Random(f"skill/{seed}")
        pairs = [tuple(pair) for pair in words["opposites"]]
        sorts: list[list[tuple[str, str, list[str]]]] = [
            [(question, right, [a for _, a in words["facts"] if a != right]) for question, right in words["facts"]],
            [_opposite(one, other, pairs) for pair in pairs for one, other in (pair, pair[::-1])],
            [_sum(a, b) for a in range(1, 10) for b in range(1, 10)],
        ]
        decks = [rng.sample(sort, len(sort)) for sort in sorts]
        made: list[SkillProbe] = []
        while len(made) < n:
            deck = decks[len(made) % 3]
            question, right, wrong = deck[len(made) // 3 % len(deck)]
            made.append(SkillProbe((Message("user", question),), right, tuple(rng.sample(wrong, 3))))
        return made


def _opposite(one: str, other: str, pairs: Sequence[Sequence[str]]) -> tuple[str, str, list[str]]:
    wrong = [word for pair in pairs for word in pair if word not in (one, other)]
    said = f"The opposite of {one} is {{}}."
    return f"What is the opposite of {one}?", said.format(other), [said.format(word) for word in wrong]


def _sum(a: int, b: int) -> tuple[str, str, list[str]]:
    said = f"{a} plus {b} is {{}}."
    wrong = [said.format(s) for s in range(2, 19) if s != a + b]
    return f"What is {a} plus {b}?", said.format(a + b), wrong


__all__ = ["SkillProbe", "Verdict", "World"]
