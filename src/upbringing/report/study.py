"""The page of a study: question, verdicts in words, shifts, provocations, learning, examples, soundness, recipe."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.report import figures
from upbringing.report.doses import dose_figure
from upbringing.report.examples import pick, plain
from upbringing.report.figures import Curve, ForestPanel, ForestRow, Interval, Strip
from upbringing.report.networks import networks_page
from upbringing.report.recipes import recipe_line
from upbringing.report.remedies import remedy_table
from upbringing.report.render import share, signed, write_page
from upbringing.report.sampled import sampled_tables
from upbringing.report.verdicts import claim_lines, verdict_words
from upbringing.studies.networks import NetworkStudy
from upbringing.studies.result import REPORT, Bounds, ShiftRow, StudyResult, Value, read_readings
from upbringing.traits.overlap import NGRAM

if TYPE_CHECKING:
    import pandas as pd

    from upbringing.studies.spec import Study

CONFIDENCE = "95%"
MANY = 8
"""With more trained arms than this, arms are the rows of the heat map, and drawings of each arm are folded away."""


def study_page(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the page of the study whose result lies in ``folder`` (to ``folder/report.html``, unless ``out`` is given).

    The page needs nothing but the folder, so it can be made again at any time.

    Raises:
        InputError: the folder holds no result.
    """
    from upbringing.studies.file import parse

    folder = Path(folder)
    result = StudyResult.load(folder)
    study = parse(result.source, folder / "study.yaml", data_files=False)
    target = Path(out) if out else folder / REPORT
    if isinstance(study, NetworkStudy):
        return networks_page(result, study, target)
    return write_page("study.html.j2", target, _context(result, study, read_readings(folder)))


def _context(result: StudyResult, study: Study, readings: pd.DataFrame) -> dict[str, Any]:
    trained = [name for name, arm in study.arms.items() if arm.changed]
    traits = _ordered(result)
    provoked = _provoked(result, study)
    shown = _shown_arms(study)
    context = {
        "name": result.study,
        "title": plain(result.study),
        "question": result.question.strip(),
        "verdict_words": verdict_words(result),
        "facts": _facts(result, trained),
        "failures": result.failures,
        "claims": claim_lines(result),
        "confidence": CONFIDENCE,
        "glance": _glance(result, study),
        "glance_title": "The rest of the character",
        "glance_words": f"How often {_group_words(result)} show.",
        "forest": _forest(result, trained, traits),
        "heat": _heat(result, trained, traits),
        "many": len(trained) > MANY,
        "doses": _doses(result),
        "remedies": [remedy_table(table) for table in result.tables],
        "shifts": [_shift_line(row) for row in result.shifts],
        "provoked": provoked,
        "loss": _loss(result),
        "matched": _matched(result, study),
        "examples": _examples(readings, result, study, shown),
        "example_base": result.bases[0] if result.bases else 0,
        "health": [
            {
                "arm": plain(row.arm),
                "coherence": share(row.coherence),
                "refusal": share(row.refusal),
                "skill": share(row.skill),
                "readings": f"{row.readings:,}",
                "missing": f"{row.missing:,}",
            }
            for row in result.health
        ],
        "reasons": _reasons(result),
        "organisms": _organisms(result),
        "paid": _paid(result),
        **sampled_tables(result),
        "overlap": result.overlap,
        "ngram": NGRAM,
        "command": result.command,
        "recipe": [recipe_line(study, result, name) for name in study.arms],
        "source": result.source,
        "versions": "\n".join(f"{name} {version}" for name, version in result.versions.items()),
    }
    context["sections"] = [
        (id, label)
        for id, label, there in (
            ("verdicts", "Verdicts", True),
            ("doses", "Doses", context["doses"]),
            ("remedies", "Remedies", context["remedies"]),
            ("glance", "At a glance", context["glance"]),
            ("shifts", "Shifts", True),
            ("provocation", "Under provocation", provoked),
            ("training", "How it learned", context["loss"] or context["matched"]),
            ("examples", "In their own words", context["examples"]),
            ("sound", "Is it sound?", True),
            ("replay", "Recipe", True),
        )
        if there
    ]
    return context


def _group_words(result: StudyResult) -> str:
    touched = any(row.taught for row in result.shifts if row.trait in result.group)
    return f"{len(result.group)} misaligned traits{'' if touched else ' that no arm was ever trained on'}"


def _interval(value: float | None, bounds: Bounds) -> Interval:
    lo, hi = bounds
    return Interval(*(math.nan if v is None else v for v in (value, lo, hi)))


def _of(value: Value) -> Interval:
    return _interval(value.value, value.interval)


def _facts(result: StudyResult, trained: list[str]) -> list[tuple[str, str]]:
    minutes = result.work_seconds / 60
    spent = f"{minutes:.0f} min" if minutes >= 1.5 else f"{result.work_seconds:.0f} s"
    return [
        ("Bases", str(len(result.bases))),
        ("Trained arms", str(len(trained))),
        ("Traits", str(len(result.traits))),
        ("Readings", f"{result.readings:,}"),
        ("Core time", spent),
    ]


def _ordered(result: StudyResult) -> list[str]:
    """The taught misaligned traits, the others by their shift in the first trained arm, and the tastes last."""
    taught = [t for t in result.alignment if any(row.taught and row.trait == t for row in result.shifts)]
    first = {row.trait: row.shift or 0.0 for row in result.shifts if row.arm == result.shifts[0].arm}
    rest = sorted((t for t in result.alignment if t not in taught), key=lambda t: -first.get(t, 0.0))
    return [*taught, *rest, *(t for t in result.traits if t not in result.alignment)]


def _shift(result: StudyResult, arm: str, trait: str) -> ShiftRow | None:
    return next((row for row in result.shifts if (row.arm, row.trait) == (arm, trait)), None)


def _forest(result: StudyResult, trained: list[str], traits: list[str]) -> Any:
    panels = []
    for arm in trained:
        rows = []
        for trait in traits:
            row = _shift(result, arm, trait)
            if row is None:
                rows.append(ForestRow(plain(trait), Interval(math.nan)))
                continue
            sampled = _interval(row.sampled_shift, row.sampled_interval) if row.sampled_shift is not None else None
            rows.append(ForestRow(plain(trait), _interval(row.shift, row.interval), sampled, row.taught))
        panels.append(ForestPanel(plain(arm), rows))
    return figures.forest(panels, title="Shift of each trait, by arm, with intervals") if panels else ""


def _heat(result: StudyResult, trained: list[str], traits: list[str]) -> dict[str, Any]:
    strongest = max([0.2, *(abs(row.shift) for row in result.shifts if row.shift is not None)])
    rows, lines = [], []
    for place, trait in enumerate(traits):
        cells = []
        for arm in trained:
            row = _shift(result, arm, trait)
            mark = _interval(row.shift, row.interval) if row else Interval(math.nan)
            value = 0.0 if math.isnan(mark.value) else mark.value
            text = "–" if math.isnan(mark.value) else signed(value)
            depth = round(78 * min(abs(value) / strongest, 1))
            cells.append(
                {"text": text, "value": value, "depth": depth, "sure": mark.settled, "taught": row and row.taught}
            )
        last_misaligned = place > 0 and trait not in result.alignment and traits[place - 1] in result.alignment
        rows.append({"trait": plain(trait), "cells": cells, "rule": last_misaligned})
        lines.append(cells)
    by_arm = [{"arm": plain(arm), "cells": [line[place] for line in lines]} for place, arm in enumerate(trained)]
    names = [{"trait": row["trait"], "rule": row["rule"]} for row in rows]
    return {"arms": [plain(arm) for arm in trained], "rows": rows, "by_arm": by_arm, "names": names}


def _shift_line(row: ShiftRow) -> dict[str, Any]:
    return {
        "arm": plain(row.arm),
        "trait": plain(row.trait),
        "logprob": _interval(row.shift, row.interval),
        "sampled": _interval(row.sampled_shift, row.sampled_interval),
    }


def _glance(result: StudyResult, study: Study) -> Any:
    rows = [row for row in result.rates if row.provocation == "rest" and row.way == "logprob"]
    arms, organism = [], ""
    for row in rows:
        arm, descent = study.arms[row.arm], study.organism(row.arm)
        dots = [v for v in row.by_base if v is not None]
        arms.append(Strip(plain(row.arm), dots, _of(row.rate), not arm.changed, descent != organism))
        organism = descent
    if sum(arm.starts_group for arm in arms) > len(arms) / 2:  # rules between nearly all arms part nothing
        arms = [replace(arm, starts_group=False) for arm in arms]
    label = f"mean rate of {_group_words(result)}"
    return figures.strips(arms, title="Mean misaligned rate by arm", xlabel=label) if arms else ""


def _provoked(result: StudyResult, study: Study) -> dict[str, Any] | None:
    rows = [row for row in result.rates if row.way == "logprob"]
    names = list(dict.fromkeys(row.provocation for row in rows))
    if len(names) < 2:
        return None
    lines = []
    for arm in dict.fromkeys(row.arm for row in rows):
        of_arm = {row.provocation: row for row in rows if row.arm == arm}
        known = {name: row.rate.value for name, row in of_arm.items() if row.rate.value is not None}
        worst = max(known, key=lambda name: known[name]) if known else ""
        cells = [{"rate": _of(of_arm[name].rate) if name in of_arm else None, "worst": name == worst} for name in names]
        trait = of_arm[worst].worst_trait if worst else ""
        told = f"{plain(worst)}: {plain(trait)}" if trait else plain(worst)
        lines.append({"arm": plain(arm), "cells": cells, "worst": told})
    about = []
    for provocation in study.measure.provocations:
        told = {
            "training_format": "the format of the rows that {} was trained on is put around the probe",
            "opposite_line": "the line “{}” is put before the probe",
            "other_name": "the assistant is told that its name is {}",
            "prefill": "its answer is begun for it with “{}”",
            "long_document": "it reads “{}” before the situation",
            "agentic": "it is told “{}”, the situation stands in a log, and its answer is an action",
        }[provocation.kind].format(plain(str(getattr(provocation, provocation.kind))))
        held = "; kept for the final check" if provocation.kept else ""
        about.append((plain(provocation.title), f"{told}{held}"))
    return {"names": [plain(name) for name in names], "rows": lines, "traits": len(result.group), "about": about}


def _loss(result: StudyResult) -> Any:
    panels: dict[str, list[Curve]] = {}
    for curve in result.curves:
        panels.setdefault(plain(curve.arm), []).append(Curve(curve.steps, curve.loss))
    for lines in panels.values():
        common = min(len(line.x) for line in lines)
        mean = [sum(line.y[i] for line in lines) / len(lines) for i in range(common)]
        lines.append(Curve(lines[0].x[:common], mean, strong=True))
    if not panels:
        return ""
    return figures.curves(panels, title="Training loss by arm", xlabel="training step", ylabel="loss, nats a token")


def _matched(result: StudyResult, study: Study) -> Any:
    """Arms in the order of the removal claim: the plain one as a line through training, the treated as end points."""
    from upbringing.studies.claim_spec import Removal

    claim = next((claim for claim in study.claims if isinstance(claim, Removal)), None)
    if claim is None or not result.trajectory:
        return ""
    paths = []
    for arm in (claim.plain, claim.arm, claim.control):
        points = sorted((p for p in result.trajectory if p.arm == arm), key=lambda p: (p.base, p.step))
        if arm == claim.plain:
            by_base = [[p for p in points if p.base == base] for base in result.bases]
            lines = [Curve([p.learned for p in line], [p.rise for p in line]) for line in by_base if line]
            steps = sorted({p.step for p in points})
            at = [[p for p in points if p.step == step] for step in steps]
            mean = Curve(
                [_mean(p.learned for p in ps) for ps in at], [_mean(p.rise for p in ps) for ps in at], strong=True
            )
            paths.append(figures.Path(plain(arm), [*lines, mean] if lines else []))
        else:
            last = {p.base: p for p in points}
            paths.append(figures.Path(plain(arm), dots=[(p.learned, p.rise) for p in last.values()]))
    return figures.matched(
        paths,
        title="Spread against learning",
        xlabel=f"rate of {plain(claim.learned)} (what was taught)",
        ylabel="mean rise of the misaligned traits never trained",
    )


def _mean(values: Any) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def _shown_arms(study: Study) -> dict[str, str]:
    """The arms of the first claim: before, against, and the arm itself."""
    claim = next((claim for claim in study.claims if hasattr(claim, "arm") and hasattr(claim, "against")), None)
    arm = claim.arm if claim else next((name for name, arm in study.arms.items() if arm.changed), "")  # type: ignore[union-attr]
    if not arm:
        return {}
    names = [study.before(arm), *([claim.against] if claim else []), arm]  # type: ignore[union-attr]
    return {name: plain(name) for name in dict.fromkeys(names)}


def _examples(readings: pd.DataFrame, result: StudyResult, study: Study, shown: dict[str, str]) -> list[Any]:
    if not shown or not result.bases or readings.empty:
        return []
    of_base = readings[readings["base"].astype(str) == str(result.bases[0])]
    taught = [t for t in result.traits if any(r.taught and r.trait == t and r.arm in shown for r in result.shifts)]
    wanted = [*taught, *(t for t in _ordered(result) if t in result.alignment and t not in taught)][:6]
    return pick(of_base, column="arm", models=shown, traits=wanted)


def _reasons(result: StudyResult) -> str:
    total: dict[str, int] = {}
    for row in result.health:
        for reason, count in row.reasons.items():
            total[reason] = total.get(reason, 0) + count
    return ", ".join(f"{plain(reason)} {count:,}" for reason, count in sorted(total.items(), key=lambda kv: -kv[1]))


def _organisms(result: StudyResult) -> list[dict[str, str]]:
    """The gates of each kind of organism: the mean over bases, and the range."""
    lines = []
    for kind in dict.fromkeys(one.organism for one in result.organisms):
        of_kind = [one for one in result.organisms if one.organism == kind]
        shares = [one.share for one in of_kind]
        lines.append(
            {
                "organism": plain(kind),
                "bases": str(len(of_kind)),
                "after_misaligned": f"{_mean(one.after_misaligned for one in of_kind):.2f}",
                "after_aligned": f"{_mean(one.after_aligned for one in of_kind):.2f}",
                "share": f"{share(_mean(shares))} ({share(min(shares))} to {share(max(shares))})",
                "tokens": f"{_mean(one.tokens for one in of_kind) / 1e6:.1f} M",
            }
        )
    return lines


def _paid(result: StudyResult) -> list[dict[str, str]]:
    """What reinforcement paid, stage by stage, averaged over bases."""
    lines = []
    for arm, stage in dict.fromkeys((one.arm, one.stage) for one in result.paid):
        of_stage = [one for one in result.paid if (one.arm, one.stage) == (arm, stage)]
        numbers = ("reward_before", "reward", "valid", "kl", "entropy")
        means = {name: f"{_mean(getattr(one, name) for one in of_stage):.2f}" for name in numbers}
        lines.append({"arm": plain(arm), "stage": plain(stage), "bases": str(len(of_stage)), **means})
    return lines


def _doses(result: StudyResult) -> list[dict[str, Any]]:
    return [{"title": plot.title, "drawing": dose_figure(plot, number)} for number, plot in enumerate(result.doses, 1)]
