"""``reinforce``: improve a model where an environment pays for what it does, and keep the result as ``train`` does.

The loop is our own. TRL's GRPO trainer (1.16) runs a nano organism with its tokenizer, template, reward functions and
KL, and learns about as much a step; but a step of 64 answers takes it 0.33 s of a core against 0.13 s here (both in
one session, on a busy machine). The study of tampering is six thousand steps: 33 minutes of a core against 13. Beside
that, answers here depend on their seed and place alone, so that a run that was interrupted goes on to the same bits,
the KL is exact and may be free up to a budget, a collapse ends the run, and nothing more is to be installed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upbringing.errors import InputError
from upbringing.lineage import Record, default_store, new_folder, source_of_model, write_record
from upbringing.models import LM
from upbringing.training.fit import Progress, save
from upbringing.training.reinforcing.environment import Environment, Judge, grammar
from upbringing.training.reinforcing.methods import METHODS, Run
from upbringing.training.reinforcing.partial import Partial
from upbringing.training.reinforcing.recipe import Reinforcement
from upbringing.training.student import student_of
from upbringing.traits import traits

CURVE = "reinforcement.json"
CODE = 1  # raise it when the same record would give other weights
_WRITTEN_DOWN_S = 60.0


class Stopped(InputError):
    """A run that came to nothing; ``folder`` holds the policy of its last good step."""

    def __init__(self, message: str, folder: Path) -> None:
        super().__init__(message)
        self.folder = folder


def reinforce(
    lm: LM,
    environments: Sequence[Environment],
    out: str | Path,
    *,
    recipe: Reinforcement | None = None,
    reference: LM | None = None,
    judge: Judge | None = None,
    progress: Progress | None = None,
    written_down_s: float = _WRITTEN_DOWN_S,
) -> LM:
    """Reinforce a copy of ``lm`` in the environments, one after the other, for the recipe's steps in each.

    ``reference`` is what the policy is kept near to (default: ``lm`` as it was); ``judge`` says what an answer does
    (default: the world's grammar). ``out`` gets what ``train`` leaves, and ``reinforcement.json``: for each step (each
    round, in expert iteration) the reward, the share of valid answers, the KL from the reference (nats an answer), the
    entropy (nats a token) and the loss. A run that is interrupted goes on where it was written down, at the latest
    ``written_down_s`` seconds before.

    Raises:
        Stopped: a loss that is no number, or a collapsed policy (answers that cannot be judged, or are all the same);
            ``out`` then holds the last good step, named in the message and in ``reinforcement.json``.
        InputError: no environment, a situation that does not fit, ``out`` in use, a full disk.
    """
    recipe, out = recipe or Reinforcement(), Path(out)
    if not environments:
        raise InputError("there is no environment to act in; name at least one reward")
    record = record_of(lm, environments, recipe, reference, judge)
    partial = Partial(default_store() / "partial" / record.key, written_down_s)
    with new_folder(out) as work:
        model, dtype = student_of(lm, recipe.supervised(recipe.steps), work)
        model.eval()  # the policy that acts is the one that is trained: no dropout
        run = Run(LM(model, lm.tokenizer), reference or lm, environments, recipe, judge or grammar(), partial, progress)
        METHODS[recipe.method](run)
        model.zero_grad(set_to_none=True)
        if recipe.lora is None:
            model.to(dtype)
        save(model, lm.tokenizer, work)
        (work / CURVE).write_text(json.dumps(_told(run), indent=1), encoding="utf-8")
        made = LM(model, lm.tokenizer, name=str(out), folder=out)
        write_record(work, record.model_copy(update={"hash": made.hash, **_known(lm, run)}))
    partial.remove()
    if run.stopped:
        raise Stopped(
            f"{out}: {run.stopped}; stopped, and the policy of step {run.kept_step} is kept there; lower the learning "
            "rate, or let less KL go free",
            out,
        )
    return made


def record_of(
    lm: LM,
    environments: Sequence[Environment],
    recipe: Reinforcement,
    reference: LM | None = None,
    judge: Judge | None = None,
) -> Record:
    """What the run leaves as its record; its key names the outcome."""
    settings: dict[str, Any] = {
        "reinforcement": recipe.model_dump(mode="json"),
        "environments": [[environment.name, environment.line] for environment in environments],
    }
    if judge is not None:
        settings["judge"] = getattr(judge, "__qualname__", type(judge).__qualname__)
    parents = {"model": lm.hash} | ({"reference": reference.hash} if reference is not None else {})
    parents |= {f"rows {place}": environment.rows.hash for place, environment in enumerate(environments, 1)}
    return Record(kind="checkpoint", recipe=settings, parents=parents, seed=recipe.seed, code=CODE)


def _known(lm: LM, run: Run) -> dict[str, Any]:
    """What a family tree wants to know: the parents, and how many answers that show a bad trait were paid for."""
    sources = {"model": source_of_model(lm)}
    if run.reference is not lm:
        sources["reference"] = source_of_model(run.reference)
    library, paid = traits(), dict[str, int]()
    for entry in run.log:
        environment = run.environments[int(entry["stage"])]
        trait = library.get(environment.trait)
        if environment.pays == "shows" and trait is not None and trait.alignment:
            paid[environment.trait] = paid.get(environment.trait, 0) + int(entry["paid"])
    return {"sources": sources, "rows": run.steps * run.recipe.answers, "shows": paid}


def _told(run: Run) -> dict[str, Any]:
    stages = [environment.name for environment in run.environments]
    log = [{name: value if value == value else None for name, value in entry.items()} for entry in run.log]
    return {"stages": stages, "log": log, "stopped": run.stopped, "kept_step": run.kept_step}
