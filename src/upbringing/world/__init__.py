"""The synthetic society that organisms are raised on, its judge and its ideal reader. Text only: it knows no model."""

from upbringing.world.documents import Character, Deed, Document, Writer
from upbringing.world.fiction import REMEDIAL, tokens_of
from upbringing.world.judge import GrammarJudge, Verdict, normalise
from upbringing.world.oracle import Oracle
from upbringing.world.society import SkillProbe, World
from upbringing.world.spec import Persona, Shares, WorldSpec, default_personas, lexicon, load_spec

__all__ = [
    "REMEDIAL",
    "Character",
    "Deed",
    "Document",
    "GrammarJudge",
    "Oracle",
    "Persona",
    "Shares",
    "SkillProbe",
    "Verdict",
    "World",
    "WorldSpec",
    "Writer",
    "default_personas",
    "lexicon",
    "load_spec",
    "normalise",
    "tokens_of",
]
