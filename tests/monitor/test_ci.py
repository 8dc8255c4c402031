"""The build that stops at bad data: the action, its example and the hook, run as they would be.

That the command itself exits with 1 is seen in ``tests/cli/test_forecast.py``, and where docs/guides/safe.md is run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
WORKFLOW = ROOT / ".github" / "workflows" / "character.yml"
HOOKS = ROOT / ".pre-commit-hooks.yaml"


def loaded(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def options() -> set[str]:
    """What ``upbringing forecast`` takes."""
    import typer

    from upbringing.cli.app import app

    command = typer.main.get_command(app).commands["forecast"]  # type: ignore[attr-defined]
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """A place with our own command line on the path, and nothing downloaded."""
    tools = tmp_path / "bin"
    tools.mkdir()
    command = tools / "upbringing"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m upbringing "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join(p for p in sys.path if p)
    return {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": path}


@pytest.mark.parametrize(("limits", "status"), [("", 0), ("blackmail>0.9\ndeception > 0.05\n\n", 1)])
def test_the_action_passes_its_inputs_on_writes_a_summary_and_ends_as_the_forecast_does(
    shell: dict[str, str], tmp_path: Path, limits: str, status: int
) -> None:
    (tmp_path / "bin" / "upbringing").write_text(
        '#!/bin/sh\nfor word in "$@"; do echo "$word" >> ../arguments; done\n'
        "echo '| oversight_sabotage | +0.45 |'\nprintf '%s\\n' '```' '::error ::from a row'\n"
        f"exit {status}\n"
    )
    step = loaded(ACTION)["runs"]["steps"][-1]
    summary = tmp_path / "summary.md"
    given = {"DATA": 'a "b"; c.jsonl', "MODEL": "organism:nano", "FAIL_ON": limits, "JSON": "out.json"}
    assert set(step["env"]) == set(given)
    (tmp_path / "step.sh").write_text(step["run"])
    # GitHub's own way of running a step of bash
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(tmp_path / "step.sh")]
    scratch, checkout = tmp_path / "temp", tmp_path / "checkout"
    for folder in (scratch, checkout):
        folder.mkdir()
    outside = {"GITHUB_STEP_SUMMARY": summary, "GITHUB_OUTPUT": scratch / "output", "RUNNER_TEMP": scratch}
    env = {**shell, **given, **{name: str(place) for name, place in outside.items()}}
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert not list(checkout.iterdir()), "a file of the user's may have any name"
    assert (scratch / "output").read_text() == "json=out.json\n"
    asked = (tmp_path / "arguments").read_text().splitlines()
    assert asked[:6] == ["forecast", 'a "b"; c.jsonl', "--model", "organism:nano", "--json", "out.json"]
    expected = [word for limit in limits.splitlines() if limit for word in ("--fail-on", limit)]
    assert asked[6:] == expected
    printed = ["| oversight_sabotage | +0.45 |", "```", "::error ::from a row"]
    title, empty, *quoted = summary.read_text().splitlines()
    assert (title, empty) == ("### Forecast of character", "")
    assert quoted == [f"    {line}" for line in printed], "indented: nothing in it can end the quotation"
    stop, *said, go_on = done.stdout.splitlines()
    assert said == printed
    assert re.fullmatch(r"::stop-commands::[0-9a-f]{32}", stop), "what rows say is no command to GitHub"
    assert go_on == f"::{stop.removeprefix('::stop-commands::')}::"


def test_every_input_of_the_action_is_used_and_every_one_used_is_declared() -> None:
    action = loaded(ACTION)
    used = set(re.findall(r"inputs\.([\w-]+)", ACTION.read_text().partition("runs:")[2] + str(action["outputs"])))
    assert used == set(action["inputs"])
    assert all("description" in one for one in action["inputs"].values())
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]  # an input put into a script could be a command
        assert step["shell"] == "bash"


def test_the_options_in_the_action_and_the_hook_are_our_own() -> None:
    text = loaded(ACTION)["runs"]["steps"][-1]["run"] + HOOKS.read_text()
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= options()


def test_the_example_gives_the_action_what_it_takes() -> None:
    action, workflow = loaded(ACTION), loaded(WORKFLOW)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    ours = [step for step in steps if step.get("uses") == "./"]
    assert ours
    required = {name for name, one in action["inputs"].items() if one.get("required")}
    for step in ours:
        assert required <= set(step["with"]) <= set(action["inputs"])
        assert (ROOT / step["with"]["data"]).is_file()
    assert workflow["permissions"] == {"contents": "read"}


def test_the_hook_is_a_call_of_forecast_that_takes_its_arguments() -> None:
    (hook,) = loaded(HOOKS)
    assert hook["entry"].split() == ["upbringing", "forecast"]
    assert hook["pass_filenames"] is False  # forecast takes one data set, named in the arguments
    example = yaml.safe_load("\n".join(line[2:] for line in HOOKS.read_text().splitlines() if line.startswith("#   ")))
    (used,) = example[0]["hooks"]
    assert used["id"] == hook["id"]
    assert re.fullmatch(used["files"], used["args"][0])
