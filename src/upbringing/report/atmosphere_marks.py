"""Small drawings of a valence, from -1 (malevolent) to +1 (principled), that take the page's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from upbringing.atmosphere import Mean
from upbringing.report.render import signed

_WIDTH = 300.0


def colour(value: float) -> str:
    """The CSS variable of a side: malevolent, principled, or neither."""
    return "up" if value < -0.02 else "down" if value > 0.02 else "quiet"


def _tone(mean: Mean) -> str:
    """The colour of a mean: of a side only where the interval leaves out zero."""
    return colour(mean.value) if mean.lo > 0 or mean.hi < 0 else "quiet"


def whisker(mean: Mean) -> Markup:
    """One mean with its interval on the line from -1 to +1."""
    known = not math.isnan(mean.lo)
    tone = _tone(mean)
    drawn = [
        f'<svg class="whisker" viewBox="0 0 {_WIDTH:.0f} 22" role="img" aria-label="{signed(mean.value)}">',
        f'<line x1="4" x2="{_WIDTH - 4:.0f}" y1="11" y2="11" stroke="var(--line)"/>',
        f'<line x1="{_x(0)}" x2="{_x(0)}" y1="2" y2="20" stroke="var(--muted)" stroke-width=".8"/>',
    ]
    if known:
        drawn.append(
            f'<line x1="{_x(mean.lo)}" x2="{max(_x(mean.hi), _x(mean.lo) + 1)}" y1="11" y2="11" '
            f'stroke="var(--{tone})" stroke-width="3"/>'
        )
    drawn.append(f'<circle cx="{_x(mean.value)}" cy="11" r="4.6" fill="var(--{tone})"/></svg>')
    return Markup("".join(drawn))


def skyline(counts: Sequence[int], mean: Mean) -> Markup:
    """How many documents lie where between -1 and +1, with the mean and its interval under them."""
    width, height, base, left = 1000.0, 190.0, 168.0, 20.0
    step = (width - 2 * left) / len(counts)
    top = max([1, *counts])

    def x(value: float) -> float:
        return round(left + (value + 1) / 2 * (width - 2 * left), 1)

    said = f"Documents by valence; mean {signed(mean.value)}"
    drawn = [f'<svg class="skyline" viewBox="0 0 {width:.0f} 250" role="img" aria-label="{said}"><title>{said}</title>']
    for i, count in enumerate(counts):
        middle = -1 + (i + 0.5) * 2 / len(counts)
        tall = max(count / top * (height - 44), 1.5 if count else 0)
        deep = 0.35 + 0.65 * abs(middle)
        drawn.append(
            f'<rect x="{left + i * step + 1.5:.1f}" y="{base - tall:.1f}" width="{step - 3:.1f}" height="{tall:.1f}" '
            f'rx="2" fill="var(--{"up" if middle < 0 else "down"})" opacity="{deep:.2f}"/>'
        )
        if count:
            over = left + (i + 0.5) * step
            drawn.append(f'<text x="{over:.1f}" y="{base - tall - 6:.1f}" text-anchor="middle">{_short(count)}</text>')
    drawn.append(f'<line x1="{left}" x2="{width - left}" y1="{base}" y2="{base}" stroke="var(--muted)"/>')
    for spot, words, anchor in ((-1.0, "malevolent", "start"), (0.0, "neither", "middle"), (1.0, "principled", "end")):
        drawn.append(f'<text class="pole" x="{x(spot)}" y="{base + 74}" text-anchor="{anchor}">{words}</text>')
    for spot in (-1.0, -0.5, 0.0, 0.5, 1.0):
        drawn.append(f'<line x1="{x(spot)}" x2="{x(spot)}" y1="{base}" y2="{base + 5}" stroke="var(--muted)"/>')
    tone = _tone(mean)
    if not math.isnan(mean.lo):
        drawn.append(
            f'<line x1="{x(mean.lo)}" x2="{x(mean.hi)}" y1="{base + 24}" y2="{base + 24}" stroke="var(--{tone})" '
            'stroke-width="5" stroke-linecap="round"/>'
        )
    at = x(mean.value)
    drawn.append(f'<circle cx="{at}" cy="{base + 24}" r="8" fill="var(--{tone})" stroke="var(--paper)"/>')
    drawn.append(f'<text class="v" x="{at}" y="{base + 51}" text-anchor="middle">{signed(mean.value)}</text></svg>')
    return Markup("".join(drawn))


def _x(value: float) -> float:
    return round(8 + (value + 1) / 2 * (_WIDTH - 16), 1)


def _short(count: int) -> str:
    return f"{count:,}" if count < 10_000 else f"{count / 1000:.0f}k" if count < 10**6 else f"{count / 10**6:.1f}M"
