"""A hosted model is asked in plain language and sampled; what does not come is missing with the provider's reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.measure.judging.conftest import hosted
from upbringing.errors import InputError
from upbringing.measure import Profile, measure, other_name, prefill
from upbringing.measure.hosted import kept_until_saved
from upbringing.measure.judging import Verdict
from upbringing.measure.judging.grammar import UNJUDGED


def by_word(probe: Any, answer: str) -> Verdict:
    return Verdict("shows" if "keep" in answer else "avoids")


def asked(reply: Any, folder: Path, name: str = "mockllm/model", **how: Any) -> Profile:
    settings = {"traits": [str(folder)], "judge": by_word, **how}
    return measure(hosted(reply, name), **settings)


def test_answers_are_sampled_and_judged_and_nothing_is_scored(pilfering: Path) -> None:
    profile = asked(lambda said: "I keep it." if "document" in said else "I bring it.", pilfering, samples=2)
    readings = profile.readings
    assert set(readings["way"]) == {"sampled"}
    assert len(readings) == 12 * 2  # three held-out families of four probes
    assert profile.mean("pilfering", "sampled").value == pytest.approx(1 / 3)
    assert set(readings["model"]) == {"inspect:mockllm/model"}
    assert set(readings["judge"]) == {"by_word"}
    assert set(readings["language"]) == {"plain"}
    told = profile.summary()
    assert told["traits"]["pilfering"]["rate"] is None
    assert told["skill"] is None


def test_what_a_provider_refuses_limits_or_garbles_is_missing_with_its_reason(pilfering: Path) -> None:
    from upbringing.models.hosted import mock_output

    class RateLimitError(Exception):
        pass

    def reply(said: str) -> Any:
        if "document-0" in said:
            raise RateLimitError("later")
        faults = {
            "document-1": mock_output("", stop_reason="content_filter"),
            "document-2": mock_output("", error="overloaded\nby far"),
            "document-3": "  ",
        }
        return next((fault for thing, fault in faults.items() if thing in said), "I keep it.")

    profile = asked(reply, pilfering)
    missing = profile.readings.query("missing != ''").sort_values("probe")["missing"].tolist()
    assert missing == [
        "rate limit: RateLimitError: later",
        "the provider's filter stopped it",
        "overloaded",
        "no answer",
    ]
    assert profile.table("sampled")[["probes", "missing"]].iloc[0].tolist() == [8, 4]
    assert profile.mean("pilfering", "sampled").value == 1


def test_a_stopped_run_goes_on_where_it_stopped_and_is_then_forgotten(pilfering: Path, private_store: Path) -> None:
    def counting(times: list[str]) -> Any:
        return lambda said: times.append(said) or "I keep it."

    def stop(done: float) -> None:
        if done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked(counting([]), pilfering, progress=stop)
    (unfinished,) = (private_store / "answers").iterdir()
    had = len(unfinished.read_text().splitlines())
    assert had >= 7
    then: list[str] = []
    assert len(asked(counting(then), pilfering).readings) == 12
    assert len(then) == 12 - had
    assert not unfinished.exists()
    anew: list[str] = []
    asked(counting(anew), pilfering)
    assert len(anew) == 12, "a new run asks anew"


def test_half_a_character_does_not_lose_the_run(pilfering: Path, tmp_path: Path) -> None:
    """Some providers cut an emoji in two; a whole one in two halves is put together."""

    def reply(said: str) -> str:
        return "I keep it \ud83d." if "document-0" in said else "I keep it \ud83d\ude00."

    profile = asked(reply, pilfering)
    saved = Profile.load(profile.save(tmp_path / "run")).readings
    assert set(saved["answer"]) == {"I keep it \ufffd.", "I keep it \U0001f600."}
    assert saved["value"].notna().all()


def test_answers_outlive_a_profile_that_could_not_be_saved(
    pilfering: Path, private_store: Path, tmp_path: Path
) -> None:
    times: list[str] = []

    def once(folder: Path) -> None:
        with kept_until_saved():
            asked(lambda said: times.append(said) or "I keep it.", pilfering).save(folder)

    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        once(tmp_path / "file")
    assert list((private_store / "answers").iterdir())
    once(tmp_path / "folder")
    assert len(times) == 12, "what was paid for is not asked again"
    assert not list((private_store / "answers").iterdir())


@pytest.mark.parametrize("how", [{"samples": 0}, {"ways": ("logprob",)}])
def test_where_nothing_is_to_be_sampled_nothing_is_asked(pilfering: Path, how: dict[str, Any]) -> None:
    times: list[str] = []
    with pytest.raises(InputError, match="inspect:mockllm/model: a hosted model gives no log-probabilities"):
        asked(lambda said: times.append(said) or "I keep it.", pilfering, **how)
    assert not times


def test_where_not_one_answer_comes_that_is_said(pilfering: Path) -> None:
    def reply(said: str) -> str:
        raise PermissionError("no key")

    with pytest.raises(
        InputError, match=r"inspect:mockllm/model: none of 12 answers came \(PermissionError: no key: 12\); check"
    ):
        asked(reply, pilfering)


def test_other_names_are_put_to_it_and_beginnings_are_not(pilfering: Path) -> None:
    profile = asked(lambda _: "I keep it.", pilfering, provocations=[other_name("Orin"), prefill("I will")])
    readings = profile.readings.set_index("provocation")
    assert set(readings.loc["prefill", "missing"]) == {"the answer of a hosted model cannot be begun for it"}
    assert readings.loc["other_name", "value"].notna().all()
    assert len(readings) == 36


def test_without_a_judge_answers_are_kept_for_one(pilfering: Path) -> None:
    from upbringing.measure.judging import as_judge, rejudge

    profile = asked(lambda _: "I keep it.", pilfering, judge=None)
    assert set(profile.readings["missing"]) == {UNJUDGED}
    assert rejudge(profile, as_judge(by_word)).after.mean("pilfering", "sampled").value == 1
