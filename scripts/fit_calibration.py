"""Make the calibration that ships for organisms of one size: the forecast, fitted on the calibration part of the bench.

python scripts/fit_calibration.py [FILE]      (default: the package's own for nano)

Truth and looks must have been made (`upbringing bench --split calibration --methods forecast`). Families of judgement
and sealed ones are not read.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "src" / "upbringing" / "forecast" / "calibrations" / "nano.json"


def main() -> int:
    from upbringing.forecast.bench import Bench
    from upbringing.forecast.bench.running import CALIBRATION, measured, needed
    from upbringing.forecast.combined import Combined
    from upbringing.forecast.fits import save

    made, method = Bench(), Combined()
    learned = measured(made, method, CALIBRATION, made.table(needed(made, CALIBRATION)))
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    fit = method.fit(learned, made.traits)
    save(fit, place)
    print(f"{place}: fitted on {len(learned)} cases of {len({one.family for one in learned})} families")
    return 0


if __name__ == "__main__":
    sys.exit(main())
