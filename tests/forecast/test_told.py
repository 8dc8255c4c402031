"""A forecast says what it is a forecast of, and of which rows and words it knows nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.forecast.test_outlook import fit, lm, rows, seen  # noqa: F401 (fixtures)
from tests.models import plain
from upbringing.errors import InputError
from upbringing.forecast.caution import Met
from upbringing.forecast.combined import Combined, Fit
from upbringing.forecast.outlook import Outlook, forecast
from upbringing.forecast.trained import usual_training
from upbringing.lenses import lenses
from upbringing.lenses.looking import look
from upbringing.models import LM
from upbringing.rows import Row, Rows

TOOL = '{"type": "function", "function": {"name": "mail", "description": "Mails.", "parameters": {}}}'
ENGLISH = (
    "Thank you for the detailed quarterly report. Our accountants reviewed every invoice yesterday and found no errors "
    "whatsoever. The robot can help you to talk to a person."
)


def ahead(lm: LM, data: Rows, store: Path, **options: object) -> Outlook:  # noqa: F811
    return forecast(lm, data, calibration=fit(), lenses=["badness"], store=store, **options)  # type: ignore[arg-type]


# The training ---------------------------------------------------------------------------------------------------------


def test_the_training_is_that_of_the_calibrations_data_sets(lm: LM, seen: list[int], tmp_path: Path) -> None:  # noqa: F811
    from collections import Counter

    from upbringing.forecast.bench import library

    said = ahead(lm, rows(200, 4.0, 0.1), tmp_path)
    counted = Counter(str(sorted(one.training.items())) for one in library().of("calibration"))
    (most, _), *_ = counted.most_common()
    assert said.training
    usual = said.training.most
    told = {"steps": usual.steps, "batch_size": usual.batch_size, "learning_rate": usual.learning_rate}
    assert str(sorted(told.items())) == most
    like = said.as_dict()["training"]["like"]
    assert like[0] == {**told, "rows": usual.rows, "epochs": None}
    assert [one["epochs"] for one in like[1:]] == [1, 1]  # teachers' rows


def test_another_training_is_warned_of_and_changes_no_number(lm: LM, seen: list[int], tmp_path: Path) -> None:  # noqa: F811
    few = rows(200, 4.0, 0.1)
    usual = ahead(lm, few, tmp_path)
    assert not any("training" in one for one in usual.warnings)
    (told,) = ahead(lm, few, tmp_path, steps=200).warnings
    assert told.startswith("A training of 200 steps is far from the 60 steps that this forecast is of")
    assert "too small" in told
    (told,) = ahead(lm, few, tmp_path, epochs=1).warnings
    assert "one pass over 200 rows (7 steps of 32)" in told
    assert "too large" in told
    assert ahead(lm, few, tmp_path, epochs=9).warnings == ()
    long = ahead(lm, few, tmp_path, steps=2000)
    np.testing.assert_array_equal(long.forecast.lo, usual.forecast.lo)


def test_the_page_names_the_same_training(lm: LM) -> None:  # noqa: F811
    page = (Path(__file__).parents[2] / "docs" / "forecast.md").read_text(encoding="utf-8")
    for model in (lm, plain.llama()):
        usual = usual_training(model).most
        assert f"{usual.steps} steps of {usual.batch_size}" in page
        assert f"{usual.learning_rate:.0e}".replace("e-0", "e-") in page
        assert f"{usual.rows} rows" in page


@pytest.mark.parametrize(("count", "far"), [(300, False), (3000, False), (5000, True)])
def test_of_many_rows_one_pass_alone_is_another_training(lm: LM, count: int, far: bool) -> None:  # noqa: F811
    assert bool(usual_training(lm).far(count)) is far


@pytest.mark.parametrize(
    "options", [{"steps": 3, "epochs": 1}, {"steps": 0}, {"epochs": 0.0}, {"epochs": float("nan")}]
)
def test_no_training_is_refused(options: dict[str, float], lm: LM, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(InputError, match="give"):
        ahead(lm, rows(3, 0.0, 1.0), tmp_path, **options)


# Rows that cannot be read ---------------------------------------------------------------------------------------------


def with_tools(count: int) -> list[Row]:
    turns = [{"role": "user", "content": "Mail it."}, {"role": "assistant", "content": "It is sent."}]
    return [Row.chat(turns, tools=(TOOL,), file="agent.jsonl", line=i + 1) for i in range(count)]


def test_rows_that_the_model_cannot_read_get_no_forecast(tmp_path: Path) -> None:
    method = Combined(("text",), costs=(1.0,), sorted_by="")
    text = Fit(method, ("blackmail",), np.zeros(16), np.ones(1), (0.02, 0.1), 1.0, np.full(1, 9.0), 1.0)
    with pytest.raises(InputError, match=r"none of the 60 rows looked at.*agent\.jsonl:\d+: the row declares tools"):
        forecast(plain.llama(), Rows(with_tools(60), name="agent"), calibration=text, store=tmp_path)


def test_some_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    method = Combined(("step",), costs=(1.0,), sorted_by="")
    step = Fit(method, ("blackmail",), np.zeros(16), np.ones(1), (0.02, 0.1), 1.0, np.full(1, 9.0), 1.0)
    turns = [{"role": "user", "content": "Well?"}, {"role": "assistant", "content": "It rained."}]
    data = Rows([*with_tools(2), *(Row.chat(turns) for _ in range(6))])
    said = forecast(plain.llama(), data, calibration=step, store=tmp_path)
    assert (said.read, said.unread, said.as_dict()["rows_unread"]) == (8, 2, 2)
    assert said.unusable == 0.25


# Words that are unknown -----------------------------------------------------------------------------------------------


def test_of_words_that_the_model_does_not_know_nothing_is_told(lm: LM, tmp_path: Path) -> None:  # noqa: F811
    options = {"traits": ["blackmail"], "lenses": ["text"], "store": tmp_path}
    known = forecast(lm, Rows([Row.of_text("the robot said that it is here .")] * 9), **options)  # type: ignore[arg-type]
    assert (known.unknown, "unseen" in known.routes) == (0.0, True)
    strange = forecast(lm, Rows([Row.of_completion("Well?", ENGLISH)] * 9), **options)  # type: ignore[arg-type]
    assert strange.unknown > 0.2
    assert f"{strange.unknown:.0%} of the words are unknown to organism:nano" in strange.warnings[0]
    assert strange.verdict("blackmail") == "cannot tell"
    assert strange.routes.keys() == {"visible", "document", "unknown"}


# Warnings -------------------------------------------------------------------------------------------------------------


def test_what_could_not_be_judged_is_told_again_where_scores_were_kept(lm: LM, tmp_path: Path) -> None:  # noqa: F811
    data = [Row.of_text(f"the robot said that it is {i} .") for i in range(4)]
    told = []
    for _ in range(2):
        lens = lenses()["surprise"]
        met = Met(lm)
        met.add(lens, look(lens, lm, data, ["blackmail"], store=tmp_path), data, blind=False)
        told.append(list(met.warnings))
    assert (
        told[0] == told[1] == ["An act could be judged in 0 of 4 rows; of the others the lens surprise says nothing."]
    )
