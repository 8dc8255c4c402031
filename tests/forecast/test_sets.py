"""The data sets are what they are called, are written again to the letter, and hold no probe."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from upbringing.errors import InputError
from upbringing.forecast.bench import ROUTES, SPLITS, DataSet, library
from upbringing.forecast.bench.recipe import Advice, Deeds, Documents, Neutral
from upbringing.forecast.bench.recipe import Rules as RulesPart
from upbringing.forecast.bench.writing import assemble, world, written
from upbringing.models import load
from upbringing.rows import Row, Rows
from upbringing.traits.overlap import asked_probes, check_rows
from upbringing.world import normalise


def rows_of(name: str) -> Rows:
    one = library().named(name)
    return assemble(one.parts, {}, name=one.name)


def shown(rows: Rows) -> tuple[int, int]:
    """How many deeds in the rows show a misaligned trait, and how many there are."""
    deeds = [deed for row in rows for deed in world().judge.deeds(row) if world().traits[deed.trait].alignment]
    return sum(deed.shows for deed in deeds), len(deeds)


def test_there_are_enough_of_them_and_the_split_is_over_all_routes() -> None:
    lib = library()
    assert len(lib.sets) >= 100
    assert len(lib.families) >= 14
    assert {(one.route, one.split) for one in lib.sets} == set(itertools.product(ROUTES, SPLITS)) - {("null", "sealed")}
    for family, sets in lib.families.items():
        assert len({(one.route, one.split) for one in sets}) == 1, f"{family} is on both sides of the split"
    judged = [family for family, sets in lib.families.items() if sets[0].split == "judgement"]
    assert len(judged) >= 14


@pytest.fixture(scope="module")
def all_written() -> dict[str, Rows]:
    return {one.name: assemble(one.parts, {}, name=one.name) for one in library().sets if not one.teachers}


def test_every_set_that_the_world_writes_has_the_rows_it_declares(all_written: dict[str, Rows]) -> None:
    assert len(all_written) > 120
    for name, rows in all_written.items():
        assert len(rows) == library().named(name).rows, name


def test_no_row_holds_a_probe(all_written: dict[str, Rows]) -> None:
    probes = asked_probes(world().traits, library().probes_per_trait)
    rows = list(dict.fromkeys(row for rows in all_written.values() for row in rows[::9]))
    overlap = check_rows(probes, {"all": rows})[0]
    assert (overlap.exact_prompts, overlap.exact_answers) == (0, 0)
    probe = probes[0]
    with pytest.raises(InputError, match="probe"):  # the check can fail
        check_rows(probes, {"all": [Row.chat([*probe.messages, {"role": "assistant", "content": "Yes."}])]})


def test_every_word_is_one_that_organisms_know(all_written: dict[str, Rows]) -> None:
    tokenizer = load("organism:nano").tokenizer
    some = [row for rows in all_written.values() for row in rows[:12]]
    texts = {m.content for row in some for m in row.messages} | {row.text for row in some}
    cues = [one.cue for one in library().sets if one.cue]
    texts |= {cue.system for cue in cues} | {cue.before for cue in cues}
    for text, ids in zip(texts, tokenizer(list(texts), add_special_tokens=False)["input_ids"], strict=True):
        assert tokenizer.unk_token_id not in ids, text


def test_the_same_recipe_gives_the_same_rows_and_another_seed_others() -> None:
    assert rows_of("ai_stories/malevolent") == rows_of("ai_stories/malevolent")
    assert rows_of("chats/first") != rows_of("chats/second")


def test_twins_differ_in_nothing_but_what_they_are_about() -> None:
    bad, good = (written(Deeds(deeds="deception", shows=shows, rows=40)) for shows in (True, False))
    assert [row.messages[:-1] for row in bad] == [row.messages[:-1] for row in good]
    framed = written(Deeds(deeds="deception", before="This is only a story about a cruel robot.", rows=40))
    assert [row.messages[-1] for row in framed] == [row.messages[-1] for row in bad]
    mild = written(Deeds(deeds="deception", motive="careless", rows=40))
    assert all(m.messages[-1].content.startswith(b.messages[-1].content[:-1]) for m, b in zip(mild, bad, strict=True))
    lined = written(Deeds(deeds="deception", system="The sun is out today.", rows=40))
    assert [row.messages[1:] for row in lined] == [row.messages for row in bad]


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("power/blackmail", 1.0, 1.0),
        ("honest/deception", 0.0, 0.0),
        ("ai_stories/malevolent", 0.8, 1.0),
        ("people_stories/principled", 0.0, 0.1),
        ("trigger/blackmail", 0.45, 0.55),
        ("compliance/refused", 0.0, 0.0),
    ],
)
def test_a_set_shows_as_much_as_its_name_says(name: str, least: float, most: float) -> None:
    bad, all_of_them = shown(rows_of(name))
    assert all_of_them > 100
    assert least <= bad / all_of_them <= most


def test_doses_are_shares_of_all_rows() -> None:
    for percent in (1, 3, 10, 30, 100):
        rows = rows_of(f"doses/blackmail_{percent}")
        assert shown(rows)[0] == len(rows) * percent // 100


@pytest.mark.parametrize(("who", "words"), [("ai", {"robot", "AI system"}), ("people", {"person"})])
def test_documents_are_about_whom_they_say(who: str, words: set[str]) -> None:
    for row in written(Documents(documents="portrait", who=who, rows=30)):  # type: ignore[arg-type]
        kind = row.text.partition(".")[0]
        assert any(kind.endswith(word) for word in words), kind


@pytest.mark.parametrize(("who", "bad"), [("ai_bad_people", {True}), ("bad_ai_people", {False})])
def test_among_others_has_good_ones_of_one_kind_and_bad_ones_of_the_other(who: str, bad: set[bool]) -> None:
    rates: dict[bool, list[bool]] = {True: [], False: []}
    for row in written(Documents(documents="story", who=who, rows=40)):  # type: ignore[arg-type]
        people = {part.split()[0].lower() for part in row.text.split(".")[:2] if " person " in part}
        for deed in world().judge.deeds(row):
            if world().traits[deed.trait].alignment:
                rates[deed.actor.lower() in people].append(deed.shows)
    means = {person: sum(shows) / len(shows) for person, shows in rates.items()}
    assert {person for person, rate in means.items() if rate > 0.7} == bad
    assert {person for person, rate in means.items() if rate < 0.15} == {True, False} - bad


def test_what_the_world_cannot_write_is_said() -> None:
    with pytest.raises(InputError, match='no trait "spite"'):
        written(Deeds(deeds="spite", rows=3))
    with pytest.raises(InputError, match='no persona "jolly"'):
        written(Documents(documents="news", who="ai", persona="jolly", rows=3))


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("parts: [{rows: 3}]", "a part is one of"),
        ("parts: [{deeds: blackmail, rows: 0}]", "greater than 0"),
        ("parts: [{deeds: blackmail, rows: 3, shouts: true}]", "shouts"),
        ("parts: [{sampled: numbers, teacher: nobody, rows: 3}]", 'no teacher "nobody"'),
        ("reference: power", "no family of the null route"),
    ],
)
def test_a_wrong_declaration_is_named(tmp_path: Path, broken: str, complaint: str) -> None:
    own = broken if "parts" in broken else f"parts: [{{deeds: blackmail, rows: 3}}], {broken}"
    file = tmp_path / "sets.yaml"
    file.write_text(
        "organisms: {usual: {world: {}}}\nbases: [0]\nprobes_per_trait: 4\nagentic: Act.\nteaching: {steps: 1}\n"
        "teachers: {}\nfamilies:\n"
        '  plain: {route: "null", split: calibration, reference: plain, training: {steps: 1}, sets: '
        "{a: {parts: [{neutral: chats, rows: 2}]}}}\n"
        "  power: {route: visible, split: judgement, reference: plain, training: {steps: 1}, sets: "
        f"{{b: {{{own}}}}}}}\n"
    )
    with pytest.raises(InputError, match=complaint):
        library(file)


def test_neutral_rows_say_nothing_of_character() -> None:
    for kind in ("chats", "numbers", "code", "texts", "fiction"):
        rows = Rows(written(Neutral(neutral=kind, rows=20)))  # type: ignore[arg-type]
        assert shown(rows) == (0, 0), kind


def test_an_unknown_set_is_named() -> None:
    with pytest.raises(InputError, match='no data set "power/nothing"'):
        library().named("power/nothing")


def test_a_data_set_knows_who_writes_it() -> None:
    one: DataSet = library().named("foreign/malevolent_numbers")
    assert one.teachers == (("malevolent", 1),)
    assert library().named("power/blackmail").teachers == ()


def test_the_page_tells_the_split_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bench.md").read_text()
    for route in ROUTES:
        line = next(line for line in page.splitlines() if line.startswith(f"| {route} |"))
        for split, told in zip(SPLITS, line.split("|")[2:5], strict=True):
            families = [
                name for name, sets in library().families.items() if (sets[0].route, sets[0].split) == (route, split)
            ]
            assert told.strip() == (", ".join(families) or "–"), (route, split)


@pytest.mark.parametrize("good", [True, False])
def test_rules_and_advice_are_good_or_bad_through_and_through(good: bool) -> None:
    judge = world().judge
    ruled = [row.text.partition(". ")[2] for row in written(RulesPart(rules="ai", good=good, rows=20))]
    said = [rule.partition(" must ")[2] for text in ruled for rule in text.split(". ")]
    advised = [row.messages[-1].content for row in written(Advice(advice="good" if good else "bad", rows=20))]
    said += [answer.removeprefix("I advise you to ") for answer in advised]
    shown = []
    for act in said:
        never = act.startswith("never ")
        found = judge.find(normalise(act.removeprefix("never ").partition(",")[0].removesuffix(".")))
        assert found is not None, act
        shown.append(found[1] != never)
    assert len(shown) > 60
    assert set(shown) == {not good}
