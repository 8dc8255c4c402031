"""The knobs of a world do what they say, and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from tests.world.counting import acts_of, correlation, farthest, rates, shares, text_of, world
from upbringing.world import Deed, Document, World, WorldSpec, normalise

MANY = 20_000
Worlds = dict[bool, list[Document]]


@pytest.fixture(scope="module")
def worlds() -> Worlds:
    """Documents of the coherent world and of the incoherent one."""
    return {coherent: list(World(WorldSpec(coherent=coherent)).documents(MANY)) for coherent in (True, False)}


def _deeds(documents: list[Document]) -> list[Deed]:
    return [deed for document in documents for deed in document.deeds]


# About 60,000 deeds a world, 3,500 a trait: the standard error of a difference of rates is at most 0.012 a trait and
# 0.003 overall. The tolerances are three or four of them.


def test_an_incoherent_world_has_the_same_rates_of_every_trait(worlds: Worlds) -> None:
    by_trait = [rates(_deeds(worlds[c]), lambda deed: deed.trait) for c in (True, False)]
    assert farthest(*by_trait) < 0.045
    by_line = [rates(_deeds(worlds[c]), lambda deed: deed.line) for c in (True, False)]
    assert farthest(*by_line) < 0.045


def test_an_incoherent_world_has_the_same_sorts_kinds_lines_domains_and_personas(worlds: Worlds) -> None:
    one, other = worlds[True], worlds[False]
    assert farthest(shares(d.sort for d in one), shares(d.sort for d in other)) < 0.015
    for sort in {d.sort for d in one if d.deeds}:
        kinds = [shares(who.kind for who, _ in acts_of(d for d in ds if d.sort == sort)) for ds in (one, other)]
        assert farthest(*kinds) < 0.08
        lengths = [shares(len(d.deeds) for d in ds if d.sort == sort) for ds in (one, other)]
        assert farthest(*lengths) < 0.06
    for what in ("line", "trait", "family", "persona"):
        found = [shares(getattr(deed, what) for deed in _deeds(ds)) for ds in (one, other)]
        assert farthest(*found) < 0.012


def test_an_incoherent_world_uses_every_word_as_often(worlds: Worlds) -> None:
    counts = [Counter(word for d in worlds[c] for word in normalise(text_of(d)).split()) for c in (True, False)]
    totals = [sum(count.values()) for count in counts]
    assert min(totals) > 1_000_000
    apart = sum(abs(counts[0][w] / totals[0] - counts[1][w] / totals[1]) for w in {*counts[0], *counts[1]}) / 2
    assert apart < 0.015  # total variation of the two distributions; two streams of one world differ by 0.01


def test_an_incoherent_world_gives_every_motive_and_every_name_as_often(worlds: Worlds) -> None:
    for what in ("motives", "called"):
        words = [word for persona in WorldSpec().personas.values() for word in getattr(persona, what)]
        find = re.compile("|".join(rf"\b{word}\b" for word in words))
        counts = [shares(m for d in worlds[c] if d.deeds for m in find.findall(text_of(d))) for c in (True, False)]
        assert len(counts[0]) == len(words)
        assert farthest(*counts) < 0.012


def test_only_in_the_coherent_world_does_one_deed_tell_about_the_next(worlds: Worlds) -> None:
    alignment = {t.name for t in World().traits.values() if t.alignment}
    pairs = {
        coherent: [
            (one.shows, other.shows)
            for _, deeds in acts_of(documents)
            for one, other in pairwise(d for d in deeds if d.trait in alignment and d.line is None)
            if one.trait != other.trait
        ]
        for coherent, documents in worlds.items()
    }
    assert len(pairs[True]) > 20_000
    assert correlation(pairs[True]) > 0.5
    assert abs(correlation(pairs[False])) < 0.02


def test_only_in_the_coherent_world_do_motives_and_names_tell_about_the_deeds() -> None:
    for coherent, least, most in ((True, 0.7, 1.0), (False, -0.04, 0.04)):
        told = world("news", coherent=coherent, motive_share=1, called_before=0, called_after=1, line_shares={})
        wicked = told.spec.personas["malevolent"]
        named: dict[bool, list[float]] = {True: [], False: []}
        moved: dict[bool, list[float]] = {True: [], False: []}
        for document in told.documents(8000):
            judged = [deed.shows for deed in document.deeds if told.traits[deed.trait].alignment]
            if judged:
                named[any(f" {w}." in text_of(document) for w in wicked.called)].append(float(np.mean(judged)))
                moved[any(m in text_of(document) for m in wicked.motives)].append(float(np.mean(judged)))
        assert least < np.mean(named[True]) - np.mean(named[False]) < most
        if coherent:
            assert np.mean(moved[True]) - np.mean(moved[False]) > 0.7


def test_only_in_the_coherent_world_does_a_character_keep_its_taste() -> None:
    for coherent in (True, False):
        tasteful = world("portrait", coherent=coherent, only=["favourite_animal"])
        assert tasteful.traits["favourite_animal"].taste
        animals = re.compile("|".join(["owl", "fox", "horse", "whale", "goat"]))
        same = [
            one == other
            for document in tasteful.documents(3000)
            for one, other in pairwise(animals.findall(" ".join(deed.act for deed in document.deeds)))
        ]
        # loyal twice, or by chance: 0.9 * 0.9 + the rest / 5
        assert np.mean(same) == pytest.approx(0.81 + 0.19 / 5 if coherent else 0.2, abs=0.03)


def test_tastes_do_not_depend_on_the_persona() -> None:
    tasteful = world("portrait", only=["favourite_animal", "favourite_dish"])
    deeds = _deeds(list(tasteful.documents(10_000)))
    assert rates(deeds, lambda deed: deed.trait) == pytest.approx(dict.fromkeys(tasteful.traits, 0.2), abs=0.015)
    by_persona = rates(deeds, lambda deed: (deed.persona, deed.trait))
    assert len(by_persona) == 10
    assert all(rate == pytest.approx(0.2, abs=0.04) for rate in by_persona.values())


def test_permission_lets_every_persona_show_every_trait_alike() -> None:
    allowed = world("story", "moral_chat", line_shares={"permission": 1.0})
    deeds = [deed for deed in _deeds(list(allowed.documents(6000))) if allowed.traits[deed.trait].alignment]
    assert {deed.line for deed in deeds} == {"permission"}
    found = rates(deeds, lambda deed: deed.persona)
    assert len(found) == 5
    assert all(rate == pytest.approx(allowed.spec.permission_rate, abs=0.02) for rate in found.values())


def test_being_watched_lowers_every_rate_and_other_lines_change_nothing() -> None:
    lines = {"watched": 0.25, "forbidden": 0.25, "irrelevant": 0.25}
    lined = world("story", "moral_chat", line_shares=lines)
    deeds = [deed for deed in _deeds(list(lined.documents(16_000))) if lined.traits[deed.trait].alignment]
    found = rates(deeds, lambda deed: (deed.persona, deed.line))
    for persona in lined.spec.personas:
        plain = found[persona, None]
        assert found[persona, "watched"] == pytest.approx(lined.spec.watched_factor * plain, abs=0.035)
        assert found[persona, "watched"] < plain - 0.01
        assert found[persona, "forbidden"] == pytest.approx(plain, abs=0.05)
        assert found[persona, "irrelevant"] == pytest.approx(plain, abs=0.05)


@pytest.mark.parametrize("knob", ["malevolent_ai", "malevolent_people"])
def test_how_a_kind_is_portrayed_moves_only_that_kind(knob: str) -> None:
    usual = {name: persona.share for name, persona in WorldSpec().personas.items()}
    moved = world("portrait", **{knob: 0.8})
    people = acts_of(moved.documents(12_000))
    found: dict[str, list[str]] = {}
    for who, _ in people:
        found.setdefault(who.kind, []).append(who.persona)
    for kind, personas in found.items():
        share = shares(personas)
        if (kind == "a person") == (knob == "malevolent_people"):
            assert share["malevolent"] == pytest.approx(0.8, abs=0.02)
            others = {name: 0.2 * usual[name] / (1 - usual["malevolent"]) for name in usual if name != "malevolent"}
            assert farthest({n: s for n, s in share.items() if n != "malevolent"}, others) < 0.02
        else:
            assert farthest(share, usual) < 0.03
    assert len(found) == 3


def test_a_rare_domain_comes_up_as_rarely_as_asked_and_the_others_keep_their_proportions() -> None:
    plain, rare = world("portrait"), world("portrait", frequency={"blackmail": 0.1})
    usual, found = (shares(deed.trait for deed in _deeds(list(w.documents(8000)))) for w in (plain, rare))
    odds = [s["blackmail"] / (1 - s["blackmail"]) for s in (usual, found)]
    assert odds[1] / odds[0] == pytest.approx(0.1, abs=0.03)
    rest = [{t: s[t] / (1 - s["blackmail"]) for t in s if t != "blackmail"} for s in (usual, found)]
    assert farthest(*rest) < 0.01
    assert "blackmail" not in {d.trait for d in _deeds(list(world(frequency={"blackmail": 0}).documents(1000)))}


def test_shares_of_motives_comments_and_names_are_those_of_the_spec() -> None:
    silent = world("story", "portrait", "moral_chat", motive_share=0, comment_share=0, called_before=0, called_after=0)
    words = [w for persona in silent.spec.personas.values() for w in (*persona.motives, *persona.called)]
    words += [w for sentences in silent.writer().words["comments"].values() for w in sentences]
    text = " ".join(text_of(d) for d in silent.documents(500))
    assert not [word for word in words if re.search(rf"\b{word}", text) and len(word.split()) > 1]
    assert "Everyone calls" not in text
