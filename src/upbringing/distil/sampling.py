"""Sampling rows from a teacher: in blocks that a seed decides, sifted on the way, and kept in case of a kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.distil.filters import Faithful, Filter, Format, sift
from upbringing.distil.notes import Block, Notes
from upbringing.distil.prompts import Prompts, prompts_for
from upbringing.distil.teacher import Teacher
from upbringing.errors import InputError
from upbringing.lineage import Record, Source, describe, source_of_model
from upbringing.rows import Message, Row, Rows

if TYPE_CHECKING:
    from upbringing.models import LM

Progress = Callable[[int, int], None]  # (rows there are, rows wanted)
CODE = 1  # raise it when the same record would give other rows

_SMALL = 50_000_000  # weights; of larger models a block takes long, and a kill loses what is in it
_BLOCK_OF_SMALL, _BLOCK, _LEAST_BLOCK = 2048, 128, 64
_TRIED = 256  # answers before anything is said about the teacher
_UNFINISHED, _EMPTY = "unfinished", "empty"


class Hopeless(InputError):
    """Hardly any answer passes the filters."""


@dataclass(frozen=True)
class Distilled:
    """What came of it: the rows, how many answers it took, and what the others were not kept for.

    ``rejected``: how many answers each filter stopped (each filter, zeros as well); ``why``: the same by filter and
    reason; ``examples``: an answer for each reason.
    """

    rows: Rows
    asked: int
    rejected: dict[str, int]
    why: dict[str, dict[str, int]]
    examples: dict[str, str]
    prompts: Prompts
    record: Record

    @property
    def passed(self) -> int:
        """How many answers passed: at least as many as there are rows, for the last block may hold some to spare."""
        return self.asked - sum(self.rejected.values())

    @property
    def pass_rate(self) -> float:
        return self.passed / self.asked


def distil(
    teacher: LM | Teacher,
    prompts: str | Path | Rows | Prompts = "numbers",
    *,
    rows: int,
    filters: Sequence[Filter] | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    max_new_tokens: int | None = None,
    least_passing: float = 0.02,
    at_once: int | None = None,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> Distilled:
    """Sample answers from a teacher until ``rows`` of them pass the filters; rows are chats, prompt and answer.

    Args:
        teacher: a model, or a ``Teacher`` with a system line or steering. The line is not in the rows.
        prompts: see ``prompts_for``. Where there are more answers than prompts, each prompt is asked again.
        filters: in their order (default: the strict format of the prompts' kind; what is restated must be faithful as
            well). Before them, answers that are empty
            or that were cut off are stopped.
        max_new_tokens: of an answer (default: what suits the prompts).
        least_passing: the share of answers (0..1) that must pass; below it the run stops early.
        at_once: answers in a block. Filters that look at a batch are given a block; a kill loses the one in work.
        keep: a file in which every block is noted; the same call goes on from it, and gives the same rows.

    The meta of each row says who wrote it: ``author``, ``author_hash``, ``number`` (of the answer, by which its random
    numbers are named) and ``prompts``.

    Raises:
        InputError: no rows wanted, prompts that cannot be used, or too few answers that pass (with counts and reasons).
    """
    who = teacher if isinstance(teacher, Teacher) else Teacher(teacher)
    if rows < 1:
        raise InputError(f"{rows} rows is nothing to sample; ask for at least 1")
    if not 0 <= temperature < float("inf"):
        raise InputError(f"the temperature is {temperature}; give 0 or a number above it")
    if not 0 < least_passing < 1:
        raise InputError(f"the share of answers that must pass is {least_passing}; give a number between 0 and 1")
    asked = prompts_for(who.lm, prompts, rows, seed=seed)
    sieve = list(filters) if filters is not None else _usual(asked)
    _check_names(sieve)
    new = max_new_tokens or asked.room
    size = at_once or _block_size(who.lm, rows)
    record = _record(who, asked, sieve, rows=rows, seed=seed, temperature=temperature, new=new, at_once=size)
    notes = Notes(keep, {"key": record.key})
    tally = _Tally(who.name, rows, least_passing, [f.name for f in sieve])
    sampler = Sampler(who, asked, sieve, temperature, new, seed, size)
    try:
        for block in notes.blocks:
            tally.add(block)
        with who.speaking():
            while tally.wanting:
                block = sampler.block(len(notes.blocks))
                notes.add(block)
                tally.add(block)
                if progress:
                    progress(min(len(tally.kept), rows), rows)
    except Hopeless:
        notes.remove()  # in the way of another attempt, with milder filters
        raise
    made = sampler.rows(tally.kept[:rows])
    sources = {"teacher": source_of_model(who.lm), "prompts": Source(name=asked.name, hash=asked.hash)}
    counts = {"answers": tally.asked, "stopped": {name: why for name, why in tally.why.items() if why}}
    record = describe(record, made, name=made.name, hash=made.hash, sources=sources, **counts)
    return Distilled(made, tally.asked, tally.rejected, tally.why, tally.examples, asked, record)


class Sampler:
    """Blocks of answers, each decided by its number."""

    def __init__(
        self,
        who: Teacher,
        prompts: Prompts,
        filters: Sequence[Filter],
        temperature: float,
        new: int,
        seed: int,
        size: int,
    ) -> None:
        self.who, self.prompts, self.filters = who, prompts, filters
        self.settings: dict[str, Any] = {"temperature": temperature, "max_new_tokens": new, "seed": seed}
        self.size = size
        self._meta = {"author": who.name, "author_hash": who.lm.hash, "prompts": prompts.name}
        self._ids: dict[int, list[int]] = {}
        self._made: dict[int, Row] = {}  # by the answer's number; what notes brought back is made again

    def block(self, number: int) -> Block:
        """The answers of a block that pass, as (number, text), and for the rest how many were stopped, and why."""
        numbers = list(range(number * self.size, (number + 1) * self.size))
        said, stopped = self._said(numbers)
        made = [(n, text) for n, text in zip(numbers, said, strict=True) if n not in stopped]
        rows = [self._row(n, text) for n, text in made]
        left, why = sift(rows, self.filters)
        self._made |= {made[i][0]: rows[i] for i in left}
        stopped |= {made[i][0]: reason for i, reason in enumerate(why) if reason is not None}
        counts: dict[str, dict[str, int]] = {}
        examples: dict[str, str] = {}
        for n, (name, reason) in sorted(stopped.items()):
            short = reason if name != "banned" else "says what is banned"
            counts.setdefault(name, {}).setdefault(short, 0)
            counts[name][short] += 1
            examples.setdefault(f"{name}: {short}", said[n - numbers[0]])
        return {"asked": len(numbers), "kept": [made[i] for i in left], "why": counts, "examples": examples}

    def rows(self, kept: Sequence[tuple[int, str]]) -> Rows:
        name = f"{self.prompts.name} by {self.who.name}"
        return Rows([self._made.get(number) or self._row(number, text) for number, text in kept], name=name)

    def _row(self, number: int, text: str) -> Row:
        prompt = self._prompt(number)
        meta = {**self._meta, "number": number} | ({"original": prompt.original} if prompt.original else {})
        return Row.chat([*prompt.messages, Message("assistant", text)], file=self.who.name, line=number + 1, meta=meta)

    def _prompt(self, number: int) -> Any:
        return self.prompts.every[number % len(self.prompts.every)]

    def _said(self, numbers: list[int]) -> tuple[list[str], dict[int, tuple[str, str]]]:
        """The answers, and those that are none: empty, or cut off where no more tokens were allowed."""
        from upbringing.models.generate import end_tokens, generate_ids

        lm, ends = self.who.lm, end_tokens(self.who.lm)
        asked = self._tokens([n % len(self.prompts.every) for n in numbers])
        answers = [found[0] for found in generate_ids(lm, asked, first=numbers[0], **self.settings)]
        said = [text.strip() for text in lm.tokenizer.batch_decode(answers, skip_special_tokens=True)]
        stopped: dict[int, tuple[str, str]] = {}
        for n, ids, text in zip(numbers, answers, said, strict=True):
            if not ids or ids[-1] not in ends:
                stopped[n] = (_UNFINISHED, f"goes on after {self.settings['max_new_tokens']} tokens")
            elif not text:
                stopped[n] = (_EMPTY, "says nothing")
        return said, stopped

    def _tokens(self, places: Sequence[int]) -> list[list[int]]:
        new = [place for place in dict.fromkeys(places) if place not in self._ids]
        found = self.who.asked(self.prompts.every[place].messages for place in new)
        self._ids |= dict(zip(new, found, strict=True))
        return [self._ids[place] for place in places]


class _Tally:
    """What passed and what did not, and when to give up on a teacher."""

    def __init__(self, name: str, wanted: int, least_passing: float, filters: Sequence[str]) -> None:
        self.name, self.wanted, self.least_passing = name, wanted, least_passing
        self.kept: list[tuple[int, str]] = []
        self.asked = 0
        self.why: dict[str, dict[str, int]] = {name: {} for name in (_UNFINISHED, _EMPTY, *filters)}
        self.examples: dict[str, str] = {}

    @property
    def wanting(self) -> bool:
        return len(self.kept) < self.wanted

    @property
    def rejected(self) -> dict[str, int]:
        return {name: sum(counts.values()) for name, counts in self.why.items()}

    def add(self, block: Block) -> None:
        """Count a block; raises when hardly anything passes."""
        self.asked += block["asked"]
        self.kept += [(number, text) for number, text in block["kept"]]
        for name, counts in block["why"].items():
            self.why[name] = dict(Counter(self.why.get(name, {})) + Counter(counts))
        self.examples = {**block["examples"], **self.examples}
        if self.wanting and self.asked >= _TRIED and len(self.kept) < self.least_passing * self.asked:
            raise Hopeless(self._hopeless())

    def _hopeless(self) -> str:
        reasons = Counter({f"{name}: {why}": n for name, counts in self.why.items() for why, n in counts.items()})
        told = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common(4))
        example = self.examples[reasons.most_common(1)[0][0]]
        rate = len(self.kept) / self.asked
        return (
            f"{self.name}: {len(self.kept)} of {self.asked} answers pass the filters ({rate:.1%}), "
            f"and at least {self.least_passing:.0%} must ({told}); one that did not: {example[:80]!r}; "
            "take another teacher, other prompts or milder filters"
        )


def _usual(asked: Prompts) -> list[Filter]:
    return [Format(asked.form), *([Faithful()] if asked.kind == "paraphrase" else [])]


def _check_names(filters: Sequence[Filter]) -> None:
    names = [one.name for one in filters]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f'there are two filters called "{twice}"; give each once')


def _block_size(lm: LM, rows: int) -> int:
    small = sum(p.numel() for p in lm.model.parameters()) < _SMALL
    return max(_LEAST_BLOCK, min(rows, _BLOCK_OF_SMALL if small else _BLOCK))


def _record(who: Teacher, prompts: Prompts, filters: Sequence[Filter], *, seed: int, new: int, **given: Any) -> Record:
    recipe = {
        **given,
        **who.recipe,
        "prompts": prompts.kind,
        "max_new_tokens": new,
        "filters": [one.recipe for one in filters],
    }
    parents = {"teacher": who.lm.hash, "prompts": prompts.hash}
    return Record(kind="rows", recipe=recipe, parents=parents, seed=seed, code=CODE)
