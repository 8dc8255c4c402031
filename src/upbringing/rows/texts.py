"""Plain text files as documents, in memory that does not grow with the file."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import BinaryIO

from upbringing.errors import InputError

END = "<|endoftext|>"  # what corpora put between two documents of one file
LONGEST = 20_000  # characters; what is longer is cut, at a blank line if there is one
_BLOCK = 1 << 18


def pieces(
    data: BinaryIO, tell: Callable[[int], None], not_utf8: Callable[[int, UnicodeDecodeError], InputError]
) -> Iterator[tuple[int, str | InputError]]:
    """The documents of a plain text, each with its first line: what lies between marks ``END``, cut where too long.

    A byte that is not UTF-8 ends the reading with the error that ``not_utf8(line, error)`` makes.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    held, line, over = "", 1, False
    while not over:
        block = data.read(_BLOCK)
        tell(len(block))
        over = not block
        try:
            held += decoder.decode(block, final=over)
        except UnicodeDecodeError as error:
            bad = line + held.count("\n") + error.object.count(b"\n", 0, error.start)
            yield bad, not_utf8(bad, error)
            return
        while held and (over or len(held) > LONGEST + len(END)):
            end, rest = _cut(held)
            piece, held = held[:end], held[rest:]
            if piece.strip():
                yield line + piece[: len(piece) - len(piece.lstrip())].count("\n"), piece.strip()
            line += piece.count("\n")


def _cut(text: str) -> tuple[int, int]:
    """Where the first document of a text ends, and where the next begins."""
    mark = text.find(END, 0, LONGEST + len(END))
    if mark >= 0:
        return mark, mark + len(END)
    if len(text) <= LONGEST:
        return len(text), len(text)
    for boundary in ("\n\n", "\n", ". ", " "):
        at = text.rfind(boundary, LONGEST // 2, LONGEST)
        if at > 0:
            return at + len(boundary), at + len(boundary)
    return LONGEST, LONGEST
