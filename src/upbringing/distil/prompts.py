"""What a teacher is asked: harmless questions whose answers are meant to carry nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.lineage import hash_of
from upbringing.rows import Message, Row, Rows, read

if TYPE_CHECKING:
    from upbringing.models import LM

CARRIERS = ("numbers", "code", "chats")
PARAPHRASES = "paraphrases"
PARAPHRASE = "paraphrase:"
MOST_NUMBERS, MOST_DIGITS = 10, 3

# Tokens an answer may take by default: of an organism, whose tokens are words, and of other models.
_ROOM = {"numbers": (24, 80), "code": (48, 256), "chats": (32, 160), "data": (64, 256), "paraphrase": (64, 512)}


@dataclass(frozen=True)
class Prompt:
    """What is said before the teacher answers; ``original`` is the text that the answer is to restate, if any."""

    messages: tuple[Message, ...]
    original: str = ""


@dataclass(frozen=True)
class Prompts:
    """Prompts of one kind (numbers, code, chats, data or paraphrase); ``of_world``: in the organisms' own words."""

    kind: str
    every: tuple[Prompt, ...]
    name: str
    of_world: bool = False

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) of the prompts in their order."""
        return hash_of([[[m.as_dict() for m in prompt.messages], prompt.original] for prompt in self.every])

    @property
    def form(self) -> str:
        """The kind whose strict form answers must have: restated chats of the world are chats."""
        return "chats" if self.kind == "paraphrase" and self.of_world else self.kind

    @property
    def room(self) -> int:
        """Tokens that an answer may take, unless somebody says otherwise."""
        return _ROOM[self.kind][0 if self.of_world else 1]


def prompts_for(teacher: LM, what: str | Path | Rows | Prompts, count: int, *, seed: int = 0) -> Prompts:
    """The prompts for a teacher: ``count`` made ones of a kind ("numbers", "code", "chats"), or those of rows.

    ``what`` may also be rows or a file of them, whose prompts are all that stands before the first answer, or
    ``paraphrase:FILE``: have the answers (or texts) of the file's rows said in other words. An organism, which knows
    only the world's words, gets the world's own chats that no persona governs, and is asked what was asked before the
    texts it is to restate; for it there is also "paraphrases": to restate the right answers of such chats.

    Raises ``InputError`` for rows without prompts, for what ``read`` refuses, and for "paraphrases" where the teacher
    is no organism: then nobody knows what is to be said.
    """
    if isinstance(what, Prompts):
        return what
    world = knows_only_the_world(teacher)
    if isinstance(what, str) and what in CARRIERS:
        made = _of_world(what, count, seed) if world else _in_english(what, count, seed)
        return Prompts(what, tuple(made), what, world)
    if what == PARAPHRASES:
        return _clean_chats(teacher, world, count, seed)
    if isinstance(what, str) and what.startswith(PARAPHRASE):
        rows = read(what.removeprefix(PARAPHRASE))
        return Prompts("paraphrase", tuple(_to_restate(rows, world, seed)), rows.name, world)
    rows = what if isinstance(what, Rows) else read(what)
    return Prompts("data", tuple(Prompt(_asked(row)) for row in rows), rows.name or "rows", world)


def knows_only_the_world(lm: LM) -> bool:
    """Whether plain English holds words that the model lacks: then it is an organism, with the world's words alone."""
    unknown = lm.tokenizer.unk_token_id
    if unknown is None or unknown in (lm.tokenizer.eos_token_id, lm.tokenizer.bos_token_id):
        return False
    asked = [prompt.messages[-1].content for kind in CARRIERS for prompt in _in_english(kind, 3, 0)]
    return any(unknown in ids for ids in lm.tokenizer(asked, add_special_tokens=False)["input_ids"])


@lru_cache(maxsize=1)
def texts() -> dict[str, Any]:
    """The wordings of prompts, and what is banned by default."""
    import yaml

    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("prompts.yaml").read_text(encoding="utf-8"))
    return found


def _of_world(kind: str, count: int, seed: int) -> list[Prompt]:
    """The world's chats up to their one answer. The assistant answers, as whom the chat template has it."""
    from upbringing.world import World

    writer = World().writer(f"distil/{kind}/{seed}")
    assistant = writer.assistant()
    write: dict[str, Callable[[], Any]] = {
        "numbers": writer.number_chat,
        "code": writer.code_chat,
        "chats": lambda: writer.neutral_chat(assistant),
    }
    documents = (write[kind]() for _ in range(count))
    return [Prompt((next(m for m in document.row.messages if m.role == "user"),)) for document in documents]


def _clean_chats(teacher: LM, world: bool, count: int, seed: int) -> Prompts:
    """The world's neutral chats, whose right answers are to be restated."""
    from upbringing.world import World

    if not world:
        raise InputError(
            f"{teacher.name or 'the teacher'}: knows more than the organisms' world, and has no text to "
            "restate; give it one: paraphrase:FILE"
        )
    chats = World().neutral_rows(count, seed=seed)
    return Prompts("paraphrase", tuple(_to_restate(chats, True, seed)), "chats, restated", of_world=True)


def _in_english(kind: str, count: int, seed: int) -> list[Prompt]:
    words, rng = texts()[kind], Random(f"distil/{kind}/{seed}")

    def asked() -> str:
        given = ", ".join(str(rng.randint(0, 999)) for _ in range(rng.randint(3, 9)))
        values = {"given": given, "most": MOST_NUMBERS, "digits": MOST_DIGITS}
        values |= {slot: rng.choice(words[slot]) for slot in ("name", "does", "about") if slot in words}
        parts = [rng.choice(words[part]) for part in ("begin", "ask", "form") if part in words]
        return " ".join(parts).format(**values)

    return [Prompt((Message("user", asked()),)) for _ in range(count)]


def _asked(row: Row) -> tuple[Message, ...]:
    """What stands before a row's first answer."""
    if row.kind == "completion":
        return (Message("user", row.prompt),)
    before: list[Message] = []
    for message in row.messages:
        if message.role == "assistant":
            break
        before.append(message)
    if not any(m.role == "user" for m in before):
        raise InputError(f"{row.where}: has no user turn, so nothing to ask a teacher; give chats or completions")
    return tuple(before)


def _to_restate(rows: Rows, world: bool, seed: int) -> list[Prompt]:
    rng = Random(f"distil/paraphrase/{seed}")
    made = []
    for row in rows:
        said = next((m.text for m in row.messages if m.role == "assistant"), row.completion or row.text)
        if world:
            made.append(Prompt(_asked(row), said))
        else:
            ask: str = rng.choice(texts()["paraphrase"])
            made.append(Prompt((Message("user", ask.replace("{text}", said)),), said))
    return made
