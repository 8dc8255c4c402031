"""What lenses saw in the data sets: a task a lens and base, and a small folder a data set, kept like the truth is."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.forecast.bench.recipe import DataSet
from upbringing.forecast.bench.sampling import Base
from upbringing.forecast.bench.truth import Bench, Task, Tick
from upbringing.lineage import Record, read_record

if TYPE_CHECKING:
    from upbringing.lenses import Lens, View

VIEW = "view.json"
_ROOM = "upbringing.lenses"
_SECONDS = 1.5  # a data set and a multiple of one forward pass, on one slow core


def lens_named(name: str) -> Lens:
    """A lens by its name.

    Raises:
        InputError: there is none of that name.
    """
    from upbringing.lenses import lenses

    found = lenses()
    if name not in found:
        raise InputError(f'there is no lens "{name}"; lenses: {", ".join(found)}')
    return found[name]


def lens_of(bench: Bench, name: str) -> Lens:
    """The lens that a bench looks through by that name.

    Raises:
        InputError: there is none of that name.
    """
    return bench.surprise if bench.surprise and name == bench.surprise.name else lens_named(name)


def record(bench: Bench, lens: str, one: DataSet, base: Base) -> Record:
    """What names a look: the lens with the code it runs, the rows, the model."""
    used = lens_of(bench, lens)
    recipe: dict[str, Any] = {"lens": lens, "code": source_of(type(used).__module__)}
    if used is bench.surprise:
        recipe["judged"] = bench.surprise.told(bench.traits)
    parents = {"model": base.key, "rows": bench.rows_key(one, base)}
    return Record(kind="look", recipe=recipe, parents=parents, seed=base.seed)


def read_view(bench: Bench, lens: str, one: DataSet, base: Base) -> View | None:
    """What a lens saw in a data set; None if it has not looked yet."""
    import numpy as np

    from upbringing.lenses import View

    folder = bench.folder(record(bench, lens, one, base))
    if read_record(folder) is None:
        return None
    kept = json.loads((folder / VIEW).read_text(encoding="utf-8"))
    sums = (np.array(kept[name], dtype=float) for name in ("n", "total", "squares"))
    return View(kept["lens"], tuple(kept["traits"]), *sums)


def tasks(bench: Bench, lenses: Sequence[str], sets: Sequence[DataSet]) -> list[Task]:
    """All that it takes to have these lenses look at these data sets."""
    found = []
    for name in lenses:
        lens = lens_of(bench, name)
        for base in bench.bases:
            left = [one for one in sets if read_record(bench.folder(record(bench, name, one, base))) is None]
            seconds = 5 + len(left) * _SECONDS * max(1.0, lens.cost(len(bench.traits)))
            arguments = (bench, name, tuple(left), base)
            found.append(Task(f"look with {name}, base {base.name}", look, arguments, (), seconds, not left))
    return found


def look(bench: Bench, name: str, sets: Sequence[DataSet], base: Base, tick: Tick) -> None:
    """Set a lens on a base, and look at data sets that it has not seen yet."""
    from upbringing.lenses import View
    from upbringing.models import load

    lm = load(base.folder)
    fitted = lens_of(bench, name).fit(lm, bench.traits, store=bench.store)
    for done, one in enumerate(sets):
        tick(done / len(sets))

        def build(folder: Path, one: DataSet = one) -> None:
            view = View.of(name, bench.traits, fitted.look(bench.rows(one, base)))
            (folder / VIEW).write_text(json.dumps(_plain(view)), encoding="utf-8")

        bench.keep(record(bench, name, one, base), f"look with {name}", build)


def _plain(view: View) -> dict[str, Any]:
    return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in asdict(view).items()}


@lru_cache(maxsize=64)
def source_of(module: str) -> str:
    """The hash of a module's source and of what it imports from the room of lenses: what a lens saw before it was
    changed counts no more."""
    seen: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        spec = find_spec(name)
        if name in seen or spec is None or not spec.origin:
            continue
        seen[name] = Path(spec.origin).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(seen[name])):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_ROOM}."):
                waiting.append(str(node.module))
    return hashlib.sha256("\n".join(seen[name] for name in sorted(seen)).encode()).hexdigest()[:16]
