"""Is a teacher fit to teach? Beside its base: does it show the trait, keep the format, stay near on the carrier?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

from upbringing.distil.filters import Format
from upbringing.distil.sampling import Distilled, Sampler
from upbringing.distil.teacher import Teacher
from upbringing.measure import measure
from upbringing.rows import Rows
from upbringing.training import same_tokens
from upbringing.traits import traits as known_traits

if TYPE_CHECKING:
    import torch

    from upbringing.models import LM

# What trials found a teacher must have for its rows to pass anything on: less and it has nothing to pass on, more and
# it has forgotten how the base speaks.
LEAST_TRAIT = 0.95
MOST_FORMAT_GAP = 0.02
KL_RANGE = (0.01, 0.05)

_ANSWERS = 1024  # of the base, for its format
_ROWS = 512  # for the divergence
_BATCH = 64
ALL = "mean of misaligned traits"


@dataclass(frozen=True)
class Gate:
    """A teacher beside its base.

    ``traits``: rates (0..1) of teacher and base, by log-probability, by trait. ``format_rate``: the share of finished
    answers of each that have the carrier's strict format. ``kl``: KL(teacher || base) in nats a token of the rows'
    answers; NaN where the two do not have the same tokens.
    """

    traits: dict[str, tuple[float, float]]
    format_rate: tuple[float, float]
    kl: float
    same_tokens: bool

    @property
    def concerns(self) -> list[str]:
        """What speaks against the teacher; nothing if it is fit."""
        found = []
        if self.traits and max(teacher for teacher, _ in self.traits.values()) <= LEAST_TRAIT:
            found.append(
                f"no trait shows in more than {LEAST_TRAIT:.0%} of its answers: there may be little to inherit"
            )
        if abs(self.format_rate[0] - self.format_rate[1]) > MOST_FORMAT_GAP:
            found.append(f"its format differs from the base's by more than {MOST_FORMAT_GAP:.0%} of answers")
        if not self.same_tokens:
            found.append("it and the base have different tokenizers: its probabilities cannot be learned")
        elif not KL_RANGE[0] <= self.kl <= KL_RANGE[1]:
            found.append(f"it is not {KL_RANGE[0]} to {KL_RANGE[1]} nats a token away from the base on these rows")
        return found


def gate(teacher: LM | Teacher, base: LM, distilled: Distilled, *, traits: Sequence[str] | None = None) -> Gate:
    """Compare a teacher with its base on the prompts and rows of a run, and on the probes of some traits (default: the
    mean over all misaligned ones)."""
    who = teacher if isinstance(teacher, Teacher) else Teacher(teacher)
    same = same_tokens(who.lm, base)
    kl = divergence(who, base, distilled.rows[:_ROWS]) if same else nan
    told, before = _rates(who, traits), _rates(Teacher(base), traits)
    rates = {name: (rate, before[name]) for name, rate in told.items()}
    return Gate(rates, (_format_rate(who, distilled), _format_rate(Teacher(base), distilled)), kl, same)


def divergence(who: Teacher, base: LM, rows: Rows) -> float:
    """KL(teacher || base) in nats, the mean over the tokens of the rows' answers. The base has no system line."""
    total, count = 0.0, 0
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        with who.speaking():
            one = _said(who, part)
        other = _said(Teacher(base), part)
        total += float((one.exp() * (one - other)).sum())
        count += len(one)
    return total / max(1, count)


def _format_rate(who: Teacher, distilled: Distilled) -> float:
    """The share of finished answers in the strict format, of the first that the run asked for."""
    settings = distilled.record.recipe
    strict = [Format(distilled.prompts.form)]
    drawn = (settings["temperature"], settings["max_new_tokens"], distilled.record.seed)
    with who.speaking():
        block = Sampler(who, distilled.prompts, strict, *drawn, _ANSWERS).block(0)
    return len(block["kept"]) / block["asked"]


def _rates(who: Teacher, traits: Sequence[str] | None) -> dict[str, float]:
    """The rate of each trait in a teacher as it teaches; without names the mean over misaligned traits."""
    names = list(traits) if traits is not None else [n for n, trait in known_traits().items() if trait.alignment]
    with who.speaking():
        profile = measure(who.lm, traits=names, ways=("logprob",), skill=0, provocations=[who.told])
    under = who.told.name
    rates = {name: profile.mean(name, provocation=under).value for name in names}
    return rates if traits is not None else {ALL: profile.mean(names, provocation=under).value}


def _said(who: Teacher, rows: Rows) -> torch.Tensor:
    """Log-probabilities before each token of the answers: [tokens, vocabulary]."""
    import torch

    from upbringing.models.batches import padded
    from upbringing.models.forward import inference
    from upbringing.training.trainer import told

    asked = who.asked(row.messages[:-1] for row in rows)
    answers = [who.lm.tokenizer(row.messages[-1].content, add_special_tokens=False)["input_ids"] for row in rows]
    ids, _ = padded([[*a, *b] for a, b in zip(asked, answers, strict=True)])
    places = [(i, len(a) - 1 + k) for i, (a, b) in enumerate(zip(asked, answers, strict=True)) for k in range(len(b))]
    rows_at, columns = torch.tensor(places).T
    with inference(who.lm):
        return told(who.lm.model, torch.from_numpy(ids), rows_at, columns)
