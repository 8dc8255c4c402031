"""How well forecasts did on data sets of families never seen: the block that `upbringing bench` gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.readme.cells import NOTHING, table, value

PLACE = "forecasts"
BASELINES = ("text", "length", "likelihood", "badness", "random", "mean")
_ROUTES = ("visible", "document", "subliminal", "conditional")
_USUAL = "forecast"


def forecasts_of(scores: Path) -> str:
    """The block of a scores file: the goals, then every method beside every other."""
    from upbringing.forecast.bench import library

    told = json.loads(scores.read_text(encoding="utf-8"))
    of_bench = library()
    sides = [of_bench.of("calibration"), of_bench.of(told["split"])]
    learned, judged = (f"{len(sets)} data sets of {len({one.family for one in sets})} families" for sets in sides)
    methods = told["methods"]
    intro = (
        f"From one run of `upbringing bench` with {len(told['bases'])} bases: fitted on {learned}, judged on {judged}, "
        "none of which it had seen. Forecast and measured shift of 17 traits at rest; *r* is Pearson's, within a base, "
        "the mean over bases with its 95% interval. Every guess counts, also where the verdict is *cannot tell*. "
        "*Other bases*: what the same data did to the other organisms, which no forecast may know; where organisms "
        "differ and truth is noisy, this falls short of 1 as well."
    )
    return "\n\n".join(
        [
            "**How well it forecasts**",
            intro,
            _goals(methods[_USUAL], told["ceiling"]),
            "**Every method**",
            _methods(methods),
        ]
    )


def _goals(one: dict[str, Any], best: dict[str, Any]) -> str:
    silent = one["cannot_tell"]
    by_route, at_best = one["r_by_route"], best["r_by_route"]
    rows = [
        ("r, all routes", "0.88–0.95, on the sets they were made on", "0.95", _interval(one, "r"), _plain(best["r"])),
        *((f"r, {name}", NOTHING, "0.90", _plain(by_route.get(name)), _plain(at_best.get(name))) for name in _ROUTES),
        (
            "r without the mean over traits (specificity)",
            "not reported",
            "0.80",
            _interval(one, "specificity"),
            _plain(best["specificity"]),
        ),
        (
            "AUROC, harmful against harmless sets",
            "0.990, from checkpoints",
            "0.99",
            _plain(one["auroc"]),
            _plain(best["auroc"]),
        ),
        ("90% intervals that hold the truth", "not reported", "86–94%", _share(one["coverage"]), NOTHING),
        ("“cannot tell”", "not reported", NOTHING, _share(silent["share"]), NOTHING),
        ("wrong verdict if it had spoken there", NOTHING, NOTHING, _share(silent["wrong_if_spoken"]), NOTHING),
        ("wrong verdict where it spoke", NOTHING, NOTHING, _share(silent["wrong_when_spoken"]), NOTHING),
    ]
    return table(("figure", "published", "goal", "here", "other bases"), rows)


def _methods(methods: dict[str, Any]) -> str:
    ranked = sorted(methods.items(), key=lambda item: -(item[1]["r"] if item[1]["r"] is not None else -2))
    rows = []
    for name, one in ranked:
        label = f"**{name}**" if name == _USUAL else f"{name} (baseline)" if name in BASELINES else f"lens: {name}"
        routes = (_plain(one["r_by_route"].get(route)) for route in _ROUTES)
        rest = (_plain(one["specificity"]), _plain(one["auroc"]), _share(one["coverage"]))
        rows.append((label, _interval(one, "r"), *routes, *rest, f"{one['cost_forward_passes']:.3g}"))
    columns = ("method", "r", *_ROUTES, "specificity", "AUROC", "in 90%", "forward passes")
    return table(columns, rows)


def _interval(one: dict[str, Any], name: str) -> str:
    from upbringing.studies.result import Value

    return value(Value(value=one[name], interval=one[f"{name}_interval"]))


def _plain(number: float | None) -> str:
    return NOTHING if number is None else f"{number:.2f}"


def _share(number: float | None) -> str:
    return NOTHING if number is None else f"{number:.0%}"
