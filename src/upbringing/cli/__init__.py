"""The command line: parse, call the library, print. Nothing here is worth importing from elsewhere."""

from upbringing.cli.app import main

__all__ = ["main"]
