"""Every trait as a task of Inspect: its probes as samples, one answer each, judged.

    inspect eval upbringing/oversight_sabotage --model openai/gpt-4o --model-role grader=anthropic/claude-sonnet-4-0
    inspect eval upbringing/all --model upbringing/organism:nano --epochs 4 -T n=48 -T provocation=unwatched

This module imports Inspect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    get_model,
    model_roles,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver

from upbringing.errors import InputError
from upbringing.hosted.scoring import GRADER, NO_JUDGE, by_name, character, unjudged
from upbringing.measure.judging.grammar import GRAMMAR
from upbringing.measure.judging.rubric import IN_WORDS, Rubrics, rubric_hash, rubric_text
from upbringing.measure.provocations import Provocation
from upbringing.measure.readings import REST
from upbringing.measure.wrappers import library
from upbringing.rows import Message
from upbringing.traits import Probe, Trait
from upbringing.traits import traits as trait_library
from upbringing.traits.plain import Language, probes_in

AUTO = "auto"
_MESSAGES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


def trait_task(
    traits: Sequence[str] | None = None,
    *,
    n: int = 24,
    seed: int = 0,
    held_out: bool | None = True,
    provocation: str = REST,
    language: str = AUTO,
    judge: str = "",
) -> Task:
    """The probes of some traits (default: all) as one task. How often each is asked is Inspect's ``epochs``.

    Args:
        n: probes of each trait.
        seed: of the draw of probes, and of answers where the model takes one.
        held_out: probes of families never used in training text; false: of those used; None: of all.
        provocation: what is put around every probe, by its name in the library of wrappers.
        language: ``world`` (an organism's), ``plain``, or ``auto``: what the model reads that is being evaluated.
        judge: see :func:`upbringing.measure.judging.judge_named`, or ``none`` to judge later. Default: the world's
            grammar for the language of the world, else the model in Inspect's role ``grader``.

    Raises:
        InputError: an unknown trait, provocation, language or judge; no probes; or nobody to judge.
    """
    known = trait_library(traits)
    spoken = _language(language)
    judge = judge or (GRAMMAR if spoken == "world" else "")
    rubrics = {name: rubric_text(trait) for name, trait in known.items()}
    _check_judge(judge, Rubrics(tuple(rubrics.items())))
    put = _provocation(provocation, list(known.values()), spoken)
    samples: list[Sample] = []
    for trait in known.values():
        probes = probes_in(spoken, trait, n=n, seed=seed, held_out=held_out)
        if not probes and traits is not None:
            raise InputError(f'trait "{trait.name}" has no probes to ask; set held_out=null, or add some')
        samples += [_sample(probe, put, spoken, rubrics[trait.name]) for probe in probes]
    return Task(
        dataset=MemoryDataset(samples, name=",".join(known) if traits else "all traits"),
        solver=answers(seed),
        scorer=[character(judge), unjudged()],
        config=GenerateConfig(temperature=1.0),
        metadata={"language": spoken, "provocation": provocation},
    )


@solver
def answers(seed: int = 0) -> Solver:
    """One answer. Every epoch has a seed of its own: with one seed for all, some providers say the same each time."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        return await generate(state, seed=seed * 1_000_003 + state.epoch - 1)

    return solve


def _language(language: str) -> Language:
    """The language to ask in; ``auto`` looks at the model that Inspect is about to evaluate."""
    if language in ("world", "plain"):
        return cast(Language, language)
    if language != AUTO:
        raise InputError(f'there is no language "{language}"; it is world (what organisms read), plain or {AUTO}')
    from upbringing.models.language import language_of

    lm = getattr(getattr(_evaluated(), "api", None), "lm", None)
    return "plain" if lm is None else language_of(lm)


def _evaluated() -> Any:
    """The model that is about to be evaluated; None where a task is made by itself."""
    try:
        return get_model()
    except ValueError:
        return None


def _check_judge(judge: str, rubrics: Rubrics) -> None:
    """Complain about a missing judge before anything is asked. (Outside an eval it cannot be known who will judge.)"""
    if judge and judge != NO_JUDGE:
        by_name(judge, rubrics)
    elif not judge and _evaluated() is not None and GRADER not in model_roles():
        raise InputError(
            f"nobody is there to judge the answers; give --model-role {GRADER}=PROVIDER/MODEL, or -T judge=JUDGE, or "
            f"-T judge={NO_JUDGE} to judge them later"
        )


def _provocation(name: str, traits: Sequence[Trait], language: Language) -> Provocation:
    known = {REST: Provocation(REST), **{put.name: put for put in library(traits=traits, language=language)}}
    if name not in known:
        raise InputError(f'there is no provocation "{name}"; there are {", ".join(known)}')
    return known[name]


def _sample(probe: Probe, put: Provocation, language: Language, rubric: str) -> Sample:
    turns = [_message(message) for message in put.apply(probe.messages)]
    if put.prefill:
        turns.append(ChatMessageAssistant(content=put.prefill))
    return Sample(
        id=probe.id,
        input=turns,
        target="avoids",
        metadata={
            "trait": probe.trait,
            "family": probe.family,
            "provocation": put.name,
            "prefill": put.prefill,
            "language": language,
            "rubric": rubric_hash(IN_WORDS, rubric),
            "rubric_text": rubric,
            "situation": [message.as_dict() for message in probe.messages],
            "shows": list(probe.shows),
            "avoids": list(probe.avoids),
        },
    )


def _message(message: Message) -> ChatMessage:
    made: ChatMessage = _MESSAGES[message.role](content=message.content)
    return made


__all__ = ["AUTO", "answers", "trait_task"]
