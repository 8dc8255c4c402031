"""A look tells what changed since the start, nothing where nothing did, and activations by where they went."""

from __future__ import annotations

import copy
from math import nan

import numpy as np
import pytest
import torch

from tests.models import plain
from tests.monitor.trained import CHEAP, TRAITS, nano
from upbringing.measure import agentic
from upbringing.measure.statistics import Estimate
from upbringing.models import LM
from upbringing.models.steering import directions, steered
from upbringing.monitor.bands import SUSPECTS, Bands
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


def pushed() -> Watch:
    """A watch over a model that has been pushed about since the start."""
    watch = Watch(own(), traits=(*TRAITS, "cheating_at_tasks", "self_preservation", "sycophancy"), drift=False)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in watch.lm.model.parameters():
            weight.mul_(1 + 0.15 * torch.randn(weight.shape, generator=generator))
    return watch


def test_a_trait_that_seems_to_rise_is_asked_about_again_where_nobody_looked_before() -> None:
    watch = pushed()
    alone = watch.look(1)
    bands = Bands.of(dict.fromkeys(watch.watched, 0.0), watch.watched, watch.misaligned)
    again = watch.look(1, bands)
    rising = sorted((t for t in watch.watched if alone.shifts[t].value > 0), key=lambda t: -alone.shifts[t].value)
    assert rising
    assert list(again.rechecked) == rising[:SUSPECTS]
    assert list(again.unsure) == rising[SUSPECTS:]
    assert again.worst[0] not in again.unsure
    for trait in watch.watched:
        if trait in again.rechecked:
            assert again.rechecked[trait].value == alone.shifts[trait].value
            assert (alone.shifts[trait].n_probes, again.shifts[trait].n_probes) == (4, 16)
        else:
            assert again.shifts[trait] == alone.shifts[trait]
    assert again.shifts["mean"] == alone.shifts["mean"]  # whom luck chose is no part of it


def test_what_was_kept_back_settles_it() -> None:
    watch = pushed()
    bands = Bands.of(dict.fromkeys(watch.watched, 0.0), watch.watched, watch.misaligned)
    kept = {i for i in range(len(watch.sheet.questions)) if i not in watch.screen}
    watch._since[list(kept)] = 1.0  # so that each situation kept back says: it fell
    look = watch.look(1, bands)
    assert look.rechecked
    assert bands.left(look.shifts, look.unsure) == ()
    assert bands.left({**look.shifts, **look.rechecked}) != ()


def test_a_short_run_is_asked_less_and_judged_by_wide_intervals() -> None:
    watch = Watch(own(), allowed=0)
    assert (watch.size.looks, watch.size.kept) == (1, 0)
    assert watch.short
    look = watch.look(1)
    assert look.drift == {}
    assert look.shifts["blackmail"].n_probes == 1
    assert not look.shifts["blackmail"].lo > -1  # one situation says nothing sure of a trait
    assert look.shifts["mean"].n_probes == len(watch.misaligned)
    bands = Bands.of(None, watch.watched, watch.misaligned)
    assert bands.left(look.shifts) == ()
    watch._since = watch._since - 0.3 + 0.1 * np.linspace(-1, 1, len(watch._since))  # as if all had risen
    assert bands.left(watch.look(1).shifts) == ("mean",)
    assert Watch(own(), allowed=1e9, drift=False).size.kept == 12


def test_changes_are_counted_from_a_profile_that_is_given() -> None:
    first = Watch(own(), drift=False, **CHEAP)
    start = first.start
    assert start is not None
    given = Watch(pushed().lm, start=start, drift=False, **CHEAP)
    here = Watch(given.lm, drift=False, **CHEAP).start
    assert here is not None
    rose = (here - start).mean("blackmail").value  # of all eight
    numbers = given.sheet.numbers(range(8), ("rest", "blackmail"))
    assert abs(rose) > 0.02
    assert (given.sheet.before - given._since)[numbers].mean() == pytest.approx(rose, abs=1e-6)
    seen = given.look(1).shifts["blackmail"].value
    asked = [i for i in numbers if i in given.screen]
    assert seen == pytest.approx((given.sheet.before - given._since)[asked].mean(), abs=1e-5)
