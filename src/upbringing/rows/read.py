"""Reading rows from files, folders and data sets, and writing them back.

Every record keeps the place it came from: the line of a text file, the row number of a table.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from upbringing.errors import InputError
from upbringing.rows.formats import notes as notes_on
from upbringing.rows.interpret import interpret
from upbringing.rows.lines import (
    PACKED,
    Tell,
    broken,
    data_lines,
    ignore,
    is_list,
    lines_of,
    not_utf8,
    record_of,
    text_of,
)
from upbringing.rows.row import Row, Rows
from upbringing.rows.splits import TRAIN, of_split, parted
from upbringing.rows.texts import pieces

# A record, its line, or the reason why there is none at that line.
_Found = tuple[int, object | InputError]
_Reader = Callable[[Path, Tell], Iterator[_Found]]
TEXT = ".txt"
_RECORD = "record.json"  # what says where rows come from lies beside them, and is none (see upbringing.lineage)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def read(source: str | os.PathLike[str], *, skip_invalid: bool = False, split: str = "train") -> Rows:
    """Read training rows from a file, a folder of files, a saved data set, or the hub.

    ``source`` is a ``.jsonl``, ``.json``, ``.parquet`` or ``.csv`` file (``.jsonl.gz`` and the like as well); a folder
    of them (read in the order of their names); a folder written by ``datasets``' ``save_to_disk``; or the id of a data
    set on the hub. ``split`` says which part of a data set to take; so does ``DATA:SPLIT``, and a folder whose files
    are named after splits is a data set. What was left out so, and which of two answers was taken, is told in
    ``.notes``. Bad rows raise ``InputError`` naming file and line; with ``skip_invalid`` they are left out and listed
    in ``.skipped`` as (where, reason).
    """
    skipped: list[tuple[str, str]] = []
    notes: list[str] = []
    left_out = (lambda where, reason: skipped.append((where, reason))) if skip_invalid else None
    rows = list(stream(source, left_out=left_out, split=split, note=notes.append))
    if not rows:
        if skipped:
            raise InputError(f"{source}: none of its {len(skipped)} rows can be used; the first: {skipped[0][1]}")
        raise InputError(f"{source}: there are no rows in it; give a file with at least one")
    return Rows(rows, name=str(source), skipped=skipped, notes=[*notes, *notes_on(rows)])


def stream(
    source: str | os.PathLike[str],
    *,
    left_out: Callable[[str, str], None] | None = None,
    split: str = "train",
    taken: Callable[[int], None] | None = None,
    texts: bool = False,
    note: Callable[[str], None] | None = None,
) -> Iterator[Row]:
    """The rows of what ``read`` takes, one after the other: memory holds no more than a few (a ``.json`` list: all).

    ``left_out`` is told (where, reason) of each bad row; without it a bad row raises ``InputError``. ``taken`` is told
    of every few bytes that were read from files. ``texts``: plain ``.txt`` files are read as well, each a text (a long
    one in pieces, see ``texts.pieces``), and all files of a folder unless a split is named. ``note`` is told
    which splits of a folder are left out. Unlike ``read`` it says nothing where there are no rows.
    """
    whole, (source, split) = source, parted(source, split)
    path = Path(source).expanduser()
    tell = taken or ignore
    if path.is_dir():
        every = texts and source is whole and split == TRAIN  # a corpus, all of it
        found = _read_folder(path, split, tell, texts, note or ignore, every=every)
    elif path.exists():
        found = _read_file(path, tell, texts)
    elif _looks_like_a_file(str(source)) or (texts and path.suffix.lower() == TEXT):
        raise InputError(f"{source}: there is no such file or folder; check the path")
    else:
        found = _read_hub(str(source), split)

    yield from interpreted(found, left_out)


def interpreted(
    found: Iterable[tuple[str, int, object]], left_out: Callable[[str, str], None] | None = None
) -> Iterator[Row]:
    """The rows of records with their file and line; bad ones are told to ``left_out`` as ``stream`` says."""
    for file, line, record in found:
        try:
            if isinstance(record, InputError):
                raise record
            row = interpret(record, file, line)
        except InputError as error:
            if left_out is None:
                raise
            where = f"{file}:{line}"
            left_out(where, str(error).removeprefix(f"{where}: "))
        else:
            yield row


def size(source: str | os.PathLike[str], *, texts: bool = False) -> int:
    """How many bytes ``stream`` will tell of; 0 where that is not known beforehand (a saved data set, the hub)."""
    whole, (source, split) = source, parted(source, TRAIN)
    path = Path(source).expanduser()
    if path.is_file():
        return path.stat().st_size
    if not path.is_dir() or _is_saved(path):
        return 0
    files = _files(path, texts)
    if not (texts and source is whole):
        files = of_split(files, path, split)[0]
    return sum(file.stat().st_size for file in files)


def write(rows: Iterable[Row], path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write rows as JSONL, each with its meta. The file appears whole or not at all, and replaces none unless told."""
    target = Path(path)
    if target.exists() and not overwrite:
        raise InputError(f"{target}: the file exists already; choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            for row in rows:
                out.write(json.dumps({**row.meta, **row.as_dict()}, ensure_ascii=False) + "\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _looks_like_a_file(source: str) -> bool:
    return _kind(Path(source)) in _READERS or not _HUB_ID.fullmatch(source)


def _kind(path: Path) -> str:
    """What a file's name ends with, by which its reader is chosen: ``.jsonl``, ``.jsonl.gz``."""
    ends = [suffix.lower() for suffix in path.suffixes[-2:]]
    return "".join(ends) if ends[-1:] == [PACKED] else "".join(ends[-1:])


def _readers(texts: bool) -> dict[str, _Reader]:
    return {**_READERS, TEXT: _read_text} if texts else _READERS


def _read_file(path: Path, tell: Tell, texts: bool) -> Iterator[tuple[str, int, object]]:
    readers = _readers(texts)
    reader = readers.get(_kind(path))
    if reader is None:
        raise InputError(f"{path}: unknown kind of file {_kind(path)!r}; use {', '.join(readers)}")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; give a file with at least one row")
        for line, record in reader(path, tell):
            yield str(path), line, record
    except (EOFError, zlib.error) as error:  # a download that broke off
        raise InputError(f"{path}: the packed file is not whole ({error}); fetch it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check the file") from error


def _is_saved(path: Path) -> bool:
    return (path / "dataset_dict.json").exists() or (path / "state.json").exists()


def _files(path: Path, texts: bool) -> list[Path]:
    readers = _readers(texts)
    return [
        file
        for file in sorted(path.rglob("*"))
        if _kind(file) in readers
        and file.is_file()
        and not file.name.endswith(_RECORD)
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]


def _read_folder(
    path: Path, split: str, tell: Tell, texts: bool, note: Callable[[str], None], *, every: bool
) -> Iterator[tuple[str, int, object]]:
    if _is_saved(path):
        yield from _read_saved(path, split)
        return
    files = _files(path, texts)
    if not files:
        raise InputError(f"{path}: the folder holds no {', '.join(_readers(texts))} file; check the path")
    others: list[str] = []
    if not every:
        files, others = of_split(files, path, split)
    if others:
        note(f"{path}: read its split {split}, and not {' nor '.join(others)} (write {path}:{others[0]} for that)")
    for file in files:
        yield from _read_file(file, tell, texts)


def _read_jsonl(path: Path, tell: Tell) -> Iterator[_Found]:
    if is_list(path):  # an array under the wrong name
        yield from _read_json(path, tell)
        return
    for line, data in lines_of(path, tell):
        yield line, record_of(path, line, data)


def _read_json(path: Path, tell: Tell) -> Iterator[_Found]:
    """A list of objects, or objects one after the other. After broken JSON nothing more can be told apart."""
    if _begins_with_an_object(path):
        yield from _read_jsonl(path, tell)  # one object a line: a broken one does not hide the next
        return
    text = text_of(path, tell)
    decoder = json.JSONDecoder()
    spaces = re.compile(r"\s*")
    listed = text.lstrip().startswith("[")
    at = spaces.match(text).end()  # type: ignore[union-attr]
    at += listed
    line, counted = 1, 0
    expect_comma = False
    while True:
        at = spaces.match(text, at).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, at), at
        if listed and text[at : at + 1] == "]":
            if text[at + 1 :].strip():
                yield line, InputError.at(path, line, "there is text after the list's end", "write one list")
            return
        if at >= len(text):
            if listed:
                yield line, InputError.at(path, line, "broken JSON (the list has no end)", 'close it with "]"')
            return
        if listed and expect_comma:
            if text[at] != ",":
                yield line, InputError.at(path, line, "broken JSON (a comma is missing)", "put one between two rows")
                return
            expect_comma, at = False, at + 1
            continue
        try:
            record, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            yield error.lineno, broken(path, error.lineno, error)
            return
        except RecursionError:
            yield line, InputError.at(path, line, "the JSON is nested too deeply", "write plain rows")
            return
        expect_comma = True
        yield line, record


def _begins_with_an_object(path: Path) -> bool:
    """Whether the first line that is not blank is a whole object. It is read alone: the file may be large."""
    first = next((data for _, data in lines_of(path)), b"")
    try:
        return isinstance(json.loads(first.decode("utf-8-sig")), dict)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return False


def _read_text(path: Path, tell: Tell) -> Iterator[_Found]:
    with path.open("rb") as data:
        for line, text in pieces(data, tell, lambda bad, error: not_utf8(path, error.object, error, bad)):
            yield line, text if isinstance(text, InputError) else {"text": text}


def _decoded(path: Path, tell: Tell) -> Iterator[str]:
    for line, text in enumerate(data_lines(path, tell), start=1):
        try:
            decoded = text.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(path, text, error, line) from error
        yield from io.StringIO(decoded, newline="")  # old files end their lines with \r alone


def _read_csv(path: Path, tell: Tell) -> Iterator[_Found]:
    csv.field_size_limit(2**31 - 1)  # a text may well be longer than the default of 131,072 characters
    table = csv.reader(_decoded(path, tell), strict=True)
    header: list[str] = []
    last = 0
    while True:
        line = last + 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, InputError.at(path, line, f"broken CSV ({error})", "check the quotes")
            return
        last = table.line_num
        if not any(cells):
            continue
        if not header:
            header = [name.strip() for name in cells]
            continue
        if len(cells) != len(header):
            problem = f"the row has {len(cells)} cells and the header {len(header)}"
            yield line, InputError.at(path, line, problem, "put cells that hold commas or new lines in quotes")
            continue
        # An empty cell is a missing value, save for a prompt, which may well be empty.
        yield line, {k: v for k, v in zip(header, cells, strict=True) if v or k == "prompt"}


def _read_parquet(path: Path, tell: Tell) -> Iterator[_Found]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        bytes_a_row = path.stat().st_size / max(file.metadata.num_rows, 1)
        row = 0
        for batch in file.iter_batches(batch_size=256):  # rows may be whole books
            tell(int(bytes_a_row * len(batch)))
            for record in batch.to_pylist():
                row += 1
                yield row, record
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0][:160]
        raise InputError(f"{path}: not a Parquet file that can be read ({reason}); write it again") from error


def _read_saved(path: Path, split: str) -> Iterator[tuple[str, int, object]]:
    import datasets

    try:
        data = datasets.load_from_disk(str(path))
    except Exception as error:  # the library raises whatever its readers raise
        raise InputError(f"{path}: the saved data set cannot be read ({error}); save it again") from error
    yield from _of_dataset(data, str(path), split)


def _read_hub(name: str, split: str) -> Iterator[tuple[str, int, object]]:
    import datasets

    try:
        data = datasets.load_dataset(name)
    except Exception as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(
            f"{name}: neither a file here nor a data set that the hub gives ({reason}); "
            "check the name, the network, and `hf auth login` for private ones"
        ) from error
    yield from _of_dataset(data, name, split)


def _of_dataset(data: Any, name: str, split: str) -> Iterator[tuple[str, int, object]]:
    if hasattr(data, "keys"):
        if split not in data:
            known = ", ".join(f"{name}:{part}" for part in data)
            raise InputError(f"{name}: there is no split {split!r}; choose one of {known}")
        data = data[split]
    for row, record in enumerate(data, start=1):
        yield name, row, record


_READERS: dict[str, _Reader] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl.gz": _read_jsonl,
    ".json.gz": _read_json,
    ".csv.gz": _read_csv,
}
