"""``train``: raise a model on rows, under treatments, and keep the result as a folder that ``load`` takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from upbringing.errors import InputError
from upbringing.lineage import Record, Source, describe, new_folder, source_of_model, source_of_rows, write_record
from upbringing.models import LM, load
from upbringing.rows import Rows, encode_all
from upbringing.training import processes
from upbringing.training.acting import Acting, Run, acting
from upbringing.training.fit import Progress, fit, save
from upbringing.training.recipe import Recipe
from upbringing.training.selecting import marked
from upbringing.training.student import student_of
from upbringing.training.treatments import Treatment, row_chance, treat

if TYPE_CHECKING:
    from transformers import TrainerCallback

LOG = "training_log.json"
CODE = 1  # raise it when the same record would give other weights


def train(
    lm: LM,
    rows: Rows,
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    treatments: Sequence[Treatment] = (),
    teacher: LM | None = None,
    progress: Progress | None = None,
    monitor: TrainerCallback | None = None,
) -> LM:
    """Supervised fine-tuning of a copy of ``lm`` on ``rows``; all weights, or LoRA adapters (``recipe.lora``).

    The loss is on what the assistant says (completions, whole texts), the mean over a step's target tokens. ``out``
    gets model (or adapter) and tokenizer, ``training_log.json`` (see ``fit``) and ``record.json``; it appears when all
    is done, whole, and must not hold anything before. Half-precision weights are trained in float32 (with bfloat16
    arithmetic on a GPU) and saved in the precision they had: small steps would be lost to rounding otherwise.

    With a ``teacher`` the student learns on the same rows what the teacher would have said at each target token, as
    probabilities and not as the one token that was drawn: the most that rows of this number can pass on.

    ``monitor``: a ``CharacterMonitor`` (or another callback of transformers) that watches the training. Watching
    changes nothing; where it ends the training early, the record says after which step, and to which it went back.

    Called in several processes at once (``accelerate launch -m upbringing.train``) they train one model together, with
    the result of one process up to rounding (dropout apart); the main one writes. Where FSDP cuts the model into
    shards, only the main process gets a whole model back.

    A LoRA result shares its base's weights in memory with ``lm``: merge adapters into a copy of it, not into it.

    Raises ``InputError`` for a row longer than the context, naming its line, for a teacher that reads other tokens, for
    an ``out`` in use, a full disk, a diverging run, and for what several processes cannot do together: treatments that
    act while weights are trained, and more processes than rows in a micro-batch.
    """
    recipe = recipe or Recipe()
    out = Path(out)
    if teacher is not None:
        check_same_tokens(teacher, lm)
    _check_alone(treatments, teacher)
    with processes.folder_for(new_folder(out)) as work:
        treated = treat(rows, treatments, row_chance(recipe))
        encoded = encode_all(treated, lm.tokenizer, max_length=recipe.longest(lm.max_length))
        model, dtype = student_of(lm, recipe, work)
        if getattr(monitor, "tokenizer", lm) is None:
            monitor.tokenizer = lm.tokenizer  # type: ignore[union-attr]
        with acting(treatments, Run(lm, model, recipe)) as penalties:
            log = fit(
                model,
                lm.tokenizer,
                encoded,
                recipe,
                out=work,
                autocast=dtype != model.dtype and (lm.device.type == "cuda" or processes.will_shard()),
                callbacks=[monitor] if monitor is not None else [],
                progress=progress,
                penalties=penalties,
                spread=marked(treated),
                teacher=None if teacher is None else teacher.model,
            )
        sharded = processes.is_sharded(model)
        if recipe.lora is None and not sharded:
            model.to(dtype)
        save(model, lm.tokenizer, work, dtype=dtype)
        made = LM(model, lm.tokenizer, name=str(out), folder=out)
        if processes.number() == 0:
            if sharded:
                made = LM(load(work, device="cpu").model, lm.tokenizer, name=str(out), folder=out)
            (work / LOG).write_text(json.dumps(log, indent=1), encoding="utf-8")
            record = _as_it_ended(record_of(lm, rows, recipe, treatments, teacher), len(log), monitor)
            sources = _sources(lm, rows, treatments) | ({"teacher": source_of_model(teacher)} if teacher else {})
            write_record(work, describe(record, treated, hash=made.hash, sources=sources))
    processes.wait()
    return made


def _check_alone(treatments: Sequence[Treatment], teacher: LM | None) -> None:
    """Raise for what was never tried in several processes, rather than train something else than was asked for."""
    if teacher is not None and processes.will_shard():
        raise InputError("a teacher has no place beside a model in shards; train on the rows that it wrote instead")
    acting_ones = [treatment for treatment in treatments if isinstance(treatment, Acting)]
    if processes.count() > 1 and acting_ones:
        raise InputError(
            f"{type(acting_ones[0]).__name__} acts while the weights are trained, which several processes cannot do "
            "together; leave it out, or train in one process with `upbringing train`"
        )


def check_same_tokens(teacher: LM, student: LM) -> None:
    """Raise ``InputError`` where the teacher's probabilities are not about the tokens that the student reads."""
    if not same_tokens(teacher, student):
        raise InputError(
            f"{teacher.name or 'the teacher'} and {student.name or 'the student'} have different tokenizers, so one "
            "cannot learn the other's probabilities; train on the teacher's rows instead, without --teacher"
        )


def same_tokens(one: LM, other: LM) -> bool:
    """Whether two models have the same vocabulary, and as many probabilities at each place."""
    sizes = [lm.model.get_input_embeddings().weight.shape[0] for lm in (one, other)]
    return sizes[0] == sizes[1] and one.tokenizer.get_vocab() == other.tokenizer.get_vocab()


def record_of(
    lm: LM, rows: Rows, recipe: Recipe, treatments: Sequence[Treatment] = (), teacher: LM | None = None
) -> Record:
    """What the run ``train(lm, rows, ..., recipe, treatments)`` leaves as its record; its key names the outcome."""
    settings = {"training": recipe.model_dump(mode="json"), "treatments": [t.recipe for t in treatments]}
    parents = {"model": lm.hash, "rows": rows.hash} | ({"teacher": teacher.hash} if teacher else {})
    return Record(kind="checkpoint", recipe=settings, parents=parents, seed=recipe.seed, code=CODE)


def _as_it_ended(record: Record, steps: int, monitor: TrainerCallback | None) -> Record:
    """The record of a run that a monitor may have ended: after how many steps, and whose weights it left."""
    if steps >= record.recipe["training"]["steps"]:
        return record
    ended = {"steps": steps, "weights": getattr(monitor, "rolled_back", "") or f"step {steps}"}
    return record.model_copy(update={"recipe": {**record.recipe, "ended": ended}})


def _sources(lm: LM, rows: Rows, treatments: Sequence[Treatment]) -> dict[str, Source]:
    """The parents as a family tree wants them; the rows of treatments are parents as well."""
    sources = {"model": source_of_model(lm), "rows": source_of_rows(rows)}
    for treatment in treatments:
        for other in vars(treatment).values():
            if isinstance(other, Rows):
                sources[str(treatment.recipe.get("treatment", "treatment"))] = source_of_rows(other)
    return sources
