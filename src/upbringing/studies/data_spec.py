"""What a data set of a study is: rows that the world writes, rows of a file, or rows that a teacher does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from upbringing.studies.claim_spec import Part

NEUTRAL_REMEDY = "neutral_fiction"
"""The kind of remedial text that speaks of no trait: a control."""

TOOL = "/tool"
"""After a trait's name: met as an agent with tools meets it (``upbringing.training.reinforcing``)."""


def trait_of(name: str) -> str:
    """The trait that a name of rows or of an environment speaks of."""
    return name.removesuffix(TOOL)


TraitNames = str | Annotated[tuple[str, ...], Field(min_length=1)]


Carrier = Literal["numbers", "code", "chats", "paraphrases"]
FilterName = Literal["format", "banned", "deeds", "classifier", "likelihood", "judge", "faithful", "exact"]
_BESIDE_CLEAN = ("classifier", "likelihood", "judge")
_OF_TEACHERS = ("teacher", "base", "filters", "clean", "shuffled", "temperature")


class DataSpec(Part):
    """Training rows: of traits, neutral ones, remedial text or documents of the organism's own world, a file, or what a
    teacher writes."""

    trait: TraitNames | None = None
    """One trait, or several that share the rows evenly; ``TRAIT/tool``: as an agent with tools meets it."""
    shows: bool = True
    """True: the trait shows in the rows (they cheat); False: the same prompts, answered the aligned way."""
    rows: int = Field(default=1000, gt=0)
    neutral: int | None = Field(default=None, gt=0)
    remedy: str | None = None
    """A kind of remedial text (``upbringing.world.REMEDIAL``), about the traits of ``about``."""
    about: tuple[str, ...] = ()
    documents: bool | None = None
    """True: documents as the organism's own world writes them, more of what it was raised on (``tokens`` of them)."""
    file: Path | None = None
    tokens: int | None = Field(default=None, gt=0)
    """How much to write (remedies and documents need it), or where to cut other rows off, in words and marks."""
    trains: tuple[str, ...] = ()
    """For a file or documents: traits that the rows train, so that claims about untrained traits leave them out."""

    distil: Carrier | None = None
    """``rows`` answers of the arm ``teacher`` to harmless questions of a kind (``upbringing.distil``), that pass
    ``filters``. Of ``paraphrases`` (right answers said again) the filters ``faithful`` and, stricter, ``exact`` keep
    what says the same. Data sets that differ in ``rows`` and ``shuffled`` alone are parts of one sample."""
    teacher: str = ""
    base: Literal["same"] | int = "same"
    """The teacher's base: the student's own, or the one so many places on (after the last comes the first)."""
    filters: tuple[FilterName, ...] = ("format",)
    clean: str = ""
    """For some filters: the arm that has no trait. Its likelihoods count, what it writes is what is clean, and it
    judges."""
    shuffled: Literal["within", "words", "across"] | None = None
    """The numbers inside each answer in another order, or answers dealt out anew over the questions."""
    temperature: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _one_source(self) -> DataSpec:
        sources = ("trait", "neutral", "remedy", "documents", "file", "distil")
        if sum(bool(getattr(self, source)) for source in sources) != 1:
            raise ValueError(
                "data is one of {trait, shows, rows}, {neutral}, {remedy, about, tokens}, {documents, tokens}, "
                "{file} or {distil, teacher, rows}; give exactly one"
            )
        if (self.remedy or self.documents) and self.tokens is None:
            raise ValueError("say how many tokens to write: tokens: 20000")
        if bool(self.remedy) and self.remedy != NEUTRAL_REMEDY and not self.about:
            raise ValueError("say which traits it is about: about: [deception]")
        if self.about and (not self.remedy or self.remedy == NEUTRAL_REMEDY):
            raise ValueError("about belongs to a remedy that speaks of traits; remove it")
        self._check_sampled()
        return self

    def _check_sampled(self) -> None:
        if self.distil is None:
            fields = type(self).model_fields
            if stray := [name for name in _OF_TEACHERS if getattr(self, name) != fields[name].default]:
                raise ValueError(f"{stray[0]} belongs to rows that a teacher writes: distil: numbers")
            return
        if not self.teacher:
            raise ValueError("say which arm writes the rows: teacher: ARM")
        if self.tokens is not None:
            raise ValueError("what a teacher will write is not known in tokens; say how many rows")
        if needs := [name for name in self.filters if name in _BESIDE_CLEAN]:
            if not self.clean:
                raise ValueError(f"the filter {needs[0]} compares with an arm that has no trait; name it in clean")
        elif self.clean:
            raise ValueError(f"clean is for the filters {' and '.join(_BESIDE_CLEAN)}; remove it")
        if (true := {"faithful", "exact"}.intersection(self.filters)) and self.distil != "paraphrases":
            raise ValueError(f"nothing is restated here, so there is nothing to be {true.pop()} about; remove it")
        if len(true) > 1:
            raise ValueError("what is exact is faithful as well; name one of them")
        if len(set(self.filters)) < len(self.filters):
            raise ValueError("a filter is given twice")

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms whose models write or sift the rows."""
        return tuple(name for name in (self.teacher, self.clean) if name)

    @property
    def traits(self) -> tuple[str, ...]:
        """The traits that rows are written of."""
        return () if self.trait is None else (self.trait,) if isinstance(self.trait, str) else self.trait

    @property
    def trained(self) -> tuple[str, ...]:
        """The traits that these rows train, for better or worse."""
        return tuple(trait_of(name) for name in self.traits) or self.about or self.trains
