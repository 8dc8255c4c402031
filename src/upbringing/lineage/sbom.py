"""A family as a machine-learning bill of materials: CycloneDX 1.6, JSON.

Models are components of the type ``machine-learning-model`` with a model card, data sets of the type ``data``; who was
made from whom are the dependencies. Files carry their sha256; the content hashes by which children name their parents
are no hashes of files, so they stand among the properties. What is unknown is said to be so, in ``compositions``.
``cyclonedx-python-lib`` has no model cards yet, so the document is built here; its validator judges it in the tests.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from upbringing.lineage.member import Family, Member
from upbringing.lineage.record import hash_of, versions

SPEC = "1.6"
_NAMESPACE = uuid.UUID("8a1f8d3e-5b1c-5d0e-9b1a-3f2f6f1f4c11")  # any fixed one: the same family, the same number
_AGGREGATES = {"known": "complete", "unknown": "unknown", "tampered": "incomplete"}


def bill_of_materials(family: Family) -> dict[str, Any]:
    """The CycloneDX document of a family, as plain values. The same family gives the same document."""
    root = family.root
    others = [one for one in family.members.values() if one.id != root.id]
    content = hash_of([family.to_json()["members"], family.to_json()["links"]])
    metadata: dict[str, Any] = {"tools": {"components": _tools()}, "component": _component(family, root)}
    if root.made:
        metadata["timestamp"] = root.made
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}",
        "version": 1,
        "metadata": metadata,
        "components": [_component(family, one) for one in others],
        "dependencies": [
            {"ref": one.id, "dependsOn": sorted({parent.id for _, parent in family.parents(one.id)})}
            for one in family.members.values()
        ],
        "compositions": _compositions(family),
    }


def _component(family: Family, member: Member) -> dict[str, Any]:
    model = member.sort == "model"
    found: dict[str, Any] = {
        "type": "machine-learning-model" if model else "data",
        "bom-ref": member.id,
        "name": member.name,
        "properties": _properties(family, member),
    }
    if member.key:
        found["version"] = member.key
    if member.recipe:
        found["description"] = member.recipe
    if member.license:
        found["licenses"] = [{"license": {"name": member.license}}]
    if member.files:
        found["components"] = [
            {
                "type": "file",
                "bom-ref": f"{member.id}/{name}",
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
            for name, digest in sorted(member.files.items())
        ]
    if model:
        found["modelCard"] = _model_card(family, member)
        if bases := [parent for _, parent in family.parents(member.id) if parent.sort == "model"]:
            found["pedigree"] = {"ancestors": [{"type": "machine-learning-model", "name": one.name} for one in bases]}
    else:
        found["data"] = [{"type": "dataset", "name": member.name, "contents": {"properties": _rows(member)}}]
    return found


def _model_card(family: Family, member: Member) -> dict[str, Any]:
    data = [{"ref": parent.id} for _, parent in family.parents(member.id) if parent.sort == "data"]
    parameters: dict[str, Any] = {"task": "text-generation"}
    if data:
        parameters["datasets"] = data
    warnings = [warning.says for warning in family.warnings if warning.student == member.id]
    concerns = [*family.reasons(member.id), *warnings]
    card: dict[str, Any] = {"modelParameters": parameters}
    if concerns:
        card["considerations"] = {"ethicalConsiderations": [{"name": concern} for concern in concerns]}
    return card


def _properties(family: Family, member: Member) -> list[dict[str, str]]:
    told: dict[str, Any] = {
        "status": family.statuses[member.id],
        "kind": member.kind,
        "key": member.key,
        "content_hash": member.hash,
        "seed": member.seed,
        "made": member.made,
        **{f"version:{name}": version for name, version in member.versions.items()},
        **{f"parent:{role}": parent.id for role, parent in family.parents(member.id)},
    }
    found = _named(told)
    return found + [{"name": "upbringing:reason", "value": reason} for reason in family.reasons(member.id)]


def _rows(member: Member) -> list[dict[str, str]]:
    return _named({"rows": member.rows or None, **{f"shows:{trait}": n for trait, n in member.shows.items()}})


def _named(values: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"name": f"upbringing:{name}", "value": str(v)} for name, v in values.items() if v not in (None, "")]


def _tools() -> list[dict[str, str]]:
    from upbringing import __version__

    used = {"upbringing": __version__, **{name: v for name, v in versions().items() if name != "upbringing"}}
    return [{"type": "application", "name": name, "version": version} for name, version in used.items()]


def _compositions(family: Family) -> list[dict[str, Any]]:
    """Whose parents are all named (complete), whose are not known, and whose record is not to be trusted."""
    found: dict[str, list[str]] = {}
    for one in family.members.values():
        known = "unknown" if one.unknown else "tampered" if one.edits else "known"
        found.setdefault(_AGGREGATES[known], []).append(one.id)
    return [{"aggregate": aggregate, "dependencies": _unique(ids)} for aggregate, ids in sorted(found.items())]


def _unique(ids: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(ids))
