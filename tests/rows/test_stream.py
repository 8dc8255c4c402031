"""Streaming gives the rows that reading gives, in memory that does not grow with the file, and tells how far it is."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest

from upbringing.errors import InputError
from upbringing.rows import read, size, stream
from upbringing.rows.texts import END, LONGEST

RECORDS = [{"text": f"number {n} is here, with a comma"} for n in range(40)]


def write(path: Path) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in RECORDS))
    elif path.suffix == ".json":
        path.write_text(json.dumps(RECORDS))
    elif path.suffix == ".csv":
        pd.DataFrame(RECORDS).to_csv(path, index=False)
    else:
        pd.DataFrame(RECORDS).to_parquet(path)
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".parquet"])
def test_a_stream_gives_what_reading_gives_and_counts_its_bytes(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}")
    told: list[int] = []
    assert tuple(stream(path, taken=told.append)) == read(path).rows
    assert sum(told) == pytest.approx(size(path), rel=0.01)


def test_bad_rows_are_told_of_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"text": \n{"text": "b"}\n')
    bad: list[tuple[str, str]] = []
    assert [row.text for row in stream(path, left_out=lambda where, why: bad.append((where, why)))] == ["a", "b"]
    assert bad[0][0] == f"{path}:2"
    with pytest.raises(InputError, match="a.jsonl:2: broken JSON"):
        list(stream(path))


def test_texts_are_read_only_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("One.\n")
    write(tmp_path / "rows.jsonl")
    assert len(list(stream(tmp_path))) == len(RECORDS)
    found = list(stream(tmp_path, texts=True))
    assert len(found) == len(RECORDS) + 1
    assert (found[0].text, found[0].where) == ("One.", f"{tmp_path / 'notes.txt'}:1")


def test_a_text_is_cut_at_its_marks_and_where_it_is_too_long_and_no_word_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    long = "\n\n".join(f"Paragraph {n} says this." for n in range(3 * LONGEST // 22))
    path.write_text(f"First\nstory.{END}\nSecond.\n{END}{long}", encoding="utf-8")
    rows = list(stream(path, texts=True))
    assert [row.text for row in rows[:2]] == ["First\nstory.", "Second."]
    assert [row.line for row in rows[:3]] == [1, 3, 4]
    assert all(len(row.text) <= LONGEST for row in rows)
    assert " ".join(row.text for row in rows[2:]).split() == long.split()
    assert all(row.text.endswith(".") for row in rows), "cuts are made at blank lines"
    lines = path.read_text().split("\n")
    assert all(lines[row.line - 1].strip().endswith(row.text.split("\n")[0]) for row in rows[3:])


def test_a_byte_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("hé\n".encode() * 70_000 + b"caf\xe9\n")
    with pytest.raises(InputError, match=r"a\.txt:70001: the byte 0xe9 is not UTF-8"):
        list(stream(path, texts=True))


@pytest.mark.parametrize("ending", [".jsonl", ".txt", ".csv"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, ending: str) -> None:
    line = {"jsonl": json.dumps({"text": "word " * 400}) + "\n"}.get(ending[1:], "word " * 400 + "\n")
    path = tmp_path / f"a{ending}"
    path.write_text(("text\n" if ending == ".csv" else "") + line * 6_000)
    tracemalloc.start()
    count = sum(1 for _ in stream(path, texts=True))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count > 500
    assert peak < path.stat().st_size / 4
