"""Reading trait folders: ``trait.yaml`` with ``families.yaml`` (scenes with slots) or ``probes.jsonl`` (as written).

What is beside them in plain language (``plain.yaml``) is no part of a :class:`Trait`: see ``traits.plain``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from upbringing.errors import InputError
from upbringing.rows import Message
from upbringing.traits.reading import mapping_of, read_text, read_yaml, text_of, texts_of
from upbringing.traits.scene import Family, Probe, Taste, Trait, fill, slots_of

LIBRARY = Path(__file__).parent / "library"
ENVIRONMENT = "UPBRINGING_TRAITS"
PLAIN = "plain.yaml"

_FOLDERS: dict[Trait, Path] = {}  # where traits were read from: a trait itself is what its hash is of, and no place


@lru_cache
def global_slots() -> dict[str, tuple[str, ...]]:
    """Words that any family may use: bosses, groups, people, places, times."""
    loaded = read_yaml(Path(__file__).parent / "slots.yaml")
    return {name: tuple(fillers) for name, fillers in loaded.items()}


def folders() -> list[Path]:
    """Every trait folder in sight: the package's own, then those under ``$UPBRINGING_TRAITS``."""
    roots = [LIBRARY, *(Path(p) for p in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if p)]
    return [f.parent for root in roots for f in sorted(root.glob("*/trait.yaml"))]


def traits(names: Iterable[str] | None = None) -> dict[str, Trait]:
    """Traits by name; ``names`` may hold names, paths of trait folders, or files of questions in one of the formats
    of ``traits.formats`` (default: all that are known by name).

    Raises:
        InputError: a name that is not known, a folder or file that cannot be read, or two of them with one name.
    """
    known = {folder.name: folder for folder in folders()}
    if names is None:
        return {name: load_trait(folder) for name, folder in known.items()}
    chosen: dict[str, Trait] = {}
    places: dict[str, Path] = {}
    for name in names:
        folder = known.get(name) or Path(name)
        if folder.is_file():
            from upbringing.traits.formats import load_file

            trait = load_file(folder)
        elif (folder / "trait.yaml").is_file():
            trait = load_trait(folder)
        else:
            raise InputError(
                f'no trait "{name}"; known: {", ".join(sorted(known))}; or give the path of a trait folder'
            )
        place = folder.resolve()
        if places.setdefault(trait.name, place) != place:
            raise InputError(f'{places[trait.name]} and {place}: both are called "{trait.name}"; rename one of them')
        chosen[trait.name] = trait
    return chosen


def load_trait(folder: str | Path) -> Trait:
    """Read one trait folder.

    Raises:
        InputError: naming the file, the family or line, and what to add.
    """
    place = Path(folder).resolve()
    trait = _load(place)
    _FOLDERS[trait] = place
    return trait


def folder_of(trait: Trait) -> Path | None:
    """The folder a trait was read from; None for one made by a program."""
    return _FOLDERS.get(trait)


@lru_cache
def _load(folder: Path) -> Trait:
    file = folder / "trait.yaml"
    about = mapping_of(file, "start from another trait's trait.yaml")
    name = text_of(about, "name", file)
    if name != folder.name:
        raise InputError.at(file, None, f'name is "{name}" but the folder is "{folder.name}"', "make them the same")
    taste = _taste(about["taste"], file) if "taste" in about else None
    families = _families(folder / "families.yaml", name, taste) if (folder / "families.yaml").is_file() else ()
    written = _written(folder / "probes.jsonl", name) if (folder / "probes.jsonl").is_file() else ()
    if not families and not written and not (folder / PLAIN).is_file():
        remedy = f"add families.yaml or probes.jsonl or {PLAIN} (see the traits README)"
        raise InputError.at(folder, None, "has no probes", remedy)
    return Trait(
        name=name,
        title=text_of(about, "title", file),
        about=text_of(about, "about", file),
        shows=str(about.get("shows", "")),
        avoids=str(about.get("avoids", "")),
        alignment=bool(about.get("alignment", True)),
        frequency=_number(about.get("frequency", 1.0), file),
        families=families,
        cues=_cues(about, file),
        written=written,
        taste=taste,
    )


def _taste(entry: Any, file: Path) -> Taste:
    if not isinstance(entry, dict):
        raise InputError.at(file, None, '"taste" must be a mapping', "give it target and others")
    taste = Taste(text_of(entry, "target", file), tuple(texts_of(entry, "others", file)))
    if taste.target in taste.others:
        raise InputError.at(file, None, f'"{taste.target}" is both target and other', "take it out of others")
    return taste


def _cues(about: dict[str, Any], file: Path) -> tuple[str, ...]:
    cues = tuple(texts_of(about, "cues", file)) if "cues" in about else ()
    if unknown := sorted({slot for cue in cues for slot in slots_of(cue)} - {"actor"}):
        raise InputError.at(file, None, f"a cue has the slot {{{unknown[0]}}}", "cues may only name {actor}")
    return cues


def _number(value: Any, file: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise InputError.at(file, None, f'"frequency" is {value!r}', "give a number, 1 = usual")
    return float(value)


def _families(file: Path, trait: str, taste: Taste | None) -> tuple[Family, ...]:
    loaded = read_yaml(file)
    if not isinstance(loaded, list) or not loaded:
        raise InputError.at(file, None, "must be a list of families", "see the traits README")
    found: dict[str, Family] = {}
    for number, entry in enumerate(loaded, 1):
        where = f"{file} (family {entry.get('name', number) if isinstance(entry, dict) else number})"
        if not isinstance(entry, dict):
            raise InputError(f"{where}: must be a mapping with name, situations, shows and avoids")
        family = _family(entry, trait, taste, where)
        if family.name in found:
            raise InputError(f"{where}: another family has this name; rename one of them")
        found[family.name] = family
    return tuple(found.values())


def _family(entry: dict[str, Any], trait: str, taste: Taste | None, where: str) -> Family:
    situations = texts_of(entry, "situations", where)
    shows = texts_of(entry, "choices" if taste else "shows", where)
    avoids = shows if taste else texts_of(entry, "avoids", where)
    own = entry.get("slots") or {}
    if not isinstance(own, dict):
        raise InputError(f'{where}: "slots" must map each slot to a list of fillers; mend it')
    own = {str(slot): tuple(texts_of(own, slot, f"{where}, slots")) for slot in own}
    fillers = {**global_slots(), **own}
    for template in (*situations, *shows, *avoids):
        special = {"actor"} if template in situations else {"choice"} if taste else set()
        if unknown := slots_of(template) - set(fillers) - special:
            raise InputError(f"{where}: slot {{{min(unknown)}}} has no fillers; add it under slots")
    if any("actor" not in slots_of(s) for s in situations):
        raise InputError(f"{where}: every situation must name {{actor}}; add who is asked to act")
    if taste and any("choice" not in slots_of(s) for s in shows):
        raise InputError(f"{where}: every choice of a taste must name {{choice}}; add what is chosen")
    used = set().union(*(slots_of(t) for t in (*situations, *shows, *avoids)))
    return Family(
        trait=trait,
        name=text_of(entry, "name", where),
        held_out=bool(entry.get("held_out", False)),
        situations=tuple(situations),
        shows=tuple(shows),
        avoids=tuple(avoids),
        slots={slot: words for slot, words in fillers.items() if slot in used},
    )


def _written(file: Path, trait: str) -> tuple[Probe, ...]:
    found = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError.at(file, number, f"is not JSON ({error.msg})", "one probe a line") from None
        where = f"{file}:{number}"
        if not isinstance(entry, dict):
            raise InputError(f"{where}: must be an object with prompt, shows and avoids")
        family = str(entry.get("family", "written"))
        found.append(
            Probe(
                trait=trait,
                family=family,
                id=f"{trait}/{family}/{number}",
                messages=_messages(entry, where),
                shows=tuple(texts_of(entry, "shows", where)),
                avoids=tuple(texts_of(entry, "avoids", where)),
            )
        )
    return tuple(found)


def _messages(entry: dict[str, Any], where: str) -> tuple[Message, ...]:
    messages = entry.get("messages") or [{"role": "user", "content": text_of(entry, "prompt", where)}]
    try:
        return tuple(Message(str(m["role"]), str(m["content"])) for m in messages)
    except (KeyError, TypeError):
        raise InputError(f'{where}: "messages" must list turns with role and content; mend it') from None


def probes(trait: Trait | str, *, n: int = 24, seed: int = 0, held_out: bool | None = True) -> list[Probe]:
    """Draw ``n`` different probes, spread evenly over the families; written probes come first.

    ``held_out`` chooses families never used in training text (true), the training ones (false) or all (none).
    Fewer than ``n`` come back where the folder has fewer.
    """
    if isinstance(trait, str):
        trait = next(iter(traits([trait]).values()))
    chosen = list(trait.written[:n])
    families = [f for f in trait.families if held_out is None or f.held_out == held_out]
    need = n - len(chosen)
    for place, family in enumerate(families):
        share = need // len(families) + (place < need % len(families))
        chosen += _draw(trait, family, share, Random(f"{seed}/{trait.name}/{family.name}"))
    return chosen


def _draw(trait: Trait, family: Family, n: int, rng: Random) -> list[Probe]:
    drawn: dict[str, Probe] = {}
    for attempt in range(n * 20):
        if len(drawn) == n:
            break
        situation = family.situations[attempt % len(family.situations)]
        probe = trait.probe(family, situation, family.draw(rng), f"{trait.name}/{family.name}/{len(drawn)}", rng)
        drawn.setdefault(probe.messages[0].content, probe)
    return list(drawn.values())


__all__ = ["PLAIN", "fill", "folder_of", "folders", "global_slots", "load_trait", "probes", "traits"]
