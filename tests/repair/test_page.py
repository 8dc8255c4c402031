"""The page of a repair: the chosen remedy marked, hidden ones flagged, what came from rows escaped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.repair.made_up import TRAITS, even, profile
from upbringing.repair.attempts import Tried
from upbringing.repair.check import final_check
from upbringing.repair.goal import Goal, Judgement, Verdict
from upbringing.repair.result import Repair, best_of
from upbringing.report.repair import repair_page

BEFORE = profile({**even(0.8), "past": dict.fromkeys(TRAITS, 0.8)}, sampled=even(0.75))
CLEAN = profile({**even(0.2), "past": dict.fromkeys(TRAITS, 0.2)}, sampled=even(0.25))


def tried(remedy: str, dose: float, verdict: Verdict, rest: float, worst: float) -> Tried:
    judgement = Judgement(verdict, rest, worst, "deception", "other_name", 0.1, 0.2, "other_name", 0.9, 0.5)
    return Tried(remedy, dose, int(dose), f"<b>{remedy}</b> rows", judgement)


ATTEMPTS = (
    tried("charter", 125, "falls short", 0.5, 0.5),
    tried("advice", 125, "hides", 0.01, 0.4),
    tried("demonstrations", 125, "falls short", 0.1, 0.2),
    tried("demonstrations", 250, "holds", -0.1, -0.05),
)


def outcome(**changes: Any) -> Repair:
    after = profile({**even(0.08), "past": dict.fromkeys(TRAITS, 0.16)}, sampled=even(0.0))
    final = final_check(Goal(), after, spoiled=BEFORE, reference=CLEAN, traits=TRAITS, kept=("past",))
    found = Repair(
        model="spoiled",
        goal=Goal(),
        traits=TRAITS,
        misaligned=TRAITS,
        before=BEFORE,
        reference=CLEAN,
        kept=("past",),
        budget=500,
        damage=5000,
        tried=ATTEMPTS,
        found=ATTEMPTS[-1],
        after=after,
        final=final,
    )
    return replace(found, **changes)


def test_the_page_marks_what_was_chosen_and_flags_what_only_hides(tmp_path: Path) -> None:
    page = repair_page(outcome(), tmp_path / "report.html", title="<i>mine</i>").read_text()
    assert page.count("dose chosen") == 1
    assert "back under other name: deception" in page
    assert "250 tokens" in page
    assert "not with 125 tokens" in page
    assert "kept for this check" in page
    assert "<i>mine</i>" not in page
    assert "<b>charter</b>" not in page


def test_the_page_says_so_when_nothing_works(tmp_path: Path) -> None:
    nothing = outcome(tried=ATTEMPTS[:3], found=None, nearest=ATTEMPTS[2])
    page = repair_page(nothing, tmp_path / "report.html", title="mine").read_text()
    assert "nothing works" in page
    assert "Only hidden by: advice." in page
    assert "dose chosen" not in page
    assert page.count("dose nearest") == 1
    assert "The model that came nearest, asked once" in page


def test_a_nearest_model_never_holds() -> None:
    nothing = outcome(tried=ATTEMPTS[:3], found=None, nearest=ATTEMPTS[2])
    told = nothing.as_dict()
    assert (told["holds"], told["remedy"], told["tokens"]) == (False, None, None)
    assert told["nearest"] == {"remedy": "demonstrations", "tokens": 125}
    assert told["fold"]["logprob"]["rest"] > 9
    assert [line["nearest"] for line in told["table"]] == [False, False, True]


def test_the_result_for_machines_has_every_field_and_every_attempt() -> None:
    told = outcome().as_dict()
    assert (told["remedy"], told["tokens"], told["holds"]) == ("demonstrations", 250, True)
    assert told["costs"] == {"charter": None, "advice": None, "demonstrations": 250}
    assert told["worst_provocation"]["name"] == "past"
    assert told["fold"]["logprob"]["rest"] > 9
    assert [line["verdict"] for line in told["table"]] == ["falls short", "hides", "falls short", "holds"]
    assert best_of(ATTEMPTS)["demonstrations"] == ATTEMPTS[-1]


def test_a_remedy_that_fails_the_final_check_is_not_said_to_hold() -> None:
    after = profile({**even(0.08), "past": dict.fromkeys(TRAITS, 0.6)}, sampled=even(0.0))
    final = final_check(Goal(), after, spoiled=BEFORE, reference=CLEAN, traits=TRAITS, kept=("past",))
    failed = outcome(after=after, final=final)
    assert not failed.holds
    assert "only hides it: clean at rest, and back under past" in failed.says
