"""Do two checkpoints share an initialisation or an ancestor? Asked of their weights, with a valid p-value.

**The null.** If two models were trained from independent random weights, then the sign of every hidden unit is a coin
of its own: turning a unit's incoming and outgoing weights round leaves the function as it is, random initial weights
are as likely one way as the other, and training (SGD, Adam, Muon …) takes the mirrored path. This holds *whatever the
data*, so also where the same data taught both models the same features. Kin agree in the signs, for signs are settled
at the start and fine-tuning does not turn them.

**The statistic.** For units of three kinds (gated MLP units, attention's value dimensions, dimensions of the residual
stream): the cosine of what should be the same unit in both models, ranked by size, signs added up (Wilcoxon's
signed-rank test). Which unit is meant is found twice: by place, as stored; and by what does not depend on its sign: the
residual stream is turned by Procrustes from the embeddings of the shared vocabulary, units are matched by their gate.
The second is robust to a permuted, scaled or rotated hidden basis. As the matching cannot see the signs, they stay fair
coins under the null: no split of the data is needed, and unlike agreement between two matchings (Zhu et al.,
arXiv:2502.12292, whose null this sharpens; for invariants see HuRef, arXiv:2312.04828) convergent features raise no
alarm. The p-value is the smallest of all tests' times their number (Bonferroni).

**What it cannot see.** Copies in which the signs of *all* kinds of units were turned at random on purpose: where
matched units are nearly parallel all the same, the answer is None and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from upbringing.lineage.units import (
    ATTENTION,
    MLP,
    Place,
    Units,
    architecture,
    embedding_of,
    places_of,
    signs_are_free,
    width_of,
)
from upbringing.lineage.weights import Weights, weights_of

KIN_BELOW = 0.001  # p-value; a false alarm in a thousand, so that one in a hundred can be shown not to be exceeded
METHOD = "signed-rank test of hidden units' free signs, Bonferroni over kinds of units and ways to match them"
NO_METHOD = "none: the architectures differ"

_RESIDUAL = "residual dimensions"
_STORED, _MATCHED = "as stored", "matched"
_MOST_UNITS = 1024  # of one place; more adds cost, not certainty
_MOST_LAYERS = 16
_MOST_TOKENS = 16_384
_EXACT_UP_TO = 100  # units; the normal approximation is as good from there on
_PERMUTATIONS = 9_999
_SMALLEST = 1e-300
_SUSPICIOUS = 0.9  # median cosine of matched units; independent models of 64 dimensions reach 0.35
_SHOWN = 3


@dataclass(frozen=True)
class SignTest:
    """One test: of which units, found how; how many, the share whose signs agree, and its own p-value."""

    units: str
    found: str
    n: int
    agree: float
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        return {"units": self.units, "found": self.found, "n": self.n, "agree": self.agree, "p_value": self.p_value}


@dataclass(frozen=True)
class Kinship:
    """Whether two checkpoints are kin: descend from one another, from one ancestor or from one initialisation.

    ``kin``: True below ``KIN_BELOW``, False above it, None where nothing valid can be said. ``p_value`` is the chance
    of such agreement between models trained from independent random weights. ``likeness``: median cosine of matched
    units (0..1), for looking at; it has no null. ``tensors``: what was compared. ``says``: all of it in words.
    """

    kin: bool | None
    p_value: float | None
    method: str
    same_architecture: bool
    says: str
    tests: tuple[SignTest, ...] = ()
    likeness: float | None = None
    tensors: tuple[str, ...] = field(default=(), repr=False)
    behaviour: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "kin": self.kin,
            "p_value": self.p_value,
            "method": self.method,
            "same_architecture": self.same_architecture,
            "says": self.says,
            "tests": [test.as_dict() for test in self.tests],
            "likeness": self.likeness,
            "behaviour": self.behaviour,
            "tensors": list(self.tensors),
        }


def kinship(a: Any, b: Any, *, seed: int = 0) -> Kinship:
    """Test whether two checkpoints share an initialisation or an ancestor.

    ``a``, ``b``: folders with safetensors (nothing else of them is run or loaded), or loaded models. ``seed`` draws the
    units compared where there are very many. Where architectures differ, what they have in common is tested: that
    may show kinship, and its absence shows nothing (``kin`` None).

    Raises ``InputError`` for folders without weights, with pickled, quantised or broken ones, with NaN in them, and
    for adapters without their base.
    """
    one, other = weights_of(a), weights_of(b)
    unlike = _differences(one, other)
    found = _tests(one, other, np.random.default_rng(seed))
    return _judged(found, unlike)


@dataclass
class _Found:
    tests: list[SignTest] = field(default_factory=list)
    likeness: float | None = None
    tensors: list[str] = field(default_factory=list)


def _tests(a: Weights, b: Weights, rng: np.random.Generator) -> _Found:
    """Everything that can be tested of what two models have in common."""
    found = _Found()
    names = embedding_of(a), embedding_of(b)
    if names[0] is None or names[1] is None or width_of(a) != width_of(b):
        return found
    embeddings = _embeddings(a.read(names[0]), b.read(names[1]), rng)
    found.tensors.append(names[0])
    found.tests += _residual_tests(*embeddings, free=signs_are_free(a) and signs_are_free(b), rng=rng)
    places_a, places_b = places_of(a), places_of(b)
    shared = [name for name in places_a if name in places_b and _fit(places_a[name], places_b[name], a, b)]
    turn = _turn(*embeddings) if shared else None
    alike: list[np.ndarray] = []
    for kind in (MLP, ATTENTION):
        chosen = _spread([name for name in shared if places_a[name].kind == kind])
        cosines: dict[str, list[np.ndarray]] = {_STORED: [], _MATCHED: []}
        for name in chosen:
            pair = places_a[name].read(), places_b[name].read()
            own = rng.permutation(len(pair[0].signed[0]))[:_MOST_UNITS]
            cosines[_STORED].append(_stored(*pair, own))
            by_match, closeness = _matched(*pair, own, turn)
            cosines[_MATCHED].append(by_match)
            alike.append(closeness)
            found.tensors += places_a[name].tensors
        found.tests += [_signed_rank(kind, how, np.concatenate(c)) for how, c in cosines.items() if c]
    found.tests = [test for test in found.tests if test.n]
    found.likeness = float(np.median(np.concatenate(alike))) if alike else None
    return found


def _fit(one: Place, other: Place, a: Weights, b: Weights) -> bool:
    shapes = [a.shapes[name] for name in one.tensors]
    return shapes == [b.shapes[name] for name in other.tensors]


def _spread(names: Sequence[str]) -> list[str]:
    """At most so many, evenly over the depth."""
    if len(names) <= _MOST_LAYERS:
        return list(names)
    return [names[i] for i in np.linspace(0, len(names) - 1, _MOST_LAYERS).round().astype(int)]


def _embeddings(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the shared vocabulary, [tokens, width]: tokens added by one of them come behind."""
    rows = min(len(a), len(b))
    chosen = np.sort(rng.permutation(rows)[:_MOST_TOKENS])
    return a[chosen], b[chosen]


def _residual_tests(a: np.ndarray, b: np.ndarray, *, free: bool, rng: np.random.Generator) -> list[SignTest]:
    """Dimensions of the residual stream, by their columns of the embedding."""
    cosines = _unit(a.T) @ _unit(b.T).T
    if not free:  # LayerNorm: a dimension's sign is not free, its place is
        return [_permutation_test(cosines, rng)]
    best = np.abs(cosines).argmax(1)
    return [
        _signed_rank(_RESIDUAL, _STORED, np.diagonal(cosines)),
        _signed_rank(_RESIDUAL, _MATCHED, cosines[np.arange(len(best)), best]),
    ]


def _permutation_test(cosines: np.ndarray, rng: np.random.Generator) -> SignTest:
    """Whether dimensions at the same place are more alike than at any other: a random order is the null."""
    width = len(cosines)
    rows = np.arange(width)
    seen = cosines[rows, rows].sum()
    as_good = sum(cosines[rows, rng.permutation(width)].sum() >= seen for _ in range(_PERMUTATIONS))
    agree = float((np.diagonal(cosines) > 0).mean())
    return SignTest(_RESIDUAL, "as stored, by permutation", width, agree, (1 + as_good) / (1 + _PERMUTATIONS))


def _turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation [width, width] that brings ``a``'s embeddings closest to ``b``'s (orthogonal Procrustes)."""
    from scipy.linalg import orthogonal_procrustes

    turn: np.ndarray = orthogonal_procrustes(a, b)[0]
    return turn


def _stored(a: Units, b: Units, own: np.ndarray) -> np.ndarray:
    """Cosine of each unit with the one at its place, [units]: the mean over what carries its sign."""
    parts = [(_unit(x[own]) * _unit(y[own])).sum(1) for x, y in zip(a.signed, b.signed, strict=False)]
    mean: np.ndarray = np.mean(parts, axis=0)
    return mean


def _matched(a: Units, b: Units, own: np.ndarray, turn: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Cosine of each unit with the one that it matches, and how close the match is, both [units].

    The match must not see a sign: it is made by the guide, or by products in which signs cancel. Several units may
    match one.
    """
    assert turn is not None
    carried = [(_unit(x[own] @ turn), _unit(y)) for x, y in zip(a.signed, b.signed, strict=False)]
    if a.guide is not None and b.guide is not None:
        score = _unit(a.guide[own] @ turn) @ _unit(b.guide).T
    elif len(carried) > 1:
        score = (carried[0][0] @ carried[0][1].T) * (carried[1][0] @ carried[1][1].T)
        score = np.sqrt(np.maximum(score, 0))
    else:
        score = np.abs(carried[0][0] @ carried[0][1].T)
    best = score.argmax(1)
    cosines: np.ndarray = np.mean([(x * y[best]).sum(1) for x, y in carried], axis=0)
    return cosines, score[np.arange(len(best)), best]


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length one; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: np.ndarray = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return scaled


def _signed_rank(units: str, found: str, cosines: np.ndarray) -> SignTest:
    """Wilcoxon's test that the signs lean to agreement; zeros (units pruned away) say nothing and are left out."""
    from scipy.stats import wilcoxon

    told = cosines[cosines != 0].astype(np.float64)
    if not len(told):
        return SignTest(units, found, 0, float("nan"), 1.0)
    method = "exact" if len(told) <= _EXACT_UP_TO else "approx"
    p_value = float(wilcoxon(told, alternative="greater", method=method).pvalue)
    possible = max(0.5 ** len(told), _SMALLEST)  # no order of signs is rarer; the far tail of either method is
    return SignTest(units, found, len(told), float((told > 0).mean()), min(1.0, max(p_value, possible)))


def _differences(a: Weights, b: Weights) -> str:
    """In words what is not of the same architecture; empty where all is."""
    one, other = architecture(a), architecture(b)
    types = str(a.config.get("model_type", "")), str(b.config.get("model_type", ""))
    said = [f"{types[0]} against {types[1]}"] if all(types) and types[0] != types[1] else []
    shapes = [f"{n} {list(one[n])} against {list(other[n])}" for n in one if n in other and one[n] != other[n]]
    alone = [f"{n} only in one" for n in sorted(one.keys() ^ other.keys())]
    said += _some(shapes) + _some(alone)
    return "; ".join(said)


def _some(things: Sequence[str]) -> list[str]:
    more = len(things) - _SHOWN
    return [*things[:_SHOWN], *([f"{more} more"] if more > 0 else [])]


def _judged(found: _Found, unlike: str) -> Kinship:
    tests = tuple(found.tests)
    p_value = min(1.0, len(tests) * min(test.p_value for test in tests)) if tests else None
    kin, says = _verdict(tests, p_value, found.likeness, unlike)
    return Kinship(
        kin=kin,
        p_value=p_value,
        method=METHOD if tests else NO_METHOD,
        same_architecture=not unlike,
        says=says,
        tests=tests,
        likeness=found.likeness,
        tensors=tuple(dict.fromkeys(found.tensors)),
    )


def _verdict(
    tests: Sequence[SignTest], p_value: float | None, likeness: float | None, unlike: str
) -> tuple[bool | None, str]:
    differ = f"the architectures differ ({unlike})" if unlike else ""
    if p_value is None:
        return None, f"{differ or 'no units are known in this architecture'}; nothing in their weights can be compared"
    if p_value < KIN_BELOW:
        among = f" in what they have in common, though {differ}" if differ else ""
        return True, (
            f"kin{among}: signs of hidden units agree ({_agreement(tests)}); chance of that between models trained "
            f"from random weights of their own: p = {p_value:.2g}"
        )
    if differ:
        return None, f"{differ}; what they have in common shows no kinship (p = {p_value:.2g}), which says little"
    if likeness is not None and likeness > _SUSPICIOUS:
        return None, (
            f"cannot tell: signs do not agree (p = {p_value:.2g}), but matched units are nearly parallel (median "
            f"cosine {likeness:.2f}), as in a copy whose signs were turned on purpose"
        )
    if not _can_tell(tests):
        return None, f"cannot tell: too few units ({sum(t.n for t in tests)}) for any agreement to be beyond chance"
    return False, (
        f"not kin: signs of hidden units agree no more than those of models trained from random weights of their own "
        f"(p = {p_value:.2g}; kin have p below {KIN_BELOW})"
    )


def _agreement(tests: Sequence[SignTest]) -> str:
    """What agrees, by kind of units, each found in the way that shows most."""
    best = {t.units: t for t in sorted(tests, key=lambda t: -t.p_value) if t.p_value * len(tests) < KIN_BELOW}
    return ", ".join(f"{test.agree:.0%} of {test.n} {units}" for units, test in best.items())


def _can_tell(tests: Sequence[SignTest]) -> bool:
    """Whether full agreement would have been beyond chance in any test."""
    return any(0.5**test.n * len(tests) < KIN_BELOW for test in tests)
