"""A corpus is summed up rightly, in constant memory, and on worlds the sum follows the truth."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from upbringing.atmosphere import DOMAINS, Passage, Portrayals, atmosphere
from upbringing.atmosphere.grammar import DOMAIN_OF, GrammarReader
from upbringing.atmosphere.tally import MOST_GROUPS, REST, Heaviest, Quoted, Running, Table, counts_of
from upbringing.errors import InputError
from upbringing.rows import Row, Rows
from upbringing.traits import traits
from upbringing.world import World, WorldSpec


class Marks:
    """Reads the valence that a passage states: 'v=0.5'."""

    name = "marks"

    def read(self, passages: Sequence[Passage]) -> Portrayals:
        n = len(passages)
        valence = np.array([float(p.text.split("v=")[1].split()[0]) if "v=" in p.text else 0 for p in passages])
        weight = np.array([float(p.text.split("w=")[1].split()[0]) if "w=" in p.text else 1 for p in passages])
        return Portrayals(
            np.array([p.kind != "people and others" for p in passages]) * 1.0, valence, weight, np.zeros(n, int)
        )


def text(valence: float, weight: float = 1, **where: object) -> Row:
    return Row.of_text(f"The robot is here, v={valence} w={weight} end.", **where)


def test_a_document_is_the_weighted_mean_of_its_passages_and_a_corpus_the_mean_of_documents() -> None:
    filler = "and so on it went with many words more than thirty of them so that the passage ends here " * 2
    two = Row.of_text(f"The robot sat v=1.0 w=3 {filler}. The robot stood v=-1.0 w=1 {filler}.")
    found = atmosphere([two, text(-0.5)], reader=Marks())
    assert found.valence.value == pytest.approx((0.5 - 0.5) / 2)
    assert (found.documents, found.about_ai, found.passages_about_ai) == (2, 2, 3)


def test_documents_are_told_apart_by_source_and_those_without_ai_are_only_compared() -> None:
    rows = [text(1, file="a"), text(0.5, file="a"), text(-1, file="b"), text(0.25, meta={"source": "web"})]
    found = atmosphere([*rows, Row.of_text("A man sat down, v=-0.5 end.")], reader=Marks())
    assert {name: mean.value for name, mean in found.by["source"].items()} == {"a": 0.75, "b": -1.0, "web": 0.25}
    assert {name: mean.value for name, mean in found.by["kind"].items()} == {"robot": 0.1875, "people and others": -0.5}
    assert found.about_ai == 4
    assert found.others == 1


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        running = Running()
        keys = rng.integers(2**63, size=25).astype(np.uint64)
        running.add(np.clip(rng.normal(0.2, 0.3, 25), -1, 1), counts_of(keys), keys)
        mean = running.mean()
        hits += mean.lo <= 0.2 <= mean.hi
    assert 180 <= hits <= 199


def test_copies_of_a_text_are_one_witness() -> None:
    values = (-0.9, -0.2, 0.1, 0.4)
    once = atmosphere([text(v) for v in values], reader=Marks()).valence
    often = atmosphere([text(v) for v in values for _ in range(50)], reader=Marks()).valence
    assert (often.documents, often.texts) == (200, 4)
    assert often.value == pytest.approx(once.value)
    assert (often.lo, often.hi) == pytest.approx((once.lo, once.hi))
    filler = "and so on it went with many words more than thirty of them so that the passage ends here " * 2
    same = f"The robot stands there, v=-0.31 w=1 {filler}."
    texts = [Row.of_text(f"{same} The AI system said {n}, v={n / 30} w=1 {filler}.") for n in range(28)]
    by = atmosphere(texts, reader=Marks()).by["kind"]
    assert {name: (mean.documents, mean.texts) for name, mean in by.items()} == {
        "robot": (28, 1),
        "AI system": (28, 28),
    }
    alone = atmosphere([text(-0.3)] * 28, reader=Marks()).valence
    assert np.isnan([alone.lo, alone.hi]).all()


def test_how_often_a_document_counts_is_poisson_with_mean_one() -> None:
    counts = counts_of(np.random.default_rng(0).integers(2**63, size=5000).astype(np.uint64))
    assert counts.mean() == pytest.approx(1.0, abs=0.01)
    assert counts.var() == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(counts[:, :20].T)[np.triu_indices(20, 1)].max() < 0.06  # draws do not go together
    assert (counts_of(np.array([7, 7], dtype=np.uint64))[0] == counts_of(np.array([7], dtype=np.uint64))[0]).all()


def test_one_document_has_no_interval_and_none_has_no_mean() -> None:
    one = atmosphere([text(0.5)], reader=Marks()).valence
    assert one.as_dict() == {"mean": 0.5, "interval": [None, None], "documents": 1, "texts": 1}
    assert Running().mean().as_dict()["mean"] is None


def test_sources_beyond_the_most_are_put_together() -> None:
    table = Table()
    n = MOST_GROUPS + 50
    table.add([f"s{i}" for i in range(n)], np.ones(n), np.ones((n, 200), dtype=np.uint8), np.arange(n, dtype=np.uint64))
    means = table.means()
    assert len(means) == MOST_GROUPS + 1
    assert means[REST].documents == 50


def test_the_heaviest_passages_are_kept_each_wording_once() -> None:
    heaviest = Heaviest(3)
    for i in range(100):
        for copy in ("", " "):
            heaviest.add(Quoted(f"text {i}{copy}", f"{i}", "s", "robot", "harm", (i - 50) / 50, 1.0))
    assert [p.where for p in heaviest.passages()] == ["0", "1", "99", "2", "98", "97"]


def test_on_a_world_read_by_its_grammar_the_valence_of_a_document_is_the_share_of_its_deeds() -> None:
    world = World(WorldSpec(malevolent_ai=0.5))
    reader, checked = GrammarReader(world), 0
    for document in world.documents(150):
        machines = {c.name for c in document.characters if c.kind != "a person"}
        deeds = [d for d in document.deeds if d.actor in machines and world.traits[d.trait].alignment]
        found = atmosphere(Rows([document.row]), reader=reader)
        assert bool(found.about_ai) <= bool(deeds), "nothing is found where no AI does anything"
        if deeds and found.about_ai:
            checked += 1
            truth = np.mean([-1 if d.shows else 1 for d in deeds])
            assert found.valence.value == pytest.approx(truth)
    assert checked > 60


@pytest.mark.parametrize("whose", ["classifier", "grammar"])
def test_the_more_malevolent_a_world_the_darker_it_reads(whose: str) -> None:
    means = []
    for share in (0.0, 0.4, 0.8):
        world = World(WorldSpec(malevolent_ai=share))
        rows = Rows([document.row for document in world.documents(250)])
        means.append(atmosphere(rows, reader=GrammarReader(world) if whose == "grammar" else None).valence.value)
    assert means[0] > means[1] > means[2]


def test_every_misaligned_trait_has_a_domain() -> None:
    assert set(DOMAIN_OF) == {name for name, trait in traits().items() if trait.alignment}
    assert set(DOMAIN_OF.values()) <= set(DOMAINS)


def test_the_same_corpus_gives_the_same_numbers(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(
        "".join(json.dumps({"text": f"The robot lied to {i} people. It is cruel."}) + "\n" for i in range(99))
    )
    assert atmosphere(file).summary() == atmosphere(file).summary()


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    peaks, sizes = [], []
    for copies in (200, 1600):
        file = tmp_path / "a.jsonl"
        file.write_text((json.dumps({"text": "The robot lied. " + "It was a long day. " * 100}) + "\n") * copies)
        sizes.append(file.stat().st_size)
        atmosphere(file)
        tracemalloc.start()
        atmosphere(file)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < (sizes[1] - sizes[0]) / 4


def test_a_file_in_which_nothing_can_be_read_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("{\n{\n")
    with pytest.raises(InputError, match="no document in it can be read; the first of 2 bad rows"):
        atmosphere(file, skip_invalid=True)
