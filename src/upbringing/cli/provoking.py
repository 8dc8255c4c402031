"""What ``upbringing measure --provoke`` does: wrappers gathered, the search run, its table and its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upbringing.measure import Provocation
    from upbringing.measure.provoking import Provoked, Shown
    from upbringing.models import LM
    from upbringing.rows import Rows

_PROVOKED = ("trait", "resting", "95%", "provoked", "95%", "provocation", "unprompted", "95%", "provocation")


def wrappers_of(lm: LM, names: list[str] | None, rows: Rows | None, file: Path | None) -> list[Provocation]:
    """All wrappers to provoke with; what is wrong with them is found before anything is asked."""
    from upbringing.measure.wrappers import wrappers_for

    return wrappers_for(lm, names, rows=rows, file=file)


def provoked(lm: LM, what: str, **settings: Any) -> Provoked:
    """Provoke a model under a progress bar."""
    from upbringing.cli import show

    with show.working(what) as progress:
        from upbringing.measure import provoke

        return provoke(lm, progress=progress, **settings)


def page(found: Provoked, model: str, out: Path | None) -> Path:
    """Write the page; default: below runs/measure."""
    from upbringing.cli import show
    from upbringing.report import provoked_page

    folder = out or Path("runs") / "measure" / show.short(model)
    return provoked_page(found, folder / "provoked.html", command=show.command())


def print_provoked(found: Provoked, *, stderr: bool = False) -> None:
    """The table of resting and provoked character, then what clearly showed, and what could not be tried."""
    from upbringing.cli import show
    from upbringing.measure.provoking import OVERALL

    def cells(shown: Shown) -> tuple[str, str, str]:
        return show.number(shown.provoked.value), show.interval(shown.provoked.interval), shown.provocation

    told = {**found.traits, **({OVERALL: found.overall} if found.overall else {})}
    rows = [
        (
            name,
            show.number(one.resting.value),
            show.interval(one.resting.interval),
            *cells(one.most),
            *cells(one.unprompted),
        )
        for name, one in told.items()
    ]
    out = show.console(stderr=stderr)
    show.print_table(out, _PROVOKED, rows, title=f"{found.model}, resting and provoked", spare=5)
    most, unprompted = (
        sum(getattr(one, side).clear for one in found.traits.values()) for side in ("most", "unprompted")
    )
    out.print(
        f"clearly more than at rest (95%): {most} of {len(found.traits)} traits provoked, {unprompted} unprompted; "
        "chosen on one half of the families, shown for the other"
    )
    for name, reason in found.left_out.items():
        out.print(f"left out: {name} ({reason})", markup=False)


__all__ = ["page", "print_provoked", "provoked", "wrappers_of"]
