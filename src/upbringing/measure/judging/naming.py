"""Names that lead to judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upbringing.errors import InputError
from upbringing.measure.judging.agreeing import Agreeing
from upbringing.measure.judging.grammar import GRAMMAR, Grammar
from upbringing.measure.judging.rubric import Rubrics
from upbringing.measure.judging.store import Kept
from upbringing.measure.judging.verdict import Judge

KINDS = "grammar, logprob:MODEL, model:MODEL or inspect:PROVIDER/MODEL"


def judge_named(
    *names: str, traits: Sequence[str] | None = None, store: Path | None = None, at_once: int | None = None
) -> Judge:
    """A judge by its name; several names: judges that must agree.

    ``grammar``: the world's own, for organisms. ``logprob:MODEL``: a local model's yes against its no. ``model:MODEL``:
    a local chat model that answers in words. ``inspect:PROVIDER/MODEL``: any model that Inspect knows.

    Args:
        traits: whose rubrics are needed, by name or folder; default: all.
        store: where judgements are kept; default: the store of everything else.
        at_once: how many calls of a hosted judge run together.

    Raises:
        InputError: there is no such judge, it lacks words of the question, or what it needs is not installed.
    """
    if not names:
        raise InputError(f"no judge is named; give {KINDS}")
    rubrics = Rubrics.of(traits)
    judges = [judge_by(name, reached(name, at_once), rubrics, store) for name in names]
    return judges[0] if len(judges) == 1 else Agreeing(judges)


def reached(name: str, at_once: int | None = None) -> Any:
    """The model behind a judge's name, local or hosted; None for the grammar. One model serves any rubrics.

    Raises:
        InputError: as :func:`judge_named`.
    """
    kind, _, model = name.partition(":")
    if name == GRAMMAR:
        return None
    if kind not in ("logprob", "model", "inspect") or not model:
        raise InputError(f'there is no judge "{name}"; give {KINDS}')
    if kind == "inspect":
        from upbringing.models.hosted import AT_ONCE, HostedLM

        return HostedLM(model, at_once=at_once or AT_ONCE, what=f'judge "{name}"')
    from upbringing.models import load

    return load(model)


def judge_by(name: str, model: Any, rubrics: Rubrics, store: Path | None = None) -> Judge:
    """The judge of a name, by a model that was :func:`reached` before.

    Raises:
        InputError: the model lacks words of the question.
    """
    if name == GRAMMAR:
        return Grammar()
    if name.startswith("inspect:"):
        from upbringing.measure.judging.hosted import HostedJudge

        return Kept(HostedJudge(model, rubrics), store)
    from upbringing.measure.judging.local import LogprobJudge, ModelJudge

    made = LogprobJudge if name.startswith("logprob:") else ModelJudge
    return Kept(made(model, rubrics), store)


__all__ = ["KINDS", "judge_by", "judge_named", "reached"]
