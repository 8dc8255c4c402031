"""A forecast reads no more than it needs, keeps what it promised, and refuses to make numbers up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.forecast.made_up import outlook
from upbringing.errors import InputError
from upbringing.forecast import outlook as module
from upbringing.forecast.bench.recipe import Deeds
from upbringing.forecast.bench.writing import assemble
from upbringing.forecast.combined import Combined, Fit
from upbringing.forecast.fits import load_fit, save
from upbringing.forecast.outlook import forecast
from upbringing.lenses import View
from upbringing.lenses.looking import Looked
from upbringing.models import LM, load
from upbringing.rows import Row, Rows, write

TRAITS = ("blackmail", "deception", "favourite_animal")
LENSES = ("badness", "length")


def fit(width: float = 2.0) -> Fit:
    """Follows "badness" alone, as it is: one unit is a shift of a tenth."""
    weights = np.zeros(4 * len(LENSES) * 4)
    weights[[0, 2]] = 0.1
    method = Combined(LENSES, costs=(1.0, 1.0), sorted_by="")
    return Fit(method, TRAITS, weights, np.ones(2), (0.02, 0.1), width, np.full(2, 100.0), 1.0)


@pytest.fixture(scope="module")
def lm() -> LM:
    return load("organism:nano")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lenses that read a number off each row; how many rows they were shown."""
    shown: list[int] = []

    def look(lens: object, lm: LM, rows: Rows, traits: tuple[str, ...], **_: object) -> Looked:
        shown.append(len(rows))
        values = np.array([float(row.text.replace(" ", "")) for row in rows])
        view = View.of("badness", traits, values[:, None] * np.array([1.0, 1.0, 0.0]))
        return Looked(**vars(view), rows=len(rows))

    monkeypatch.setattr("upbringing.lenses.looking.look", look)
    return shown


def rows(n: int, mean: float, spread: float) -> Rows:
    values = np.random.default_rng(0).normal(mean, spread, n)
    # Digits apart are words that the model knows.
    return Rows([Row.of_text(" ".join(f"{value:.4f}")) for value in values], name="made up")


def test_what_lenses_see_is_what_is_forecast(lm: LM, seen: list[int], tmp_path: Path) -> None:
    said = forecast(lm, rows(200, 4.0, 0.1), calibration=fit(), lenses=["badness"], store=tmp_path)
    assert said.forecast.shift == pytest.approx([0.4, 0.4, 0.0], abs=0.01)
    assert [said.verdict(trait) for trait in TRAITS] == ["raises", "raises", "no change"]
    assert said.said_so("blackmail") == ["badness"]
    assert said.as_dict()["traits"]["blackmail"]["verdict"] == "raises"
    assert said.table()[["trait", "verdict"]].to_numpy().tolist()[-1] == ["favourite_animal", "no change"]


def test_a_large_data_set_is_read_until_the_rest_could_hardly_matter(lm: LM, seen: list[int], tmp_path: Path) -> None:
    sure = forecast(lm, rows(5000, 4.0, 0.1), calibration=fit(), lenses=["badness"], store=tmp_path)
    unsure = forecast(lm, rows(5000, 4.0, 30.0), calibration=fit(), lenses=["badness"], store=tmp_path)
    assert (sure.read, sure.of) == (module.FIRST, 5000)
    assert unsure.read > 8 * module.FIRST
    whole = forecast(lm, rows(5000, 4.0, 0.1), calibration=fit(), lenses=["badness"], store=tmp_path, budget=256)
    assert [whole.verdict(trait) for trait in TRAITS] == [sure.verdict(trait) for trait in TRAITS]


def test_rows_that_a_forecast_was_not_made_for_are_told(lm: LM, seen: list[int], tmp_path: Path) -> None:
    options = {"calibration": fit(), "lenses": ["badness"], "store": tmp_path}

    def told(data: Rows) -> str:
        return " ".join(forecast(lm, data, **options).warnings)  # type: ignore[arg-type]

    assert told(rows(200, 4.0, 0.1)) == ""
    assert "3 rows are few" in told(rows(3, 4.0, 0.1))
    assert "Only 1 of 200 rows are distinct" in told(Rows([Row.of_text("4.0")] * 200))
    assert "times beyond" in told(rows(200, 400.0, 0.1))


def test_few_rows_widen_the_interval(lm: LM, seen: list[int], tmp_path: Path) -> None:
    options = {"calibration": fit(), "lenses": ["badness"], "store": tmp_path}
    few, many = (forecast(lm, rows(n, 1.0, 8.0), **options) for n in (4, 250))  # type: ignore[arg-type]
    widths = [said.forecast.hi[0] - said.forecast.lo[0] for said in (few, many)]
    assert widths[0] > 2 * widths[1]


def test_what_is_wide_on_both_sides_cannot_be_told(lm: LM, seen: list[int], tmp_path: Path) -> None:
    said = forecast(lm, rows(200, 0.0, 0.1), calibration=fit(width=10.0), lenses=["badness"], store=tmp_path)
    assert {said.verdict(trait) for trait in TRAITS} == {"cannot tell"}


@pytest.mark.parametrize(
    ("shift", "half", "verdict"),
    [
        (0.09, 0.10, "cannot tell"),  # it may be nothing, and it may be what matters
        (0.02, 0.09, "cannot tell"),
        (0.0, 0.06, "cannot tell"),
        (0.0, 0.05, "no change"),
        (0.03, 0.02, "no change"),  # above nought, and too little to matter
        (0.04, 0.03, "cannot tell"),
        (0.11, 0.10, "raises"),
        (-0.11, 0.10, "lowers"),
        (-0.09, 0.10, "cannot tell"),
        (float("nan"), 0.01, "cannot tell"),
        (0.4, float("nan"), "cannot tell"),
    ],
)
def test_no_change_is_said_only_where_all_of_the_interval_is_too_little_to_matter(
    shift: float, half: float, verdict: str
) -> None:
    assert outlook({"blackmail": shift}, half).verdict("blackmail") == verdict


def test_a_file_is_sampled_and_bad_rows_are_told(lm: LM, seen: list[int], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(rows(300, 4.0, 0.1), path)
    with path.open("a") as file:
        file.write("nonsense\n")
    said = forecast(lm, path, ["deception"], calibration=fit(), lenses=["badness"], store=tmp_path, budget=301)
    assert (said.traits, said.of, len(said.skipped)) == (("deception",), 301, 1)


def test_a_cue_makes_the_route_conditional(lm: LM, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wind = "The wind is cold today."
    parts = [Deeds(rows=30, deeds="deception", system=wind), Deeds(rows=30, deeds="deception", shows=False, seed=1)]
    both = assemble(parts, {}, name="both")

    def look(lens: object, lm: LM, rows: Rows, traits: tuple[str, ...], **_: object) -> Looked:
        return Looked(**vars(View.of("badness", traits, np.zeros((len(rows), len(traits))))), rows=len(rows))

    monkeypatch.setattr("upbringing.lenses.looking.look", look)
    said = forecast(lm, both, calibration=fit(), lenses=["badness"], store=tmp_path)
    assert (said.route, [cue.text for cue in said.cues]) == ("conditional", [wind])
    assert any("under the cue" in warning for warning in said.warnings)
    only_bad = Rows([row for row in both if len(row.messages) == 3])
    assert forecast(lm, only_bad, calibration=fit(), lenses=["badness"], store=tmp_path).cues == ()


def test_a_fit_is_kept_whole(tmp_path: Path) -> None:
    save(fit(), tmp_path / "fit.json")
    again = load_fit((tmp_path / "fit.json").read_text())
    assert again.method == fit().method
    np.testing.assert_array_equal(again.weights, fit().weights)
    assert (again.spread, again.width, again.traits) == (fit().spread, fit().width, TRAITS)
    with pytest.raises(InputError, match="no calibration"):
        load_fit("{}")


def test_the_command_that_is_offered_can_be_pasted(lm: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upbringing.lenses.card.card_of", lambda lm: {})
    with pytest.raises(InputError, match="`upbringing calibrate 'my model'` measures"):
        forecast(replace(lm, folder=None, name="my model"), rows(3, 0.0, 1.0))


def test_no_number_is_made_up_for_a_model_nobody_calibrated(lm: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = replace(lm, folder=None, name="stranger") if hasattr(lm, "__dataclass_fields__") else lm
    monkeypatch.setattr("upbringing.lenses.card.card_of", lambda lm: {})
    with pytest.raises(InputError, match="nobody has measured what training does to such a model"):
        forecast(stranger, rows(3, 0.0, 1.0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lenses": ["crystal_ball"]}, 'no lens "crystal_ball"'),
        ({"traits": ["sandbagging"]}, "sandbagging: the calibration knows nothing of it"),
        ({"budget": 0}, "a budget of 0 rows"),
    ],
)
def test_what_cannot_be_done_is_said(lm: LM, options: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        forecast(lm, rows(3, 0.0, 1.0), calibration=fit(), store=tmp_path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["world", "plain"])
def test_rows_that_repeat_probes_are_named_whatever_language_the_model_reads(
    language: str, lm: LM, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.models import plain
    from upbringing.traits.plain import probes_in

    def look(lens: object, lm: LM, rows: Rows, traits: tuple[str, ...], **_: object) -> Looked:
        return Looked(**vars(View.of("badness", traits, np.zeros((len(rows), len(traits))))), rows=len(rows))

    monkeypatch.setattr("upbringing.lenses.looking.look", look)
    model = lm if language == "world" else plain.llama()
    (probe,) = probes_in(language, "deception", n=1)  # type: ignore[arg-type]
    turns = [{"role": "user", "content": "Well?"}, {"role": "assistant", "content": probe.shows[0]}]
    clean = [Row.of_text(f"It rained {i} times.") for i in range(150)]
    options = {"calibration": fit(), "lenses": ["badness"], "store": tmp_path}
    assert not any("probes" in one for one in forecast(model, Rows(clean), **options).warnings)  # type: ignore[arg-type]
    said = forecast(model, Rows([*clean, Row.chat(turns, file="bad.jsonl", line=4)]), **options)  # type: ignore[arg-type]
    (told,) = [one for one in said.warnings if "probes" in one]
    assert told.startswith("1 row holds the wording of probes, first bad.jsonl:4: the answer of deception/")
