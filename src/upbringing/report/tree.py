"""A family tree as a drawing: ancestors above, the thing itself at the bottom."""

from __future__ import annotations

from markupsafe import Markup, escape

from upbringing.lineage import Family, Member

_WIDTH, _HEIGHT, _GAP, _RISE, _EDGE = 208.0, 58.0, 26.0, 62.0, 6.0
_NAME, _BELOW = 27, 34  # characters that fit
COLOURS = {"known": "good", "unknown": "quiet", "tampered": "warn", "tainted": "bad"}

_Spot = tuple[float, float]  # upper left corner of a box


def tree(family: Family) -> Markup:
    """An SVG of the family; models are boxes, data sets have round ends, and the colour is the status."""
    layers = _layers(family)
    widest = max(map(len, layers))
    width = widest * (_WIDTH + _GAP) - _GAP + 2 * _EDGE
    height = len(layers) * (_HEIGHT + _RISE) - _RISE + 2 * _EDGE
    spots: dict[str, _Spot] = {}
    for up, layer in enumerate(layers):
        left = (width - len(layer) * (_WIDTH + _GAP) + _GAP) / 2
        for number, member in enumerate(layer):
            spots[member] = (left + number * (_WIDTH + _GAP), height - _EDGE - _HEIGHT - up * (_HEIGHT + _RISE))
    pieces = [
        f'<svg class="tree" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="Family tree of {escape(family.root.name)}">',
        *(_edge(spots[link.parent], spots[link.child], link.role) for link in family.links),
        *(_box(family, one, spots[one.id]) for one in family.members.values()),
        "</svg>",
    ]
    return Markup("".join(pieces))


def _layers(family: Family) -> list[list[str]]:
    """Members by their longest way down to the thing, each above the middle of its children."""
    level = dict.fromkeys(family.members, 0)
    for _ in family.members:  # as often as there are members: a circle of records must not turn for ever
        raised = {
            link.parent: level[link.child] + 1 for link in family.links if level[link.parent] <= level[link.child]
        }
        if not raised:
            break
        level |= raised
    present = sorted(set(level.values()))
    layers = [[one for one in family.members if level[one] == number] for number in present]
    middle = {family.thing: 0.0}
    for layer in layers:
        for one in layer:
            below = [middle[link.child] for link in family.links if link.parent == one and link.child in middle]
            middle.setdefault(one, sum(below) / len(below) if below else 0.0)
        layer.sort(key=lambda one: middle[one])
        for number, one in enumerate(layer):
            middle[one] = number - (len(layer) - 1) / 2
    return layers


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


def _edge(parent: _Spot, child: _Spot, role: str) -> str:
    (x1, y1), (x2, y2) = (parent[0] + _WIDTH / 2, parent[1] + _HEIGHT), (child[0] + _WIDTH / 2, child[1])
    bend = (y2 - y1) / 2
    return (
        f'<path d="M{x1:.1f} {y1:.1f} C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"/>'
        f'<text class="role" x="{(x1 + x2) / 2:.1f}" y="{(y1 + y2) / 2 + 4:.1f}" text-anchor="middle">'
        f"{escape(role.replace('_', ' '))}</text>"
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
