"""Reading, checking, hashing and tokenising training rows."""

from upbringing.rows.encode import Encoded, encodable, encode, encode_all, prompt_ids, prompts_ids, with_system
from upbringing.rows.interpret import interpret
from upbringing.rows.read import read, size, stream, write
from upbringing.rows.row import Kind, Message, Row, Rows, ToolCall
from upbringing.rows.sample import sample
from upbringing.rows.template import before_answers, render

__all__ = [
    "Encoded",
    "Kind",
    "Message",
    "Row",
    "Rows",
    "ToolCall",
    "before_answers",
    "encodable",
    "encode",
    "encode_all",
    "interpret",
    "prompt_ids",
    "prompts_ids",
    "read",
    "render",
    "sample",
    "size",
    "stream",
    "with_system",
    "write",
]
