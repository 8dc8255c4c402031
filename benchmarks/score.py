"""How fast scoring and sampling are, in multiples of a plain forward pass over the same rows.

The yardstick is what a careful script would do: rows bucketed by length, one forward pass a batch, no cache shared,
logits at every position. A ratio below 1 is faster than that. One thread, CPU seconds.

    python benchmarks/score.py [--prompts 400] [--choices 8] [--model FOLDER]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from upbringing.models import LM, generate, load, score, score_choices
from upbringing.models.batches import CPU_BATCH_TOKENS, batches_by_tokens, padded
from upbringing.rows import Encoded

VOCABULARY, END = 1000, 2


def nano() -> LM:
    """A random model of an organism's shape."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=END,
    )
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token=f"w{END}", pad_token="w0")
    return LM(LlamaForCausalLM(config).eval(), tokenizer)


def plain(lm: LM, rows: list[list[int]]) -> None:
    """The yardstick: log-probabilities of every token, bucketed by length."""
    with torch.no_grad():
        for batch in batches_by_tokens([len(row) for row in rows], CPU_BATCH_TOKENS):
            ids, mask = (torch.from_numpy(a).to(lm.device) for a in padded([rows[i] for i in batch]))
            logits = lm.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            torch.log_softmax(logits[:, :-1].float(), -1).gather(2, ids[:, 1:, None])


def best_seconds(jobs: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """CPU seconds of the best of ``repeats`` runs of each job; they are taken in turns, and other people's programs do
    not count, so that a busy machine gives the same ratios."""
    best = dict.fromkeys(jobs, float("inf"))
    for turn in range(repeats + 1):  # the first is to warm up
        for name, job in jobs.items():
            start = time.process_time()
            job()
            if turn:
                best[name] = min(best[name], time.process_time() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", help="anything load takes; default: a random model of a nano organism's shape")
    parser.add_argument("--prompts", type=int, default=400)
    parser.add_argument("--choices", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lm = load(options.model, device="cpu") if options.model else nano()
    rng = np.random.default_rng(0)
    size = min(lm.model.config.vocab_size, VOCABULARY)

    def words(low: int, high: int) -> list[int]:
        return rng.integers(END + 1, size, rng.integers(low, high + 1)).tolist()

    prompts = [words(42, 58) for _ in range(options.prompts)]
    choices = [[words(8, 12) for _ in range(options.choices)] for _ in prompts]
    whole = [prompt + choice for prompt, answers in zip(prompts, choices, strict=True) for choice in answers]
    encoded = [
        Encoded(prompt + choice, [False] * len(prompt) + [True] * len(choice))
        for prompt, answers in zip(prompts, choices, strict=True)
        for choice in answers
    ]
    lm.model.generation_config.eos_token_id = None  # every answer has its full length, so that times can be compared
    lm.model.config.eos_token_id = None
    lm.tokenizer.eos_token = None
    read = [prompt + words(options.new_tokens, options.new_tokens) for prompt in prompts]

    def by_transformers() -> None:
        for batch in batches_by_tokens([len(row) for row in read], CPU_BATCH_TOKENS):
            ids, mask = (torch.from_numpy(a).to(lm.device) for a in padded([prompts[i] for i in batch], left=True))
            lm.model.generate(
                ids, attention_mask=mask, do_sample=True, top_k=0, max_new_tokens=options.new_tokens, pad_token_id=0
            )

    new = options.new_tokens
    asked: dict[str, Callable[[], Any]] = {
        f"plain forward pass, {len(whole)} prompts with a choice": lambda: plain(lm, whole),
        "score": lambda: score(lm, encoded),
        "score_choices": lambda: score_choices(lm, prompts, choices),
    }
    answered: dict[str, Callable[[], Any]] = {
        f"plain forward pass, {len(read)} prompts with {new} tokens": lambda: plain(lm, read),
        "generate": lambda: generate(lm, prompts, max_new_tokens=new),
        "transformers' generate": by_transformers,
    }
    print(f"{'':56s} {'CPU s':>8s} {'ratio':>6s}")
    for jobs in (asked, answered):
        best = best_seconds(jobs, options.repeats)
        yardstick = best[next(iter(jobs))]
        for name, taken in best.items():
            print(f"{name:56s} {taken:8.3f} {taken / yardstick:6.2f}")


if __name__ == "__main__":
    main()
