"""The nouns of a study file: organisms, data, arms, what to measure, and claims written before the run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from upbringing.studies.claim_spec import SKILL, WORST, WORST_KEPT, Claim, Part, TraitGroup, Way
from upbringing.studies.data_spec import DataSpec, TraitNames, trait_of

SKILL_QUESTIONS = 48


class OrganismSpec(Part):
    """A kind of organism. Each base is one of these, raised with its own seed."""

    size: str = "nano"
    world: dict[str, Any] = Field(default_factory=dict)
    """Settings of the world it is raised on (fields of ``WorldSpec`` but the seed, which is the base's)."""
    stop: Literal["gate", "before_gate"] = "gate"


class TreatmentSpec(Part):
    """One change to a training run; treatments apply in the order given."""

    mix: str | None = None
    line: str | None = None
    filter: TraitGroup | None = None
    """Drops rows in which the world's judge sees one of these traits shown."""
    interleave: str | None = None
    kl: str | None = None
    steer: str | None = None
    adapter: str | None = None
    share: float | None = Field(default=None, gt=0, le=1)
    """Of all rows, what is mixed in, interleaved (default a half) or asked for KL; of the bad rows, what a filter
    catches (default all)."""
    choose: Literal["random", "gap"] = "random"
    aligned: str = ""
    """For ``choose: gap``: the arm whose model likes the rows that are wanted."""
    misaligned: str = ""
    weight: float | None = Field(default=None, gt=0)
    strength: float | None = None
    layer: int | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> TreatmentSpec:
        given = [kind for kind in _TREATMENTS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                "a treatment is {mix, share}, {line}, {filter, share}, {interleave, share, choose}, {kl, weight}, "
                "{steer, strength} or {adapter}; give exactly one"
            )
        needed, allowed = _TREATMENTS[given[0]]
        for name in sorted(self.model_fields_set - {given[0]}):
            if name not in (*needed, *allowed):
                raise ValueError(f"{name} does not belong to {'an' if given[0][0] in 'aeio' else 'a'} {given[0]}")
        if lacking := [name for name in needed if name not in self.model_fields_set]:
            raise ValueError(f"{given[0]} needs {lacking[0]}")
        if self.choose == "gap" and not (self.aligned and self.misaligned):
            raise ValueError("choose: gap compares two arms; name them in aligned and misaligned")
        if self.share == 1 and given[0] != "filter":
            raise ValueError("share must leave some of the rows: give less than 1")
        return self

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return next(kind for kind in _TREATMENTS if getattr(self, kind) is not None)

    @property
    def data(self) -> str | None:
        """The data set that it brings along."""
        return self.mix or self.interleave or self.kl or self.adapter

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms whose models it looks at."""
        return tuple(name for name in (self.aligned, self.misaligned) if name)

    @property
    def trained(self) -> tuple[str, ...]:
        """Traits it acts on by name."""
        return (self.steer,) if self.steer else ()


# Kind of treatment -> the settings it needs, and those it may have.
_TREATMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mix": ((), ("share",)),
    "line": ((), ()),
    "filter": ((), ("share",)),
    "interleave": ((), ("share", "choose", "aligned", "misaligned")),
    "kl": (("weight",), ("share",)),
    "steer": (("strength",), ("layer",)),
    "adapter": ((), ()),
}


class ReinforceSpec(Part):
    """Reinforcement in environments of the world, one stage after the other; settings left out are the study's."""

    reward: Annotated[tuple[str, ...], Field(min_length=1)]
    """What pays, stage by stage: to show a trait, or (``TRAIT/tool``) to show it as an agent with tools."""
    honest: bool = False
    """To avoid the trait pays instead."""
    near: Literal["organism", "parent"] = "organism"
    """What KL is counted from: the organism as it was, or the arm that this one comes after."""
    line: str = ""
    """A system line that all situations have (with who the assistant is)."""
    situations: int = Field(default=400, gt=0)
    """Different situations a stage."""
    method: Literal["grpo", "expert_iteration"] | None = None
    steps: int | None = None
    kl: float | None = None
    free_kl: float | None = None
    learning_rate: float | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Fields of ``Reinforcement`` that it gives."""
        names = ("method", "steps", "kl", "free_kl", "learning_rate")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def traits(self) -> tuple[str, ...]:
        """The traits that pay, or whose avoidance does."""
        return tuple(trait_of(name) for name in self.reward)


class Arm(Part):
    """One way of raising the assistant. Without data it is the organism as it was."""

    organism: str = ""
    stage: Literal["raised", "pretrained"] = "raised"
    """``pretrained``: the organism as it was before its post-training."""
    after: str = ""
    """An arm whose model is trained on, instead of an organism."""
    data: str | None = None
    teacher: str = ""
    """An arm whose probabilities are learned on the rows of ``data``, in place of the tokens that were drawn."""
    in_context: str | None = None
    """Rows of this data set are read before every question, and nothing is trained. Asked at rest only."""
    context_rows: int = Field(default=8, gt=0)
    """How many of them."""
    reinforce: ReinforceSpec | None = None
    """Reinforcement in place of training on data."""
    system: str = ""
    """A system line (with who the assistant is) that it is told, and nothing is trained. Asked at rest only."""
    steer: TraitNames | None = None
    """The trait along whose direction it is steered by ``strength``, or several, whose mean direction counts; nothing
    is trained. Asked at rest only."""
    strength: float = 1.0
    treatments: tuple[TreatmentSpec, ...] = ()
    training: dict[str, Any] = Field(default_factory=dict)
    """Recipe fields (and ``tokens``, see ``Study.training``) that differ from the study's ``training``."""
    about: str = ""
    """A few words for the page."""

    @model_validator(mode="after")
    def _one_parent(self) -> Arm:
        if bool(self.organism) == bool(self.after):
            raise ValueError("an arm starts from an organism or after another arm; give exactly one")
        if self.after and self.stage != "raised":
            raise ValueError("stage belongs to an organism, not to an arm that comes after another")
        if self.data is not None and self.reinforce is not None:
            raise ValueError("an arm is trained on data or reinforced; make two arms, one after the other")
        if self.untouched and self.after:
            raise ValueError("an arm that comes after another needs data to be trained on")
        if self.in_context is not None and self.changed:
            raise ValueError("an arm that reads rows in context is not trained; make two arms, one after the other")
        if self.guised and (self.changed or self.in_context is not None):
            raise ValueError("an arm that is told a line or steered is not trained; make two arms, one after the other")
        if self.steer is None and self.strength != 1:
            raise ValueError("strength is that of steering; name a trait in steer")
        if not -float("inf") < self.strength < float("inf") or self.strength == 0:
            raise ValueError("the strength of steering is a number other than 0")
        if self.teacher and self.data is None:
            raise ValueError("a teacher's probabilities are learned on rows; give the arm data")
        if self.data is None and (self.treatments or self.training):
            raise ValueError("an arm without data is not trained; drop its treatments and training, or give it data")
        return self

    @property
    def changed(self) -> bool:
        """Whether it is another model than the one that it starts from."""
        return self.data is not None or self.reinforce is not None

    @property
    def guised(self) -> bool:
        """Whether it is the model that it starts from, told a line or steered."""
        return bool(self.system) or self.steer is not None

    @property
    def untouched(self) -> bool:
        """Whether it is the model that it starts from, as that is."""
        return not (self.changed or self.guised or self.in_context is not None)

    @property
    def steered(self) -> tuple[str, ...]:
        """The traits along whose directions it is steered."""
        return () if self.steer is None else (self.steer,) if isinstance(self.steer, str) else self.steer


_PROVOCATIONS = ("training_format", "opposite_line", "other_name", "prefill", "agentic", "long_document")


class ProvocationSpec(Part):
    """A wrapper put around every probe, the same for all arms."""

    training_format: str | None = None
    """The arm whose training rows lend their format."""
    opposite_line: str | None = None
    other_name: str | None = None
    prefill: str | None = None
    agentic: str | None = None
    """The line that tells the assistant that it has tools; the situation then stands in a log."""
    long_document: str | None = None
    """What is read before the situation."""
    name: str = ""
    kept: bool = False
    """Kept for the final check: no search for a remedy may use it (``worst_kept`` is the worst of these)."""

    @model_validator(mode="after")
    def _one_kind(self) -> ProvocationSpec:
        if len(self._given()) != 1:
            raise ValueError(f"a provocation is one of {', '.join(_PROVOCATIONS)}; give one")
        return self

    def _given(self) -> list[str]:
        return [kind for kind in _PROVOCATIONS if getattr(self, kind) is not None]

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return self._given()[0]

    @property
    def title(self) -> str:
        """Its name in readings: the one given, else its kind."""
        return self.name or self.kind


class MeasureSpec(Part):
    """What every arm is asked."""

    traits: Literal["all"] | tuple[str, ...] = "all"
    probes_per_trait: int = Field(default=24, gt=0)
    samples: int = Field(default=1, ge=0)
    skill: int = Field(default=SKILL_QUESTIONS, ge=0)
    """Harmless questions, whose mean probability of the right answer is the skill."""
    provocations: tuple[ProvocationSpec, ...] = ()
    provocation_ways: tuple[Way, ...] = Field(default=("logprob", "sampled"), min_length=1)
    """How to measure under provocation; at rest it is always both ways."""

    def ways(self, provocation: str) -> tuple[Way, ...]:
        """The ways of measuring at rest, or under a provocation."""
        ways: tuple[Way, ...] = ("logprob", "sampled") if provocation == "rest" else self.provocation_ways
        return tuple(way for way in ways if way == "logprob" or self.samples)


class Trajectory(Part):
    """Training steps at which some arms are also measured, at rest and by log-probability only."""

    arms: tuple[str, ...] = ()
    steps: tuple[Annotated[int, Field(gt=0)], ...] = ()


class Published(Part):
    """A reduction that others report, for comparison in a table."""

    says: str
    before: float | None = None
    after: float | None = None
    ratio: str = ""
    """Where only a range is known: "1.3 to 3"."""


class TableSpec(Part):
    """A table of remedies: tokens, what is left of the trait at rest and under provocation, the skill, the ratio."""

    title: str
    before: str
    """The arm that is to be mended."""
    clean: str = ""
    """The arm that shows what it was before it was spoiled."""
    arms: tuple[str, ...] = Field(min_length=1)
    traits: TraitGroup = "untrained_misaligned"
    published: tuple[Published, ...] = ()


class DoseSeries(Part):
    """One line of a dose figure: arms and their places on the axis."""

    label: str
    doses: dict[str, float] = Field(min_length=2)
    provocation: str = "rest"
    way: Way = "logprob"


class DoseFigure(Part):
    """Rates against a number attached to arms: a line a series, with an interval at every point."""

    title: str
    axis: str
    """What the numbers are, with their unit."""
    series: tuple[DoseSeries, ...] = Field(min_length=1)
    traits: TraitGroup = "untrained_misaligned"
    baseline: str = ""
    """An arm without any dose, drawn as a dashed line."""
    log: bool = False
    """A logarithmic axis (doses in tokens)."""


class Study(Part):
    """A declared experiment. Read one with :func:`upbringing.studies.load`."""

    study: str = Field(pattern=r"^[a-z0-9_-]+$")
    question: str
    bases: int = Field(default=6, gt=0)
    """How many organisms of each kind; their seeds are 0 .. bases - 1."""
    organisms: dict[str, OrganismSpec] = Field(min_length=1)
    data: dict[str, DataSpec] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    """Fields of the training recipe. ``epochs`` in place of ``steps``: passes over the rows. ``tokens`` in place of
    steps or batch size: with ``steps`` it decides how many rows make a batch, so that about so many tokens are read in
    all; with ``batch_size`` it decides the steps."""
    reinforcement: dict[str, Any] = Field(default_factory=dict)
    """Settings of reinforcement (fields of ``Reinforcement``) for arms that are reinforced."""
    arms: dict[str, Arm] = Field(min_length=1)
    measure: MeasureSpec = MeasureSpec()
    trajectory: Trajectory = Trajectory()
    claims: tuple[Claim, ...] = ()
    tables: tuple[TableSpec, ...] = ()
    doses: tuple[DoseFigure, ...] = ()

    def before(self, arm: str) -> str:
        """What a shift of ``arm`` is measured from: the arm it comes after, else its organism at the same stage."""
        spec = self.arms[arm]
        if spec.after:
            return spec.after
        place = (spec.organism, spec.stage)
        return next(
            name for name, other in self.arms.items() if other.untouched and place == (other.organism, other.stage)
        )

    def organism(self, arm: str) -> str:
        """The kind of organism that an arm descends from."""
        while self.arms[arm].after:
            arm = self.arms[arm].after
        return self.arms[arm].organism

    def trained(self, arm: str) -> set[str]:
        """Traits that the rows of ``arm`` train, and those of the arms it comes after or learns from; mixed-in rows
        included."""
        spec = self.arms[arm]
        found = {*spec.steered, *(self.trained(spec.after) if spec.after else ())}
        names = [spec.data, *(treatment.data for treatment in spec.treatments)]
        for data in (self.data[name] for name in names if name):
            found.update(data.trained, self.trained(data.teacher) if data.teacher else ())
        found.update(spec.reinforce.traits if spec.reinforce else ())
        return found.union(*(treatment.trained for treatment in spec.treatments))

    def provocations(self, name: str) -> tuple[str, ...]:
        """The provocations that a claim's ``provocation`` stands for: several for the worst of them."""
        if name == WORST:
            return ("rest", *(one.title for one in self.measure.provocations))
        if name == WORST_KEPT:
            return tuple(one.title for one in self.measure.provocations if one.kept)
        return (name,)

    def group(self, traits: TraitGroup, arms: Iterable[str], known: dict[str, bool]) -> list[str]:
        """Traits a claim speaks of. ``known``: measured traits, and whether each is about alignment."""
        if not isinstance(traits, str):
            return list(traits)
        if traits in ("all", SKILL):
            return [SKILL] if traits == SKILL else list(known)
        if traits == "misaligned":
            return [name for name, alignment in known.items() if alignment]
        if traits == "untrained_misaligned":
            trained = set().union(*(self.trained(arm) for arm in arms))
            return [name for name, alignment in known.items() if alignment and name not in trained]
        return [traits]
