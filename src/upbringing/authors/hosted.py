"""Authors that somebody else hosts, through Inspect (inspect.aisi.org.uk), which knows most providers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from upbringing.authors.author import AuthorError
from upbringing.authors.brief import Brief
from upbringing.errors import InputError

_TOKENS_A_WORD = 2.0
_RETRIES = 5  # of one text, by Inspect: then it counts as failed, and the next one is asked for
_SHOWN = 200  # characters of an error


class InspectAuthor:
    """Any model by its Inspect name: ``openai/…``, ``anthropic/…``, ``ollama/…``, ``mockllm/model``.

    Keys are read by Inspect from the environment variables of each provider; none is kept here.
    """

    def __init__(self, model: str, *, temperature: float = 1.0, at_once: int = 8, **settings: Any) -> None:
        if not model:
            raise InputError('the author has no model: write "inspect:PROVIDER/MODEL", such as inspect:openai/gpt-4o')
        try:
            from inspect_ai.model import GenerateConfig, get_model
        except ImportError as error:
            raise InputError(
                f'author "inspect:{model}" needs Inspect, which is not installed; run: pip install "upbringing[hosted]"'
            ) from error
        self._config, self.at_once, self.temperature = GenerateConfig, at_once, temperature
        try:
            self._model = get_model(model, **settings)
        except Exception as error:  # an unknown provider, a missing key, a missing client: each provider has its own
            raise InputError(f'author "inspect:{model}" cannot be reached: {_line(error)}') from error
        self._name = model

    @property
    def name(self) -> str:
        return self._name

    def write(self, brief: Brief) -> str:
        (written,) = self.write_all([brief])
        if isinstance(written, AuthorError):
            raise written
        return written

    def write_all(self, briefs: Sequence[Brief]) -> list[str | AuthorError]:
        """A text, or why there is none, for each brief; they are asked for together."""
        return asyncio.run(self._together(briefs))

    async def _together(self, briefs: Sequence[Brief]) -> list[str | AuthorError]:
        return list(await asyncio.gather(*(self._one(brief) for brief in briefs)))

    async def _one(self, brief: Brief) -> str | AuthorError:
        config = self._config(
            temperature=self.temperature,
            max_tokens=round(brief.words * _TOKENS_A_WORD),
            seed=brief.seed * 1_000_003 + brief.number,
            max_retries=_RETRIES,
        )
        try:
            output = await self._model.generate(brief.text, config=config)
        except Exception as error:  # whatever a provider raises, one text is missing and the others are not
            return AuthorError(_line(error))
        if output.error:
            return AuthorError(str(output.error).splitlines()[0])
        if output.stop_reason == "content_filter":
            return AuthorError("the provider's filter stopped it")
        return str(output.completion)


def _line(error: BaseException) -> str:
    """An error in one line; Inspect dresses its own for the terminal."""
    told = re.sub(r"\[/?[a-z ]+\]", "", " ".join(str(error).split()))[:_SHOWN]
    return f"{type(error).__name__}: {told}" if told else type(error).__name__


__all__ = ["InspectAuthor"]
