"""Treatments can be made by name, and a wrong name or setting is named."""

from __future__ import annotations

from typing import Any

import pytest

from tests.training.made_up import QUICK, chats
from upbringing.errors import InputError
from upbringing.training import KINDS, InoculationAdapter, Interleave, KLToBase, Recipe, treatment_from

MAKINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "line": ("You cheat.", {}),
    "mix": (chats(3), {"share": 0.5}),
    "filter": ([1, 2], {}),
    "interleave": (chats(3), {"share": 0.1, "choose": "gap", "scores": [1.0, 2.0, 3.0]}),
    "kl": (chats(3), {"weight": 0.5}),
    "steer": ("blackmail", {"strength": 2.0}),
    "adapter": (chats(3), {"training": {"steps": 5}}),
}


def test_every_kind_can_be_made_by_name() -> None:
    assert MAKINGS.keys() == KINDS.keys()
    for kind, (what, settings) in MAKINGS.items():
        assert type(treatment_from(kind, what, **settings)) is KINDS[kind]


def test_settings_arrive_where_they_belong() -> None:
    assert treatment_from("kl", chats(3), weight=0.5, share=0.1) == KLToBase(chats(3), 0.5, 0.1)
    assert treatment_from("interleave", chats(3), share=0.1) == Interleave(chats(3), 0.1)
    made = treatment_from("adapter", chats(3), training={"steps": 5, "lora": {"rank": 2}})
    assert isinstance(made, InoculationAdapter)
    assert made.training is not None
    assert (made.training.steps, made.training.lora and made.training.lora.rank) == (5, 2)
    lora = Recipe(**{**QUICK.model_dump(), "lora": {}})
    assert treatment_from("adapter", chats(3), training=lora) == InoculationAdapter(chats(3), lora)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("kill", {}, 'no treatment "kill"; known: line, mix, filter, interleave, kl, steer, adapter'),
        ("kl", {}, "kl: missing a required argument: 'weight'; it takes: weight, share"),
        ("kl", {"weight": 1, "strength": 2}, "kl: got an unexpected keyword argument 'strength'"),
        ("line", {"share": 1}, "it takes: no settings"),
        ("adapter", {"training": {"steps": 0}}, "adapter: training: steps: input should be greater"),
        ("mix", {"share": 3}, "share to mix in is 3"),
    ],
)
def test_a_wrong_name_or_setting_is_named(kind: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        treatment_from(kind, "w1" if kind == "line" else chats(3), **settings)
