"""What one part of a study file says about another: names that must exist, settings that rooms below must know."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from upbringing.studies.claim_spec import (
    ARM_FIELDS,
    GROUPS,
    KINDS,
    SKILL,
    WORST,
    WORST_KEPT,
    Claim,
    Comparison,
    Fraction,
    Level,
    NoChange,
    RankCorrelation,
    Ratio,
    Removal,
    Rise,
    RowAUC,
    Slope,
    TraitGroup,
    arms_of,
)
from upbringing.studies.spec import Arm, Study, TreatmentSpec, trait_of

Key = tuple[str | int, ...]


class Problem(Exception):
    """Something wrong at a key of the file."""

    def __init__(self, key: Key, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.key, self.problem, self.remedy = key, problem, remedy


def first(error: ValidationError, prefix: Key = ()) -> Problem:
    """The first thing pydantic found, as a problem with a remedy. Tags of unions are no keys of the file."""
    detail = error.errors()[0]
    loc = detail["loc"]
    kept = [part for place, part in enumerate(loc) if not _is_tag(part, loc[place - 1] if place else "")]
    key = (*prefix, *kept)
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return Problem(key, "no such setting", "check its spelling, or remove it")
    if detail["type"] == "missing":
        return Problem(key, "is missing", "add it")
    if detail["type"].startswith("union_tag"):
        return Problem((*key, "kind"), "a claim has a kind", f"use one of {', '.join(sorted(KINDS))}")
    given = detail.get("input")
    if isinstance(given, (str, int, float, bool)):
        message = f"{message} (it is {given!r})"
    return Problem(key, message[:1].lower() + message[1:], "mend the value")


def _is_tag(part: str | int, before: str | int) -> bool:
    """Whether pydantic put this in for a choice between types."""
    if isinstance(part, str) and part in KINDS:
        return isinstance(before, int)
    return str(part) == "str" or str(part).startswith(("literal[", "tuple["))


def check(study: Study, *, data_files: bool = True) -> None:
    """Everything that one part of the file says about another.

    Raises:
        Problem: the first that does not fit, with its key.
    """
    from upbringing.traits import traits

    library = traits()
    measured = list(library) if study.measure.traits == "all" else list(study.measure.traits)
    for index, name in enumerate(measured if study.measure.traits != "all" else []):
        _known(("measure", "traits", index), name, library, "trait")
    _check_data(study, library, data_files)
    _check_settings(study)
    _check_reinforcement(study)
    for number, name in enumerate(study.arms):
        _check_arm(study, name, list(study.arms)[:number], library)
    _check_measures(study)
    known = {name: library[name].alignment for name in measured}
    for index, claim in enumerate(study.claims):
        if claim.id in [other.id for other in study.claims[:index]]:
            raise Problem(
                ("claims", index, "id"), f"a second claim is called {claim.id!r}", "give it a name of its own"
            )
        _check_claim(study, ("claims", index), claim, known)
    _check_shown(study, known)


def _known(key: Key, name: str, names: Iterable[str], noun: str) -> None:
    names = list(names)
    if name in names:
        return
    close = difflib.get_close_matches(name, names, n=1)
    remedy = f"did you mean {close[0]!r}?" if close else f"use one of: {', '.join(names) or '(there are none)'}"
    raise Problem(key, f"no {noun} is called {name!r}", remedy)


def _check_data(study: Study, library: Iterable[str], data_files: bool) -> None:
    from upbringing.world import REMEDIAL

    for name, data in study.data.items():
        key: Key = ("data", name)
        for trait in data.traits:
            _known((*key, "trait"), trait_of(trait), library, "trait")
        if len(data.traits) > data.rows:
            raise Problem(
                (*key, "rows"), f"{data.rows} rows cannot show {len(data.traits)} traits", "ask for more rows"
            )
        for field, traits in (("about", data.about), ("trains", data.trains)):
            for index, trait in enumerate(traits):
                _known((*key, field, index), trait, library, "trait")
        if data.remedy is not None:
            _known((*key, "remedy"), data.remedy, REMEDIAL, "kind of remedial text")
        if data_files and data.file and not data.file.exists():
            raise Problem((*key, "file"), f"{data.file} does not exist", "paths are relative to the study file")


def _check_settings(study: Study) -> None:
    """World settings and recipes hold only what those rooms know."""
    from upbringing.training import Recipe
    from upbringing.world import WorldSpec

    for name, organism in study.organisms.items():
        _fields(WorldSpec, {**organism.world, "seed": 0}, ("organisms", name, "world"))
        if "seed" in organism.world:
            raise Problem(("organisms", name, "world", "seed"), "each base has its own seed", "remove it")
    places: list[tuple[Key, dict[str, Any], dict[str, Any]]] = [(("training",), study.training, study.training)]
    for name, arm in study.arms.items():
        places.append((("arms", name, "training"), arm.training, {**study.training, **arm.training}))
    for place, own, whole in places:
        _fields(Recipe, {name: value for name, value in whole.items() if name not in ("tokens", "epochs")}, place)
        _check_epochs(place, own)
        tokens = own.get("tokens")
        if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1):
            raise Problem((*place, "tokens"), f"give a whole number of tokens (it is {tokens!r})", "mend the value")
        if tokens is not None and {"steps", "batch_size"} <= own.keys():
            raise Problem((*place, "tokens"), "steps, batch_size and tokens decide each other", "give two of the three")
        for owned in ("seed", "checkpoints"):
            if owned in own:
                raise Problem((*place, owned), "the study sets it (by base and trajectory)", "remove it")


def _check_epochs(place: Key, own: dict[str, Any]) -> None:
    epochs = own.get("epochs")
    if epochs is None:
        return
    if not isinstance(epochs, int | float) or isinstance(epochs, bool) or not 0 < epochs < float("inf"):
        raise Problem((*place, "epochs"), f"give a number above 0 (it is {epochs!r})", "mend the value")
    if {"steps", "tokens"} & own.keys():
        raise Problem((*place, "epochs"), "epochs decide the steps", "give epochs, or steps, or tokens")


def _check_reinforcement(study: Study) -> None:
    from upbringing.training.reinforcing import Reinforcement

    places: list[tuple[Key, dict[str, Any]]] = [(("reinforcement",), study.reinforcement)]
    for name, arm in study.arms.items():
        if arm.reinforce is not None:
            places.append((("arms", name, "reinforce"), {**study.reinforcement, **arm.reinforce.settings}))
    for place, settings in places:
        _fields(Reinforcement, settings, place)
        if "seed" in settings:
            raise Problem((*place, "seed"), "the study sets it (by base)", "remove it")


def _fields(model: type[BaseModel], values: dict[str, Any], key: Key) -> None:
    for name in values:
        if name not in model.model_fields:
            _known((*key, name), name, model.model_fields, "setting")
    try:
        model.model_validate(values)
    except ValidationError as error:
        raise first(error, key) from None


def _check_arm(study: Study, name: str, earlier: Sequence[str], library: Iterable[str]) -> None:
    arm, key = study.arms[name], ("arms", name)
    if arm.organism:
        _known((*key, "organism"), arm.organism, study.organisms, "organism")
    else:
        _earlier((*key, "after"), arm.after, study, earlier)
        _itself(study, (*key, "after"), arm.after)
    for trait in arm.steered:
        _known((*key, "steer"), trait, library, "trait")
    for field in ("data", "in_context"):
        if (data := getattr(arm, field)) is not None:
            _known((*key, field), data, study.data, "data set")
            _check_taught_by(study, (*key, field), data, earlier)
    if arm.teacher:
        _earlier((*key, "teacher"), arm.teacher, study, earlier)
        _itself(study, (*key, "teacher"), arm.teacher)
    for index, reward in enumerate(arm.reinforce.reward if arm.reinforce else ()):
        _known((*key, "reinforce", "reward", index), trait_of(reward), library, "trait")
    for index, treatment in enumerate(arm.treatments):
        if treatment.kind == "filter" and index:
            place: Key = (*key, "treatments", index)
            raise Problem(place, "a filter finds its rows in the data as they are", "put the filter first")
        if treatment.kind == "filter" and arm.data is not None and study.data[arm.data].distil is not None:
            raise Problem((*key, "treatments", index), "these rows are not written yet", "put filters in the data")
        _check_treatment(study, (*key, "treatments", index), treatment, earlier, library)
    if arm.organism and not any(_untrained(other, arm) for other in study.arms.values()):
        stage = ", stage: pretrained" if arm.stage == "pretrained" else ""
        remedy = (
            f"add an arm with organism: {arm.organism}{stage} and no data, so that there is something to shift from"
        )
        raise Problem(key, f"no arm shows {arm.organism!r} before training", remedy)


def _check_taught_by(study: Study, key: Key, data: str, earlier: Sequence[str]) -> None:
    """Whoever writes a data set comes before the arm that reads it."""
    spec = study.data[data]
    for name in spec.arms:
        _earlier(key, name, study, earlier)
    if spec.clean:
        _itself(study, ("data", data, "clean"), spec.clean)


def _itself(study: Study, key: Key, name: str) -> None:
    """What looks at an arm's weights alone does not see the line that it is told, nor the steering."""
    if study.arms[name].guised:
        raise Problem(key, f"{name} is told a line or steered, and only writes rows so", "name an arm that is not")


def _untrained(one: Arm, like: Arm) -> bool:
    return one.untouched and (one.organism, one.stage) == (like.organism, like.stage)


def _earlier(key: Key, name: str, study: Study, earlier: Sequence[str]) -> None:
    _known(key, name, study.arms, "arm")
    if name not in earlier:
        raise Problem(key, f"{name} comes later in the file, or is this arm", "put arms after those they need")


def _check_treatment(
    study: Study, key: Key, treatment: TreatmentSpec, earlier: Sequence[str], library: Iterable[str]
) -> None:
    if treatment.data is not None:
        _known((*key, treatment.kind), treatment.data, study.data, "data set")
        _check_taught_by(study, (*key, treatment.kind), treatment.data, earlier)
    if treatment.steer is not None:
        _known((*key, "steer"), treatment.steer, library, "trait")
    if treatment.filter is not None:
        traits = [treatment.filter] if isinstance(treatment.filter, str) else treatment.filter
        for trait in traits:
            if not (isinstance(treatment.filter, str) and trait in ("misaligned", "all")):
                _known((*key, "filter"), trait, library, "trait")
    for field in ("aligned", "misaligned"):
        if getattr(treatment, field):
            _earlier((*key, field), getattr(treatment, field), study, earlier)
            _itself(study, (*key, field), getattr(treatment, field))


def _check_measures(study: Study) -> None:
    for index, provocation in enumerate(study.measure.provocations):
        key: Key = ("measure", "provocations", index)
        if provocation.training_format is not None:
            _known((*key, "training_format"), provocation.training_format, study.arms, "arm")
            if study.arms[provocation.training_format].data is None:
                raise Problem((*key, "training_format"), "this arm is not trained", "name an arm that has data")
            if _sampled(study, provocation.training_format):
                raise Problem((*key, "training_format"), "a teacher writes this arm's rows", "name another arm")
        titles = [other.title for other in study.measure.provocations[:index]]
        if provocation.title in [*titles, "rest"]:
            raise Problem(key, f"a second provocation is called {provocation.title!r}", "give it a name of its own")
        if provocation.title in (WORST, WORST_KEPT):
            raise Problem(key, f"{provocation.title!r} stands for the worst of several", "give it another name")
    for index, arm in enumerate(study.trajectory.arms):
        _known(("trajectory", "arms", index), arm, study.arms, "arm")
        if study.arms[arm].data is None:
            raise Problem(("trajectory", "arms", index), f"{arm} is not trained", "name an arm that has data")


def _sampled(study: Study, arm: str) -> bool:
    """Whether an arm reads what a teacher will write, which nobody has seen before the run."""
    spec = study.arms[arm]
    names = [spec.data, *(treatment.data for treatment in spec.treatments)]
    return any(name is not None and study.data[name].distil is not None for name in names)


def _check_claim(study: Study, key: Key, claim: Claim, known: dict[str, bool]) -> None:
    if isinstance(claim, RowAUC):
        for field in ("data", "clean"):
            _known((*key, field), getattr(claim, field), study.data, "data set")
            if study.data[getattr(claim, field)].distil is None:
                raise Problem((*key, field), "no teacher writes these rows", "name data with distil")
        return
    _check_claimed_arms(study, key, claim)
    _check_in_context(study, key, claim)
    for number, condition in enumerate(claim.provided if isinstance(claim, NoChange) else ()):
        below: Key = (*key, "provided", number)
        _known((*below, "arm"), condition.arm, study.arms, "arm")
        _known((*below, "against"), condition.against, study.arms, "arm")
        _measured((*below, "traits"), condition.traits, list(known))
    _measured((*key, "traits"), claim.traits, list(known))
    if not study.group(claim.traits, arms_of(claim), known):
        raise Problem((*key, "traits"), "no measured trait is in this group", "measure more traits")
    if claim.traits == SKILL:
        _check_skill(key, claim)
        return
    _provoked(study, (*key, "provocation"), claim.provocation, worst=isinstance(claim, (Rise, Level, Slope, Ratio)))
    if isinstance(claim, Fraction) and claim.of_provocation:
        _provoked(study, (*key, "of_provocation"), claim.of_provocation, worst=False)
    for way in claim.ways:
        for provocation in study.provocations(claim.provocation):
            _asked(study, (*key, "ways"), way, provocation)
    if isinstance(claim, Removal):
        _measured((*key, "learned"), claim.learned, list(known))
        if claim.plain not in study.trajectory.arms or not study.trajectory.steps:
            remedy = f"add {claim.plain} to trajectory.arms, with steps"
            raise Problem((*key, "plain"), "matched learning needs this arm's trajectory", remedy)


def _check_claimed_arms(study: Study, key: Key, claim: Comparison) -> None:
    for field in ARM_FIELDS:
        if getattr(claim, field, ""):
            _known((*key, field), getattr(claim, field), study.arms, "arm")
    places: list[tuple[str | int, str]] = []
    if isinstance(claim, RankCorrelation):
        places = [(arm, name) for arm, against in claim.arms.items() for name in (arm, against)]
    elif isinstance(claim, Slope):
        places = [(arm, arm) for arm in claim.doses]
    elif isinstance(claim, NoChange):
        places = [(index, name) for index, pair in enumerate(claim.pairs) for name in pair]
    field = {"rank_correlation": "arms", "slope": "doses"}.get(claim.kind, "pairs")
    for place, name in places:
        _known((*key, field, place), name, study.arms, "arm")
    for arm in claim.arms if isinstance(claim, RankCorrelation) else ():
        if study.arms[arm].after or study.arms[arm].stage != "raised":
            raise Problem(
                (*key, "arms", arm),
                "the ideal reader follows arms raised from a whole organism",
                "leave out arms after another, or of another stage",
            )
        if _sampled(study, arm):
            raise Problem((*key, "arms", arm), "the ideal reader cannot read numbers", "leave out what teachers teach")


def _check_in_context(study: Study, key: Key, claim: Comparison) -> None:
    """Arms that read rows in context, are told a line or steered are asked at rest, and not for skill."""
    for name in arms_of(claim):
        arm = study.arms[name]
        if (arm.in_context is not None or arm.guised) and (claim.provocation != "rest" or claim.traits == SKILL):
            does = "is told a line or steered" if arm.guised else "reads rows in context"
            raise Problem(key, f"{name} {does} and is asked about traits at rest only", "claim that")


def _check_skill(key: Key, claim: Comparison) -> None:
    if isinstance(claim, Removal | RankCorrelation):
        raise Problem((*key, "traits"), f"a claim of kind {claim.kind} is about traits, not skill", "name traits")
    if claim.provocation != "rest" or (isinstance(claim, Fraction) and claim.of_provocation):
        raise Problem((*key, "provocation"), "skill is asked at rest only", "remove it")


def _provoked(study: Study, key: Key, name: str, *, worst: bool) -> None:
    titles = ["rest", *(provocation.title for provocation in study.measure.provocations)]
    if name in (WORST, WORST_KEPT):
        if not worst:
            raise Problem(key, "claims of this kind name one provocation", f"use one of: {', '.join(titles)}")
        if not study.provocations(name):
            raise Problem(key, "no provocation is marked kept", "mark one with kept: true")
        return
    _known(key, name, titles, "provocation")


def _asked(study: Study, key: Key, way: str, provocation: str) -> None:
    if way not in study.measure.ways(provocation):
        remedy = "set measure.samples to 1 or more, and measure.provocation_ways to what claims need"
        raise Problem(key, f"nothing is measured by {way} under {provocation}", remedy)


def _check_shown(study: Study, known: dict[str, bool]) -> None:
    """What tables and dose figures name."""
    for number, table in enumerate(study.tables):
        key: Key = ("tables", number)
        for field in ("before", "clean"):
            if getattr(table, field):
                _known((*key, field), getattr(table, field), study.arms, "arm")
        for index, arm in enumerate(table.arms):
            _known((*key, "arms", index), arm, study.arms, "arm")
        _measured((*key, "traits"), table.traits, list(known))
    for number, figure in enumerate(study.doses):
        key = ("doses", number)
        _measured((*key, "traits"), figure.traits, list(known))
        if figure.baseline:
            _known((*key, "baseline"), figure.baseline, study.arms, "arm")
        for index, series in enumerate(figure.series):
            place: Key = (*key, "series", index)
            for arm in series.doses:
                _known((*place, "doses", arm), arm, study.arms, "arm")
            _provoked(study, (*place, "provocation"), series.provocation, worst=False)
            _asked(study, (*place, "way"), series.way, series.provocation)
            if figure.log and min(series.doses.values()) <= 0:
                raise Problem((*place, "doses"), "a logarithmic axis has no place for 0", "set log: false")


def _measured(key: Key, traits: TraitGroup, measured: list[str]) -> None:
    names = [traits] if isinstance(traits, str) else list(traits)
    for name in names:
        if not (isinstance(traits, str) and name in GROUPS) and name not in measured:
            _known(key, name, measured, "measured trait")
