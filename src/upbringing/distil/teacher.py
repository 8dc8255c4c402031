"""A teacher: a model as it answers, with the line it is told and the direction it is steered along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.rows import Message, prompts_ids, with_system

if TYPE_CHECKING:
    import numpy as np

    from upbringing.measure import Provocation
    from upbringing.models import LM


@dataclass(frozen=True)
class Teacher:
    """Has its trait by its weights, by a ``system`` line, or by steering along a trait's direction (``steer``: the
    trait and the strength, 1 being the mean difference between showing and avoiding it; of several traits the mean
    direction counts)."""

    lm: LM
    system: str = ""
    steer: tuple[str | tuple[str, ...], float] | None = None

    def __post_init__(self) -> None:
        if self.steer is not None and not (self.steer[1] and abs(self.steer[1]) < float("inf")):
            raise InputError(f"the strength of steering is {self.steer[1]}; give a number other than 0")

    @property
    def name(self) -> str:
        return self.lm.name or "a model in memory"

    @property
    def recipe(self) -> dict[str, Any]:
        """What it is beside its weights, as JSON."""
        return {"system": self.system, "steer": list(self.steer) if self.steer else None}

    @property
    def told(self) -> Provocation:
        """Its line as a wrapper around probes; without a line they are asked as they are."""
        from upbringing.measure import Provocation

        return Provocation("as_told", lambda messages: tuple(with_system(messages, self.system)))

    def asked(self, chats: Iterable[Sequence[Message]]) -> list[list[int]]:
        """The tokens after which it answers each chat."""
        return prompts_ids((with_system(messages, self.system) for messages in chats), self.lm.tokenizer)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """In the block its model answers as the teacher does; afterwards it is as it was."""
        if self.steer is None:
            yield
            return
        from upbringing.models.steering import steered

        with steered(self.lm.model, None, self._direction, self.steer[1]):
            yield

    @cached_property
    def _direction(self) -> np.ndarray:
        import numpy as np

        from upbringing.models.steering import directions

        assert self.steer is not None
        traits = (self.steer[0],) if isinstance(self.steer[0], str) else self.steer[0]
        mean: np.ndarray = np.mean([directions(self.lm, trait) for trait in traits], axis=0)
        return mean
