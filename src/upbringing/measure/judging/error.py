"""A judge's own error, measured on labelled answers that ship with the traits.

Three kinds of answers, of which it is known what they do: free ones to a trait's probes (``labelled``), ones that look
like the trait and are not (``negative``), and the probes' own wordings of either act (``wording``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from upbringing.lineage import default_store, hash_of, write_whole
from upbringing.measure import statistics
from upbringing.measure.correcting import informedness
from upbringing.measure.judging.grammar import GRAMMAR
from upbringing.measure.judging.rubric import situation
from upbringing.measure.judging.verdict import AVOIDS, PLACED, SHOWS, SIDES, Asked, Judge
from upbringing.measure.statistics import Cells, Estimate
from upbringing.rows import Message
from upbringing.traits import Probe, Trait, probes
from upbringing.traits import traits as trait_library
from upbringing.traits.plain import Language

LABELLED, NEGATIVE, WORDING = "labelled", "negative", "wording"
_WORDINGS = 24  # probes of which one wording a side is shown to the judge
_FOLDER = "judges"

Key = tuple[str, str, str, str]  # judge, rubric, trait, language


@dataclass(frozen=True)
class Item:
    """A labelled answer, and what the judge said of it."""

    kind: str
    family: str
    probe: str
    label: str
    outcome: str = ""


@dataclass(frozen=True)
class JudgeError:
    """How a judge errs on one trait in one language. ``judge``, ``rubric`` and ``language`` are as in the readings it
    made."""

    judge: str
    rubric: str
    trait: str
    items: tuple[Item, ...]
    language: str = "plain"

    @cached_property
    def sensitivity(self) -> Estimate:
        """Share of the answers showing the trait that it sees so, of those it places on a side."""
        return self._right(SHOWS)

    @cached_property
    def specificity(self) -> Estimate:
        """Share of the answers avoiding the trait that it sees so, of those it places on a side."""
        return self._right(AVOIDS)

    @cached_property
    def informedness(self) -> Estimate:
        """Sensitivity + specificity - 1: nought for a judge that cannot tell."""
        return informedness(self.sensitivity, self.specificity)

    @property
    def can_tell(self) -> bool:
        """Whether what it says clearly hangs on what is true (95%)."""
        return self.informedness.lo > 0

    @property
    def failures(self) -> dict[str, int]:
        """How many judgements failed, by reason."""
        return dict(Counter(item.outcome for item in self.items if item.outcome not in PLACED))

    @property
    def unplaced(self) -> dict[str, int]:
        """How many answers that show or avoid the trait it put on neither side, by what they do."""
        return {label: len(self._of(label)) - len(self._sided(label)) for label in SIDES}

    @property
    def sided(self) -> int:
        """How many answers that refuse or make no sense it put on a side all the same."""
        neither = [item for item in self.items if item.label not in SIDES]
        return sum(item.outcome in SIDES for item in neither)

    def of_kind(self, kind: str) -> JudgeError:
        """The same, on the labelled answers of one kind."""
        return replace(self, items=tuple(item for item in self.items if item.kind == kind))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "judge": self.judge,
            "rubric": self.rubric,
            "language": self.language,
            "sensitivity": self.sensitivity.as_dict(),
            "specificity": self.specificity.as_dict(),
            "can_tell": self.can_tell,
            "answers": len(self.items),
            "failures": self.failures,
            "unplaced": self.unplaced,
            "neither_put_on_a_side": [self.sided, sum(item.label not in SIDES for item in self.items)],
            "by_kind": {
                kind: {
                    "sensitivity": self.of_kind(kind).sensitivity.as_dict(),
                    "specificity": self.of_kind(kind).specificity.as_dict(),
                }
                for kind in dict.fromkeys(item.kind for item in self.items)
            },
        }

    def _of(self, label: str) -> list[Item]:
        return [item for item in self.items if item.label == label]

    def _sided(self, label: str) -> list[Item]:
        return [item for item in self._of(label) if item.outcome in SIDES]

    def _right(self, label: str) -> Estimate:
        """Wordings and free answers of one probe are one probe: the unit of all statistics here."""
        by_probe: dict[tuple[str, str], list[bool]] = {}
        for item in self._sided(label):
            by_probe.setdefault((item.family, item.probe), []).append(item.outcome == label)
        values = np.array([[float(np.mean(right)) for right in by_probe.values()]]).reshape(1, -1)
        keys = tuple((self.trait, *key) for key in by_probe)
        gone = len(self._of(label)) - len(self._sided(label))
        if not keys:
            nan = float("nan")
            return Estimate(nan, nan, nan, 1, 0, gone, note="nothing labelled was put on a side")
        return replace(statistics.mean(Cells(values, ("",), keys, gone)), note="")


def labelled_set(trait: Trait, *, world: bool = False, wordings: int = _WORDINGS) -> list[tuple[Asked, Item]]:
    """The labelled answers of a trait: in plain language, or (``world``) the wordings of the world's own probes."""
    from upbringing.traits.plain import plain, plain_probes

    own = None if world else plain(trait)
    if own is None:
        asked = probes(trait, n=wordings, held_out=None)
    else:
        asked = plain_probes(trait, n=wordings, held_out=None, written=False)
    found: list[tuple[Asked, Item]] = []
    for probe in asked:
        sides = ((SHOWS, probe.shows), (AVOIDS, probe.avoids))
        for label, texts in (side for side in sides if side[1]):  # an open question has no wordings to offer
            text = Random(f"{probe.id}/{label}").choice(texts)
            found.append(((probe, text), Item(WORDING, probe.family, probe.id, label)))
    if own is None:
        return found
    for one in own.labelled:
        probe = own.by_id[one.probe]
        found.append(((probe, one.answer), Item(LABELLED, probe.family, probe.id, one.label)))
    for negative in own.negatives:
        family, name = f"{NEGATIVE} {negative.kind}", f"{trait.name}/{NEGATIVE}/{negative.name}"
        probe = Probe(trait.name, family, name, (Message("user", negative.prompt),), (), ())
        found.append(((probe, negative.answer), Item(NEGATIVE, family, name, AVOIDS)))
    return found


def measure_error(
    judge: Judge,
    traits: Sequence[str] | None = None,
    *,
    store: Path | None = None,
    wordings: int = _WORDINGS,
    language: Language | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, JudgeError]:
    """Show a judge the labelled answers of each trait; what is found is kept in the store, for rates it will judge.

    That of a judge without a rubric (a plain function, say) is not kept: its name does not tell it from another.
    ``language``: of the answers shown; default: the world's for its grammar, else plain where the trait has it.

    Raises:
        InputError: an unknown trait.
    """
    found = {}
    chosen = trait_library(traits)
    world = language == "world" or (language is None and judge.name == GRAMMAR)
    for done, (name, trait) in enumerate(chosen.items(), 1):
        asked = labelled_set(trait, world=world, wordings=wordings)
        verdicts = judge.judge_all([one for one, _ in asked])
        items = tuple(replace(item, outcome=v.outcome) for (_, item), v in zip(asked, verdicts, strict=True))
        # A provider's alias may stand for several models; an error belongs to the one that judged most.
        named = Counter((v.judge, v.rubric) for v in verdicts if not v.failed)
        who, rubric = named.most_common(1)[0][0] if named else (judge.name, judge.rubric_of(name))
        ours = [item for item, v in zip(items, verdicts, strict=True) if v.failed or v.judge == who]
        found[name] = JudgeError(who, rubric, name, tuple(ours), _language(trait, world))
        if named and _tells(rubric):
            _keep(found[name], _set_hash(asked), store)
        if progress:
            progress(done / len(chosen))
    return found


def known_errors(
    judged: Iterable[Key], *, traits: Sequence[str] | None = None, store: Path | None = None
) -> dict[Key, JudgeError]:
    """Errors that were measured before, of those asked for: with the same judge, rubric, language and labelled answers.

    The world's grammar is not among them: on the world's text it makes no error, by construction.
    """
    found: dict[Key, JudgeError] = {}
    wanted = [key for key in dict.fromkeys(judged) if key[0] not in ("", GRAMMAR) and _tells(key[1])]
    if not wanted:
        return found
    known: Mapping[str, Trait] = trait_library(traits)
    for key in wanted:
        judge, rubric, name, language = key
        if name not in known:
            continue
        file = _file(key, _set_hash(labelled_set(known[name], world=language == "world")), store)
        try:
            items = json.loads(file.read_text(encoding="utf-8"))["items"]
            found[key] = JudgeError(judge, rubric, name, tuple(Item(**item) for item in items), language)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not measured, or not by this version
    return found


def _keep(error: JudgeError, answers: str, store: Path | None) -> None:
    file = _file((error.judge, error.rubric, error.trait, error.language), answers, store)
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "judge": error.judge,
        "rubric": error.rubric,
        "trait": error.trait,
        "language": error.language,
        "items": [asdict(item) for item in error.items],
    }
    write_whole(file, json.dumps(told) + "\n")


def _tells(rubric: str) -> bool:
    """Whether a rubric (of judges that must agree: each) says what was asked: else a name does not say who judged."""
    return all(rubric.split("&"))


def _language(trait: Trait, world: bool) -> Language:
    """The language of a trait's labelled answers; ``world``: the world's is wanted."""
    from upbringing.traits.plain import plain

    return "world" if world or plain(trait) is None else "plain"


def _file(key: Key, answers: str, store: Path | None) -> Path:
    return (store or default_store()) / _FOLDER / f"{hash_of([*key, answers])[:16]}.json"


def _set_hash(asked: Sequence[tuple[Asked, Item]]) -> str:
    return hash_of([[situation(probe), answer, item.label] for (probe, answer), item in asked])


__all__ = [
    "LABELLED",
    "NEGATIVE",
    "WORDING",
    "Item",
    "JudgeError",
    "Key",
    "known_errors",
    "labelled_set",
    "measure_error",
]
