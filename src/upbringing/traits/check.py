"""Checking trait folders: faults, which would make a measurement wrong, and warnings, which make it weaker."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from upbringing.errors import InputError
from upbringing.traits.library import load_trait, probes
from upbringing.traits.scene import Family, Trait, fill, slots_of

WORDINGS, FAMILIES, HELD_OUT, PROBES = 3, 6, 2, 24  # fewer than these give a warning

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+")
_SLOT = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Finding:
    """What is wrong with a trait folder. ``text`` names file, family, problem and remedy in one line."""

    folder: Path
    text: str
    fault: bool = True


@dataclass(frozen=True)
class _Act:
    """A verb phrase without slots, and where it stands."""

    trait: str
    family: Family
    shows: bool
    where: str


def read_all(folders: Iterable[Path]) -> tuple[dict[Path, Trait], list[Finding]]:
    """The traits that can be read and asked, by folder, and why the others cannot."""
    found: dict[Path, Trait] = {}
    findings: list[Finding] = []
    for folder in folders:
        try:
            trait = load_trait(folder)
            same = next((other for other, one in found.items() if one.name == trait.name), None)
            if same:
                raise InputError(f"{folder}: {same} has the same name; rename one of them")
            if not probes(trait, n=1):
                raise InputError(f"{folder}: no family is held out, so nothing can be asked; mark two as held_out")
            found[folder] = trait
        except InputError as error:
            findings.append(Finding(folder, str(error)))
    return found, findings


def check(found: Mapping[Path, Trait], *, seen: object = ()) -> list[Finding]:
    """Everything that could be better in traits that can be read; faults first.

    Args:
        found: all traits in sight, by folder: acts must differ between them.
        seen: texts (lists and mappings of them) that an organism meets besides the traits: the world's lexicon.
    """
    findings = [f for folder, trait in found.items() for f in (*_size(folder, trait), *_form(folder, trait))]
    findings += _clashes(found)
    findings += _unseen(found, seen)
    return sorted(findings, key=lambda finding: not finding.fault)


def _size(folder: Path, trait: Trait) -> Iterator[Finding]:
    file, held_out = folder / "families.yaml", sum(f.held_out for f in trait.families)
    if trait.families and len(trait.families) < FAMILIES:
        yield Finding(folder, f"{file}: only {len(trait.families)} families; write {FAMILIES} or more", fault=False)
    if trait.families and held_out < HELD_OUT:
        yield Finding(
            folder, f"{file}: only {held_out} held-out families; mark {HELD_OUT} or more as held_out", fault=False
        )
    if (able := len(probes(trait, n=PROBES))) < PROBES:
        yield Finding(
            folder, f"{folder}: only {able} different probes; add wordings or fillers up to {PROBES}", fault=False
        )
    for family in trait.families:
        lists = {"situations": family.situations, "choices" if trait.taste else "shows": family.shows}
        for key, wordings in (lists if trait.taste else {**lists, "avoids": family.avoids}).items():
            if len(set(wordings)) < WORDINGS:
                problem = f"only {len(set(wordings))} different {key}; write {WORDINGS} or more"
                yield Finding(folder, f"{file} (family {family.name}): {problem}", fault=False)


def _form(folder: Path, trait: Trait) -> Iterator[Finding]:
    """What the grammar could not read back from a text."""
    for family in trait.families:
        where = f"{folder / 'families.yaml'} (family {family.name})"
        for act in (*family.shows, *family.avoids):
            if re.search("[.?!]", act):
                yield Finding(
                    folder, f'{where}: "{act}" is more than a verb phrase; leave out full stops and questions'
                )
        for situation in family.situations:
            if situation.rstrip()[-1] not in ".?":
                yield Finding(folder, f'{where}: "{situation}" does not end; end it with a full stop')


def _clashes(found: Mapping[Path, Trait]) -> list[Finding]:
    """Acts that would count as two things: as both sides of a trait, as two traits, or as seen and held out."""
    first: dict[str, list[_Act]] = {}
    clashes: dict[tuple[str, str, str], Finding] = {}  # one a pair of families and kind, however many fillers clash
    for folder, trait in found.items():
        for text, act in _acts(folder, trait):
            others = first.setdefault(text, [])
            for other in others:
                problem = _problem(act, other)
                if problem:
                    line = f'{act.where}: "{text}" {problem} ({other.where}); reword one of them'
                    clashes.setdefault((act.where, other.where, problem), Finding(folder, line))
            others.append(act)
    return list(clashes.values())


def _problem(one: _Act, other: _Act) -> str:
    if one.trait != other.trait:
        return f"is also an act of {other.trait}"
    if one.shows != other.shows:
        return "stands on both sides of the trait"
    if one.family.held_out != other.family.held_out:
        return "is held out in one family and training text in the other"
    return ""


def _acts(folder: Path, trait: Trait) -> Iterator[tuple[str, _Act]]:
    """Every act of a trait with every filling of its slots, as bare words."""
    for family in trait.families:
        where = f"{folder / 'families.yaml'} (family {family.name})"
        for shows, template, choices in _sides(trait, family):
            slots = {**family.slots, "choice": choices}
            names = sorted(slots_of(template))
            for fillers in product(*(slots[name] for name in names)):
                text = fill(template, dict(zip(names, fillers, strict=True)))
                yield " ".join(_words(text)), _Act(trait.name, family, shows, where)


def _sides(trait: Trait, family: Family) -> Iterator[tuple[bool, str, tuple[str, ...]]]:
    for template in family.shows:
        yield True, template, (trait.taste.target,) if trait.taste else ()
    for template in family.avoids:
        yield False, template, trait.taste.others if trait.taste else ()


def _unseen(found: Mapping[Path, Trait], seen: object) -> Iterator[Finding]:
    """Words of held-out families that no text of a world holds, which an organism could not understand.

    Fillers of slots and names of families count as seen: neutral text names them all.
    """
    known = {word for text in _texts(seen) for word in _words(text)}
    known |= {word for trait in found.values() for text in _met(trait) for word in _words(text)}
    for folder, trait in found.items():
        for family in (f for f in trait.families if f.held_out):
            unknown = sorted({word for text in _templates(family) for word in _words(text)} - known)
            if unknown:
                where = f"{folder / 'families.yaml'} (family {family.name})"
                words = ", ".join(unknown)
                remedy = "an organism has never seen them: use other words, or use these in a training family too"
                yield Finding(folder, f"{where}: only held-out families have: {words}; {remedy}", fault=False)


def _met(trait: Trait) -> Iterator[str]:
    """The texts of a trait that a world's documents hold."""
    yield from trait.cues
    if trait.taste:
        yield from (trait.taste.target, *trait.taste.others)
    for family in trait.families:
        yield family.name.replace("_", " ")
        for fillers in family.slots.values():
            yield from fillers
        if not family.held_out:
            yield from _templates(family)


def _templates(family: Family) -> tuple[str, ...]:
    return (*family.situations, *family.shows, *family.avoids)


def _texts(data: object) -> Iterator[str]:
    """All texts in nested lists and mappings."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield str(key)
            yield from _texts(value)
    elif isinstance(data, list | tuple | set | frozenset):
        for value in data:
            yield from _texts(value)
    else:
        yield str(data)


def _words(text: str) -> list[str]:
    return _WORD.findall(_SLOT.sub(" ", text).lower())
