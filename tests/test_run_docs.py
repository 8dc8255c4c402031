"""Blocks of the documentation run as a reader would run them, and one that fails is not missed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts import run_docs
from scripts.run_docs import ROOT, Block, blocks, environment, run
from scripts.warm import Warm

PAGE = ROOT / "docs" / "page.md"


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    place = tmp_path_factory.mktemp("warm")
    with Warm.started(place, environment(place), imported=("json",)) as warm:
        yield warm


def python(code: str) -> Block:
    return Block(PAGE, 1, "python", code)


def sh(code: str, status: int = 0) -> Block:
    return Block(PAGE, 2, "sh", code, status=status)


def test_blocks_are_found_with_why_they_are_not_run_and_how_they_must_end(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\n\n<!-- not run: needs a GPU -->\n```sh\nupbringing one\n```\n\n"
        "- in a list\n\n  <!-- exit status 1 -->\n  ```sh\n  upbringing two\n  ```\n\n```text\nshown\n```\n"
    )
    found = blocks(page)
    assert [(one.language, one.code, one.line) for one in found] == [
        ("python", "x = 1\n", 1),
        ("sh", "upbringing one\n", 6),
        ("sh", "upbringing two\n", 13),
    ]
    assert [(one.not_run, one.status) for one in found] == [("", 0), ("needs a GPU", 0), ("", 1)]


def test_blocks_share_names_and_a_folder_and_see_nothing_of_what_runs_them(warm: Warm, tmp_path: Path) -> None:
    code = "import os, sys\nfrom pathlib import Path\nPath('here').write_text('1')\nassert Path('examples').is_dir()\n"
    code += f"assert os.environ['UPBRINGING_HOME'] == {str(tmp_path)!r}\nassert 'serve' not in globals()\n"
    code += "assert sys.modules['__main__'].__dict__ is globals()\n"
    well, _, said = run([python(code), sh("test -f here"), python("assert Path('here').exists()")], tmp_path, warm)
    assert well, said


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        (python("1 / 0"), "ZeroDivisionError"),
        (sh("false\ntrue"), "exit status 1"),
        (sh("true", status=1), "exit status 0"),
        (sh("upbringing train nothing.jsonl --model organism:nano"), "exit status 2"),
        (sh("upbringing --version", status=2), "exit status 0"),
        (python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), ""),
    ],
)
def test_a_block_that_does_not_end_as_it_must_fails_its_page(
    failing: Block, said: str, warm: Warm, tmp_path: Path
) -> None:
    last = "print('the last block')"
    well, _, output = run([sh("upbringing --version"), failing, python(last)], tmp_path, warm)
    assert not well
    assert said in output
    assert "the last block" not in output


def test_what_takes_long_is_begun_first() -> None:
    quick, slow = sh("upbringing traits"), sh("upbringing repair a\nupbringing traits")
    assert run_docs.length([slow]) > run_docs.length([quick, quick, python("print(1)")])


def test_output_and_arguments_pass_through(warm: Warm, tmp_path: Path) -> None:
    done = warm.run(["-c", "import sys; print(sys.argv)", "a b"], cwd=tmp_path, env=environment(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['-c', 'a b']\n"
