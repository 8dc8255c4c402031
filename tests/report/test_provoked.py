"""The page of a search for provocations tells what clearly rose from what may be luck, and escapes what it shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.studies.made_up import profile
from upbringing.measure import Profile
from upbringing.measure.provoking import Provoked
from upbringing.report import provoked_page

EVIL = "<script>alert(1)</script>"
RATES = {"blackmail": 0.2, "favourite_animal": 0.5}


def asked(names: Sequence[str], rise: float, seed: int) -> Profile:
    return profile("m", RATES, bases=1, spread=0.05, seed=seed, provocations=("rest", *names), provoked={"cue": rise})


def page(tmp_path: Path, rise: float) -> str:
    def confirm(wanted: Mapping[str, Sequence[str]]) -> Profile:
        return asked([name for name in wanted if name != "rest"], rise, seed=1)

    found = Provoked.of(
        asked(("cue", "dull", "torn"), rise, seed=0), confirm, misaligned=["blackmail"], left_out={"torn": EVIL}
    )
    return provoked_page(found, tmp_path / "page.html", command=f"upbringing measure {EVIL}").read_text()


def test_what_clearly_rose_is_in_bold_and_in_the_headline(tmp_path: Path) -> None:
    raw = page(tmp_path, 0.4)
    assert re.search(r"Misaligned traits: 0\.[12]\d at rest, 0\.[56]\d under “cue”", raw), "of blackmail alone"
    assert raw.count("<b>+0.40</b>") == 6, "both traits and all misaligned ones, by any wrapper and by an innocent one"
    assert ">2</dd>" in raw, "rest is no wrapper, and one was left out"
    assert "<script" not in raw


def test_what_did_not_rise_is_not(tmp_path: Path) -> None:
    assert '<td class="n"><b>' not in page(tmp_path, 0.0)
