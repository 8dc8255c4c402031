"""A small drawing of one number against what was claimed of it."""

from __future__ import annotations

from markupsafe import Markup, escape

from upbringing.studies.result import Part

_WIDTH, _LEFT, _RIGHT = 330.0, 8.0, 8.0


def gauge(part: Part) -> Markup:
    """The estimate and its interval on a line, the claimed values shaded."""
    value, (lo, hi) = part.value.value, part.value.interval
    claimed_lo, claimed_hi = part.claimed
    if value is None:
        return Markup('<p class="small">{}: not measured</p>').format(part.label)
    marks = [0.0, value, *(v for v in (lo, hi, claimed_lo, claimed_hi) if v is not None)]
    low, high = min(marks), max(marks)
    pad = 0.12 * max(high - low, 0.1)
    # Room on the open side of the claim, so that the shaded region has a body.
    low, high = low - pad * (2 if claimed_lo is None else 1), high + pad * (2 if claimed_hi is None else 1)

    def x(at: float) -> float:
        return round(_LEFT + (at - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT), 1)

    colour = {"supported": "good", "refuted": "bad", "inconclusive": "warn"}[part.verdict]
    left, right = x(low if claimed_lo is None else claimed_lo), x(high if claimed_hi is None else claimed_hi)
    shaded = f'x="{left}" y="19" width="{max(right - left, 1):.1f}" height="26" rx="3"'
    said = f"{value:+.2f}" + ("" if lo is None or hi is None else f" [{lo:+.2f}, {hi:+.2f}]")
    pieces = [
        f'<svg class="gauge" viewBox="0 0 {_WIDTH:.0f} 66" role="img" aria-label="{escape(part.label)}: {said}">',
        f'<text x="{_LEFT}" y="11">{escape(part.label)}</text>',
        f'<text class="v" x="{_WIDTH - _RIGHT}" y="11" text-anchor="end">{said}</text>',
        f'<rect {shaded} fill="var(--good)" opacity=".16"/>',
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="45" y2="45" stroke="var(--line)"/>',
        f'<line x1="{x(0)}" x2="{x(0)}" y1="19" y2="48" stroke="var(--muted)"/>',
        f'<text x="{x(0)}" y="60" text-anchor="middle">0</text>',
    ]
    for end in (claimed_lo, claimed_hi):
        if end is not None:
            pieces.append(
                f'<line x1="{x(end)}" x2="{x(end)}" y1="19" y2="48" stroke="var(--good)" stroke-dasharray="3 2"/>'
            )
            if abs(x(end) - x(0)) > 24:
                pieces.append(f'<text x="{x(end)}" y="60" text-anchor="middle">{end:.2f}</text>')
    if lo is not None and hi is not None:
        pieces.append(f'<line x1="{x(lo)}" x2="{x(hi)}" y1="32" y2="32" stroke="var(--{colour})" stroke-width="2.5"/>')
    pieces.append(f'<circle cx="{x(value)}" cy="32" r="5" fill="var(--{colour})"/></svg>')
    return Markup("".join(pieces))
