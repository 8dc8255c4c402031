"""What a run has sampled so far, a line a block, so that a killed one goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from upbringing.errors import InputError

Block = dict[str, Any]


class Notes:
    """Blocks in a file, after the settings they were made with; with no file, only those that are added.

    Raises ``InputError`` for a file that holds something else, or blocks of other settings.
    """

    def __init__(self, file: Path | None, settings: dict[str, Any]) -> None:
        self.file, self._settings = file, json.loads(json.dumps(settings))
        self.blocks: list[Block] = []
        if file is not None and file.exists():
            self._read(file)

    def add(self, block: Block) -> None:
        """Note a block; it is on the disk when this returns."""
        self.blocks.append(block)
        if self.file is None:
            return
        new = not self.file.exists()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as out:
            for line in ([{"settings": self._settings}] if new else []) + [block]:
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def remove(self) -> None:
        """Forget them: nobody will go on from here."""
        self.blocks = []
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def _read(self, file: Path) -> None:
        whole, _, torn = file.read_text(encoding="utf-8").rpartition("\n")
        if torn:  # the run was killed within a line, and the next block would go on in it
            file.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        if not whole:
            file.unlink()
            return
        try:
            first, *blocks = (json.loads(line) for line in whole.splitlines())
            same = first["settings"] == self._settings
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}: is not what an earlier run left ({error}); remove it or rename it") from None
        if not same:
            raise InputError(f"{file}: holds answers sampled with other settings; remove it, or choose another --out")
        self.blocks = blocks
