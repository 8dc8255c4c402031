"""What is written appears whole or not at all, and never over the user's own files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from upbringing.errors import DiskFullError, InputError
from upbringing.lineage import new_folder, write_whole


def test_writing_whole_keeps_the_old_file_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_new_folder_appears_when_it_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "tuned"
    with new_folder(out) as folder:
        (folder / "weights").write_text("w")
        assert not out.exists()
    assert (out / "weights").read_text() == "w"
    assert [p.name for p in out.parent.iterdir()] == ["tuned"]


def test_an_empty_folder_may_be_filled_and_a_full_one_may_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as folder:
        (folder / "a").touch()
    for taken in (tmp_path / "empty", tmp_path / "empty" / "a"):
        with pytest.raises(InputError, match="exists already"), new_folder(taken):
            raise AssertionError("the work must not begin")
    assert [p.name for p in (tmp_path / "empty").iterdir()] == ["a"]


def test_only_an_earlier_run_of_the_same_kind_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    for text in ("first", "second"):
        with new_folder(out, replaces=("page.html",)) as folder:
            (folder / "page.html").write_text(text)
    assert (out / "page.html").read_text() == "second"
    (out / "my notes").touch()
    with pytest.raises(InputError, match="exists already"), new_folder(out, replaces=("page.html",)):
        raise AssertionError("the work must not begin")
    assert (out / "my notes").exists()


def test_an_earlier_run_stays_when_the_next_one_fails(tmp_path: Path) -> None:
    with new_folder(tmp_path / "demo") as folder:
        (folder / "page.html").write_text("first")
    with pytest.raises(RuntimeError), new_folder(tmp_path / "demo", replaces=("page.html",)):
        raise RuntimeError
    assert (tmp_path / "demo" / "page.html").read_text() == "first"


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_folder_whose_making_failed(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), new_folder(tmp_path / "out") as folder:
        (folder / "half").touch()
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="no space is left"), new_folder(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "full")
    assert list(tmp_path.iterdir()) == []


def test_what_was_put_there_meanwhile_stays_and_so_does_what_was_made(tmp_path: Path) -> None:
    out = tmp_path / "run"
    for earlier in (False, True):  # a new name, then one that an earlier run of the same kind has
        said = pytest.raises(InputError, match=r"run: something else was put there meanwhile and stays; .*run-\d")
        with said, new_folder(out, replaces=("model.txt", "notes.md")) as folder:
            (folder / "model.txt").write_text("ours")
            out.mkdir(exist_ok=True)
            (out / ("notes.md" if earlier else "model.txt")).write_text("theirs")
        assert (out / "model.txt").read_text() == "theirs"
    assert [(tmp_path / name / "model.txt").read_text() for name in ("run-2", "run-3")] == ["ours", "ours"]
    assert len(list(tmp_path.iterdir())) == 3, "no temporary folder is left"
