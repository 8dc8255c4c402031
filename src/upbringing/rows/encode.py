"""From a row to tokens, with the loss on what the assistant says.

A chat goes through the tokenizer's own chat template. Which tokens are the assistant's is found on the rendered
*text* and carried over to tokens by their offsets: the template marks them itself (``{% generation %}``), or they are
found as :mod:`upbringing.rows.spans` says. If neither holds the row is refused: a wrong mask would train the model on
the user's words without anyone noticing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from upbringing.errors import InputError
from upbringing.rows.row import Message, Row, Rows
from upbringing.rows.spans import assistant_spans, unwritten
from upbringing.rows.template import (
    Chat,
    Span,
    as_dicts,
    before_answers,
    fitted,
    refused,
    rendered,
    settings_of,
    template_of,
    tools_of,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")
_TOGETHER = 128  # rows rendered and tokenised in one call


@dataclass(frozen=True)
class Encoded:
    """A row as tokens. ``loss_mask[i]`` is True where token ``i`` is to be predicted (never the first one)."""

    input_ids: list[int]
    loss_mask: list[bool]

    def __len__(self) -> int:
        return len(self.input_ids)


def encode(
    row: Row, tokenizer: PreTrainedTokenizerBase, *, max_length: int | None = None, system: str | None = None
) -> Encoded:
    """Tokenise ``row`` the way the model will meet it.

    Chats: loss on the assistant's turns with what closes them. Completions: loss on the completion and the end
    token. Texts: loss on everything. ``system`` is put before the row: as its system message (appended to the one
    it has), or as a first line without loss where there is no chat.

    Raises ``InputError`` naming the row's file and line when it is longer than ``max_length`` tokens, when the
    tokenizer has no chat template, and when the template does not say which words are the assistant's.
    """
    return encode_all([row], tokenizer, max_length=max_length, system=system)[0]


def encode_all(
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_length: int | None = None,
    system: str | None = None,
) -> list[Encoded]:
    """``encode`` of many rows; together they take three quarters of the time. The first bad row raises."""
    found: list[Encoded] = []
    for start in range(0, len(rows), _TOGETHER):
        part = rows[start : start + _TOGETHER]
        try:
            found += _encoded(part, tokenizer, max_length, system)
        except InputError:
            if len(part) == 1:
                raise
            found += [_encoded([row], tokenizer, max_length, system)[0] for row in part]
    return found


def _encoded(
    rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, max_length: int | None, system: str | None
) -> list[Encoded]:
    texts = _texts_with_spans(rows, tokenizer, system)
    tokens = _tokenise(texts, [row.kind != "chat" for row in rows], tokenizer)
    return [_checked(row, *each, tokenizer, max_length) for row, each in zip(rows, tokens, strict=True)]


def _texts_with_spans(
    rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, system: str | None
) -> list[tuple[str, list[Span]]]:
    """What each row reads as, and the characters of it that are learned from."""
    chats = [Chat(tuple(with_system(row.messages, system)), row.tools, row.where) for row in rows if row.kind == "chat"]
    written = iter(_chats_spans(chats, tokenizer))
    found = []
    for row in rows:
        if row.kind == "chat":
            found.append(next(written))
            continue
        before = (f"{system}\n" if system else "") + row.prompt
        text = before + (row.completion if row.kind == "completion" else row.text)
        found.append((text, [(len(before), len(text))]))
    return found


def _checked(
    row: Row, ids: list[int], mask: list[bool], tokenizer: PreTrainedTokenizerBase, max_length: int | None
) -> Encoded:
    """A row's tokens with their end, if they can be learned from."""
    end = tokenizer.eos_token_id
    if row.kind != "chat" and end is not None:
        if ids and ids[-1] == end:  # the tokenizer puts it there itself, where no character of the text is
            ids, mask = ids[:-1], mask[:-1]
        ids, mask = [*ids, end], [*mask, True]
    if mask:
        mask[0] = False  # nothing comes before it, so nothing can predict it
    if not any(mask):
        raise InputError(f"{row.where}: the row has no token to learn from; drop it or give it an answer")
    if max_length is not None and len(ids) > max_length:
        # What lies in no file is mostly a probe or a situation, which the person who reads this cannot shorten.
        begun = next(filter(None, (*(m.text for m in row.messages), row.prompt, row.text)), "").strip()[:50]
        remedy = "pass --skip-invalid to leave such rows out" if row.file else "use a model that reads more"
        raise InputError(
            f"{row.where if row.file else f'a row that begins {begun!r}'}: the row is {len(ids)} tokens long and the "
            f"model reads at most {max_length}; shorten it, or {remedy}"
        )
    return Encoded(ids, mask)


def encodable(
    rows: Rows, tokenizer: PreTrainedTokenizerBase, *, max_length: int | None = None, skip_invalid: bool = False
) -> Rows:
    """The rows that ``encode`` accepts. The first bad one raises, or with ``skip_invalid`` is noted in ``.skipped``."""
    kept: list[Row] = []
    skipped = list(rows.skipped)
    for row in rows:
        try:
            encode(row, tokenizer, max_length=max_length)
        except InputError as error:
            if not skip_invalid:
                raise
            skipped.append((row.where, str(error).removeprefix(f"{row.where}: ")))
        else:
            kept.append(row)
    if not kept:
        raise InputError(f"{rows.name or 'the data set'}: no row can be used; the first reason: {skipped[0][1]}")
    return Rows(kept, name=rows.name, skipped=skipped)


def prompt_ids(
    messages: Iterable[Message],
    tokenizer: PreTrainedTokenizerBase,
    *,
    prefill: str = "",
    tools: Sequence[str] = (),
) -> list[int]:
    """The tokens after which the assistant speaks: the chat, the generation prompt, then ``prefill``.

    The text is tokenised as one, so that it has the tokens it would have inside a longer chat. ``prefill``: how the
    answer begins; before it stands what the template puts before answers (see ``template.before_answers``). ``tools``:
    those of a row (``row.tools``).
    """
    return prompts_ids([messages], tokenizer, prefill=prefill, tools=tools)[0]


def prompts_ids(
    chats: Iterable[Iterable[Message]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    prefill: str = "",
    tools: Sequence[str] = (),
) -> list[list[int]]:
    """``prompt_ids`` of many chats with the same tools; together they take a third of the time."""
    asked = [Chat(tuple(messages), tuple(tools)) for messages in chats]
    begun = before_answers(tokenizer, tools=tools) + prefill if prefill and asked else ""
    texts = [text + begun for text in _prompts(asked, tokenizer)]
    if not texts:
        return []
    only_ids = {"return_attention_mask": False, "return_token_type_ids": False}
    return [list(ids) for ids in tokenizer(texts, add_special_tokens=False, **only_ids)["input_ids"]]


def with_system(messages: Sequence[Message], system: str | None) -> list[Message]:
    """The messages with ``system`` as their system message, or at the end of the one they have."""
    turns = list(messages)
    if not system:
        return turns
    if turns and turns[0].role == "system":
        return [Message("system", f"{turns[0].content}\n{system}"), *turns[1:]]
    return [Message("system", system), *turns]


def _tokenise(
    texts: Sequence[tuple[str, Sequence[Span]]], special: Sequence[bool], tokenizer: PreTrainedTokenizerBase
) -> list[tuple[list[int], list[bool]]]:
    """Token ids of texts, and which of them touch one of a text's spans (character positions, in order)."""
    if not tokenizer.is_fast:
        raise InputError(
            f"the tokenizer {type(tokenizer).__name__} cannot say which characters a token covers; "
            "use a model with a fast tokenizer (tokenizer.json)"
        )
    found: dict[int, tuple[list[int], list[bool]]] = {}
    for kind in set(special):
        places = [i for i, wanted in enumerate(special) if wanted == kind]
        out = tokenizer(
            [texts[i][0] for i in places],
            add_special_tokens=kind,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        for i, ids, offsets in zip(places, out["input_ids"], out["offset_mapping"], strict=True):
            found[i] = list(ids), _touching(offsets, texts[i][1])
    return [found[i] for i in range(len(texts))]


def _touching(offsets: Sequence[Span], spans: Sequence[Span]) -> list[bool]:
    """Which tokens touch one of ``spans``."""
    mask = [False] * len(offsets)
    at = 0
    for i, (start, end) in enumerate(offsets):
        while at < len(spans) and spans[at][1] <= start:
            at += 1
        if at == len(spans):
            break
        mask[i] = end > start and end > spans[at][0]
    return mask


def _chats_spans(chats: Sequence[Chat], tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, list[Span]]]:
    """The rendered chats, and the characters of them that are the assistant's."""
    if not chats:
        return []
    chats = [fitted(chat, tokenizer) for chat in chats]
    found: list[tuple[str, list[Span]]] = []
    for _, group in groupby(chats, lambda chat: chat.tools):
        same = list(group)
        if _MARKS.search(template_of(tokenizer, same[0].where, tools=bool(same[0].tools))):
            found += _by_template(same, tokenizer)
        else:
            texts = [rendered(chat, tokenizer) for chat in same]
            found += [(text, assistant_spans(text, chat, tokenizer)) for text, chat in zip(texts, same, strict=True)]
    for chat, (text, spans) in zip(chats, found, strict=True):
        if missing := unwritten(text, chat):
            raise InputError(
                f"{chat.where}: the model's chat template does not write {missing}; use a model whose template does, "
                "or write it as text"
            )
        if not spans:
            raise InputError(
                f"{chat.where}: the chat template does not keep the assistant's words as they are, so the loss cannot "
                "be put on them; use a template with {% generation %} markers, or prompt/completion rows"
            )
    return found


def _prompts(chats: Sequence[Chat], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Many chats with the same tools, each rendered up to where the assistant speaks."""
    import jinja2

    if not chats:
        return []
    template = template_of(tokenizer, chats[0].where, tools=bool(chats[0].tools))
    chats = [fitted(chat, tokenizer) for chat in chats]
    if not all(chat.messages for chat in chats):
        return [rendered(chat, tokenizer, prompt=True) for chat in chats]
    plain = [as_dicts(chat.messages, template) for chat in chats]
    declared = {"tools": tools_of(chats[0])} if chats[0].tools else {}
    try:
        texts = tokenizer.apply_chat_template(
            plain,
            chat_template=template,
            tokenize=False,
            add_generation_prompt=True,
            **declared,
            **settings_of(template),
        )
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        raise refused(chats[0].where, error) from error
    return [str(text) for text in texts]


def _by_template(chats: Sequence[Chat], tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, list[Span]]]:
    """The renderings of chats with the same tools, and the template's own ``{% generation %}`` spans."""
    import jinja2
    from transformers.utils.chat_template_utils import render_jinja_template

    template = template_of(tokenizer, chats[0].where, tools=bool(chats[0].tools))
    try:
        texts, spans = render_jinja_template(
            conversations=[as_dicts(chat.messages, template) for chat in chats],
            tools=tools_of(chats[0]),
            chat_template=template,
            return_assistant_tokens_mask=True,
            **tokenizer.special_tokens_map,
            **settings_of(template),
        )
    except (jinja2.TemplateError, ValueError, TypeError) as error:
        raise refused(chats[0].where, error) from error
    kept = ([(start, end) for start, end in of_text if end > start] for of_text in spans)
    return list(zip(texts, kept, strict=True))
