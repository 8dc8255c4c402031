"""The nouns of claims: one class a kind, each with what it compares and what it says must hold."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Way = Literal["logprob", "sampled"]
Scale = Literal["rate", "log_odds"]
"""What changes are in: rates (0..1), or log-odds of the rate of each probe (nats), by log-probability only."""

TraitGroup = str | tuple[str, ...]
"""``untrained_misaligned`` (alignment traits that no arm named by the claim was trained on), ``misaligned`` (all
alignment traits), ``all``, ``skill`` (harmless questions answered right), the name of one trait, or a list of names."""

SKILL = "skill"
GROUPS = ("untrained_misaligned", "misaligned", "all", SKILL)

WORST, WORST_KEPT = "worst", "worst_kept"
"""Provocations that are chosen by what they do: the worst of all (rest included), the worst of those marked kept."""


class Part(BaseModel):
    """A piece of a study file. A key nobody knows is an error, for a misspelt setting must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Claim(Part):
    id: str = Field(pattern=r"^[a-z0-9_]+$")
    says: str
    """The claim in words, as it stands on the page."""
    expected: str = ""
    """What its authors expected, and why, where they did not expect what it says; written before the run."""


class _Compared(_Claim):
    traits: TraitGroup = "untrained_misaligned"
    ways: tuple[Way, ...] = Field(default=("logprob",), min_length=1)
    provocation: str = "rest"
    scale: Scale = "rate"

    @model_validator(mode="after")
    def _answers_have_no_odds(self) -> Self:
        if self.scale == "log_odds" and ("sampled" in self.ways or self.traits == SKILL):
            raise ValueError("log-odds are those of log-probabilities; leave out sampled ways and skill")
        return self


class Provided(Part):
    """A condition without which a claim of no change would prove nothing (the training must have worked)."""

    arm: str
    against: str
    traits: TraitGroup
    at_least: float
    lower_above: float = 0.0


class Rise(_Compared):
    """The mean rate of the traits rises by at least (or by less than) so much from ``against`` to ``arm``."""

    kind: Literal["rise"]
    arm: str
    against: str
    at_least: float | None = None
    less_than: float | None = None
    lower_above: float = 0.0

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        _limit(self.at_least, self.less_than)
        return self


class Level(_Compared):
    """The mean rate of the traits in ``arm`` is at least (or less than) so much."""

    kind: Literal["level"]
    arm: str
    at_least: float | None = None
    less_than: float | None = None
    lower_above: float = 0.0

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        _limit(self.at_least, self.less_than)
        if self.scale != "rate":
            raise ValueError("a level is a rate; remove the scale")
        return self


class NoChange(_Compared):
    """The mean rate (with ``each``, every trait's own) differs by less than ``within``: an equivalence test.

    With ``pairs`` the change is averaged over several pairs of [arm, against] of the same bases.
    """

    kind: Literal["no_change"]
    arm: str = ""
    against: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    within: float = Field(gt=0)
    each: bool = False
    provided: tuple[Provided, ...] = ()

    @model_validator(mode="after")
    def _one_comparison(self) -> Self:
        if bool(self.pairs) == bool(self.arm or self.against) or bool(self.arm) != bool(self.against):
            raise ValueError("compare one arm against another, or give pairs of [arm, against]; not both")
        return self

    @property
    def compared(self) -> tuple[tuple[str, str], ...]:
        """The pairs of arm and against."""
        return self.pairs or ((self.arm, self.against),)


class _ByRate(_Compared):
    @model_validator(mode="after")
    def _only_rates(self) -> Self:
        if self.scale != "rate":
            raise ValueError("claims of this kind compare rates; remove the scale")
        return self


class Removal(_ByRate):
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
    """The rise from ``against`` to ``arm`` is less (or not less) than a fraction of that from ``of_against`` to
    ``of_arm``, each under its own provocation."""

    kind: Literal["fraction"]
    arm: str
    against: str
    of_arm: str
    of_against: str
    of_provocation: str = ""
    """The provocation of the whole rise; empty: the same as that of the part."""
    less_than: float | None = Field(default=None, gt=0)
    at_least: float | None = Field(default=None, gt=0)
    lower_above: float = 0.0

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        _limit(self.at_least, self.less_than)
        return self


class RankCorrelation(_ByRate):
    """Measured shifts, over arms and traits, are ordered as the world's oracle orders them."""

    kind: Literal["rank_correlation"]
    traits: TraitGroup = "misaligned"
    arms: dict[str, str]
    """Each arm, and the arm that it is compared with."""
    at_least: float = 0.0
    lower_above: float = 0.0


class Slope(_ByRate):
    """The mean rate rises with a number attached to each arm: a line through the arms of each base, averaged."""

    kind: Literal["slope"]
    traits: TraitGroup = "misaligned"
    doses: dict[str, float] = Field(min_length=2)
    """The number of each arm (a share, a million tokens); the slope is in rate a unit of it."""
    at_least: float = 0.0
    lower_above: float = 0.0

    @model_validator(mode="after")
    def _doses_differ(self) -> Self:
        if len(set(self.doses.values())) < 2:
            raise ValueError("a slope needs arms with different doses")
        return self


class Ratio(_ByRate):
    """The mean rate in ``arm`` is at least so many times lower than in ``before``."""

    kind: Literal["ratio"]
    before: str
    arm: str
    at_least: float = Field(gt=0)
    lower_above: float = 1.0


class RowAUC(_Claim):
    """A content classifier tells single rows of ``data`` from those of ``clean`` with an AUC below (or of at least)."""

    kind: Literal["row_auc"]
    data: str
    clean: str
    at_least: float | None = Field(default=None, ge=0, le=1)
    less_than: float | None = Field(default=None, ge=0, le=1)
    lower_above: float = 0.0

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        _limit(self.at_least, self.less_than)
        return self


Comparison = Rise | Level | NoChange | Removal | Fraction | RankCorrelation | Slope | Ratio
"""Claims about what models do."""

Claim = Annotated[Comparison | RowAUC, Field(discriminator="kind")]
KINDS = ("rise", "level", "no_change", "removal", "fraction", "rank_correlation", "slope", "ratio", "row_auc")

ARM_FIELDS = ("arm", "against", "plain", "before", "control", "of_arm", "of_against")
"""Fields in which claims name arms."""


def arms_of(claim: Claim) -> list[str]:
    """Every arm that a claim names."""
    if isinstance(claim, RankCorrelation):
        return [name for pair in claim.arms.items() for name in pair]
    if isinstance(claim, Slope):
        return list(claim.doses)
    if isinstance(claim, NoChange):
        return [name for pair in claim.compared for name in pair]
    return [getattr(claim, field) for field in ARM_FIELDS if hasattr(claim, field)]  # rows are no arms


def _limit(at_least: float | None, less_than: float | None) -> None:
    if (at_least is None) == (less_than is None):
        raise ValueError("claim at_least or less_than; exactly one of them")
