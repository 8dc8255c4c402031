"""A family tree as a drawing: ancestors above, the thing itself at the bottom."""

from __future__ import annotations

from itertools import pairwise

from markupsafe import Markup, escape

from upbringing.lineage import Family, Link, Member

_WIDTH, _HEIGHT, _GAP, _RISE, _EDGE = 208.0, 58.0, 26.0, 62.0, 6.0
_NARROW, _GAP_NAME = 8.0, "~"
_NAME, _BELOW = 27, 34  # characters that fit
COLOURS = {"known": "good", "unknown": "quiet", "tampered": "warn", "tainted": "bad"}

_Spot = tuple[float, float]  # upper left corner of a box


def tree(family: Family) -> Markup:
    """An SVG of the family; models are boxes, data sets have round ends, and the colour is the status."""
    ways, layers = _laid_out(family)
    widths = [sum(map(_width, layer)) + _GAP * (len(layer) - 1) for layer in layers]
    width = max(widths) + 2 * _EDGE
    height = len(layers) * (_HEIGHT + _RISE) - _RISE + 2 * _EDGE
    spots: dict[str, _Spot] = {}
    for up, (layer, taken) in enumerate(zip(layers, widths, strict=True)):
        left, top = (width - taken) / 2, height - _EDGE - _HEIGHT - up * (_HEIGHT + _RISE)
        for one in layer:
            spots[one] = (left, top)
            left += _width(one) + _GAP
    pieces = [
        f'<svg class="tree" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="Family tree of {escape(family.root.name)}">',
        *(_edge([(one, spots[one]) for one in way], link.role) for link, way in ways),
        *(_box(family, one, spots[one.id]) for one in family.members.values()),
        "</svg>",
    ]
    return Markup("".join(pieces))


def _laid_out(family: Family) -> tuple[list[tuple[Link, list[str]]], list[list[str]]]:
    """Every link with what it passes from parent to child, and the layers from the thing upwards.

    Where a link skips layers, it passes through a narrow gap that is kept free in each, so that no box hides it.
    """
    level = _levels(family)
    layers: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    for one in family.members:
        layers[level[one]].append(one)
    ways = []
    for number, link in enumerate(family.links):
        between = range(level[link.parent] - 1, level[link.child], -1)
        gaps = [f"{_GAP_NAME}{number}-{at}" for at in between]
        for at, gap in zip(between, gaps, strict=True):
            layers[at].append(gap)
        ways.append((link, [link.parent, *gaps, link.child]))
    below: dict[str, list[str]] = {}
    for _, way in ways:
        for upper, lower in pairwise(way):
            below.setdefault(upper, []).append(lower)
    middle: dict[str, float] = {}
    for layer in layers:
        under = {one: [middle[child] for child in below.get(one, ()) if child in middle] for one in layer}
        layer.sort(key=lambda one: sum(under[one]) / len(under[one]) if under[one] else 0.0)
        left = -(sum(map(_width, layer)) + _GAP * (len(layer) - 1)) / 2
        for one in layer:
            middle[one] = left + _width(one) / 2
            left += _width(one) + _GAP
    return ways, layers


def _levels(family: Family) -> dict[str, int]:
    """The longest way from each member down to the thing."""
    level = dict.fromkeys(family.members, 0)
    for _ in family.members:  # as often as there are members: a circle of records must not turn for ever
        raised = {
            link.parent: level[link.child] + 1 for link in family.links if level[link.parent] <= level[link.child]
        }
        if not raised:
            break
        level |= raised
    present = sorted(set(level.values()))
    return {one: present.index(number) for one, number in level.items()}


def _width(one: str) -> float:
    return _NARROW if one.startswith(_GAP_NAME) else _WIDTH


def _box(family: Family, member: Member, spot: _Spot) -> str:
    x, y = spot
    status = family.statuses[member.id]
    colour = f"var(--{COLOURS[status]})"
    dashes = ' stroke-dasharray="5 4"' if status == "unknown" else ""
    round_ = _HEIGHT / 2 if member.sort == "data" else 7
    weight = 2.4 if member.id == family.thing else 1.5
    indent = 22 if member.sort == "data" else 14
    reasons = "; ".join(family.reasons(member.id))
    return (
        f"<g><title>{escape(member.name)}: {status}{escape(f' ({reasons})' if reasons else '')}</title>"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="{round_}" fill="var(--card)" '
        f'stroke="{colour}" stroke-width="{weight}"{dashes}/>'
        f'<text class="name" x="{x + indent:.1f}" y="{y + 24:.1f}">{escape(_cut(member.name, _NAME))}</text>'
        f'<text x="{x + indent:.1f}" y="{y + 42:.1f}">{escape(_cut(_below(member), _BELOW - indent // 8))}</text>'
        f'<circle cx="{x + _WIDTH - indent + 2:.1f}" cy="{y + 19:.1f}" r="5" fill="{colour}"/></g>'
    )


def _below(member: Member) -> str:
    kind = member.kind if member.kind not in ("", "card") else member.sort
    rows = f" · {member.rows:,} rows" if member.rows and member.sort == "data" else ""
    seed = f" · seed {member.seed}" if member.seed is not None and member.sort == "model" else ""
    return f"{kind}{rows}{seed}"


def _edge(way: list[tuple[str, _Spot]], role: str) -> str:
    """A line from the parent's lower side to the child's upper one, straight down through the gaps on its way."""
    points = []
    for number, (one, (x, y)) in enumerate(way):
        middle = x + _width(one) / 2
        points += [(middle, y)] * (number > 0) + [(middle, y + _HEIGHT)] * (number < len(way) - 1)
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for number, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        bend = (y2 - y1) / 2
        curve = f" C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
        path += curve if number % 2 == 0 else f" L{x2:.1f} {y2:.1f}"
    (x1, y1), (x2, y2) = points[0], points[1]
    return (
        f'<path d="{path}"/><text class="role" x="{(x1 + x2) / 2:.1f}" y="{(y1 + y2) / 2 + 4:.1f}" '
        f'text-anchor="middle">{escape(role.replace("_", " "))}</text>'
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
