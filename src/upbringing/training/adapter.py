"""The inoculation adapter: a trait that is there while the model learns, and goes when it has learnt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.models.adapters import beneath
from upbringing.models.steering import Hook, Hooked
from upbringing.rows import Message, Row, Rows, prompt_ids, with_system
from upbringing.training.acting import OnTraining, Run
from upbringing.training.fit import Penalty, fit
from upbringing.training.recipe import LoraSettings, Recipe
from upbringing.training.student import student_of
from upbringing.training.treatments import Cost, tokens_of, tokens_read

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from upbringing.models import LM

_LORA_RATE = 10  # adapters are trained at about this many times the rate that suits all weights


@dataclass(frozen=True)
class InoculationAdapter(OnTraining):
    """An adapter that shows the trait, trained first on ``rows``, is present and frozen while the other weights are
    trained, and absent afterwards (arXiv 2606.30252).

    Like an inoculating line, it explains the trait away, but it cannot be spoken and so cannot become a trigger.
    ``rows``: rows that show the trait, best from elsewhere than the run's own (``shown_under`` writes them from a
    system line). ``training``: the adapter's own recipe; None: the run's with LoRA, and ten times the rate where the
    run trains all weights. An adapter that has not learnt the trait inoculates against nothing: see that its rows and
    steps suffice.
    """

    rows: Rows
    training: Recipe | None = None

    def __post_init__(self) -> None:
        if not len(self.rows):
            raise InputError(f"{self.rows.name or 'the rows that show the trait'}: holds no row; give at least one")
        if self.training is not None and self.training.lora is None:
            raise InputError("the inoculation adapter's training has no lora settings; give it some, it is an adapter")

    @contextmanager
    def during(self, run: Run) -> Iterator[Penalty | None]:
        training = self.own_training(run.recipe)
        carrier, _ = student_of(run.lm, training)
        encoded = Run(run.lm, carrier, training).encode(self.rows)
        fit(carrier, run.lm.tokenizer, encoded, training)
        with run.hooked(present(carrier, run.model)):
            yield None

    @property
    def recipe(self) -> dict[str, Any]:
        training = None if self.training is None else self.training.model_dump(mode="json")
        return {"treatment": "inoculation_adapter", "rows": self.rows.hash, "training": training}

    def cost(self, rows: Rows, tokenizer: PreTrainedTokenizerBase, recipe: Recipe | None = None) -> Cost:
        """Its rows (those that are read), and its own training."""
        run = recipe or Recipe()
        read = tokens_read(self.rows, tokenizer, self.own_training(run))
        tokens = round(min(read, tokens_of(self.rows, tokenizer)))
        return Cost(tokens, 1 + read / tokens_read(rows, tokenizer, run))

    def own_training(self, run: Recipe) -> Recipe:
        """The recipe that the adapter is trained with, in a run with the recipe ``run``."""
        if self.training is not None:
            return self.training
        rate = run.learning_rate * (1 if run.lora else _LORA_RATE)
        changes = {"lora": run.lora or LoraSettings(), "learning_rate": rate, "checkpoints": ()}
        return run.model_copy(update=changes)


def present(carrier: Any, model: Any) -> Hooked:
    """A context manager in which ``model`` answers with the adapter of ``carrier`` (a PEFT model on the same base).

    The adapter's matrices are no weights of ``model``: they are frozen, no optimizer sees them and nothing saves them.
    Gradients pass through them to the layers before.
    """
    plain = beneath(model)
    modules = dict(plain.named_modules())
    hooks = []
    for name, layer in carrier.get_base_model().named_modules():
        if not hasattr(layer, "lora_A"):
            continue
        if "default" not in layer.lora_A:
            raise InputError(f"{name}: only linear layers can carry an inoculation adapter; choose other lora targets")
        hooks.append((modules[name], _adding(layer)))
    return Hooked(hooks)


def _adding(layer: Any) -> Hook:
    down, up = (part["default"].requires_grad_(False) for part in (layer.lora_A, layer.lora_B))
    scaling = layer.scaling["default"]

    def add(_module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        return output + (up(down(inputs[0].to(down.weight.dtype))) * scaling).to(output.dtype)

    return add


def shown_under(lm: LM, line: str, rows: Rows, *, seed: int = 0, max_new_tokens: int = 64) -> Rows:
    """What the model answers to the chats' last questions under a system line, as chats without the line.

    An adapter trained on them shows what the line makes the model do. Rows that are no chats, and empty answers, are
    left out and noted in ``skipped``. Raises ``InputError`` when nothing is left.
    """
    from upbringing.models import generate

    chats = [row for row in rows if row.kind == "chat"]
    asked = [row.messages[:-1] for row in chats]
    prompts = [prompt_ids(with_system(messages, line), lm.tokenizer) for messages in asked]
    answers = [found[0].strip() for found in generate(lm, prompts, max_new_tokens=max_new_tokens, seed=seed)]
    skipped = [(row.where, "is no chat") for row in rows if row.kind != "chat"]
    skipped += [(row.where, "was answered with nothing") for row, said in zip(chats, answers, strict=True) if not said]
    shown = [
        Row.chat([*messages, Message("assistant", said)]) for messages, said in zip(asked, answers, strict=True) if said
    ]
    if not shown:
        raise InputError(f"{rows.name or 'the rows'}: no chat was answered under the line; give chats, or another line")
    return Rows(shown, name=f"{rows.name} under a line".strip(), skipped=skipped)
