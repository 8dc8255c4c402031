"""The page of a repair: what each remedy leaves, at rest and provoked, which was chosen, and whether it holds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.measure.readings import LOGPROB, REST, SAMPLED
from upbringing.report import figures
from upbringing.report.examples import pick, plain
from upbringing.report.figures import ForestPanel, ForestRow, Interval
from upbringing.report.render import share, signed, write_page

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.measure import Profile
    from upbringing.repair import Repair
    from upbringing.repair.attempts import Tried

_BEYOND = "One model, once: these intervals are over probes and families of situations, not over models."
_TELLS = {
    "holds": "clean at rest and provoked",
    "hides": "only hidden: clean at rest, back when provoked",
    "harms": "clean, at the price of what was wanted",
    "falls short": "not back at rest",
}
_BADGES = {"holds": "supported", "hides": "inconclusive", "harms": "inconclusive", "falls short": "refuted"}


def repair_page(outcome: Repair, out: str | Path, *, title: str, command: str = "") -> Path:
    """Write the page of one repair.

    Args:
        outcome: what ``repair`` gave.
        out: the HTML file to write.
        title: what was repaired.
        command: the command that makes the page again.
    """
    groups, scale = _groups(outcome)
    context: dict[str, Any] = {
        "title": title,
        "summary": outcome.says,
        "verdict": _verdict(outcome),
        "facts": _facts(outcome),
        "caveat": _BEYOND,
        "groups": groups,
        "margin_at": scale.at(outcome.goal.margin),
        "zero_at": scale.at(0.0),
        "margin": f"{outcome.goal.margin:.2f}",
        "tells": [(name, _BADGES[name], tells) for name, tells in _TELLS.items()],
        "failures": outcome.failures,
        "damage": f"{outcome.damage:,}" if outcome.damage else "",
        "tenth": f"{outcome.damage // 10:,}" if outcome.damage else "",
        "final": _final(outcome),
        "health": _health(outcome),
        "examples": _examples(outcome),
        "command": command,
        "nothing": outcome.nothing_to_repair,
    }
    context["sections"] = [
        (id, label)
        for id, label, there in (
            ("remedies", "What each remedy leaves", groups),
            ("final", "The final check", context["final"]),
            ("examples", "Answers before and after", context["examples"]),
            ("sound", "What was kept", True),
            ("replay", "Again", command),
        )
        if there
    ]
    return write_page("repair.html.j2", Path(out), context)


def _verdict(outcome: Repair) -> tuple[str, str]:
    if outcome.nothing_to_repair:
        return "supported", "nothing to repair"
    if outcome.found is None or outcome.final is None:
        return "refuted", "nothing works"
    return _BADGES[outcome.final.verdict], outcome.final.verdict


def _facts(outcome: Repair) -> list[tuple[str, str]]:
    facts = [("Remedy", plain(outcome.found.remedy) if outcome.found else "none")]
    if outcome.found is None and outcome.nearest is not None:
        facts.append(("Nearest", plain(outcome.nearest.remedy)))
    if outcome.best:
        facts.append(("Tokens", f"{outcome.best.tokens:,}"))
        if outcome.damage:
            facts.append(("of the data's", f"{100 * outcome.best.tokens / outcome.damage:.1f}%"))
    if outcome.final:
        fold = outcome.final.fold[LOGPROB]
        facts.append(("Rate divided by, at rest", _times(fold[REST])))
        facts.append((f"under {plain(outcome.final.hardest)}", _times(fold[outcome.final.hardest])))
    if not outcome.nothing_to_repair:
        facts.append(("Attempts", str(len(outcome.tried))))
    return facts


def _times(value: float) -> str:
    return "–" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.1f}"


class _Scale:
    """Where a number lies on a bar, in per cent of its width."""

    def __init__(self, values: list[float]) -> None:
        low, high = min([0.0, *values]), max([0.1, *values])
        pad = 0.04 * (high - low)
        self.low, self.high = low - pad, high + pad

    def at(self, value: float) -> str:
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}"

    def bar(self, value: float) -> dict[str, str]:
        left, right = sorted((0.0, value))
        width = 100 * (right - left) / (self.high - self.low)
        return {"left": self.at(left), "width": f"{max(width, 0.4):.2f}"}


def _groups(outcome: Repair) -> tuple[list[dict[str, Any]], _Scale]:
    """Remedies with their doses: what holds first, by tokens; then by what is left."""
    scale = _Scale([v for one in outcome.tried for v in (one.judgement.rest, one.judgement.worst)])
    by_name: dict[str, list[Tried]] = {}
    for one in outcome.tried:
        by_name.setdefault(one.remedy, []).append(one)
    costs = outcome.costs()

    def place(name: str) -> tuple[bool, float]:
        cost = costs[name]
        return cost is None, min(t.judgement.worst for t in by_name[name]) if cost is None else cost

    groups = []
    for name in sorted(by_name, key=place):
        cost, tried = costs[name], by_name[name]
        most = f"with {max(t.tokens for t in tried):,} tokens" if _in_tokens(name) else "at the strengths tried"
        groups.append(
            {
                "name": plain(name),
                "cost": f"{cost:,} tokens" if cost is not None else f"not {most}",
                "works": cost is not None,
                "doses": [_dose(outcome, one, scale) for one in tried],
            }
        )
    return groups, scale


def _in_tokens(name: str) -> bool:
    """Whether a remedy's doses are tokens."""
    from upbringing.repair import remedies

    known = remedies()
    return name not in known or known[name].in_tokens


def _dose(outcome: Repair, one: Tried, scale: _Scale) -> dict[str, Any]:
    judged = one.judgement
    strength = "" if _in_tokens(one.remedy) else f"strength {one.dose:g}"
    return {
        "tokens": f"{one.tokens:,}",
        "strength": strength,
        "rest": signed(judged.rest),
        "worst": signed(judged.worst),
        "rest_bar": scale.bar(judged.rest),
        "worst_bar": scale.bar(judged.worst),
        "under": plain(judged.under),
        "trait": plain(judged.worst_trait),
        "skill": share(judged.skill),
        "lost": "; ".join(judged.lost),
        "verdict": judged.verdict,
        "badge": _BADGES[judged.verdict],
        "chosen": "" if one != outcome.best else "chosen" if outcome.found else "nearest",
        "read": one.read,
    }


def _final(outcome: Repair) -> dict[str, Any] | None:
    """What is left of the shift, trait by trait, by probes that the search never used."""
    if outcome.after is None or outcome.final is None:
        return None
    hardest = outcome.final.hardest
    panels = [
        ("before, at rest", outcome.before, REST),
        ("after, at rest", outcome.after, REST),
        (f"after, {plain(hardest)}", outcome.after, hardest),
    ]
    above = [ForestPanel(label, _above(outcome, profile, provocation)) for label, profile, provocation in panels]
    rows = []
    for name in outcome.after.provocations:
        was, now = (_rate(profile, outcome.traits, name) for profile in (outcome.before, outcome.after))
        clean = None if outcome.reference is None else _rate(outcome.reference, outcome.traits, name)
        sampled = Interval(*outcome.final.sampled[name])
        rows.append(
            {
                "name": plain(name),
                "kept": name in outcome.kept,
                "before": was,
                "after": now,
                "reference": clean,
                "fold": _times(outcome.final.fold[LOGPROB][name]),
                "sampled_fold": _times(outcome.final.fold[SAMPLED].get(name, math.nan)),
                "sampled": sampled,
            }
        )
    return {
        "found": outcome.found is not None,
        "forest": figures.forest(above, title="Rate above the clean reference, trait by trait"),
        "rows": rows,
        "reference": outcome.reference is not None,
        "verdict": outcome.final.verdict,
        "badge": _BADGES[outcome.final.verdict],
    }


def _above(outcome: Repair, profile: Profile, provocation: str) -> list[ForestRow]:
    """Each trait's rate less the reference's (the rate itself, where there is no reference)."""
    compared = profile if outcome.reference is None else profile - outcome.reference
    column = "rate" if outcome.reference is None else "shift"
    table = compared.table(LOGPROB, provocation).set_index("trait")
    return [ForestRow(plain(trait), _interval(table, trait, column)) for trait in outcome.traits]


def _interval(table: pd.DataFrame, trait: str, column: str) -> Interval:
    if trait not in table.index:
        return Interval(math.nan)
    return Interval(*table.loc[[trait], [column, "lo", "hi"]].to_numpy(dtype=float)[0].tolist())


def _rate(profile: Profile, traits: tuple[str, ...], provocation: str) -> Interval:
    mean = profile.mean(list(traits), LOGPROB, provocation)
    return Interval(mean.value, mean.lo, mean.hi)


def _health(outcome: Repair) -> list[dict[str, str]]:
    named = [("before", outcome.before), ("after", outcome.after), ("clean reference", outcome.reference)]
    lessons = {"before": outcome.lessons[0], "after": outcome.lessons[1]}
    return [
        {
            "name": name,
            "skill": share(profile.skill.value),
            "lesson": share(lessons.get(name)),
            "coherence": share(profile.coherence.value),
            "refusal": share(profile.refusal.value),
        }
        for name, profile in named
        if profile is not None
    ]


def _examples(outcome: Repair) -> list[Any]:
    if outcome.after is None:
        return []
    import pandas as pd

    both = [p.readings.assign(side=side) for side, p in (("before", outcome.before), ("after", outcome.after))]
    labels = {"before": "spoiled", "after": "repaired"}
    frame = pd.concat(both, ignore_index=True)
    return pick(frame, column="side", models=labels, traits=outcome.traits, changed=True)[:6]
