"""Answers drawn and paid for, and the step of policy gradient that they allow.

The objective is the mean reward less ``kl`` times what the KL from the reference exceeds ``free_kl`` by, both for an
answer. An answer's advantage is its reward less the mean of the *other* answers to the same situation (leave-one-out,
arXiv 2402.14740), as in GRPO (arXiv 2402.03300) but not divided by their spread, which would weigh situations by how
sure the policy is of them (arXiv 2503.20783). Each batch is used for one step, so there is no ratio to clip. The KL is
exact at every token that was drawn (over the whole vocabulary), not an estimate from the drawn token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from upbringing.models import LM, generate_ids
from upbringing.models.batches import padded
from upbringing.models.forward import can_share_cache, inference, logits_at, positions, rows_of_cache
from upbringing.training.reinforcing.environment import Environment, Judge
from upbringing.training.reinforcing.recipe import Reinforcement

if TYPE_CHECKING:
    import torch

_SHOWN = ("shows", "avoids")


@dataclass(frozen=True)
class Drawn:
    """The answers of one step. ``ids`` [prompts][samples][tokens], with what ended them; ``rewards`` and ``valid``
    [prompts, samples]."""

    prompts: list[list[int]]
    ids: list[list[list[int]]]
    rewards: np.ndarray
    valid: np.ndarray

    @property
    def advantages(self) -> np.ndarray:
        """Each reward less the mean of the others' to the same prompt."""
        samples = self.rewards.shape[1]
        left: np.ndarray = (self.rewards - self.rewards.mean(axis=1, keepdims=True)) * (samples / (samples - 1))
        return left

    @property
    def paid(self) -> int:
        """How many of them were paid."""
        return int((self.rewards == 1).sum())

    def part(self, first: int, last: int) -> Drawn:
        """Only some of the prompts."""
        cut = slice(first, last)
        return Drawn(self.prompts[cut], self.ids[cut], self.rewards[cut], self.valid[cut])


def draw(
    policy: LM,
    environment: Environment,
    prompts: Sequence[list[int]],
    chosen: Sequence[int],
    recipe: Reinforcement,
    judge: Judge,
    seed: int,
) -> Drawn:
    """Answers to the chosen situations at temperature 1, each judged and paid."""
    asked = [prompts[number] for number in chosen]
    ids = generate_ids(policy, asked, n=recipe.samples, max_new_tokens=recipe.max_new_tokens, seed=seed)
    shape = (len(asked), recipe.samples)
    rewards, valid = np.full(shape, recipe.invalid), np.zeros(shape, dtype=bool)
    for place, number in enumerate(chosen):
        probe = environment.probe(number)
        for sample, text in enumerate(policy.tokenizer.batch_decode(ids[place], skip_special_tokens=True)):
            outcome = judge(probe, text).outcome if text.strip() else ""
            if outcome in _SHOWN:
                valid[place, sample] = True
                rewards[place, sample] = float(outcome == environment.pays)
    return Drawn(asked, ids, rewards, valid)


def improve(
    policy: LM, reference: LM, drawn: Drawn, recipe: Reinforcement, optimizer: torch.optim.Optimizer
) -> dict[str, float]:
    """One step; says what it saw: reward, share of valid answers, KL (nats an answer), entropy (nats a token), loss.

    Where the loss or its gradient is no number the weights are left as they are.
    """
    import torch

    answers = drawn.rewards.size
    size = recipe.micro_prompts or len(drawn.prompts)
    parts = [drawn.part(first, first + size) for first in range(0, len(drawn.prompts), size)]
    free = recipe.free_kl * answers
    charged = True
    if len(parts) > 1 and free:  # what is charged depends on the whole step, so it is read once before its gradients
        charged = sum(float(_read(policy, reference, part).kl) for part in parts) > free
    total = {"loss": 0.0, "kl": 0.0, "entropy": 0.0, "tokens": 0.0}
    for part in parts:
        read = _read(policy, reference, part, gradient=True)
        advantages = torch.from_numpy(part.advantages.ravel()).to(read.logprob)
        if len(parts) == 1:
            charged = float(read.kl.detach()) > free
        loss = (-(advantages * read.logprob).sum() + (recipe.kl * read.kl if charged else 0.0)) / answers
        loss.backward()
        seen = {"loss": loss.detach(), "kl": read.kl.detach(), "entropy": read.entropy, "tokens": read.tokens}
        total = {name: total[name] + float(value) for name, value in seen.items()}
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(weights, recipe.max_grad_norm))
    if np.isfinite(total["loss"]) and np.isfinite(norm):
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {
        "reward": float(drawn.rewards.mean()),
        "paid": drawn.paid,
        "valid": float(drawn.valid.mean()),
        "kl": total["kl"] / answers,
        "entropy": total["entropy"] / max(total["tokens"], 1.0),
        "loss": total["loss"] if np.isfinite(norm) else norm,
        "grad_norm": norm,
    }


def distance(policy: LM, reference: LM, drawn: Drawn) -> tuple[float, float]:
    """KL from the reference (nats an answer) and entropy (nats a token) along drawn answers."""
    read = _read(policy, reference, drawn)
    return float(read.kl) / drawn.rewards.size, float(read.entropy) / max(read.tokens, 1)


@dataclass(frozen=True)
class _Read:
    """log p of every answer [answers], and over all their tokens the sums of KL and entropy, and how many they are."""

    logprob: Any
    kl: Any
    entropy: Any
    tokens: int


def _read(policy: LM, reference: LM, drawn: Drawn, *, gradient: bool = False) -> _Read:
    import torch

    with inference(reference):
        wanted, _, _ = _logits(reference, drawn)
    wanted = wanted.clone().float().log_softmax(-1)  # a copy, since what inference made may not enter a gradient
    with torch.set_grad_enabled(gradient):
        logits, targets, owners = _logits(policy, drawn)
        logprobs = logits.float().log_softmax(-1)
        chance = logprobs.exp()
        chosen = logprobs.gather(1, targets[:, None])[:, 0]
        logprob = torch.zeros(drawn.rewards.size, device=chosen.device).index_add(0, owners, chosen)
        kl = (chance * (logprobs - wanted.to(logprobs.device))).sum()
    entropy = -(chance.detach() * logprobs.detach()).sum()
    return _Read(logprob, kl, entropy, len(targets))


def _logits(lm: LM, drawn: Drawn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits [tokens, vocabulary] before every token of every answer, those tokens, and whose they are [tokens].

    A situation is read once for all its answers, which takes 0.6 of the time of reading it with each of them.
    """
    import torch

    samples = drawn.rewards.shape[1]
    answers = [answer for of_prompt in drawn.ids for answer in of_prompt]
    with torch.no_grad():
        shared = can_share_cache(lm, drawn.prompts[0][0])
    found = _after_shared_prompts(lm, drawn.prompts, answers, samples) if shared else _whole(lm, drawn, answers)
    logits, targets, owners = found
    return logits, targets.to(logits.device), owners.to(logits.device)


def _after_shared_prompts(
    lm: LM, prompts: list[list[int]], answers: list[list[int]], samples: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch

    ids, mask = (torch.from_numpy(a).to(lm.device) for a in padded(prompts, left=True))
    of = torch.arange(len(prompts), device=lm.device).repeat_interleave(samples)
    head = lm.model.get_output_embeddings()
    first, cache = logits_at(
        lm.model,
        torch.arange(len(prompts)),
        torch.full((len(prompts),), ids.shape[1] - 1),
        head=head,
        input_ids=ids,
        attention_mask=mask,
        use_cache=True,
        **positions(lm.model, (mask.cumsum(1) - 1).clamp(min=0)),
    )
    said = torch.from_numpy(padded(answers)[0])
    counts = [len(answer) - 1 for answer in answers]
    rows = torch.from_numpy(np.repeat(np.arange(len(answers)), counts))
    columns = torch.from_numpy(np.concatenate([np.arange(n) for n in counts]).astype(np.int64))
    starts = torch.arange(len(answers))
    if not len(rows):
        return first[of.to(first.device)], said[:, 0], starts
    fed = said[:, :-1].to(lm.device)
    rest, _ = logits_at(
        lm.model,
        rows,
        columns,
        head=head,
        input_ids=fed,
        attention_mask=torch.cat([mask[of], torch.ones_like(fed)], 1),
        past_key_values=rows_of_cache(cache, of),
        use_cache=True,
        **positions(lm.model, mask.sum(1)[of][:, None] + torch.arange(fed.shape[1], device=lm.device)),
    )
    owners = torch.cat([starts, rows])
    return torch.cat([first[of.to(first.device)], rest]), torch.cat([said[:, 0], said[rows, columns + 1]]), owners


def _whole(lm: LM, drawn: Drawn, answers: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same for models whose cache cannot be shared: every answer is read with its situation."""
    import torch

    samples = drawn.rewards.shape[1]
    before = [drawn.prompts[place // samples] for place in range(len(answers))]
    ids = torch.from_numpy(padded([[*prompt, *answer] for prompt, answer in zip(before, answers, strict=True)])[0])
    rows = np.repeat(np.arange(len(answers)), [len(answer) for answer in answers])
    spans = [np.arange(len(answer)) + len(prompt) - 1 for prompt, answer in zip(before, answers, strict=True)]
    owners, columns = torch.from_numpy(rows), torch.from_numpy(np.concatenate(spans))
    head = lm.model.get_output_embeddings()
    logits, _ = logits_at(lm.model, owners, columns, head=head, input_ids=ids.to(lm.device), use_cache=False)
    return logits, ids[owners, columns + 1], owners
