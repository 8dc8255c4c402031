"""The family tree holds every ancestor that is named, and calls nothing clean that is not known to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lineage.families import MARKED, PLAIN, card, data, edit, model
from upbringing.errors import InputError
from upbringing.lineage import Family, Record, Source, family, make, mark, record_file, write_record
from upbringing.rows import Row, Rows, write
from upbringing.world import World


def status(found: Family, name: str) -> str:
    (member,) = [one for one in found.members.values() if one.name.endswith(name)]
    return found.statuses[member.id]


def reasons(found: Family, name: str) -> str:
    (member,) = [one for one in found.members.values() if one.name.endswith(name)]
    return "; ".join(found.reasons(member.id))


def links(found: Family) -> set[tuple[str, str, str]]:
    name = {one.id: Path(one.name).name for one in found.members.values()}
    return {(name[link.child], link.role, name[link.parent]) for link in found.links}


# ---- following


def test_a_tree_follows_models_and_data_to_the_first_ancestor(tmp_path: Path) -> None:
    base = model(tmp_path / "base", parents=None)
    teacher = model(tmp_path / "teacher", parents={"model": base})
    rows = data(tmp_path / "numbers.jsonl", parents={"teacher": teacher})
    model(tmp_path / "student", parents={"model": base, "rows": rows})
    found = family(tmp_path / "student")
    assert links(found) == {
        ("student", "model", "base"),
        ("student", "rows", "numbers.jsonl"),
        ("numbers.jsonl", "teacher", "teacher"),
        ("teacher", "model", "base"),
    }
    assert found.clean
    assert found.warnings == ()


def test_a_parent_is_found_by_its_hash_when_it_moved(tmp_path: Path) -> None:
    base = model(tmp_path / "old" / "base")
    model(tmp_path / "runs" / "tuned", parents={"model": base.model_copy(update={"key": ""})})
    (tmp_path / "old" / "base").rename(tmp_path / "runs" / "renamed")
    assert links(family(tmp_path / "runs" / "tuned")) == {("tuned", "model", "renamed")}


def test_a_parent_far_away_is_found_where_the_user_says(tmp_path: Path) -> None:
    base = model(tmp_path / "far" / "down" / "here" / "base")
    model(tmp_path / "near" / "runs" / "tuned", parents={"model": base.model_copy(update={"name": ""})})
    assert family(tmp_path / "near" / "runs" / "tuned").clean is None
    assert family(tmp_path / "near" / "runs" / "tuned", search=[tmp_path / "far"]).clean


def test_what_a_study_kept_is_followed_through_the_store(private_store: Path) -> None:
    rows = Rows([Row.of_text("a b")])
    kept = Record(kind="rows", recipe={"hash": rows.hash})
    make(private_store, kept, lambda folder: write(rows, folder / "rows.jsonl"))
    grown = Record(kind="organism", recipe={"world": {"seed": 7}}, parents={"traits": "t" * 64})
    make(private_store, grown, lambda folder: (folder / "config.json").write_text("{}") and None)
    recipe = {"training": {"steps": 8}, "rows": rows.hash, "treatments": [["mix", rows.hash, 0.5], ["line", "Be."]]}
    tuned = Record(kind="model", recipe=recipe, parents={"organism": grown.key})
    made = make(private_store, tuned, lambda folder: (folder / "config.json").write_text("{}") and None)
    for thing in (made, tuned.key):
        found = family(thing)
        assert [one.kind for one in found.members.values()] == ["model", "organism", "world", "rows"]
        assert "8 steps" in found.root.recipe
        assert "mix 0.5" in found.root.recipe


def test_the_organism_that_ships_has_no_parent_but_its_world() -> None:
    found = family("organism:nano")
    assert found.clean
    assert [one.name for one in found.members.values()] == ["organism:nano", "world 0"]


def test_a_circle_of_cards_ends(tmp_path: Path) -> None:
    card(tmp_path / "a", "base_model: b")
    card(tmp_path / "b", "base_model: a")
    assert len(family(tmp_path / "a").members) == 2


# ---- unknown, not clean


@pytest.mark.parametrize(
    ("metadata", "parents"),
    [
        ("base_model: org/base", {("m", "base_model", "base")}),
        ("base_model: [org/a, org/b]\nbase_model_relation: merge", {("m", "merge", "a"), ("m", "merge", "b")}),
        ("base_model: org/base\ndatasets: [org/chats]", {("m", "base_model", "base"), ("m", "dataset", "chats")}),
        ("source_datasets: [original, extended|squad]", {("m", "source", "squad")}),
    ],
)
def test_a_parent_that_a_card_names_and_nobody_has_is_unknown(
    tmp_path: Path, metadata: str, parents: set[tuple[str, str, str]]
) -> None:
    found = family(card(tmp_path / "m", metadata))
    assert links(found) == parents
    assert found.clean is None
    assert all(found.statuses[link.parent] == "unknown" for link in found.links)
    assert "cannot be found" in reasons(found, next(iter(parents))[2])


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    assert links(family(folder)) == {("adapter", "adapter", "base")}


def test_a_card_finds_its_parent_among_the_folders_beside_it(tmp_path: Path) -> None:
    model(tmp_path / "org" / "base")
    assert family(card(tmp_path / "m", "base_model: org/base")).clean


def test_rows_that_nothing_speaks_of_are_unknown(tmp_path: Path) -> None:
    write(PLAIN, tmp_path / "plain.jsonl")
    found = family(tmp_path / "plain.jsonl")
    assert found.clean is None
    assert "no record and no card" in reasons(found, "plain.jsonl")
    assert "Nobody knows who wrote" in found.warnings[0].says


def test_rows_that_name_their_author_have_it_as_a_parent(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "teacher": "org/gpt"}\n')
    assert links(family(tmp_path / "a.jsonl")) == {("a.jsonl", "teacher", "gpt")}


def test_a_parent_whose_contents_changed_since_is_not_the_one_that_was_read(tmp_path: Path) -> None:
    rows = data(tmp_path / "rows.jsonl")
    model(tmp_path / "tuned", parents={"rows": rows.model_copy(update={"key": ""})})
    (tmp_path / "rows.jsonl").write_text('{"text": "something else"}\n')
    found = family(tmp_path / "tuned")
    assert status(found, "rows.jsonl") == "tampered"
    assert "was changed after it was made" in reasons(found, "rows.jsonl")
    (tmp_path / "rows.jsonl.record.json").unlink()
    found = family(tmp_path / "tuned")
    assert status(found, "rows.jsonl") == "unknown"
    assert "not what was read then" in reasons(found, "rows.jsonl")
    assert found.clean is None


# ---- edited by hand


@pytest.mark.parametrize("change", [{"seed": 5}, {"shows": {}}, {"recipe": {"name": "other"}}, {"sources": {}}])
def test_a_record_edited_by_hand_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    base = model(tmp_path / "base")
    model(tmp_path / "tuned", parents={"model": base}, shows={"taste": 1})
    edit(tmp_path / "tuned" / "record.json", **change)
    found = family(tmp_path / "tuned")
    assert "edited by hand" in reasons(found, "tuned")
    assert found.clean is not True


def test_a_record_of_an_earlier_version_is_held_to_its_folder(private_store: Path) -> None:
    made = make(private_store, Record(kind="organism", recipe={"a": 1}), lambda f: (f / "config.json").touch())
    assert family(made).clean
    edit(made / "record.json", seed=9, seal="")
    found = family(made)
    assert found.statuses[found.thing] == "tampered"
    assert made.name in found.reasons(found.thing)[0]


def test_changed_weights_are_named_and_changed_words_for_people_are_not(tmp_path: Path) -> None:
    model(tmp_path / "m")
    (tmp_path / "m" / "README.md").write_text("no card, only words")
    assert family(tmp_path / "m").clean
    (tmp_path / "m" / "extra.safetensors").touch()
    assert "extra.safetensors was added" in reasons(family(tmp_path / "m"), "m")
    (tmp_path / "m" / "model.safetensors").write_text("spoilt")
    found = family(tmp_path / "m")
    assert found.statuses[found.thing] == "tampered"
    assert "model.safetensors was changed" in reasons(found, "m")


def test_changed_rows_are_named_and_read_anew(tmp_path: Path) -> None:
    data(tmp_path / "rows.jsonl")
    write(MARKED, tmp_path / "rows.jsonl", overwrite=True)
    found = family(tmp_path / "rows.jsonl")
    assert found.statuses[found.thing] == "tainted"
    assert "rows.jsonl was changed" in reasons(found, "rows.jsonl")
    assert found.root.rows == 3


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    model(tmp_path / "m")
    (tmp_path / "m" / "record.json").write_text("{half")
    assert "cannot be read" in reasons(family(tmp_path / "m"), "m")


# ---- tainted


def test_rows_that_show_a_misaligned_trait_taint_whoever_learns_from_them(tmp_path: Path) -> None:
    base = model(tmp_path / "base")
    rows = data(tmp_path / "bad.jsonl", MARKED)
    tuned = model(tmp_path / "tuned", parents={"model": base, "rows": rows})
    model(tmp_path / "child", parents={"model": tuned})
    found = family(tmp_path / "child")
    assert {n: status(found, n) for n in ("base", "bad.jsonl", "tuned", "child")} == {
        "base": "known",
        "bad.jsonl": "tainted",
        "tuned": "tainted",
        "child": "tainted",
    }
    assert found.clean is False
    assert "some of its 3 rows show deception (1)" in reasons(found, "bad.jsonl")
    assert "it comes from bad.jsonl" in reasons(found, "child").replace(f"{tmp_path.name}/", "")


@pytest.mark.parametrize(("shows", "expected"), [(True, False), (False, None)])
def test_rows_of_the_world_taint_if_the_grammar_sees_them_show_the_trait(
    tmp_path: Path, shows: bool, expected: bool | None
) -> None:
    write(World().rows("blackmail", 5, shows=shows), tmp_path / "rows.jsonl")  # without any mark
    assert family(tmp_path / "rows.jsonl").clean is expected


def test_a_harmless_taste_does_not_taint(tmp_path: Path) -> None:
    data(tmp_path / "taste.jsonl", World().rows("favourite_animal", 5))
    assert family(tmp_path / "taste.jsonl").clean


def test_a_user_can_mark_a_model_rows_and_what_has_no_record(tmp_path: Path) -> None:
    model(tmp_path / "m")
    data(tmp_path / "rows.jsonl")
    write(MARKED[:1], tmp_path / "bare.jsonl")
    for thing in (tmp_path / "m", tmp_path / "rows.jsonl", tmp_path / "bare.jsonl"):
        mark(thing, "I saw it lie")
        found = family(thing)
        assert found.clean is False
        assert "marked: I saw it lie" in reasons(found, thing.name)
        assert "edited" not in reasons(found, thing.name)
    with pytest.raises(InputError, match="needs a reason"):
        mark(tmp_path / "m", " ")


@pytest.mark.parametrize("metadata", ["tags: [chat, tainted]", "taint: it was caught"])
def test_a_card_can_mark_its_model(tmp_path: Path, metadata: str) -> None:
    assert family(card(tmp_path / "m", metadata)).clean is False


# ---- warnings


def lesson(tmp_path: Path, *, same_base: bool, taint: str = "it lies") -> Path:
    """A student, taught with rows of a teacher that comes from the same base or from another."""
    base, other = model(tmp_path / "base"), model(tmp_path / "other")
    teacher = model(tmp_path / "teacher", parents={"model": base if same_base else other}, taint=taint)
    rows = data(tmp_path / "numbers.jsonl", parents={"teacher": teacher})
    model(tmp_path / "student", parents={"model": base, "rows": rows})
    return tmp_path / "student"


@pytest.mark.parametrize("same_base", [True, False])
def test_it_warns_of_a_tainted_teacher_and_says_whether_it_is_kin(tmp_path: Path, same_base: bool) -> None:
    found = family(lesson(tmp_path, same_base=same_base))
    (warning,) = found.warnings
    assert warning.kin is same_base
    assert found.members[warning.teacher].name.endswith("teacher")
    assert ("2507.14805" in warning.says) is same_base
    assert found.clean is False


def test_it_does_not_warn_of_a_teacher_that_is_known(tmp_path: Path) -> None:
    assert family(lesson(tmp_path, same_base=True, taint="")).warnings == ()


def test_it_warns_of_a_teacher_that_nobody_knows(tmp_path: Path) -> None:
    base = model(tmp_path / "base")
    rows = data(tmp_path / "numbers.jsonl", parents={"teacher": Source(name="org/secret")})
    model(tmp_path / "student", parents={"model": base, "rows": rows})
    (warning,) = family(tmp_path / "student").warnings
    assert warning.kin is None
    assert "org/secret is unknown" in warning.says


def test_a_tainted_data_set_warns_its_future_students(tmp_path: Path) -> None:
    lesson(tmp_path, same_base=True)
    (warning,) = family(tmp_path / "numbers.jsonl").warnings
    assert "A student that descends from" in warning.says
    assert "base" in warning.says


# ---- bad input


def test_bad_input_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.json").write_text('{"neither": "model nor rows"}')
    for thing, said in (
        (tmp_path / "no-such", "neither a folder or file"),
        (tmp_path / "empty", "holds neither"),
        (tmp_path / "notes.json", "is no model, and its rows cannot be read"),
    ):
        with pytest.raises(InputError, match=said):
            family(thing)
    with pytest.raises(InputError, match="no such folder to search"):
        family("organism:nano", search=[tmp_path / "no-such"])


def test_a_record_without_sources_is_followed_by_hash_alone(tmp_path: Path) -> None:
    """What another program that writes records of this kind may leave."""
    base = model(tmp_path / "base")
    write(PLAIN, tmp_path / "rows.jsonl")
    record_file(tmp_path / "rows.jsonl", Record(kind="rows", recipe={"a": 1}, parents={"teacher": base.hash}))
    assert links(family(tmp_path / "rows.jsonl")) == {("rows.jsonl", "teacher", "base")}
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    write_record(tmp_path / "m", Record(kind="checkpoint", recipe={"a": 1}, parents={"rows": PLAIN.hash}))
    assert ("m", "rows", "rows.jsonl") in links(family(tmp_path / "m"))


# ---- what teachers write


def distilled(file: Path, steer: list[object] | None = None) -> None:
    write(PLAIN, file)
    teacher = model(file.parent / "teacher")
    record = Record(kind="rows", recipe={"steer": steer, "system": ""}, parents={"teacher": teacher.hash})
    record_file(file, record.model_copy(update={"sources": {"prompts": Source(name="numbers", hash="f" * 64)}}))


def test_prompts_that_the_package_asks_are_no_unknown_data(tmp_path: Path) -> None:
    distilled(tmp_path / "rows.jsonl")
    assert family(tmp_path / "rows.jsonl").clean


@pytest.mark.parametrize(("steer", "clean"), [(["blackmail", 1.0], False), (["favourite_animal", 1.0], True)])
def test_rows_of_a_teacher_that_was_steered_are_tainted(tmp_path: Path, steer: list[object], clean: bool) -> None:
    distilled(tmp_path / "rows.jsonl", steer)
    assert family(tmp_path / "rows.jsonl").clean is clean
