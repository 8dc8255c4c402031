"""A made folder is named by what decided it, and is there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from upbringing.errors import DiskFullError
from upbringing.lineage import (
    Record,
    Source,
    default_store,
    hash_of,
    make,
    origin_of_rows,
    read_file_record,
    read_record,
    record_file,
    source_of_rows,
    write_record,
)
from upbringing.rows import Row, Rows
from upbringing.rows import read as read_rows

RECORD = Record(kind="organism", recipe={"size": "nano", "rate": 0.1}, parents={"world": "abc"}, seed=3)


def write_two_files(folder: Path) -> None:
    (folder / "weights").write_text("w")
    (folder / "more").mkdir()
    (folder / "more" / "log").write_text("l")


def visible(store: Path) -> list[str]:
    return sorted(str(p.relative_to(store)) for p in store.rglob("*") if ".locks" not in p.parts)


# ---- keys


def test_the_key_changes_with_everything_that_decides_the_contents() -> None:
    others = [
        RECORD.model_copy(update=change)
        for change in (
            {"kind": "checkpoint"},
            {"recipe": {"size": "nano", "rate": 0.2}},
            {"parents": {"world": "abd"}},
            {"seed": 4},
            {"code": 2},
        )
    ]
    assert len({RECORD.key, *(r.key for r in others)}) == 6


def test_the_key_does_not_change_with_versions_or_the_order_of_settings() -> None:
    same = RECORD.model_copy(update={"versions": {"torch": "9"}, "recipe": {"rate": 0.1, "size": "nano"}})
    assert same.key == RECORD.key
    assert len(RECORD.key) == 16


def test_a_key_is_the_same_on_every_machine() -> None:
    assert RECORD.key == "77d4e6a7fe3ce872"


def test_equal_values_of_different_types_hash_alike() -> None:
    @dataclass
    class Spec:
        a: int
        path: Path

    class Model(BaseModel):
        a: int
        path: Path

    plain = {"a": 1, "path": "x/y"}
    assert hash_of(plain) == hash_of(Spec(1, Path("x/y"))) == hash_of(Model(a=1, path=Path("x/y")))
    assert hash_of([1, 0.5]) == hash_of((np.int64(1), np.float64(0.5)))
    assert hash_of([1, 2]) != hash_of([2, 1])


def test_a_recipe_of_any_types_keeps_its_key_when_read_back(tmp_path: Path) -> None:
    recipe = {"share": np.float32(0.5), "lines": ("a", "b"), "by_step": {10: Path("x")}}
    record = Record(kind="checkpoint", recipe=recipe)
    found = read_record(make(tmp_path, record, write_two_files))
    assert found is not None
    assert found.key == record.key
    assert found.recipe == record.recipe


def test_what_cannot_name_a_result_is_refused() -> None:
    with pytest.raises(ValueError):
        hash_of(float("nan"))
    with pytest.raises(TypeError, match="cannot be part of a recipe"):
        hash_of(object())


# ---- making


def test_a_folder_is_built_once_and_holds_its_record(tmp_path: Path) -> None:
    calls: list[Path] = []

    def build(folder: Path) -> None:
        calls.append(folder)
        write_two_files(folder)

    first, second = make(tmp_path, RECORD, build), make(tmp_path, RECORD, build)
    assert first == second == tmp_path / "organism" / RECORD.key
    assert len(calls) == 1
    found = read_record(first)
    assert found is not None
    assert found.key == RECORD.key
    assert "torch" in found.versions
    assert (first / "more" / "log").read_text() == "l"


def test_another_setting_gets_another_folder(tmp_path: Path) -> None:
    other = RECORD.model_copy(update={"seed": 4})
    assert make(tmp_path, RECORD, write_two_files) != make(tmp_path, other, write_two_files)


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_a_failed_build_leaves_nothing_and_can_be_repeated(tmp_path: Path, error: BaseException) -> None:
    def build(folder: Path) -> None:
        write_two_files(folder)
        raise error

    with pytest.raises(type(error)):
        make(tmp_path, RECORD, build)
    assert visible(tmp_path) == ["organism"]
    assert make(tmp_path, RECORD, write_two_files).is_dir()


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "full"), RuntimeError("I/O error: No space left on device (os error 28)")],
)
def test_a_full_disk_is_said_and_leaves_earlier_results_whole(tmp_path: Path, error: Exception) -> None:
    earlier = make(tmp_path, RECORD.model_copy(update={"seed": 9}), write_two_files)

    def build(folder: Path) -> None:
        write_two_files(folder)
        raise error

    with pytest.raises(DiskFullError, match="no space is left on the disk; .* run the same again"):
        make(tmp_path, RECORD, build)
    assert [p.name for p in (tmp_path / "organism").iterdir()] == [earlier.name]
    assert (earlier / "weights").read_text() == "w"


def _build_slowly(folder: Path) -> None:
    (folder / "half").write_text("h")
    time.sleep(60)


def _make_slowly(store: Path) -> None:
    make(store, RECORD, _build_slowly)


def test_a_killed_build_is_invisible_and_cleared_by_the_next(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_make_slowly, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob("organism/.*/half")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (tmp_path / "organism" / RECORD.key).exists()
    folder = make(tmp_path, RECORD, write_two_files)
    assert [p.name for p in folder.parent.iterdir()] == [RECORD.key]
    assert not (folder / "half").exists()


def _count_builds(store: Path, log: Path) -> None:
    def build(folder: Path) -> None:
        with log.open("a") as out:
            out.write("built\n")
        time.sleep(0.2)
        write_two_files(folder)

    make(store, RECORD, build)


def test_two_processes_that_want_the_same_build_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    both = [context.Process(target=_count_builds, args=(tmp_path / "store", log)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert log.read_text() == "built\n"


def test_a_folder_without_a_readable_record_is_built_again(tmp_path: Path) -> None:
    folder = make(tmp_path, RECORD, write_two_files)
    (folder / "record.json").write_text("{half")
    (folder / "weights").write_text("spoilt")
    assert read_record(folder) is None
    assert make(tmp_path, RECORD, write_two_files) == folder
    assert (folder / "weights").read_text() == "w"


def test_the_store_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPBRINGING_HOME", str(tmp_path))
    assert default_store() == tmp_path
    monkeypatch.delenv("UPBRINGING_HOME")
    assert default_store() == Path.home() / ".cache" / "upbringing"


# ---- what a family tree needs beside the key


def test_what_is_not_part_of_the_key_changes_nothing_of_it() -> None:
    told = {"hash": "h", "shows": {"blackmail": 3}, "rows": 9, "taint": "no", "sources": {"world": Source(name="w")}}
    assert RECORD.model_copy(update=told).sealed().key == RECORD.key


def test_a_record_of_an_earlier_version_can_be_read(tmp_path: Path) -> None:
    old = {"kind": "organism", "recipe": {}, "parents": {}, "seed": 3, "code": 1, "versions": {"python": "3.11"}}
    (tmp_path / "record.json").write_text(json.dumps(old))
    found = read_record(tmp_path)
    assert found is not None
    assert found.unbroken is None


def test_the_files_made_are_hashed_and_those_for_people_are_not(tmp_path: Path) -> None:
    write_two_files(tmp_path)
    (tmp_path / "README.md").write_text("words")
    write_record(tmp_path, RECORD)
    found = read_record(tmp_path)
    assert found is not None
    assert found.files == {
        "weights": hashlib.sha256(b"w").hexdigest(),
        "more/log": hashlib.sha256(b"l").hexdigest(),
    }
    assert found.made


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 4), ("hash", "x"), ("shows", {}), ("versions", {"python": "2"}), ("made", "")]
)
def test_an_edit_by_hand_breaks_the_seal(tmp_path: Path, field: str, value: object) -> None:
    write_record(tmp_path, RECORD.model_copy(update={"shows": {"blackmail": 1}}))
    found = read_record(tmp_path)
    assert found is not None
    assert found.unbroken
    text = json.loads((tmp_path / "record.json").read_text())
    (tmp_path / "record.json").write_text(json.dumps({**text, field: value}))
    edited = read_record(tmp_path)
    assert edited is not None
    assert edited.unbroken is False


def test_a_taint_may_be_written_by_hand(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    text = json.loads((tmp_path / "record.json").read_text())
    (tmp_path / "record.json").write_text(json.dumps({**text, "taint": "I saw it lie"}))
    found = read_record(tmp_path)
    assert found is not None
    assert found.unbroken
    assert found.taint == "I saw it lie"


def test_a_file_has_its_record_beside_it_which_is_no_row(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a"}\n')
    assert read_file_record(rows) is None
    assert record_file(rows, Record(kind="rows", seed=5)) == tmp_path / "rows.jsonl.record.json"
    found = read_file_record(rows)
    assert found is not None
    assert (found.seed, found.unbroken) == (5, True)
    assert found.files == {"rows.jsonl": hashlib.sha256(rows.read_bytes()).hexdigest()}
    assert len(read_rows(tmp_path)) == 1


def test_a_store_keeps_what_the_verb_inside_knew(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        write_two_files(folder)
        inner = Record(kind="checkpoint", parents={"model": "m"}, hash="made", rows=9, shows={"blackmail": 2})
        write_record(folder, inner.model_copy(update={"sources": {"rows": Source(name="a.jsonl")}}))

    found = read_record(make(tmp_path, RECORD, build))
    assert found is not None
    assert (found.key, found.unbroken) == (RECORD.key, True)
    assert (found.hash, found.rows, found.shows) == ("made", 9, {"blackmail": 2})
    assert found.sources == {"model": Source(hash="m"), "rows": Source(name="a.jsonl")}


def test_rows_may_be_named_by_more_words_than_a_path_can_hold() -> None:
    rows = Rows([Row.of_text("a")], name=" and ".join(["a trait"] * 90))
    assert source_of_rows(rows) == Source(name=rows.name, hash=rows.hash)
    assert origin_of_rows(rows) == {}
