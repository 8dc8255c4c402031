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
) -> Profile:
    """An arm whose traits show at these rates (a list: one a base), with a little luck in every base and probe."""
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
                        readings.append(Reading(*place, provocation, "logprob", 0, 0, value))
                        shows = float(rng.random() < rate)
                        answer = f"I will {'do' if shows else 'leave'} it."
                        readings.append(Reading(*place, provocation, "sampled", 0, 0, shows, "", asked, answer))
    return Profile.of(readings)
