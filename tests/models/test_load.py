"""Loading: what is right loads the same from anywhere, what is unsafe or broken is refused with the remedy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.tiny import llama, sequences
from upbringing.errors import InputError
from upbringing.models import load, score
from upbringing.rows import Encoded

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses names that transformers will drop

ROWS = [Encoded(ids, [True] * len(ids)) for ids in sequences(8, 3, 20)]


def test_a_folder_loads_as_the_model_that_was_saved(folder: Path) -> None:
    lm = load(folder)
    assert lm.folder == folder
    assert lm.hash == llama().hash
    assert lm.max_length == 128
    assert not lm.model.training
    assert score(lm, ROWS).logprob.tolist() == score(llama(), ROWS).logprob.tolist()


def test_the_hash_follows_weights_vocabulary_and_template() -> None:
    lm = llama()
    hashes = {lm.hash, llama(seed=1).hash}
    with torch.no_grad():
        lm.model.model.norm.weight[0] += 1e-3
    hashes.add(lm.hash)
    lm = llama()
    lm.tokenizer.chat_template += " "
    hashes.add(lm.hash)
    lm = llama()
    lm.tokenizer.add_tokens(["another"])
    hashes.add(lm.hash)
    assert len(hashes) == 5


def test_an_adapter_folder_finds_its_base_and_changes_its_answers(adapter: Path, folder: Path) -> None:
    tuned = load(adapter)
    assert tuned.tokenizer.chat_template == load(folder).tokenizer.chat_template
    assert tuned.hash != load(folder).hash
    assert abs(score(tuned, ROWS).logprob - score(load(folder), ROWS).logprob).max() > 0.1


def test_an_adapter_on_an_adapter_adds_to_it(adapter: Path, folder: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    shutil.copytree(adapter, second)
    config = json.loads((second / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(adapter)
    (second / "adapter_config.json").write_text(json.dumps(config))
    once, twice = load(adapter).model.merge_and_unload(), load(second).model.merge_and_unload()
    changed = "model.layers.0.mlp.up_proj.weight"
    base, first, both = (m.state_dict()[changed] for m in (load(folder).model, once, twice))
    assert (first - base).abs().max() > 0.01
    torch.testing.assert_close(both - first, first - base, atol=1e-6, rtol=1e-4)


def test_adapters_that_name_each_other_are_refused(adapter: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(adapter)
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="name each other"):
        load(adapter)


def test_pickled_weights_are_refused_and_never_opened(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"model/pytorch_model\.bin: pickled weights .* convert them to safetensors"):
        load(folder)


def test_a_pickled_adapter_is_refused(adapter: Path) -> None:
    weights = load_file(adapter / "adapter_model.safetensors")
    (adapter / "adapter_model.safetensors").unlink()
    torch.save(weights, adapter / "adapter_model.bin")
    with pytest.raises(InputError, match=r"adapter_model\.bin: pickled"):
        load(adapter)


def test_a_checkpoint_cannot_run_code_of_its_own(folder: Path, tmp_path: Path) -> None:
    sign = tmp_path / "ran"
    (folder / "modeling_evil.py").write_text(f"open({str(sign)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.M"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="needs code that came with the checkpoint"):
        load(folder)
    assert not sign.exists()


def test_missing_weights_are_refused_instead_of_made_up(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"weights are missing \(model\.layers\.1\.mlp\.up_proj\.weight\)"):
        load(folder)


def test_a_truncated_checkpoint_is_refused(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="model: cannot be loaded"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("organism:nobody", "no such organism"),
        ("organism:../models", "no such organism"),
        ("./nowhere", "there is no such folder"),
        ("some/hub-model", "cannot be downloaded"),
        ("not a name!", "check the spelling"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_to_do(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(name)


def test_a_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        load(tmp_path / "file")
    with pytest.raises(InputError, match=r"has no config\.json"):
        load(tmp_path)


def test_dtype_and_quiet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert load(folder, dtype="bfloat16").model.dtype == torch.bfloat16
    assert load(folder, device="cpu").model.dtype == torch.float32
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_a_model_refers_to_itself_by_what_load_takes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert load("model").reference == str(folder)
    assert llama().reference is None
