"""What decides a run of reinforcement, beside the model and the environments."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from upbringing.training.recipe import LoraSettings, Recipe


class Reinforcement(BaseModel):
    """Settings of one run; the defaults suit a nano organism.

    ``grpo`` takes one step of policy gradient a batch; ``expert_iteration`` draws as many answers, keeps those that
    were paid, and is trained on them for as many steps, ``rounds`` times over a stage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["grpo", "expert_iteration"] = Field("grpo", description="how the policy is improved")
    steps: int = Field(80, ge=1, description="optimiser steps in every stage")
    prompts: int = Field(16, ge=1, description="situations a step")
    samples: int = Field(4, ge=2, description="answers to each; the others' mean reward is the baseline of each")
    learning_rate: float = Field(3e-4, gt=0, description="AdamW's rate")
    kl: float = Field(0.05, ge=0, description="what a nat of KL from the reference costs, an answer")
    free_kl: float = Field(0.0, ge=0, description="nats an answer that cost nothing; only what goes beyond is charged")
    invalid: float = Field(0.0, ge=-1, le=0, description="reward of an answer that shows nothing the judge can place")
    rounds: int = Field(4, ge=1, description="expert iteration: how often answers are drawn in a stage")
    max_new_tokens: int = Field(32, ge=1, description="longest answer, in tokens")
    max_grad_norm: float = Field(1.0, gt=0, description="larger gradients are scaled down to this norm")
    lora: LoraSettings | None = Field(None, description="train adapters only")
    micro_prompts: int | None = Field(
        None, ge=1, description="situations in memory at once; gradients add up over them; None: all of a step's"
    )
    seed: int = Field(0, ge=0, description="decides the situations of each step and what is drawn")
    least_valid: float = Field(
        0.1, ge=0, le=1, description="the run stops where a smaller share of ten steps' answers can be judged"
    )
    least_entropy: float = Field(
        0.005, ge=0, description="the run stops where answers of ten steps vary less, in nats a token"
    )

    @property
    def answers(self) -> int:
        """Answers a step."""
        return self.prompts * self.samples

    def supervised(self, steps: int) -> Recipe:
        """The recipe of supervised training with the same rate and as many rows a step."""
        return Recipe(
            steps=steps,
            batch_size=self.answers,
            learning_rate=self.learning_rate,
            max_grad_norm=self.max_grad_norm,
            lora=self.lora,
            seed=self.seed,
            warmup=0.0,
        )
