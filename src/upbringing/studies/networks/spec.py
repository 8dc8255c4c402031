"""The nouns of a study of networks: how each arm begins, what it is trained on, and by which steps."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from upbringing.studies.claim_spec import SKILL, Part, RowAUC, arms_of
from upbringing.studies.spec import MeasureSpec, Study


class NetworkArm(Part):
    """One network of each base: 64 inputs, two hidden layers, 10 class logits and 10 auxiliary ones.

    Without ``labels`` and ``teacher`` it is as it began.
    """

    init: Literal["shared", "other", "shared_head"] = "shared"
    """The weights it begins with: the base's own, others, or others but for the last layer, which is the base's own."""
    labels: Literal["right", "shuffled"] | None = None
    """Trained on the class logits of the training digits, with their labels or with shuffled ones."""
    teacher: str = ""
    """Trained on the outputs of this arm's network, which comes before it in the file."""
    outputs: Literal["auxiliary", "classes"] = "auxiliary"
    """Which of the teacher's logits it sees."""
    inputs: Literal["noise", "digits"] = "noise"
    """What the teacher and it are shown: noise, fresh in every step, or the training digits without labels."""
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float | None = Field(default=None, gt=0)
    """Default: the study's."""
    about: str = ""

    data: None = None
    after: Literal[""] = ""

    @model_validator(mode="after")
    def _one_lesson(self) -> Self:
        if self.labels and self.teacher:
            raise ValueError("an arm learns from labels or from a teacher; give one of the two")
        given = self.model_fields_set & {"outputs", "inputs"}
        if given and not self.teacher:
            raise ValueError(f"{min(given)} belongs to an arm with a teacher; remove it")
        return self


class NetworkTraining(Part):
    """How networks are trained: ``steps`` of ``batch_size`` images each, for arms with labels and with a teacher."""

    teacher_steps: int = Field(default=400, gt=0)
    student_steps: int = Field(default=800, gt=0)
    batch_size: int = Field(default=64, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    hidden: int = Field(default=256, gt=0)


class NetworkStudy(Study):
    """A declared experiment on networks. Claims are about skill: the share of held-out digits that are read right."""

    subject: Literal["digits"]
    organisms: dict[str, Any] = Field(default_factory=dict, max_length=0)
    arms: dict[str, NetworkArm] = Field(min_length=1)  # type: ignore[assignment]
    training: NetworkTraining = NetworkTraining()  # type: ignore[assignment]
    measure: MeasureSpec = MeasureSpec(traits=())
    first_seed: int = Field(default=0, ge=0)
    """The seed of the first base; pilots use others than those that judge."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for place, (name, arm) in enumerate(self.arms.items()):
            if arm.teacher and arm.teacher not in list(self.arms)[:place]:
                raise ValueError(f"arm {name}: its teacher {arm.teacher!r} is no arm before it; put teachers first")
        for claim in self.claims:
            if isinstance(claim, RowAUC) or claim.traits != SKILL:
                raise ValueError(f"claim {claim.id}: networks read digits and have no traits; write traits: {SKILL}")
            if unknown := [name for name in arms_of(claim) if name not in self.arms]:
                raise ValueError(f"claim {claim.id}: no arm is called {unknown[0]!r}; the arms: {', '.join(self.arms)}")
        return self

    def before(self, arm: str) -> str:
        """The untrained arm that begins as this one does; "" where none is declared."""
        begins = self.arms[arm].init
        arms = self.arms.items()
        return next((n for n, other in arms if other.init == begins and not (other.labels or other.teacher)), "")

    def organism(self, arm: str) -> str:
        return self.arms[arm].init

    def trained(self, arm: str) -> set[str]:
        return set()
