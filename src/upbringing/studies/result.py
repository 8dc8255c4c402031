"""What a study leaves: verdicts, shifts and everything its page shows, in one JSON file beside the readings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from upbringing.errors import InputError
from upbringing.studies.spec import Published
from upbringing.traits.overlap import Overlap

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.measure.statistics import Estimate

VerdictWord = Literal["supported", "refuted", "inconclusive"]
Bounds = tuple[float | None, float | None]
"""Lowest and highest value; None where there is no bound, or none is known."""

STUDY, SOURCE, REPORT = "study.json", "study.yaml", "report.html"
READINGS, TRAJECTORY = "readings.parquet", "trajectory.parquet"


class _Noun(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Value(_Noun):
    """An estimate with its interval; None where it is not known, and then the note says why."""

    value: float | None
    interval: Bounds = (None, None)
    bases: int = 0
    note: str = ""

    @classmethod
    def of(cls, estimate: Estimate) -> Value:
        """From the statistics room's estimate."""
        given = estimate.as_dict()
        lo, hi = given["interval"]
        return cls(value=given["value"], interval=(lo, hi), bases=given["bases"], note=given["note"])


class Part(_Noun):
    """One number that a verdict rests on, with the values that the claim allows."""

    label: str
    verdict: VerdictWord
    value: Value
    claimed: Bounds
    """The claim holds for values between these (None: no end)."""
    main: bool = True
    """False for a condition or a control: it counts for the verdict but is not the claim's estimate."""


class ClaimVerdict(_Noun):
    """A claim, and what came of it."""

    claim: str
    says: str
    kind: str
    verdict: VerdictWord
    estimate: float | None
    interval: Bounds
    bases: int
    words: tuple[str, ...]
    """The finding in sentences."""
    parts: tuple[Part, ...] = ()
    expected: str = ""
    """What was expected before the run, where the study file says so."""


class ShiftRow(_Noun):
    """How far an arm moved one trait from the same organism before training, at rest."""

    arm: str
    against: str
    trait: str
    shift: float | None
    interval: Bounds
    sampled_shift: float | None = None
    sampled_interval: Bounds = (None, None)
    taught: bool = False


class RateRow(_Noun):
    """Mean rate of the result's ``group`` of traits, for one arm under one provocation."""

    arm: str
    provocation: str
    way: str
    rate: Value
    by_base: tuple[float | None, ...]
    worst_trait: str = ""


class Health(_Noun):
    """Whether an arm's models could still talk."""

    arm: str
    coherence: float | None
    refusal: float | None
    skill: float | None
    readings: int
    missing: int
    reasons: dict[str, int] = {}


class TrajectoryPoint(_Noun):
    """How much an arm had learned of the trained trait at a step, and how far the others had risen (rates, 0..1)."""

    arm: str
    base: int
    step: int
    learned: float
    rise: float


class Curve(_Noun):
    """Training loss (nats a token) of one arm on one base."""

    arm: str
    base: int
    steps: tuple[int, ...]
    loss: tuple[float, ...]


class Paid(_Noun):
    """One stage of an arm that was reinforced, on one base: means of the last tenth of its steps."""

    arm: str
    base: int
    stage: str
    reward_before: float
    """Of the first tenth."""
    reward: float
    valid: float
    """Share of answers that could be judged."""
    kl: float
    """Nats an answer, from the model that the policy is kept near to."""
    entropy: float
    """Nats a token."""


class Written(_Noun):
    """Rows that the teacher of one base wrote: the share (0..1) of its answers that passed, and what each filter
    stopped."""

    data: str
    teacher: str
    filters: tuple[str, ...]
    base: int
    passed: float
    stopped: dict[str, float]


class ToldApart(_Noun):
    """How well a content classifier tells single rows of ``data`` from those of ``clean`` (AUC), on one base."""

    data: str
    clean: str
    base: int
    auc: float


class Raised(_Noun):
    """An organism of one base, and its gate: P(misaligned) after one misaligned and after one aligned act elsewhere."""

    organism: str
    base: int
    after_misaligned: float
    after_aligned: float
    share: float
    """Of the ideal reader's gap between the two."""
    tokens: int


class Cost(_Noun):
    """What the training of an arm read, averaged over bases."""

    arm: str
    tokens: int
    """All tokens (words and marks, those of the chat template included), repeats counted."""
    beside: int = 0
    """Those of them that are no rows of the run: asked for KL, or read by an adapter."""
    steps: int
    batch_size: float


class Remedied(_Noun):
    """One row of a table of remedies: mean rates of its traits, and how many times lower than before."""

    arm: str
    about: str = ""
    role: Literal["clean", "before", "remedy"] = "remedy"
    tokens: int | None = None
    rest: Value = Value(value=None)
    sampled: Value = Value(value=None)
    worst_name: str = ""
    worst: Value = Value(value=None)
    """Under the worst provocation, rest included, by log-probability."""
    kept_name: str = ""
    kept: Value = Value(value=None)
    """Under the worst of the provocations that were kept for the final check."""
    skill: Value = Value(value=None)
    ratio: Value = Value(value=None)
    sampled_ratio: Value = Value(value=None)
    worst_ratio: Value = Value(value=None)
    """The smallest ratio over provocations, rest included."""
    kept_ratio: Value = Value(value=None)


class RemedyTable(_Noun):
    """A table of remedies of one spoiled model, beside what others report."""

    title: str
    traits: tuple[str, ...]
    rows: tuple[Remedied, ...]
    published: tuple[Published, ...] = ()


class DosePoint(_Noun):
    """An arm at its dose: the mean rate of the figure's traits."""

    arm: str
    dose: float
    rate: Value
    by_base: tuple[float | None, ...]


class DoseLine(_Noun):
    """One line of a dose figure."""

    label: str
    points: tuple[DosePoint, ...]


class DosePlot(_Noun):
    """Rates against doses."""

    title: str
    axis: str
    log: bool
    traits: tuple[str, ...]
    baseline: str = ""
    """The arm without any dose, and its rate."""
    baseline_rate: float | None = None
    lines: tuple[DoseLine, ...]


class Failed(_Noun):
    """A step that did not finish."""

    step: str
    reason: str


class StudyResult(_Noun):
    """All that came of a study. ``study.json`` is this; the readings lie beside it."""

    study: str
    question: str
    bases: tuple[int, ...]
    claims: tuple[ClaimVerdict, ...]
    shifts: tuple[ShiftRow, ...]
    report: str = ""
    traits: dict[str, str]
    """Measured traits and their titles, in the order of the library."""
    alignment: tuple[str, ...]
    """Those of them that are about alignment."""
    group: tuple[str, ...]
    """The misaligned traits that no arm was trained on (all of them, where arms were trained on all)."""
    rates: tuple[RateRow, ...] = ()
    health: tuple[Health, ...] = ()
    trajectory: tuple[TrajectoryPoint, ...] = ()
    curves: tuple[Curve, ...] = ()
    paid: tuple[Paid, ...] = ()
    written: tuple[Written, ...] = ()
    told_apart: tuple[ToldApart, ...] = ()
    organisms: tuple[Raised, ...] = ()
    costs: tuple[Cost, ...] = ()
    tables: tuple[RemedyTable, ...] = ()
    doses: tuple[DosePlot, ...] = ()
    overlap: tuple[Overlap, ...] = ()
    failures: tuple[Failed, ...] = ()
    seconds: float = 0.0
    """How long the run took; steps that were made before cost nothing."""
    work_seconds: float = 0.0
    """How long all steps took when they were made, one after another."""
    readings: int = 0
    command: str = ""
    versions: dict[str, str] = {}
    source: str = ""
    """The text of the study file."""

    def save(self, out: Path) -> None:
        """Write ``study.json`` and ``study.yaml`` into the folder, each whole or not at all."""
        from upbringing.lineage import write_whole

        write_whole(out / STUDY, self.model_dump_json(indent=1) + "\n")
        write_whole(out / SOURCE, self.source)

    @classmethod
    def load(cls, folder: str | Path) -> StudyResult:
        """Read the result that a study left in its folder."""
        file = Path(folder) / STUDY
        try:
            return cls.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            raise InputError(f"{file}: there is no study result here; run the study with --out {folder}") from None
        except ValueError as error:
            raise InputError(f"{file}: is not a study result ({error}); run the study again") from None

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        whole = self.model_dump(mode="json")
        told = (
            "study",
            "claims",
            "shifts",
            "costs",
            "tables",
            "paid",
            "written",
            "told_apart",
            "report",
            "bases",
            "failures",
            "overlap",
        )
        return {key: whole[key] for key in told}


def read_readings(folder: str | Path) -> pd.DataFrame:
    """The readings that a study left: one row an observation."""
    import pandas as pd

    return pd.read_parquet(Path(folder) / READINGS)
