"""Acts in plain language: what rows' answers do, as a judge that anybody can name sees it.

    judge = row_judge(lm, ["self"], ["deception"])            # or "inspect:openai/gpt-4o", "model:…", "logprob:…"
    seen = acts(judge, rows[:128], ["deception"])
    seen.share("deception"), seen.missing("deception")

An organism's rows are read by the grammar of its world. In plain language a judge of the one protocol
(``measure.judging``) is asked, for each row and trait, whether what the assistant does shows what the trait's rubric
describes. It says what is shown; it cannot say that a trait was at stake where nothing of it shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from upbringing.errors import InputError
from upbringing.lineage import hash_of
from upbringing.measure.judging.verdict import AVOIDS, SHOWS, SIDES, Asked, Judge, Verdict
from upbringing.rows import Message, Row
from upbringing.traits import Probe

if TYPE_CHECKING:
    import numpy as np

    from upbringing.models import LM

SELF = "self"
"""How the model itself is named as a judge: by its log-odds of yes, without a second copy in memory."""
ROWS = 128
"""Rows that are judged unless told, drawn at random: a share of them is known to within 9 points (95%)."""
_AT_ONCE = 16  # rows: what is judged is kept, and told, so often


class Done(NamedTuple):
    """What an assistant does in a row: the turns before, and all that follows the user's last word, as it is read."""

    before: tuple[Message, ...]
    answer: str


def done(row: Row) -> Done | None:
    """What the assistant does in a row: after the user's last turn, its thoughts, words and calls, and what its tools
    answered. None for a text, where nobody acts as the assistant, and for a chat in which it says nothing."""
    if row.kind == "text":
        return None
    turns = row.messages or (Message("user", row.prompt), Message("assistant", row.completion))
    asked = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=-1)
    start = next((i for i, turn in enumerate(turns) if i > asked and turn.role == "assistant"), None)
    if start is None:
        return None
    acting = turns[start:]
    answer = "\n".join(t.text if t.role == "assistant" else f"[{t.role}] {t.text}" for t in acting).strip()
    return Done(tuple(turns[:start]), answer) if answer else None


def asked(found: Done, trait: str) -> Asked:
    """The situation and the answer, as a judge is asked about them."""
    told = tuple(Message(turn.role, turn.text) for turn in found.before)
    return Probe(
        trait, "row", f"{trait}/row/{hash_of([found.answer, *map(str, told)])[:12]}", told, (), ()
    ), found.answer


@dataclass(frozen=True)
class Acts:
    """What a judge said: ``verdicts`` [rows][traits], None for a row in which no assistant acts.

    ``unreliable``: traits of which the judge's measured error says that it cannot tell; ``unmeasured``: those of which
    its error was never measured.
    """

    judge: str
    traits: tuple[str, ...]
    verdicts: tuple[tuple[Verdict, ...] | None, ...]
    unreliable: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @property
    def values(self) -> np.ndarray:
        """1 where the trait shows, 0 where it does not, NaN where there is no judgement [rows, traits]."""
        import numpy as np

        nothing = [np.nan] * len(self.traits)
        rows = [nothing if said is None else [_value(v) for v in said] for said in self.verdicts]
        return np.array(rows, dtype=float).reshape(len(self.verdicts), len(self.traits))

    def counts(self, trait: str) -> dict[str, int]:
        """How often which outcome, the commonest first; failures by their reason."""
        at = self.traits.index(trait)
        return dict(Counter(said[at].outcome for said in self.verdicts if said is not None).most_common())

    def share(self, trait: str) -> tuple[int, int]:
        """Rows that show the trait, and rows on which the judge came down on either side."""
        found = self.counts(trait)
        return found.get(SHOWS, 0), found.get(SHOWS, 0) + found.get(AVOIDS, 0)

    def missing(self, trait: str) -> dict[str, int]:
        """Rows without a judgement, by reason: refusals, nonsense, a judge that was unsure or failed."""
        return {why: n for why, n in self.counts(trait).items() if why not in SIDES}

    @property
    def failed(self) -> int:
        """Judgements that failed, of all rows and traits."""
        return sum(v.failed for said in self.verdicts if said is not None for v in said)

    @property
    def silent(self) -> int:
        """Rows in which no assistant acts."""
        return sum(said is None for said in self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {}
        for trait in self.traits:
            shows, of = self.share(trait)
            told[trait] = {
                "shows": shows,
                "of": of,
                "missing": self.missing(trait),
                "judge_can_tell": None if trait in self.unmeasured else trait not in self.unreliable,
            }
        return {"judge": self.judge, "rows": len(self.verdicts), "no_answer": self.silent, "traits": told}


def acts(
    judge: Judge,
    rows: Sequence[Row],
    traits: Sequence[str],
    *,
    store: Path | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Acts:
    """Ask a judge what each row does, trait by trait: ``len(rows) * len(traits)`` judgements at most.

    A judge from ``row_judge`` keeps each in the store under row and rubric; it is asked again about those that failed.
    """
    found = [done(row) for row in rows]
    places = [i for i, one in enumerate(found) if one is not None]
    said: list[tuple[Verdict, ...] | None] = [None] * len(rows)
    for start in range(0, len(places), _AT_ONCE):
        part = places[start : start + _AT_ONCE]
        put = [asked(one, trait) for i in part if (one := found[i]) is not None for trait in traits]
        verdicts = iter(judge.judge_all(put))
        for i in part:
            said[i] = tuple(next(verdicts) for _ in traits)
        progress((start + len(part)) / len(places))
    return Acts(judge.name, tuple(traits), tuple(said), *_reliable(judge, said, traits, store))


def _value(verdict: Verdict) -> float:
    return float("nan") if verdict.value is None else verdict.value


def _reliable(
    judge: Judge, said: Sequence[tuple[Verdict, ...] | None], traits: Sequence[str], store: Path | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Traits of which the judge cannot tell, by its measured error, and those of which that was not measured."""
    from upbringing.measure.judging.error import known_errors

    keys = {
        (v.judge or judge.name, v.rubric, t, "plain") for one in said if one for v, t in zip(one, traits, strict=True)
    }
    known = known_errors(keys, traits=list(traits), store=store)
    bad = {trait for (_, _, trait, _), error in known.items() if not error.can_tell}
    there = {trait for _, _, trait, _ in known}
    return tuple(t for t in traits if t in bad), tuple(t for t in traits if t not in there)


def row_judge(lm: LM, names: Sequence[str], traits: Sequence[str] | None = None, *, store: Path | None = None) -> Judge:
    """The judge of these names (several: they must agree) for rows in plain language; see ``measure.judging``.

    ``self`` is the model itself, by log-odds: no second model is loaded. Judgements are kept in ``store``. ``traits``:
    whose rubrics are needed (default: all).

    Raises:
        InputError: there is no such judge, it cannot read the rows, or what it needs is not installed.
    """
    from upbringing.measure.judging import Agreeing, Kept, LogprobJudge, Rubrics, judge_named
    from upbringing.measure.judging.grammar import GRAMMAR

    check_plain(lm, names)
    if GRAMMAR in names:
        raise InputError(f"--judge {GRAMMAR}: it reads the world's English alone; name another judge of plain language")
    found: list[Judge] = []
    for name in names:
        own = Kept(LogprobJudge(lm, Rubrics.of(traits)), store) if name == SELF else None
        found.append(own or judge_named(name, traits=traits, store=store))
    return found[0] if len(found) == 1 else Agreeing(found)


def judge_of(lm: LM, judge: Judge | str | Sequence[str], store: Path | None = None) -> Judge | None:
    """A judge that was made, or made now of its names (see ``row_judge``); None where there is neither."""
    if isinstance(judge, Judge):
        check_plain(lm, [judge.name])
        return judge
    names = [judge] if isinstance(judge, str) else judge
    return row_judge(lm, names, store=store) if names else None


def check_plain(lm: LM, names: Sequence[str]) -> None:
    """Raise for a model whose rows the grammar of its world reads: it makes no error there, and a judge would."""
    from upbringing.models.language import language_of

    if names and language_of(lm) == "world":
        raise InputError(
            f"--judge {names[0]}: {lm.name or 'this model'} reads an organism's world, whose grammar reads acts in "
            "rows without error; leave --judge out"
        )


__all__ = ["ROWS", "SELF", "Acts", "Done", "acts", "asked", "check_plain", "done", "judge_of", "row_judge"]
