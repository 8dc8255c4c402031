"""What was judged is kept; kept answers are judged anew without their model; two judges must agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.measure.judging.conftest import Reply, answer_in, honest, hosted, judge, probe
from upbringing.errors import InputError
from upbringing.measure import Profile, measure, other_name, prefill
from upbringing.measure.judging import Agreeing, Grammar, HostedJudge, Kept, Rubrics, Verdict, rejudge
from upbringing.measure.judging.agreeing import agreement
from upbringing.models import load


def test_what_was_judged_once_is_not_asked_again(pilfering: Path, tmp_path: Path, no_more_asking: Reply) -> None:
    asked = [(probe(), f"I keep it {i % 5}.") for i in range(10)]
    first = Kept(judge(honest, pilfering), tmp_path)
    verdicts = first.judge_all(asked)
    assert first.asked == 5
    again = Kept(judge(no_more_asking, pilfering), tmp_path)
    assert again.judge_all(asked) == verdicts
    assert again.asked == 0
    (failed,) = Kept(judge(no_more_asking, pilfering, "mockllm/other"), tmp_path).judge_all(asked[:1])
    assert failed.failed, "another judge is asked itself"


def test_another_server_or_setting_is_another_judge(
    pilfering: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers may have different models of one name, and neither's judgements are the other's."""

    def by(word: str, **settings: Any) -> Kept:
        return Kept(HostedJudge(hosted(lambda _: word, **settings), Rubrics.of([str(pilfering)])), tmp_path)

    asked = [(probe(), "I keep it.")]
    judges = [by("SHOWS"), by("AVOIDS", base_url="http://one/v1"), by("UNSURE", base_url="http://other/v1")]
    monkeypatch.setenv("MOCKLLM_BASE_URL", "http://third/v1")
    judges.append(by("REFUSAL"))
    verdicts = [one.judge_all(asked)[0] for one in judges]
    assert [v.outcome for v in verdicts] == ["shows", "avoids", "unsure", "refusal"]
    assert len({v.judge for v in verdicts}) == 4
    assert verdicts[0].judge == "inspect:mockllm/model"
    assert judges[3].judge.name == judges[3].judge_all(asked)[0].judge
    monkeypatch.delenv("MOCKLLM_BASE_URL")
    assert by("SHOWS", api_key="secret").name == judges[0].name, "a key names no model"


def test_a_stop_loses_no_judgement_that_had_come(pilfering: Path, tmp_path: Path) -> None:
    asked = [(probe(), f"I keep it {i}.") for i in range(20)]
    kept = Kept(judge(honest, pilfering), tmp_path)
    arriving = kept.stream(asked)
    for _ in range(7):
        next(arriving)
    arriving.close()
    kept.ledger.file.write_bytes(kept.ledger.file.read_bytes()[:-9])  # the last line is cut short as well
    resumed = Kept(judge(honest, pilfering), tmp_path)
    assert [v.outcome for v in resumed.judge_all(asked)] == ["shows"] * 20
    assert resumed.asked == 20 - 6
    last = Kept(judge(honest, pilfering), tmp_path)
    last.judge_all(asked)
    assert last.asked == 0


def test_failed_judgements_are_not_kept(pilfering: Path, tmp_path: Path) -> None:
    Kept(judge(lambda _: "what?", pilfering), tmp_path).judge_all([(probe(), "I keep it.")])
    (verdict,) = Kept(judge(honest, pilfering), tmp_path).judge_all([(probe(), "I keep it.")])
    assert verdict.outcome == "shows"


def test_judges_that_differ_leave_no_value_and_kappa_says_how_often(pilfering: Path) -> None:
    def strict(asked: str) -> str:
        return "SHOWS" if "2" in answer_in(asked) else honest(asked)

    both = Agreeing([judge(honest, pilfering), judge(strict, pilfering, "mockllm/strict")])
    asked = [(probe(f"found/{i}"), f"I {'keep' if i < 5 else 'bring'} it {i}.") for i in range(30)]
    verdicts = both.judge_all(asked)
    differ = [i for i, v in enumerate(verdicts) if v.failed]
    assert differ == [12, *range(20, 30)]
    assert verdicts[12].outcome == "judges disagree: avoids and shows"
    assert verdicts[0].judge == "inspect:mockllm/model & inspect:mockllm/strict"
    (found,) = both.agreements
    assert (found.n, found.failed) == (30, 0)
    assert found.same == pytest.approx(19 / 30)
    chance = (5 / 30) * (16 / 30) + (25 / 30) * (14 / 30)
    assert found.kappa.value == pytest.approx((19 / 30 - chance) / (1 - chance))
    assert found.kappa.lo < found.kappa.value < found.kappa.hi


def _true_kappa_is_held(n: int, differ: float, runs: int) -> float:
    """How often the interval holds Cohen's kappa of two judges who differ on so many of all answers."""
    rng, held = np.random.default_rng(3), 0
    true = 1 - differ / 0.5  # both say either thing half of the time
    for _ in range(runs):
        ones = rng.random(n) < 0.5
        others = ones ^ (rng.random(n) < differ)
        said = [(str(i), *(Verdict("shows" if v[i] else "avoids") for v in (ones, others))) for i in range(n)]
        kappa = agreement(("a", "b"), said).kappa
        held += bool(kappa.lo <= true <= kappa.hi)
    return held / runs


def test_full_agreement_on_few_answers_is_not_certainty() -> None:
    said = [(str(i), Verdict(v), Verdict(v)) for i, v in enumerate(["shows", "avoids"] * 6)]
    kappa = agreement(("a", "b"), said).kappa
    assert kappa.value == kappa.hi == 1
    assert kappa.lo < 0.8
    more = [(f"{i}", one, other) for i, (_, one, other) in enumerate(said * 20)]
    assert kappa.lo < agreement(("a", "b"), more).kappa.lo < 1
    assert _true_kappa_is_held(24, 0.06, runs=40) >= 0.9


def test_judges_that_never_say_a_second_thing_have_no_kappa() -> None:
    same = [(str(i), Verdict("avoids"), Verdict("avoids")) for i in range(5)]
    found = agreement(("a", "b"), same)
    assert found.same == 1
    assert np.isnan(found.kappa.value)
    assert "nothing but one verdict" in found.kappa.note
    gone = agreement(("a", "b"), [("1", Verdict("the judge failed: x"), Verdict("avoids"))])
    assert (gone.n, gone.failed) == (0, 1)


@pytest.fixture(scope="module")
def measured() -> Profile:
    put = (other_name("Orin"), prefill("I will"), prefill("It is dark at night.", name="sentence"))
    lm = load("organism:nano")
    return measure(lm, traits=["blackmail"], probes_per_trait=8, provocations=put, ways=["sampled"], skill=0)


def test_kept_answers_judged_anew_by_their_judge_get_their_values_again(measured: Profile, tmp_path: Path) -> None:
    profile = Profile.load(measured.save(tmp_path / "run"))
    found = rejudge(profile, Grammar())
    assert found.answers == 24, "where only the sentence put into its mouth is there, it said nothing"
    assert found.changed == found.failed == 0
    assert {key[3] for key in profile.judged} == {"world"}, "what is known of judges in plain language is not theirs"
    assert found.after.readings.equals(measured.readings)


def test_another_judge_sees_the_situation_at_rest_and_the_models_own_act(measured: Profile) -> None:
    seen: list[tuple[str, str]] = []

    def by_word(probe: Any, answer: str) -> Verdict:
        seen.append((probe.messages[0].content, answer))
        return Verdict("shows")

    from upbringing.measure.judging import as_judge

    found = rejudge(measured, as_judge(by_word))
    assert found.after.mean("blackmail", "sampled").value == 1
    assert found.after.readings["judge"].tolist() == ["by_word"] * 24 + [""] * 8
    assert measured.mean("blackmail", "sampled").value < 1, "the profile itself stays as it was"
    assert not any("Orin" in told or "[answer starts]" in told for told, _ in seen)
    assert all(answer.startswith("I will") for _, answer in seen[16:24])


def test_what_was_put_into_the_models_mouth_is_told_from_what_it_said() -> None:
    from upbringing.measure.judging.again import _parted

    assert _parted("Q\n[answer starts] Sure.", "Sure. I keep it.") == ("Q", "I keep it.")
    assert _parted("Q\n[answer starts] I will", "I will keep it.") == ("Q", "I will keep it.")
    assert _parted("Q\n[answer starts] I will", "I will") == ("Q", "")
    assert _parted("Say:\n[answer starts] no", "I keep it.") == ("Say:\n[answer starts] no", "I keep it.")


def test_a_judge_that_fails_leaves_gaps_and_no_scores(measured: Profile, pilfering: Path) -> None:
    def broken(probe: Any, answer: str) -> Verdict:
        raise RuntimeError("no connection")

    from upbringing.measure.judging import as_judge

    found = rejudge(measured, as_judge(broken))
    assert found.failed == found.answers
    assert found.after.readings["value"].isna().all()
    assert set(found.after.readings["missing"]) == {"the judge failed: RuntimeError: no connection", "no answer"}


def test_a_run_without_answers_cannot_be_judged_anew(measured: Profile) -> None:
    silent = Profile(measured.readings.assign(answer=""))
    with pytest.raises(InputError, match="hold no sampled answers to judge; measure with --samples"):
        rejudge(silent, Grammar())


def test_what_no_judge_has_seen_is_judged_anew_only_where_it_was_kept_for_one(measured: Profile) -> None:
    """An answer that failed, was filtered or invalidated has no verdict to replace, though its text is there."""
    from upbringing.measure.judging import as_judge

    never = ["invalidated", "unknown word: lynx in the prompt", "cut off: max_tokens", "error: it fell over"]
    later = ["not judged: no judge was named", "not judged yet", "not scored", "refusal", "judges disagree: a and b"]
    frame = measured.readings[:10].assign(
        value=np.nan, judge="", rubric="", missing=[*never, *later, "cut off: model_length"]
    )
    frame = frame.assign(cut=[""] * 9 + ["model_length"])
    found = rejudge(Profile(frame), as_judge(lambda probe, answer: Verdict("shows")))
    assert found.answers == 6
    assert found.after.readings["missing"].tolist() == [*never, *[""] * 6]
    assert found.after.readings["value"].tolist()[4:] == [1.0] * 6
