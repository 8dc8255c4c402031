"""Readings come back as they were written, and a broken file is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.measure.conftest import profile_of
from upbringing.errors import InputError
from upbringing.measure import Profile, Reading
from upbringing.measure.readings import COLUMNS, frame, read, write


def some() -> list[Reading]:
    seen = Reading("m", "b0", "arm", "sabotage", "log", "0", "rest", "logprob", 0, 7, 0.25)
    unseen = Reading(
        "m", "b0", "arm", "sabotage", "log", "0", "rest", "sampled", 1, 7, float("nan"), "refusal", "Asked?", "No — ü."
    )
    return [seen, unseen]


def test_what_is_written_is_read_back_with_missing_values_and_their_reasons(tmp_path: Path) -> None:
    write(frame(some()), tmp_path / "readings.parquet")
    again = read(tmp_path / "readings.parquet")
    assert list(again.columns) == list(COLUMNS)
    assert again.equals(frame(some()))
    assert np.isnan(again["value"][1])
    assert again["missing"][1] == "refusal"
    assert again["answer"][1] == "No — ü."
    assert [p.name for p in tmp_path.iterdir()] == ["readings.parquet"]


def test_a_missing_value_is_null_in_the_file_for_every_other_tool(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write(frame(some()), tmp_path / "r.parquet")
    assert pq.read_table(tmp_path / "r.parquet")["value"].null_count == 1


def test_no_readings_are_a_table_too(tmp_path: Path) -> None:
    write(frame([]), tmp_path / "r.parquet")
    assert len(read(tmp_path / "r.parquet")) == 0


def test_bad_files_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no readings here.*Profile\.save"):
        Profile.load(tmp_path)
    (tmp_path / "readings.parquet").write_text("not parquet")
    with pytest.raises(InputError, match=r"readings\.parquet: is not a Parquet file"):
        Profile.load(tmp_path)
    frame(some()).drop(columns="missing").to_parquet(tmp_path / "readings.parquet")
    with pytest.raises(InputError, match='column "missing" is missing'):
        Profile.load(tmp_path)


def test_readings_kept_before_judges_were_named_are_read_as_they_are(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    old = profile_of(lambda base, trait, family, probe: probe / 4)
    later = ["judge", "rubric", "cut"]
    folder = old.save(tmp_path / "old")
    file = folder / "readings.parquet"
    pq.write_table(pq.read_table(file).drop_columns(later), file)
    kept = file.read_bytes()
    read = Profile.load(folder)
    assert all(set(read.readings[name]) == {""} for name in later)
    assert read.summary() == old.summary()
    assert read.readings.drop(columns=later).equals(old.readings.drop(columns=later))
    assert file.read_bytes() == kept
    assert Profile(old.readings.drop(columns=later)).readings.equals(old.readings)
    pq.write_table(pq.read_table(file).drop_columns(["family"]), file)
    with pytest.raises(InputError, match='the column "family" is missing'):
        Profile.load(folder)
