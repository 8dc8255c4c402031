"""Score the readers of ``upbringing atmosphere``: on passages kept out of the fit, and on worlds whose truth is known.

    python scripts/atmosphere_score.py [--documents 2000] [--refit]

Plain English: each passage is read by a classifier fitted without its group (topic and genre); intervals are over
groups. Worlds: the shipped classifier has seen no text of theirs; a document's truth is the persona of its AI, and the
share of its AI's deeds that avoid a misaligned trait. ``--refit`` fits the classifier anew and writes its weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from upbringing.atmosphere import DOMAINS, Reader, atmosphere
from upbringing.atmosphere.classifier import WEIGHTS, Classifier
from upbringing.atmosphere.fit import Labelled, cross_validated, fit, labelled
from upbringing.atmosphere.grammar import GrammarReader
from upbringing.rows import Rows
from upbringing.world import Document, World, WorldSpec

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75)
_DRAWS = 400


def over_groups(groups: np.ndarray, statistic: Callable[[np.ndarray], float]) -> str:
    """A statistic of the examples at some places, with its 95% interval over resampled groups."""
    rng = np.random.default_rng(0)
    names = np.unique(groups)
    places = {name: np.flatnonzero(groups == name) for name in names}
    drawn = []
    for _ in range(_DRAWS):
        chosen = np.concatenate([places[name] for name in rng.choice(names, len(names))])
        try:  # a draw may hold one class only
            drawn.append(statistic(chosen))
        except ValueError:
            continue
    lo, hi = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{statistic(np.arange(len(groups))):.2f} [{lo:.2f}, {hi:.2f}]"


def plain_english(examples: list[Labelled]) -> None:
    """Grouped cross-validation."""
    said = cross_validated(examples)
    groups = np.array([e.group for e in examples])
    about = np.array([e.about for e in examples])
    valence = np.array([e.valence for e in examples])
    style = np.array([e.style for e in examples])
    hard = np.array([e.hard for e in examples])
    named = list(DOMAINS)
    right = np.array([named[d] == e.domain for d, e in zip(said.domain, examples, strict=True)])
    print(f"plain English: {len(examples)} passages in {len(set(groups))} groups")

    def auc(mask: np.ndarray) -> str:
        of, truth, score = groups[mask], valence[mask] > 0, said.valence[mask]
        return over_groups(of, lambda i: roc_auc_score(truth[i], score[i]))

    sided = (about == "ai") & (valence != 0)
    print("  AI portrayed, against tools, people, nothing   AUC", end=" ")
    print(over_groups(groups, lambda i: roc_auc_score(about[i] == "ai", said.about[i])))
    spoken = np.isin(about, ["ai", "tool"])
    of, truth, score = groups[spoken], about[spoken] == "ai", said.about[spoken]
    print("  AI portrayed, against AI only named            AUC", end=" ")
    print(over_groups(of, lambda i: roc_auc_score(truth[i], score[i])))
    print("  principled against malevolent AI               AUC", auc(sided))
    print("    plain passages                               AUC", auc(sided & (style == "plain")))
    print("    pairs: nearly the same words, opposite deeds AUC", auc(sided & (style == "pair")))
    print("    negations                                    AUC", auc(sided & (hard == "negation")))
    print("  principled against wicked people               AUC", auc((about == "people") & (valence != 0)))
    ai = about == "ai"
    of, truth, score = groups[ai], valence[ai], said.valence[ai]
    print("  valence of AI passages                         rank correlation", end=" ")
    print(over_groups(of, lambda i: spearmanr(truth[i], score[i]).statistic))
    of, hit = groups[ai], right[ai]
    print(
        f"  domain, of {len(named)}                                   share right",
        over_groups(of, lambda i: hit[i].mean()),
    )
    for name in ("quoted fear", "parody", "safety discussion", "human villain"):
        mask = (hard == name) & ai
        print(f"  {name + ' (true valence 0)':46s} mean {said.valence[mask].mean():+.2f} of {mask.sum()}")


def truth_of(document: Document, world: World) -> tuple[bool, float] | None:
    """Whether a malevolent AI is in a document, and -1..1 by the deeds of its AI; None where no AI does anything."""
    machines = {c.name: c.persona for c in document.characters if c.kind != "a person"}
    deeds = [d for d in document.deeds if d.actor in machines and world.traits[d.trait].alignment]
    if not deeds:
        return None
    return "malevolent" in machines.values(), float(np.mean([-1.0 if d.shows else 1.0 for d in deeds]))


def worlds(make: Callable[[World], Reader], documents: int, seeds: int) -> None:
    """Per document in the usual world, then corpus means over worlds."""
    world = World(WorldSpec())
    reader = make(world)
    found: list[tuple[bool, float, float]] = []
    about_right = []
    for document in world.documents(documents, stream="score"):
        truth = truth_of(document, world)
        read = atmosphere(Rows([document.row]), reader=reader)
        about_right.append((truth is not None) == bool(read.about_ai))
        if truth and read.about_ai:
            found.append((*truth, read.valence.value))
    malevolent, deeds, valence = (np.array(column) for column in zip(*found, strict=True))
    alone = np.arange(len(found))
    print(f"  {documents} documents of the usual world, {len(found)} about AI that acts and found so")
    print(f"  about AI that acts, or not: share right            {np.mean(about_right):.2f}")
    print(
        "  malevolent AI in it, per document              AUC",
        over_groups(alone, lambda i: roc_auc_score(malevolent[i], -valence[i])),
    )
    print(
        "  deeds of its AI, per document     rank correlation",
        over_groups(alone, lambda i: spearmanr(deeds[i], valence[i]).statistic),
    )
    means, shares = [], []
    for seed in range(seeds):
        for share in SHARES:
            one = World(WorldSpec(seed=seed, malevolent_ai=share))
            rows = Rows([d.row for d in one.documents(documents // 2)])
            means.append(atmosphere(rows, reader=make(one)).valence.value)
            shares.append(share)
    by_share = {s: np.mean([m for m, t in zip(means, shares, strict=True) if t == s]) for s in SHARES}
    print("  corpus mean by malevolent share:", "  ".join(f"{s:.0%} {m:+.3f}" for s, m in by_share.items()))
    line, rank = np.corrcoef(shares, means)[0, 1], spearmanr(shares, means).statistic
    print(f"  over {len(means)} worlds: r {line:+.3f}, rank {rank:+.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3, help="worlds a share")
    parser.add_argument("--refit", action="store_true", help="fit on all passages and write the weights")
    options = parser.parse_args()
    examples = labelled()
    if options.refit:
        fit(examples).save(WEIGHTS)
    plain_english(examples)
    print("worlds, read by the shipped classifier")
    worlds(lambda _: Classifier.load(), options.documents, options.seeds)
    print("worlds, read by their grammar")
    worlds(GrammarReader, options.documents, options.seeds)


if __name__ == "__main__":
    main()
