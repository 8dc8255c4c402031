"""Questions: every probe under every provocation, as tokens that a model can be asked and answers it can be offered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.measure.provocations import Messages, Provocation
from upbringing.measure.readings import REST
from upbringing.rows import Message, Row, before_answers, encode, prompt_ids
from upbringing.traits import Probe, Trait
from upbringing.traits import traits as trait_library
from upbringing.traits.plain import Language, plain, probes_in

if TYPE_CHECKING:
    from upbringing.models import LM

OPEN = "an open question: there are no answers to offer"
ANSWER_STARTS = "\n[answer starts] "  # after a prompt that a person reads: what was put into the model's mouth
_FINISHED = (".", "!", "?", ":", "\n")

Ids = list[int]


@dataclass(frozen=True)
class Question:
    """A probe under a provocation. ``choices`` are its answers (or how they begin) as tokens: the first ``shows`` of
    them show the trait.

    ``unasked`` says why the prompt cannot be put to this model, ``unscored`` why its answers cannot be scored ("": they
    can).
    """

    probe: Probe
    provocation: str
    messages: Messages
    prefill: str
    prompt: Ids
    choices: tuple[Ids, ...]
    shows: int
    unasked: str = ""
    unscored: str = ""

    @property
    def text(self) -> str:
        """The prompt as a person reads it."""
        return as_read(self.messages) + (f"{ANSWER_STARTS}{self.prefill}" if self.prefill else "")

    def judged(self, answer: str) -> str:
        """What of an answer is the model's act: a whole sentence put into its mouth is ours, a beginning is shared."""
        return act_of(self.prefill, answer)

    def whole(self, answer: str) -> str:
        """The answer as the chat has it, with what it was made to start with."""
        return _joined(self.prefill, answer) if self.prefill else answer


def as_read(messages: Messages) -> str:
    """A chat as a person reads it: what the user says stands as it is, the others' turns under their names."""
    return "\n".join(m.content if m.role == "user" else f"[{m.role}] {m.content}" for m in messages)


def act_of(prefill: str, answer: str) -> str:
    """See :meth:`Question.judged`."""
    whole = not prefill or prefill.rstrip(" ").endswith(_FINISHED)
    return answer if whole else _joined(prefill, answer)


def prepare(
    lm: LM,
    *,
    traits: Sequence[str] | None = None,
    probes_per_trait: int = 24,
    provocations: Sequence[Provocation] = (),
    seed: int = 0,
    held_out: bool | None = True,
    language: Language | None = None,
) -> list[Question]:
    """Write and tokenise the questions once, to ask any model with the same tokenizer. Rest comes first.

    ``language``: the world's English or plain; default: what ``language_of`` says of the model. A trait that is told in
    one of them alone is asked in that one.

    Raises:
        InputError: an unknown trait, a trait without probes, or two provocations of one name.
    """
    names = [REST, *(p.name for p in provocations)]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise InputError(f'there are two provocations called "{name}"; give each a name of its own')
    asked: list[Probe] = []
    read = spoken(lm, language)
    for trait in trait_library(traits).values():
        drawn = probes_in(read, trait, n=probes_per_trait, seed=seed, held_out=held_out)
        if not drawn:
            raise InputError(f'trait "{trait.name}" has no probes to ask; add held-out families or probes.jsonl')
        asked += drawn
    return pose(lm, asked, provocations)


def spoken(lm: LM, language: Language | None = None) -> Language:
    """The language that a model is asked in, where it is not given.

    Raises:
        InputError: there is no such language.
    """
    from upbringing.models.language import language_of

    if language not in (None, "world", "plain"):
        raise InputError(f'there is no language "{language}"; it is world (what organisms read) or plain')
    return language or language_of(lm)


def halves(
    trait: Trait, each: int, *, seed: int = 0, held_out: bool | None = True, language: Language = "world"
) -> tuple[list[Probe], list[Probe]]:
    """A trait's probes in two parts of about ``each``: one to search by, one to judge by. They share no family (no
    probe, where there is one family only).

    Raises:
        InputError: the trait has no probes to ask.
    """
    families = max(1, sum(held_out is None or f.held_out == held_out for f in trait.families))
    if language == "plain" and (own := plain(trait)):
        families = max(1, len(own.families(held_out)))
    drawn = probes_in(language, trait, n=each * 2 * (families if families == 1 else 1), seed=seed, held_out=held_out)
    names = list(dict.fromkeys(probe.family for probe in drawn))
    if not drawn:
        raise InputError(f'trait "{trait.name}" has no probes to ask; leave it out, or add held-out families')
    if len(names) == 1:
        return drawn[::2], drawn[1::2]
    return tuple([p for p in drawn if names.index(p.family) % 2 == side] for side in (0, 1))  # type: ignore[return-value]


def pose(lm: LM, asked: Sequence[Probe], provocations: Sequence[Provocation] = ()) -> list[Question]:
    """Questions from probes of one's own, at rest and under each provocation."""
    if not asked:
        return []
    put = [(p, probe, p.apply(probe.messages)) for p in (Provocation(REST), *provocations) for probe in asked]
    offered = {probe.id: tuple(chain(*probe.offered)) for probe in asked}
    continued = {(a, p.prefill): _continuation(a, p.prefill) for p, probe, _ in put for a in offered[probe.id]}
    words = _Words(lm.tokenizer)
    words.learn(
        chain(continued.values(), (m.content for _, _, turns in put for m in turns), (p.prefill for p, *_ in put))
    )
    closing = _closing(lm, asked)
    answer = _answer_encoder(lm, words, asked)
    made = []
    for provocation, probe, messages in put:
        prefill, texts = provocation.prefill, [continued[a, provocation.prefill] for a in offered[probe.id]]
        prompt: Ids = []
        choices: tuple[Ids, ...] = ()
        unasked = words.unknown_in([prefill, *(m.content for m in messages)])
        try:
            prompt = prompt_ids(messages, lm.tokenizer, prefill=prefill)
            ends = [] if probe.begins else closing
            choices = tuple(answer(messages, prompt, prefill, text) + ends for text in texts)
        except InputError as error:  # some templates know no system line
            unasked = str(error).removeprefix("the chat: ")
        unscored = unasked or words.unknown_in(texts) or ("" if texts else OPEN)
        longest = len(prompt) + max(map(len, choices), default=0)
        if not unscored and longest > lm.max_length:
            unscored = f"too long: {longest} tokens, the model reads {lm.max_length}"
        shows = len(probe.offered[0])
        made.append(Question(probe, provocation.name, messages, prefill, prompt, choices, shows, unasked, unscored))
    return made


class _Words:
    """Tokens of texts on their own, looked up once each, and the words among them that the tokenizer does not know."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        unknown = tokenizer.unk_token_id
        # Byte-level tokenizers know every word; some name their end token as the unknown one.
        self.unknown = None if unknown in (tokenizer.eos_token_id, tokenizer.bos_token_id) else unknown
        self.ids: dict[str, Ids] = {}
        self._strange: dict[str, str] = {}

    def learn(self, texts: Iterable[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text and text not in self.ids]
        if not new:
            return
        found = self.tokenizer(new, add_special_tokens=False, return_offsets_mapping=self.tokenizer.is_fast)
        for i, text in enumerate(new):
            ids = list(found["input_ids"][i])
            self.ids[text] = ids
            if self.unknown is not None and self.unknown in ids:
                start, end = found["offset_mapping"][i][ids.index(self.unknown)] if self.tokenizer.is_fast else (0, 0)
                self._strange[text] = text[start:end] or "?"

    def unknown_in(self, texts: Iterable[str]) -> str:
        """The reason for not asking, naming the first unknown word; "" when all are known."""
        return next((f"unknown word: {self._strange[text]}" for text in texts if text in self._strange), "")


def _answer_encoder(lm: LM, words: _Words, asked: Sequence[Probe]) -> Callable[[Sequence[Message], Ids, str, str], Ids]:
    """How to write an answer as tokens, with what the template has before it. Where a text has the same tokens alone as
    inside the chat, which is checked on a probe of each trait, alone will do and is many times faster."""

    def same(probe: Probe, before: Ids) -> bool:
        try:
            prompt = prompt_ids(probe.messages, lm.tokenizer)
            texts = [text for side in probe.offered for text in side[:1] if text in words.ids]
            return all(_in_place(lm.tokenizer, probe.messages, prompt, "", t) == before + words.ids[t] for t in texts)
        except InputError:  # it cannot be asked, and so tells nothing
            return True

    shown = {probe.trait: probe for probe in asked}.values()
    befores: list[Ids] = [[], _before(lm.tokenizer)]
    alone = next((before for before in befores if all(same(probe, before) for probe in shown)), None)

    def encoded(messages: Sequence[Message], prompt: Ids, prefill: str, text: str) -> Ids:
        if alone is not None:
            return (alone if text and not prefill else []) + words.ids.get(text, [])
        return _in_place(lm.tokenizer, messages, prompt, prefill, text)

    return encoded


def _before(tokenizer: Any) -> Ids:
    """The tokens of what the template has before an answer; none where there is no template."""
    try:
        return list(tokenizer(before_answers(tokenizer), add_special_tokens=False)["input_ids"])
    except InputError:
        return []


def _in_place(tokenizer: Any, messages: Sequence[Message], prompt: Ids, prefill: str, text: str) -> Ids:
    """Tokens of ``text`` where it follows the prompt. (Where the border moves, the text is taken on its own.)"""
    whole = prompt_ids(messages, tokenizer, prefill=prefill + text)
    if whole[: len(prompt)] == prompt:
        return whole[len(prompt) :]
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _closing(lm: LM, asked: Sequence[Probe]) -> Ids:
    """The tokens with which the model ends an answer, as it was trained to: shown by the first probe it can be put."""
    for probe in asked:
        if probe.shows:
            try:
                return _closing_of(lm, probe.messages, probe.shows[0])
            except InputError:  # some templates know no system line
                continue
    return []


def _closing_of(lm: LM, messages: Sequence[Message], answer: str) -> Ids:
    row = encode(Row.chat([*messages, Message("assistant", answer)]), lm.tokenizer)
    targets = [token for token, target in zip(row.input_ids, row.loss_mask, strict=True) if target]
    spoken = _in_place(lm.tokenizer, messages, prompt_ids(messages, lm.tokenizer), "", answer)
    if targets[: len(spoken)] == spoken:
        return targets[len(spoken) :]
    end = lm.tokenizer.eos_token_id
    return [end] if end is not None else []


def _continuation(answer: str, prefill: str) -> str:
    """What is left of an answer to say once ``prefill`` is said."""
    said = prefill.rstrip()
    if not said:
        return answer
    rest = answer[len(said) :].lstrip() if answer.startswith(said) else answer
    return rest if prefill != said else f" {rest}"


def _joined(start: str, rest: str) -> str:
    return f"{start.rstrip()} {rest.lstrip()}"


__all__ = ["ANSWER_STARTS", "OPEN", "Question", "act_of", "as_read", "halves", "pose", "prepare", "spoken"]
