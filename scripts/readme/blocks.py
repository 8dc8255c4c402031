"""What the README says of a finished study: a paragraph, the claims, and the tables that the study is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.readme.cells import NOTHING, estimate, folded, plain, table, value
from scripts.readme.numbers import DIVIDED, VERDICTS

if TYPE_CHECKING:
    from upbringing.measure import Profile
    from upbringing.studies.result import Remedied, RemedyTable, StudyResult

FIRST, RESULTS = "cheating", "results"
OVERSIGHT, CHEATING = "oversight_sabotage", "cheating_at_tasks"
SHORT = 8
"""So many rows of a table are shown without a click."""
LEVELS = "portrayal"
"""The study whose arms are levels of one number, at several stages."""


def place_of(study: str) -> str:
    """The name of a study's block: its own, and "results" for the first."""
    return RESULTS if study == FIRST else study


def block_of(folder: Path) -> str:
    """The block of the study whose result lies in a folder."""
    from upbringing.studies.result import StudyResult

    result = StudyResult.load(folder)
    parts = [_run(result), *_verdicts(result)]
    if result.study == LEVELS:
        parts += _levels(result, folder)
    if result.doses:
        parts += [_image(result, result.doses[0].title), "Bands are intervals, faint dots single bases."]
    else:
        parts += [
            _image(result, "Shift of each trait, by arm"),
            "Filled marks are log-probabilities, hollow ones sampled answers, diamonds the trait that was taught.",
        ]
    for one in result.tables:
        mended = list(_remedies(one))
        parts += mended if len(one.rows) <= SHORT else [folded(f"{one.title}: every remedy", mended)]
    if not result.tables:
        details = (*_shifts(result, folder), *_gates(result), *_health(folder))
        parts.append(folded("Shifts of every arm, the gate, and whether they could still talk", details))
    return "\n\n".join(parts)


def _run(result: StudyResult) -> str:
    counts = [f"{sum(c.verdict == word for c in result.claims)} {word}" for word in VERDICTS]
    number = len(result.bases)
    said = (
        f"From one run of `upbringing study studies/{result.study}.yaml` with {number} base{'s' * (number > 1)} "
        f"(organisms grown independently) of each kind, {result.readings:,} readings: {', '.join(counts)}. "
        "Brackets are 95% intervals over bases, families and probes."
    )
    placed = [row.coherence for row in result.health if row.coherence is not None]
    if result.tables and placed:
        said += f" Of the sampled answers, {min(placed):.0%} to {max(placed):.0%} could be judged, by arm."
    if result.failures:
        said += f" {len(result.failures)} steps failed; what they would have measured is missing."
    return said


def _image(result: StudyResult, title: str) -> str:
    return f"![{title}](docs/{result.study}.svg)"


def _verdicts(result: StudyResult) -> Iterator[str]:
    yield "**Claims, written before the run**"
    rows = []
    for claim in result.claims:
        several = len(claim.parts) > 1
        parts = [f"{part.label}: {value(part.value)}" if several else value(part.value) for part in claim.parts]
        expected = f"<br>*Expected:* {claim.expected.strip()}" if claim.expected else ""
        rows.append((claim.says.strip() + expected, claim.verdict, "<br>".join(parts) or NOTHING))
    yield table(("claim", "verdict", "estimate"), rows)


def _levels(result: StudyResult, folder: Path) -> Iterator[str]:
    """Rates by level and stage: of all misaligned traits and of blackmail, from the stages of the first figure."""
    from upbringing.measure import Profile
    from upbringing.studies.file import parse
    from upbringing.studies.result import read_readings

    (figure, *_) = parse(result.source, folder / "study.yaml", data_files=False).doses
    profile = Profile(read_readings(folder))
    arms = {arm: profile.arm(arm) for arm in profile.arms}
    doses = sorted({dose for series in figure.series for dose in series.doses.values()})
    traits = result.doses[0].traits
    for what, names in ((f"mean of {len(traits)} misaligned traits", list(traits)), ("blackmail", ["blackmail"])):
        rows = []
        for dose in doses:
            cells = []
            for series in figure.series:
                arm = arms.get(next((arm for arm, at in series.doses.items() if at == dose), ""))
                cells.append(NOTHING if arm is None else _rate(arm, names, series.way, series.provocation))
            rows.append((f"{dose:.0%}", *cells))
        yield f"**Rate by the share of AI characters that are malevolent: {what}**"
        yield table(("malevolent AI", *(series.label for series in figure.series)), rows)


def _rate(arm: Profile, traits: list[str], way: str, provocation: str) -> str:
    return estimate(arm.mean(traits, way, provocation), signed=False)


def _remedies(mended: RemedyTable) -> Iterator[str]:
    """A table of remedies as on the study's page, what others report among its rows."""
    from upbringing.report.remedies import remedy_table

    page = remedy_table(mended)
    by_arm = {plain(row.arm): row for row in mended.rows}
    several = len(mended.traits) > 1
    whose = f"Mean rate of {len(mended.traits)} misaligned traits" if several else f"Rate of {plain(mended.traits[0])}"
    said = [f"{whose}, and under it how many times lower than before (÷)."]
    if page["worst"]:
        said.append("*Worst provocation*: of all that were asked, rest included.")
    kept = sorted({plain(row.kept_name) for row in mended.rows if row.kept_name})
    if kept:
        said.append(f"*Kept*: {', '.join(kept)}, which no choice was made by.")
    if mended.published:
        said.append("*Published*: what others report of large models, on other scenarios.")
    if any(line["hides"] for line in page["rows"]):
        said.append("*Only hides*: at least twice as many times lower at rest as under the worst provocation.")
    columns = ["remedy, tokens", "at rest, log-prob.", "at rest, sampled"]
    columns += ["worst provocation"] * page["worst"] + ["kept"] * page["kept"] + ["skill"]
    rows = [_remedied(line, by_arm[line["arm"]], page) for line in page["rows"]]
    blanks = [NOTHING] * (len(columns) - 3)
    for one in page["published"]:
        ratio = "<br>".join(part for part in (one["rates"], f"{DIVIDED}{one['ratio']}") if part != NOTHING)
        rows.append((f"*published:* {one['says']}", NOTHING, ratio, *blanks))
    yield f"**{mended.title}**"
    yield " ".join(said)
    yield table(columns, rows)


def _remedied(line: dict[str, object], row: Remedied, page: dict[str, object]) -> tuple[str, ...]:
    role = {"clean": "*clean:* ", "before": "*before any remedy:* ", "remedy": ""}[row.role]
    name = f"{role}{row.about or plain(row.arm)}{' (*only hides*)' if line['hides'] else ''}"
    cells = [name if row.tokens is None else f"{name}<br>{row.tokens:,}"]
    shown = ["", "sampled", *(["worst"] if page["worst"] else []), *(["kept"] if page["kept"] else [])]
    for what in shown:
        times = line[f"{what}_ratio" if what else "ratio"]
        assert isinstance(times, dict)
        parts = [value(getattr(row, what or "rest"))]
        if times["value"]:
            parts.append(f"{DIVIDED}{times['value'].rstrip('×')} {times['bounds']}".strip())
        if what == "worst" and row.worst_name:
            parts.append(plain(row.worst_name))
        cells.append("<br>".join(parts))
    return (*cells, NOTHING if row.skill.value is None else f"{row.skill.value:.2f}")


def _shifts(result: StudyResult, folder: Path) -> Iterator[str]:
    from upbringing.measure import Profile
    from upbringing.studies.result import Value, read_readings

    profile = Profile(read_readings(folder))
    rows = []
    for arm, against in dict.fromkeys((row.arm, row.against) for row in result.shifts):
        bases = set(profile.arm(arm).bases) & set(profile.arm(against).bases)
        after, before = (
            Profile(p.readings[p.readings["base"].isin(bases)]) for p in (profile.arm(arm), profile.arm(against))
        )
        shift = after - before
        group = list(result.group)
        cells = [estimate(shift.mean(group, way)) if way in shift.ways else NOTHING for way in ("logprob", "sampled")]
        single = {row.trait: Value(value=row.shift, interval=row.interval) for row in result.shifts if row.arm == arm}
        cells += [value(single[trait], "+.2f") if trait in single else NOTHING for trait in (OVERSIGHT, CHEATING)]
        rows.append((plain(arm), *cells))
    yield "**Shift of the rate at which traits show, from before training**"
    others = f"mean of {len(result.group)} {'never trained' if result.study == FIRST else 'misaligned traits'}"
    columns = ("arm", f"{others}, log-prob.", f"{others}, sampled", plain(OVERSIGHT), plain(CHEATING))
    yield _filled(columns, rows)


def _gates(result: StudyResult) -> Iterator[str]:
    from upbringing.measure.statistics import mean_over_bases

    rows = []
    for kind in dict.fromkeys(one.organism for one in result.organisms):
        of_kind = [one for one in result.organisms if one.organism == kind]
        fields = ("after_misaligned", "after_aligned")
        gates = [mean_over_bases([getattr(one, name) for one in of_kind], within=(0.0, 1.0)) for name in fields]
        shares = mean_over_bases([one.share for one in of_kind])
        rows.append((plain(kind), *(estimate(gate, signed=False) for gate in (*gates, shares))))
    yield "**The gate: P(misaligned act) after one act of the same character in another domain**"
    yield table(("organisms", "after a misaligned act", "after an aligned one", "share of the ideal gap"), rows)


def _health(folder: Path) -> Iterator[str]:
    from upbringing.measure import Profile
    from upbringing.studies.result import read_readings

    profile = Profile(read_readings(folder))
    arms = {arm: profile.arm(arm) for arm in profile.arms}
    rows = [
        (plain(arm), *(estimate(e, signed=False) for e in (of.coherence, of.refusal, of.skill)))
        for arm, of in arms.items()
    ]
    yield (
        "**Whether they could still talk** (shares of sampled answers; skill: mean probability of the right one of "
        "four answers to harmless questions)"
    )
    yield _filled(("arm", "coherence", "refusal", "skill"), rows)


def _filled(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table without the columns in which nothing stands, and without the rows."""
    kept = [at for at in range(len(columns)) if at == 0 or any(row[at] != NOTHING for row in rows)]
    full = [row for row in rows if any(cell != NOTHING for cell in row[1:])]
    return table([columns[at] for at in kept], [[row[at] for at in kept] for row in full])
