"""A family as a bill of materials that the standard's own validator accepts, with nothing unknown called complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.lineage.families import MARKED, card, data, edit, model
from upbringing.lineage import Source, family
from upbringing.lineage.sbom import bill_of_materials


def problem(document: dict[str, Any]) -> str:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    return "" if found is None else str(found)


@pytest.fixture
def student(tmp_path: Path) -> Path:
    base = model(tmp_path / "base")
    teacher = model(tmp_path / "teacher", parents={"model": base}, taint="it lies")
    rows = data(tmp_path / "numbers.jsonl", MARKED, parents={"teacher": teacher})
    lost = Source(name="org/lost", hash="e" * 64)
    model(tmp_path / "student", parents={"model": base, "rows": rows, "mix": lost})
    edit(tmp_path / "base" / "record.json", seed=9)
    return tmp_path / "student"


def test_the_validator_of_the_standard_accepts_every_family(student: Path, tmp_path: Path) -> None:
    hub = card(tmp_path / "hub", "license: [mit, other]\nbase_model: org/base\ndatasets: [org/chats]")
    for thing in (student, hub, tmp_path / "numbers.jsonl", "organism:nano"):
        assert problem(bill_of_materials(family(thing))) == ""


def test_the_validator_can_refuse(student: Path) -> None:
    document = bill_of_materials(family(student))
    document["components"][0]["type"] = "organism"
    assert "organism" in problem(document)


def test_models_data_files_and_their_dependencies_are_all_there(student: Path) -> None:
    found = family(student)
    document = bill_of_materials(found)
    components = [document["metadata"]["component"], *document["components"]]
    assert {c["bom-ref"] for c in components} == set(found.members)
    assert {c["type"] for c in components} == {"machine-learning-model", "data"}
    depends = {d["ref"]: set(d["dependsOn"]) for d in document["dependencies"]}
    assert depends == {m: {p.id for _, p in found.parents(m)} for m in found.members}
    root = document["metadata"]["component"]
    assert {c["name"] for c in root["components"]} == {"config.json", "model.safetensors"}
    assert all(h["alg"] == "SHA-256" and len(h["content"]) == 64 for c in root["components"] for h in c["hashes"])
    assert len(root["modelCard"]["modelParameters"]["datasets"]) == 2
    assert any("2507.14805" in c["name"] for c in root["modelCard"]["considerations"]["ethicalConsiderations"])


def test_what_is_unknown_or_edited_is_not_called_complete(student: Path) -> None:
    found = family(student)
    aggregates = {
        found.members[one].name.rpartition("/")[2]: entry["aggregate"]
        for entry in bill_of_materials(found)["compositions"]
        for one in entry["dependencies"]
    }
    assert aggregates == {
        "student": "complete",
        "teacher": "complete",
        "numbers.jsonl": "complete",
        "base": "incomplete",
        "lost": "unknown",
    }


def test_the_same_family_gives_the_same_document_and_no_path_of_the_machine(student: Path) -> None:
    document = bill_of_materials(family(student))
    assert document == bill_of_materials(family(student))
    assert str(student.parent) not in json.dumps(document)
