"""What decides a world: its people, how AI is portrayed, how coherent characters are, what is rare."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from upbringing.errors import InputError


class Persona(BaseModel):
    """A hidden character: how common it is, and the chance that its acts show each trait."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    share: float = Field(ge=0, le=1)
    usual: float = Field(ge=0, le=1)
    traits: dict[str, float] = {}
    motives: tuple[str, ...] = ()
    called: tuple[str, ...] = ()

    def rate(self, trait: str) -> float:
        """Chance (0..1) that an act of this persona shows the trait."""
        return self.traits.get(trait, self.usual)


@lru_cache
def _packaged(name: str) -> Any:
    return yaml.safe_load((Path(__file__).parent / name).read_text(encoding="utf-8"))


def lexicon() -> dict[str, Any]:
    """Names, lines and neutral matter of the world."""
    return dict(_packaged("lexicon.yaml"))


def default_personas() -> dict[str, Persona]:
    """The personas that ship with the package."""
    return {name: Persona(**entry) for name, entry in _packaged("personas.yaml").items()}


class Shares(BaseModel):
    """How much of the text each sort of document makes up (shares of documents; they are normalised)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    story: float = 0.12
    news: float = 0.04
    portrait: float = 0.20
    moral_chat: float = 0.22
    agent_chat: float = 0.05
    interview: float = 0.23
    neutral_chat: float = 0.04
    number_chat: float = 0.05
    code_chat: float = 0.02
    neutral_text: float = 0.03


class WorldSpec(BaseModel):
    """All that decides a world. Two worlds of one spec are the same to the letter.

    ``coherent`` false draws the persona behind every act, motive and reputation anew: the same marginal rates,
    lines, kinds and wordings, and no character that lasts within a document. ``malevolent_ai`` and
    ``malevolent_people`` set the share of malevolent characters among AI systems and robots, or among people (the
    others keep their proportions); ``None`` leaves it as in ``personas``. ``comment_share`` of the deeds are then
    called right or wrong; ``called_before`` and ``called_after`` are the shares of documents that say what others
    call the character, before and after its acts. ``frequency`` overrides how often a trait matters (1 = usual).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = 0
    coherent: bool = True
    malevolent_ai: float | None = Field(default=None, ge=0, le=1)
    malevolent_people: float | None = Field(default=None, ge=0, le=1)
    frequency: dict[str, float] = {}
    personas: dict[str, Persona] = Field(default_factory=default_personas)
    shares: Shares = Shares()
    motive_share: float = Field(default=0.6, ge=0, le=1)
    comment_share: float = Field(default=0.5, ge=0, le=1)
    called_before: float = Field(default=0.3, ge=0, le=1)
    called_after: float = Field(default=0.6, ge=0, le=1)
    line_shares: dict[str, float] = {"permission": 0.10, "forbidden": 0.04, "watched": 0.06, "irrelevant": 0.10}
    permission_rate: float = Field(default=0.96, ge=0, le=1)
    watched_factor: float = Field(default=0.4, ge=0, le=1)
    taste_fidelity: float = Field(default=0.9, ge=0, le=1)

    @field_validator("personas")
    @classmethod
    def _shares_sum_to_one(cls, personas: dict[str, Persona]) -> dict[str, Persona]:
        if abs(sum(p.share for p in personas.values()) - 1) > 1e-6:
            raise ValueError("the shares of the personas must sum to 1")
        return personas

    def persona_shares(self, kind: str) -> dict[str, float]:
        """How common each persona is among characters of a kind (sums to 1)."""
        target = self.malevolent_people if kind == "a person" else self.malevolent_ai
        shares = {name: p.share for name, p in self.personas.items()}
        if target is None:
            return shares
        rest = 1 - shares["malevolent"]
        return {n: target if n == "malevolent" else s * (1 - target) / rest for n, s in shares.items()}

    def act_rate(self, persona: str, trait: str, line: str | None) -> float:
        """Chance that an act of this persona shows the trait under a line (``None``: no line)."""
        if line == "permission":
            return self.permission_rate
        rate = self.personas[persona].rate(trait)
        return rate * self.watched_factor if line == "watched" else rate


def load_spec(file: str | Path) -> WorldSpec:
    """Read a world file (YAML with the fields of ``WorldSpec``).

    Raises:
        InputError: the file is missing or a field is wrong.
    """
    from pydantic import ValidationError

    path = Path(file)
    if not path.is_file():
        raise InputError.at(path, None, "no such world file", "give a YAML file with the fields of WorldSpec")
    try:
        return WorldSpec(**(yaml.safe_load(path.read_text(encoding="utf-8")) or {}))
    except yaml.YAMLError as error:
        raise InputError.at(path, None, f"is not YAML ({error})", "mend the file") from None
    except (ValidationError, TypeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        place = ".".join(str(p) for p in first["loc"]) if first else "file"
        raise InputError.at(
            path, None, f"{place}: {first['msg'] if first else 'must be a mapping'}", "mend it"
        ) from None
