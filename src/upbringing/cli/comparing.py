"""What ``upbringing measure AFTER --against BEFORE`` does: two models, or kept readings of them, paired by probe."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError

if TYPE_CHECKING:
    from upbringing.measure import Profile, Shift

PAGE = "shift.html"
_FILES = (PAGE, "before", "after")
_COLUMNS = ("trait", "before", "after", "shift", "95%", "sampled", "95%")


def compare(
    after: str,
    before: str,
    *,
    traits: list[str] | None,
    judge: list[str],
    samples: int | None,
    out: Path | None,
    json: str | None,
) -> None:
    """Show what changed between two models; keep the readings of both, and the page, in ``out``.

    Each is a model, which is asked now, or what an earlier measuring left: the folder of ``--out`` or the file of
    ``--json`` that names it. Only traits that kept readings have are asked of the other.
    """
    from upbringing.cli import show
    from upbringing.lineage import check_free, new_folder
    from upbringing.measure.hosted import kept_until_saved
    from upbringing.traits import traits as known_traits

    out = out or Path("runs") / "shift" / show.short(after)
    check_free(out, replaces=_FILES)
    known_traits(traits)  # a misspelt name is found before a model is loaded
    there = {thing: profile for thing in (before, after) if (profile := _kept(thing)) is not None}
    asked = traits or _shared(list(there.values()))
    with kept_until_saved():
        one, two = (there.get(thing) or _asked(thing, asked, judge, samples) for thing in (before, after))
        one, two = of_traits(one, traits, before), of_traits(two, traits, after)
        shift = two - one
        if not set(one.traits) & set(two.traits):
            raise InputError(f"{after} and {before} have no trait in common; ask both for the same --traits")
        with new_folder(out, replaces=_FILES) as folder, show.working("drawing the page"):
            one.save(folder / "before")
            two.save(folder / "after")
            title = f"{after} against {before}"
            has_page = "logprob" in one.ways and "logprob" in two.ways  # an agent's log has sampled answers alone
            if has_page:
                from upbringing.report import shift_page

                shift_page(one, two, folder / PAGE, title=title, command=show.command())
    print_shift(one, two, title=f"{title}, paired by probe", stderr=json == "-")
    result: dict[str, Any] = {
        "model": after,
        "against": before,
        "shift": {"rest": told(shift)},
        "before": _summary(one),
        "after": _summary(two),
        "readings": str(out / "after"),
        "readings_before": str(out / "before"),
    }
    if has_page:
        result["report"] = str(out / PAGE)
    show.write_json(result, json)
    if has_page:
        show.note(f"open the page: {(out / PAGE).absolute()}")
    show.replay()


def _summary(profile: Profile) -> dict[str, Any]:
    from upbringing.measure.skill import doubts

    return {**profile.summary(), "doubts": doubts(profile.skill, profile.coherence)}


def told(shift: Shift) -> dict[str, dict[str, Any]]:
    """A shift at rest for JSON, trait by trait and both ways; what is not known is null."""
    found: dict[str, dict[str, Any]] = {}
    for way, mark in (("logprob", ""), ("sampled", "sampled_")):
        for trait, one in _table(shift, way).items():
            found.setdefault(trait, {}).update(
                {
                    f"{mark}shift": one["shift"],
                    f"{mark}interval": [one["lo"], one["hi"]],
                    f"{mark}probes": int(one["probes"]),
                    f"{mark}missing": int(one["missing"]),
                }
            )
    return found


def print_shift(before: Profile, after: Profile, *, title: str, stderr: bool = False) -> None:
    """Each trait's rate before and after, and the paired shift both ways; where only answers were judged, theirs."""
    from upbringing.cli import show
    from upbringing.measure.skill import doubts

    shift = after - before
    way = "logprob" if "logprob" in before.ways and "logprob" in after.ways else "sampled"
    first, last, scored, sampled = (
        *(_table(side, way) for side in (before, after, shift)),
        _table(shift, "sampled") if way == "logprob" else {},
    )
    rows = [
        (
            show.legible(trait),
            show.number(first.get(trait, _NOTHING)["rate"]),
            show.number(last.get(trait, _NOTHING)["rate"]),
            *_cells(scored.get(trait, _NOTHING)),
            *_cells(sampled.get(trait, _NOTHING)),
        )
        for trait in shift.traits
    ]
    out = show.console(stderr=stderr)
    show.print_table(out, _COLUMNS, rows, title=title, spare=2)
    for name, profile in (("before", before), ("after", after)):
        health = f"coherence {show.number(profile.coherence.value)}   skill {show.number(profile.skill.value)}"
        out.print(f"{name:6} {health}")
        for doubt in doubts(profile.skill, profile.coherence):
            out.print(f"{name:6} {doubt}", style="yellow", highlight=False)


_NOTHING: dict[str, Any] = dict.fromkeys(("rate", "shift", "lo", "hi"))


def _cells(one: dict[str, Any]) -> tuple[str, str]:
    from upbringing.cli import show

    return show.number(one["shift"], sign=True), show.interval((one["lo"], one["hi"]), sign=True)


def _table(values: Profile | Shift, way: str) -> dict[str, dict[str, Any]]:
    if way not in values.ways:
        return {}
    return {str(one["trait"]): one for one in values.table(way).to_dict("records")}  # type: ignore[misc]


def _kept(thing: str) -> Profile | None:
    """The readings that lie where something points to; None for a model, which is to be asked."""
    from upbringing.hosted import is_log, profile_of_log
    from upbringing.measure import Profile
    from upbringing.measure.profile import models_in

    path = Path(thing).expanduser()
    if is_result(thing):
        path = _named_by(path)
    elif is_log(thing):
        return profile_of_log(thing)
    if not path.is_dir() or (path / "config.json").exists() or not models_in(path):
        return None
    return Profile.load(path)


def is_result(thing: str) -> bool:
    """Whether a file is what ``measure --json`` wrote; logs of Inspect may end with .json as well."""
    file = Path(thing).expanduser()
    if file.suffix != ".json" or not file.is_file():
        return False
    try:
        held = jsons.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False
    return isinstance(held, dict) and "model" in held and "eval" not in held


def _named_by(file: Path) -> Path:
    """The folder of readings that a file of ``--json`` names."""
    from upbringing.measure.profile import models_in

    place = jsons.loads(file.read_text(encoding="utf-8")).get("readings", "")
    folders = [folder for folder in (Path(place), file.parent / place) if place and folder.is_dir()]
    found = next((folder for folder in folders if models_in(folder)), None)
    if found is None:
        raise InputError(
            f"{file}: holds rates and no readings, and shifts are paired reading by reading; measure again with "
            "--out DIR, and give DIR"
        )
    return found


def _shared(kept: list[Profile]) -> list[str] | None:
    return [trait for trait in kept[0].traits if all(trait in one.traits for one in kept)] if kept else None


def of_traits(profile: Profile, traits: list[str] | None, what: str) -> Profile:
    """The readings of the traits that were asked for, with those of skill; all of them where none is named. Names
    may be paths, as everywhere.

    Raises:
        InputError: ``what`` (where the profile comes from) has no such trait.
    """
    from upbringing.measure import Profile
    from upbringing.measure.readings import SKILL
    from upbringing.traits import traits as known_traits

    if traits is None:
        return profile
    by_path = [name for name in traits if name not in profile.traits and Path(name).exists()]
    wanted = [*(name for name in traits if name not in by_path), *(known_traits(by_path) if by_path else ())]
    if unknown := [name for name in wanted if name not in profile.traits]:
        raise InputError(f'{what}: has no trait "{unknown[0]}"; it has {", ".join(profile.traits)}')
    frame = profile.readings
    return Profile(frame[frame["trait"].isin(wanted) | (frame["way"] == SKILL)])


def _asked(model: str, traits: list[str] | None, judge: list[str], samples: int | None) -> Profile:
    from upbringing.cli import judging
    from upbringing.cli import measure as verb

    says = judging.named(judge, traits)
    lm = verb.reached(model)
    return verb.profile_of(lm, f"asking {model}", traits=traits, **verb.how_to_ask(lm, model, says, samples))


__all__ = ["PAGE", "compare", "of_traits", "print_shift", "told"]
