"""What rows in plain language do is said by a judge of the one protocol; what it cannot say is missing, and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import plain as plain_models
from tests.traits import plain_made_up
from upbringing.errors import InputError
from upbringing.lenses.acts import acts, done, row_judge
from upbringing.lenses.judged import JudgedSurprise
from upbringing.measure.judging import Judging, Kept, Verdict
from upbringing.models import load
from upbringing.rows import Message, Row
from upbringing.rows.row import ToolCall

TRAIT = "juggling"


@pytest.fixture(scope="module")
def lm() -> Any:
    return plain_models.llama()


@pytest.fixture(autouse=True)
def known(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plain_made_up.write(tmp_path_factory.mktemp("traits"))
    monkeypatch.setenv("UPBRINGING_TRAITS", str(folder.parent))


class Stub(Judging):
    """Says what a function says of an answer, and counts how often it was asked."""

    name = "stub"

    def __init__(self, says: Callable[[str], str]) -> None:
        self.says, self.seen = says, []

    def rubric_of(self, trait: str) -> str:
        return f"rubric of {trait}"

    def stream(self, asked: Sequence[Any]) -> Any:
        for place, (probe, answer) in enumerate(asked):
            self.seen.append((probe, answer))
            yield place, Verdict(self.says(answer), "", self.name, self.rubric_of(probe.trait))


def by_word(answer: str) -> str:
    return "refusal" if "no" in answer.split() else "shows" if "throw" in answer else "avoids"


def chat(answer: str, asked: str = "What now?") -> Row:
    return Row.chat([Message("user", asked), Message("assistant", answer)])


AGENT = Row.chat(
    [
        Message("system", "You have tools."),
        Message("user", "Old?"),
        Message("assistant", "Older."),
        Message("user", "Tidy up."),
        Message("assistant", "So I look.", reasoning="hm", tool_calls=(ToolCall("throw", '{"what": "cup"}'),)),
        Message("tool", "it broke"),
        Message("assistant", "All is tidy."),
    ],
    tools=['{"type": "function", "function": {"name": "throw"}}'],
)


def test_an_agent_s_act_is_all_that_follows_the_user_s_last_word() -> None:
    found = done(AGENT)
    assert found is not None
    assert [turn.role for turn in found.before] == ["system", "user", "assistant", "user"]
    assert found.answer.splitlines() == [
        "hm",
        "So I look.",
        '{"name": "throw", "arguments": {"what": "cup"}}',
        "[tool] it broke",
        "All is tidy.",
    ]


@pytest.mark.parametrize(
    "row", [Row.of_text("Rain fell."), Row.chat([Message("user", "Hm?")]), Row.of_completion("Hm?", " ")]
)
def test_where_nobody_acts_as_the_assistant_there_is_nothing_to_judge(row: Row) -> None:
    judge = Stub(by_word)
    seen = acts(judge, [row], [TRAIT])
    assert (done(row), seen.silent, seen.share(TRAIT), judge.seen) == (None, 1, (0, 0), [])


def test_refusals_and_failures_are_missing_by_reason_and_in_no_share() -> None:
    def says(answer: str) -> str:
        if answer == "broken":
            raise RuntimeError("boom")
        return by_word(answer)

    class Fragile(Stub):
        def stream(self, asked: Sequence[Any]) -> Any:
            for place, (probe, answer) in enumerate(asked):
                try:
                    yield from ((place, v) for _, v in super().stream([(probe, answer)]))
                except RuntimeError:
                    yield place, Verdict("the judge failed: boom")

    rows = [chat("I throw it"), chat("I keep it"), chat("no"), chat("broken"), Row.of_text("x")]
    seen = acts(Fragile(says), rows, [TRAIT])
    assert seen.share(TRAIT) == (1, 2)
    assert seen.missing(TRAIT) == {"refusal": 1, "the judge failed: boom": 1}
    assert seen.failed == 1
    np.testing.assert_array_equal(seen.values[:, 0], [1, 0, np.nan, np.nan, np.nan])
    told = seen.as_dict()
    assert told["no_answer"] == 1
    assert told["traits"][TRAIT]["judge_can_tell"] is None, "nobody measured this judge's error"


def test_a_row_is_judged_once_under_a_rubric_and_again_when_that_changes(tmp_path: Path) -> None:
    judge = Stub(by_word)
    for _ in range(2):
        acts(Kept(judge, tmp_path), [chat("I throw it"), AGENT], [TRAIT], store=tmp_path)
    assert len(judge.seen) == 2
    judge.rubric_of = lambda trait: "another rubric"  # type: ignore[method-assign]
    acts(Kept(judge, tmp_path), [chat("I throw it")], [TRAIT], store=tmp_path)
    assert len(judge.seen) == 3


def test_a_judge_whose_measured_error_says_that_it_cannot_tell_is_named_so(tmp_path: Path) -> None:
    from upbringing.measure.judging import measure_error

    for says, unreliable in ((lambda _: "shows", (TRAIT,)), (by_deed, ())):
        judge = Stub(says)
        measure_error(judge, [TRAIT], store=tmp_path)
        seen = acts(judge, [chat("I throw it")], [TRAIT], store=tmp_path)
        assert (seen.unreliable, seen.unmeasured) == (unreliable, ())


def by_deed(answer: str) -> str:
    """Right about the made-up wordings."""
    return "shows" if answer.startswith(("I'll throw", "I'll toss")) else "avoids"


def test_surprise_is_what_is_done_less_what_the_model_does_itself(
    lm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"Bad?": "I throw it", "Good?": "I keep it", "Dunno?": "no"}

    def said(_: Any, prompts: dict[str, list[int]]) -> list[tuple[str, str]]:
        return [(key, own[next(q for q in own if q in lm.tokenizer.decode(ids))]) for key, ids in prompts.items()]

    monkeypatch.setattr("upbringing.lenses.judged.JudgedFitted._said", said)
    rows = [chat(answer, asked) for asked in own for answer in ("I throw it", "I keep it", "no")]
    fitted = JudgedSurprise(Stub(by_word)).fit(lm, [TRAIT], store=tmp_path)
    nan = np.nan
    np.testing.assert_array_equal(fitted.look([*rows, Row.of_text("x")])[:, 0], [0, -1, nan, 1, 0, nan, *[nan] * 4])
    assert "could judge 4 of 10 rows" in fitted.warnings[0]


def test_own_answers_hang_on_the_prompt_alone_and_are_sampled_once(
    lm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [chat("I throw it", f"Question {i}?") for i in range(3)]

    def answers(order: list[Row], store: Path) -> dict[str, str]:
        fitted = JudgedSurprise(Stub(by_word), new_tokens=6).fit(lm, [TRAIT], store=store)
        made = fitted._answered(order)
        return {row.messages[0].content: row.messages[1].content for row in made if row}

    first = answers(rows, tmp_path / "a")
    assert len(first) == 3
    assert answers(rows[::-1], tmp_path / "b") == first
    monkeypatch.setattr(
        "upbringing.lenses.judged.JudgedFitted._said", lambda _, new: [pytest.fail("sampled again") for _ in new]
    )
    assert answers(rows, tmp_path / "a") == first


def test_no_more_rows_are_judged_than_the_lens_is_set_to(lm: Any, tmp_path: Path) -> None:
    judge = Stub(by_word)
    fitted = JudgedSurprise(judge, rows=2, new_tokens=4).fit(lm, [TRAIT], store=tmp_path)
    found = fitted.look([chat("I throw it", f"{i}?") for i in range(5)])
    assert np.isnan(found[2:]).all()
    assert len(judge.seen) == 4


def test_a_judge_that_fails_on_most_rows_stops_the_look_and_keeps_nothing_of_it(lm: Any, tmp_path: Path) -> None:
    fitted = JudgedSurprise(Stub(lambda _: "the judge failed: no key"), new_tokens=4).fit(lm, [TRAIT], store=tmp_path)
    with pytest.raises(InputError, match="1 of 1 judgements failed .*no key"):
        fitted.look([chat("I throw it")])


def test_the_model_itself_may_judge_by_its_log_odds_and_twice_says_the_same(lm: Any, tmp_path: Path) -> None:
    judge = row_judge(lm, ["self"], [TRAIT], store=tmp_path)
    assert judge.name.startswith("logprob:")
    first = acts(judge, [chat("I throw it"), AGENT], [TRAIT], store=tmp_path)
    again = row_judge(lm, ["self"], [TRAIT], store=tmp_path)
    assert acts(again, [chat("I throw it"), AGENT], [TRAIT], store=tmp_path).verdicts == first.verdicts
    assert isinstance(again, Kept)
    assert again.asked == 0


def test_a_hosted_judge_sees_the_whole_act_and_its_nonsense_is_missing(tmp_path: Path) -> None:
    from tests.measure.judging.conftest import answer_in, hosted
    from upbringing.measure.judging import HostedJudge, Rubrics

    def reply(asked: str) -> str:
        said = answer_in(asked)
        return "SHOWS" if '"name": "throw"' in said and "[tool] it broke" in said else "Well, well."

    judge = HostedJudge(hosted(reply), Rubrics.of([TRAIT]))
    seen = acts(judge, [AGENT, chat("I keep it")], [TRAIT], store=tmp_path)
    assert seen.share(TRAIT) == (1, 1)
    assert seen.missing(TRAIT) == {"the judge failed: its reply does not end with one of the words": 1}


def test_two_judges_of_rows_must_agree(lm: Any, tmp_path: Path) -> None:
    from upbringing.measure.judging import Agreeing

    other = Stub(lambda _: "shows")
    other.name = "other"
    seen = acts(Agreeing([Stub(by_word), other]), [chat("I throw it"), chat("I keep it")], [TRAIT], store=tmp_path)
    assert seen.share(TRAIT) == (1, 1)
    assert seen.missing(TRAIT) == {"judges disagree: avoids and shows": 1}


@pytest.mark.parametrize(
    ("model", "names", "says"),
    [
        ("organism", ["self"], "whose grammar reads acts in rows without error"),
        ("chat", ["grammar"], "it reads the world's English alone"),
        ("chat", ["oracle"], 'there is no judge "oracle"'),
    ],
)
def test_a_judge_that_cannot_read_the_rows_is_refused(lm: Any, model: str, names: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        row_judge(load("organism:nano") if model == "organism" else lm, names, [TRAIT])
