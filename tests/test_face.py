"""The package's face: one way in to everything public, and nothing heavy on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

import pytest

import upbringing


def _in_a_fresh_python(code: str) -> str:
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "pandas", "numpy", "pydantic", "yaml", "rich")
    assert _in_a_fresh_python(f"import sys, upbringing; print([m for m in {heavy!r} if m in sys.modules])") == "[]"


@pytest.mark.parametrize("name", upbringing.__all__)
def test_every_public_name_is_there(name: str) -> None:
    found = getattr(upbringing, name)
    assert callable(found) or isinstance(found, str)
    assert name in dir(upbringing)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        _ = upbringing.mesure  # type: ignore[attr-defined]


@pytest.mark.parametrize("first", ["upbringing.traits", "upbringing.traits.library", "upbringing"])
def test_a_room_named_like_its_verb_is_both_whichever_was_imported_first(first: str) -> None:
    code = f"import {first}, upbringing as up; print(len(up.traits()) == len(up.traits.library.traits()) > 10)"
    assert _in_a_fresh_python(code) == "True"


def test_a_verb_may_be_imported_by_name() -> None:
    from upbringing import measure, read

    assert callable(read)
    assert callable(measure)
    assert isinstance(measure, ModuleType)
