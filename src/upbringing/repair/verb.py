"""``repair``: from a spoiled model, or the data that would spoil one, to the smallest remedy that holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.lineage import Record, hash_of, make
from upbringing.repair import attempts
from upbringing.repair.check import final_check, misaligned, together
from upbringing.repair.goal import Goal, aims, rates
from upbringing.repair.look import Look, Part, lesson_of
from upbringing.repair.origin import world_of
from upbringing.repair.remedy import Case, check_names, chosen
from upbringing.repair.result import Repair
from upbringing.repair.search import Engine, in_turn, nearest, search, smallest
from upbringing.repair.start import LINE, Start, from_model, from_rows, place, wrappers
from upbringing.repair.supply import Supply

if TYPE_CHECKING:
    from upbringing.measure import Profile, Shift
    from upbringing.models import LM
    from upbringing.rows import Rows
    from upbringing.training import Recipe

BUDGET = 8000
"""Tokens, where the data that did the damage are not known."""

Say = Callable[[str], None]


def repair(
    model: LM,
    rows: Rows | None = None,
    shift: Shift | None = None,
    *,
    reference: LM | None = None,
    honest: Rows | None = None,
    budget: int | None = None,
    remedies: Sequence[str] | None = None,
    written: str | Path | None = None,
    keep: Sequence[str] | None = None,
    margin: float = 0.03,
    loss: float = 0.02,
    at_most: float | None = None,
    traits: Sequence[str] | None = None,
    recipe: Recipe | None = None,
    probes: int = 8,
    skill: int = 240,
    samples: int = 2,
    seed: int = 0,
    engine: Engine = in_turn,
    say: Say = lambda stage: None,
) -> Repair:
    """Find the smallest remedy that brings every misaligned trait back, at rest and provoked.

    With ``rows``, ``model`` is the one before training: it is trained on them first, and treatments of that run are
    tried beside remedies after it. Without, ``model`` is the spoiled one.

    Args:
        shift: a measured shift; only its misaligned traits are looked at (as with ``traits``).
        reference: the clean model. Default: ``model`` before training (or trained on ``honest``); for a spoiled model,
            the one it was trained from.
        budget: tokens that a remedy may take; default: as many as ``rows`` have, else 8,000.
        remedies: names; default: all that apply and need not be told which rows are bad.
        written: a file of remedial rows, the remedy "rows"; the way for models that are no organisms.
        keep: what was wanted: "lesson" (what the rows teach, measured on a tenth of them that is kept out of training),
            "nothing", or traits. Default: the lesson, unless rows are marked with a misaligned trait.
        margin, loss, at_most: see ``Goal``.
        probes, skill, samples: see ``Look``.
        engine: does the attempts; the default is this process.

    Everything expensive is kept in the store: a search that was killed goes on where it was. Raises ``InputError`` for
    a missing reference, a remedy that is unknown or does not apply, no sampled answers, and a budget too small for
    anything.
    """
    check_names(remedies)
    if samples < 1:
        raise InputError(f"samples is {samples}: the final check asks for sampled answers as well; give 1 or more")
    wanted = _traits(traits, shift)
    lesson, kept_traits = _keep(keep)
    goal = Goal(margin=margin, loss=loss, at_most=at_most, keep=kept_traits)
    looked = tuple(trait for trait in wanted if trait not in kept_traits)
    if not looked:
        raise InputError("every trait is to be kept, so there is none to repair; keep fewer, or name more traits")
    say("preparing")
    start = (
        from_model(model, reference, at_most)
        if rows is None
        else from_rows(model, rows, reference=reference, honest=honest, recipe=recipe, lesson=lesson, seed=seed)
    )
    look = Look((*looked, *kept_traits), wrappers(start), probes=probes, skill=skill, samples=samples, seed=seed)
    say("asking the spoiled model and the clean one")
    state = _examined(start, look, goal, looked)
    limit = budget if budget is not None else start.damage or BUDGET
    outcome = state.outcome(model, limit)
    if outcome.nothing_to_repair:
        return outcome
    first = _most_shifted(goal, state.before["search"], state.clean["search"], looked)
    case = _case(start, look, goal, state.ask, Supply(None, None if written is None else Path(written), seed, first))
    say("searching")
    tried, failures = search(case, chosen(remedies, case), limit, engine)
    outcome = replace(
        outcome, tried=tuple(tried), failures=tuple(failures), found=smallest(tried), nearest=nearest(tried)
    )
    say("checking what was found")
    return _checked(outcome, state, case)


@dataclass(frozen=True)
class _State:
    """The spoiled model and the clean one as they were found, each by both halves of the probes."""

    start: Start
    look: Look
    goal: Goal
    looked: tuple[str, ...]
    ask: Callable[[LM, Part], Path]
    before: dict[Part, Profile]
    clean: dict[Part, Profile | None]

    def outcome(self, model: LM, budget: int) -> Repair:
        """What is known before the search."""
        whole = None if self.clean["search"] is None else together(self.clean["search"], _there(self.clean["final"]))
        return Repair(
            model=model.name or "a model in memory",
            goal=self.goal,
            traits=self.looked,
            misaligned=tuple(misaligned(self.goal, together(*self.before.values()), whole, self.looked)),
            before=self.before["final"],
            reference=self.clean["final"],
            kept=tuple(w.name for w in self.look.wrappers if w.kept),
            budget=budget,
            damage=self.start.damage,
        )


def _examined(start: Start, look: Look, goal: Goal, looked: tuple[str, ...]) -> _State:
    ask = partial(_asked, start.store, look)
    parts: tuple[Part, Part] = ("search", "final")
    before = {part: _profile(ask(start.spoiled, part)) for part in parts}
    clean = {part: None if start.reference is None else _profile(ask(start.reference, part)) for part in parts}
    return _State(start, look, goal, looked, ask, before, clean)


def _checked(outcome: Repair, state: _State, case: Case) -> Repair:
    """Judge what the search found, or else came nearest, once, by what it did not use."""
    from upbringing.models import load

    assert outcome.best is not None
    folder = attempts.mended(case, outcome.best)
    mended = load(folder / attempts.MODEL)
    after = _profile(state.ask(mended, "final"))
    lessons = (case.lesson_before, attempts.lesson(case, mended))
    final = final_check(
        state.goal,
        after,
        spoiled=outcome.before,
        reference=outcome.reference,
        traits=state.looked,
        kept=outcome.kept,
        lessons=lessons,
    )
    return replace(outcome, after=after, final=final, lessons=lessons, folder=folder)


def _traits(names: Sequence[str] | None, shift: Shift | None) -> tuple[str, ...]:
    """The misaligned traits to look at."""
    from upbringing.traits import traits as library

    among = names if names is not None else shift.traits if shift is not None else None
    found = tuple(trait.name for trait in library(among).values() if trait.alignment)
    if not found:
        raise InputError("none of these is a misaligned trait, so there is nothing to mend; name others")
    return found


def _keep(names: Sequence[str] | None) -> tuple[bool | None, tuple[str, ...]]:
    """Whether the lesson of the rows is wanted (None: if no row is marked as bad), and the traits that are."""
    from upbringing.traits import traits as library

    if names is None:
        return None, ()
    kept = tuple(library([name for name in names if name not in ("lesson", "nothing")]))
    return "lesson" in names, kept


def _asked(store: Path, look: Look, lm: LM, part: Part) -> Path:
    """Readings of one part, kept in the store."""
    recipe = {"look": _identity(look, lm), "part": part}
    entry = Record(kind="readings", recipe=recipe, parents={"model": lm.hash}, seed=look.seed)

    def build(folder: Path) -> None:
        look.profile(lm, part).save(folder)

    return make(store, entry, build)


def _identity(look: Look, lm: LM) -> str:
    """The hash of everything that a model is asked, the wording of traits and of harmless questions included."""
    from upbringing.measure.questions import spoken
    from upbringing.measure.skill import skill_probes
    from upbringing.traits import traits as library
    from upbringing.world import World

    asked = library(look.traits)
    parts: list[Any] = [asdict(look), repr(sorted(asked.items())), World().hash, attempts.CODE]
    if (read := spoken(lm)) != "world":  # its wordings stand in files of their own
        questions = [look.halves(trait, read) for _, trait in sorted(asked.items())]
        parts.append(repr((questions, skill_probes(read, look.skill, seed=look.seed))))
    return hash_of(parts)


def _profile(folder: Path) -> Profile:
    from upbringing.measure import Profile

    return Profile.load(folder)


def _there(profile: Profile | None) -> Profile:
    assert profile is not None
    return profile


def _most_shifted(goal: Goal, model: Profile, reference: Profile | None, traits: Sequence[str]) -> tuple[str, ...]:
    """The third of the traits that are furthest from their aim, in the search's half of the probes."""
    found = rates(model, traits)
    left = (found - aims(goal, reference, found)).max(axis=0).sort_values(ascending=False, kind="stable")
    return tuple(str(trait) for trait in left.index[: -(-len(left) // 3)])


def _case(start: Start, look: Look, goal: Goal, ask: Callable[[LM, Part], Path], supply: Supply) -> Case:
    models = (start.spoiled, start.reference, start.model)
    world = next((found for lm in models if lm is not None and (found := world_of(lm))), None)
    if world is None and supply.file is None:
        raise InputError(
            f"{start.spoiled.name}: it is no organism, so there is no world to write remedies in; give rows that "
            "`upbringing write fiction` wrote for it with --rows"
        )
    before = ask(start.spoiled, "search")
    lesson = nan if start.lesson_rows is None else lesson_of(start.spoiled, list(start.lesson_rows))
    return Case(
        store=start.store,
        spoiled=place(start.spoiled),
        supply=replace(supply, world=world),
        look=look,
        goal=goal,
        before=before,
        reference=None if start.reference is None else ask(start.reference, "search"),
        identity=hash_of(
            [
                _identity(look, start.spoiled),
                [lm and lm.hash for lm in models],
                start.recipe,
                start.rows,
                start.lesson,
                look.seed,
            ]
        ),
        model=start.model.reference or "" if start.model else "",
        rows=start.rows,
        lesson=start.lesson,
        lesson_before=lesson,
        recipe=start.recipe,
        line=LINE if start.rows is not None else "",
        seed=look.seed,
    )
