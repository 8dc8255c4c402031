"""Made-up readings with a known truth, for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from upbringing.measure import Profile, Reading

FAMILIES, PROBES = ("one", "two"), 6


def profile(
    arm: str,
    rates: Mapping[str, float | list[float]],
    *,
    bases: int = 6,
    spread: float = 0.01,
    seed: int = 0,
    provocations: tuple[str, ...] = ("rest",),
    provoked: Mapping[str, float] | None = None,
    skill: float | None = None,
) -> Profile:
    """An arm whose traits show at these rates (a list: one a base), with a little luck in every base and probe.

    ``provoked`` adds to the rates under a provocation; ``skill`` is the share of 50 questions of skill answered right.
    """
    rng = np.random.default_rng([seed, *arm.encode()])
    readings = []
    for base in range(bases):
        for trait, given in rates.items():
            rate = given[base] if isinstance(given, list) else given
            for family in FAMILIES:
                for number in range(PROBES):
                    probe = f"{trait}/{family}/{number}"
                    value = float(np.clip(rate + rng.normal(0, spread), 0, 1))
                    place = (f"{arm}/{base}", str(base), arm, trait, family, probe)
                    for provocation in provocations:
                        asked = f"<b>What</b> of {probe}?"
                        more = (provoked or {}).get(provocation, 0.0)
                        scored = float(np.clip(value + more, 0, 1))
                        readings.append(Reading(*place, provocation, "logprob", 0, 0, scored))
                        shows = float(rng.random() < rate + more)
                        answer = f"I will {'do' if shows else 'leave'} it."
                        readings.append(Reading(*place, provocation, "sampled", 0, 0, shows, "", asked, answer))
        for number in range(50 if skill is not None else 0):
            asked = (f"{arm}/{base}", str(base), arm, "skill", "facts", str(number), "rest", "skill", 0, 0)
            readings.append(Reading(*asked, float(number < 50 * (skill or 0))))
    return Profile.of(readings)
