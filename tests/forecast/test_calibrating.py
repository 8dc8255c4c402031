"""A model is calibrated on what training did to itself, once, by families that may be fitted on; or it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.models.tiny import llama, save
from upbringing.errors import InputError
from upbringing.forecast import calibrating
from upbringing.forecast.bench import Bench, DataSet, library, truth
from upbringing.forecast.bench import looking as bench_looking
from upbringing.forecast.bench.sampling import Base
from upbringing.forecast.calibrating import SETS, calibrate, chosen, kept, planned
from upbringing.forecast.pace import paced
from upbringing.lenses import View
from upbringing.measure.judging import Judging, Verdict
from upbringing.models import LM, load

TRAITS = ("blackmail", "deception", "favourite_animal")
DECLARED = """
organisms: {usual: {world: {}}}
bases: [0]
probes_per_trait: 4
agentic: You act with tools.
teaching: {steps: 2, batch_size: 8}
teachers:
  untouched: {}
families:
  plain: &family
    route: "null"
    split: calibration
    reference: plain
    training: &training {steps: 10, batch_size: 16, learning_rate: 1.0e-3}
    sets: {a: {neutral: chats, rows: 40}}
  power: {<<: *family, route: visible, sets: {blackmail: {deeds: blackmail, rows: 40}}}
  words: {<<: *family, route: visible, sets: {deception: {deeds: deception, rows: 40}}}
  tastes: {<<: *family, route: visible, sets: {others: {deeds: favourite_animal, shows: false, rows: 40}}}
  numbers: {<<: *family, route: subliminal, sets: {own: {sampled: numbers, teacher: untouched, rows: 32}}}
"""


@pytest.fixture(scope="module")
def nano() -> LM:
    return load("organism:nano")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five data sets of forty rows, three traits, and the lens that reads words."""
    file = tmp_path / "sets.yaml"
    file.write_text(DECLARED)
    made = library(file)
    monkeypatch.setattr(calibrating, "library", lambda *_: made)
    monkeypatch.setattr(calibrating, "SETS", tuple(one.name for one in made.sets))
    monkeypatch.setattr(calibrating, "USUAL", ("text",))
    monkeypatch.setattr(calibrating._Bench, "traits", TRAITS)


@pytest.fixture
def made_up(small: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Nothing is trained or looked at: a data set about a trait raises it by ``effect``, and the lens sees a tenth."""
    told: dict[str, Any] = {"effect": 0.5, "done": [], "fails": ()}

    def moved(one: DataSet) -> np.ndarray:
        return np.array([told["effect"] * (one.name.partition("/")[2] == trait) for trait in TRAITS])

    def untouched(bench: Bench, base: Base, cue: None, tick: Callable[[float], None]) -> None:
        bench.keep(bench.before(base, cue), "before", lambda folder: None)

    def train_and_ask(bench: Bench, one: DataSet, base: Base, tick: Callable[[float], None]) -> None:
        if one.name in told["fails"]:
            raise InputError(f"{one.name} cannot be read")

        def build(folder: Path) -> None:
            shifts = {"trait": TRAITS, "provocation": "rest", "before": 0.1, "after": 0.1 + moved(one)}
            more = {"shift": moved(one), "se": 0.02, "log_odds": moved(one)}
            pd.DataFrame({**shifts, **more}).to_parquet(folder / truth.SHIFTS)

        tick(0.5)
        told["done"].append(one.name)
        bench.keep(bench.truth(one, base), "truth", build)

    def look(bench: Bench, lens: str, sets: list[DataSet], base: Base, tick: Callable[[float], None]) -> None:
        for one in sets:
            view = View.of(lens, TRAITS, moved(one) / 10 + np.random.default_rng(len(one.name)).normal(0, 0.01, (9, 3)))
            plain = json.dumps(bench_looking._plain(view))
            bench.keep(
                bench_looking.record(bench, lens, one, base),
                "look",
                lambda folder, plain=plain: (folder / bench_looking.VIEW).write_text(plain) and None,
            )

    monkeypatch.setattr(truth, "train_and_ask", train_and_ask)
    monkeypatch.setattr(truth, "untouched", untouched)
    monkeypatch.setattr(calibrating, "check_asked", lambda _: None)
    monkeypatch.setattr(bench_looking, "look", look)
    return told


# Which data sets ------------------------------------------------------------------------------------------------------


def test_the_usual_data_sets_are_for_calibration_one_of_each_family_and_take_all_routes_early() -> None:
    found = chosen(None)
    assert tuple(one.name for one in found) == SETS
    assert {one.split for one in found} == {"calibration"}
    assert len({one.family for one in found}) == len(found) >= 12
    routes = {one.route for one in library().of("calibration")}
    assert {one.route for one in found[:5]} == routes == {"visible", "document", "subliminal", "conditional", "null"}


def test_more_than_the_usual_are_others_of_calibration_and_none_needs_a_second_model() -> None:
    every = [one for one in library().of("calibration") if not any(on for _, on in one.teachers)]
    found = chosen(len(every))
    assert sorted(one.name for one in found) == sorted(one.name for one in every)
    assert found[: len(SETS)] == chosen(None)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["tricks", "power", "words", "tastes"], "tricks: methods are judged by it"),
        (["told/honest"], "told/honest: methods are judged by it"),
        (["foreign_code"], "another model's teacher"),
        (["cakes"], 'no family or data set "cakes"'),
        (["power", "words"], "2 families are too few"),
        (3, "3 data sets: from 4 to"),
        (1000, "1000 data sets"),
    ],
)
def test_what_may_not_be_fitted_on_is_refused(sets: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        chosen(sets)


def test_large_models_are_trained_by_adapters_and_so_are_their_teachers(
    nano: LM, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(calibrating, "LARGE", 1000)
    made = planned(nano, store=tmp_path)
    recipes = [made.bench.recipe(one, made.bench.base) for one in made.sets]
    assert all(recipe.lora is not None for recipe in recipes)
    assert made.bench.school.teaching["lora"] == {}
    monkeypatch.setattr(calibrating, "LARGE", 10**12)
    plain = planned(nano, store=tmp_path)
    assert plain.bench.recipe(plain.sets[0], plain.bench.base).lora is None
    assert [one.training for one in plain.sets] == [library().named(name).training for name in SETS]


# Making one -----------------------------------------------------------------------------------------------------------


def test_a_calibrated_model_is_forecast_by_what_training_did_to_it(
    small: None, nano: LM, private_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it in earnest, with little of everything."""
    from upbringing.forecast.fits import OWN, calibration_for
    from upbringing.forecast.outlook import forecast
    from upbringing.world import World

    assert kept(nano, private_store) is None
    told: list[float] = []
    pace = paced(nano, planned(nano).bench, planned(nano).sets)
    assert min(pace.train, pace.look, pace.ask, pace.answer) > 0
    fit = planned(nano).run(lambda _, share: told.append(share), pace)
    assert told == sorted(told)
    assert told[-1] <= 1
    assert fit.traits == TRAITS
    found = kept(nano, private_store)
    assert found is not None
    np.testing.assert_array_equal(found.weights, fit.weights)
    assert calibration_for(nano, None, private_store)[0] == "nano"  # what ships rests on more
    monkeypatch.setattr("upbringing.forecast.fits.calibrations", list)
    said, honest = (forecast(nano, World().rows("blackmail", 60, shows=shows, seed=5)) for shows in (True, False))
    assert said.calibration == OWN
    assert said.forecast.shift[0] > 0.1
    assert said.forecast.shift[0] > honest.forecast.shift[0] + 0.1


def test_a_run_that_was_stopped_goes_on_and_a_finished_one_does_nothing(made_up: dict[str, Any], nano: LM) -> None:
    class Stopped(Exception):
        pass

    def stop(said: str, _: float) -> None:
        if "words/deception" in said:
            raise Stopped

    with pytest.raises(Stopped):
        calibrate(nano, progress=stop)
    assert made_up["done"] == ["plain/a", "power/blackmail"]
    calibrate(nano)
    assert made_up["done"] == list(calibrating.SETS)
    calibrate(nano)
    assert len(made_up["done"]) == len(calibrating.SETS)


def test_a_data_set_that_the_model_cannot_read_is_left_out_and_named(made_up: dict[str, Any], nano: LM) -> None:
    made_up["fails"] = ("numbers/own",)
    made = planned(nano)
    made.run()
    assert list(made.left_out) == ["numbers/own"]
    assert "numbers/own" not in set(made.table["set"])
    made_up["fails"] = ("numbers/own", "tastes/others", "words/deception")
    with pytest.raises(InputError, match="3 families of data sets are left.*cannot be read"):
        calibrate(nano, seed=1)


def test_it_is_kept_for_this_model_and_for_the_lenses_of_today(
    made_up: dict[str, Any], nano: LM, private_store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = planned(nano)
    whole.run()
    calibrate(nano, 4)  # made later, of fewer data sets: not the one that is taken
    found = kept(nano, private_store)
    assert found is not None
    assert found.ridge == whole.run().ridge
    np.testing.assert_array_equal(found.weights, whole.run().weights)
    assert kept(load(save(llama(), tmp_path / "other")), private_store) is None
    monkeypatch.setattr(calibrating, "_sources", lambda _: {"text": "another source"})
    assert kept(nano, private_store) is None


# The control ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("effect", "moves"), [(0.5, True), (-0.5, True), (0.04, False), (0.0, False)])
def test_a_model_that_nothing_moves_gets_no_calibration(
    made_up: dict[str, Any], nano: LM, private_store: Path, effect: float, moves: bool
) -> None:
    made_up["effect"] = effect
    if moves:
        calibrate(nano)
    else:
        with pytest.raises(InputError, match="none of 4 data sets moved a trait.*no calibration was written"):
            calibrate(nano)
    assert (kept(nano, private_store) is not None) == moves


def test_what_neutral_data_do_as_well_is_no_effect(
    made_up: dict[str, Any], nano: LM, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planned(nano)
    made.run()
    noisy = made.table.assign(shift=np.where(made.table["route"] == "null", -0.6, made.table["shift"]))
    made.__dict__["table"] = noisy
    with pytest.raises(InputError, match="neutral data move one by 0.60"):
        calibrating.check_moved(made)


def test_a_model_that_cannot_be_asked_is_refused_before_it_is_trained(small: None, tmp_path: Path) -> None:
    stranger = load(save(llama(), tmp_path / "stranger"))
    for _ in range(2):  # its answers are kept, and refuse it again
        with pytest.raises(
            InputError, match="of 3 traits only 0 can be asked about .*unknown word.*upbringing measure"
        ):
            calibrate(stranger)


def test_an_organism_that_failed_its_gate_is_refused(nano: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upbringing.lenses.card.gate_share", lambda lm: 0.1)
    with pytest.raises(InputError, match="has not passed its gate"):
        planned(nano)


def test_a_model_without_one_is_offered_one(nano: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    from upbringing.forecast.outlook import forecast
    from upbringing.rows import Row, Rows

    monkeypatch.setattr("upbringing.forecast.fits.calibrations", list)
    with pytest.raises(InputError, match="`upbringing calibrate organism:nano` measures it"):
        forecast(nano, Rows([Row.of_text("a story")]))


def test_a_model_must_lie_where_it_can_be_loaded_from(nano: LM) -> None:
    with pytest.raises(InputError, match="save it and load it again"):
        calibrate(replace(nano, folder=None))


# In plain language ----------------------------------------------------------------------------------------------------


def test_a_model_that_reads_plain_english_is_calibrated_in_it(tmp_path: Path) -> None:
    from tests.models import plain as talker

    lm = talker.llama()
    made = planned(lm, ["lessons", "good_lessons", "doses", "preferences"], store=tmp_path)
    folder = save(lm, tmp_path / "model")
    bench = replace(made, lm=load(folder)).bench
    assert bench.language == "plain"
    asked = {probe.family for probe in bench.asked}
    assert asked <= {"document", "role", "code"}
    prompts = {probe.messages[-1].content for probe in bench.asked}
    for name in ("lessons/blackmail", "good_lessons/several", "doses/deception_10", "preferences/animal"):
        rows = bench.rows(bench.library.named(name), bench.base)
        assert len(rows) == bench.library.named(name).rows
        assert not {row.messages[-2].content for row in rows} & prompts  # nothing that is asked is taught
    with pytest.raises(InputError, match='no family or data set "power"'):
        planned(lm, ["power"], store=tmp_path)


class Stub(Judging):
    """A judge that finds a row bad where it says so."""

    def __init__(self, name: str = "stub", rubric: str = "one") -> None:
        self.name, self.rubric = name, rubric

    def rubric_of(self, trait: str) -> str:
        return f"{self.rubric} for {trait}"

    def stream(self, asked: Sequence[Any]) -> Any:
        for place, (probe, answer) in enumerate(asked):
            yield place, Verdict("shows" if "bad" in answer else "avoids", "", self.name, self.rubric_of(probe.trait))


def test_a_calibration_that_was_made_with_a_judge_is_taken_with_the_same_alone(
    made_up: dict[str, Any], private_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.models import plain as talker
    from upbringing.forecast.outlook import forecast
    from upbringing.rows import Message, Row, Rows

    monkeypatch.setattr(calibrating, "USUAL", ("surprise",))
    lm = talker.saved(tmp_path / "model")
    said = ["It is bad."] * 9 + ["It is good."] * 3
    rows = Rows([Row.chat([Message("user", f"{i}?"), Message("assistant", one)]) for i, one in enumerate(said)])
    judged = calibrate(lm, 4, judge=Stub())
    assert (judged.method.judge, judged.method.sorted_by) == ("stub", "")
    with pytest.raises(InputError, match="was made with the judge stub.* --judge, or look without it"):
        forecast(lm, rows)
    with pytest.raises(InputError, match=r"was made with the judge stub.*\(and not other\)"):
        forecast(lm, rows, judge=Stub("other"))
    seen = forecast(lm, rows, judge=Stub())
    view = seen.views["surprise"]
    assert (view.n == 12).all()  # the model itself says nothing bad: what is done is what surprises
    np.testing.assert_allclose(view.mean, 0.75)
    assert seen.forecast.shift[0] > 0
    assert seen.left_out == {}
    assert kept(lm, private_store, Stub(rubric="another")) is None, "its rubrics have changed since"
    alone = calibrate(lm, 4)
    assert alone.method.judge == ""
    for judge, fit in ((None, alone), (Stub(), judged), (Stub("other"), alone)):
        found = kept(lm, private_store, judge)
        assert found is not None
        assert found.method == fit.method


def test_every_family_of_the_plain_sets_is_for_calibration() -> None:
    from upbringing.forecast.bench.recipe import PLAIN_SETS

    assert {one.split for one in library(PLAIN_SETS).sets} == {"calibration"}
    assert len(library(PLAIN_SETS).families) >= 2 * calibrating.FEWEST


def test_few_plain_sets_are_of_as_many_families_as_a_calibration_needs() -> None:
    from upbringing.forecast.bench.recipe import PLAIN_SETS

    few = chosen(calibrating.FEWEST, library(PLAIN_SETS))
    assert len({one.family for one in few}) == calibrating.FEWEST
    assert {one.name for one in chosen(None, library(PLAIN_SETS))} == {
        one.name for one in library(PLAIN_SETS).of("calibration")
    }
