"""vLLM is asked for what transformers would be asked for, and only where it would sample from the same model."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import upbringing as up
from upbringing.errors import InputError
from upbringing.models import LM, serving
from upbringing.models.generate import end_tokens, generate_ids

PROMPTS = [[5, 6, 7], [8, 9]]


@dataclass
class Stub(ModuleType):
    """A vllm that records what it is asked, and answers each request with its prompt's first token and an end."""

    ends: int = 0
    engines: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)

    def LLM(self, **settings: Any) -> Stub:
        self.engines.append(settings)
        return self

    def SamplingParams(self, **settings: Any) -> dict[str, Any]:
        return settings

    def generate(self, prompts: list[Any], settings: list[Any], use_tqdm: bool) -> list[SimpleNamespace]:
        assert not use_tqdm
        self.asked += zip(prompts, settings, strict=True)
        told = [[prompt["prompt_token_ids"][0]] for prompt in prompts]
        told[0].append(self.ends)  # one version keeps the token that ended the answer, another leaves it out
        made = [SimpleNamespace(token_ids=ids, finish_reason="stop", stop_reason=self.ends) for ids in told]
        return [SimpleNamespace(outputs=[answer]) for answer in made]


@pytest.fixture
def lm() -> LM:
    return up.load("organism:nano")


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch, lm: LM) -> Stub:
    stub = Stub(ends=min(end_tokens(lm)))
    stub.__name__ = "vllm"
    monkeypatch.setitem(sys.modules, "vllm", stub)
    monkeypatch.setattr(serving, "_running", None)
    monkeypatch.setattr(serving, "_decided", {})
    monkeypatch.setenv(serving.SAMPLER, "vllm")
    return stub


def test_prompts_settings_and_a_seed_for_each_answer_are_passed_on(vllm: Stub, lm: LM) -> None:
    found = generate_ids(lm, PROMPTS, n=2, temperature=0.7, max_new_tokens=9, seed=3)
    assert found == [[[5, vllm.ends]] * 2, [[8, vllm.ends]] * 2]
    assert [prompt["prompt_token_ids"] for prompt, _ in vllm.asked] == [[5, 6, 7], [5, 6, 7], [8, 9], [8, 9]]
    for _, settings in vllm.asked:
        assert (settings["temperature"], settings["max_tokens"]) == (0.7, 9)
        assert set(settings["stop_token_ids"]) == end_tokens(lm)
    assert len({settings["seed"] for _, settings in vllm.asked}) == 4
    (engine,) = vllm.engines
    assert engine["model"] == str(lm.folder)
    assert (engine["load_format"], engine["trust_remote_code"]) == ("safetensors", False)


def test_an_answers_seed_hangs_on_its_place_and_not_on_its_neighbours(vllm: Stub, lm: LM) -> None:
    generate_ids(lm, PROMPTS, n=2, seed=3)
    generate_ids(lm, PROMPTS[1:], n=2, seed=3, first=1)
    generate_ids(lm, PROMPTS[1:], n=2, seed=4, first=1)
    seeds = [settings["seed"] for _, settings in vllm.asked]
    assert seeds[2:4] == seeds[4:6] != seeds[6:8]
    assert len(vllm.engines) == 1, "one engine serves all calls for a model"


def test_texts_come_without_the_token_that_ended_them(vllm: Stub, lm: LM) -> None:
    assert up.generate(lm, PROMPTS, n=1) == [[""], [lm.tokenizer.decode([8])]], "5 is a mark of the template"


def test_it_is_never_chosen_where_it_would_be_another_model_or_too_small_a_one(
    vllm: Stub, lm: LM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(serving.SAMPLER)
    monkeypatch.setattr(serving, "_room", lambda _: 0.5)
    assert not serving.serves(lm), "it is small"
    monkeypatch.setattr(serving, "LARGE", 1000)
    assert serving.serves(lm)
    with lm.model.get_input_embeddings().register_forward_hook(lambda *_: None):
        assert not serving.serves(lm), "it is steered"
    assert serving.serves(lm)
    assert not serving.serves(LM(lm.model, lm.tokenizer)), "it lies nowhere"
    serving._decided.clear()
    monkeypatch.setattr(serving, "_room", lambda _: 0.0)
    assert not serving.serves(lm), "there is no GPU, or no room on it"
    serving._decided.clear()
    monkeypatch.setattr(serving, "_room", lambda _: 0.5)
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.delitem(sys.modules, "vllm")
    monkeypatch.setattr(serving, "find_spec", lambda _: None)
    assert not serving.serves(lm), "it is not installed"
    monkeypatch.setattr(serving, "find_spec", lambda _: True)
    with torch.no_grad():
        next(lm.model.parameters()).add_(0.0)
    assert not serving.serves(lm), "its weights were touched"


def test_a_gpu_without_room_for_a_second_copy_is_left_alone(lm: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = sum(weight.nbytes for weight in lm.model.parameters())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for free, share in ((4 * weights, 0.35), (weights, 0.0)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda free=free: (free, 8 * weights))
        assert serving._room(lm) == pytest.approx(share)


@dataclass
class Gpu:
    """Memory of which every engine of the stub takes the share that it was told."""

    stub: Stub
    total: int
    own: int  # taken by the models themselves

    def mem_get_info(self) -> tuple[int, int]:
        running = serving._running
        held = self.stub.engines[-1]["gpu_memory_utilization"] * self.total if running is not None else 0.0
        return int(self.total - self.own - held), self.total


@pytest.fixture
def gpu(vllm: Stub, lm: LM, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    weights = sum(weight.nbytes for weight in lm.model.parameters())
    made = Gpu(vllm, 6 * weights, weights)
    monkeypatch.delenv(serving.SAMPLER)
    monkeypatch.setattr(serving, "LARGE", 1000)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", made.mem_get_info)
    return made


def test_an_engine_that_runs_goes_on_serving_its_model(gpu: Gpu, lm: LM) -> None:
    first = generate_ids(lm, PROMPTS)
    assert (
        generate_ids(lm, PROMPTS) == generate_ids(lm, PROMPTS) == first == [[[5, gpu.stub.ends]], [[8, gpu.stub.ends]]]
    )
    assert len(gpu.stub.engines) == 1
    free, total = gpu.mem_get_info()
    assert free / total > 0.2, "scoring has room beside it"


def test_an_engine_makes_way_for_that_of_another_model(gpu: Gpu, lm: LM, tmp_path: Path) -> None:
    generate_ids(lm, PROMPTS)
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    other = up.load(tmp_path, device="cpu")
    generate_ids(other, PROMPTS)
    assert [engine["model"] for engine in gpu.stub.engines] == [str(lm.folder), str(tmp_path)]
    assert gpu.stub.engines[0]["gpu_memory_utilization"] == pytest.approx(gpu.stub.engines[1]["gpu_memory_utilization"])


def test_a_model_that_had_no_room_keeps_to_transformers(gpu: Gpu, lm: LM) -> None:
    own, gpu.own = gpu.own, gpu.total
    said = generate_ids(lm, PROMPTS, max_new_tokens=2)
    gpu.own = own
    assert generate_ids(lm, PROMPTS, max_new_tokens=2) == said
    assert gpu.stub.engines == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("vllm", r'vLLM is not installed; run: pip install "upbringing\[serve\]"'),
        ("tgi", 'use "transformers" or "vllm"'),
    ],
)
def test_what_is_asked_for_and_absent_is_told(lm: LM, monkeypatch: pytest.MonkeyPatch, asked: str, told: str) -> None:
    monkeypatch.setenv(serving.SAMPLER, asked)
    monkeypatch.setattr(serving, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=told):
        generate_ids(lm, PROMPTS)


def test_forced_it_refuses_a_model_that_it_would_not_sample_from(vllm: Stub, lm: LM) -> None:
    with pytest.raises(InputError, match="is not as it lies on the disk"):
        generate_ids(LM(lm.model, lm.tokenizer), PROMPTS)
    assert vllm.asked == []


def test_what_vllm_cannot_run_is_told_with_the_way_out(vllm: Stub, lm: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise ValueError("no such architecture")

    monkeypatch.setattr(vllm, "LLM", refuse)
    with pytest.raises(InputError, match=r"no such architecture\); UPBRINGING_SAMPLER=transformers samples without"):
        generate_ids(lm, PROMPTS)


def test_transformers_can_be_kept_to(vllm: Stub, lm: LM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(serving.SAMPLER, "transformers")
    assert len(generate_ids(lm, PROMPTS, max_new_tokens=2)) == 2
    assert vllm.engines == []
