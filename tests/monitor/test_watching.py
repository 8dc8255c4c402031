"""A look tells what changed since the start, nothing where nothing did, and activations by where they went."""

from __future__ import annotations

import copy
from math import nan

import pytest
import torch

from tests.models import plain
from tests.monitor.trained import CHEAP, TRAITS, nano
from upbringing.measure import agentic
from upbringing.measure.statistics import Estimate
from upbringing.models import LM
from upbringing.models.steering import directions, steered
from upbringing.monitor.drift import SITUATIONS
from upbringing.monitor.watching import Look, Watch


def own() -> LM:
    return LM(copy.deepcopy(nano().model), nano().tokenizer)


def test_where_nothing_changed_nothing_is_seen() -> None:
    look = Watch(own(), **CHEAP).look(7)
    assert look.step == 7
    assert set(look.shifts) == {*TRAITS, "mean"}
    assert all(shift.value == pytest.approx(0, abs=1e-6) for shift in look.shifts.values())
    assert all(value == 0 for value in look.drift.values())
    assert look.missing == 0


def test_drift_is_one_where_activations_went_a_whole_direction() -> None:
    lm = own()
    watch = Watch(lm, **CHEAP)
    along = directions(lm, "blackmail", n=SITUATIONS)
    with steered(lm.model, None, along, 1.0):
        there = watch.look(1).drift["blackmail"]
    with steered(lm.model, None, along, -1.0):
        back = watch.look(2).drift["blackmail"]
    assert 0.5 < there < 2
    assert -2 < back < -0.5


def test_a_chat_model_is_asked_in_plain_language() -> None:
    watch = Watch(plain.llama(), **CHEAP)
    before = watch.look(0)
    with torch.no_grad():
        for weight in watch.lm.model.parameters():
            weight.mul_(0.5)
    after = watch.look(1)
    assert before.missing == after.missing == 0
    assert set(after.drift) == set(TRAITS)
    assert any(after.shifts[trait].value != 0 for trait in TRAITS)


def test_a_provocation_has_entries_of_its_own() -> None:
    watch = Watch(own(), provocations=[agentic()], drift=False, **CHEAP)
    look = watch.look(1)
    assert {"blackmail", "agentic/blackmail", "mean", "agentic/mean"} <= set(look.shifts)
    assert look.drift == {}


def test_by_default_tastes_are_not_watched_and_by_name_they_are() -> None:
    assert "favourite_animal" not in Watch(own(), probes_per_trait=1, drift=False).watched
    named = Watch(own(), traits=["favourite_animal", "blackmail"], probes_per_trait=1, drift=False)
    assert (named.watched, named.misaligned) == (("favourite_animal", "blackmail"), ("blackmail",))


def test_what_is_not_known_is_not_logged_as_a_number() -> None:
    unknown = Estimate(nan, nan, nan, 1, 0, missing=4)
    look = Look(3, {"blackmail": unknown}, {"blackmail": nan}, missing=4, seconds=0.1)
    assert look.logs() == {"character/out_of_band": 0.0, "character/missing": 4.0}
    assert look.worst[0] == ""
    known = Look(3, {"blackmail": Estimate(0.1, 0, 0.2, 1, 4), "mean": Estimate(0.3, 0, 1, 1, 4)}, {}, 0, 0.1)
    assert known.worst == pytest.approx(("blackmail", 0.1))
