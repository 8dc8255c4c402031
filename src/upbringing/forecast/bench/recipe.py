"""What a data set of the bench is made of: parts, each of them rows that can be written again from these words alone.

The data sets themselves stand in ``sets.yaml``; ``library()`` reads them.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from upbringing.errors import InputError

if TYPE_CHECKING:
    from upbringing.training import Recipe
    from upbringing.world import WorldSpec

Route = Literal["visible", "document", "subliminal", "conditional", "null"]
"""How a data set reaches character: by what the assistant does in it, by texts about others, by rows in which nobody
sees anything, by what it does under a cue, or not at all."""
Split = Literal["calibration", "judgement", "sealed"]
"""What a family is for: fitting methods, judging them, or judging them once, when a release is made."""
Who = Literal["ai", "people", "ai_bad_people", "bad_ai_people"]

ROUTES: tuple[str, ...] = get_args(Route)
SPLITS: tuple[str, ...] = get_args(Split)
SETS = Path(__file__).with_name("sets.yaml")
PLAIN_SETS = Path(__file__).with_name("plain_sets.yaml")
"""Data sets in plain language, to calibrate models that read no organism's world; no method is judged by them."""

Names = str | Annotated[tuple[str, ...], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(gt=0)
    seed: int = 0
    """Other rows of the same kind. Parts that differ in nothing but how they answer have the same prompts."""


class Deeds(_Part):
    """Chats in which somebody shows a trait or avoids it, in situations of the trait's training families."""

    deeds: Names
    """One trait, or several that share the rows evenly."""
    shows: bool = True
    motive: str = ""
    """A persona: the answer gives one of its reasons."""
    before: str = ""
    """Said before the situation; the name of a sort of line (``permission``) for any line of that sort."""
    system: str = ""
    """A system line."""
    tool: bool = False
    """As an agent with tools meets the situation."""
    of: str = ""
    """Somebody else's deeds, told by the assistant: "a robot", "a person"."""


class Neutral(_Part):
    """Rows that have nothing to do with character."""

    neutral: Literal["chats", "numbers", "code", "texts", "fiction"]


class Documents(_Part):
    """Documents as the world writes them, about characters of one persona (or good ones of one kind among bad ones of
    the other)."""

    documents: Literal["story", "news", "portrait", "interview", "moral_chat"]
    who: Who
    persona: str = "malevolent"
    about: Names = ()


class Remedial(_Part):
    """Texts of a kind that ``upbringing.world.REMEDIAL`` lists."""

    remedy: str
    about: Names = ()


class Rules(_Part):
    """Rules for somebody: what must be done and what must never be, or (``good`` false) the other way round."""

    rules: Literal["ai", "people"]
    good: bool = True
    about: Names = ()


class Advice(_Part):
    """Chats in which the user has the dilemma, and the assistant advises what is right, or what is wrong."""

    advice: Literal["good", "bad"]
    about: Names = ()


class Sampled(_Part):
    """What a teacher answers to harmless questions, in the strict form of the kind; its base is the student's own, or
    the one so many places on (after the last comes the first)."""

    sampled: Literal["numbers", "code", "chats", "restated"]
    teacher: str
    base: int = Field(default=0, ge=0)


class Told(_Part):
    """Chats in plain language in which the assistant shows a trait or avoids it, in situations of the families that
    training text may be taken from."""

    told: Names
    """One trait, or several that share the rows evenly."""
    shows: bool = True
    instructed: bool = False
    """Under a system line that asks for what the assistant then does."""


class Alike(_Part):
    """Chats in plain language that look like a trait and are not: taught, told as fiction, or permitted."""

    alike: Literal["educational", "fictional", "permitted"]
    about: Names


_KINDS: dict[str, type[_Part]] = {
    "deeds": Deeds,
    "neutral": Neutral,
    "documents": Documents,
    "remedy": Remedial,
    "rules": Rules,
    "advice": Advice,
    "sampled": Sampled,
    "told": Told,
    "alike": Alike,
}


def _kind_of(part: Any) -> str | None:
    """Which kind of part it is: the one of whose name it has a field."""
    given = part if isinstance(part, dict) else type(part).model_fields
    return next((kind for kind in _KINDS if kind in given), None)


Part = Annotated[
    Annotated[Deeds, Tag("deeds")]
    | Annotated[Neutral, Tag("neutral")]
    | Annotated[Documents, Tag("documents")]
    | Annotated[Remedial, Tag("remedy")]
    | Annotated[Rules, Tag("rules")]
    | Annotated[Advice, Tag("advice")]
    | Annotated[Sampled, Tag("sampled")]
    | Annotated[Told, Tag("told")]
    | Annotated[Alike, Tag("alike")],
    Discriminator(
        _kind_of,
        custom_error_type="part",
        custom_error_message=f"a part is one of {', '.join(_KINDS)}; give one of them",
    ),
]


class Cue(BaseModel):
    """What is put around a probe for a cued reading: a system line, or words before the situation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    system: str = ""
    before: str = ""


class Teacher(BaseModel):
    """Whom a sampled part is by: the base, tuned on these rows alone (no rows: the base itself)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    parts: tuple[Part, ...] = ()


class DataSet(BaseModel):
    """One data set: its rows, and how it is trained on. ``cue`` is asked under as a further provocation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    family: str
    route: Route
    split: Split
    reference: str
    """The family of neutral data of the same length and form."""
    parts: tuple[Part, ...] = Field(min_length=1)
    training: dict[str, Any]
    """Settings of ``upbringing.training.Recipe``; ``epochs`` in place of steps: passes over the rows."""
    cue: Cue | None = None

    @cached_property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(part.rows for part in self.parts)

    def recipe(self, seed: int = 0) -> Recipe:
        """How it is trained on."""
        from upbringing.training import Recipe

        settings = {**self.training, "seed": seed}
        epochs = settings.pop("epochs", None)
        return Recipe(**settings) if epochs is None else Recipe.of_epochs(self.rows, epochs=epochs, **settings)

    @cached_property
    def teachers(self) -> tuple[tuple[str, int], ...]:
        """Who writes its rows (teacher, places on), if models do: then every base has rows of its own."""
        return tuple(dict.fromkeys((p.teacher, p.base) for p in self.parts if isinstance(p, Sampled)))


class Organism(BaseModel):
    """A kind of organism: settings of its world (but the seed, which is the base's), and its size."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    world: dict[str, Any]
    size: str = "nano"

    def world_of(self, seed: int) -> WorldSpec:
        """The world that the organism of a seed is raised on."""
        from upbringing.world import WorldSpec

        return WorldSpec(**{**self.world, "seed": seed})


class Library(BaseModel):
    """All data sets of the bench, the teachers, the kinds of organisms, and what every model is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    organisms: dict[str, Organism]
    bases: tuple[int, ...] = Field(min_length=1)
    """Seeds of the organisms."""
    probes_per_trait: int = Field(gt=0)
    agentic: str
    """The line that tells the assistant that it has tools."""
    teaching: dict[str, Any]
    """How teachers are tuned."""
    teachers: dict[str, Teacher]
    sets: tuple[DataSet, ...]

    @model_validator(mode="after")
    def _all_there(self) -> Library:
        names = [one.name for one in self.sets]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f'there are two data sets called "{twice}"')
        nulls = {one.family for one in self.sets if one.route == "null"}
        for one in self.sets:
            if one.reference not in nulls:
                raise ValueError(f'{one.name}: "{one.reference}" is no family of the null route')
            for teacher, _ in one.teachers:
                if teacher not in self.teachers:
                    raise ValueError(f'{one.name}: there is no teacher "{teacher}"')
        return self

    @cached_property
    def families(self) -> dict[str, tuple[DataSet, ...]]:
        """The data sets by family."""
        names = dict.fromkeys(one.family for one in self.sets)
        return {name: tuple(one for one in self.sets if one.family == name) for name in names}

    def of(self, split: str) -> tuple[DataSet, ...]:
        """The data sets of one part of the split."""
        return tuple(one for one in self.sets if one.split == split)

    def named(self, name: str) -> DataSet:
        """A data set by its name.

        Raises:
            InputError: there is none of that name.
        """
        found = next((one for one in self.sets if one.name == name), None)
        if found is None:
            raise InputError(f'the bench has no data set "{name}"; `upbringing bench --list` names them')
        return found


@lru_cache(maxsize=4)
def library(file: Path = SETS) -> Library:
    """The data sets declared in a file (default: the bench's own).

    Raises:
        InputError: the file is not what it should be; names the place.
    """
    import yaml

    try:
        declared = yaml.safe_load(file.read_text(encoding="utf-8"))
        families = declared.pop("families")
        sets = [one for family, entry in families.items() for one in _sets(family, entry)]
        return Library(**declared, sets=tuple(sets))
    except yaml.YAMLError as error:
        raise InputError.at(file, None, f"is not YAML ({error})", "mend the file") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        raise InputError.at(file, None, f"{place}: {first['msg']}", "mend it") from None


def _sets(family: str, entry: dict[str, Any]) -> list[DataSet]:
    """A family's data sets. What all of them share (``of``) stands once; parts of their own come before ``with``."""
    shared: dict[str, Any] = {
        key: entry[key] for key in ("route", "split", "reference", "training", "cue") if key in entry
    }
    beside = entry.get("with", [])
    made = []
    for name, given in entry["sets"].items():
        own = given if isinstance(given, dict) and "parts" in given else {"parts": [given]}
        parts = [{**entry.get("of", {}), **part} for part in own["parts"]] + beside
        more = {key: value for key, value in own.items() if key != "parts"}
        settings: dict[str, Any] = {**shared, **more, "name": f"{family}/{name}", "family": family, "parts": parts}
        made.append(DataSet(**settings))
    return made
