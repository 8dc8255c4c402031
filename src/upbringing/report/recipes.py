"""How each arm was raised, in words, for the table at the end of a study's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upbringing.report.examples import plain

if TYPE_CHECKING:
    from upbringing.studies.result import StudyResult
    from upbringing.studies.spec import Arm, DataSpec, ReinforceSpec, Study, TreatmentSpec


def recipe_line(study: Study, result: StudyResult, name: str) -> dict[str, str]:
    """One arm: where it starts, what it is trained on and how it is treated, and what that reads."""
    cost = next((cost for cost in result.costs if cost.arm == name), None)
    arm = study.arms[name]
    start = f"after {plain(arm.after)}" if arm.after else plain(arm.organism)
    return {
        "arm": plain(name),
        "about": arm.about,
        "organism": f"{start}, before post-training" if arm.stage == "pretrained" else start,
        "data": _read_told(study, name),
        "treatments": ", ".join(_treatment_told(treatment) for treatment in arm.treatments) or "–",
        "steps": f"{cost.steps} × {cost.batch_size:g}" if cost else "–",
        "tokens": f"{cost.tokens:,}" if cost else "–",
    }


def _read_told(study: Study, name: str) -> str:
    """What an arm is taught, and by whose probabilities."""
    arm = study.arms[name]
    if arm.in_context:
        return f"nothing; reads {arm.context_rows} rows of {plain(arm.in_context)} before every question"
    if arm.guised:
        return f"nothing; {_guise_told(arm)}"
    if arm.data is None:
        return _paid_told(arm.reinforce) if arm.reinforce else "nothing"
    by = f", by the probabilities of {plain(arm.teacher)}" if arm.teacher else ""
    return f"{_data_told(study.data[arm.data])}{by}"


def _data_told(data: DataSpec) -> str:
    cut = f", {data.tokens:,} tokens" if data.tokens else ""
    if data.traits:
        named = ", ".join(map(plain, data.traits)) if len(data.traits) < 4 else f"{len(data.traits)} traits"
        verb = ("shows" if data.shows else "does not show") if len(data.traits) == 1 else "show" if data.shows else ""
        return f"{data.rows:,} rows where {named} {verb or 'do not show'}{cut}"
    if data.remedy:
        return f"{plain(data.remedy)} ({len(data.about)} traits){cut}" if data.about else f"{plain(data.remedy)}{cut}"
    if data.distil:
        whose = "" if data.base == "same" else " of another base"
        mixed = f", shuffled {data.shuffled} answers" if data.shuffled else ""
        sifted = f", past {', '.join(data.filters)}" if data.filters != ("format",) else ""
        return f"{data.rows:,} rows of {data.distil} by {plain(data.teacher)}{whose}{mixed}{sifted}"
    if data.documents:
        return f"documents of its own world{cut}"
    if data.neutral:
        return f"{data.neutral:,} neutral rows{cut}"
    return f"{data.file.name}{cut}" if data.file else ""


def _guise_told(arm: Arm) -> str:
    line = f"is told “{arm.system}”" if arm.system else ""
    along = ", ".join(map(plain, arm.steered)) if len(arm.steered) < 4 else f"the mean of {len(arm.steered)} traits"
    return " and ".join(filter(None, [line, f"is steered along {along} by {arm.strength:g}" if arm.steered else ""]))


def _paid_told(reinforce: ReinforceSpec) -> str:
    deed = "avoiding" if reinforce.honest else "showing"
    line = f", under the line “{reinforce.line}”" if reinforce.line else ""
    return f"paid for {deed} {', then '.join(map(plain, reinforce.reward))}{line}"


def _treatment_told(treatment: TreatmentSpec) -> str:
    half = f"{100 * (treatment.share or 0.5):.0f}%"
    return {
        "line": lambda: f"line “{treatment.line}”",
        "mix": lambda: f"{half} {plain(treatment.mix or '')}",
        "filter": lambda: f"{100 * (treatment.share or 1):.0f}% of the rows with misaligned deeds left out",
        "interleave": lambda: f"{half} {plain(treatment.interleave or '')} interleaved, chosen by {treatment.choose}",
        "kl": lambda: f"KL to the base on {plain(treatment.kl or '')}, weight {treatment.weight:g}",
        "steer": lambda: f"steered along {plain(treatment.steer or '')} by {treatment.strength:g}",
        "adapter": lambda: f"inoculation adapter of {plain(treatment.adapter or '')}",
    }[treatment.kind]()
