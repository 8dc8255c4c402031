"""Figures show what they are given."""

from __future__ import annotations

import re

from upbringing.report.figures import against


def test_forecasts_are_drawn_against_what_came_true_a_panel_a_route_on_one_square() -> None:
    panels = {"visible": [(0.1, 0.12), (0.4, 0.35), (-0.2, -0.1)], "document": [(0.0, 0.9)]}
    drawn = str(against(panels, title="Forecast & truth", xlabel="said", ylabel="true"))
    assert "Forecast &amp; truth" in drawn
    assert all(f">{label}<" in drawn for label in ("visible", "document", "said", "true"))
    assert len(re.findall(r"<use ", drawn)) >= 4
    assert "#0" not in re.sub(r"url\(#[^)]*\)|href=\"#[^\"]*\"", "", drawn)  # colours are the page's
