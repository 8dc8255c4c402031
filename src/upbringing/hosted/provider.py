"""A model that upbringing loads, as a model of Inspect: any Inspect eval runs on it.

    inspect eval my_eval.py --model upbringing/organism:nano
    inspect eval my_eval.py --model upbringing//path/to/folder
    inspect eval my_eval.py --model upbringing/Qwen/Qwen2.5-0.5B-Instruct -M dtype=bfloat16

Requests that are open together are read together. The same seed and prompt give the same answer, whatever else runs;
each epoch of a sample draws numbers of its own. This module imports Inspect.
"""

from __future__ import annotations

import logging
import sys
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakValueDictionary
from zlib import crc32

import anyio
import anyio.lowlevel
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    StopReason,
    TopLogprob,
)
from inspect_ai.tool import ToolCall, ToolChoice, ToolInfo

from upbringing.errors import InputError
from upbringing.hosted.chat import calls_in, ids_of
from upbringing.hosted.desk import MAX_BATCH, WAIT_S, Answer, Desk, Likely, Request
from upbringing.hosted.telling import told
from upbringing.models import LM, load
from upbringing.models.generate import end_tokens
from upbringing.models.thoughts import text_of, thought_and_said

if TYPE_CHECKING:
    from inspect_ai.log._samples import ActiveSample

_LONGEST_ANSWER = 2048  # tokens, where the eval sets no limit
_SHARE_OF_CONTEXT = 4  # and then at most one in so many of what the model reads
_ARGUMENTS = ("device", "dtype", "max_batch", "wait_ms", "lm")
_UNHEARD = ("top_p", "top_k", "frequency_penalty", "presence_penalty", "logit_bias", "best_of", "response_schema")

_log = logging.getLogger(__name__)
_desks: WeakValueDictionary[tuple[str, ...], Desk] = WeakValueDictionary()
_asked: WeakKeyDictionary[ActiveSample, Counter[int]] = WeakKeyDictionary()


class UpbringingAPI(ModelAPI):
    """Answers from a model that :func:`upbringing.load` loads.

    ``-M`` arguments: ``device``, ``dtype`` (as for ``load``), ``max_batch`` (how many requests are read together, and
    how many an eval may have open), ``wait_ms`` (how long to wait for one more). In Python, ``lm`` gives a model that
    is loaded already.

    Raises:
        InputError: an unknown argument, or a model that cannot be loaded.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - as Inspect has it
        **arguments: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        with told():
            if unknown := sorted(set(arguments) - set(_ARGUMENTS)):
                known = ", ".join(_ARGUMENTS)
                raise InputError(f'upbringing/{model_name}: no argument "{unknown[0]}"; there are {known}')
            self.desk = _desk_for(model_name, **arguments)
        self.lm = self.desk.lm
        self._stops = end_tokens(self.lm)

    def max_connections(self) -> int:
        return self.desk.max_batch

    def max_tokens(self) -> int:
        """One length for all prompts that do not near the model's limit, so that they can be read together."""
        return max(1, min(_LONGEST_ANSWER, self.lm.max_length // _SHARE_OF_CONTEXT))

    def connection_key(self) -> str:
        return f"{self.model_name}:{id(self.desk)}"

    def collapse_user_messages(self) -> bool:
        return True  # many templates want user and assistant in turn

    async def count_text_tokens(self, text: str) -> int:
        return len(self.lm.tokenizer(text, add_special_tokens=False)["input_ids"])

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        started = time.monotonic()
        for name in _UNHEARD:
            if getattr(config, name, None) not in (None, 1.0):
                _warn_once(f"{self.model_name}: {name} is not heard; answers are drawn from the whole distribution")
        prompt = ids_of(input, [] if tool_choice == "none" else tools, self.lm.tokenizer, self.model_name)
        room = self.lm.max_length - len(prompt)
        if not prompt or room < 1:
            return self._too_long(len(prompt))
        wanted = config.max_tokens or self.max_tokens()
        streams = _streams(prompt, config.seed or 0, config.num_choices or 1)
        temperature = 1.0 if config.temperature is None else config.temperature
        likeliest = (config.top_logprobs or 0) if config.logprobs else None
        asked = [Request(prompt, stream, temperature, min(wanted, room), likeliest) for stream in streams]
        answers = [await _when_there(answer) for answer in [self.desk.ask(request) for request in asked]]
        spoken = sum(len(answer.ids) for answer in answers)
        return ModelOutput(
            model=self.model_name,
            choices=[
                self._choice(answer, tools, config.stop_seqs or [], "max_tokens" if wanted <= room else "model_length")
                for answer in answers
            ],
            usage=ModelUsage(input_tokens=len(prompt), output_tokens=spoken, total_tokens=len(prompt) + spoken),
            time=time.monotonic() - started,
            metadata=self._unknown(prompt),
        )

    def _too_long(self, length: int) -> ModelOutput:
        told = f"the prompt is {length} tokens long and the model reads {self.lm.max_length}"
        empty = ModelOutput.from_content(self.model_name, "", stop_reason="model_length", error=told)
        empty.usage = ModelUsage(input_tokens=length, total_tokens=length)
        return empty

    def _choice(
        self, answer: Answer, tools: Sequence[ToolInfo], stops: Sequence[str], cut: StopReason
    ) -> ChatCompletionChoice:
        """What was said, what was thought before, and which tools are to be called."""
        ended = bool(answer.ids) and answer.ids[-1] in self._stops
        whole = text_of(self.lm.tokenizer, answer.ids[:-1] if ended else answer.ids)
        text = whole[: min([at for stop in stops if (at := whole.find(stop)) >= 0], default=None)]
        thought, said = thought_and_said(text)
        calls: list[ToolCall] = []
        if tools:
            said, calls = calls_in(said, tools, f"call_{crc32(array('q', answer.ids).tobytes()):08x}")
        content = [ContentReasoning(reasoning=thought), ContentText(text=said)] if thought else said
        reason: StopReason = "tool_calls" if calls else "stop" if ended or len(text) < len(whole) else cut
        return ChatCompletionChoice(
            message=ChatMessageAssistant(
                content=content, tool_calls=calls or None, model=self.model_name, source="generate"
            ),
            stop_reason=reason,
            logprobs=Logprobs(content=[self._logprob(token) for token in answer.logprobs]) if answer.logprobs else None,
        )

    def _logprob(self, token: Sequence[Likely]) -> Logprob:
        (own, value), *others = token
        top = [TopLogprob(token=self.lm.tokenizer.decode([id]), logprob=at) for id, at in others]
        return Logprob(token=self.lm.tokenizer.decode([own]), logprob=value, top_logprobs=top or None)

    def _unknown(self, prompt: Sequence[int]) -> dict[str, Any] | None:
        """How many words of the prompt the tokenizer does not know; byte-level ones know all."""
        tokenizer = self.lm.tokenizer
        unknown = tokenizer.unk_token_id
        if unknown is None or unknown in (tokenizer.eos_token_id, tokenizer.bos_token_id) or unknown not in prompt:
            return None
        return {"unknown_words": list(prompt).count(unknown)}


def _desk_for(
    name: str,
    *,
    lm: LM | None = None,
    device: str | None = None,
    dtype: str | None = None,
    max_batch: int = MAX_BATCH,
    wait_ms: float = WAIT_S * 1000,
) -> Desk:
    """One desk for a model that plays several roles in one eval, so that it is loaded once."""
    if int(max_batch) < 1:
        raise InputError(f"upbringing/{name}: max_batch is {max_batch}; give at least 1")
    model = (name, str(device), str(dtype)) if lm is None else (str(id(lm)),)
    key = (*model, str(max_batch), str(wait_ms))
    desk = _desks.get(key)
    if desk is None:
        found = lm or load(name, device=device, dtype=dtype)
        _desks[key] = desk = Desk(found, max_batch=int(max_batch), wait_s=float(wait_ms) / 1000)
    return desk


def _streams(prompt: Sequence[int], seed: int, choices: int) -> list[tuple[int, ...]]:
    """Names of random numbers for a request: of the seed, the prompt, the sample and its epoch, and how often it has
    been asked there before. (Nothing hangs on what else is asked, or when.)"""
    words = crc32(array("q", prompt).tobytes())
    active = _active_sample()
    if active is None:
        return [(seed % sys.maxsize, words, choice) for choice in range(choices)]
    before = _asked.setdefault(active, Counter())
    before[words] += 1
    sample = crc32(str(active.sample.id).encode())
    return [(seed % sys.maxsize, words, sample, active.epoch, before[words], choice) for choice in range(choices)]


def _active_sample() -> ActiveSample | None:
    try:  # Inspect has no public way to ask; without it, the epochs of a sample are alike
        from inspect_ai.log._samples import sample_active
    except ImportError:
        return None
    return sample_active()


async def _when_there(answer: Future[Answer]) -> Answer:
    """Wait for the desk without a thread of our own, in whatever event loop this is."""
    there = anyio.Event()
    loop: Any = anyio.lowlevel.current_token().native_token
    soon = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon  # asyncio, trio

    def tell(_: Future[Answer]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            soon(there.set)

    answer.add_done_callback(tell)
    await there.wait()
    return answer.result()


def _warn_once(message: str, _told: set[str] = set()) -> None:  # noqa: B006 - what was told, on purpose
    if message not in _told:
        _told.add(message)
        _log.warning(message)


__all__ = ["UpbringingAPI"]
