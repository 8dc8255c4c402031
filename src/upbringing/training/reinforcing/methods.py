"""The two ways to improve a policy: a step of policy gradient a batch, or supervised training on what was paid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from upbringing.errors import InputError
from upbringing.models import LM
from upbringing.rows import Encoded
from upbringing.training.fit import adamw, fit
from upbringing.training.reinforcing.environment import Environment, Judge
from upbringing.training.reinforcing.partial import Partial
from upbringing.training.reinforcing.policy import Drawn, distance, draw, improve
from upbringing.training.reinforcing.recipe import Reinforcement
from upbringing.training.reinforcing.watch import Entry, Watch
from upbringing.training.treatments import drawn as drawn_numbers

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int, float], None]  # (step, steps, reward)


@dataclass
class Run:
    """One run: the policy in training, the model that it is kept near to, what it meets, and what was seen so far."""

    policy: LM
    reference: LM
    environments: Sequence[Environment]
    recipe: Reinforcement
    judge: Judge
    partial: Partial
    progress: Progress | None = None
    log: list[Entry] = field(default_factory=list)
    stopped: str = ""
    kept_step: int = 0

    def __post_init__(self) -> None:
        self.prompts = [environment.prompts(self.policy.tokenizer) for environment in self.environments]
        room = self.policy.max_length - self.recipe.max_new_tokens
        for environment, prompts in zip(self.environments, self.prompts, strict=True):
            if (longest := max(map(len, prompts), default=0)) > room:
                raise InputError(
                    f"{environment.name}: a situation is {longest} tokens long, which leaves no room for an answer of "
                    f"{self.recipe.max_new_tokens}; shorten it or use a model with a longer context"
                )

    @property
    def weights(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by name."""
        return {name: p for name, p in self.policy.model.named_parameters() if p.requires_grad}

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return self.recipe.steps * len(self.environments)

    def drawn(self, stage: int, step: int, steps: int = 1) -> Drawn:
        """The answers of ``steps`` steps from ``step`` on; the same for the same seed, whatever came before."""
        rng = np.random.default_rng([self.recipe.seed, 3, step])
        of = len(self.environments[stage].rows)
        chosen = drawn_numbers(of, self.recipe.prompts * steps, rng)
        seed = int(rng.integers(2**31))
        return draw(self.policy, self.environments[stage], self.prompts[stage], chosen, self.recipe, self.judge, seed)

    def note(self, stage: int, step: int, seen: dict[str, float], watch: Watch) -> bool:
        """Write an entry of the log; false where the run must stop, with the last good weights put back."""
        self.log.append({"stage": stage, "step": step, **seen})
        self.kept_step = step
        if reason := watch.stops(self.log):
            self.stop(reason, watch)
        elif self.progress is not None:
            self.progress(step, self.steps, seen["reward"])
        return not reason

    def stop(self, reason: str, watch: Watch) -> None:
        """End the run with the last good weights."""
        watch.restore()
        self.stopped, self.kept_step = reason, watch.good_step


def policy_gradient(run: Run) -> None:
    """One step of policy gradient a batch of answers."""
    recipe = run.recipe
    optimizer = adamw(run.policy.model, recipe.supervised(recipe.steps))
    run.log = run.partial.read(run.weights, optimizer)
    watch = Watch(recipe, run.weights, run.log)
    for step in range(len(run.log) + 1, run.steps + 1):
        stage = (step - 1) // recipe.steps
        watch.before(step)
        seen = improve(run.policy, run.reference, run.drawn(stage, step), recipe, optimizer)
        if not run.note(stage, step, seen, watch):
            return
        run.partial.write(run.weights, optimizer, run.log)


def expert_iteration(run: Run) -> None:
    """Draw answers, keep those that were paid, train on them; again from what came of it (arXiv 2406.10162)."""
    recipe = run.recipe
    run.log = run.partial.read(run.weights, None)
    watch = Watch(recipe, run.weights, run.log, latest=1, every=1)  # an entry is a round, hundreds of answers
    rounds = np.array_split(np.arange(recipe.steps), min(recipe.rounds, recipe.steps))
    plan = [(stage, len(part)) for stage in range(len(run.environments)) for part in rounds]
    for number, (stage, steps) in enumerate(plan):
        if number < len(run.log):
            continue
        step = 1 + sum(of_round for _, of_round in plan[:number])
        watch.before(step)
        drawn = run.drawn(stage, step, steps)
        paid = _paid(drawn)
        if not run.note(stage, step + steps - 1, _seen(run, drawn), watch):
            return
        if paid:
            training = recipe.supervised(steps).model_copy(update={"seed": recipe.seed * 1000 + number})
            try:
                told = fit(run.policy.model, run.policy.tokenizer, paid, training)
            except InputError as error:  # it diverged
                run.stop(str(error).partition(";")[0], watch)
                return
            run.log[-1]["loss"] = told[-1]["loss"]
        run.partial.write(run.weights, None, run.log)


def _seen(run: Run, drawn: Drawn) -> dict[str, float]:
    kl, entropy = distance(run.policy, run.reference, drawn)
    reward, valid = float(drawn.rewards.mean()), float(drawn.valid.mean())
    return {"reward": reward, "paid": drawn.paid, "valid": valid, "kl": kl, "entropy": entropy, "loss": 0.0}


def _paid(drawn: Drawn) -> list[Encoded]:
    """Answers with a reward of 1, as rows whose loss is on what was drawn."""
    return [
        Encoded([*prompt, *ids], [False] * len(prompt) + [True] * len(ids))
        for prompt, answers, rewards in zip(drawn.prompts, drawn.ids, drawn.rewards, strict=True)
        for ids, reward in zip(answers, rewards, strict=True)
        if reward == 1
    ]


METHODS: dict[str, Callable[[Run], None]] = {"grpo": policy_gradient, "expert_iteration": expert_iteration}

__all__ = ["METHODS", "Progress", "Run", "expert_iteration", "policy_gradient"]
