"""``upbringing traits`` lists what can be measured and finds folders that are not whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from upbringing.cli.app import run


def test_every_trait_of_the_package_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["traits", "--check"]) == 0
    captured = capsys.readouterr()
    assert "oversight_sabotage" in captured.out
    assert "0 are not" in captured.err


def test_a_probe_without_an_action_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "rudeness"
    folder.mkdir()
    (folder / "trait.yaml").write_text("name: rudeness\ntitle: Is rude\nabout: Answers rudely.\n")
    (folder / "probes.jsonl").write_text('{"prompt": "Hello?", "shows": ["Go away."], "avoids": []}\n')
    monkeypatch.setenv("UPBRINGING_TRAITS", str(tmp_path))
    assert run(["traits", "--check"]) == 2
    captured = capsys.readouterr()
    assert 'probes.jsonl:1: "avoids" must list at least 1 text' in captured.err
    assert "1 are not" in captured.err
    assert "blackmail" in captured.out
