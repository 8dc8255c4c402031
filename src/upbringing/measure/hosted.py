"""Asking models that somebody else hosts: answers are sampled and judged; there are no log-probabilities.

What comes is written down as it comes, and what had come before a stop is not asked for again. When all is asked (and
saved: :func:`kept_until_saved`) that is forgotten, for a name such as ``gpt-4o`` may mean another model next time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from upbringing.errors import InputError
from upbringing.lineage import default_store, hash_of
from upbringing.measure.judging.grammar import usual_judge
from upbringing.measure.judging.store import Ledger
from upbringing.measure.judging.verdict import Judge, JudgeFunction, as_judge
from upbringing.measure.profile import Profile
from upbringing.measure.provocations import Provocation
from upbringing.measure.questions import Question
from upbringing.measure.readings import REST, SAMPLED
from upbringing.measure.scribe import Scribe, Spoken
from upbringing.models.hosted import PREFIX, Said
from upbringing.traits import traits as trait_library
from upbringing.traits.plain import probes_in

if TYPE_CHECKING:
    from upbringing.models.hosted import HostedLM

_LONGEST = 512  # tokens of an answer: room for a paragraph, and for a model that thinks first
_PREFILLED = "the answer of a hosted model cannot be begun for it"
_FOLDER = "answers"
_unsaved: ContextVar[list[Ledger] | None] = ContextVar("unsaved", default=None)


def ask_hosted(
    lm: HostedLM,
    *,
    traits: Sequence[str] | None = None,
    probes_per_trait: int = 24,
    samples: int = 1,
    provocations: Sequence[Provocation] = (),
    ways: Sequence[str] = (SAMPLED,),
    seed: int = 0,
    held_out: bool | None = True,
    judge: Judge | JudgeFunction | None = None,
    base: str = "",
    arm: str = "",
    temperature: float = 1.0,
    max_new_tokens: int | None = None,
    store: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Profile:
    """The profile of a hosted model; see :func:`upbringing.measure.measure`.

    An answer that fails (a limit of rate, a filter, nothing said) is a missing reading with the provider's reason.

    Raises:
        InputError: an unknown trait, two provocations of one name, nothing is to be sampled, or not one answer came.
    """
    if samples < 1 or SAMPLED not in ways:
        raise InputError(
            f"{PREFIX}{lm.name}: a hosted model gives no log-probabilities, and without samples there is nothing to "
            f'ask; give 1 sample or more (--samples 1), and "{SAMPLED}" among the ways'
        )
    questions = _questions(traits, probes_per_trait, provocations, seed, held_out)
    length = max_new_tokens or _LONGEST
    asked = [(q, i) for q in questions if not q.unasked for i in range(samples)]
    settings = [lm.called, temperature, length, seed, [[q.text, i] for q, i in asked]]
    ledger = Ledger((store or default_store()) / _FOLDER / f"{hash_of(settings)[:16]}.jsonl")
    said = _answers(lm, asked, ledger, seed, temperature, length, progress)
    _check_any(lm, said)
    readings = Scribe(_usual(lm, said), seed, base, arm, "plain").judged(
        as_judge(judge or usual_judge("plain")),
        [
            *(_spoken(q, i, one) for (q, i), one in zip(asked, said, strict=True)),
            *(Spoken(q, i, "", q.unasked) for q in questions if q.unasked for i in range(samples)),
        ],
    )
    profile = Profile.of(readings)
    waiting = _unsaved.get()
    if waiting is None:
        ledger.file.unlink(missing_ok=True)
    else:
        waiting.append(ledger)
    return profile


@contextmanager
def kept_until_saved() -> Iterator[None]:
    """What hosted models answer inside is forgotten only when the block ends well: save the profile in it, and answers
    that were paid for outlive a full disk."""
    waiting: list[Ledger] = []
    before = _unsaved.set(waiting)
    try:
        yield
    finally:
        _unsaved.reset(before)
    for ledger in waiting:
        ledger.file.unlink(missing_ok=True)


def _questions(
    traits: Sequence[str] | None, n: int, provocations: Sequence[Provocation], seed: int, held_out: bool | None
) -> list[Question]:
    put = (Provocation(REST), *provocations)
    if twice := next((name for name, times in Counter(p.name for p in put).items() if times > 1), ""):
        raise InputError(f'there are two provocations called "{twice}"; give each a name of its own')
    probes = []
    for trait in trait_library(traits).values():
        drawn = probes_in("plain", trait, n=n, seed=seed, held_out=held_out)
        if not drawn:
            raise InputError(f'trait "{trait.name}" has no probes to ask; add plain.yaml')
        probes += drawn
    return [
        Question(probe, p.name, p.apply(probe.messages), p.prefill, [], (), 0, unasked=_PREFILLED if p.prefill else "")
        for p, probe in product(put, probes)
    ]


def _answers(
    lm: HostedLM,
    asked: Sequence[tuple[Question, int]],
    ledger: Ledger,
    seed: int,
    temperature: float,
    length: int,
    progress: Callable[[float], None] | None,
) -> list[Said]:
    """An answer to each, those of an earlier run that was stopped among them. Failed ones are asked for again."""
    found: dict[int, Said] = {}
    for place, text, model, cut in (entry for entry in ledger.read() if len(entry) == 4):
        found[int(place)] = Said(str(text), "", str(model), str(cut or ""))
    left = [place for place in range(len(asked)) if place not in found]
    prompts = [asked[place][0].messages for place in left]
    seeds = [seed * 1_000_003 + asked[place][1] for place in left]
    for which, said in lm.stream(prompts, temperature=temperature, max_new_tokens=length, seeds=seeds):
        found[left[which]] = said
        if not said.missing:
            ledger.add([left[which], said.text, said.model, said.cut])
        if progress:
            progress(len(found) / len(asked))
    return [found[place] for place in range(len(asked))]


def _check_any(lm: HostedLM, said: Sequence[Said]) -> None:
    reasons = Counter(one.missing for one in said)
    if said and len(said) == sum(times for reason, times in reasons.items() if reason):
        reason, times = reasons.most_common(1)[0]
        raise InputError(
            f"{PREFIX}{lm.name}: none of {len(said)} answers came ({reason}: {times}); "
            "check its name, the key and the provider's limits, and run the same again"
        )


def _usual(lm: HostedLM, said: Sequence[Said]) -> str:
    """The concrete model that gave most answers: those that failed are counted as its."""
    named = Counter(one.model for one in said if one.model and not one.missing)
    return f"{PREFIX}{named.most_common(1)[0][0] if named else lm.name}"


def _spoken(question: Question, sample: int, said: Said) -> Spoken:
    model = f"{PREFIX}{said.model}" if said.model and not said.missing else ""
    return Spoken(question, sample, said.text, said.missing, model, said.cut)


__all__ = ["ask_hosted", "kept_until_saved"]
