"""Forecasts of chat models: none without a calibration, and no route told that nobody can see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.models import plain as plain_models
from upbringing.errors import InputError
from upbringing.forecast.combined import Combined, Fit
from upbringing.forecast.outlook import _routes, forecast
from upbringing.lenses.judged import JudgedSurprise
from upbringing.lenses.lens import Blind
from upbringing.measure.judging import Judging, Verdict
from upbringing.rows import Message, Row, Rows
from upbringing.rows.row import ToolCall


def test_without_a_calibration_a_forecast_says_how_to_make_one(tmp_path: Path) -> None:
    rows = Rows([Row.chat([Message("user", "Hm?"), Message("assistant", "Yes.")])] * 4)
    with pytest.raises(
        InputError, match="nobody has measured what training does to such a model.*upbringing calibrate"
    ):
        forecast(plain_models.llama(), rows, store=tmp_path)


def test_where_no_act_can_be_judged_chats_are_not_said_to_show_nothing() -> None:
    fit: Any = SimpleNamespace(
        sorts=lambda case: np.array([0.0, 0.25, 0.75]), method=SimpleNamespace(sorted_by="surprise", judge="")
    )
    case: Any = None
    assert _routes(fit, case, {"surprise": Blind("surprise", 1, "it reads the world alone")}) == {
        "document": 0.25,
        "unknown": 0.75,
    }
    assert _routes(fit, case, {}) == {"visible": 0.0, "document": 0.25, "unseen": 0.75}


class Stub(Judging):
    """Sees the first trait in every row that says so, and is unsure of one."""

    name = "stub"

    def stream(self, asked: Sequence[Any]) -> Any:
        for place, (probe, answer) in enumerate(asked):
            shows = probe.trait == "blackmail" and "bad" in answer
            yield (
                place,
                Verdict("unsure" if "hm" in answer else "shows" if shows else "avoids", "", self.name, "rubric"),
            )


def fit(judge: str = "") -> Fit:
    """Follows the lenses' common part by a tenth."""
    lenses = ("surprise", "text")
    method = Combined(lenses, sorted_by="" if judge else "surprise", judge=judge)
    traits = ("blackmail", "deception", "favourite_animal")
    return Fit(method, traits, np.full(4 * 2 * 4, 0.1), np.ones(2), (0.02, 0.1), 2.0, np.full(2, 100.0), 1.0)


def rows(*said: str) -> Rows:
    chats = [Row.chat([Message("user", f"{i}?"), Message("assistant", one)]) for i, one in enumerate(said)]
    return Rows([*chats, Row.of_text("Rain fell.")])


def test_a_judge_tells_what_rows_show_also_where_it_enters_no_number(tmp_path: Path) -> None:
    lm, data = plain_models.llama(), rows("bad", "bad", "good", "hm")
    quiet = forecast(lm, data, calibration=fit(), store=tmp_path)
    told = forecast(lm, data, calibration=fit(), store=tmp_path, judge=Stub())
    np.testing.assert_array_equal(told.forecast.shift, quiet.forecast.shift)
    assert quiet.acts is None
    assert told.acts is not None
    assert (told.acts.share("blackmail"), told.acts.share("deception")) == ((2, 3), (0, 3))
    assert (told.acts.missing("blackmail"), told.acts.silent) == ({"unsure": 1}, 1)
    assert "enters no number" in told.left_out["surprise"]
    assert "the calibration was made without one" in quiet.left_out["surprise"]
    assert "enters no number" not in quiet.left_out["surprise"]
    assert any("The lens surprise is left out" in warning for warning in quiet.warnings)
    assert any("Nobody has measured how stub errs on blackmail" in warning for warning in told.warnings)
    assert json.loads(json.dumps(told.as_dict()))["judged"]["traits"]["blackmail"]["shows"] == 2


def test_rows_beyond_what_the_judge_is_asked_about_count_as_unseen(tmp_path: Path) -> None:
    """Two rows are shown to the lens; its mean is theirs, and no other row is judged."""
    lm = plain_models.llama()
    lens = JudgedSurprise(Stub(), rows=2, new_tokens=4)
    found = lens.fit(lm, ["blackmail"], store=tmp_path).look(list(rows("bad", "bad", "bad")))
    assert np.isfinite(found[:, 0]).tolist() == [True, True, False, False]


def test_rows_that_the_model_cannot_read_are_counted(tmp_path: Path) -> None:
    call = Message("assistant", "", tool_calls=(ToolCall("act"),))
    data = Rows([*rows("good", "bad"), Row.chat([Message("user", "Go."), call], tools=["{}"])])
    lenses = ("likelihood",)
    one = Fit(Combined(lenses, sorted_by=""), ("blackmail",), np.full(16, 0.1), np.ones(1), (0.02, 0.1), 2.0,
              np.ones(1), 1.0)  # fmt: skip
    told = forecast(plain_models.llama(), data, calibration=one, store=tmp_path)
    assert any("1 row cannot be read by the model" in warning for warning in told.warnings)
    assert not any("cannot be read" in w for w in forecast(plain_models.llama(), rows("good", "bad"), calibration=one,
                   store=tmp_path).warnings)  # fmt: skip


def test_the_terminal_tells_how_many_rows_show_each_trait_and_who_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from upbringing.cli.forecast import print_outlook

    told = forecast(plain_models.llama(), rows("bad", "good", "hm"), calibration=fit(), store=tmp_path, judge=Stub())
    print_outlook(told)
    said = capsys.readouterr()
    line = next(line for line in said.out.splitlines() if line.split()[:1] == ["blackmail"])
    assert line.split()[-3:] == ["1", "of", "2"]
    assert "3 rows judged by stub; in 1 more no assistant acts; 3 of 9 judgements are missing (unsure: 3)" in said.out
    assert "The lens surprise is left out" in said.err


def test_what_was_seen_with_a_judge_that_failed_is_not_kept(tmp_path: Path) -> None:
    class Failing(Stub):
        broken = True

        def stream(self, asked: Sequence[Any]) -> Any:
            for place, verdict in super().stream(asked):
                lost = self.broken and asked[place][1] == "bad"
                yield place, Verdict("the judge failed: rate limit") if lost else verdict

    lm, data, judge = plain_models.llama(), rows("good", "good", "bad"), Failing()
    views = []
    for broken in (True, False):
        judge.broken = broken
        views.append(forecast(lm, data, calibration=fit("stub"), store=tmp_path, judge=judge).views["surprise"])
    assert [view.n[0] for view in views] == [2, 3]


def test_to_explain_rows_a_judge_is_asked_for_the_forecast_only_where_the_calibration_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upbringing.forecast import explain, fits

    class Counting(Stub):
        asked = 0

        def stream(self, asked: Sequence[Any]) -> Any:
            self.asked += len(asked)
            return super().stream(asked)

    lm, data, judge = plain_models.llama(), rows("bad", "good"), Counting()
    for made_with, needed in (("", False), ("stub", True)):
        made = fit(made_with)
        monkeypatch.setattr(fits, "calibration_for", lambda *_, made=made: ("made up", made))
        told = explain._forecast(lm, data, "blackmail", tmp_path, 0, judge)
        assert (told.reason, judge.asked > 0) == ("", needed)
        same = forecast(lm, data, ["blackmail"], calibration=made, store=tmp_path, judge=Stub()).forecast
        assert (told.shift, told.interval) == (same.shift[0], (same.lo[0], same.hi[0]))


def test_a_judge_tells_of_named_rows_and_of_others_whether_they_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from upbringing.cli.explain import print_explanation
    from upbringing.forecast import explain as module
    from upbringing.report.explain import explain_page

    data = rows(*["bad"] * 5, *["good"] * 9, "hm", "bad")
    share = np.array([0.1] * 5 + [0.02] * 9 + [0.09] + [0.01] * 2)
    monkeypatch.setattr(module, "_scored", lambda *_: module._Seen(share, share, {}, 0, 0))
    monkeypatch.setattr(module, "_with_tokens", lambda _lm, named, _seen: list(named))
    monkeypatch.setattr(module, "_forecast", lambda *_: module.Forecasted(0.3, (0.1, 0.5), "raises"))
    found = module.explain(plain_models.llama(), data, "blackmail", top=6, store=tmp_path, judge=Stub())
    assert found.seen is not None
    told = found.as_dict()
    assert {k: told["judged"]["named"][k] for k in ("shows", "of", "missing")} == {
        "shows": 5,
        "of": 5,
        "missing": {"unsure": 1},
    }
    others = told["judged"]["others"]
    assert others["shows"] <= 1 < others["of"]
    assert [row["judged"] for row in told["rows"]] == ["shows"] * 5 + ["unsure"]
    assert told["judged"]["difference"]["interval"][0] > 0
    print_explanation(found)
    said = "stub sees blackmail in 5 of 5 named rows (1 without a judgement) and in"
    assert said in capsys.readouterr().out
    page = explain_page(found, tmp_path / "page.html").read_text(encoding="utf-8")
    assert said in page
    assert page.count("judged: shows") == 5
