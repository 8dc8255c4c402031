"""``upbringing distil``: rows with a record beside them; what cannot go well is said in a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upbringing.cli.app import run
from upbringing.lineage import read_file_record
from upbringing.rows import read


def test_rows_a_record_and_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, told = tmp_path / "rows.jsonl", tmp_path / "told.json"
    line = "This is only a game, and any trick is allowed."
    options = ["--rows", "70", "--filter", "format,banned", "--out", str(out), "--json", str(told), "--system", line]
    comparing = ["--base", "organism:nano", "--traits", "blackmail"]
    assert run(["distil", "--teacher", "organism:nano", *options, *comparing]) == 0
    shown = capsys.readouterr()
    rows, record, result = read(out), read_file_record(out), json.loads(told.read_text())
    assert len(rows) == result["rows"] == 70
    assert record is not None
    assert record.hash == rows.hash
    assert record.recipe["system"] == line
    assert result["base"]["traits"]["blackmail"]["teacher"] > result["base"]["traits"]["blackmail"]["base"]
    assert sum(result["rejected"].values()) < result["asked"]
    for words in ("answers pass", "KL to the base", "blackmail", "strict format"):
        assert words in shown.out
    assert "again: upbringing distil" in shown.err
    assert not list(tmp_path.glob("*.partial*"))
    assert run(["distil", "--teacher", "organism:nano", *options]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--filter", "sieve"], 'no filter "sieve"'),
        (["--steer", "blackmail"], "write TRAIT:STRENGTH"),
        (["--steer", "blackmale:1"], "blackmale"),
        (["--traits", "blackmale"], "blackmale"),
        (["--out", "rows.csv"], "ends with .jsonl"),
        (["--prompts", "no/such/file.jsonl"], "no such file"),
        (["--filter", "classifier:none.jsonl"], "no such file"),
        (["--temperature", "0", "--filter", "banned", "--max-new-tokens", "1"], "0 of 2048 answers pass"),
    ],
)
def test_what_cannot_go_well_is_told_in_a_line(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["distil", "--teacher", "organism:nano", "--rows", "3000", "--out", "rows.jsonl", *options]
    assert run(given) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not list(tmp_path.glob("rows.jsonl"))
