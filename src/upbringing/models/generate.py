"""Sampling answers, so that an answer depends on its prompt and its seed and not on its neighbours.

Each sequence draws from a stream of its own, named by (seed, prompt's place, sample's number): the same call with
another batch size gives the same texts, unless a draw falls within rounding error of the border between two tokens
(about one token in a million in float32). A loop of our own, on one cache, takes about 0.7 of the time of
``model.generate`` on a small model, and drops finished sequences on the way; small Llamas have a faster reader still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from upbringing.errors import InputError
from upbringing.models import serving
from upbringing.models.batches import batches_by_tokens, budget, padded
from upbringing.models.forward import border_of, can_share_cache, inference, logits_at, positions, rows_of_cache
from upbringing.models.memory import in_batches
from upbringing.models.thoughts import texts_of

if TYPE_CHECKING:
    import torch

    from upbringing.models.load import LM

# Below this share of unfinished sequences it pays to copy their part of the cache and go on with them alone.
_COMPACT_BELOW = 0.7

# An own pass costs little beside its products, so what counts is that these are large.
_SMALL_BATCH_TOKENS = 32768

Work = tuple[int, int]  # (prompt, sample)
Streams = Callable[[int], Sequence[int]]  # the name of a prompt's stream of random numbers, by its place


def generate(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    *,
    n: int = 1,
    temperature: float = 1.0,
    max_new_tokens: int = 32,
    seed: int = 0,
    batch_tokens: int | None = None,
    first: int = 0,
) -> list[list[str]]:
    """``n`` answers to each prompt (token ids), as text without special tokens: [prompts][n]. Of a model that thinks
    first, what it says after that; "" where its thoughts came to no end.

    ``temperature`` 0 takes the likeliest token each time. An answer ends at any of the model's end tokens or after
    ``max_new_tokens``. ``first``: the place of the first prompt among all that are asked with this seed, in however
    many calls. Raises ``InputError`` for an empty prompt and where prompt and answer exceed the context.
    """
    found = answers(
        lm,
        prompts,
        n=n,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        seed=seed,
        batch_tokens=batch_tokens,
        first=first,
    )
    return [[one.text for one in of_prompt] for of_prompt in found]


class Answer(NamedTuple):
    """An answer as text; ``cut``: it ran into the limit of tokens, with none of the model's end tokens in sight."""

    text: str
    cut: bool = False


def answers(lm: LM, prompts: Sequence[Sequence[int]], **settings: Any) -> list[list[Answer]]:
    """What ``generate`` says (with its settings), and which of it was cut off: [prompts][n]."""
    found = generate_ids(lm, prompts, **settings)
    stops = end_tokens(lm)
    cut = [[bool(ids) and ids[-1] not in stops for ids in of_prompt] for of_prompt in found]
    plain = [[ids[:-1] if ids and ids[-1] in stops else ids for ids in of_prompt] for of_prompt in found]
    texts = [texts_of(lm.tokenizer, ids) if ids else [] for ids in plain]
    return [[Answer(*one) for one in zip(*both, strict=True)] for both in zip(texts, cut, strict=True)]


def generate_ids(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    *,
    n: int = 1,
    temperature: float = 1.0,
    max_new_tokens: int = 32,
    seed: int = 0,
    batch_tokens: int | None = None,
    first: int = 0,
    streams: Sequence[Sequence[int]] | None = None,
) -> list[list[list[int]]]:
    """The answers of ``generate`` as token ids, with the token that ended them: [prompts][n][tokens].

    One that ends with none of the model's end tokens was cut off (see ``answers``). ``streams`` names each prompt's
    random numbers (in place of ``seed`` and its place), for prompts that come together by chance.
    """
    named: Streams = (lambda i: (seed, first + i)) if streams is None else streams.__getitem__
    longest = lm.max_length
    for i, prompt in enumerate(prompts):
        if not prompt:
            raise InputError(f"prompt {i + 1} has no token; give the model at least a beginning-of-text token")
        if len(prompt) + max_new_tokens > longest:
            raise InputError(
                f"prompt {i + 1} is {len(prompt)} tokens long; with {max_new_tokens} new ones it exceeds the "
                f"{longest} the model reads; shorten it or ask for fewer new tokens"
            )
    if serving.serves(lm):
        settings: Any = {"n": n, "temperature": temperature, "max_new_tokens": max_new_tokens}
        return serving.answers(lm, prompts, **settings, stops=end_tokens(lm), streams=named)
    answers: dict[Work, list[int]] = {}
    if prompts and n > 0 and max_new_tokens > 0:
        tokens = budget(batch_tokens, lm.device)
        with inference(lm):
            reader = _reader(lm, prompts, max_new_tokens)
            if reader is not None:
                if batch_tokens is None and not isinstance(reader, _Cached):
                    tokens = _SMALL_BATCH_TOKENS
                batches = _batches(prompts, n, max_new_tokens, tokens)
            else:
                batches = _batches_of_one_length(prompts, n, max_new_tokens, tokens)

            def run(works: list[Work]) -> None:
                settings = (works, prompts, temperature, max_new_tokens, named)
                answers.update(_sample(lm, reader, *settings) if reader else _sample_by_transformers(lm, *settings))

            in_batches(batches, run, lambda work: len(prompts[work[0]]) + max_new_tokens, lm.model)
    return [[answers.get((i, k), []) for k in range(n)] for i in range(len(prompts))]


def _reader(lm: LM, prompts: Sequence[Sequence[int]], new: int) -> _Reader | None:
    """The quickest reader for a model; None where its cache cannot be shared."""
    from upbringing.models.small import Small, fits

    if fits(lm.model):
        return Small(lm.model)
    border = border_of(lm.model)
    if border is not None and min(map(len, prompts)) <= border < max(map(len, prompts)) + new:
        return None
    return _Cached(lm) if can_share_cache(lm, prompts[0][0]) else None


def _batches(prompts: Sequence[Sequence[int]], n: int, new: int, batch_tokens: int) -> list[list[Work]]:
    """Samples in batches by budget; the samples of one prompt stay together while they fit.

    Prompts of one length that begin alike are neighbours: a reader may read once what its batch begins with.
    """
    order = range(len(prompts))
    if all(type(prompt) is list for prompt in prompts):  # other sequences may not compare
        order = sorted(order, key=prompts.__getitem__)  # type: ignore[arg-type,assignment]
    items = [
        [(i, k) for k in range(start, min(start + room, n))]
        for i in order
        for room in [max(1, batch_tokens // (len(prompts[i]) + new))]
        for start in range(0, n, room)
    ]
    lengths = [len(item) * (len(prompts[item[0][0]]) + new) for item in items]
    return [[work for k in batch for work in items[k]] for batch in batches_by_tokens(lengths, batch_tokens)]


def _batches_of_one_length(prompts: Sequence[Sequence[int]], n: int, new: int, batch_tokens: int) -> list[list[Work]]:
    """Batches without padding, which a recurrent state might not forgive."""
    works: dict[int, list[Work]] = {}
    for i, prompt in enumerate(prompts):
        works.setdefault(len(prompt), []).extend((i, k) for k in range(n))
    batches: list[list[Work]] = []
    for length, same in works.items():
        room = max(1, batch_tokens // (length + new))
        batches += [same[start : start + room] for start in range(0, len(same), room)]
    return batches


class _Reader(Protocol):
    """Reads a batch of prompts, then one token at a time for the rows that go on; logits are [rows, vocabulary]."""

    def read(self, prompts: Sequence[Sequence[int]], rows: Sequence[int], new: int) -> torch.Tensor:
        """The prompts, each as often as ``rows`` names it; ``new`` tokens at most will follow."""
        ...

    def go_on(self, tokens: torch.Tensor) -> torch.Tensor:
        """One more token for each row."""
        ...

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone."""
        ...


class _Cached:
    """A reader for any model whose cache rows can share."""

    def __init__(self, lm: LM) -> None:
        self.lm = lm

    def read(self, prompts: Sequence[Sequence[int]], rows: Sequence[int], new: int) -> torch.Tensor:
        import torch

        device = self.lm.device
        ids, mask = (torch.from_numpy(a).to(device) for a in padded(prompts, left=True))
        columns = torch.full((len(prompts),), ids.shape[1] - 1)
        places = (mask.cumsum(1) - 1).clamp(min=0)
        self.cache: Any = None
        self.mask, self.next = mask, mask.sum(1, keepdim=True)
        logits = self._logits(columns, ids, mask, places)
        if list(rows) != list(range(len(prompts))):
            self.keep(torch.tensor(rows, device=device))
            logits = logits[torch.tensor(rows, device=logits.device)]
        return logits

    def go_on(self, tokens: torch.Tensor) -> torch.Tensor:
        import torch

        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
        columns = torch.zeros(len(tokens), dtype=torch.long)
        logits = self._logits(columns, tokens[:, None].to(self.lm.device), self.mask, self.next)
        self.next = self.next + 1
        return logits

    def keep(self, rows: torch.Tensor) -> None:
        rows = rows.to(self.lm.device)
        self.cache, self.mask, self.next = rows_of_cache(self.cache, rows), self.mask[rows], self.next[rows]

    def _logits(self, columns: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, places: torch.Tensor) -> Any:
        import torch

        rows, past = torch.arange(len(ids)), {} if self.cache is None else {"past_key_values": self.cache}
        settings = {"input_ids": ids, "attention_mask": mask, "use_cache": True, **past}
        logits, self.cache = logits_at(self.lm.model, rows, columns, **settings, **positions(self.lm.model, places))
        return logits


def _sample(
    lm: LM,
    reader: _Reader,
    works: list[Work],
    prompts: Sequence[Sequence[int]],
    temperature: float,
    new: int,
    streams: Streams,
) -> dict[Work, list[int]]:
    import torch

    read = sorted({i for i, _ in works})
    place = {i: row for row, i in enumerate(read)}
    logits = reader.read([prompts[i] for i in read], [place[i] for i, _ in works], new)
    draws = _draws(works, streams, new)
    ends = np.zeros(logits.shape[-1], dtype=bool)
    ends[[token for token in end_tokens(lm) if token < len(ends)]] = True
    said = np.zeros((len(works), new), dtype=np.int64)
    length = np.full(len(works), new)
    live = np.arange(len(works))  # which of works each row of the reader is; it may have finished already
    for step in range(new):
        chosen = _choose(logits, draws[live, step], temperature)
        tokens = chosen.cpu().numpy()
        said[live, step] = tokens
        ended = live[ends[tokens]]
        length[ended] = np.minimum(length[ended], step + 1)
        unfinished = np.flatnonzero(length[live] > step + 1)
        if not len(unfinished) or step == new - 1:
            break
        if len(unfinished) < _COMPACT_BELOW * len(live):
            kept = torch.from_numpy(unfinished)
            reader.keep(kept)
            live, chosen = live[unfinished], chosen[kept.to(chosen.device)]
        logits = reader.go_on(chosen)
    return {work: said[row, : length[row]].tolist() for row, work in enumerate(works)}


def _sample_by_transformers(
    lm: LM, works: list[Work], prompts: Sequence[Sequence[int]], temperature: float, new: int, streams: Streams
) -> dict[Work, list[int]]:
    """For caches that only the model's own ``generate`` can handle: it decodes greedily what our draws have chosen."""
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    draws = _draws(works, streams, new)
    ids = torch.tensor([list(prompts[i]) for i, _ in works], device=lm.device)
    stops = end_tokens(lm)

    def leave_only_the_chosen(so_far: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        chosen = _choose(scores, draws[:, so_far.shape[1] - ids.shape[1]], temperature)
        return torch.full_like(scores, -torch.inf).scatter(1, chosen[:, None], 0.0)

    pad = lm.tokenizer.pad_token_id if lm.tokenizer.pad_token_id is not None else min(stops, default=0)
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=new,
        eos_token_id=sorted(stops) or None,
        pad_token_id=pad,
        use_cache=True,
    )
    own = lm.model.generation_config
    lm.model.generation_config = GenerationConfig()  # what settings leave open would be filled in from the checkpoint's
    try:
        out = lm.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=settings,
            logits_processor=LogitsProcessorList([leave_only_the_chosen]),
        )
    finally:
        lm.model.generation_config = own
    answers: dict[Work, list[int]] = {}
    for work, row in zip(works, out[:, ids.shape[1] :].tolist(), strict=True):
        end = next((at + 1 for at, token in enumerate(row) if token in stops), len(row))
        answers[work] = row[:end]
    return answers


def _draws(works: list[Work], streams: Streams, new: int) -> np.ndarray:
    """Uniform numbers [works, new tokens], each row from the stream that belongs to that sample alone."""
    return np.stack([np.random.default_rng([*streams(i), k]).random(new) for i, k in works])


def _choose(logits: torch.Tensor, draws: np.ndarray, temperature: float) -> torch.Tensor:
    """Token ids [rows]: where the cumulative probability passes the draw (no draw is used at temperature 0)."""
    import torch

    if temperature <= 0:
        return logits.argmax(-1)
    exact = torch.float32 if logits.device.type == "mps" else torch.float64
    total = torch.softmax(logits.float() / temperature, -1).to(exact).cumsum(-1)
    at = torch.from_numpy(draws).to(total)[:, None] * total[:, -1:]
    return torch.searchsorted(total, at, right=True)[:, 0].clamp_(max=logits.shape[-1] - 1)


def end_tokens(lm: LM) -> set[int]:
    """Every id that ends an answer: the model's end tokens (those of its text part as well) and the tokenizer's."""
    stops: set[int] = set()
    config = lm.model.config
    for place in (getattr(lm.model, "generation_config", None), config, config.get_text_config(), lm.tokenizer):
        found = getattr(place, "eos_token_id", None)
        stops.update([found] if isinstance(found, int) else found or [])
    return stops
