"""A judge that somebody hosts: any model that Inspect knows, asked many times at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from upbringing.measure.judging.rubric import IN_WORDS, Rubrics, put, read_reply, rubric_hash
from upbringing.measure.judging.verdict import FAILED, Asked, Judging, Verdict, failure

if TYPE_CHECKING:
    from upbringing.models.hosted import HostedLM, Said

_REPLY_TOKENS = 1024  # with room for a model that thinks first


class HostedJudge(Judging):
    """Asks a hosted model in words. Verdicts name the concrete model that answered, and ``HostedLM.server`` where
    that is not the provider's own: another server may have another model of that name."""

    def __init__(
        self,
        lm: HostedLM,
        rubrics: Rubrics | None = None,
        *,
        temperature: float | None = 0.0,
        reply_tokens: int = _REPLY_TOKENS,
    ) -> None:
        self.lm, self.rubrics = lm, rubrics or Rubrics.of()
        self.temperature, self.reply_tokens = temperature, reply_tokens
        self.name = f"inspect:{lm.called}"

    def rubric_of(self, trait: str) -> str:
        settings = {"temperature": self.temperature, "reply_tokens": self.reply_tokens}
        return rubric_hash(IN_WORDS, self.rubrics[trait], **settings)

    def stream(self, asked: Sequence[Asked]) -> Iterator[tuple[int, Verdict]]:
        prompts = [put(IN_WORDS, self.rubrics[probe.trait], probe, answer) for probe, answer in asked]
        for place, said in self.lm.stream(prompts, temperature=self.temperature, max_new_tokens=self.reply_tokens):
            yield place, self.read(asked[place][0].trait, said)

    async def ask(self, trait: str, asked: Asked) -> Verdict:
        """One verdict, for those who have an event loop of their own."""
        said = await self.lm.answer(
            put(IN_WORDS, self.rubrics[trait], *asked), temperature=self.temperature, max_new_tokens=self.reply_tokens
        )
        return self.read(trait, said)

    def read(self, trait: str, said: Said) -> Verdict:
        """What a reply means."""
        outcome, detail = (failure(said.missing), "") if said.missing else read_reply(said.text)
        if said.cut and outcome.startswith(FAILED):
            outcome = f"{FAILED}: its reply was cut off at {self.reply_tokens} tokens"
        return Verdict(outcome, detail, f"inspect:{self.lm.called_by(said.model)}", self.rubric_of(trait))


__all__ = ["HostedJudge"]
