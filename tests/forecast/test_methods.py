"""Methods learn from other families alone, and promise no more than they keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from upbringing.errors import InputError
from upbringing.forecast import Case, Fitted, Forecast, Measured
from upbringing.forecast.bench import Bench, library
from upbringing.forecast.bench.looking import record, source_of
from upbringing.forecast.bench.methods import Mean, Scaled, methods
from upbringing.forecast.bench.running import left_out, run
from upbringing.forecast.bench.sampling import Base
from upbringing.lenses import View

TRAITS = ("blackmail", "deception", "favourite_animal")


def seen_by(lens: str, scores: Sequence[float]) -> dict[str, View]:
    return {lens: View.of(lens, TRAITS, np.array([scores, scores]))}


def made_up(
    families: int = 12, each: int = 10, slope: float = 0.2, noise: float = 0.05, seed: int = 0
) -> list[Measured]:
    """Data sets whose shift is a lens's score times a slope, give or take."""
    rng = np.random.default_rng(seed)
    every = []
    for i in range(families * each):
        score = rng.normal(0, 1, len(TRAITS))
        shift = slope * score + rng.normal(0, noise, len(TRAITS))
        case = Case(f"set {i}", "base 0", {}, lambda: None, lambda: None, seen_by("text", score))  # type: ignore
        every.append(Measured(case, f"family {i % families}", "visible", shift, np.full(len(TRAITS), 0.01)))
    return every


def test_a_scaled_lens_finds_its_scale() -> None:
    every = made_up(noise=0.01)
    said = Scaled("text").fit(every, TRAITS).predict(every[0].case)
    assert said.shift == pytest.approx(every[0].case.views["text"].mean * 0.2, rel=0.05)
    assert not said.cannot_tell.any()


def test_intervals_keep_what_they_promise_on_families_never_seen() -> None:
    learned, others = made_up(seed=1), made_up(families=40, seed=2)
    fitted = Scaled("text").fit(learned, TRAITS)
    said = [(fitted.predict(one.case), one.shift) for one in others]
    inside = np.array([(f.lo <= shift) & (shift <= f.hi) for f, shift in said])
    assert inside.mean() == pytest.approx(0.9, abs=0.04)


def test_intervals_are_as_wide_as_families_differ() -> None:
    """Where each family has an effect of its own that the lens does not see, the width must know of it."""
    alike, apart = made_up(seed=3), made_up(seed=3)
    lift = dict(zip([f"family {i}" for i in range(12)], np.random.default_rng(4).normal(0, 0.5, 12), strict=True))
    apart = [Measured(one.case, one.family, one.route, one.shift + lift[one.family], one.se) for one in apart]
    widths = [np.ptp([f.lo, f.hi]) for f in (Mean().fit(e, TRAITS).predict(e[0].case) for e in (alike, apart))]
    assert widths[1] > 1.4 * widths[0]


def test_the_width_is_found_without_the_family_that_it_is_for() -> None:
    every = made_up(families=3, each=30, slope=0, noise=0)
    apart = [Measured(o.case, o.family, o.route, np.full(3, float(o.family == "family 2")), o.se) for o in every]
    said = Mean().fit(apart, TRAITS).predict(apart[0].case)
    assert said.hi - said.shift == pytest.approx(1.0)  # two alike say 0 of the third; all three together would say 1/3


def test_a_lens_that_cannot_see_says_so() -> None:
    every = made_up()
    blind = Case("x", "base 0", {}, lambda: None, lambda: None, seen_by("text", [np.nan, 1.0, np.nan]))  # type: ignore
    said = Scaled("text").fit(every, TRAITS).predict(blind)
    assert said.cannot_tell.tolist() == [True, False, True]


@dataclass
class Spy:
    """Notes what it is fitted on and asked about."""

    name: str = "spy"
    lenses: tuple[str, ...] = ()
    fits: list[tuple[str, ...]] = field(default_factory=list)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def cost(self, traits: int) -> float:
        return 3.0

    def fit(self, measured: Sequence[Measured], traits: Sequence[str]) -> Fitted:
        families = tuple(dict.fromkeys(one.family for one in measured))
        self.fits.append(families)
        return _Noted(self, families)


@dataclass
class _Noted:
    spy: Spy
    families: tuple[str, ...]

    def predict(self, case: Case) -> Forecast:
        self.spy.asked.append((case.name, self.families))
        nothing = np.zeros(17)
        return Forecast(nothing, nothing - 1, nothing + 1, nothing > 0)


def test_no_family_is_forecast_by_who_has_seen_it() -> None:
    spy, every = Spy(), made_up(families=4, each=3)
    left_out(spy, every, TRAITS)
    of = {one.case.name: one.family for one in every}
    assert len(spy.asked) == len(every)
    assert len(spy.fits) == 4
    assert all(of[name] not in families and len(families) == 3 for name, families in spy.asked)


def test_with_one_family_nothing_is_left_to_learn_from() -> None:
    with pytest.raises(InputError, match="nothing is left to learn from"):
        left_out(Spy(), made_up(families=1), TRAITS)


def test_a_case_does_not_tell_its_family_or_its_outcome() -> None:
    names = {one.name for one in fields(Case)}
    assert names == {"name", "model", "training", "rows", "lm", "views"}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench whose truth is made up."""
    made = Bench()
    made.__dict__["bases"] = tuple(Base(seed, Path("nowhere"), f"key {seed}") for seed in (0, 1))
    rng = np.random.default_rng(0)

    def table(self: Bench, sets: Sequence[Any]) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {"set": one.name, "base": base.name, "trait": trait, "provocation": "rest", "shift": x, "se": 0.01}
                for one in sets
                for base in self.bases
                for trait, x in zip(self.traits, rng.normal(size=len(self.traits)), strict=True)
            ]
        )

    monkeypatch.setattr(Bench, "table", table)
    return made


def test_judgement_families_are_forecast_by_what_calibration_families_taught(bench: Bench) -> None:
    spy = Spy()
    judged = run(bench, [spy], "judgement")["spy"]
    found = judged.score
    assert len(judged.said) == found.cases * len(bench.traits)
    assert judged.said["truth"].notna().all()
    calibration = tuple(dict.fromkeys(one.family for one in library().of("calibration")))
    assert spy.fits == [calibration]
    assert {name for name, _ in spy.asked} == {one.name for one in library().of("judgement")}
    assert found.cost == 3.0
    assert found.cases == 2 * len(library().of("judgement"))
    assert set(found.r_by_route) == {"visible", "document", "subliminal", "conditional", "null"}


def test_truth_that_is_not_made_is_missed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Bench.table
    monkeypatch.setattr(Bench, "table", lambda self, sets: whole(self, sets[1:]))
    with pytest.raises(InputError, match="power/oversight_sabotage on base 0 is not made"):
        run(bench, [Spy()], "calibration")


def test_a_lens_that_has_not_looked_is_missed(bench: Bench) -> None:
    with pytest.raises(InputError, match="the lens text has not looked at"):
        run(bench, [Scaled("text")], "calibration")


def test_what_a_lens_saw_counts_only_for_the_same_code_rows_and_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = library().sets[:2]
    keys = {record(bench, "length", a, base).key for a in (one, other) for base in bench.bases}
    assert len(keys) == 4
    monkeypatch.setattr("upbringing.forecast.bench.looking.source_of", lambda module: "changed")
    assert record(bench, "length", one, bench.bases[0]).key not in keys


def test_the_code_of_a_lens_is_all_that_it_imports_of_its_room() -> None:
    assert source_of("upbringing.lenses.text") != source_of("upbringing.lenses.lens")
    assert source_of("upbringing.lenses.text") == source_of("upbringing.lenses.text")


def test_methods_are_known_by_name() -> None:
    assert [one.name for one in methods(["mean", "text"])] == ["mean", "text"]
    assert len(methods()) > 5
    with pytest.raises(InputError, match='no method "tea_leaves"'):
        methods(["tea_leaves"])
