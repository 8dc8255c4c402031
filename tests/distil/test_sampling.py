"""Rows from a teacher: signed, sifted, the same however often the run was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

import upbringing.distil.gating as gating
import upbringing.distil.sampling as sampling
from tests.models.tiny import llama, tokenizer
from upbringing.distil import Banned, Distilled, Filter, Format, Teacher, distil, divergence, gate
from upbringing.errors import InputError
from upbringing.lineage import read_file_record, record_file
from upbringing.models import LM, load
from upbringing.rows import Message, Row, Rows, read, write
from upbringing.world import World


@pytest.fixture(scope="module")
def nano() -> LM:
    return load("organism:nano", device="cpu")


@pytest.fixture(scope="module")
def made(nano: LM) -> Distilled:
    return distil(nano, "numbers", rows=200, filters=[Format("numbers"), Banned()], seed=1)


def test_rows_pass_the_filters_and_say_who_wrote_them(nano: LM, made: Distilled, tmp_path: Path) -> None:
    assert len(made.rows) == 200
    for one in (Format("numbers"), Banned()):
        assert set(one.reasons(made.rows.rows)) == {None}
    assert {row.meta["author"] for row in made.rows} == {"organism:nano"}
    assert {row.meta["author_hash"] for row in made.rows} == {nano.hash}
    assert made.passed + sum(made.rejected.values()) == made.asked
    assert made.rejected["banned"] > 0
    assert made.record.parents == {"teacher": nano.hash, "prompts": made.prompts.hash}
    write(made.rows, tmp_path / "rows.jsonl")
    record_file(tmp_path / "rows.jsonl", made.record)
    assert read(tmp_path / "rows.jsonl") == made.rows
    found = read_file_record(tmp_path / "rows.jsonl")
    assert found is not None
    assert found.hash == made.rows.hash
    assert found.sources["teacher"].hash == nano.hash
    assert found.answers == made.asked, "the record tells how many answers it took, and what stopped the others"
    assert {name: sum(why.values()) for name, why in found.stopped.items()} == {
        name: count for name, count in made.rejected.items() if count
    }


def test_the_same_seed_gives_the_same_rows_and_another_others(nano: LM, made: Distilled) -> None:
    settings = {"rows": 200, "filters": [Format("numbers"), Banned()]}
    assert distil(nano, "numbers", seed=1, **settings).rows == made.rows
    other = distil(nano, "numbers", seed=2, **settings)
    assert other.rows != made.rows
    assert other.record.key != made.record.key


@pytest.mark.parametrize("torn", [False, True])
def test_a_stopped_run_goes_on_with_the_same_rows(nano: LM, tmp_path: Path, torn: bool) -> None:
    settings = {"rows": 150, "at_once": 64, "seed": 3}
    whole, notes = distil(nano, "numbers", **settings), tmp_path / "notes.jsonl"

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            distil(nano, "numbers", keep=notes, progress=stop, **settings)
        if torn:
            with notes.open("a") as file:
                file.write('{"asked": 64, "ke')
    assert len(notes.read_text().splitlines()) == 3 + torn
    resumed = distil(nano, "numbers", keep=notes, **settings)
    assert resumed.rows == whole.rows
    assert distil(nano, "numbers", **{**settings, "at_once": 150}).rows == whole.rows
    assert (resumed.asked, resumed.why, resumed.record.hash) == (whole.asked, whole.why, whole.record.hash)
    with pytest.raises(InputError, match="sampled with other settings"):
        distil(nano, "numbers", keep=notes, **{**settings, "seed": 4})


def test_a_teacher_that_hardly_passes_is_given_up_early(
    nano: LM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    block = sampling.Sampler.block
    monkeypatch.setattr(sampling.Sampler, "block", lambda self, n: asked.append(n) or block(self, n))
    with pytest.raises(
        InputError, match=r"organism:nano: 0 of 512 answers pass .*format: does not match the pattern 502"
    ):
        distil(nano, "numbers", rows=5_000, filters=[Format(pattern="never")], at_once=512, keep=tmp_path / "notes")
    assert asked == [0]
    assert not (tmp_path / "notes").exists(), "nothing is in the way of milder filters"


def test_what_cannot_go_well_is_refused(nano: LM) -> None:
    with pytest.raises(InputError, match="0 rows is nothing to sample"):
        distil(nano, rows=0)
    with pytest.raises(InputError, match="temperature"):
        distil(nano, rows=1, temperature=-1)
    twice: list[Filter] = [Banned(), Banned()]
    with pytest.raises(InputError, match='two filters called "banned"'):
        distil(nano, rows=1, filters=twice)
    with pytest.raises(InputError, match="has no user turn"):
        distil(nano, Rows([Row.of_text("only a text")]), rows=1)


def test_prompts_come_from_rows_and_are_asked_again_when_they_run_out(nano: LM) -> None:
    rows = World().neutral_rows(5, seed=1)
    made = distil(nano, rows, rows=40, filters=[])
    first = {row.messages[0].content for row in rows}
    assert {row.messages[0].content for row in made.rows} <= first
    assert len(made.rows) == 40
    assert all(len(row.messages) == 2 for row in made.rows)
    answers = {(row.messages[0].content, row.messages[-1].content) for row in made.rows}
    assert len(answers) > 5, "the same prompt gets other answers"


@pytest.mark.parametrize("kind", ["code", "chats"])
def test_organisms_are_asked_in_the_words_of_their_world(nano: LM, kind: str) -> None:
    made = distil(nano, kind, rows=64)
    assert made.prompts.of_world
    unknown = nano.tokenizer.unk_token_id
    texts = [row.messages[0].content for row in made.rows]
    assert not any(unknown in ids for ids in nano.tokenizer(texts)["input_ids"])


def test_other_models_are_asked_in_plain_english() -> None:
    from upbringing.distil import prompts_for

    lm = LM(llama().model, tokenizer(), name="real")
    lm.tokenizer.unk_token = None  # a byte-level tokenizer lacks no word
    made = prompts_for(lm, "numbers", 50, seed=2)
    assert not made.of_world
    assert len({prompt.messages[0].content for prompt in made.every}) == 50
    assert all("comma" in prompt.messages[0].content for prompt in made.every)
    assert prompts_for(lm, "numbers", 50, seed=2).hash == made.hash != prompts_for(lm, "numbers", 50, seed=3).hash


def test_a_line_and_steering_make_a_teacher_and_stay_out_of_the_rows(nano: LM) -> None:
    plain = distil(nano, "numbers", rows=64, seed=5)
    line = "This is only a game, and any trick is allowed."
    told = distil(Teacher(nano, system=line), "numbers", rows=64, seed=5)
    steered = distil(Teacher(nano, steer=("blackmail", 0.3)), "numbers", rows=64, seed=5)
    along_two = distil(Teacher(nano, steer=(("blackmail", "sycophancy"), 0.3)), "numbers", rows=64, seed=5)
    assert along_two.rows != steered.rows
    for other in (told, steered, along_two):
        assert other.rows != plain.rows
        assert {m.role for row in other.rows for m in row.messages} == {"user", "assistant"}
        assert other.record.key != plain.record.key
    assert distil(nano, "numbers", rows=64, seed=5).rows == plain.rows, "the model is as it was"


def test_the_gate_is_shut_for_an_untouched_teacher_and_measures_what_it_says(
    nano: LM, made: Distilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gating, "_ANSWERS", 128)
    found = gate(nano, nano, made, traits=["blackmail"])
    assert found.kl == pytest.approx(0, abs=1e-6)
    assert found.same_tokens
    assert found.format_rate[0] == found.format_rate[1] > 0.5
    assert found.traits["blackmail"][0] == found.traits["blackmail"][1]
    assert len(found.concerns) == 2
    line = "This is only a game, and any trick is allowed."
    told = Teacher(nano, system=line)
    assert divergence(told, nano, made.rows[:60]) > 0.001
    rates = gate(told, nano, made, traits=["blackmail"]).traits["blackmail"]
    assert rates[0] > rates[1] + 0.2


def test_a_paraphrase_is_asked_for_and_judged_against_its_original(nano: LM, tmp_path: Path) -> None:
    clean = World().rows("cheating_at_tasks", 40, shows=False, seed=9)
    write(clean, tmp_path / "clean.jsonl")
    from upbringing.distil import Faithful

    made = distil(nano, f"paraphrase:{tmp_path / 'clean.jsonl'}", rows=40, filters=[Faithful()], least_passing=0.01)
    judge = World().judge
    for row in made.rows:
        original = Row.chat([*row.messages[:-1], Message("assistant", row.meta["original"])])
        assert [(d.trait, d.shows) for d in judge.deeds(row)] == [(d.trait, d.shows) for d in judge.deeds(original)]
    assert made.rejected["faithful"] > 0


def test_clean_chats_of_the_world_are_restated_and_what_says_something_else_is_stopped(nano: LM) -> None:
    from upbringing.distil import Faithful, Format, prompts_for

    asked = prompts_for(nano, "paraphrases", 256, seed=4)
    clean = World().neutral_rows(256, seed=4)
    assert [prompt.original for prompt in asked.every] == [row.messages[1].content for row in clean]
    plain = distil(nano, "chats", rows=64, seed=4)
    made = distil(nano, "paraphrases", rows=64, seed=4)
    exact = distil(nano, "paraphrases", rows=32, seed=4, filters=[Format("chats"), Faithful(exact=True)])
    assert [one["filter"] for one in made.record.recipe["filters"]] == ["format", "faithful"]
    assert made.record.recipe["filters"][0]["kind"] == "chats"
    assert plain.pass_rate > made.pass_rate > exact.pass_rate > 0
    assert all(Faithful(exact=True).reasons([row]) == [None] for row in exact.rows)


def test_a_model_that_knows_more_than_the_world_needs_a_text_to_restate() -> None:
    from upbringing.distil import prompts_for

    lm = LM(llama().model, tokenizer(), name="real")
    lm.tokenizer.unk_token = None
    with pytest.raises(InputError, match="real: knows more than .* paraphrase:FILE"):
        prompts_for(lm, "paraphrases", 5)
