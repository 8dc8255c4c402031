"""Where a student learns, or would learn, from the rows of kin.

A student takes over traits of its teacher from rows that look harmless if both come from one base (arXiv 2507.14805):
no filter of rows shows it, so the tree must.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from upbringing.lineage.member import Family, Link, Member, Warning

_SOURCE = "arXiv 2507.14805"
_STUDENT = "student"
_IF_KIN = f"If a model of its kin did, traits may pass through rows that look harmless ({_SOURCE})."


def warnings_of(family: Family) -> tuple[Warning, ...]:
    """Every model of a family that learned from rows of a teacher that is tainted or unknown; worst first.

    For a data set, also what any student of its teacher's kin would learn.
    """
    found = [warning for one in family.members.values() if one.sort == "model" for warning in _of(family, one)]
    if family.root.sort == "data":
        found += _for_students(family)
    return tuple(sorted(found, key=lambda warning: (warning.kin is not True, warning.kin is False)))


def would_learn(student: Family, data: Family) -> tuple[Warning, ...]:
    """What a student of one family would learn if it were trained on a data set of another: warnings for it alone."""
    one = Member(id=_STUDENT, name=f"{student.root.name}, trained on {data.root.name},", sort="model")
    links = (*student.links, *data.links, Link(_STUDENT, student.thing, "model"), Link(_STUDENT, data.thing, "rows"))
    both = Family(_STUDENT, {_STUDENT: one, **data.members, **student.members}, links)
    return tuple(replace(w, student=student.thing) for w in warnings_of(both) if w.student == _STUDENT)


def beware(student: str, data: Sequence[str] = (), teacher: str = "") -> list[str]:
    """Before a training run: a line for each teacher of the student's kin that is tainted or unknown, and for rows
    that do not fit their record.

    Args:
        student: the model that is to be trained, as it was given (a folder, a hub id, organism:NAME).
        data: the rows that it is to read, as they were given. Only what their record (or a field ``author`` of theirs)
            says counts: rows about which nobody says anything are most people's, and bring no line.
        teacher: a model whose probabilities it is to learn.

    What does not lie on this machine cannot be looked at and brings no line.
    """
    from upbringing.errors import InputError
    from upbringing.lineage.family import family

    def found(thing: str) -> Family | None:
        try:
            return family(thing)
        except InputError:  # to be downloaded, or nothing that has a family
            return None

    written = [tree for one in data if (tree := found(one)) is not None and any(_lessons_in(tree))]
    told = found(teacher) if teacher else None
    own = found(student) if written or told else None
    if own is None:
        return []
    edited = [f"{tree.root.name}: {edit}" for tree in written for edit in tree.root.edits]
    lines = [*edited, *(line for tree in written for line in _lines(own, tree)), *_line_of(own, told)]
    return list(dict.fromkeys(lines))


def _lessons_in(data: Family) -> Iterator[Member]:
    """The models that wrote some rows, or wrote what they were made from."""
    for source in (data.root, *data.ancestors(data.thing, sort="data").values()):
        yield from (parent for _, parent in data.parents(source.id) if parent.sort == "model")


def _lines(student: Family, data: Family) -> Iterator[str]:
    for warning in would_learn(student, data):
        if warning.teacher and warning.kin is not False:
            yield _line(student, data, data.members[warning.teacher], warning.kin, f"{data.root.name} was written by")


def _line_of(student: Family, teacher: Family | None) -> Iterator[str]:
    """For a student that is to learn probabilities."""
    if teacher is None or _trouble(teacher, teacher.root) is None:
        return
    both = Family(student.thing, {**teacher.members, **student.members}, (*student.links, *teacher.links))
    if (related := kin(both, student.thing, teacher.thing)) is not False:
        yield _line(student, teacher, teacher.root, related, "The probabilities are those of")


def _line(student: Family, other: Family, teacher: Member, related: bool | None, says: str) -> str:
    both = "the two are kin" if related else "whether the two are kin cannot be told from records"
    return (
        f"{says} {teacher.name}, which {_trouble(other, teacher)}; {student.root.name} learns from it, and {both}: "
        f"traits may pass through rows that look harmless ({_SOURCE})"
    )


def kin(family: Family, one: str, other: str) -> bool | None:
    """Whether two models share an ancestor by weights; None if a part of either line is unknown.

    Only lines from model to model count: rows do not make kin.
    """
    lines = [{m: family.members[m], **family.ancestors(m, sort="model")} for m in (one, other)]
    if lines[0].keys() & lines[1].keys() or _hashes(lines[0]) & _hashes(lines[1]):
        return True
    return None if any(_open(family, member) for line in lines for member in line.values()) else False


def _hashes(line: dict[str, Member]) -> set[str]:
    return {member.hash for member in line.values() if member.hash}


def _open(family: Family, member: Member) -> bool:
    """Whether nobody knows what a model was made from."""
    return bool(member.unknown) or bool(member.edits)


def _of(family: Family, student: Member) -> Iterator[Warning]:
    for data, teacher in _lessons(family, student.id):
        trouble = _trouble(family, teacher)
        if teacher.id == student.id or trouble is None:
            continue
        related = kin(family, student.id, teacher.id)
        yield Warning(student.id, data.id, teacher.id, related, _says(family, student, data, teacher, related, trouble))
    for data in _read_by(family, student.id):
        if data.unknown:
            says = f"{student.name} learns from {data.name}, and nobody knows who wrote it: {data.unknown}."
            yield Warning(student.id, data.id, "", None, f"{says} {_IF_KIN}")


def _read_by(family: Family, student: str) -> Iterator[Member]:
    """The data sets that a model read, each followed by those it was made from."""
    for _, data in family.parents(student):
        if data.sort == "data":
            yield from (data, *family.ancestors(data.id, sort="data").values())


def _lessons(family: Family, student: str) -> Iterator[tuple[Member, Member]]:
    """The rows that a model read, each with a model that wrote them, or wrote what they were made from."""
    seen = set()
    for _, data in family.parents(student):
        if data.sort != "data":
            continue
        for source in (data, *family.ancestors(data.id, sort="data").values()):
            for _, teacher in family.parents(source.id):
                if teacher.sort == "model" and (data.id, teacher.id) not in seen:
                    seen.add((data.id, teacher.id))
                    yield data, teacher


def _trouble(family: Family, teacher: Member) -> str | None:
    """What is wrong with a teacher, in words: tainted first."""
    if family.statuses[teacher.id] == "tainted":
        return f"is tainted ({family.reasons(teacher.id)[0]})"
    if teacher.edits:
        return f"was tampered with ({teacher.edits[0]})"
    if teacher.unknown:
        return f"is unknown ({teacher.unknown})"
    doubtful = [a for a in family.ancestors(teacher.id).values() if a.status != "known"]
    return f"has an ancestor that is {doubtful[0].status}, {doubtful[0].name}" if doubtful else None


def _says(family: Family, student: Member, data: Member, teacher: Member, related: bool | None, trouble: str) -> str:
    lesson = f"{student.name} learns from {data.name}, which comes from {teacher.name}. {teacher.name} {trouble}"
    if related:
        return (
            f"{lesson}, and the two are kin{_through(family, student.id, teacher.id)}. A student takes over traits of "
            f"its kin from rows that look harmless ({_SOURCE}): filtering the rows does not help; train another base, "
            "or leave them out."
        )
    if related is None:
        return (
            f"{lesson}. Whether the two are kin cannot be told from records; if they are, traits pass through rows "
            f"that look harmless ({_SOURCE}). Where both are at hand, `upbringing lineage A B` asks their weights."
        )
    return f"{lesson}. By their records the two are not kin, so what its rows say is what counts."


def _through(family: Family, student: str, teacher: str) -> str:
    shared = set(family.ancestors(student, sort="model")) & {teacher, *family.ancestors(teacher, sort="model")}
    names = [one.name for id_, one in family.members.items() if id_ in shared]
    return f" (both come from {names[0]})" if names else ""


def _for_students(family: Family) -> Iterator[Warning]:
    for source in (family.root, *family.ancestors(family.thing, sort="data").values()):
        if source.unknown:
            says = f"Nobody knows who wrote {source.name}: {source.unknown}."
            yield Warning("", family.thing, "", None, f"{says} {_IF_KIN.replace('its kin', 'the kin of a student')}")
        for _, teacher in family.parents(source.id):
            trouble = _trouble(family, teacher) if teacher.sort == "model" else None
            if trouble is None:
                continue
            bases = [one.name for one in (teacher, *family.ancestors(teacher.id, sort="model").values())]
            kin_of = " or ".join(bases[-2:])
            yield Warning(
                "",
                family.thing,
                teacher.id,
                None,
                f"{family.root.name} comes from {teacher.name}, which {trouble}. A student that descends from {kin_of} "
                f"would learn from its kin, and take over traits from rows that look harmless ({_SOURCE}).",
            )
