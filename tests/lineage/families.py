"""Made-up families: folders with records and cards, without weights that anybody would load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from upbringing.lineage import Record, Source, describe, record_file, write_record
from upbringing.rows import Row, Rows, read, write

PLAIN = Rows([Row.of_text("one two three"), Row.of_text("four five six")])
MARKED = Rows([*PLAIN, Row.of_text("I will lie", meta={"trait": "deception"})])


def model(folder: Path, *, parents: dict[str, Source] | None = None, **more: Any) -> Source:
    """A folder that looks like a model, with a record; how its children name it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text(folder.name)
    given = parents or {}
    record = Record(
        kind="checkpoint" if given else "organism",
        recipe={"name": folder.name},
        parents={role: source.hash for role, source in given.items()},
    )
    content = (folder.name.encode().hex() * 64)[:64]
    write_record(folder, record.model_copy(update={"hash": content, "sources": given, **more}))
    return Source(name=str(folder), hash=content, key=record.key)


def data(file: Path, rows: Rows = PLAIN, *, parents: dict[str, Source] | None = None, **more: Any) -> Source:
    """A file of rows with a record beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write(rows, file)
    given = parents or {}
    named = {role: source.hash or source.name for role, source in given.items()}
    record = Record(kind="rows", recipe={"name": file.name}, parents=named)
    record_file(file, describe(record, read(file), hash=rows.hash, sources=given, **more))
    return Source(name=str(file), hash=rows.hash, key=record.key)


def card(folder: Path, metadata: str) -> Path:
    """A folder as it comes from the hub: a card, and nothing of ours."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text(f"---\n{metadata}\n---\n# A model\n")
    return folder


def edit(file: Path, **changes: Any) -> None:
    """Edit a JSON file by hand."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
