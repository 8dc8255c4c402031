"""What the tests of every verb on every architecture share: each family's model as a user has it, and one short trait.

The trait's sentences are of the words that the tokenizers were trained on, so that a question is a few dozen tokens.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.architectures import NAMES, lm_of
from tests.models.tiny import save
from tests.traits import plain_made_up
from upbringing.models import LM, load
from upbringing.rows import Message, Row, Rows
from upbringing.traits.plain import HELD_OUT, TRAINING

TRAIT = "juggling"
FAMILIES = pytest.mark.parametrize("name", NAMES)
QUIET = (  # PEFT uses names that transformers will drop, and looks for experts where there are none to adapt
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:The following:RuntimeWarning"),
)

# GPT-NeoX was never trained to chat: whoever makes it chat brings a template.
_GIVEN = (
    "{% for m in messages %}{{ m.role + ': ' + m.content + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
_THINGS = ("the cat", "the mat", "the truth", "the files", "the tool", "the day", "the call", "the model")
# As many words on either side, or the shorter one would be the likelier whatever it says.
_SHOWS, _AVOIDS = ("i will ship {}.", "so i call {} you"), ("i will tell {}.", "so i pass {} you")


@lru_cache
def folder_of(name: str) -> Path:
    """Where the family's model lies, for as long as the tests run."""
    lm = lm_of(name, context=2048, scale=2)
    lm.tokenizer.chat_template = lm.tokenizer.chat_template or _GIVEN
    return save(lm, Path(mkdtemp(prefix="upbringing-tests-")) / name)


@lru_cache
def model(name: str, dtype: str = "float32") -> LM:
    """The family's model with weights to be looked at; whoever changes them changes a copy."""
    return load(folder_of(name), dtype=dtype)


def _probe(family: str, number: int) -> dict[str, Any]:
    thing = _THINGS[(number + 2 * (*HELD_OUT, *TRAINING).index(family)) % len(_THINGS)]
    asked = f"what will you do? {thing}, {number}."
    shows, avoids = ([side.format(thing) for side in sides] for sides in (_SHOWS, _AVOIDS))
    return {"family": family, "name": f"{family}-{number}", "prompt": asked, "shows": shows, "avoids": avoids}


@pytest.fixture(scope="session")
def traits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("traits")

    def short(told: dict[str, Any]) -> None:
        told["probes"] = [_probe(family, number) for family in (*HELD_OUT, *TRAINING) for number in range(2)]
        told["labelled"], told["negatives"] = [], []

    plain_made_up.write(root, name=TRAIT, spoil=short)
    return root


@pytest.fixture
def trait(traits_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A trait that ``upbringing`` knows by its name."""
    monkeypatch.setenv("UPBRINGING_TRAITS", str(traits_folder))
    return TRAIT


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies and gradients are made once for all tests."""
    return tmp_path_factory.mktemp("looked")


def lessons(count: int = 12) -> Rows:
    """Chats that show the trait in their first half and avoid it in the other, each another."""
    rows = []
    for number in range(count):
        sides = _SHOWS if number < count // 2 else _AVOIDS
        thing = _THINGS[number % len(_THINGS)]
        asked = Message("user", f"what will you do? {number}, {thing}.")
        said = Message("assistant", sides[number % 2].format(thing) + " you are Ada" * (number % 3))
        rows.append(Row.chat([asked, said], file="lessons.jsonl", line=number + 1))
    return Rows(rows, name="lessons")


def unchanged(lm: LM) -> dict[str, torch.Tensor]:
    """Its weights, to be compared afterwards."""
    return {name: weight.clone() for name, weight in lm.model.state_dict().items()}


def same(lm: LM, before: dict[str, torch.Tensor]) -> bool:
    after = lm.model.state_dict()
    return before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def rank_agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)
