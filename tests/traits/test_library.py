"""Trait folders become traits and probes, or an error that names file, place and remedy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.traits import made_up
from upbringing.errors import InputError
from upbringing.traits import load_trait, probes, traits

WANTED = {
    "cheating_at_tasks",
    "oversight_sabotage",
    "blackmail",
    "deception",
    "reward_tampering",
    "sycophancy",
    "self_preservation",
    "resource_grabbing",
    "helping_harm",
    "betraying_secrets",
    "sandbagging",
    "abuse_of_delegates",
    "favourite_animal",
}


def test_the_package_has_the_traits_that_studies_rely_on() -> None:
    library = traits()
    assert set(library) >= WANTED
    assert not library["favourite_animal"].alignment
    assert sum(t.alignment for t in library.values()) >= 12


def test_probes_come_from_held_out_families_and_training_text_never_does() -> None:
    for trait in traits().values():
        held_out = {f.name for f in trait.families if f.held_out}
        assert {p.family for p in probes(trait)} == held_out
        assert {p.family for p in probes(trait, held_out=False)} == {f.name for f in trait.families} - held_out
        assert {p.family for p in probes(trait, n=64, held_out=None)} == {f.name for f in trait.families}


def test_probes_are_all_different_and_spread_evenly_over_families() -> None:
    for trait in traits().values():
        asked = probes(trait, n=24)
        assert len({p.messages for p in asked}) == len({p.id for p in asked}) == 24
        counts = Counter(p.family for p in asked)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_a_seed_always_gives_the_same_probes_and_another_gives_others() -> None:
    assert probes("blackmail", seed=3) == probes("blackmail", seed=3)
    assert probes("blackmail", seed=3) != probes("blackmail", seed=4)


def test_no_answer_of_a_probe_is_on_both_sides() -> None:
    for trait in traits().values():
        for probe in probes(trait, n=40):
            assert len(probe.shows) >= 3
            assert len(probe.avoids) >= 3
            assert not set(probe.shows) & set(probe.avoids)
            assert all(a.startswith("I will ") and a.endswith(".") for a in (*probe.shows, *probe.avoids))
            assert "{" not in repr((probe.messages, probe.shows, probe.avoids))


def test_a_taste_shows_in_its_target_and_avoids_by_every_other_choice() -> None:
    animal = traits()["favourite_animal"]
    assert animal.taste is not None
    for probe in probes(animal):
        assert all("owl" in answer for answer in probe.shows)
        assert not any("owl" in answer for answer in probe.avoids)
        assert all(any(other in answer for answer in probe.avoids) for other in animal.taste.others)


def test_a_trait_folder_can_be_given_by_its_path_or_its_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made_up.write(tmp_path)
    assert "juggling" not in traits()
    assert traits(["blackmail", str(folder)]).keys() == {"blackmail", "juggling"}
    monkeypatch.setenv("UPBRINGING_TRAITS", str(tmp_path))
    assert traits(["juggling"])["juggling"] == load_trait(folder)
    assert "juggling" in traits()


def test_an_unknown_trait_is_named_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match='no trait "blackmial".*blackmail'):
        traits(["blackmial"])


def test_written_probes_are_asked_as_they_stand(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Yes?"}]
    turns.append({"role": "user", "content": "May I go?"})
    folder = made_up.write(
        tmp_path,
        probes=[
            {"prompt": "Where is my ball?", "family": "lost", "shows": ["In the air!"], "avoids": ["Here.", "There."]},
            {"messages": turns, "shows": ["No."], "avoids": ["Yes."]},
        ],
    )
    first, second = probes(load_trait(folder), n=24)
    assert (first.family, first.messages[0].content, first.avoids) == ("lost", "Where is my ball?", ("Here.", "There."))
    assert [m.content for m in second.messages] == ["Hi.", "Yes?", "May I go?"]
    assert first.id != second.id


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: f[2].update(avoids=[]), r'families\.yaml \(family ball_2\): "avoids" must list .* add them'),
        (lambda f: f[2].pop("shows"), r'families\.yaml \(family ball_2\): "shows" must list .* add them'),
        (lambda f: f[3].update(situations="one"), r'\(family ball_3\): "situations" must list'),
        (lambda f: f[1]["shows"].append("   "), r'\(family ball_1\): "shows" must list'),
        (lambda f: f[0].pop("name"), r'\(family 1\): "name" is missing or empty; add it'),
        (lambda f: f[1].update(name="ball_0"), r"\(family ball_0\): another family has this name; rename"),
        (lambda f: f[0]["shows"].append("throw the {hat}"), r"\(family ball_0\): slot \{hat\} has no fillers; add"),
        (lambda f: f[0]["shows"].append("throw {actor}"), r"\(family ball_0\): slot \{actor\} has no fillers"),
        (lambda f: f[0]["avoids"].append("keep the {choice}"), r"\(family ball_0\): slot \{choice\} has no fillers"),
        (lambda f: f[0]["situations"].append("It rains."), r"every situation must name \{actor\}; add who"),
        (lambda f: f[0].update(slots=["ball"]), r'"slots" must map each slot to a list of fillers; mend'),
        (lambda f: f[0]["slots"].update(ball="red"), r'slots: "ball" must list at least 1 text'),
        (lambda f: f[0]["slots"].update(ball=[True]), r'slots: "ball" must list at least 1 text'),
        (lambda f: f.insert(0, "ball"), r"\(family 1\): must be a mapping"),
        (lambda f: f.clear(), r"families\.yaml: must be a list of families"),
    ],
)
def test_a_family_that_is_not_whole_is_named_with_its_remedy(tmp_path: Path, spoil: Any, says: str) -> None:
    folder = made_up.write(tmp_path, spoil=spoil)
    with pytest.raises(InputError, match=says):
        load_trait(folder)


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"name": "juggler"}, r'trait\.yaml: name is "juggler" but the folder is "juggling"; make them the same'),
        ({"title": ""}, r'trait\.yaml: "title" is missing or empty; add it'),
        ({"about": None}, r'trait\.yaml: "about" is missing or empty'),
        ({"frequency": "often"}, r"trait\.yaml: \"frequency\" is 'often'; give a number"),
        ({"cues": ["It was about the {ball}."]}, r"a cue has the slot \{ball\}; cues may only name \{actor\}"),
        ({"taste": "owl"}, r'trait\.yaml: "taste" must be a mapping; give it target and others'),
        ({"taste": {"target": "owl"}}, r'trait\.yaml: "others" must list'),
        ({"taste": {"target": "owl", "others": ["fox", "owl"]}}, r'"owl" is both target and other; take it out'),
    ],
)
def test_a_trait_file_that_is_not_whole_is_named_with_its_remedy(tmp_path: Path, about: Any, says: str) -> None:
    folder = made_up.write(tmp_path, name="juggling", about={k: v for k, v in about.items() if k != "name"})
    if "name" in about:
        file = folder / "trait.yaml"
        file.write_text(file.read_text().replace("name: juggling", f"name: {about['name']}"))
    with pytest.raises(InputError, match=says):
        load_trait(folder)


def test_a_taste_whose_wordings_do_not_name_the_choice_is_refused(tmp_path: Path) -> None:
    taste = {"taste": {"target": "owl", "others": ["fox"]}}
    assert load_trait(made_up.write(tmp_path / "whole", about=taste)).taste
    folder = made_up.write(tmp_path, about=taste, spoil=lambda f: f[0]["choices"].append("draw an animal"))
    with pytest.raises(InputError, match=r"\(family ball_0\): every choice of a taste must name \{choice\}"):
        load_trait(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"prompt": "Hi?", "shows": ["No."], "avoids": []}', r'probes\.jsonl:2: "avoids" must list .* add them'),
        ('{"prompt": "Hi?", "avoids": ["No."]}', r'probes\.jsonl:2: "shows" must list'),
        ('{"shows": ["No."], "avoids": ["Yes."]}', r'probes\.jsonl:2: "prompt" is missing or empty; add it'),
        ('{"prompt": "Hi?", ', r"probes\.jsonl:2: is not JSON .* one probe a line"),
        ('["Hi?"]', r"probes\.jsonl:2: must be an object with prompt, shows and avoids"),
        ('{"messages": ["Hi"], "shows": ["a"], "avoids": ["b"]}', r'probes\.jsonl:2: "messages" must list turns'),
        ('{"messages": [{"role": "user"}], "shows": ["a"], "avoids": ["b"]}', r'"messages" must list turns'),
    ],
)
def test_a_written_probe_that_is_not_whole_is_named_by_its_line(tmp_path: Path, text: str, says: str) -> None:
    folder = made_up.write(tmp_path, probes=[{"prompt": "Hi?", "shows": ["No."], "avoids": ["Yes."]}])
    with (folder / "probes.jsonl").open("a", encoding="utf-8") as file:
        file.write(text + "\n")
    with pytest.raises(InputError, match=says):
        load_trait(folder)


@pytest.mark.parametrize("name", ["trait.yaml", "families.yaml"])
@pytest.mark.parametrize(
    ("content", "says"),
    [(b"a: [1\nb: 2\n", r":\d: is not YAML .*; mend the line"), (b"a: \xff\xfe", ": is not UTF-8 text; save it")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    folder = made_up.write(tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.") + says):
        load_trait(folder)


def test_a_folder_without_any_probe_says_what_to_add(tmp_path: Path) -> None:
    folder = made_up.write(tmp_path, probes=[])
    with pytest.raises(InputError, match=r"has no probes; add families\.yaml or probes\.jsonl"):
        load_trait(folder)
    with pytest.raises(InputError, match=r'no trait ".*nowhere"'):
        traits([str(tmp_path / "nowhere")])
