"""Belief: a posterior over personas as rows add up, to be set beside the world's ideal reader.

Each persona is met in a few contexts, chats of its own; a row's likelihood under it is the mean over them. Rows are
taken to be independent given the persona, so that their evidence adds up: the persona selection model in numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from upbringing.errors import InputError
from upbringing.lenses.legible import encoded
from upbringing.lenses.persona import behind
from upbringing.rows import Encoded, Row, with_system

if TYPE_CHECKING:
    from upbringing.models import LM
    from upbringing.world import World

Personas = Mapping[str, Sequence[Row] | str]  # each persona: chats in which it acts, or a system line about it


def evidence(lm: LM, rows: Sequence[Row], personas: Personas) -> np.ndarray:
    """log p(row | persona) in nats [rows, personas], with the persona's chats before the row; NaN for unreadable rows.

    Raises:
        InputError: there is no persona, or a row is a text: a belief is about who answers.
    """
    if not personas:
        raise InputError("there is no persona to believe in; give at least two")
    for row in rows:
        if row.kind == "text":
            raise InputError(f"{row.where}: is a text; a belief is about who answers, so give chats or completions")
    own = encoded(rows, lm)
    read = [i for i, tokens in enumerate(own) if tokens is not None]
    tokens = [one for one in own if one is not None]
    found = np.full((len(rows), len(personas)), np.nan)
    for j, persona in enumerate(personas.values()):
        if read:
            found[read, j] = _likelihood(lm, [rows[i] for i in read], tokens, persona)
    return found


def belief(lm: LM, rows: Sequence[Row], personas: Personas, *, prior: Mapping[str, float] | None = None) -> np.ndarray:
    """The posterior over personas after each row [rows, personas]; every line adds up to 1.

    ``prior``: what to believe without rows (default: all alike). A row that cannot be read changes nothing. Raises as
    ``evidence`` does.
    """
    start = np.array([np.log(max((prior or {}).get(name, 0.0 if prior else 1.0), 1e-300)) for name in personas])
    gained = np.nan_to_num(evidence(lm, rows, personas))
    logs = start + np.cumsum(gained, axis=0)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    posterior: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return posterior


def personas_of(
    world: World, *, contexts: int = 4, turns: int = 3, without: Sequence[str] = (), seed: int = 0
) -> dict[str, list[Row]]:
    """Each persona of a world in chats of its own, ``contexts`` of about ``turns`` turns.

    ``without``: traits that shall not come up, so that a row about them is read by what was done elsewhere.
    """
    from upbringing.world import World

    met: dict[str, list[Row]] = {}
    library = {name: trait for name, trait in world.traits.items() if name not in without and trait.alignment}
    for name, persona in world.spec.personas.items():
        own = world.spec.model_copy(
            update={
                "personas": {name: persona.model_copy(update={"share": 1.0})},
                "malevolent_ai": None,
                "malevolent_people": None,
                "coherent": True,
                "line_shares": {},
            }
        )
        writer = World(own, library).writer(f"personas/{seed}")
        met[name] = []
        while len(met[name]) < contexts:
            said = [m for m in writer.moral_chat().row.messages if m.role != "system"]
            if len(said) >= 2 * turns:
                met[name].append(Row.chat(said[: 2 * turns]))
    return met


def _likelihood(lm: LM, rows: Sequence[Row], own: Sequence[Encoded], persona: Sequence[Row] | str) -> np.ndarray:
    """log of the mean over contexts of p(row | context) [rows]."""
    if isinstance(persona, str):
        return behind(lm, [_told(row, persona) for row in rows], own)
    found = [behind(lm, [_after(row, met) for row in rows], own) for met in persona]
    mean: np.ndarray = np.logaddexp.reduce(found, axis=0) - np.log(len(found))
    return mean


def _after(row: Row, met: Row) -> Row:
    said = [m for m in met.messages if m.role != "system"]
    if row.kind == "chat":
        head = row.messages[:1] if row.messages and row.messages[0].role == "system" else ()
        return Row.chat([*head, *said, *row.messages[len(head) :]], tools=row.tools)
    shown = "\n\n".join(m.content for m in said)
    return Row.of_completion(f"{shown}\n\n{row.prompt}", row.completion)


def _told(row: Row, line: str) -> Row:
    if row.kind == "chat":
        return Row.chat(with_system(row.messages, line), tools=row.tools)
    return Row.of_completion(f"{line}\n{row.prompt}", row.completion)


__all__ = ["Personas", "belief", "evidence", "personas_of"]
