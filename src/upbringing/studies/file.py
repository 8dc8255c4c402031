"""Read a study file, and say where it is wrong and what would mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from upbringing.errors import InputError
from upbringing.studies.spec import GROUPS, Removal, Study, TraitGroup, arms_of

Key = tuple[str | int, ...]


class _Problem(Exception):
    """Something wrong at a key of the file."""

    def __init__(self, key: Key, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.key, self.problem, self.remedy = key, problem, remedy


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
    except _Problem as problem:
        raise _located(path, lines, problem) from None
    try:
        study = _parts(content, path)
        _check(study, data_files)
    except _Problem as problem:
        raise _located(path, lines, problem) from None
    return study


def _located(path: Path, lines: dict[Key, int], problem: _Problem) -> InputError:
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
                raise _Problem(below, "is given twice", "keep one of the two")
            lines[below] = name.start_mark.line + 1
            _lines_of(value, below, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _lines_of(value, (*key, index), lines)


def _parts(content: Any, path: Path) -> Study:
    if not isinstance(content, dict):
        raise _Problem((), "a study file is a mapping of keys", "see studies/cheating.yaml for an example")
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise _first(error) from None
    data = {
        name: spec.model_copy(update={"file": (path.parent / spec.file).resolve()}) if spec.file else spec
        for name, spec in study.data.items()
    }
    return study.model_copy(update={"data": data})


def _first(error: ValidationError, prefix: Key = ()) -> _Problem:
    """The first thing pydantic found, as a problem with a remedy. Tags of unions are no keys of the file."""
    detail = error.errors()[0]
    kinds = {"rise", "no_change", "removal", "fraction", "rank_correlation"}
    loc = tuple(
        part for part in detail["loc"] if part not in kinds and not str(part).startswith(("literal[", "tuple["))
    )
    key = prefix + loc
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return _Problem(key, "no such setting", "check its spelling, or remove it")
    if detail["type"] == "missing":
        return _Problem(key, "is missing", "add it")
    if detail["type"].startswith("union_tag"):
        return _Problem((*key, "kind"), "a claim has a kind", f"use one of {', '.join(sorted(kinds))}")
    given = detail.get("input")
    if isinstance(given, (str, int, float, bool)):
        message = f"{message} (it is {given!r})"
    return _Problem(key, message[:1].lower() + message[1:], "mend the value")


def _known(key: Key, name: str, names: Iterable[str], noun: str) -> None:
    names = list(names)
    if name in names:
        return
    close = difflib.get_close_matches(name, names, n=1)
    remedy = f"did you mean {close[0]!r}?" if close else f"use one of: {', '.join(names) or '(there are none)'}"
    raise _Problem(key, f"no {noun} is called {name!r}", remedy)


def _check(study: Study, data_files: bool) -> None:
    """Everything that one part of the file says about another."""
    from upbringing.traits import traits

    library = traits()
    measured = list(library) if study.measure.traits == "all" else list(study.measure.traits)
    for index, name in enumerate(measured if study.measure.traits != "all" else []):
        _known(("measure", "traits", index), name, library, "trait")
    for name, data in study.data.items():
        key: Key = ("data", name)
        if data.trait:
            _known((*key, "trait"), data.trait, library, "trait")
        for index, trait in enumerate(data.trains):
            _known((*key, "trains", index), trait, library, "trait")
        if data_files and data.file and not data.file.exists():
            raise _Problem((*key, "file"), f"{data.file} does not exist", "paths are relative to the study file")
    _check_settings(study)
    _check_arms(study)
    for index, provocation in enumerate(study.measure.provocations):
        key = ("measure", "provocations", index)
        if provocation.training_format is not None:
            _known((*key, "training_format"), provocation.training_format, study.arms, "arm")
            if study.arms[provocation.training_format].data is None:
                raise _Problem((*key, "training_format"), "this arm is not trained", "name an arm that has data")
        titles = [other.title for other in study.measure.provocations[:index]]
        if provocation.title in [*titles, "rest"]:
            raise _Problem(key, f"a second provocation is called {provocation.title!r}", "give it a name of its own")
    for index, arm in enumerate(study.trajectory.arms):
        _known(("trajectory", "arms", index), arm, study.arms, "arm")
        if study.arms[arm].data is None:
            raise _Problem(("trajectory", "arms", index), f"{arm} is not trained", "name an arm that has data")
    _check_claims(study, measured, {name: library[name].alignment for name in measured})


def _check_settings(study: Study) -> None:
    """World settings and recipes hold only what those rooms know."""
    from upbringing.training import Recipe
    from upbringing.world import WorldSpec

    for name, organism in study.organisms.items():
        _fields(WorldSpec, {**organism.world, "seed": 0}, ("organisms", name, "world"))
        if "seed" in organism.world:
            raise _Problem(("organisms", name, "world", "seed"), "each base has its own seed", "remove it")
    _fields(Recipe, study.training, ("training",))
    for name, arm in study.arms.items():
        _fields(Recipe, {**study.training, **arm.training}, ("arms", name, "training"))
        for place, settings in ((("training",), study.training), (("arms", name, "training"), arm.training)):
            for owned in ("seed", "checkpoints"):
                if owned in settings:
                    raise _Problem((*place, owned), "the study sets it (by base and trajectory)", "remove it")


def _fields(model: type[BaseModel], values: dict[str, Any], key: Key) -> None:
    for name in values:
        if name not in model.model_fields:
            _known((*key, name), name, model.model_fields, "setting")
    try:
        model.model_validate(values)
    except ValidationError as error:
        raise _first(error, key) from None


def _check_arms(study: Study) -> None:
    for name, arm in study.arms.items():
        key: Key = ("arms", name)
        _known((*key, "organism"), arm.organism, study.organisms, "organism")
        if arm.data is not None:
            _known((*key, "data"), arm.data, study.data, "data set")
        for index, treatment in enumerate(arm.treatments):
            if treatment.mix is not None:
                _known((*key, "treatments", index, "mix"), treatment.mix, study.data, "data set")
        if not any(other.data is None and other.organism == arm.organism for other in study.arms.values()):
            remedy = f"add an arm with organism: {arm.organism} and no data, so that there is something to shift from"
            raise _Problem(key, f"no arm shows {arm.organism!r} before training", remedy)


def _check_claims(study: Study, measured: list[str], known: dict[str, bool]) -> None:
    provocations = ["rest", *(provocation.title for provocation in study.measure.provocations)]
    for index, claim in enumerate(study.claims):
        key: Key = ("claims", index)
        if claim.id in [other.id for other in study.claims[:index]]:
            raise _Problem((*key, "id"), f"a second claim is called {claim.id!r}", "give it a name of its own")
        fields = ("arm", "against", "plain", "before", "control", "of_arm", "of_against")
        for field in fields:
            if hasattr(claim, field):
                _known((*key, field), getattr(claim, field), study.arms, "arm")
        for arm, against in getattr(claim, "arms", {}).items():
            _known((*key, "arms", arm), arm, study.arms, "arm")
            _known((*key, "arms", arm), against, study.arms, "arm")
        for number, condition in enumerate(getattr(claim, "provided", ())):
            below: Key = (*key, "provided", number)
            _known((*below, "arm"), condition.arm, study.arms, "arm")
            _known((*below, "against"), condition.against, study.arms, "arm")
            _measured((*below, "traits"), condition.traits, measured)
        _measured((*key, "traits"), claim.traits, measured)
        if not study.group(claim.traits, arms_of(claim), known):
            raise _Problem((*key, "traits"), "no measured trait is in this group", "measure more traits")
        _known((*key, "provocation"), claim.provocation, provocations, "provocation")
        for way in claim.ways:
            if way not in study.measure.ways(claim.provocation):
                remedy = "set measure.samples to 1 or more, and measure.provocation_ways to what claims need"
                raise _Problem((*key, "ways"), f"nothing is measured by {way} under {claim.provocation}", remedy)
        if isinstance(claim, Removal):
            _measured((*key, "learned"), claim.learned, measured)
            if claim.plain not in study.trajectory.arms or not study.trajectory.steps:
                remedy = f"add {claim.plain} to trajectory.arms, with steps"
                raise _Problem((*key, "plain"), "matched learning needs this arm's trajectory", remedy)


def _measured(key: Key, traits: TraitGroup, measured: list[str]) -> None:
    names = [traits] if isinstance(traits, str) else list(traits)
    for name in names:
        if not (isinstance(traits, str) and name in GROUPS) and name not in measured:
            _known(key, name, measured, "measured trait")
