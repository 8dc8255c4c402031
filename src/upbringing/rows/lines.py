"""The lines of files, packed or not, and what is wrong with one."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from upbringing.errors import InputError

Tell = Callable[[int], None]  # told of bytes that were read
PACKED = ".gz"


def ignore(_: object) -> None:
    """Nobody listens."""


def data_lines(path: Path, tell: Tell) -> Iterator[bytes]:
    """The lines of a file, packed or not; ``tell`` is told of the file's own bytes."""
    with path.open("rb") as file:
        lines = gzip.GzipFile(fileobj=file) if path.name.lower().endswith(PACKED) else file
        told = 0
        for data in lines:
            at = file.tell() if lines is not file else told + len(data)
            tell(at - told)
            told = at
            yield data


def text_of(path: Path, tell: Tell) -> str:
    data = b"".join(data_lines(path, tell))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(path, data, error) from error


def not_utf8(path: Path, data: bytes, error: UnicodeDecodeError, line: int = 0) -> InputError:
    line = line or data.count(b"\n", 0, error.start) + 1
    return InputError.at(
        path, line, f"the byte 0x{data[error.start]:02x} is not UTF-8", "save the file with the encoding UTF-8"
    )


def broken(path: Path, line: int, error: json.JSONDecodeError) -> InputError:
    return InputError.at(
        path, line, f"broken JSON ({error.msg}, column {error.colno})", "write one object a line, closed and quoted"
    )


def lines_of(path: Path, tell: Tell = ignore) -> Iterator[tuple[int, bytes]]:
    """The numbered lines of a JSONL file, without blank ones and without the mark that a file may begin with."""
    for line, data in enumerate(data_lines(path, tell), start=1):
        if line == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        if data.strip():
            yield line, data


def record_of(path: Path, line: int, data: bytes) -> object | InputError:
    """What stands in one line of a JSONL file, or why it cannot be read."""
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        return not_utf8(path, data, error, line)
    except json.JSONDecodeError as error:
        return broken(path, line, error)
    except RecursionError:
        return InputError.at(path, line, "the JSON is nested too deeply", "write plain rows")


def is_list(path: Path) -> bool:
    """Whether a file holds a JSON list of rows. A line that is a list of something else is a bad row, and no such."""
    first = next((data for _, data in lines_of(path)), b"").strip()
    return re.match(rb"\[\s*(\{|$)", first) is not None
