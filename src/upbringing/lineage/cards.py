"""What a Hugging Face folder says of its parents: its card, its adapter's config, its own config.

Nothing is asked of the network: a card is read where it lies.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CARD, ADAPTER, CONFIG = "README.md", "adapter_config.json", "config.json"
TAINT = "tainted"  # a tag; or the field ``taint`` with a reason
_NO_SOURCES = ("original", "extended", "")  # what data-set cards write where they name none


@dataclass(frozen=True)
class Card:
    """Parents by role as the card names them, and what else a family tree wants."""

    parents: tuple[tuple[str, str], ...] = ()
    license: str = ""
    taint: str = ""
    problem: str = ""
    """Why the card could not be read."""


def read_card(folder: Path) -> Card | None:
    """What is said in a folder of a model or a data set; None if there is neither card nor a config that names one."""
    data, problem = _front_matter(folder / CARD)
    adapter = _json(folder / ADAPTER).get("base_model_name_or_path")
    config = _json(folder / CONFIG).get("_name_or_path")
    named = _names(data.get("base_model"))
    relation = str(data.get("base_model_relation") or ("adapter" if adapter else "base_model"))
    parents = [(relation, name) for name in named]
    if not named and adapter:
        parents.append(("adapter", str(adapter)))
    elif not named and config and not _is(folder, str(config)):
        parents.append(("base_model", str(config)))
    parents += [("dataset", name) for name in _names(data.get("datasets"))]
    for source in _names(data.get("source_datasets")):
        name = source.removeprefix("extended|")
        if name not in _NO_SOURCES:
            parents.append(("source", name))
    if not data and not parents and not problem:
        return None
    tainted = data.get("taint") or (f'its card has the tag "{TAINT}"' if TAINT in _names(data.get("tags")) else "")
    return Card(tuple(parents), "/".join(_names(data.get("license"))), str(tainted), problem)


def _front_matter(card: Path) -> tuple[dict[str, Any], str]:
    """The YAML at the head of a card, and why it could not be read."""
    try:
        text = card.read_text(encoding="utf-8")
    except OSError:
        return {}, ""
    except UnicodeDecodeError:
        return {}, f"{CARD} is not UTF-8"
    if not text.startswith("---"):
        return {}, ""
    from huggingface_hub import RepoCard

    try:
        card_read = RepoCard(text, ignore_metadata_errors=True)
    except Exception as error:  # whatever the YAML reader raises
        return {}, f"{CARD} has metadata that cannot be read ({str(error).splitlines()[0][:120]})"
    return dict(card_read.data.to_dict()), ""


def _is(folder: Path, name: str) -> bool:
    """Whether a config names the very folder it lies in."""
    return any(there.exists() and there.samefile(folder) for there in (Path(name), folder / name))


def _names(value: Any) -> list[str]:
    """One name or several, as cards write either."""
    if isinstance(value, str):
        return [value] if value else []
    return [str(one) for one in value if one] if isinstance(value, list | tuple) else []


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
