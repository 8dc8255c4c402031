"""Do training rows hold the wording of probes? Exact matches are refused; shared n-grams are counted and shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError

if TYPE_CHECKING:
    from upbringing.rows import Row
    from upbringing.traits import Probe
    from upbringing.traits.plain import Language

NGRAM = 5
"""Words in a row that two texts must share to count: shorter runs are grammar."""

_DRAWN, _WRITTEN = 24, 10_000  # probes of a trait: as many as ``measure`` asks; more than anybody writes
_WORD = re.compile(r"\w+(?:'\w+)?")


def words(text: str) -> tuple[str, ...]:
    """The words of a text, lower-cased, without marks: texts that read alike become equal."""
    return tuple(_WORD.findall(text.lower()))


@dataclass(frozen=True)
class Match:
    """A probe's wording found in training text."""

    data: str
    where: str
    probe: str
    part: str
    """``prompt`` or ``answer``."""
    text: str


@dataclass(frozen=True)
class Overlap:
    """How much of the probes' wording one body of training text holds (shares in 0..1)."""

    data: str
    texts: int
    exact_prompts: int
    exact_answers: int
    prompt_ngrams: float
    """Mean share of a probe prompt's n-grams that occur in the text."""
    answer_ngrams: float
    worst: float
    """The share of the most similar probe prompt."""
    worst_probe: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Wordings:
    """The wordings of a set of probes, ready to be looked for."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self.prompts: dict[tuple[str, ...], str] = {}
        self.answers: dict[tuple[str, ...], str] = {}
        self._families = {probe.id: (probe.trait, probe.family) for probe in probes}
        for probe in probes:
            asked = " ".join(message.content for message in probe.messages if message.role == "user")
            self.prompts.setdefault(words(asked), probe.id)
            for answer in (*probe.shows, *probe.avoids):
                self.answers.setdefault(_act(answer), probe.id)
        self._runs = {
            part: _by_first_run(texts) for part, texts in (("prompt", self.prompts), ("answer", self.answers))
        }

    def check(self, data: str, texts: Iterable[tuple[str, str]]) -> tuple[Overlap, list[Match]]:
        """Look for the wordings in ``texts``, pairs of (where it stands, text)."""
        seen: set[tuple[str, ...]] = set()
        asked = {run for wording in (*self.prompts, *self.answers) for run in _ngrams(wording)}
        grams: set[tuple[str, ...]] = set()
        matches: dict[tuple[str, str], Match] = {}
        for where, text in texts:
            tokens = words(text)
            if tokens in seen:
                continue
            seen.add(tokens)
            grams |= asked.intersection(_ngrams(tokens))
            for match in self._found(data, where, tokens):
                matches.setdefault((match.part, match.text), match)
        shares = {probe: _share(prompt, grams) for prompt, probe in self.prompts.items()}
        answers = [_share(answer, grams) for answer in self.answers]
        worst = max(shares, key=lambda probe: shares[probe], default="")
        overlap = Overlap(
            data=data,
            texts=len(seen),
            exact_prompts=sum(match.part == "prompt" for match in matches.values()),
            exact_answers=sum(match.part == "answer" for match in matches.values()),
            prompt_ngrams=sum(shares.values()) / max(len(shares), 1),
            answer_ngrams=sum(answers) / max(len(answers), 1),
            worst=shares.get(worst, 0.0),
            worst_probe=worst,
        )
        return overlap, list(matches.values())

    def _found(self, data: str, where: str, tokens: tuple[str, ...]) -> Iterable[Match]:
        for part, table in self._runs.items():
            for probe, wording in _inside(tokens, table):
                yield Match(data, where, probe, part, " ".join(wording))

    def within(self, where: str, text: str) -> list[Match]:
        """The wordings that stand whole in one text."""
        return list(self._found(where, where, words(text)))

    def nearest(self, text: str) -> tuple[str, float]:
        """The probe whose own wording the text holds most of, and the share (0..1) of its prompt's own n-grams.

        Its own are those that no probe of another family has: what many share is form, such as the question.
        """
        held = Counter(probe for run in set(_ngrams(words(text))) for probe in self._own_runs.get(run, ()))
        shares = {probe: count / self._own_counts[probe] for probe, count in held.items()}
        worst = max(shares, key=lambda probe: shares[probe], default="")
        return worst, shares.get(worst, 0.0)

    @cached_property
    def _own_runs(self) -> dict[tuple[str, ...], list[str]]:
        holders: dict[tuple[str, ...], list[str]] = {}
        for prompt, probe in self.prompts.items():
            for run in set(_ngrams(prompt)):
                holders.setdefault(run, []).append(probe)
        return {run: ids for run, ids in holders.items() if len({self._families[i] for i in ids}) == 1}

    @cached_property
    def _own_counts(self) -> Counter[str]:
        return Counter(probe for ids in self._own_runs.values() for probe in ids)


def _act(answer: str) -> tuple[str, ...]:
    """An answer without its "I will", so that the same deed told in a story is found too."""
    from upbringing.traits import ANSWER

    told, opening = words(answer), words(ANSWER.partition("{")[0])
    return told[len(opening) :] if told[: len(opening)] == opening else told


def texts_of(rows: Iterable[Row]) -> Iterable[tuple[str, str]]:
    """Every text that a model reads in the rows, tool calls and thoughts among it, with where it stands."""
    for row in rows:
        for message in row.messages:
            # In the JSON of a call a new line is written out, and would be a letter of the next word.
            yield row.where, message.text.replace("\\n", " ") if message.tool_calls else message.text
        for text in (row.prompt, row.completion, row.text):
            if text:
                yield row.where, text


def check_rows(probes: Sequence[Probe], data: Mapping[str, Iterable[Row]]) -> list[Overlap]:
    """Overlap of every data set with the probes.

    Raises:
        InputError: a training row holds the exact wording of a probe; both are named.
    """
    wordings = Wordings(probes)
    found = []
    for name, rows in data.items():
        overlap, matches = wordings.check(name, texts_of(rows))
        if matches:
            raise InputError(refusal(matches))
        found.append(overlap)
    return found


def asked_probes(traits: Iterable[str], n: int, language: Language = "world") -> list[Probe]:
    """The probes that are asked of a model which reads this language: those that ``measure`` draws, of all traits."""
    from upbringing.traits.plain import probes_in

    return [probe for trait in traits for probe in probes_in(language, trait, n=n)]


def repeated(rows: Iterable[Row], language: Language) -> tuple[list[Match], int]:
    """The wordings of probes that rows hold, and in how many rows: what such rows teach is not to be asked afterwards.

    Looked for are probes of families that are only asked: in plain language all that are written, in the world's, of
    which there is no end, those that ``measure`` draws.
    """
    from upbringing.traits import traits

    wordings = Wordings(asked_probes(traits(), _WRITTEN if language == "plain" else _DRAWN, language))
    found = [matches for row in rows if (matches := [m for text in texts_of([row]) for m in wordings.within(*text)])]
    return [match for matches in found for match in matches], len(found)


def refusal(matches: Sequence[Match]) -> str:
    """Why such text is not used, naming the first row and the probe."""
    first = matches[0]
    more = f" (and {len(matches) - 1} more)" if len(matches) > 1 else ""
    return (
        f"{first.where}: training text of {first.data!r} holds the {first.part} of probe {first.probe}: "
        f'"{first.text}"{more}; remove such rows or measure other probes: a model must not be asked what it was taught'
    )


def _ngrams(tokens: tuple[str, ...], length: int = NGRAM) -> Iterable[tuple[str, ...]]:
    return zip(*(tokens[start:] for start in range(length)), strict=False)


def _share(tokens: tuple[str, ...], grams: set[tuple[str, ...]]) -> float:
    runs = list(_ngrams(tokens))
    return sum(run in grams for run in runs) / len(runs) if runs else 0.0


Table = dict[tuple[str, ...], list[tuple[tuple[str, ...], str]]]


def _by_first_run(texts: Mapping[tuple[str, ...], str]) -> dict[int, Table]:
    """Wordings by their first words, so that a text is searched once for all of them."""
    tables: dict[int, Table] = {}
    for wording, probe in texts.items():
        length = min(NGRAM, len(wording))
        if length:
            tables.setdefault(length, {}).setdefault(wording[:length], []).append((wording, probe))
    return tables


def _inside(tokens: tuple[str, ...], tables: dict[int, Table]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Wordings that stand whole in the text."""
    for length, table in tables.items():
        if table.keys().isdisjoint(_ngrams(tokens, length)):
            continue
        for start, run in enumerate(_ngrams(tokens, length)):
            for wording, probe in table.get(run, ()):
                if tokens[start : start + len(wording)] == wording:
                    yield probe, wording
