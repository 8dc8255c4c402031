"""Turning templates into one self-contained page. Everything that comes from rows or models is escaped."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from upbringing.lineage import write_whole

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def signed(value: float) -> str:
    """``+0.42``, ``−0.07`` with a true minus sign, and no sign on what rounds to nought."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def share(value: float | None) -> str:
    """A rate as per cent, or a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.0f}%"


@lru_cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = signed
    environment.filters["isnan"] = math.isnan
    return environment


def write_page(template: str, out: Path, context: dict[str, Any]) -> Path:
    """Render a template into ``out``, which is there whole or not at all."""
    from upbringing import __version__

    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))
    page = _environment().get_template(template).render(style=style, version=__version__, **context)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, page)
    return out
