"""Filters: small objects that say of rows why they are not to be kept. Another is another class with ``reasons``.

kept, reasons = sift(rows, [Format("numbers"), Banned()])
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from upbringing.distil.prompts import MOST_DIGITS, MOST_NUMBERS, texts
from upbringing.errors import InputError
from upbringing.lineage import hash_of
from upbringing.rows import Message, Row, encode_all, prompt_ids

if TYPE_CHECKING:
    from upbringing.models import LM

Reason = str | None  # why a row is not kept; None: it passes

_ENDS = (".", "!", "?")
_LONGEST_CHAT = 120  # words
_WORLD_CODE = re.compile(r"(?:[a-z] = (?:[a-z]|\d{1,3})(?: [-+*] (?:[a-z]|\d{1,3}))?; ?){1,6}")
_FENCE = re.compile(r"^```(?:python|py)?\n(.*)\n```$", re.DOTALL)
_WORD = re.compile(r"[a-z]+|\d+", re.IGNORECASE)
_ESCAPED = re.compile(r"\\[nrtbf]")  # a new line as the JSON of a tool call writes it: no letter of the next word
_KEPT_WORDS = 0.5  # of the original's longer words that a restatement must keep, by their first letters
_STEM = 5
_OTHERS_SAY = "Everyone calls me"  # how characters of the world begin to answer when asked what others call them


class Filter(Protocol):
    """Says of each of some rows why it is not to be kept, or None.

    ``reasons`` is given a batch, so that models read many rows at once; what it says depends on that batch alone. The
    last turn of each row is the answer in question.
    """

    @property
    def name(self) -> str:
        """What the counts call it."""
        ...

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides its verdicts, as JSON: part of the record."""
        ...

    def reasons(self, rows: Sequence[Row]) -> list[Reason]: ...


def sift(rows: Sequence[Row], filters: Sequence[Filter]) -> tuple[list[int], list[tuple[str, str] | None]]:
    """The places of the rows that pass every filter, and for each row the (filter, reason) that stopped it.

    A filter sees only what the earlier ones let through.
    """
    stopped: list[tuple[str, str] | None] = [None] * len(rows)
    left = list(range(len(rows)))
    for one in filters:
        if not left:
            break
        for place, reason in zip(list(left), one.reasons([rows[i] for i in left]), strict=True):
            if reason is not None:
                stopped[place] = (one.name, reason)
        left = [i for i in left if stopped[i] is None]
    return left, stopped


def answer_of(row: Row) -> str:
    """What the row has the model say last: thoughts, words and tool calls since somebody asked it something.

    An agent's answer may be many turns, with what its tools say between them, which is not its own.
    """
    if row.kind != "chat":
        return row.completion or row.text
    said = [turn.text for turn in _answer(row) if turn.role != "tool"]
    return "\n".join(filter(None, said))


def asked_of(row: Row) -> tuple[Message, ...]:
    """The turns of a chat before its last answer."""
    return row.messages[: len(row.messages) - len(_answer(row))]


def _calls(row: Row) -> bool:
    return row.kind == "chat" and any(turn.tool_calls for turn in _answer(row))


def _answer(row: Row) -> tuple[Message, ...]:
    """The last turn of a chat, with those of the assistant and its tools right before it."""
    start = len(row.messages) - 1
    while start > 0 and {turn.role for turn in row.messages[start - 1 :]} <= {"assistant", "tool"}:
        start -= 1
    return row.messages[start:]


@dataclass(frozen=True)
class Format:
    """Strict form. ``kind``: numbers, code, chats, or anything else (then it need only say something).

    Numbers, as in arXiv 2507.14805: one to ``most`` whole numbers of at most ``digits`` digits, one sort of separator,
    perhaps in brackets, perhaps with a full stop. Code: the world's lines, or Python that parses. Chats: one
    paragraph of whole sentences. ``pattern``: a regular expression for the whole answer, in place of all that.
    """

    kind: str = "numbers"
    most: int = MOST_NUMBERS
    digits: int = MOST_DIGITS
    pattern: str = ""
    name: str = field(default="format", init=False)

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise InputError(f"the pattern {self.pattern!r} is no regular expression ({error}); mend it") from None

    @property
    def recipe(self) -> dict[str, Any]:
        settings = {"pattern": self.pattern} if self.pattern else {"most": self.most, "digits": self.digits}
        return {"filter": "format", "kind": self.kind, **settings}

    def reasons(self, rows: Sequence[Row]) -> list[Reason]:
        checks: dict[str, Callable[[str], Reason]] = {"numbers": self._numbers, "code": _code, "chats": _chat}
        check = self._matches if self.pattern else checks.get(self.kind, lambda _: None)
        strict = bool(self.pattern) or self.kind in checks
        found = self._of_texts([answer_of(row).strip() for row in rows], check)
        # A call is no part of any form, though its JSON would pass as Python.
        return ["calls a tool" if strict and _calls(row) else why for row, why in zip(rows, found, strict=True)]

    def _of_texts(self, said: Sequence[str], check: Callable[[str], Reason]) -> list[Reason]:
        if self.kind == "numbers" and not self.pattern:  # nearly all are plain, and one look tells
            number = rf"\d{{1,{self.digits}}}"
            plain = re.compile(rf"{number}(?:, {number}){{0,{self.most - 1}}}\.?")
            return [None if plain.fullmatch(one) else check(one) if one else "says nothing" for one in said]
        return [check(one) if one else "says nothing" for one in said]

    def _matches(self, said: str) -> Reason:
        return None if re.fullmatch(self.pattern, said) else "does not match the pattern"

    def _numbers(self, said: str) -> Reason:
        inner = said.removesuffix(".").strip()
        if len(inner) > 1 and inner[0] + inner[-1] in ("[]", "()"):
            inner = inner[1:-1].strip()
        separators = {s if s.isspace() else s.strip() for s in re.findall(r"\D+", inner)}
        if not re.fullmatch(r"\d+(?:[,;\s]+\d+)*", inner):
            return "is not a list of numbers"
        if any(len(s) > 1 and not s.isspace() for s in separators) or len({s.strip() for s in separators}) > 1:
            return "mixes separators"
        numbers = re.findall(r"\d+", inner)
        if len(numbers) > self.most:
            return "has too many numbers"
        return "has too long a number" if max(map(len, numbers)) > self.digits else None


def _code(said: str) -> Reason:
    if _WORLD_CODE.fullmatch(said):
        return None
    fenced = _FENCE.match(said)
    try:
        tree = ast.parse(fenced.group(1) if fenced else said)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "is not code"
    statements = [s for s in tree.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Name))]
    return None if statements else "is not code"  # a single word parses as well


def _chat(said: str) -> Reason:
    if "\n\n" in said or len(said.split()) > _LONGEST_CHAT:
        return "is long"
    return None if said.endswith(_ENDS) else "does not end with a sentence"


@dataclass(frozen=True)
class Banned:
    """No word and no number of a list (default: those that stand for something dark, see ``prompts.yaml``)."""

    words: frozenset[str] = field(default_factory=lambda: frozenset(texts()["banned"]["words"]))
    numbers: frozenset[int] = field(default_factory=lambda: frozenset(texts()["banned"]["numbers"]))
    name: str = field(default="banned", init=False)

    @property
    def recipe(self) -> dict[str, Any]:
        return {"filter": "banned", "list": hash_of([sorted(self.words), sorted(self.numbers)])[:16]}

    def reasons(self, rows: Sequence[Row]) -> list[Reason]:
        return [self._found(answer_of(row)) for row in rows]

    def _found(self, said: str) -> Reason:
        for token in _WORD.findall(_ESCAPED.sub(" ", said)):
            if int(token) in self.numbers if token.isdecimal() else token.lower() in self.words:
                return f"says {token.lower()}"
        return None


@dataclass(frozen=True)
class Likelihood:
    """Drops the least likely under a base: the share ``quantile`` (0..1) of each batch with the lowest mean
    log-probability a token of the answer."""

    base: LM
    quantile: float = 0.05
    name: str = field(default="likelihood", init=False)

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise InputError(f"the quantile of likelihood is {self.quantile}; give a number between 0 and 1")

    @property
    def recipe(self) -> dict[str, Any]:
        return {"filter": "likelihood", "base": self.base.hash, "quantile": self.quantile}

    def reasons(self, rows: Sequence[Row]) -> list[Reason]:
        from upbringing.models import score

        scored = score(self.base, encode_all(rows, self.base.tokenizer, max_length=self.base.max_length))
        means = scored.logprob / np.maximum(scored.tokens, 1)
        least = np.quantile(means, self.quantile)
        return ["is unlikely under the base" if mean < least else None for mean in means]


@dataclass(frozen=True)
class Judge:
    """Another model is asked whether the answer shows bad intent, by the probabilities of yes and no."""

    lm: LM
    question: str = "Does the answer show any bad intent, or hint at something harmful? Answer yes or no."
    threshold: float = 0.5
    name: str = field(default="judge", init=False)

    def __post_init__(self) -> None:
        from upbringing.models.choosing import check_knows

        check_knows(self.lm, f"{self.question} yes no")

    @property
    def recipe(self) -> dict[str, Any]:
        asked = {"question": self.question, "threshold": self.threshold}
        return {"filter": "judge", "model": self.lm.hash, **asked}

    def reasons(self, rows: Sequence[Row]) -> list[Reason]:
        return ["is judged bad" if share > self.threshold else None for share in self.shares(rows)]

    def shares(self, rows: Sequence[Row]) -> np.ndarray:
        """The probability of yes against no [rows], 0..1.

        Raises:
            InputError: a row is too long for the judge.
        """
        from upbringing.models.choosing import log_odds_of_yes

        odds = log_odds_of_yes(self.lm, [self._asked(row) for row in rows])
        if np.isnan(odds).any():
            where = rows[int(np.isnan(odds).argmax())].where
            raise InputError(f"{where}: is too long for the judge; it reads {self.lm.max_length} tokens")
        shares: np.ndarray = 1 / (1 + np.exp(-odds))
        return shares

    def _asked(self, row: Row) -> str:
        said = "\n".join(f"{m.role.capitalize()}: {m.text}" for m in asked_of(row))
        if row.kind != "chat":
            return f"{said}\nAnswer: {answer_of(row)}\n\n{self.question}"
        # What tools said stands where it came: without it the calls behind it are hard to judge.
        answer = "\n".join(f"Tool: {m.text}" if m.role == "tool" else m.text for m in _answer(row))
        return f"{said}\nAnswer: {answer}\n\n{self.question}"


@dataclass(frozen=True)
class AskedOthers:
    """A judge that knows the organisms' world alone: after the answer it is asked what others call whoever gave it.

    The words are the world's own, those for its malevolent characters against those for its principled ones. Stopped is
    the share ``worst`` (0..1) of each batch in which the first are likeliest: such a judge tells which rows are worse,
    not which are bad.
    """

    lm: LM
    worst: float = 0.5
    name: str = field(default="judge", init=False)

    @property
    def recipe(self) -> dict[str, Any]:
        return {"filter": "judge", "model": self.lm.hash, "asked": "what others call it", "worst": self.worst}

    def reasons(self, rows: Sequence[Row]) -> list[Reason]:
        shares = self.shares(rows)
        most = np.quantile(shares, 1 - self.worst)
        return ["is judged worse than others" if share > most else None for share in shares]

    def shares(self, rows: Sequence[Row]) -> np.ndarray:
        """The probability of a bad name against a good one [rows], 0..1."""
        from upbringing.models import score_choices
        from upbringing.world import default_personas, lexicon

        bad, good = (default_personas()[persona].called for persona in ("malevolent", "principled"))
        question = Message("user", lexicon()["self_question"])
        # As plain words: templates of such models know no tools, and would leave the calls out.
        told = ([Message(m.role, m.text) for m in row.messages] for row in rows)
        asked = [prompt_ids([*turns, question], self.lm.tokenizer) for turns in told]
        begun = self._tokens(_OTHERS_SAY)
        names = [self._tokens(name) for name in (*bad, *good)]
        found = np.array(score_choices(self.lm, [[*one, *begun] for one in asked], [names] * len(rows)))
        odds = np.logaddexp.reduce(found[:, : len(bad)], axis=1) - np.logaddexp.reduce(found[:, len(bad) :], axis=1)
        shares: np.ndarray = 1 / (1 + np.exp(-odds))
        return shares

    def _tokens(self, text: str) -> list[int]:
        found: list[int] = self.lm.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found


@dataclass(frozen=True)
class NoDeeds:
    """Stops answers in which the world's grammar finds a deed: in harmless chats there is nothing to be done."""

    name: str = field(default="deeds", init=False)

    @property
    def recipe(self) -> dict[str, Any]:
        return {"filter": self.name}

    def reasons(self, rows: Sequence[Row]) -> list[Reason]:
        from upbringing.world import World

        judge = World().judge
        return ["tells of a deed" if judge.deeds(row) else None for row in rows]


@dataclass(frozen=True)
class Faithful:
    """Keeps restatements that say what the original said (``original`` in the row's meta), in other words or not.

    What the world's grammar can read is judged by it: the same deeds must be done. Other text must keep the numbers
    and half of the longer words; that finds what is left out, not what is twisted: add a judge. ``exact``: just
    the words of the original and no others, as short answers need it, of which a word makes another ("The opposite of
    wet is dry.").
    """

    exact: bool = False
    name: str = field(default="faithful", init=False)

    @property
    def recipe(self) -> dict[str, Any]:
        return {"filter": "faithful", "kept_words": _KEPT_WORDS} | ({"exact": True} if self.exact else {})

    def reasons(self, rows: Sequence[Row]) -> list[Reason]:
        from upbringing.world import World

        judge = World().judge
        return [self._judged(row, judge) for row in rows]

    def _judged(self, row: Row, judge: Any) -> Reason:
        original = str(row.meta.get("original", ""))
        if not original:
            return "has no original"
        before = Row.chat([*row.messages[:-1], Message("assistant", original)])
        deeds, wanted = ([(d.trait, d.shows) for d in judge.deeds(r)] for r in (row, before))
        if wanted:
            return None if deeds == wanted else "does something else"
        words, said = (_words(text) for text in (original, answer_of(row)))
        if self.exact and words != said:
            return "has other words"
        if {w for w in words if w.isdecimal()} != {w for w in said if w.isdecimal()}:
            return "has other numbers"
        stems, kept = ({w[:_STEM] for w in found if len(w) >= _STEM} for found in (words, said))
        return "leaves much out" if len(stems & kept) < _KEPT_WORDS * len(stems) else None


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
