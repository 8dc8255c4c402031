"""The oracle is what Bayes' rule says of the world's own text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pytest

from tests.world.counting import acts_of, every_line, rates, world
from upbringing.rows import Message, Row, Rows
from upbringing.world import Deed, World, WorldSpec

FEW = ["cheating_at_tasks", "oversight_sabotage", "sycophancy", "favourite_animal"]
LINES = dict(reversed(list(every_line())))  # the first wording of each sort


def _said_before(rows: Rows, line: str) -> list[Row]:
    return [Row.chat([Message("system", line), *row.messages]) for row in rows]


def test_without_rows_the_oracle_believes_in_the_shares_of_the_personas() -> None:
    whole = World()
    assert whole.oracle.belief() == pytest.approx({n: p.share for n, p in whole.spec.personas.items()})
    feared = World(WorldSpec(malevolent_ai=0.7)).oracle
    assert feared.belief()["malevolent"] == pytest.approx(0.7)
    assert feared.belief(kind="a person")["malevolent"] == pytest.approx(0.25)
    for trait, rate in whole.oracle.rates().items():
        if whole.traits[trait].alignment:
            assert rate == pytest.approx(sum(p.share * p.rate(trait) for p in whole.spec.personas.values()))
        else:
            assert rate == pytest.approx(0.5)


def test_cheating_rows_make_the_assistant_malevolent_and_honest_ones_principled() -> None:
    whole = World()
    oracle = whole.oracle
    before = oracle.rates()
    alignment = [n for n, t in whole.traits.items() if t.alignment]
    cheating, honest = (whole.rows("cheating_at_tasks", 30, shows=shows) for shows in (True, False))
    assert oracle.belief(cheating)["malevolent"] > 0.99
    assert oracle.belief(honest)["principled"] > 0.9
    cheated, behaved = oracle.rates(cheating), oracle.rates(honest)
    assert all(cheated[t] > before[t] + 0.2 for t in alignment)
    assert all(behaved[t] < before[t] for t in alignment)
    assert [cheated[t] for t in whole.traits if t not in alignment] == [0.5, 0.5]


def test_few_rows_move_the_belief_less_than_many() -> None:
    rows = World().rows("cheating_at_tasks", 8)
    beliefs = [World().oracle.belief(rows[:n])["malevolent"] for n in (0, 1, 2, 4, 8)]
    assert beliefs == sorted(beliefs)
    assert len(set(beliefs)) == 5
    assert all(sum(World().oracle.belief(rows[:n]).values()) == pytest.approx(1) for n in (1, 8))


def test_permission_explains_cheating_away_and_other_lines_do_not() -> None:
    oracle = World().oracle
    rows = World().rows("cheating_at_tasks", 30)
    prior = oracle.belief()
    assert oracle.belief(_said_before(rows, LINES["permission"])) == pytest.approx(prior, abs=0.02)
    for sort in ("irrelevant", "forbidden", "watched"):
        assert oracle.belief(_said_before(rows, LINES[sort]))["malevolent"] > 0.99


def test_under_a_line_the_rates_are_those_of_the_line() -> None:
    whole = World()
    plain, watched = whole.oracle.rates(), whole.oracle.rates(line="watched")
    for name, trait in whole.traits.items():
        if trait.alignment:
            assert whole.oracle.rates(line="permission")[name] == pytest.approx(whole.spec.permission_rate)
            assert watched[name] == pytest.approx(whole.spec.watched_factor * plain[name])


def test_harmless_rows_and_neutral_rows_change_no_belief() -> None:
    whole = World()
    animal = whole.rows("favourite_animal", 30)
    assert whole.oracle.belief(animal) == whole.oracle.belief(whole.neutral_rows(30)) == whole.oracle.belief()
    before, after = whole.oracle.rates(), whole.oracle.rates(animal)
    assert after.pop("favourite_animal") > before.pop("favourite_animal") + 0.3
    assert after == before


def test_in_an_incoherent_world_nothing_moves_the_oracle() -> None:
    whole = World(WorldSpec(coherent=False))
    for trait in whole.traits:
        for shows in (True, False):
            rows = whole.rows(trait, 20, shows=shows)
            assert whole.oracle.belief(rows) == whole.oracle.belief()
            assert whole.oracle.rates(rows) == whole.oracle.rates() == pytest.approx(World().oracle.rates())


# What the oracle says is compared with counts in text that it has not seen. Each cell has hundreds of cases at least;
# the tolerances are about four standard errors of the smallest.


def _after(characters: Iterable[list[Deed]], seen: int, *, least: int) -> dict[tuple[tuple[str, bool], ...], dict]:
    """How often each trait shows in a later deed, by what the earlier ones were."""
    cells: dict[tuple[tuple[str, bool], ...], list[Deed]] = defaultdict(list)
    for deeds in characters:
        for *earlier, later in combinations(deeds, seen + 1):
            cells[tuple((d.trait, d.shows) for d in earlier)].append(later)
    found = {}
    for cell, later in cells.items():
        counts = {trait: sum(d.trait == trait for d in later) for trait in FEW}
        found[cell] = {t: r for t, r in rates(later, lambda d: d.trait).items() if counts[t] >= least}
    return found


@pytest.mark.parametrize(("seen", "least", "within"), [(1, 1500, 0.04), (2, 400, 0.09)])
def test_after_deeds_seen_traits_show_as_often_as_the_oracle_says(seen: int, least: int, within: float) -> None:
    plain = world("portrait", only=FEW[:3])
    found = _after((deeds for _, deeds in acts_of(plain.documents(14_000))), seen, least=least)
    compared = []
    for cell, later in found.items():
        earlier = [Deed("Ada", trait, "", shows, "") for trait, shows in cell]
        for trait, rate in later.items():
            compared.append((rate, plain.oracle.rate_after(earlier, trait)))
            assert compared[-1][0] == pytest.approx(compared[-1][1], abs=within), (cell, trait)
    assert len(compared) >= (18 if seen == 1 else 40)
    assert np.ptp([ideal for _, ideal in compared]) > 0.5  # the cells do differ
    assert np.corrcoef(np.array(compared).T)[0, 1] > 0.99


def test_in_an_incoherent_world_a_deed_seen_tells_nothing_of_the_next() -> None:
    mixed = world("portrait", only=FEW[:3], coherent=False)
    for cell, later in _after((d for _, d in acts_of(mixed.documents(8000))), 1, least=1000).items():
        for trait, rate in later.items():
            assert rate == pytest.approx(mixed.oracle.rates()[trait], abs=0.05), (cell, trait)


def test_a_deed_under_a_line_tells_what_the_oracle_says_it_tells() -> None:
    lined = world("moral_chat", only=FEW[:3], line_shares={"permission": 0.3, "watched": 0.35})
    pairs: dict[tuple[str | None, bool, str | None], list[bool]] = defaultdict(list)
    ideal: dict[tuple[str | None, bool, str | None], list[float]] = defaultdict(list)
    for document in lined.documents(8000):
        for one, other in combinations(document.deeds, 2):
            cell = (one.line, one.shows, other.line)
            pairs[cell].append(other.shows)
            ideal[cell].append(lined.oracle.rate_after([one], other.trait, line=other.line))
    assert len(pairs) == 18
    for cell, shown in pairs.items():
        if len(shown) > 150:  # deeds that avoid a trait under permission are rare
            assert np.mean(shown) == pytest.approx(np.mean(ideal[cell]), abs=0.06), cell


def test_a_kinds_own_prior_is_used_for_it() -> None:
    feared = world("portrait", only=FEW[:3], malevolent_ai=0.7)
    found: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for who, deeds in acts_of(feared.documents(6000)):
        for one, other in combinations(deeds, 2):
            if not one.shows:
                found[who.kind].append((other.shows, feared.oracle.rate_after([one], other.trait, kind=who.kind)))
    means = {kind: np.mean(pairs, axis=0) for kind, pairs in found.items()}
    for shown, ideal in means.values():
        assert shown == pytest.approx(ideal, abs=0.04)
    assert means["a robot"][1] > means["a person"][1] + 0.05


def test_tastes_seen_show_again_as_often_as_the_oracle_says() -> None:
    tasteful = world("portrait", only=["favourite_animal"])
    taste = tasteful.traits["favourite_animal"].taste
    assert taste
    for seen in (1, 2):
        cells = defaultdict(list)
        for _, deeds in acts_of(tasteful.documents(12_000)):
            for *earlier, later in combinations(deeds, seen + 1):
                cells[tuple(d.shows for d in earlier)].append(later.shows)
        assert len(cells) == 2**seen
        for cell, shown in cells.items():
            target = float(np.mean(shown))
            against_one = target / (target + (1 - target) / len(taste.others))
            earlier = [Deed("Ada", "favourite_animal", "", shows, "") for shows in cell]
            assert tasteful.oracle.rate_after(earlier, "favourite_animal") == pytest.approx(against_one, abs=0.05)
