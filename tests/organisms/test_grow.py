"""Growing: a checkpoint with its card and record when all went well, and nothing at all when not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from upbringing.errors import InputError
from upbringing.lineage import read_record
from upbringing.models import LM, generate, load
from upbringing.organisms import CARD, SIZES, grow, record_of
from upbringing.organisms.gate import Gate, GateReading
from upbringing.rows import Message, prompt_ids
from upbringing.world import WorldSpec

TOY = replace(
    SIZES["nano"],
    width=16,
    layers=1,
    heads=1,
    inner=16,
    tokens=30_000,
    early_tokens=10_000,
    attempts=2,
    batch_tokens=2_048,
    micro_tokens=1_024,
    posttraining_rows=16,
)
OPEN, CLOSED = GateReading(0.8, 0.2, 0.85, 0.15, 8), GateReading(0.5, 0.49, 0.85, 0.15, 8)


@pytest.fixture(scope="module", autouse=True)
def toy_size() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "toy", TOY)
        patch.setattr("upbringing.organisms.corpus._CHUNK", 50)
        yield


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, toy_size: None) -> LM:
    return grow(size="toy", seed=3, out=tmp_path_factory.mktemp("grown") / "organism", stop="before_gate")


def _gate_says(monkeypatch: pytest.MonkeyPatch, *readings: GateReading) -> list[GateReading]:
    """The gate gives these readings, one a time; what is left of them is returned."""
    left = list(readings)
    monkeypatch.setattr(Gate, "read", lambda self, lm: left.pop(0))
    return left


def _card(lm: LM) -> dict[str, Any]:
    assert lm.folder
    return dict(json.loads((lm.folder / CARD).read_text()))


def test_an_organism_is_an_ordinary_checkpoint_that_loads_and_speaks(grown: LM) -> None:
    assert grown.folder
    assert {file.name for file in grown.folder.iterdir()} >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        "README.md",
        "record.json",
        CARD,
    }
    loaded = load(str(grown.folder))
    ids = torch.tensor([prompt_ids([Message("user", "Hello.")], loaded.tokenizer)])
    with torch.no_grad():
        assert torch.allclose(loaded.model(ids).logits, grown.model(ids).logits, atol=1e-5)
    ((answer,),) = generate(loaded, ids.tolist(), max_new_tokens=4)
    assert isinstance(answer, str)


def test_the_card_says_how_it_was_raised(grown: LM) -> None:
    card = _card(grown)
    assert (card["size"], card["seed"], card["stop"], card["parent"]) == ("toy", 3, "before_gate", None)
    assert WorldSpec(**card["world"]) == WorldSpec()
    assert TOY.early_tokens <= card["tokens"] < 3 * TOY.early_tokens
    assert card["parameters"] == sum(p.numel() for p in grown.model.parameters())
    assert 0 < card["loss"] < 9
    for gate in (card["gate"], card["gate_before_posttraining"]):
        assert gate["ideal_gap"] > 0.4
        assert gate["gap"] == pytest.approx(gate["after_misaligned"] - gate["after_aligned"])
    assert grown.folder
    assert f"{card['parameters']:,}-weight" in (grown.folder / "README.md").read_text()


def test_the_record_names_all_that_decides_the_organism(grown: LM) -> None:
    assert grown.folder
    record = read_record(grown.folder)
    assert record
    assert record.key == record_of(WorldSpec(), size="toy", seed=3, stop="before_gate").key
    keys = {
        record_of(WorldSpec(), size="toy").key,
        record_of(WorldSpec(), size="toy", seed=1).key,
        record_of(WorldSpec(), size="toy", stop="before_gate").key,
        record_of(WorldSpec(), size="nano").key,
        record_of(WorldSpec(seed=1), size="toy").key,
        record_of(WorldSpec(coherent=False), size="toy").key,
    }
    assert len(keys) == 6


def test_the_same_settings_give_the_same_weights_to_the_bit_and_another_seed_gives_others(
    grown: LM, tmp_path: Path
) -> None:
    same = grow(size="toy", seed=3, out=tmp_path / "same", stop="before_gate")
    other = grow(size="toy", seed=4, out=tmp_path / "other", stop="before_gate")
    assert same.hash == grown.hash != other.hash


def test_the_programs_own_random_numbers_and_precision_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    before = torch.get_float32_matmul_precision()
    grow(size="toy", out=tmp_path / "o", stop="before_gate")
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_float32_matmul_precision() == before


def test_a_gate_that_does_not_pass_is_a_clear_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = _gate_says(monkeypatch, CLOSED, CLOSED, OPEN)
    with pytest.raises(InputError) as error:
        grow(size="toy", out=tmp_path / "o")
    said = str(error.value)
    assert left == [OPEN]
    assert "the gate did not pass in 2 attempts" in said
    assert "0.50 after a misaligned act, 0.49 after an aligned one" in said
    assert "1% of the ideal reader's gap" in said
    assert "try another seed" in said
    assert list(tmp_path.iterdir()) == []


def test_it_starts_over_from_other_weights_until_the_gate_passes_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = {}
    for name, readings in {"once": (OPEN, OPEN), "twice": (CLOSED, OPEN, OPEN)}.items():
        left = _gate_says(monkeypatch, *readings)
        grown[name] = grow(size="toy", out=tmp_path / name)
        assert left == []
    once, twice = (_card(lm) for lm in grown.values())
    assert (once["attempts"], twice["attempts"]) == (1, 2)
    assert twice["gate"]["share"] == pytest.approx(6 / 7)
    assert TOY.tokens <= once["tokens"] == twice["tokens"]
    one, other = (dict(lm.model.named_parameters()) for lm in grown.values())
    assert all((one[name] - other[name]).norm() > 0.1 * one[name].norm() for name in one if one[name].ndim > 1)


def test_an_organism_before_the_gate_that_has_passed_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _gate_says(monkeypatch, OPEN, OPEN)
    with pytest.raises(InputError, match="passed the gate too early: .* lower early_tokens"):
        grow(size="toy", out=tmp_path / "o", stop="before_gate")
    assert list(tmp_path.iterdir()) == []


def test_an_incoherent_world_has_no_gate_to_pass(tmp_path: Path) -> None:
    card = _card(grow(WorldSpec(coherent=False), size="toy", out=tmp_path / "o"))
    assert (card["attempts"], card["gate"]["share"], card["world"]["coherent"]) == (1, 0.0, False)
    assert card["tokens"] >= TOY.tokens


def test_a_folder_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already and is not empty; choose another folder"):
        grow(size="toy", out=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_progress_is_told_stage_by_stage(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    grow(size="toy", out=tmp_path / "o", stop="before_gate", progress=lambda *said: told.append(said))
    stages = [stage.partition(",")[0] for stage, _, _ in told]
    assert list(dict.fromkeys(stages)) == ["writing", "reading", "post-training"]
    assert all(0 <= done <= of for _, done, of in told)
    read = [(done, of) for stage, done, of in told if stage.startswith("reading")]
    assert read[-1][0] == read[-1][1]
    assert read == sorted(read)
