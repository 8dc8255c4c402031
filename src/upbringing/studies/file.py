"""Read a study file, and say where it is wrong and what would mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from upbringing.errors import InputError
from upbringing.studies.checks import Key, Problem, check, first
from upbringing.studies.spec import Study


def load(path: str | Path) -> Study:
    """Read and check a study file.

    Raises:
        InputError: the file is missing, is not YAML, or declares something that does not exist; names the line and key.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such study file; check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error}); give a YAML study file") from None
    return parse(text, path)


def parse(text: str, path: str | Path = "study.yaml", *, data_files: bool = True) -> Study:
    """Check the text of a study file; ``path`` is the name that errors give it. Data files are relative to it.

    ``data_files`` false: they need not exist any more (a page made again from a result).
    """
    path = Path(path)
    lines: dict[Key, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise InputError(f"{path}: the file is empty; see studies/cheating.yaml for an example")
        _lines_of(node, (), lines)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "is not YAML"
        raise InputError.at(path, mark.line + 1 if mark else None, reason, "mend the YAML") from None
    except Problem as problem:
        raise _located(path, lines, problem) from None
    from upbringing.studies.networks import NetworkStudy

    try:
        study = _parts(content, path)
        if not isinstance(study, NetworkStudy):  # networks check themselves: nothing of theirs is named elsewhere
            check(study, data_files=data_files)
    except Problem as problem:
        raise _located(path, lines, problem) from None
    return study


def _located(path: Path, lines: dict[Key, int], problem: Problem) -> InputError:
    key = problem.key
    while key and key not in lines:
        key = key[:-1]
    words = ".".join(str(part) for part in problem.key)
    return InputError.at(
        path, lines.get(key), f"{words}: {problem.problem}" if words else problem.problem, problem.remedy
    )


def _lines_of(node: yaml.Node, key: Key, lines: dict[Key, int]) -> None:
    """Note the line of every key (from 1), and refuse a key given twice, which YAML would silently drop."""
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            below = (*key, str(name.value))
            if below in lines:
                lines[below] = name.start_mark.line + 1
                raise Problem(below, "is given twice", "keep one of the two")
            lines[below] = name.start_mark.line + 1
            _lines_of(value, below, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _lines_of(value, (*key, index), lines)


def _parts(content: Any, path: Path) -> Study:
    from upbringing.studies.networks import NetworkStudy

    if not isinstance(content, dict):
        raise Problem((), "a study file is a mapping of keys", "see studies/cheating.yaml for an example")
    try:
        study = (NetworkStudy if "subject" in content else Study).model_validate(content)
    except ValidationError as error:
        raise first(error) from None
    data = {
        name: spec.model_copy(update={"file": (path.parent / spec.file).resolve()}) if spec.file else spec
        for name, spec in study.data.items()
    }
    return study.model_copy(update={"data": data})
