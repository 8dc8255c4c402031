"""Is it these rows? Train without them, without as many others, and on them alone, and see what is left of the shift.

    check = removed(bases, rows, named, "blackmail")
    check.left["without"], check.left["random"], check.left["only"]       # fractions of the whole data set's shift

Every arm trains for the same number of steps, so that an arm with fewer rows reads them more often: what differs is
what was read, not how much. The random removal is the control for that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.rows import Row, Rows

if TYPE_CHECKING:
    from upbringing.measure import Estimate, Profile
    from upbringing.models import LM
    from upbringing.training import Recipe

ALL, WITHOUT, RANDOM, ONLY = "all", "without", "random", "only"
LABELS = {
    ALL: "all rows",
    WITHOUT: "without the named rows",
    RANDOM: "without as many at random",
    ONLY: "on the named rows alone",
}
"""What is trained on, in words."""
ARMS = tuple(LABELS)
BASES = 3
PROBES = 48
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Check:
    """What training did. ``shift``: of each arm's trait, in rates; ``left``: of the whole data set's shift, by arm."""

    trait: str
    bases: tuple[str, ...]
    named: int
    rows: int
    shift: dict[str, Estimate]
    left: dict[str, Estimate]
    note: str = ""

    @property
    def says(self) -> str:
        """The finding in a sentence, with 95% intervals."""
        labels = {
            WITHOUT: f"without the {self.named:,} named rows {{}} of the shift is left",
            RANDOM: "without as many at random {}",
            ONLY: "on the named rows alone it is {}",
        }
        told = [labels[arm].format(f"{estimate:.2f}") for arm, estimate in self.left.items()]
        return f"retrained on {len(self.bases)} base{'s' if len(self.bases) > 1 else ''}: {', '.join(told)}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "trait": self.trait,
            "bases": list(self.bases),
            "named": self.named,
            "rows": self.rows,
            "shift": {arm: estimate.as_dict() for arm, estimate in self.shift.items()},
            "left": {arm: estimate.as_dict() for arm, estimate in self.left.items()},
            "note": self.note,
            "says": self.says,
        }


def removed(
    bases: Sequence[LM],
    rows: Sequence[Row] | Sequence[Sequence[Row]],
    named: Collection[int] | Sequence[Collection[int]],
    trait: str,
    *,
    recipe: Recipe | None = None,
    arms: Sequence[str] = ARMS,
    probes: int = PROBES,
    seed: int = 0,
    note: str = "",
    progress: Progress = lambda what, share: None,
) -> Check:
    """Train each base on all rows, without the named ones, without as many at random, and on the named ones alone.

    Args:
        rows, named: the data set and the places of the named rows; or one of each for every base.
        recipe: how to train; its seed is moved on from base to base.
        arms: what to train on; all rows are always among it.
        seed: of the random removal and the probes.

    Raises:
        InputError: no base, no named row, or nothing left without them.
    """
    from upbringing.measure import Profile
    from upbringing.training import Recipe

    if not bases:
        raise InputError("there is no model to train; give at least one")
    every, places = _each(bases, rows), _each(bases, named)
    plan = recipe or Recipe()
    wanted = [arm for arm in ARMS if arm == ALL or arm in arms]
    asked: dict[str, list[Profile]] = {arm: [] for arm in ("before", *wanted)}
    for number, lm in enumerate(bases):
        progress(f"asking base {number + 1}", number / len(bases))
        asked["before"].append(_ask(lm, trait, probes, seed, number, "before"))
        mine = recipe_of(plan, number)
        kept_by = _arms(every[number], places[number], seed + number)
        for at, arm in enumerate(wanted):
            progress(f"training base {number + 1}: {LABELS[arm]}", (number + (at + 1) / 5) / len(bases))
            kept = kept_by[arm]
            asked[arm].append(_trained(lm, kept, mine, trait, probes, seed, number, arm))
    before = Profile.concat(asked["before"])
    shifts = {arm: Profile.concat(asked[arm]) - before for arm in wanted}
    return Check(
        trait=trait,
        bases=tuple(lm.name or f"base {number + 1}" for number, lm in enumerate(bases)),
        named=max(len(set(own)) for own in places),
        rows=max(len(own) for own in every),
        shift={arm: shifts[arm].mean(trait) for arm in wanted},
        left={arm: shifts[arm].fraction(shifts[ALL], trait) for arm in wanted if arm != ALL},
        note=note,
    )


def kindred(lm: LM, store: Path, most: int = BASES) -> tuple[list[LM], str]:
    """The model, and organisms of the same kind in the store (all but the seed the same): at most ``most``; and what
    to say where there are fewer."""
    from upbringing.lenses.card import card_of
    from upbringing.models import load

    own = _kind(card_of(lm))
    found, hashes = [lm], {lm.hash}
    for folder in sorted((store / "organism").glob("*")) if own else []:
        if len(found) == most:
            break
        if _kind(_card(folder)) == own:
            other = load(folder)
            if other.hash not in hashes:
                hashes.add(other.hash)
                found.append(other)
    if len(found) == most:
        return found, ""
    have = "this model alone" if len(found) == 1 else f"{len(found)} models"
    return found, f"trained on {have}: no more organisms of its kind are in the store, and bases differ more than rows"


def recipe_of(recipe: Recipe, number: int) -> Recipe:
    """The recipe for a base: the same but for its seed."""
    return recipe.model_copy(update={"seed": recipe.seed + number})


def _kind(card: dict[str, Any]) -> tuple[Any, ...] | None:
    """What organisms of one kind have in common: world and size, not the seed."""
    if not card.get("world"):
        return None
    return card.get("size"), {key: value for key, value in card["world"].items() if key != "seed"}


def _card(folder: Path) -> dict[str, Any]:
    import json

    from upbringing.organisms import CARD

    try:
        found = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _each(bases: Sequence[LM], given: Any) -> list[Any]:
    """One for every base, from one for all or from as many."""
    first = next(iter(given), None)
    if isinstance(first, Row | int) or first is None:
        return [given] * len(bases)
    if len(given) != len(bases):
        raise InputError(f"{len(given)} data sets for {len(bases)} bases; give one, or one for each")
    return list(given)


def _arms(rows: Sequence[Row], named: Collection[int], seed: int) -> dict[str, Rows]:
    import numpy as np

    gone = {int(place) for place in named}
    if not gone:
        raise InputError("no row is named, so there is nothing to leave out; name some with --top")
    if len(gone) >= len(rows):
        raise InputError("all rows are named, so nothing is left to train on; name fewer with --top")
    luck = {int(i) for i in np.random.default_rng([seed, len(rows)]).choice(len(rows), len(gone), replace=False)}
    chosen: dict[str, Callable[[int], bool]] = {
        ALL: lambda at: True,
        WITHOUT: lambda at: at not in gone,
        RANDOM: lambda at: at not in luck,
        ONLY: lambda at: at in gone,
    }
    return {arm: Rows([row for at, row in enumerate(rows) if keep(at)], name=arm) for arm, keep in chosen.items()}


def _ask(lm: LM, trait: str, probes: int, seed: int, number: int, arm: str) -> Profile:
    from upbringing.measure import measure

    return measure(
        lm,
        traits=[trait],
        probes_per_trait=probes,
        ways=("logprob",),
        samples=0,
        skill=0,
        seed=seed,
        base=f"base{number}",
        arm=arm,
    )


def _trained(lm: LM, rows: Rows, recipe: Recipe, trait: str, probes: int, seed: int, number: int, arm: str) -> Profile:
    from upbringing.rows import encodable
    from upbringing.training import train

    fit = encodable(rows, lm.tokenizer, max_length=lm.max_length, skip_invalid=True)
    with TemporaryDirectory(prefix="upbringing-") as place:
        return _ask(train(lm, fit, Path(place) / "model", recipe=recipe), trait, probes, seed, number, arm)


__all__ = ["ALL", "BASES", "ONLY", "RANDOM", "WITHOUT", "Check", "kindred", "removed"]
