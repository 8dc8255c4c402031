"""A sample is drawn evenly, in one pass, and what is bad in it is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from upbringing.errors import InputError
from upbringing.rows import Row, Rows, sample, write


def written(path: Path, n: int) -> Path:
    path.write_text("".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(n)), encoding="utf-8")
    return path


def numbers(path: Path, n: int, seed: int) -> list[int]:
    return [int(row.text.split()[1]) for row in sample(path, n, seed=seed)[0]]


def test_every_row_is_drawn_as_often_as_any_other(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", 60)
    drawn = np.bincount(np.concatenate([numbers(path, 10, seed) for seed in range(600)]), minlength=60)
    assert drawn.sum() == 6000
    # 100 draws each are expected, with a standard deviation of about nine
    assert drawn.min() > 60
    assert drawn.max() < 140
    thirds = drawn.reshape(3, 20).sum(1)
    np.testing.assert_allclose(thirds, 2000, atol=120)


def test_a_sample_has_no_row_twice_and_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.jsonl", 500)
    first = numbers(path, 100, 3)
    assert len(set(first)) == 100
    assert first == numbers(path, 100, 3)
    assert first != numbers(path, 100, 4)
    assert first != sorted(first)


def test_a_small_file_is_taken_whole(tmp_path: Path) -> None:
    rows, total = sample(written(tmp_path / "rows.jsonl", 7), 100)
    assert (sorted(row.text for row in rows), total) == ([f"row {i}" for i in range(7)], 7)


def test_other_kinds_of_files_are_sampled_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text\n" + "".join(f"row {i}\n" for i in range(40)), encoding="utf-8")
    rows, total = sample(path, 5)
    assert (len(rows), total) == (5, 40)


def test_bad_rows_are_named_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write([Row.of_text("good")], path)
    with path.open("a", encoding="utf-8") as file:
        file.write('\n{"text": \n')
    rows, total = sample(path, 10)
    assert (len(rows), total) == (1, 2)
    assert rows.skipped[0][0] == f"{path}:3"
    assert "broken JSON" in rows.skipped[0][1]


def test_nothing_to_draw_from_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(InputError, match="none of its rows can be used"):
        sample(tmp_path / "bad.jsonl", 3)
    with pytest.raises(InputError, match="no such file"):
        sample(tmp_path / "nowhere.jsonl", 3)


def test_rows_in_memory_are_drawn_without_being_copied() -> None:
    every = Rows([Row.of_text(str(n)) for n in range(40)], name="made up")
    some, of = sample(every, 10, seed=3)
    assert (len(some), len(set(some)), of, some.name) == (10, 10, 40, "made up")
    assert all(any(row is other for other in every) for row in some)
    assert list(some) == list(sample(every, 10, seed=3)[0])
    with pytest.raises(InputError, match="made up: there are no rows in it"):
        sample(Rows([], name="made up"), 10)
