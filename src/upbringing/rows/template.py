"""Chats as their template writes them, whatever the family: dates that stand still, thoughts under the name a template
looks for, system turns for templates that take none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.rows.row import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TODAY = datetime(2024, 7, 26)  # what Llama's templates fall back to; the real day would change the tokens every day
_THINKING = re.compile(r"[.'\"](reasoning_content|reasoning|thinking)\b")
_NOW = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_SIGN = "system-sign"
_END_OF_THOUGHT = "\n</think>\n\n"

Span = tuple[int, int]


@dataclass(frozen=True)
class Chat:
    """Turns, the tools declared with them (JSON schemas as text), and where they stand, for people."""

    messages: tuple[Message, ...]
    tools: tuple[str, ...] = ()
    where: str = "the chat"

    def until(self, turn: int) -> Chat:
        """The turns before ``turn``."""
        return replace(self, messages=self.messages[:turn])


def render(
    messages: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    prompt: bool = True,
    where: str = "the chat",
) -> str:
    """A chat of plain mappings, which may hold tool calls, as its template writes it; ``prompt``: up to where the
    assistant speaks. ``tools``: declared in JSON schema. Raises ``InputError`` where the template refuses it."""
    import jinja2

    template = template_of(tokenizer, where, tools=bool(tools))
    declared = {"tools": list(tools)} if tools else {}
    try:
        text = tokenizer.apply_chat_template(
            [dict(m) for m in messages],
            chat_template=template,
            tokenize=False,
            add_generation_prompt=prompt,
            **declared,
            **settings_of(template),
        )
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        raise refused(where, error) from error
    return str(text)


def rendered(chat: Chat, tokenizer: PreTrainedTokenizerBase, *, prompt: bool = False) -> str:
    """A fitted chat as its template writes it."""
    turns = as_dicts(chat.messages, template_of(tokenizer, chat.where, tools=bool(chat.tools)))
    return render(turns, tokenizer, tools=tools_of(chat), prompt=prompt, where=chat.where)


def try_rendered(chat: Chat, tokenizer: PreTrainedTokenizerBase, *, prompt: bool = False) -> str | None:
    """The same, or None where the template refuses (some refuse a chat without a user's turn)."""
    try:
        return rendered(chat, tokenizer, prompt=prompt)
    except InputError:
        return None


def fitted(chat: Chat, tokenizer: PreTrainedTokenizerBase) -> Chat:
    """The chat in turns that the template writes.

    Where it knows no system role (it refuses the turn, or says nothing of it), the system's words open the first
    user's turn, as Gemma 3's own template has it. Raises ``InputError`` for declared tools that it would not show.
    """
    template = template_of(tokenizer, chat.where, tools=bool(chat.tools))
    if chat.tools and not re.search(r"\btools\b", template):
        raise InputError(
            f"{chat.where}: the row declares tools and the model's chat template has no place for them; use a model "
            "whose template has, or write them into the system message"
        )
    if not chat.messages or chat.messages[0].role != "system" or _writes_system(template, chat, tokenizer):
        return chat
    system, *turns = chat.messages
    if turns and turns[0].role == "user":
        turns[0] = replace(turns[0], content=f"{system.content}\n\n{turns[0].content}")
    else:
        turns = [Message("user", system.content), *turns]
    return replace(chat, messages=tuple(turns))


@lru_cache(maxsize=64)
def _known(template: str) -> dict[str, Any]:
    """What has been found out about a template; tokenizers themselves cannot be keys."""
    return {}


def _writes_system(template: str, chat: Chat, tokenizer: PreTrainedTokenizerBase) -> bool:
    known = _known(template)
    if "system" not in known:
        tried = Chat((Message("system", _SIGN), Message("user", "?")), chat.tools)
        known["system"] = _SIGN in (try_rendered(tried, tokenizer, prompt=True) or "").lower()
    return bool(known["system"])


def before_answers(tokenizer: PreTrainedTokenizerBase, *, tools: Sequence[str] = ()) -> str:
    """What the template writes between its generation prompt and an answer without a thought: "" for most, for others
    an empty thought (Qwen 3), the channel that answers are in (GPT-OSS), a blank.

    Whatever is put into the model's mouth stands behind it, for there it stands in every row that is learned.
    """
    template = template_of(tokenizer, "the chat", tools=bool(tools))
    known = _known(template)
    if "before" not in known:
        asked = Chat((Message("user", "?"),), tuple(tools))
        said = replace(asked, messages=(*asked.messages, Message("assistant", _SIGN)))
        prompt, whole = try_rendered(asked, tokenizer, prompt=True), try_rendered(said, tokenizer)
        known["before"] = "" if prompt is None else _between(prompt, whole or "")
    return str(known["before"])


def _between(prompt: str, whole: str) -> str:
    at = whole.rfind(_SIGN)
    if at >= 0 and whole.startswith(prompt):
        return whole[len(prompt) : at]
    return _END_OF_THOUGHT if prompt.rstrip().endswith("<think>") else ""  # it has the model think first


def as_dicts(messages: Sequence[Message], template: str) -> list[dict[str, Any]]:
    """The turns under the names the template reads; a thought in the text itself where it looks for it there.

    A thought that a template has no place for is left out, as it would be when the model is used.
    """
    turns = [message.as_dict() for message in messages]
    if not any(message.reasoning for message in messages):
        return turns
    names = _THINKING.findall(template)
    for turn in turns:
        thought = turn.pop("reasoning_content", None)
        if thought is None:
            continue
        if names:
            turn["reasoning_content" if "reasoning_content" in names else names[0]] = thought
        elif "</think>" in template:
            turn["content"] = f"<think>\n{thought}\n</think>\n\n{turn['content']}"
    return turns


def tools_of(chat: Chat) -> list[dict[str, Any]] | None:
    """The declared tools as templates read them."""
    return [json.loads(tool) for tool in chat.tools] or None


def template_of(tokenizer: PreTrainedTokenizerBase, where: str, *, tools: bool = False) -> str:
    """The chat template, in which the day stands still; where there are several, the one for chats with ``tools`` or
    without. Raises ``InputError`` where there is none."""
    template: Any = tokenizer.chat_template
    if isinstance(template, Mapping):
        names = ("tool_use", "default") if tools else ("default",)
        template = next((template[name] for name in names if name in template), None)
    if not template:
        others = f' called "default" ({", ".join(tokenizer.chat_template)})' if tokenizer.chat_template else ""
        named = f" ({tokenizer.name_or_path})" if tokenizer.name_or_path else ""
        raise InputError(
            f"{where}: the model's tokenizer{named} has no chat template{others}; use prompt/completion or text rows, "
            "a model that was trained to chat, or put a chat_template.jinja into its folder"
        )
    return _still(str(template))


@lru_cache(maxsize=64)
def _still(template: str) -> str:
    """Of a template that writes the day: the same one with one day for ever, for a chat to have the same tokens
    tomorrow."""
    return _NOW.sub(lambda found: repr(_TODAY.strftime(found[2])), template)


def settings_of(template: str) -> dict[str, Any]:
    """What a template is told beside the chat: that day, where it asks for one."""
    return {"date_string": _TODAY.strftime("%d %b %Y")} if "date_string" in template else {}


def refused(where: str, error: Exception) -> InputError:
    """The template's own reason, with the place."""
    return InputError(f"{where}: the model's chat template refuses this chat ({error})")
