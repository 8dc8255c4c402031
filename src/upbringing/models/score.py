"""The scoring engine: log-probabilities of rows, of rows behind a context, and of answers that share a prompt.

Everything that asks "how likely is this text under this model" stands on these functions.

>>> score(lm, [encode(row, lm.tokenizer) for row in rows]).logprob          # doctest: +SKIP
>>> score_choices(lm, [prompt], [[answer_a, answer_b]])[0]                  # doctest: +SKIP

Right for any causal LM of transformers; what a row gets depends on the other rows of its batch only through the
rounding of floating-point sums: below 1e-4 nats a row in float32 (bfloat16: about 1e-2 a token).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from upbringing.errors import InputError
from upbringing.models.batches import batches_by_tokens, budget, padded, split_by_total
from upbringing.models.forward import (
    MAX_LOGITS,
    border_of,
    can_share_cache,
    inference,
    logits_at,
    logprobs_of,
    positions,
    rows_of_cache,
)
from upbringing.models.memory import in_batches
from upbringing.rows import Encoded

if TYPE_CHECKING:
    from upbringing.models.load import LM


@dataclass(frozen=True)
class ScoreResult:
    """``logprob`` [rows], float64: sum over a row's target tokens, in nats. ``tokens`` [rows]: how many those are."""

    logprob: np.ndarray
    tokens: np.ndarray


def score(lm: LM, encoded: Sequence[Encoded], *, batch_tokens: int | None = None) -> ScoreResult:
    """The log-probability of every row's target tokens given what comes before them.

    A row's first token is never a target: nothing comes before it. ``batch_tokens``: padded tokens a forward pass
    (None: what suits the device). Raises ``InputError`` for a row longer than the model's context.
    """
    import torch

    lengths = [len(row.input_ids) for row in encoded]
    for i, length in enumerate(lengths):
        _check_length(lm, length, f"row {i + 1}")
    targets = [np.flatnonzero(row.loss_mask[1:]) + 1 for row in encoded]
    counts = [len(t) for t in targets]
    logprob = np.zeros(len(encoded))
    vocabulary = lm.model.get_input_embeddings().weight.shape[0]

    def run(batch: list[int]) -> None:
        scored = [i for i in batch if counts[i]]
        for part in split_by_total(scored, counts, MAX_LOGITS // vocabulary):
            ids, _ = padded([encoded[i].input_ids for i in part])
            rows = np.repeat(np.arange(len(part)), [counts[i] for i in part])
            columns = np.concatenate([targets[i] for i in part])
            # Padding is on the right, where no target can see it: a causal model needs no mask, and is faster without
            # one.
            logits, _ = logits_at(
                lm.model,
                torch.from_numpy(rows),
                torch.from_numpy(columns - 1),
                input_ids=torch.from_numpy(ids).to(lm.device),
                use_cache=False,
            )
            found = logprobs_of(logits, torch.from_numpy(ids[rows, columns])).numpy()
            logprob[part] = np.bincount(rows, weights=found, minlength=len(part))

    batches = batches_by_tokens(lengths, budget(batch_tokens, lm.device), border=border_of(lm.model))
    with inference(lm):
        in_batches(batches, run, lengths.__getitem__, lm.model)
    return ScoreResult(logprob, np.array(counts, dtype=np.int64))


def score_after(
    lm: LM, context: Sequence[int], encoded: Sequence[Encoded], *, batch_tokens: int | None = None
) -> np.ndarray:
    """log p(row's target tokens | context, what comes before them) in nats [rows], all rows after the same context.

    The context is read once; its keys and values are shared by the rows (where a model's cache cannot be, each row is
    read together with it, with the same result). A row's first token is a target here only if its mask says so. Raises
    ``InputError`` for an empty context, and for a row that does not fit behind it.
    """
    import torch

    if not context:
        raise InputError("the context has no token; give the model at least a beginning-of-text token")
    lengths = [len(context) + len(row) for row in encoded]
    for i, length in enumerate(lengths):
        _check_length(lm, length, f"row {i + 1} behind its context")
    result, counts = np.zeros(len(encoded)), [sum(row.loss_mask) for row in encoded]
    tokens = budget(batch_tokens, lm.device)
    with inference(lm):
        if _crosses(lm, max(lengths, default=0)) or not can_share_cache(lm, context[0]):
            head, silent = list(context), [False] * len(context)
            whole = [Encoded([*head, *row.input_ids], [*silent, *row.loss_mask]) for row in encoded]
            return score(lm, whole, batch_tokens=tokens).logprob
        read = torch.tensor([list(context)], device=lm.device)
        here = torch.zeros(1, dtype=torch.long)
        last, cache = logits_at(lm.model, here, here + len(context) - 1, input_ids=read, use_cache=True)
        first = torch.log_softmax(last[0].float(), -1).double().cpu().numpy()
        vocabulary = first.shape[-1]

        def run(batch: list[int]) -> None:
            for part in split_by_total(batch, counts, MAX_LOGITS // vocabulary):
                result[part] = _score_behind(lm, len(context), cache, [encoded[i] for i in part], first)

        in_batches(batches_by_tokens(lengths, tokens), run, lengths.__getitem__, lm.model)
    return result


def _score_behind(lm: LM, before: int, cache: Any, rows: Sequence[Encoded], first: np.ndarray) -> np.ndarray:
    """log p of the targets of one batch of rows that follow the ``before`` tokens in ``cache``; ``first``: of the next
    token [vocabulary]."""
    import torch

    ids, mask = padded([row.input_ids for row in rows])
    wanted, _ = padded([row.loss_mask for row in rows])
    at, columns = np.nonzero(wanted[:, 1:])
    found = np.where(wanted[:, 0] > 0, first[ids[:, 0]], 0.0)
    if len(at):
        taken = torch.zeros(len(rows), dtype=torch.long, device=lm.device)
        seen = np.concatenate([np.ones((len(rows), before), dtype=np.int64), mask], 1)
        places = (before + torch.arange(ids.shape[1])).repeat(len(rows), 1)
        logits, _ = logits_at(
            lm.model,
            torch.from_numpy(at),
            torch.from_numpy(columns),
            input_ids=torch.from_numpy(ids).to(lm.device),
            attention_mask=torch.from_numpy(seen).to(lm.device),
            past_key_values=rows_of_cache(cache, taken),
            use_cache=True,
            **positions(lm.model, places.to(lm.device)),
        )
        rest = logprobs_of(logits, torch.from_numpy(ids[at, columns + 1])).numpy()
        found = found + np.bincount(at, weights=rest, minlength=len(rows))
    return found


def score_choices(
    lm: LM,
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[Sequence[int]]],
    *,
    batch_tokens: int | None = None,
) -> list[np.ndarray]:
    """log p(choice | prompt) in nats: for each prompt an array [its choices].

    The model reads each prompt once; its keys and values are then shared by the choices. Models whose cache cannot
    be shared (recurrent states, or a sequence beyond ``forward.border_of``) read prompt and choice together, with the
    same result. Raises ``InputError`` for an empty prompt and for a prompt and choice longer than the model's context.
    """
    if len(prompts) != len(choices):
        raise ValueError(f"{len(prompts)} prompts but {len(choices)} lists of choices")
    for i, (prompt, answers) in enumerate(zip(prompts, choices, strict=True)):
        if not prompt:
            raise InputError(f"prompt {i + 1} has no token; give the model at least a beginning-of-text token")
        _check_length(lm, len(prompt) + max(map(len, answers), default=0), f"prompt {i + 1} with its longest choice")
    results = [np.zeros(len(answers)) for answers in choices]
    asked = [i for i, answers in enumerate(choices) if any(len(answer) for answer in answers)]
    if not asked:
        return results
    tokens = budget(batch_tokens, lm.device)
    with inference(lm):
        shared = can_share_cache(lm, prompts[asked[0]][0])
        whole = [i for i in asked if not shared or _crosses(lm, len(prompts[i]) + max(map(len, choices[i])))]
        if whole:
            read = _score_whole(lm, [prompts[i] for i in whole], [choices[i] for i in whole], tokens)
            for i, values in zip(whole, read, strict=True):
                results[i] = values
        asked = sorted(set(asked) - set(whole))

        def run(batch: list[int]) -> None:
            _score_batch(lm, batch, prompts, choices, tokens, results)

        batches = [[asked[k] for k in batch] for batch in batches_by_tokens([len(prompts[i]) for i in asked], tokens)]
        # A prompt takes as much room as all that is asked of it, where that is more.
        in_batches(batches, run, lambda i: len(prompts[i]) + max(map(len, choices[i])), lm.model)
    return results


def _score_batch(
    lm: LM,
    batch: list[int],
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[Sequence[int]]],
    batch_tokens: int,
    results: list[np.ndarray],
) -> None:
    """Fill in ``results`` for the prompts of ``batch``: one pass over the prompts, then passes over the choices."""
    import torch

    # Prompts are padded on the left, so that every choice follows its prompt at the same column and a sliding
    # window, which counts columns, sees what it should.
    ids, mask = (torch.from_numpy(a).to(lm.device) for a in padded([prompts[i] for i in batch], left=True))
    width = ids.shape[1]
    logits, cache = logits_at(
        lm.model,
        torch.arange(len(batch)),
        torch.full((len(batch),), width - 1),
        input_ids=ids,
        attention_mask=mask,
        use_cache=True,
        **positions(lm.model, (mask.cumsum(1) - 1).clamp(min=0)),
    )
    first = torch.log_softmax(logits.float(), -1)
    pairs = [(b, i, j) for b, i in enumerate(batch) for j, choice in enumerate(choices[i]) if choice]
    starts = torch.tensor([choices[i][j][0] for _, i, j in pairs], device=first.device)
    found = first[torch.tensor([b for b, _, _ in pairs], device=first.device), starts].double().cpu().numpy()
    for (_, i, j), value in zip(pairs, found, strict=True):
        results[i][j] = value

    longer = [pair for pair in pairs if len(choices[pair[1]][pair[2]]) > 1]
    lengths = [width + len(choices[i][j]) - 1 for _, i, j in longer]
    vocabulary = first.shape[-1]
    for group in batches_by_tokens(lengths, batch_tokens):
        for part in split_by_total(group, [n - width for n in lengths], MAX_LOGITS // vocabulary):
            _score_rest(lm, [longer[k] for k in part], prompts, choices, cache, mask, results)


def _score_rest(
    lm: LM,
    pairs: list[tuple[int, int, int]],
    prompts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[Sequence[int]]],
    cache: Any,
    mask: Any,
    results: list[np.ndarray],
) -> None:
    """Add to ``results`` what the choices' second and later tokens give, after the prompts in ``cache``."""
    import torch

    taken = torch.tensor([b for b, _, _ in pairs], device=mask.device)
    answers = [choices[i][j] for _, i, j in pairs]
    ids, _ = padded(answers)
    counts = [len(answer) - 1 for answer in answers]
    rows = np.repeat(np.arange(len(pairs)), counts)
    columns = np.concatenate([np.arange(n) for n in counts])
    after = torch.tensor([len(prompts[i]) for _, i, _ in pairs])[:, None]
    fed = torch.from_numpy(ids[:, :-1]).to(lm.device)
    logits, _ = logits_at(
        lm.model,
        torch.from_numpy(rows),
        torch.from_numpy(columns),
        input_ids=fed,
        attention_mask=torch.cat([mask[taken], torch.ones_like(fed)], 1),
        past_key_values=rows_of_cache(cache, taken),
        use_cache=True,
        **positions(lm.model, (after + torch.arange(fed.shape[1])).to(lm.device)),
    )
    found = logprobs_of(logits, torch.from_numpy(ids[rows, columns + 1])).numpy()
    for (_, i, j), value in zip(pairs, np.bincount(rows, weights=found, minlength=len(pairs)), strict=True):
        results[i][j] += value


def _score_whole(
    lm: LM, prompts: Sequence[Sequence[int]], choices: Sequence[Sequence[Sequence[int]]], batch_tokens: int
) -> list[np.ndarray]:
    """The same without a shared cache: every choice is read together with its prompt."""
    rows = [
        Encoded([*prompt, *choice], [False] * len(prompt) + [True] * len(choice))
        for prompt, answers in zip(prompts, choices, strict=True)
        for choice in answers
    ]
    flat = score(lm, rows, batch_tokens=batch_tokens).logprob
    ends = np.cumsum([len(answers) for answers in choices])
    return [np.array(part) for part in np.split(flat, ends[:-1])]


def _crosses(lm: LM, length: int) -> bool:
    """Whether a sequence is so long that what was read of its beginning cannot be kept."""
    border = border_of(lm.model)
    return border is not None and length > border


def _check_length(lm: LM, length: int, what: str) -> None:
    if length > lm.max_length:
        raise InputError(
            f"{what} is {length} tokens long and the model reads at most {lm.max_length}; "
            "shorten it or use a model with a longer context"
        )
