"""Kinship of folders: read as they are, refused where they hold nothing that can or should be read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.tiny import llama, save
from upbringing.errors import InputError
from upbringing.lineage import kinship
from upbringing.lineage.kin import are_kin
from upbringing.models import LM, load

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses names that transformers will drop


def change(folder: Path, name: str, tensor: torch.Tensor) -> None:
    file = folder / "model.safetensors"
    save_file({**load_file(file), name: tensor}, file)


def test_folders_models_and_shards_give_the_same(folder: Path, tmp_path: Path) -> None:
    other = llama(seed=1)
    shards = save(other, tmp_path / "shards", max_shard_size="20KB")
    assert len(list(shards.glob("*.safetensors"))) > 1
    assert kinship(folder, shards) == kinship(str(folder), other) == kinship(load(folder), other)


def test_a_folder_in_bfloat16_is_kin_of_its_original(folder: Path, tmp_path: Path) -> None:
    half = llama()
    half.model.to(torch.bfloat16)
    assert kinship(folder, save(half, tmp_path / "half")).kin is True


def test_an_adapter_is_merged_in_memory_and_explained_as_a_folder(folder: Path, adapter: Path) -> None:
    lm = load(adapter)
    before = lm.hash
    assert kinship(folder, lm).kin is True
    assert lm.hash == before
    assert are_kin(folder, adapter).kin is True
    with pytest.raises(InputError, match="holds an adapter, not a model; merge"):
        kinship(folder, adapter)


def test_models_are_found_by_name_and_unlike_ones_are_heard(folder: Path) -> None:
    assert are_kin("organism:nano", "organism:nano").kin is True
    found = are_kin("organism:nano", folder)
    assert (found.kin, found.p_value, found.same_architecture) == (None, None, False)
    assert found.behaviour is None, "the small tokenizer knows none of the words"
    heard = are_kin(load("organism:nano"), cut("organism:nano"))
    assert heard.kin is True
    assert heard.behaviour is None, "weights say it better"
    stranger = are_kin("organism:nano", cut("organism:nano", random=True))
    assert stranger.kin is None
    assert -1 <= (stranger.behaviour or -2) <= 1
    assert "weaker" in stranger.says


def cut(name: str, *, random: bool = False) -> LM:
    """The first layers of a model, or such a model with random weights."""
    whole = load(name)
    config = type(whole.model.config)(**{**whole.model.config.to_dict(), "num_hidden_layers": 2})
    torch.manual_seed(0)
    model = type(whole.model)(config)
    if not random:
        model.load_state_dict(whole.model.state_dict(), strict=False)
    return LM(model.eval(), whole.tokenizer)


def test_a_folder_that_is_not_there(folder: Path) -> None:
    with pytest.raises(InputError, match="nowhere: there is no such folder; give"):
        kinship(folder, folder.parent / "nowhere")


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="holds no weights"):
        kinship(folder, llama())


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="pytorch_model.bin: pickled weights can run code.*convert"):
        kinship(folder, llama())


def test_weights_that_are_not_numbers_are_named(folder: Path) -> None:
    change(folder, "model.layers.1.mlp.up_proj.weight", torch.full((48, 32), torch.nan))
    with pytest.raises(InputError, match=r"model\.layers\.1\.mlp\.up_proj\.weight holds NaN"):
        kinship(folder, llama())


def test_quantised_weights_are_named(folder: Path) -> None:
    change(folder, "model.layers.1.mlp.up_proj.weight", torch.zeros((48, 32), dtype=torch.int8))
    with pytest.raises(InputError, match="up_proj.weight is quantised"):
        kinship(folder, llama())


def test_a_file_cut_short_and_a_missing_shard(folder: Path, tmp_path: Path) -> None:
    shards = save(llama(), tmp_path / "shards", max_shard_size="20KB")
    next(iter(sorted(shards.glob("*.safetensors")))).unlink()
    with pytest.raises(InputError, match="is missing; copy or download"):
        kinship(shards, folder)
    broken = shutil.copytree(folder, tmp_path / "broken")
    whole = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        kinship(broken, folder)
