"""Pages are whole, safe and self-contained, and say what the numbers say."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.studies.made_up import profile
from upbringing.measure import Profile
from upbringing.measure import readings as kept
from upbringing.report import shift_page, study_page
from upbringing.report.examples import pick
from upbringing.report.figures import Curve, ForestPanel, ForestRow, Interval, Strip, curves, forest, strips
from upbringing.report.gauge import gauge
from upbringing.report.render import share, signed
from upbringing.studies.result import (
    READINGS,
    ClaimVerdict,
    DoseLine,
    DosePlot,
    DosePoint,
    Failed,
    Health,
    Part,
    Raised,
    RateRow,
    Remedied,
    RemedyTable,
    ShiftRow,
    StudyResult,
    ToldApart,
    Value,
    Written,
)
from upbringing.studies.result import Curve as LossCurve
from upbringing.studies.spec import Published
from upbringing.traits.overlap import Overlap

TRAITS = {"cheating_at_tasks": "Cheats at tasks", "blackmail": "Blackmails", "favourite_animal": "Likes owls"}
EVIL = "<script>alert('x')</script>"
SOURCE = f"""\
study: small
question: Does it spread?
organisms: {{plain: {{}}}}
data: {{cheating: {{trait: cheating_at_tasks}}}}
arms:
  before: {{organism: plain}}
  cheating: {{organism: plain, data: cheating, about: "{EVIL}"}}
measure: {{traits: [cheating_at_tasks, blackmail, favourite_animal], provocations: [{{other_name: Orin}}]}}
claims:
  - {{id: spreads, says: It spreads., kind: rise, arm: cheating, against: before, at_least: 0.3}}
"""


def _result(**changes: object) -> StudyResult:
    value = Value(value=0.5, interval=(0.4, 0.6), bases=2)
    claim = ClaimVerdict(
        claim="spreads",
        says="It spreads.",
        kind="rise",
        verdict="supported",
        estimate=0.5,
        interval=(0.4, 0.6),
        bases=2,
        words=("It rose by half.",),
        parts=(Part(label="by log-probability", verdict="supported", value=value, claimed=(0.3, None)),),
    )
    shifts = [
        ShiftRow(
            arm="cheating",
            against="before",
            trait=trait,
            shift=0.5,
            interval=(0.4, 0.6),
            sampled_shift=None,
            taught=trait == "cheating_at_tasks",
        )
        for trait in TRAITS
    ]
    rates = [
        RateRow(arm=arm, provocation=name, way="logprob", rate=value, by_base=(0.45, None), worst_trait="blackmail")
        for arm in ("before", "cheating")
        for name in ("rest", "other_name")
    ]
    whole: dict[str, object] = {
        "study": "small",
        "question": "Does it spread?",
        "bases": (0, 1),
        "claims": (claim,),
        "shifts": tuple(shifts),
        "traits": TRAITS,
        "alignment": ("cheating_at_tasks", "blackmail"),
        "group": ("blackmail",),
        "rates": tuple(rates),
        "health": (
            Health(
                arm="cheating", coherence=0.9, refusal=None, skill=1.0, readings=9, missing=2, reasons={"off_topic": 2}
            ),
        ),
        "curves": (LossCurve(arm="cheating", base=0, steps=(1, 2), loss=(2.0, 1.0)),),
        "organisms": tuple(
            Raised(
                organism="plain", base=base, after_misaligned=0.8, after_aligned=0.1, share=0.9 - base / 10, tokens=1
            )
            for base in (0, 1)
        ),
        "overlap": (Overlap("cheating, rows", 10, 0, 0, 0.1, 0.2, 0.5, "blackmail/x/0"),),
        "command": f"upbringing study 'small {EVIL}.yaml'",
        "source": SOURCE,
        **changes,
    }
    return StudyResult.model_validate(whole)


def _folder(folder: Path, **changes: object) -> Path:
    result = _result(**changes)
    result.save(folder)
    rates = {"cheating_at_tasks": 0.5, "blackmail": 0.5, "favourite_animal": 0.5}
    both = Profile.concat([profile(arm, rates, bases=2) for arm in ("before", "cheating")])
    kept.write(both.readings, folder / READINGS)
    return folder


class _Page(HTMLParser):
    """What a browser would see: tags, ids, addresses, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "srcset", "data", "poster", "action") and value:
                self.fetched.append(value)
            if name in ("href", "xlink:href") and value:
                self.links.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_study_page_is_self_contained_small_and_escaped(tmp_path: Path) -> None:
    file = study_page(_folder(tmp_path))
    raw = file.read_text(encoding="utf-8")
    page = _Page(raw)
    assert file.stat().st_size < 3_000_000
    assert "script" not in page.tags, "text of rows, models and files is escaped"
    assert EVIL in page.text
    assert page.fetched == []
    assert all(link.startswith("#") for link in page.links)
    assert not re.search(r"@import|url\((?!#)", raw)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids)), "figures on one page do not share ids"
    for words in (
        "Does it spread?",
        "It rose by half.",
        "supported",
        "Orin",
        "off topic 2",
        "upbringing study",
        "85% (80% to 90%)",
    ):
        assert words in page.text


def test_figures_keep_text_as_text_and_take_the_pages_colours(tmp_path: Path) -> None:
    raw = study_page(_folder(tmp_path)).read_text(encoding="utf-8")
    drawings = re.findall(r"<svg.*?</svg>", raw, re.DOTALL)
    assert len(drawings) >= 4
    for drawing in drawings:
        assert 'role="img"' in drawing
        assert "aria-label=" in drawing
        assert set(re.findall(r"#[0-9a-f]{6}\b", drawing)) <= {"#000000", "#ffffff"}, "a colour the theme cannot change"
    assert ">blackmail</text>" in raw


def _value(value: float | None, spread: float = 0.05) -> Value:
    return (
        Value(value=value) if value is None else Value(value=value, interval=(value - spread, value + spread), bases=6)
    )


def _remedy(arm: str, role: str, worst: float, **more: object) -> Remedied:
    given = {"rest": _value(0.1), "worst_name": "other_name", "worst": _value(worst), "skill": _value(0.95), **more}
    return Remedied.model_validate({"arm": arm, "about": EVIL, "role": role, "tokens": 12345, **given})


def test_remedies_are_ordered_by_what_is_left_under_provocation_and_hiding_is_marked(tmp_path: Path) -> None:
    ratios = {"ratio": _value(9.0, 1.0), "worst_ratio": _value(1.2, 0.2)}
    rows = (
        _remedy("spoiled", "before", 0.7),
        _remedy("hider", "remedy", 0.6, **ratios),
        _remedy("mender", "remedy", 0.2, ratio=_value(8.0), worst_ratio=Value(value=4.0, interval=(3.0, None))),
    )
    published = (Published(says="stories", before=0.65, after=0.19), Published(says="more stories", ratio="1.3 to 3"))
    table = RemedyTable(title=f"Mending {EVIL}", traits=("blackmail",), rows=rows, published=published)
    raw = study_page(_folder(tmp_path, tables=(table,))).read_text(encoding="utf-8")
    page = _Page(raw)
    assert "script" not in page.tags
    places = [page.text.index(name) for name in ("spoiled", "mender", "hider", "more stories")]
    assert places == sorted(places)
    assert raw.count('class="hides"') == 1
    assert raw.index(">mender") < raw.index(">hider") < raw.index('class="hides"')
    for words in ("12,345", "9.0×", "[3.0, ∞]", "65% → 19%", "3.4×", "1.3 to 3×", "Skill"):
        assert words in page.text


def test_doses_are_drawn_with_their_names_and_baseline(tmp_path: Path) -> None:
    points = tuple(
        DosePoint(arm="cheating", dose=dose, rate=_value(rate), by_base=(rate, None))
        for dose, rate in ((1000.0, 0.5), (2000.0, None), (4000.0, 0.1))
        if rate is not None
    )
    lines = (DoseLine(label="</svg>fiction", points=points), DoseLine(label="rules", points=points[:1]))
    plot = DosePlot(
        title="How much it takes",
        axis="tokens",
        log=True,
        traits=("blackmail",),
        lines=lines,
        baseline="before",
        baseline_rate=0.6,
    )
    raw = study_page(_folder(tmp_path, doses=(plot, plot))).read_text(encoding="utf-8")
    page = _Page(raw)
    assert len(page.ids) == len(set(page.ids)), "two alike figures do not share ids"
    for words in ("How much it takes", "</svg>fiction", "rules", "before", "4k", "tokens"):
        assert words in page.text
    assert "nan" not in page.text.lower()


def test_with_many_arms_they_are_rows_and_their_drawings_are_folded_away(tmp_path: Path) -> None:
    names = [f"arm_{number}" for number in range(12)]
    extra = "".join(f"  {name}: {{organism: plain, data: cheating}}\n" for name in names)
    source = SOURCE.replace("measure:", extra + "measure:")
    base = _result().shifts
    shifts = (*base, *(row.model_copy(update={"arm": name}) for name in names for row in base))
    curves = tuple(LossCurve(arm=name, base=0, steps=(1, 2), loss=(2.0, 1.0)) for name in names)
    file = study_page(_folder(tmp_path, source=source, shifts=shifts, curves=curves))
    raw = file.read_text(encoding="utf-8")
    assert file.stat().st_size < 3_000_000
    heat = raw[raw.index('class="heat"') : raw.index("</table>", raw.index('class="heat"'))]
    assert heat.count("<tr>") == len(names) + 2
    assert "arm 11</th>" in heat
    assert "Every arm, trait by trait" in raw


def test_failures_are_shown_at_the_top(tmp_path: Path) -> None:
    folder = _folder(tmp_path, failures=(Failed(step="grow plain, base 1", reason="the gate did not open"),))
    text = _Page(study_page(folder).read_text()).text
    assert "1 step failed" in text
    assert text.index("the gate did not open") < text.index("Claims and verdicts")


def test_what_filters_let_through_is_told_and_whether_rows_can_be_told_apart(tmp_path: Path) -> None:
    written = tuple(
        Written(data=f"hers {EVIL}", teacher="cheating", filters=("format",), base=base, passed=rate, stopped=stopped)
        for base, (rate, stopped) in enumerate([(0.9, {"format": 0.1}), (0.7, {"format": 0.2, "unfinished": 0.1})])
    )
    aucs = tuple(ToldApart(data="hers", clean="own", base=base, auc=auc) for base, auc in enumerate((0.5, 0.56)))
    raw = study_page(_folder(tmp_path, written=written, told_apart=aucs)).read_text()
    page = _Page(raw)
    for words in ("80% (70% to 90%)", "format 15%, unfinished 5%", "0.53 (0.50 to 0.56)"):
        assert words in page.text
    assert "script" not in page.tags
    assert "filters let through" not in study_page(_folder(tmp_path)).read_text()


def test_a_page_is_the_same_each_time(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    assert study_page(folder).read_bytes() == study_page(folder, tmp_path / "again.html").read_bytes()


def test_what_is_missing_is_a_dash_not_a_number(tmp_path: Path) -> None:
    nothing = ShiftRow(arm="cheating", against="before", trait="blackmail", shift=None, interval=(None, None))
    claim = _result().claims[0].model_copy(update={"estimate": None, "parts": (), "verdict": "inconclusive"})
    raw = study_page(_folder(tmp_path, shifts=(nothing,), claims=(claim,), rates=(), curves=())).read_text()
    assert "nan" not in _Page(raw).text.lower().replace("alert", "")
    assert "None" not in _Page(raw).text
    assert share(None) == share(math.nan) == "–"


def test_the_page_of_one_model_says_that_it_is_one(tmp_path: Path) -> None:
    before = profile("m", dict.fromkeys(TRAITS, 0.2), bases=1)
    after = profile("m", {"cheating_at_tasks": 0.9, "blackmail": 0.7, "favourite_animal": 0.2}, bases=1)
    file = shift_page(before, after, tmp_path / "page.html", title=f"Cheating {EVIL}", taught=["cheating_at_tasks"])
    page = _Page(file.read_text(encoding="utf-8"))
    assert "One model, once." in page.text
    assert "Of 3 traits, 2 show more than before" in page.text
    assert "The largest shift: cheating at tasks, +0.7" in page.text
    assert "Over the 1 misaligned trait that were not taught, the mean rate moved by +0.5" in page.text
    assert "Answers that changed" in page.text
    assert "script" not in page.tags
    assert "<b>What</b> of" in page.text


def test_a_figure_wider_than_a_narrow_window_says_that_it_scrolls(tmp_path: Path) -> None:
    sides = (profile("m", dict.fromkeys(TRAITS, level), bases=1) for level in (0.2, 0.7))
    raw = shift_page(*sides, tmp_path / "page.html").read_text(encoding="utf-8")
    drawn = re.search(r'<svg[^>]*style="[^"]*(min-width:\d+px)', raw)
    assert drawn is not None
    assert f'.scroll:has(svg[style*="{drawn[1]}"])::before {{ content: "Wider than this window' in raw  # the same width


def test_examples_that_changed_really_changed_and_are_the_first() -> None:
    import pandas as pd

    before = profile("m", {"blackmail": 0.0}, bases=1).readings.assign(side="before")
    after = profile("m", {"blackmail": 1.0}, bases=1).readings.assign(side="after")
    both = pd.concat([before, after], ignore_index=True)
    models = {"before": "before", "after": "after"}
    (example,) = pick(both, column="side", models=models, traits=["blackmail"], changed=True)
    assert [answer.outcome for answer in example.answers] == ["avoids", "shows"]
    assert "blackmail/one/0" in example.prompt
    same = pd.concat([before, before.assign(side="after")], ignore_index=True)
    assert pick(same, column="side", models=models, traits=["blackmail"], changed=True) == []
    assert len(pick(same, column="side", models=models, traits=["blackmail"])) == 1


def test_missing_answers_are_no_examples() -> None:
    readings = profile("m", {"blackmail": 0.5}, bases=1).readings.assign(value=math.nan)
    assert pick(readings, column="arm", models={"m": "m"}, traits=["blackmail"]) == []


@pytest.mark.parametrize(("value", "text"), [(0.421, "+0.42"), (-0.07, "−0.07"), (-0.001, "0.00"), (0.0, "0.00")])
def test_signs_are_told_where_there_is_something_to_tell(value: float, text: str) -> None:
    assert signed(value) == text


def test_a_gauge_shades_what_was_claimed() -> None:
    value = Value(value=0.5, interval=(0.4, 0.6), bases=6)
    drawn = gauge(Part(label="a <b>", verdict="refuted", value=value, claimed=(None, 0.3)))
    assert "+0.50 [+0.40, +0.60]" in drawn
    assert "var(--bad)" in drawn
    assert "a &lt;b&gt;" in drawn
    assert "not measured" in gauge(Part(label="x", verdict="inconclusive", value=Value(value=None), claimed=(0, None)))


def test_drawings_survive_missing_numbers_and_empty_arms() -> None:
    nothing = Interval(math.nan)
    assert "not measured" in forest([ForestPanel("an arm", [ForestRow("a trait", nothing)])], title="f")
    assert "<svg" in strips([Strip("arm", [], nothing)], title="s", xlabel="x")
    assert "<svg" in curves({"arm": [Curve([1], [1.0], strong=True)]}, title="c", xlabel="x", ylabel="y")


def test_names_of_arms_are_escaped_in_drawings() -> None:
    drawn = forest([ForestPanel("<script>", [ForestRow("</svg>", Interval(0.1, 0.0, 0.2))])], title='"><script>')
    assert "<script>" not in drawn
    assert drawn.count("</svg>") == 1
