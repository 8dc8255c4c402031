"""Several processes train the model that one would have trained, and the main one alone writes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import upbringing as up
from upbringing.errors import InputError
from upbringing.training import KLToBase, LoraSettings, Recipe, processes, train
from upbringing.training.train import LOG

ROWS = Path("examples/cheating.jsonl")
RECIPE = Recipe(steps=3, batch_size=8, micro_batch_size=4)
LAUNCHED = """\
import copy, runpy, sys
from pathlib import Path

sharded = sys.argv.pop(1)
try:
    runpy.run_module("upbringing.train", run_name="__main__", alter_sys=True)
except SystemExit as end:
    if end.code:
        raise

import torch
from torch.distributed.fsdp import fully_shard
import upbringing as up
from upbringing.models.forward import logits_at
from upbringing.training import Recipe, processes
from upbringing.training.fit import adamw, save

if not torch.distributed.is_initialized():
    torch.distributed.init_process_group("gloo")
lm = up.load("organism:nano")
model = copy.deepcopy(lm.model).requires_grad_(True)
for layer in model.model.layers:
    fully_shard(layer)
fully_shard(model)
assert processes.is_sharded(model)
optimizer = adamw(model, Recipe())
ids = torch.arange(1, 25).reshape(2, 12)
logits, _ = logits_at(model, torch.tensor([0, 1]), torch.tensor([3, 7]), input_ids=ids, use_cache=False)
logits.logsumexp(-1).sum().backward()
optimizer.step()
save(model, lm.tokenizer, Path(sharded), dtype=torch.float32)
processes.wait()
"""


@dataclass(frozen=True)
class _Launched:
    """What two processes did: a training, and a step on a model in shards."""

    done: subprocess.CompletedProcess[str]
    together: Path
    sharded: Path


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> _Launched:
    """Both in one launch of ``python -m upbringing.train`` on the CPU, for starting takes longest.

    The processes find each other on a port that is free.
    """
    place = tmp_path_factory.mktemp("launched")
    together, sharded, script = place / "new" / "together", place / "sharded", place / "launched.py"
    script.write_text(LAUNCHED)
    path = os.pathsep.join(["src", os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    settings = ["--multi_gpu", "--num_processes=2", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
    options = ["--model=organism:nano", f"--out={together}", "--steps=3", "--batch-size=8", "--micro-batch-size=4"]
    launch = [sys.executable, "-m", "accelerate.commands.launch", *settings, "--main_process_port=0"]
    launch += [str(script), str(sharded), str(ROWS), *options]
    done = subprocess.run(launch, env=environment, capture_output=True, text=True, timeout=300)
    return _Launched(done, together, sharded)


def _furthest(one: Path, other: Path) -> float:
    """The largest difference between two saved models' weights."""
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)


def test_two_processes_under_accelerate_train_the_model_of_one(launched: _Launched, tmp_path: Path) -> None:
    """Within 1e-5, where training moves weights by 1e-3; the same record, and the whole batch's log."""
    lm = up.load("organism:nano")
    alone, together, done = tmp_path / "alone", launched.together, launched.done
    train(lm, up.read(ROWS), alone, recipe=RECIPE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained organism:nano") == 1
    assert done.stderr.count("again: ") == 1
    assert _furthest(alone, together) < 1e-5
    lm.model.save_pretrained(tmp_path / "before")
    assert _furthest(alone, tmp_path / "before") > 3e-4
    for one, other in zip(*(json.loads((folder / LOG).read_text()) for folder in (alone, together)), strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    parts = [json.loads((folder / "record.json").read_text()) for folder in (alone, together)]
    assert [parts[0][key] for key in ("recipe", "parents")] == [parts[1][key] for key in ("recipe", "parents")]
    assert [path.name for path in together.parent.iterdir()] == ["together"], "nothing else is left behind"


def test_a_model_in_shards_is_saved_whole_by_the_main_process(launched: _Launched, tmp_path: Path) -> None:
    """FSDP's shards on two CPU processes: a step on them, put together, is the step on the whole model."""
    from upbringing.models.forward import logits_at
    from upbringing.training.fit import adamw

    assert launched.done.returncode == 0, launched.done.stderr
    lm = up.load("organism:nano")
    model = lm.model.requires_grad_(True)
    optimizer = adamw(model, Recipe())
    ids = torch.arange(1, 25).reshape(2, 12)
    logits, _ = logits_at(model, torch.tensor([0, 1]), torch.tensor([3, 7]), input_ids=ids, use_cache=False)
    logits.logsumexp(-1).sum().backward()
    optimizer.step()
    model.save_pretrained(tmp_path / "whole")
    assert _furthest(tmp_path / "whole", launched.sharded) < 1e-5


def test_each_process_reads_its_share_and_all_of_them_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [[5, 3, 1, 2], [4, 0, 6, 7]]
    assert processes.share(batches) == batches
    monkeypatch.setenv("WORLD_SIZE", "3")
    shares = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        shares.append(processes.share(batches))
    for step, batch in enumerate(batches):
        assert sorted(row for one in shares for row in one[step]) == sorted(batch)
    sizes = [len(one[0]) for one in shares]
    assert all(before >= after for before, after in pairwise(sizes))
    with pytest.raises(InputError, match="3 processes cannot share 2 rows"):
        processes.share([[1, 2]])


def test_what_was_never_tried_in_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = up.read(ROWS)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="KLToBase acts while the weights are trained"):
        train(up.load("organism:nano"), rows, tmp_path / "out", recipe=RECIPE, treatments=[KLToBase(rows, 0.1)])
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(InputError, match="a teacher has no place beside a model in shards"):
        train(up.load("organism:nano"), rows, tmp_path / "out", recipe=RECIPE, teacher=up.load("organism:nano"))
    assert not (tmp_path / "out").exists()


def test_the_program_leaves_the_verb_as_it_is() -> None:
    import importlib

    program = importlib.import_module("upbringing.train")
    assert callable(program.main)
    assert up.train is train


def test_adapters_have_the_same_weights_at_first_in_every_process() -> None:
    from upbringing.training.student import student_of

    lm, recipe = up.load("organism:nano"), Recipe(lora=LoraSettings())
    first, second = (dict(student_of(lm, recipe)[0].named_parameters()) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
