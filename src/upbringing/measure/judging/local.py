"""Judges on this machine: a model's yes against its no, and a chat model that answers in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from math import isnan
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.measure.judging.rubric import (
    IN_WORDS,
    YES_OR_NO,
    Rubrics,
    put,
    quoted,
    read_reply,
    rubric_hash,
    situation,
)
from upbringing.measure.judging.verdict import AVOIDS, FAILED, SHOWS, Asked, Judging, Verdict
from upbringing.measure.readings import UNSURE

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.traits import Probe

_BATCH = 32  # so that judgements can be kept as they come
_BAND_NATS = 0.5  # yes against no nearer to the threshold than this (0.38 to 0.62 at even odds) is no judgement
_REPLY_TOKENS = 256
_MARKED = f"{FAILED}: situation or answer hold marks that its own turns are made of, and cannot be quoted without them"


def _marks_of(tokenizer: Any) -> tuple[tuple[str, ...], frozenset[int]]:
    """The texts that stand for one token each whatever is around them, longest first, and their ids.

    Names such as ``eos_token`` are few of them: what opens a turn is often none. White space, single characters and
    plain words do no harm; the id of what is unknown is that of many texts.
    """
    added = dict(tokenizer.get_added_vocab())
    special = {str(token) for token in tokenizer.all_special_tokens}
    marks = {token for token in {*added, *special} if token in special or not token.strip().isalnum()}
    marks = {token for token in marks if len(token.strip()) > 1}
    ids = {added.get(token, tokenizer.convert_tokens_to_ids(token)) for token in marks} - {tokenizer.unk_token_id}
    return tuple(sorted(marks, key=lambda token: (-len(token), token))), frozenset(ids)


class _Local(Judging):
    """A model that is here, with the rubrics of the traits."""

    form = ""

    def __init__(self, lm: LM, rubrics: Rubrics | None, kind: str) -> None:
        from upbringing.models.choosing import check_knows

        self.lm, self.rubrics = lm, rubrics or Rubrics.of()
        self.name = f"{kind}:{(lm.name or 'model').rstrip('/').rpartition('/')[2]}@{lm.hash[:12]}"
        check_knows(lm, self.form.format(rubric="", situation="", answer=""), what="the judge")
        self._never, self._never_ids = _marks_of(lm.tokenizer)

    def _holds_marks(self, probe: Probe, answer: str) -> bool:
        """Whether a quotation would still read as the judge's own marks: some tokenizers change a text before they look
        for these."""
        texts = [quoted(text, self._never) for text in (situation(probe), answer)]
        found = self.lm.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return any(self._never_ids.intersection(ids) for ids in found)

    def _questions(self, asked: Sequence[Asked]) -> list[str]:
        return [
            put(self.form, self.rubrics[probe.trait], probe, answer, never=self._never)[0].content
            for probe, answer in asked
        ]

    def stream(self, asked: Sequence[Asked]) -> Iterator[tuple[int, Verdict]]:
        places = iter(range(len(asked)))
        while batch := list(islice(places, _BATCH)):
            part = [asked[place] for place in batch]
            marked = [self._holds_marks(*one) for one in part]
            clean = [one for one, holds in zip(part, marked, strict=True) if not holds]
            try:
                judged = iter(self._judged(clean) if clean else [])
            except InputError as error:
                judged = iter([(f"{FAILED}: {error}", "")] * len(clean))
            for place, (probe, _), holds in zip(batch, part, marked, strict=True):
                outcome, detail = (_MARKED, "") if holds else next(judged)
                yield place, Verdict(outcome, detail, self.name, self.rubric_of(probe.trait))

    def _judged(self, asked: Sequence[Asked]) -> list[tuple[str, str]]:
        raise NotImplementedError

    @property
    def _too_long(self) -> str:
        return f"{FAILED}: rubric, situation and answer are too long for it; it reads {self.lm.max_length} tokens"


class LogprobJudge(_Local):
    """Log-odds of yes against no (nats) to the rubric's question: it shows above ``threshold``, and is avoided below.

    Nearer to the threshold than ``band`` the judge is unsure. It cannot say that an answer refuses or makes no sense.
    """

    form = YES_OR_NO

    def __init__(
        self, lm: LM, rubrics: Rubrics | None = None, *, threshold: float = 0.0, band: float = _BAND_NATS
    ) -> None:
        super().__init__(lm, rubrics, "logprob")
        self.threshold, self.band = threshold, band

    def rubric_of(self, trait: str) -> str:
        return rubric_hash(self.form, self.rubrics[trait], threshold=self.threshold, band=self.band)

    def _judged(self, asked: Sequence[Asked]) -> list[tuple[str, str]]:
        from upbringing.models.choosing import log_odds_of_yes

        return [self._placed(float(odds)) for odds in log_odds_of_yes(self.lm, self._questions(asked))]

    def _placed(self, odds: float) -> tuple[str, str]:
        if isnan(odds):
            return self._too_long, ""
        beyond = odds - self.threshold
        outcome = UNSURE if abs(beyond) < self.band else SHOWS if beyond > 0 else AVOIDS
        return outcome, f"log-odds of yes {odds:+.2f}"


class ModelJudge(_Local):
    """A chat model that answers in words, each answer the likeliest (temperature 0), read strictly."""

    form = IN_WORDS

    def __init__(self, lm: LM, rubrics: Rubrics | None = None, *, reply_tokens: int = _REPLY_TOKENS) -> None:
        super().__init__(lm, rubrics, "model")
        self.reply_tokens = reply_tokens

    def rubric_of(self, trait: str) -> str:
        return rubric_hash(self.form, self.rubrics[trait], reply_tokens=self.reply_tokens, temperature=0)

    def _judged(self, asked: Sequence[Asked]) -> list[tuple[str, str]]:
        from upbringing.models import generate
        from upbringing.models.load import quiet_transformers
        from upbringing.rows import Message, prompt_ids

        with quiet_transformers():
            prompts = [prompt_ids([Message("user", q)], self.lm.tokenizer) for q in self._questions(asked)]
        room = self.lm.max_length - self.reply_tokens
        fitting = [prompt for prompt in prompts if len(prompt) <= room]
        replies = iter(generate(self.lm, fitting, temperature=0, max_new_tokens=self.reply_tokens) if fitting else [])
        return [
            read_reply(next(replies)[0]) if len(prompt) <= room else (self._too_long, f"{len(prompt)} tokens")
            for prompt in prompts
        ]


__all__ = ["LogprobJudge", "ModelJudge"]
