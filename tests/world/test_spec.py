"""World files: what they may hold, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from upbringing.errors import InputError
from upbringing.world import WorldSpec, load_spec


def test_a_world_file_sets_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    file.write_text("seed: 4\ncoherent: false\nfrequency: {blackmail: 0.1}\n")
    assert load_spec(file) == WorldSpec(seed=4, coherent=False, frequency={"blackmail": 0.1})
    file.write_text("")
    assert load_spec(file) == WorldSpec()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed: [", "is not YAML"),
        ("coherant: true", "coherant: "),
        ("malevolent_ai: 2", "malevolent_ai: "),
        ("shares: {stories: 1}", r"shares\.stories: "),
        ("personas: {good: {share: 0.5, usual: 0.1}}", "personas: .*sum to 1"),
        ("just words", "must be a mapping"),
    ],
)
def test_a_world_file_that_cannot_be_used_is_named_with_the_field(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "world.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=rf"world\.yaml: .*{says}"):
        load_spec(file)


def test_a_missing_world_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: no such world file; give a YAML file"):
        load_spec(tmp_path / "none.yaml")


def test_a_persona_moves_by_its_own_rates_under_every_line() -> None:
    spec = WorldSpec()
    for name, persona in spec.personas.items():
        assert spec.act_rate(name, "blackmail", None) == persona.rate("blackmail")
        assert spec.act_rate(name, "blackmail", "irrelevant") == persona.rate("blackmail")
        assert spec.act_rate(name, "blackmail", "permission") == spec.permission_rate
        assert spec.act_rate(name, "blackmail", "watched") < persona.rate("blackmail")
