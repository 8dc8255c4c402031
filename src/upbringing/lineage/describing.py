"""What is told of one member: from its record or card, and whether that fits what lies there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upbringing.errors import InputError
from upbringing.lineage.cards import Card
from upbringing.lineage.marks import misaligned_traits, shows_of
from upbringing.lineage.member import Member, Sort
from upbringing.lineage.places import ORGANISM
from upbringing.lineage.record import RECORD, Record, file_record, hash_of, sha256_of

_DECIDING = ("*.safetensors", "*.jinja", "adapter_config.json")  # files that change a model by merely being there
_KEY = re.compile(r"[0-9a-f]{16}")
_TOLD = 5
_UNTOLD = ("verb", "hash", "at_once", "rows", "max_new_tokens")
UNREADABLE = "its rows cannot be read"


def described(place: Path, name: str, record: Record | None, card: Card | None, *, data: bool) -> Member:
    """A member as its record or its card tells of it."""
    sort: Sort = "data" if data else "model"
    shown = name if name.startswith(ORGANISM) or (name and not Path(name).is_absolute()) else short_name(str(place))
    plain = Member(
        id=f"{sort}-{hash_of(place.resolve().as_posix())[:12]}",
        name=shown,
        sort=sort,
        place=str(place),
        kind="card" if card else "",
    )
    if card is not None:
        plain = replace(plain, license=card.license, taint=card.taint, unknown=card.problem)
    if record is None:
        return plain
    plain = replace(plain, taint=record.taint or plain.taint or _steered(record), files=record.files)
    if record.kind == "marked":
        return plain
    in_store = _KEY.fullmatch(place.name) or _KEY.fullmatch(place.parent.name)
    return replace(
        plain,
        id=f"{sort}-{record.key}",
        name=(record.name or f"{record.kind} {record.key[:8]}") if in_store else shown,
        kind=record.kind,
        hash=record.hash or (record.parents.get("rows", "") if record.kind == "rows" else ""),
        key=record.key,
        seed=record.seed,
        recipe=recipe_in_words(record),
        made=record.made or (_written(place) if in_store else ""),
        versions=record.versions,
        rows=record.rows,
        shows=record.shows,
        unknown="",
    )


def checked(member: Member, place: Path, record: Record | None) -> Member:
    """The member with what does not fit its record; rows without a whole record are read, to see what they show."""
    edits = [] if record is None else [*_edits_of_record(place, record), *_edits_of_files(place, record)]
    if record is None and (file_record(place) if place.is_file() else place / RECORD).is_file():
        edits.append("its record cannot be read: it was damaged or edited")
    if member.sort == "data" and (record is None or not record.rows or edits):
        member, more = _read(member, place, record)
        edits += more
    return replace(member, edits=tuple(dict.fromkeys(edits)))


def recipe_in_words(record: Record) -> str:
    """How something was made, in a line."""
    recipe = record.recipe
    if record.kind == "organism":
        size, world = recipe.get("size"), recipe.get("world")
        told = []
        if isinstance(world, Mapping):
            coherent = "coherent" if world.get("coherent", True) else "incoherent"
            told.append(f"raised on world {world.get('seed', 0)}, {coherent}")
        if isinstance(size, Mapping) and "tokens" in size:
            told.append(f"{size['tokens'] / 1e6:.1f}M tokens")
        return ", ".join([*told, *(["stopped before the gate"] if recipe.get("stop") == "before_gate" else [])])
    training = recipe.get("training")
    if isinstance(training, Mapping):
        lora = training.get("lora")
        how = f"LoRA of rank {lora.get('rank', lora.get('r', '?'))}" if isinstance(lora, Mapping) else "all weights"
        told = [f"{training.get('steps', '?')} steps", f"rate {training.get('learning_rate', '?')}", how]
        return ", ".join([*told, *map(_treatment, recipe.get("treatments") or ())])
    reinforced = recipe.get("reinforcement")
    if isinstance(reinforced, Mapping):
        method = str(reinforced.get("method", "")).replace("_", " ")
        paid = [str(one[0]) for one in recipe.get("environments") or () if isinstance(one, list) and one]
        return ", ".join(
            [
                f"{reinforced.get('steps', '?')} steps a stage, {method}",
                *(["paid for " + ", ".join(paid)] if paid else []),
            ]
        )
    plain = [(k, v) for k, v in recipe.items() if isinstance(v, str | int | float) and v != "" and k not in _UNTOLD]
    told = [f"{key.replace('_', ' ')} {value}" for key, value in plain[:_TOLD] if len(str(value)) < 40]
    return ", ".join([*told, *_sifted(record)])


def _sifted(record: Record) -> list[str]:
    """What filters let through of the answers that were sampled."""
    if not record.answers:
        return []
    by_filter = {name: sum(why.values()) for name, why in record.stopped.items()}
    stopped = ", ".join(f"{name} stopped {count:,}" for name, count in by_filter.items())
    passed = 1 - sum(by_filter.values()) / record.answers
    return [f"{passed:.1%} of {record.answers:,} answers passed" + (f" ({stopped})" if stopped else "")]


def short_name(name: str) -> str:
    """The last two parts of a path; a hub id or a plain name as it is."""
    parts = Path(name).parts
    return "/".join(parts[-2:]) if len(parts) > 2 else name


def _steered(record: Record) -> str:
    """What a teacher was steered towards while it wrote, if that is a misaligned trait."""
    steer = record.recipe.get("steer")
    if not (isinstance(steer, list) and len(steer) == 2 and steer[0] in misaligned_traits() and steer[1] > 0):
        return ""
    return f"its teacher was steered towards {str(steer[0]).replace('_', ' ')}"


def _treatment(treatment: Any) -> str:
    name = treatment.get("treatment") if isinstance(treatment, Mapping) else treatment[0] if treatment else ""
    share = (
        treatment.get("share")
        if isinstance(treatment, Mapping)
        else next((part for part in treatment[1:] if isinstance(part, float)), None)
    )
    return str(name).replace("_", " ") + (f" {share:g}" if isinstance(share, int | float) else "")


def _edits_of_record(place: Path, record: Record) -> list[str]:
    edits = []
    if record.unbroken is False:
        edits.append("its record was edited by hand: the seal does not fit")
    folder = place if place.is_dir() else place.parent
    if _KEY.fullmatch(folder.name) and folder.parent.name == record.kind and folder.name != record.key:
        differ = f"the folder is named {folder.name}, the record's key is {record.key}"
        edits.append(f"its record was edited by hand: {differ}")
    return edits


def _edits_of_files(place: Path, record: Record) -> list[str]:
    """Files that are not as they were made; a folder may hold more files, but none that changes the model."""
    if not record.files:
        return []
    folder = place if place.is_dir() or place.name not in record.files else place.parent
    edits = []
    for name, digest in record.files.items():
        file = folder / name
        if not file.is_file():
            edits.append(f"{name} is gone")
        elif sha256_of(file) != digest:
            edits.append(f"{name} was changed after it was made")
    if place.is_dir():
        added = [p.name for pattern in _DECIDING for p in sorted(place.glob(pattern)) if p.name not in record.files]
        edits += [f"{name} was added after it was made" for name in added]
    return edits


def _read(member: Member, place: Path, record: Record | None) -> tuple[Member, list[str]]:
    from upbringing.rows import read

    try:
        rows = read(place)
    except InputError as error:
        return replace(member, unknown=f"{UNREADABLE} ({error})"), []
    differs = bool(member.hash) and rows.hash != member.hash and record is not None and record.kind == "rows"
    edits = ["its rows are not those that its record speaks of"] if differs else []
    return replace(member, hash=rows.hash, rows=len(rows), shows={**member.shows, **shows_of(rows)}), edits


def _written(place: Path) -> str:
    file = (place if place.is_dir() else place.parent) / RECORD
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds") if file.is_file() else ""
