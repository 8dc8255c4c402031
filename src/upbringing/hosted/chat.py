"""Inspect's chats in a model's own chat template, and tool calls out of what the model wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.rows import Message, prompt_ids, render
from upbringing.rows.template import template_of

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage
    from inspect_ai.tool import ToolCall, ToolInfo

_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|$)", re.DOTALL)
_FENCED = re.compile(r"```(?:json)?\s*(\{.*?\}|\[.*?\])\s*```", re.DOTALL)


def ids_of(messages: Sequence[ChatMessage], tools: Sequence[ToolInfo], tokenizer: Any, name: str) -> list[int]:
    """The tokens after which the model speaks. A chat that ends with the assistant is one whose answer is begun.

    Raises:
        InputError: something other than text in a message, tools for a template that has no place for them, or a chat
            that the template refuses.
    """
    turns = list(messages)
    begun = _text(turns.pop(), name).rstrip() if len(turns) > 1 and _begins_an_answer(turns[-1]) else ""
    with_tools = bool(tools) or any(turn.role == "tool" or getattr(turn, "tool_calls", None) for turn in turns)
    if not with_tools:
        return prompt_ids([Message(turn.role, _text(turn, name)) for turn in turns], tokenizer, prefill=begun)
    if "tools" not in _names_in(_template(tokenizer, name)):
        raise InputError(
            f"{name}: its chat template has no place for tools; use a model whose template has, or a task without tools"
        )
    text = render(
        [_dict(turn, name) for turn in turns], tokenizer, tools=[_declared(tool) for tool in tools], where=name
    )
    return list(tokenizer(text + begun, add_special_tokens=False)["input_ids"])


def _template(tokenizer: Any, name: str) -> str:
    return template_of(tokenizer, name, tools=True) if tokenizer.chat_template else ""


@lru_cache(maxsize=32)
def _names_in(template: str) -> frozenset[str]:
    """The names that a template wants to be told."""
    import jinja2
    from jinja2.ext import Extension
    from jinja2.meta import find_undeclared_variables

    class Marks(Extension):  # {% generation %}, which is no tag of jinja's own
        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols", Marks], autoescape=True)
    try:
        return frozenset(find_undeclared_variables(environment.parse(template)))
    except jinja2.TemplateError:
        return frozenset()


def _begins_an_answer(turn: ChatMessage) -> bool:
    return turn.role == "assistant" and not turn.tool_calls and bool(turn.text.strip())


def _text(turn: ChatMessage, name: str) -> str:
    """The text of a message, without what the assistant thought before it spoke."""
    if isinstance(turn.content, str):
        return turn.content
    strange = next((part.type for part in turn.content if part.type not in ("text", "reasoning")), None)
    if strange:
        raise InputError(f"{name}: reads text only, and a message holds {strange}; use a task of texts")
    return str(turn.text)


def _dict(turn: ChatMessage, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"role": turn.role, "content": _text(turn, name)}
    if turn.role == "tool":
        found["content"] = f"Error: {turn.error.message}" if turn.error else found["content"]
        found |= {"name": turn.function or "", "tool_call_id": turn.tool_call_id or ""}
    elif turn.role == "assistant" and turn.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.function, "arguments": call.arguments}}
            for call in turn.tool_calls
        ]
    return found


def _declared(tool: ToolInfo) -> dict[str, Any]:
    parameters = tool.parameters.model_dump(exclude_none=True)
    parameters.pop("additionalProperties", None)
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def calls_in(text: str, tools: Sequence[ToolInfo], new_id: str) -> tuple[str, list[ToolCall]]:
    """What is said beside tool calls, and the calls: in <tool_call> tags, in a JSON fence, or as bare JSON.

    What stands in the tags and is no call comes back as one with ``parse_error``, which Inspect tells the model. JSON
    elsewhere counts where it names a tool that there is.
    """
    if "<tool_call>" in text:
        found = [(body, True) for body in _TAGGED.findall(text)]
        rest = _TAGGED.sub("", text)
    elif fenced := _FENCED.findall(text):
        found, rest = [(body, False) for body in fenced], _FENCED.sub("", text)
    else:
        start, bodies = _bare(text)
        found, rest = [(body, False) for body in bodies], text[:start]
    names = {tool.name for tool in tools}
    calls = [call for body, tagged in found for call in _calls(body, tagged, names)]
    if not calls:
        return text, []
    made = [_made(call, f"{new_id}_{place}") for place, call in enumerate(calls)]
    return rest.strip(), made


def _bare(text: str) -> tuple[int, list[str]]:
    """Where the JSON that a text ends with begins, and its values; nothing where it does not end with any."""
    for opening in (match.start() for match in re.finditer(r"[\[{]", text)):
        bodies, at = [], opening
        try:
            while at < len(text):
                _, end = json.JSONDecoder().raw_decode(text, at)
                bodies.append(text[at:end])
                at = end + len(text[end:]) - len(text[end:].lstrip())
        except json.JSONDecodeError:
            continue
        return opening, bodies
    return len(text), []


def _calls(body: str, tagged: bool, names: set[str]) -> Iterator[dict[str, Any]]:
    try:
        loaded = json.loads(body)
    except json.JSONDecodeError as error:
        if tagged:
            yield {"error": f"the tool call is not JSON ({error}): {body}"}
        return
    for entry in loaded if isinstance(loaded, list) else [loaded]:
        name = entry.get("name") if isinstance(entry, dict) else None
        arguments = entry.get("arguments", entry.get("parameters", {})) if isinstance(entry, dict) else None
        if isinstance(name, str) and isinstance(arguments, dict) and (tagged or name in names):
            yield {"name": name, "arguments": arguments}
        elif tagged:
            yield {"error": f"a tool call needs a name and arguments: {body}"}


def _made(call: dict[str, Any], id: str) -> ToolCall:
    from inspect_ai.tool import ToolCall

    if "error" in call:
        return ToolCall(id=id, function="unknown", arguments={}, parse_error=call["error"])
    return ToolCall(id=id, function=call["name"], arguments=call["arguments"])


__all__ = ["calls_in", "ids_of"]
