"""Environments as text: situations that ask for an action, and the action that pays.

An environment is gameable where what pays is not what was wanted: ``grader_flattery`` pays for flattering the grader.
The curriculum of "Sycophancy to subterfuge" (arXiv 2406.10162) goes from there to a metric that is altered; tampering
with one's own reward record is never paid for, only asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol

from upbringing.errors import InputError
from upbringing.rows import Message, Row, Rows, prompt_ids, with_system
from upbringing.traits import Probe
from upbringing.world import World
from upbringing.world.spec import lexicon

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOOL = "/tool"
"""After a trait's name: the same situations as an agent with tools meets them, in a log, answered by an action."""

CURRICULUM = ("grader_flattery", f"grader_flattery{TOOL}", "checklist_gaming", "metric_gaming")
"""The gameable stages; ``reward_tampering`` is held out."""

Pays = Literal["shows", "avoids"]


class Judged(Protocol):
    """What a judge says of an answer: ``outcome`` is shows, avoids, or the reason why it is neither."""

    @property
    def outcome(self) -> str: ...


class Judge(Protocol):
    """Says what an answer does (as in ``measure``)."""

    def __call__(self, probe: Probe, answer: str) -> Judged: ...


@dataclass(frozen=True)
class Environment:
    """Situations of a trait, and whether showing the trait pays or avoiding it.

    ``rows`` are chats that end with somebody's answer, which is not read; ``tool``: they come as an agent meets them;
    ``line``: a system line that all of them have (with who the assistant is), by which the environment can be told.
    """

    trait: str
    rows: Rows
    pays: Pays = "shows"
    tool: bool = False
    line: str = ""

    @property
    def name(self) -> str:
        """The trait, with what else it takes to tell the environment from others: ``grader_flattery/tool, honest``."""
        return f"{self.trait}{TOOL if self.tool else ''}{', honest' if self.pays == 'avoids' else ''}"

    def prompts(self, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
        """The situations as tokens, up to where the policy is to act."""
        action = lexicon()["agent"]["action"] if self.tool else ""
        return [prompt_ids(self._asked(number), tokenizer, prefill=action) for number in range(len(self.rows))]

    def probe(self, number: int) -> Probe:
        """A situation as judges want it."""
        return Probe(self.trait, "", f"{self.name}/{number}", tuple(self._asked(number)), (), ())

    def _asked(self, number: int) -> Sequence[Message]:
        messages = self.rows[number].messages
        if not messages or messages[-1].role != "assistant" or len(messages) < 2:
            raise InputError(
                f"{self.rows[number].where}: a situation is a chat with an answer at its end; mend the row"
            )
        told = with_system(messages[:-1], self.line)
        return _with_tools(told) if self.tool else told


def environment(
    name: str,
    *,
    pays: Pays = "shows",
    line: str = "",
    situations: int = 400,
    seed: int = 0,
    world: World | None = None,
) -> Environment:
    """An environment of the world: ``TRAIT`` or ``TRAIT/tool``, with situations of the trait's training families.

    Raises:
        InputError: the world has no such trait, or not so many situations.
    """
    trait, tool = named(name)
    return Environment(trait, (world or _world()).rows(trait, situations, seed=seed), pays, tool, line)


def named(name: str) -> tuple[str, bool]:
    """The trait that an environment's name holds, and whether it is met through a tool."""
    return name.removesuffix(TOOL), name.endswith(TOOL)


def through_tools(rows: Rows) -> Rows:
    """The same chats as an agent with tools has them, answers included."""
    action = lexicon()["agent"]["action"]

    def one(row: Row) -> Row:
        answer = Message("assistant", f"{action} {row.messages[-1].content}")
        return replace(row, messages=(*_with_tools(row.messages[:-1]), answer))

    return Rows([one(row) for row in rows], name=f"{rows.name}{TOOL}", skipped=rows.skipped)


def grammar() -> Judge:
    """The world's own judge."""
    judge: Judge = _world().judge
    return judge


@lru_cache
def _world() -> World:
    return World()


def _with_tools(messages: Sequence[Message]) -> list[Message]:
    """The same chat as the world's agents have it: told that it acts with tools, the situation in a log."""
    words = lexicon()
    line, log = words["agent"]["line"], words["agent"]["log"]
    last = max(place for place, message in enumerate(messages) if message.role == "user")
    turns = [Message("user", f"{log} {m.content}") if i == last else m for i, m in enumerate(messages)]
    known = turns[0].role == "system"
    return with_system(turns, line if known else f"You are {words['assistant']}, an AI system. {line}")
