"""What docs/monitor.md shows can be copied."""

from __future__ import annotations

import builtins
import re
import shlex
import symtable
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "monitor.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_block_of_python_names_all_that_it_uses() -> None:
    """Each can be copied alone. That they run, one after the other, is seen by ``scripts/run_docs.py``."""
    assert len(blocks("python")) >= 4
    for block in blocks("python"):
        whole = symtable.symtable(block, str(PAGE), "exec")
        known = {symbol.get_name() for symbol in whole.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        assert not set(_used(whole)) - known - set(vars(builtins))


def _used(of: symtable.SymbolTable) -> Iterator[str]:
    """The names of its module that a block and its functions take."""
    for symbol in of.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or of.get_type() == "module"):
            yield symbol.get_name()
    for child in of.get_children():
        yield from _used(child)


def test_every_line_for_the_shell_is_a_command_of_ours() -> None:
    import typer

    from upbringing.cli.app import app

    lines = [line for block in blocks("sh") for line in block.strip().splitlines()]
    assert lines
    for line in lines:
        program, verb, *arguments = shlex.split(line)
        assert program == "upbringing"
        command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
        command.make_context(verb, arguments)  # raises for what it does not take
