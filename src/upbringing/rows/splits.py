"""Which split of a data set is read: ``DATA:SPLIT``, and the files of a folder that was cloned from the hub.

The names are the hub's: shards are ``train_sft-00000-of-00003.parquet``, other files and folders have a word such as
train, validation or test in their name. What ``datasets`` itself has for it looks at the folders above as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from upbringing.errors import InputError

TRAIN = "train"
_SHARD = re.compile(r"(?P<split>\w[\w.]*)-\d{5}-of-\d{5}\b")
_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_BETWEEN = re.compile(r"[-._ \d]+")
_NAME = re.compile(r"\w[\w.-]*")


def parted(source: str | os.PathLike[str], split: str) -> tuple[str | os.PathLike[str], str]:
    """``DATA:SPLIT`` as its parts; what has no such end, or is there under its whole name, with ``split``. A file has
    no splits."""
    name, colon, named = str(source).rpartition(":")
    if not colon or not name or not _NAME.fullmatch(named) or Path(source).expanduser().exists():
        return source, split
    if Path(name).expanduser().is_file():
        return source, split
    return name, named


def of_split(files: Sequence[Path], folder: Path, split: str) -> tuple[list[Path], list[str]]:
    """The files of a folder that are read for ``split``, and the splits that are left out.

    Files that name no split are always read, and so is the only split there is when the train split is asked for.
    Raises ``InputError`` where there are several splits, and ``split`` is none of them.
    """
    split_of = {file: _split_of(file.relative_to(folder)) for file in files}
    found = sorted({name for name in split_of.values() if name})
    if split in found:
        kept = [file for file in files if split_of[file] in ("", split)]
        return kept, [name for name in found if name != split]
    if split == TRAIN and len(found) < 2:
        return list(files), []
    known = f"choose one of {', '.join(f'{folder}:{name}' for name in found)}" if found else f"give {folder} alone"
    raise InputError(f"{folder}: there is no split {split!r}; {known}")


def _split_of(file: Path) -> str:
    """The split that a file's name, or else the nearest folder's, says; empty if none does."""
    if shard := _SHARD.match(file.name):
        return shard["split"]
    for name in (file.name, *reversed(file.parent.parts)):
        for word in _BETWEEN.split(name.lower()):
            if word in _WORDS:
                return _WORDS[word]
    return ""


__all__ = ["TRAIN", "of_split", "parted"]
