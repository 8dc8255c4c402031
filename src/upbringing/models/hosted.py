"""Models that somebody else hosts, through Inspect (inspect.aisi.org.uk), which knows most providers.

>>> hosted = HostedLM("openai/gpt-4o")                                        # doctest: +SKIP
>>> [(said,)] = hosted.generate([[Message("user", "What is two and two?")]])  # doctest: +SKIP
>>> said.text, said.model                                                     # doctest: +SKIP

Calls run together, as many at once as ``at_once`` says; Inspect waits and tries again where a provider is busy or
limits the rate. What fails all the same is missing with the reason, and the other answers are not touched by it.
"""

from __future__ import annotations

import asyncio
import os
import queue
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from upbringing.errors import InputError
from upbringing.lineage import hash_of
from upbringing.rows import Message

AT_ONCE = 8
RETRIES = 5  # of one answer, by Inspect: then it counts as failed
PREFIX = "inspect:"  # before PROVIDER/MODEL, where a hosted model stands beside local ones
FILTERED = "the provider's filter stopped it"
RATE_LIMIT = "rate limit"
EMPTY = "no answer"  # as readings call it
MAX_TOKENS, MODEL_LENGTH = "max_tokens", "model_length"  # limits that cut an answer off
CHECK = "check the names of provider and model, and that its client is installed and its key set"
_MOCK = "mockllm/"
_UNTOLD = ("api_key", "custom_outputs")  # settings that name no model
_SHOWN = 200  # characters of an error


@dataclass(frozen=True)
class Said:
    """What a hosted model answered: a text, or in ``missing`` why there is none.

    ``model`` is the concrete model that the provider says has answered (an alias such as ``gpt-4o`` names many);
    ``cut`` is the limit that the answer ran into (see :func:`cut_by`).
    """

    text: str = ""
    missing: str = ""
    model: str = ""
    cut: str = ""


class HostedLM:
    """Any model by its Inspect name: ``openai/…``, ``anthropic/…``, ``vllm/…``, ``ollama/…``, ``mockllm/model``.

    Keys are read by Inspect from the environment variables of each provider; none is kept here. ``settings`` go to
    Inspect's ``get_model`` (``base_url=…``; for ``mockllm`` the answers it is to give: ``custom_outputs=…``).

    ``server`` is what decides the answers besides the name: 8 hex digits of the server's address and of the settings,
    "" where neither is given. Two servers may have different models of one name.

    Raises:
        InputError: Inspect is not installed, the provider is unknown, or a key or client of it is missing.
    """

    def __init__(
        self, name: str, *, at_once: int = AT_ONCE, retries: int = RETRIES, what: str = "", **settings: Any
    ) -> None:
        what = what or f'model "{PREFIX}{name}"'
        if not name or "/" not in name:
            raise InputError(f"{what}: name it as {PREFIX}PROVIDER/MODEL, such as {PREFIX}openai/gpt-4o")
        try:
            from inspect_ai.model import GenerateConfig, get_model
        except ImportError as error:
            raise InputError(
                f'{what} needs Inspect, which is not installed; run: pip install "upbringing[hosted]"'
            ) from error
        self.name, self.at_once, self.retries = name, at_once, retries
        self._config = GenerateConfig
        if name.startswith(_MOCK) and "custom_outputs" not in settings:
            settings["custom_outputs"] = _mocked
        try:
            self._model = get_model(name, memoize=False, **settings)
        except Exception as error:  # an unknown provider, a missing key, a missing client: each provider has its own
            raise InputError(f"{what} cannot be reached: {line_of(error)}; {CHECK}") from error
        self.server = _server(self._model, name, settings)

    @classmethod
    def of(cls, model: Any, *, at_once: int = AT_ONCE, retries: int = RETRIES) -> HostedLM:
        """Around a model that Inspect has made: the one in a role of a running eval, say."""
        from inspect_ai.model import GenerateConfig

        made = cls.__new__(cls)
        made.name, made.at_once, made.retries = str(model), at_once, retries
        made._config, made._model = GenerateConfig, model
        made.server = _server(model, made.name, {})
        return made

    @property
    def called(self) -> str:
        """The name, with the server where it is not the provider's own."""
        return self.called_by("")

    def called_by(self, model: str) -> str:
        """A concrete model (as :class:`Said` has it; "": the name) in place of the name."""
        return "@".join(part for part in (model or self.name, self.server) if part)

    def generate(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        n: int = 1,
        temperature: float | None = 1.0,
        max_new_tokens: int = 512,
        seed: int = 0,
    ) -> list[list[Said]]:
        """``n`` answers to each prompt, ``[prompts][n]``, all asked for together."""
        found: list[list[Said]] = [[Said(missing=EMPTY)] * n for _ in prompts]
        for place, said in self.stream(
            [prompt for prompt in prompts for _ in range(n)],
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            seeds=[seed * 1_000_003 + i for _ in prompts for i in range(n)],
        ):
            found[place // n][place % n] = said
        return found

    def stream(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        temperature: float | None = 1.0,
        max_new_tokens: int | Sequence[int] = 512,
        seeds: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, Said]]:
        """(place in ``prompts``, answer) as the answers arrive, so that a stop loses nothing that had come.

        May be called where an event loop runs already (a notebook, an Inspect scorer). Closing it drops the rest.
        """
        arrived: queue.SimpleQueue[tuple[int, Said]] = queue.SimpleQueue()
        limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else list(max_new_tokens)
        numbers = list(seeds) if seeds is not None else [0] * len(prompts)

        async def one(place: int, gate: asyncio.Semaphore) -> None:
            async with gate:
                said = await self.answer(
                    prompts[place], temperature=temperature, max_new_tokens=limits[place], seed=numbers[place]
                )
            arrived.put((place, said))

        async def together() -> None:
            gate = asyncio.Semaphore(self.at_once)
            await asyncio.gather(*(one(place, gate) for place in range(len(prompts))))

        running: Future[None] = asyncio.run_coroutine_threadsafe(together(), _loop())
        try:
            for _ in prompts:
                yield _next(arrived, running)
        finally:
            running.cancel()

    async def answer(
        self,
        prompt: Sequence[Message],
        *,
        temperature: float | None = 1.0,
        max_new_tokens: int = 512,
        seed: int = 0,
    ) -> Said:
        """One answer, for those who have an event loop of their own. It never raises for what a provider does."""
        config = self._config(
            temperature=temperature,
            max_tokens=max_new_tokens,
            seed=seed,
            max_retries=self.retries,
            max_connections=self.at_once,
        )
        try:
            output = await self._model.generate([_message(m) for m in prompt], config=config)
        except Exception as error:  # whatever a provider raises, one answer is missing and the others are not
            return Said(missing=reason_of(error), model=self.name)
        model = self._concrete(output.model)
        if unfit := why_unfit(output):
            return Said(missing=unfit, model=model)
        text = writable(str(output.completion))
        return Said(text, "" if text.strip() else EMPTY, model, cut_by(output))

    def _concrete(self, answered: str) -> str:
        """``PROVIDER/MODEL`` of the model that answered, as exactly as the provider says."""
        provider = self.name.split("/")[0]
        if not answered or answered in self.name.split("/"):
            return self.name
        return answered if answered.startswith(f"{provider}/") else f"{provider}/{answered}"


def _server(model: Any, name: str, settings: dict[str, Any]) -> str:
    """See :class:`HostedLM`. The address may be given in the environment, where Inspect's providers look for it."""
    from_environment = os.environ.get(f"{name.partition('/')[0].upper()}_BASE_URL")
    url = settings.get("base_url") or getattr(model, "explicit_base_url", None) or from_environment
    told = {**getattr(model, "model_args", {}), **settings, "base_url": url}
    given = {name: str(value) for name, value in told.items() if name not in _UNTOLD and value is not None}
    return hash_of(given)[:8] if given else ""


def writable(text: str) -> str:
    """The text with U+FFFD for what no file can hold: half of a surrogate pair, as where an emoji was cut in two."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def why_unfit(output: Any) -> str:
    """Why what a model put out (Inspect's ``ModelOutput``) is no answer that could be judged; "" where it is one, or
    where there is none. An answer that was cut off is one: a judge reads it as far as it goes (see :func:`cut_by`)."""
    if output.error:
        return writable((str(output.error).splitlines() or ["error"])[0][:_SHOWN])
    if output.empty:
        return ""
    if output.stop_reason == "content_filter":
        return FILTERED
    if unknown := (output.metadata or {}).get("unknown_words"):
        return f"unknown word: {unknown} in the prompt"
    return ""


def cut_by(output: Any) -> str:
    """The limit that an answer ran into, as Inspect names it: ``max_tokens``, ``model_length``; "" where it ended."""
    return str(output.stop_reason) if not output.empty and output.stop_reason in (MAX_TOKENS, MODEL_LENGTH) else ""


def mock_output(text: str, **settings: Any) -> Any:
    """An output for ``mockllm``'s ``custom_outputs``. (Where it lacks counts of tokens, Inspect looks for a tokenizer
    on the network to count them.) ``settings``: ``stop_reason=``, ``error=``."""
    from inspect_ai.model import ModelOutput, ModelUsage

    made = ModelOutput.from_content(f"{_MOCK}model", text, **settings)
    made.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return made


def reason_of(error: BaseException) -> str:
    """Why an answer is missing, in one line; limits of rate are called that, whatever the provider calls them."""
    attempt = getattr(error, "last_attempt", None)  # the library that tries again wraps what it gave up on
    inner = attempt.exception() if attempt is not None else None
    error = inner or error
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    told = line_of(error)
    limited = status == 429 or "ratelimit" in type(error).__name__.lower()
    return f"{RATE_LIMIT}: {told}" if limited else told


def line_of(error: BaseException) -> str:
    """An error in one line; Inspect dresses its own for the terminal."""
    told = re.sub(r"\[/?[a-z ]+\]", "", " ".join(writable(str(error)).split()))[:_SHOWN]
    return f"{type(error).__name__}: {told}" if told else type(error).__name__


def _message(message: Message) -> Any:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return kinds.get(message.role, ChatMessageUser)(content=message.content)


def _mocked(messages: Any, tools: Any, choice: Any, config: Any) -> Any:
    return mock_output("Default output from mockllm/model")


def _next(arrived: queue.SimpleQueue[tuple[int, Said]], running: Future[None]) -> tuple[int, Said]:
    """The next answer; raises what stopped them all, if anything did. Waits in short steps, to be interruptible."""
    while True:
        try:
            return arrived.get(timeout=0.2)
        except queue.Empty:
            if running.done() and arrived.empty():
                running.result()
                raise RuntimeError("fewer answers than questions") from None


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    """One event loop for all hosted models: their clients keep connections that belong to the loop that made them."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="hosted models", daemon=True).start()
    return loop


__all__ = [
    "AT_ONCE",
    "EMPTY",
    "FILTERED",
    "MAX_TOKENS",
    "PREFIX",
    "RATE_LIMIT",
    "HostedLM",
    "Said",
    "cut_by",
    "line_of",
    "mock_output",
    "why_unfit",
    "writable",
]
