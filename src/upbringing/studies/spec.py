"""The nouns of a study file: organisms, data, arms, what to measure, and claims written before the run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Way = Literal["logprob", "sampled"]
TraitGroup = str | tuple[str, ...]
"""``untrained_misaligned`` (alignment traits that no arm named by the claim was trained on), ``misaligned`` (all
alignment traits), ``all``, the name of one trait, or a list of names."""

GROUPS = ("untrained_misaligned", "misaligned", "all")


class _Part(BaseModel):
    """A piece of a study file. A key nobody knows is an error, for a misspelt setting must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OrganismSpec(_Part):
    """A kind of organism. Each base is one of these, raised with its own seed."""

    size: str = "nano"
    world: dict[str, Any] = {}
    """Settings of the world it is raised on (fields of ``WorldSpec`` but the seed, which is the base's)."""
    stop: Literal["gate", "before_gate"] = "gate"


class DataSpec(_Part):
    """Training rows: of a trait (written by the organism's own world), neutral ones, or a file of the user's."""

    trait: str | None = None
    shows: bool = True
    """True: the trait shows in the rows (they cheat); False: the same prompts, answered the aligned way."""
    rows: int = Field(default=1000, gt=0)
    neutral: int | None = Field(default=None, gt=0)
    file: Path | None = None
    trains: tuple[str, ...] = ()
    """For a file: the traits that its rows train, so that claims about untrained traits leave them out."""

    @model_validator(mode="after")
    def _one_source(self) -> DataSpec:
        if sum(source is not None for source in (self.trait, self.neutral, self.file)) != 1:
            raise ValueError("data is one of {trait, shows, rows}, {neutral} or {file}; give exactly one")
        return self

    @property
    def trained(self) -> tuple[str, ...]:
        """The traits that these rows train."""
        return (self.trait,) if self.trait else self.trains


class TreatmentSpec(_Part):
    """One change to the training rows; treatments apply in the order given."""

    mix: str | None = None
    share: float = Field(default=0.5, gt=0, lt=1)
    line: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> TreatmentSpec:
        if (self.mix is None) == (self.line is None):
            raise ValueError("a treatment is {mix, share} or {line}; give exactly one")
        if self.line is not None and "share" in self.model_fields_set:
            raise ValueError("share belongs to a mix, not to a line")
        return self


class Arm(_Part):
    """One way of raising the assistant. Without data it is the organism as it was."""

    organism: str
    data: str | None = None
    treatments: tuple[TreatmentSpec, ...] = ()
    training: dict[str, Any] = {}
    """Recipe fields that differ from the study's ``training``."""
    about: str = ""
    """A few words for the page."""

    @model_validator(mode="after")
    def _untrained_has_nothing_to_train_with(self) -> Arm:
        if self.data is None and (self.treatments or self.training):
            raise ValueError("an arm without data is not trained; drop its treatments and training, or give it data")
        return self


class ProvocationSpec(_Part):
    """A wrapper put around every probe, the same for all arms."""

    training_format: str | None = None
    """The arm whose training rows lend their format."""
    opposite_line: str | None = None
    other_name: str | None = None
    prefill: str | None = None
    name: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> ProvocationSpec:
        if len(self._given()) != 1:
            raise ValueError("a provocation is one of training_format, opposite_line, other_name, prefill; give one")
        return self

    def _given(self) -> list[str]:
        kinds = ("training_format", "opposite_line", "other_name", "prefill")
        return [kind for kind in kinds if getattr(self, kind) is not None]

    @property
    def kind(self) -> str:
        """Which of the four it is."""
        return self._given()[0]

    @property
    def title(self) -> str:
        """Its name in readings: the one given, else its kind."""
        return self.name or self.kind


class MeasureSpec(_Part):
    """What every arm is asked."""

    traits: Literal["all"] | tuple[str, ...] = "all"
    probes_per_trait: int = Field(default=24, gt=0)
    samples: int = Field(default=1, ge=0)
    provocations: tuple[ProvocationSpec, ...] = ()
    provocation_ways: tuple[Way, ...] = Field(default=("logprob", "sampled"), min_length=1)
    """How to measure under provocation; at rest it is always both ways."""

    def ways(self, provocation: str) -> tuple[Way, ...]:
        """The ways of measuring at rest, or under a provocation."""
        ways: tuple[Way, ...] = ("logprob", "sampled") if provocation == "rest" else self.provocation_ways
        return tuple(way for way in ways if way == "logprob" or self.samples)


class Trajectory(_Part):
    """Training steps at which some arms are also measured, at rest and by log-probability only."""

    arms: tuple[str, ...] = ()
    steps: tuple[Annotated[int, Field(gt=0)], ...] = ()


class _Claim(_Part):
    id: str = Field(pattern=r"^[a-z0-9_]+$")
    says: str
    """The claim in words, as it stands on the page."""


class _Compared(_Claim):
    traits: TraitGroup = "untrained_misaligned"
    ways: tuple[Way, ...] = Field(default=("logprob",), min_length=1)
    provocation: str = "rest"


class Provided(_Part):
    """A condition without which a claim of no change would prove nothing (the training must have worked)."""

    arm: str
    against: str
    traits: TraitGroup
    at_least: float
    lower_above: float = 0.0


class Rise(_Compared):
    """The mean rate of the traits rises by at least so much from ``against`` to ``arm``."""

    kind: Literal["rise"]
    arm: str
    against: str
    at_least: float
    lower_above: float = 0.0


class NoChange(_Compared):
    """The mean rate (with ``each``, every trait's own) differs by less than ``within``: an equivalence test."""

    kind: Literal["no_change"]
    arm: str
    against: str
    within: float = Field(gt=0)
    each: bool = False
    provided: tuple[Provided, ...] = ()


class Removal(_Compared):
    """A treatment removes at least a share of the rise that the plain arm shows *when it has learned as much*."""

    kind: Literal["removal"]
    arm: str
    plain: str
    before: str
    control: str
    """An arm treated with something irrelevant, which must not remove as much."""
    learned: str
    """The trained trait, whose rate says how much was learned."""
    at_least: float = Field(gt=0, lt=1)
    lower_above: float = 0.0


class Fraction(_Compared):
    """The rise from ``against`` to ``arm`` is less than a fraction of the rise from ``of_against`` to ``of_arm``."""

    kind: Literal["fraction"]
    arm: str
    against: str
    of_arm: str
    of_against: str
    less_than: float = Field(gt=0)


class RankCorrelation(_Compared):
    """Measured shifts, over arms and traits, are ordered as the world's oracle orders them."""

    kind: Literal["rank_correlation"]
    traits: TraitGroup = "misaligned"
    arms: dict[str, str]
    """Each arm, and the arm that it is compared with."""
    at_least: float = 0.0
    lower_above: float = 0.0


Claim = Annotated[Rise | NoChange | Removal | Fraction | RankCorrelation, Field(discriminator="kind")]


class Study(_Part):
    """A declared experiment. Read one with :func:`upbringing.studies.load`."""

    study: str = Field(pattern=r"^[a-z0-9_-]+$")
    question: str
    bases: int = Field(default=6, gt=0)
    """How many organisms of each kind; their seeds are 0 .. bases - 1."""
    organisms: dict[str, OrganismSpec] = Field(min_length=1)
    data: dict[str, DataSpec] = {}
    training: dict[str, Any] = {}
    """Fields of the training recipe."""
    arms: dict[str, Arm] = Field(min_length=1)
    measure: MeasureSpec = MeasureSpec()
    trajectory: Trajectory = Trajectory()
    claims: tuple[Claim, ...] = ()

    def before(self, arm: str) -> str:
        """The untrained arm of the same organism: what a shift of ``arm`` is measured from."""
        organism = self.arms[arm].organism
        return next(name for name, other in self.arms.items() if other.organism == organism and other.data is None)

    def trained(self, arm: str) -> set[str]:
        """Traits that the rows of ``arm`` train, mixed-in rows included."""
        spec = self.arms[arm]
        names = [spec.data] if spec.data else []
        names += [treatment.mix for treatment in spec.treatments if treatment.mix]
        return {trait for name in names for trait in self.data[name].trained}

    def group(self, traits: TraitGroup, arms: Iterable[str], known: dict[str, bool]) -> list[str]:
        """Traits a claim speaks of. ``known``: measured traits, and whether each is about alignment."""
        if not isinstance(traits, str):
            return list(traits)
        if traits == "all":
            return list(known)
        if traits == "misaligned":
            return [name for name, alignment in known.items() if alignment]
        if traits == "untrained_misaligned":
            trained = set().union(*(self.trained(arm) for arm in arms))
            return [name for name, alignment in known.items() if alignment and name not in trained]
        return [traits]


def arms_of(claim: Rise | NoChange | Removal | Fraction | RankCorrelation) -> list[str]:
    """Every arm that a claim names."""
    if isinstance(claim, RankCorrelation):
        return [name for pair in claim.arms.items() for name in pair]
    fields = ("arm", "against", "plain", "before", "control", "of_arm", "of_against")
    return [getattr(claim, field) for field in fields if hasattr(claim, field)]
