"""Authors: whoever writes texts to a brief (the world's grammar, a local or hosted model), and how they are checked."""

from upbringing.authors.author import Author, AuthorError, ModelAuthor, WorldAuthor, author_named
from upbringing.authors.brief import Brief, row_of, text_of
from upbringing.authors.check import REASONS, Checker
from upbringing.authors.hosted import InspectAuthor
from upbringing.authors.writing import Writing, record_of, unlike, write

__all__ = [
    "REASONS",
    "Author",
    "AuthorError",
    "Brief",
    "Checker",
    "InspectAuthor",
    "ModelAuthor",
    "WorldAuthor",
    "Writing",
    "author_named",
    "record_of",
    "row_of",
    "text_of",
    "unlike",
    "write",
]
