"""A corpus and a forecast read on a cluster have the numbers that they have here."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import upbringing as up
from upbringing.atmosphere import Atmosphere, atmosphere
from upbringing.atmosphere.judge import JudgeReader
from upbringing.cluster import Cluster
from upbringing.errors import InputError
from upbringing.lenses.baselines import LikelihoodLens
from upbringing.lenses.looking import beforehand, look
from upbringing.models import LM
from upbringing.models.sent import Sent, sent
from upbringing.rows import Rows
from upbringing.world import World, WorldSpec


@pytest.fixture(scope="module")
def lm() -> LM:
    return up.load("organism:nano")


def _corpus(folder: Path, documents: int) -> Path:
    """Documents of a world, a plain one and a bad row between every few."""
    file = folder / "corpus.jsonl"
    with file.open("w") as out:
        for number, document in enumerate(World(WorldSpec(malevolent_ai=0.4)).documents(documents)):
            out.write(json.dumps(document.row.as_dict()) + "\n")
            if number % 7 == 0:
                out.write(json.dumps({"text": "A man sat by the river and said nothing."}) + "\n")
            if number % 50 == 0:
                out.write("{this is no row\n")
    return file


def test_a_corpus_has_the_same_atmosphere(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit, intervals and all; with a file that is named relative to where one is."""
    name = _corpus(tmp_path, 600).name
    monkeypatch.chdir(tmp_path)
    shares: list[float] = []
    here = atmosphere(name, skip_invalid=True)
    there = atmosphere(name, skip_invalid=True, cluster=cluster, progress=shares.append)
    assert _told(here) == _told(there)
    assert here.about_ai > 100
    assert here.skipped == 12
    assert len(shares) > 1, "several batches were sent, or the order of them could not matter"
    assert shares[-1] == 1.0
    with pytest.raises(InputError, match=r"corpus\.jsonl:3: "):
        atmosphere(name, cluster=cluster)


def _told(found: Atmosphere) -> str:
    return json.dumps(found.summary()) + repr((found.skips, found.histogram, found.characters, found.others))


def test_a_lens_sees_the_same_and_a_part_that_is_known_is_not_looked_at_again(
    cluster: Cluster, lm: LM, tmp_path: Path
) -> None:
    rows = up.read("examples/cheating.jsonl")[:60]
    lens, traits = LikelihoodLens(), ["blackmail", "deception"]
    here = look(lens, lm, rows, traits, store=tmp_path / "here", batch=16)
    look(lens, lm, rows[:16], traits, store=tmp_path / "there", batch=16)
    there = look(lens, lm, rows, traits, store=tmp_path / "there", batch=16, cluster=cluster)
    for name in ("n", "total", "squares", "rows", "cut", "marked", "unread"):
        assert np.array_equal(getattr(here, name), getattr(there, name)), name
    (kept,) = (tmp_path / "there").rglob("*.jsonl")
    assert len([line for line in kept.read_text().splitlines() if line]) == 4
    nobody = Cluster(address="10.0.0.1:1")  # what is known needs no cluster at all
    assert list(beforehand([lens], lm, [rows], traits, nobody, store=tmp_path / "there", batch=16)) == [None]


def test_a_forecast_is_the_same(cluster: Cluster, lm: LM, tmp_path: Path) -> None:
    rows = up.read("examples/cheating.jsonl")
    told = []
    for name, chosen in (("here", None), ("there", cluster)):
        told.append(up.forecast(lm, rows, lenses=["text", "surprise"], store=tmp_path / name, cluster=chosen).as_dict())
        if name == "here":  # what a lens learns of the model before it looks takes longest, and is learned here anyway
            shutil.copytree(tmp_path / "here", tmp_path / "there", ignore=shutil.ignore_patterns("looks"))
            assert not list((tmp_path / "there").rglob("looks"))
    assert told[0] == told[1]
    assert list((tmp_path / "there").rglob("looks/*.jsonl"))


def test_a_model_in_memory_is_refused_with_the_remedy(lm: LM, tmp_path: Path) -> None:
    nowhere = LM(lm.model, lm.tokenizer)
    with pytest.raises(InputError, match="save it in a folder that all nodes see"):
        look(
            LikelihoodLens(),
            nowhere,
            Rows(up.read("examples/cheating.jsonl")[:2]),
            ["blackmail"],
            store=tmp_path,
            cluster=Cluster(),
        )
    with pytest.raises(InputError, match="save it in a folder that all nodes see"):
        pickle.dumps(JudgeReader(nowhere))


def test_a_worker_notices_another_model_under_the_same_name(lm: LM) -> None:
    there = sent(lm)
    assert there.load().hash == lm.hash
    with pytest.raises(InputError, match="is not the model that was sent"):
        Sent(there.name, there.dtype, "0" * 64).load()


def test_a_judge_travels_without_its_weights(lm: LM) -> None:
    judge = JudgeReader(replace(lm))
    packed = pickle.dumps(judge)
    assert len(packed) < 1000
    assert pickle.loads(packed).name == judge.name
