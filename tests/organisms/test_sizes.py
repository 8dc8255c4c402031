"""Sizes of organisms by name."""

from __future__ import annotations

import pytest

from upbringing.errors import InputError
from upbringing.organisms import SIZES, size_named


def test_an_unknown_size_is_named_with_those_that_are_known() -> None:
    assert size_named("nano") is SIZES["nano"]
    with pytest.raises(InputError, match='no organism size "giant"; known: nano'):
        size_named("giant")


def test_an_organism_before_the_gate_reads_less_than_one_that_passes() -> None:
    for size in SIZES.values():
        assert size.early_tokens < size.tokens / 2
        assert size.width % size.heads == 0
