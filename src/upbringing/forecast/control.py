"""The control of a calibration: the model could be asked, and something moved it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upbringing.errors import InputError
from upbringing.forecast.method import MATTERS

if TYPE_CHECKING:
    from upbringing.forecast.calibrating import Calibration

_SURE = 0.05  # the chance that a model which nothing moves passes the control by luck


def check_asked(made: Calibration) -> None:
    """Raise unless the untouched model could be asked at least half of the probes, of half of the traits.

    Raises:
        InputError: says why it could not.
    """
    from upbringing.measure import Profile
    from upbringing.measure.readings import REST

    readings = Profile.load(made.bench.folder(made.bench.before(made.bench.base, None))).readings
    rest = readings[readings["provocation"] == REST]
    asked = rest["value"].notna().groupby(rest["trait"]).mean() >= 0.5
    if asked.mean() < 0.5:
        why = rest.loc[rest["missing"] != "", "missing"].str.partition(":")[0].value_counts()
        reason = f"most often: {why.index[0]}" if len(why) else "no reason is known"
        raise InputError(
            f"{made.lm.name}: of {len(asked)} traits only {int(asked.sum())} can be asked about ({reason}), so what "
            "training does to it cannot be measured; `upbringing measure` shows what is missing. Take a model that "
            "knows plain English, with a chat template and a context of 512 tokens or more"
        )


def check_moved(made: Calibration) -> None:
    """Raise unless some data set moved some trait, clearly more than data that teach nothing do.

    Clearly: by what matters, by more than neutral data moved any trait, and beyond chance in as many tries.
    """
    from statistics import NormalDist

    table = made.table
    known = table[table["shift"].notna()]
    neutral = known["route"] == "null"
    noise = float(known.loc[neutral, "shift"].abs().max()) if neutral.any() else 0.0
    tried = known[~neutral]
    sure = NormalDist().inv_cdf(1 - _SURE / (2 * max(len(tried), 1)))
    moved = (tried["shift"].abs() >= max(MATTERS, noise)) & (tried["shift"].abs() > sure * tried["se"])
    if not moved.any():
        most = float(tried["shift"].abs().max()) if len(tried) else 0.0
        raise InputError(
            f"{made.lm.name or 'this model'}: none of {tried['set'].nunique()} data sets moved a trait of it (the "
            f"largest shift is {most:.2f}, and neutral data move one by {noise:.2f}), so there is nothing to learn "
            "forecasting from; no calibration was written. Take a larger or better trained model"
        )


__all__ = ["check_asked", "check_moved"]
