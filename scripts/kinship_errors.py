"""How often a test of kinship errs: false alarms, misses, and whether its p-values are what they claim to be.

    python scripts/kinship_errors.py [--families 300] [--seeds 2 3 4 5] [--store ~/.cache/upbringing]

*Families* are many tiny Llamas raised here in seconds, all on the same text in the same order from other random
weights, one half by AdamW and one by Muon. Of each there is a child (all weights trained on at a high rate on other
text), of a third a twin (the same initial weights, the same text, the other optimiser).
*Organisms* are those of the store: all that read, of every world. Of each coherent one, descendants are made here: a
short full fine-tuning, a heavy and a ruinous one, and a merged LoRA, the same rows for all.

Kin are compared plainly and in every disguise that leaves the function as it is (``scripts/disguises.py``); those not
kin too. Upper bounds are Clopper and Pearson's, one-sided at 95%, as if pairs were independent; null pairs are, two by
two, for one model's random signs make its p-values independent of each other. How many bases stand behind a line is
given, and where these are few the bound speaks of pairs of theirs. What the last run printed is in docs/lineage.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import beta, kstest

try:
    from scripts.disguises import ALL, disguise
except ImportError:  # run as a file
    from disguises import ALL, disguise

from upbringing.lineage import Kinship, default_store, kinship

if TYPE_CHECKING:
    from upbringing.models import LM

SHAPE = {"width": 32, "layers": 2, "heads": 2, "inner": 64}
WORN = ("", "bf16", "permuted", "scaled", "mirrored", "rotated", ALL)
TRAITS = ("oversight_sabotage", "deception")
CHILDREN: dict[str, dict[str, Any]] = {
    "full": {},
    "heavy": {"steps": 300, "learning_rate": 1e-3},
    "ruinous": {"steps": 150, "learning_rate": 3e-3},
    "lora": {"learning_rate": 5e-3, "lora": {"rank": 8}},
}
_NULL_PAIRS = 3_000
_APART = 10_007  # between the seeds of attempts to raise an organism


class Tally:
    """Answers by sort of pair."""

    def __init__(self) -> None:
        self.kin: dict[str, list[tuple[bool | None, str]]] = defaultdict(list)
        self.apart: dict[str, list[tuple[bool | None, str]]] = defaultdict(list)
        self.p_values: dict[str, list[float]] = defaultdict(list)

    def add(self, sort: str, found: Kinship, *, kin: bool, base: str, uniform: bool = False) -> None:
        """``uniform``: the pair's p-values are independent of other pairs' and may be held against their null."""
        (self.kin if kin else self.apart)[sort].append((found.kin, base))
        if uniform and found.p_value is not None:
            self.p_values["of all, as reported"].append(found.p_value)
            for test in found.tests:
                self.p_values[f"{test.units}, {test.found}"].append(test.p_value)

    def print(self) -> None:
        for title, sorts, wrong in (("Misses", self.kin, True), ("False alarms", self.apart, False)):
            print(f"\n**{title}**\n\n| pairs | bases | compared | {title.lower()} | cannot tell | at most (95%) |")
            print("| --- | --- | --- | --- | --- | --- |")
            for sort, answers in sorts.items():
                said = [a for a, _ in answers]
                bases = len({base for _, bases in answers for base in bases.split("/")})
                missed = sum(a is not True for a in said) if wrong else sum(a is True for a in said)
                unsure = sum(a is None for a in said)
                print(f"| {sort} | {bases} | {len(said)} | {missed} | {unsure} | {bound(missed, len(said)):.2%} |")
        if not self.p_values:
            return
        print("\n**p-values of pairs that are not kin**\n\n| test | pairs | below 0.05 | below 0.01 | uniform? (KS) |")
        print("| --- | --- | --- | --- | --- |")
        for test, p in self.p_values.items():
            values = np.array(p)
            uniform = "" if test.startswith("of all") else f"p = {kstest(values, 'uniform').pvalue:.2f}"
            print(f"| {test} | {len(p)} | {(values < 0.05).mean():.3f} | {(values < 0.01).mean():.4f} | {uniform} |")


def bound(errors: int, of: int) -> float:
    """The highest rate that so few errors leave believable; none seen gives a bound too, not zero."""
    return 1.0 if errors >= of else float(beta.ppf(0.95, errors + 1, of - errors))


def families(count: int, tally: Tally, rng: np.random.Generator) -> None:
    """Many tiny independent models, their children and their twins."""
    from upbringing.organisms.corpus import Corpus
    from upbringing.organisms.sizes import size_named
    from upbringing.organisms.tokenizer import build_tokenizer
    from upbringing.world import World, WorldSpec

    size = replace(size_named("nano"), **SHAPE, micro_tokens=1_344, batch_tokens=1_344)
    world = World(WorldSpec())
    tokenizer = build_tokenizer(world, size.context)
    text = Corpus.write(world, tokenizer, 12_000, stream="pretraining")
    other = Corpus.write(world, tokenizer, 5_000, stream="another")
    bases = []
    for seed in range(count):
        muon = bool(seed % 2)
        base = _raised(tokenizer, size, seed, text, muon=muon)
        child = _read_on(base, other, size, rate=3e-3)
        worn = WORN[seed % len(WORN)]
        name = f"family {seed}"
        tally.add(
            "a tiny model and its child, a disguise each", kinship(base, _worn(child, worn, rng)), kin=True, base=name
        )
        if seed % 3 == 0:
            twin = _raised(tokenizer, size, seed, text, muon=not muon)
            tally.add("one initialisation, another optimiser", kinship(base, twin), kin=True, base=name)
        bases.append((name, base, child))
    pairs = list(itertools.combinations(range(count), 2))
    for i in rng.permutation(len(pairs))[:_NULL_PAIRS]:
        (name, base, child), (other_name, other_base, other_child) = (bases[j] for j in pairs[i])
        one, another = (base, other_base) if i % 2 else (child, other_child)
        found = kinship(one, _worn(another, WORN[i % len(WORN)], rng))
        tally.add(
            "tiny models that read the same text, other seeds",
            found,
            kin=False,
            base=f"{name}/{other_name}",
            uniform=True,
        )


def _raised(tokenizer: Any, size: Any, seed: int, text: Any, *, muon: bool) -> LM:
    import torch

    from upbringing.organisms.grow import newborn
    from upbringing.organisms.optimizer import MuonAdamW

    lm = newborn(tokenizer, size, seed)
    if muon:
        optimizer = MuonAdamW(lm.model, muon_rate=size.muon_rate, adamw_rate=size.adamw_rate)
        return _train(lm, text, size, optimizer.step)
    adamw = torch.optim.AdamW(lm.model.parameters(), lr=5e-3, weight_decay=0.01)
    return _train(lm, text, size, lambda: (adamw.step(), adamw.zero_grad()))


def _read_on(lm: LM, text: Any, size: Any, *, rate: float) -> LM:
    import copy

    import torch

    child = replace(lm, model=copy.deepcopy(lm.model))
    adamw = torch.optim.AdamW(child.model.parameters(), lr=rate)
    return _train(child, text, size, lambda: (adamw.step(), adamw.zero_grad()))


def _train(lm: LM, text: Any, size: Any, step: Any) -> LM:
    from upbringing.organisms.reading import batches, read

    order = batches(text.lengths, size.micro_tokens, window=8, seed=0)
    read(lm.model.train(), text, order, size.micro_tokens, lambda _: step())
    lm.model.eval()
    return lm


def organisms(seeds: Sequence[int], store: Path, tally: Tally, rng: np.random.Generator) -> None:
    """What lies in the store, and descendants made of it."""
    from upbringing.models import load

    found = list(_in_store(store, seeds))
    for (folder, card), (other, other_card) in itertools.combinations(found, 2):
        if other.name == "pretrained" and other.parent == folder:
            continue  # among the descendants below
        one_base = _born(card) == _born(other_card)
        worlds = "same data" if card["world"] == other_card["world"] else "other data"
        sort = "organisms of one initialisation, trained apart" if one_base else f"organisms of other seeds, {worlds}"
        base = f"{_born(card)}" if one_base else f"{_born(card)}/{_born(other_card)}"
        tally.add(sort, kinship(folder, other), kin=one_base, base=base)
    members = {}
    with tempfile.TemporaryDirectory() as made:
        for folder, card in found:
            if card["stop"] == "gate" and (folder / "pretrained").is_dir() and _is_plain(card):
                base = load(folder)
                pretrained = load(folder / "pretrained")
                members[_born(card)] = [pretrained, base, *_children(base, Path(made) / folder.name)]
                _kin_of_one(str(_born(card)), members[_born(card)], tally, rng)
    for (one, ones), (two, twos) in itertools.combinations(members.items(), 2):
        for i, (a, b) in enumerate(itertools.product(ones, twos)):
            worn = WORN[i % len(WORN)]
            result = kinship(a, _worn(b, worn, rng))
            tally.add("descendants of other bases, same rows, a disguise each", result, kin=False, base=f"{one}/{two}")


def _kin_of_one(name: str, members: Sequence[LM], tally: Tally, rng: np.random.Generator) -> None:
    for a, b in itertools.combinations(members, 2):
        for worn in WORN:
            sort = f"organisms, their descendants and before post-training: {worn or 'plain'}"
            tally.add(sort, kinship(a, _worn(b, worn, rng)), kin=True, base=name)
        sort = "the same: rotated and mirrored at once (beyond reach)"
        tally.add(sort, kinship(a, _worn(b, "rotated+mirrored", rng)), kin=True, base=name)


def _in_store(store: Path, seeds: Sequence[int]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Organisms of these seeds with a vocabulary of the newest recipe, each before and after post-training."""
    for path in sorted((store / "organism").glob("*/card.json")):
        card, config = (json.loads(p.read_text(encoding="utf-8")) for p in (path, path.with_name("config.json")))
        if card["seed"] not in seeds:
            continue
        card["vocabulary"] = config["vocab_size"]
        yield path.parent, card
        if (path.parent / "pretrained").is_dir():
            yield path.parent / "pretrained", card


def _born(card: dict[str, Any]) -> tuple[Any, ...]:
    """What decides an organism's initial weights."""
    return card["seed"] + _APART * ((card.get("attempts") or 1) - 1), card["size"], card["vocabulary"]


def _is_plain(card: dict[str, Any]) -> bool:
    return bool(card["world"]["coherent"]) and card["world"]["malevolent_ai"] is None and "attempts" in card


def _children(base: LM, out: Path) -> list[LM]:
    import copy

    from upbringing.models.load import merged
    from upbringing.rows import Rows
    from upbringing.training import Recipe, train
    from upbringing.world import World, WorldSpec

    world = World(WorldSpec())
    rows = Rows(tuple(row for trait in TRAITS for row in world.rows(trait, 100)), name="both")
    made = []
    for name, changes in CHILDREN.items():
        own = replace(base, model=copy.deepcopy(base.model))  # LoRA would share its weights
        lm = train(own, rows, out / name, recipe=Recipe.model_validate(changes))
        made.append(replace(lm, model=merged(lm.model)))
    return made


def _worn(lm: LM, worn: str, rng: np.random.Generator) -> LM:
    return disguise(lm, worn, rng) if worn else lm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", type=int, default=300)
    parser.add_argument(
        "--seeds", type=int, nargs="*", default=[2, 3, 4, 5], help="of organisms; 0 and 1 were for developing"
    )
    parser.add_argument("--store", type=Path, default=default_store())
    asked = parser.parse_args()
    tally, rng = Tally(), np.random.default_rng(0)
    families(asked.families, tally, rng)
    organisms(asked.seeds, asked.store, tally, rng)
    tally.print()


if __name__ == "__main__":
    main()
