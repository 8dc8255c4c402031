"""Forecasts made up by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from upbringing.forecast import Forecast, Outlook
from upbringing.lenses import View


def outlook(shifts: Mapping[str, float], half: float = 0.1) -> Outlook:
    """A forecast of these shifts (NaN: it cannot tell), by one lens that saw as much in each of ten rows."""
    values = np.array(list(shifts.values()), dtype=float)
    view = View.of("step", shifts, np.nan_to_num(values) + np.zeros((10, 1)))
    said = Forecast.around(values, np.full(len(values), half))
    votes = np.sign(np.nan_to_num(values))[None]
    routes = {"visible": 0.5, "document": 0.0, "unseen": 0.5}
    return Outlook("m", "d.jsonl", tuple(shifts), said, {"step": view}, votes, routes, 10, 12, "nano", ("Beware.",))
