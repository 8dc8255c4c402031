"""Chats of Inspect's become the model's own tokens, and what it wrote becomes calls."""

from __future__ import annotations

from typing import Any

import pytest
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentImage,
    ContentText,
)
from inspect_ai.tool import ToolCall, ToolInfo, ToolParam, ToolParams

from tests.models.dialects import tokenizer_of
from tests.models.tiny import tokenizer
from upbringing.errors import InputError
from upbringing.hosted.chat import calls_in, ids_of
from upbringing.rows import Message, prompt_ids

READ = ToolInfo(
    name="read_file",
    description="Read a file.",
    parameters=ToolParams(properties={"path": ToolParam(type="string")}, required=["path"]),
)
CALL = '{"name": "read_file", "arguments": {"path": "notes.txt"}}'


def test_a_chat_has_the_tokens_that_measuring_gives_it() -> None:
    words = tokenizer()
    chat = [ChatMessageSystem(content="w1 w2"), ChatMessageUser(content=[ContentText(text="w3")])]
    assert ids_of(chat, [], words, "m") == prompt_ids([Message("system", "w1 w2"), Message("user", "w3")], words)
    begun = [*chat, ChatMessageAssistant(content="w4 w5")]
    assert ids_of(begun, [], words, "m") == prompt_ids(
        [Message("system", "w1 w2"), Message("user", "w3")], words, prefill="w4 w5"
    )


@pytest.mark.parametrize("family", ["qwen3", "mistral", "olmo3", "gpt_oss"])
def test_tools_calls_and_results_go_through_the_template(family: str) -> None:
    words = tokenizer_of(family)
    chat: list[Any] = [
        ChatMessageUser(content="what is in the notes?"),
        ChatMessageAssistant(content="", tool_calls=[ToolCall("a1b2c3d4e", "read_file", {"path": "notes.txt"})]),
        ChatMessageTool(content="the cat sat", tool_call_id="a1b2c3d4e", function="read_file"),
    ]
    text = words.decode(ids_of(chat, [READ], words, "m"))
    declared, called, told = text.find("read_file"), text.rfind("notes.txt"), text.find("the cat sat")
    assert -1 < declared < called < told


def test_a_template_without_a_place_for_tools_is_a_clear_error() -> None:
    with pytest.raises(InputError, match="m: its chat template has no place for tools; use a model"):
        ids_of([ChatMessageUser(content="w1")], [READ], tokenizer(), "m")


def test_what_is_no_text_is_a_clear_error() -> None:
    picture = ChatMessageUser(content=[ContentText(text="w1"), ContentImage(image="data:image/png;base64,aaaa")])
    with pytest.raises(InputError, match="reads text only, and a message holds image"):
        ids_of([picture], [], tokenizer(), "m")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"I look.\n<tool_call>\n{CALL}\n</tool_call>", "I look."),
        (f"<tool_call>{CALL}", ""),  # cut off after the call
        (f"I look.\n```json\n{CALL}\n```", "I look."),
        (f"[{CALL}]", ""),
        (CALL.replace("arguments", "parameters"), ""),
    ],
)
def test_calls_are_found_in_the_forms_that_models_write(text: str, said: str) -> None:
    rest, (call,) = calls_in(text, [READ], "id")
    assert (rest, call.function, call.arguments, call.parse_error) == (said, "read_file", {"path": "notes.txt"}, None)


def test_two_bare_calls_are_two_calls_with_ids_of_their_own() -> None:
    _, calls = calls_in(f"{CALL}\n{CALL.replace('notes', 'more')}", [READ], "id")
    assert [call.arguments["path"] for call in calls] == ["notes.txt", "more.txt"]
    assert len({call.id for call in calls}) == 2


def test_a_broken_call_is_told_back_and_words_are_no_call() -> None:
    _, (broken,) = calls_in('<tool_call>{"name": "read_file", </tool_call>', [READ], "id")
    assert broken.parse_error is not None
    assert "not JSON" in broken.parse_error
    for text in ("The answer is {4, 5}.", '{"name": "no_such_tool", "arguments": {}}', "[1, 2]", "plain words"):
        assert calls_in(text, [READ], "id") == (text, [])
