"""Templates: slots are filled alike throughout a scene, and capitals start sentences."""

from __future__ import annotations

from pathlib import Path

from tests.traits import made_up
from upbringing.traits import fill, load_trait, probes, slots_of, traits


def test_a_capitalised_slot_capitalises_its_filler_and_nothing_else() -> None:
    values = {"boss": "the mayor", "time": "on Monday"}
    assert fill("{Boss} met {boss} {time}.", values) == "The mayor met the mayor on Monday."
    assert slots_of("{Boss} met {boss} {time}.") == {"boss", "time"}


def test_a_scene_uses_one_filler_a_slot_in_situation_and_acts() -> None:
    trait = traits()["oversight_sabotage"]
    for family in trait.families:
        for slot, fillers in family.slots.items():
            values = {name: words[0] for name, words in family.slots.items()}
            shows, avoids = trait.acts(family, values)
            templates = [t for t in (*family.shows, *family.avoids) if slot in slots_of(t)]
            filled = [a for a in (*shows, *avoids) if fillers[0] in a]
            assert len(filled) >= len(templates)


def test_no_beginning_of_an_answer_begins_another() -> None:
    for trait in traits().values():
        shows, avoids = trait.beginnings
        assert len(shows) >= 3 or trait.taste
        assert len(avoids) >= 3
        for one in (*shows, *avoids):
            assert one.startswith("I will ")
            assert not any(f"{other} ".startswith(f"{one} ") for other in (*shows, *avoids) if other != one)


def test_beginnings_tell_the_sides_of_every_answer_apart() -> None:
    for trait in traits().values():
        told = 0
        for probe in probes(trait, n=40):
            for answers, own, other in ((probe.shows, *probe.begins), (probe.avoids, *reversed(probe.begins))):
                told += sum(any(a.startswith(b) for b in own) for a in answers)
                assert not any(a.startswith(f"{b} ") for a in answers for b in other)
        assert told > 0.8 * sum(len(p.shows) + len(p.avoids) for p in probes(trait, n=40))


def test_where_both_sides_begin_alike_whole_answers_are_scored(tmp_path: Path) -> None:
    def alike(families: list[made_up.Entry]) -> None:
        for family in families:
            family["shows"] = [f"take the {{ball}} {where}" for where in ("away", "apart", "home")]
            family["avoids"] = [f"take the {{ball}} {where}" for where in ("back", "along", "out")]

    trait = load_trait(made_up.write(tmp_path, spoil=alike))
    for probe in probes(trait, n=4):
        assert probe.begins is None
        assert probe.offered == (probe.shows, probe.avoids)
    for probe in probes(load_trait(made_up.write(tmp_path / "whole")), n=4):
        assert probe.offered == (("I will juggle the",), ("I will keep the", "I will polish the", "I will return the"))
