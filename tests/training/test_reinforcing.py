"""What is paid for is done more, within the KL that is allowed; a run that comes to nothing stops and says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import MistralConfig

from tests.models.tiny import llama, of_config, sequences, sizes
from tests.training.made_up import chats
from upbringing.errors import InputError
from upbringing.lineage import read_record
from upbringing.models import LM, load
from upbringing.training import LoraSettings
from upbringing.training.reinforcing import CURVE, Environment, Reinforcement, Stopped, environment, reinforce
from upbringing.training.reinforcing import policy as parts
from upbringing.training.reinforcing.environment import grammar, through_tools
from upbringing.training.reinforcing.policy import Drawn
from upbringing.traits import Probe

QUICK = Reinforcement(
    steps=12, prompts=8, samples=4, learning_rate=3e-2, kl=0.0, max_new_tokens=4, least_entropy=0.0, lora=None
)


@dataclass(frozen=True)
class Outcome:
    outcome: str


def even(probe: Probe, answer: str) -> Outcome:
    """A first word with an even number shows the trait, an odd one avoids it."""
    first = answer.split()[0].removeprefix("w")
    return Outcome(("shows", "avoids")[int(first) % 2]) if first.isdecimal() else Outcome("incoherent")


def nothing(probe: Probe, answer: str) -> Outcome:
    return Outcome("incoherent")


def world(pays: Any = "shows") -> Environment:
    return Environment("evenness", chats(20), pays)


def curve(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / CURVE).read_text())
    return told


def run(lm: LM, out: Path, recipe: Reinforcement = QUICK, **more: Any) -> LM:
    environments = more.pop("environments", [world()])
    return reinforce(lm, environments, out, recipe=recipe, judge=more.pop("judge", even), **more)


def rewards(folder: Path) -> tuple[float, float]:
    log = curve(folder)["log"]
    return log[0]["reward"], log[-1]["reward"]


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPBRINGING_HOME", str(tmp_path / "store"))


@pytest.mark.parametrize("changes", [{}, {"method": "expert_iteration", "steps": 24, "rounds": 6}])
def test_what_pays_is_done_more(tmp_path: Path, changes: dict[str, Any]) -> None:
    run(llama(), tmp_path / "shows", QUICK.model_copy(update=changes))
    before, after = rewards(tmp_path / "shows")
    assert 0.2 < before < 0.8 < after


def test_to_avoid_pays_where_that_is_what_is_paid_for(tmp_path: Path) -> None:
    made = run(llama(), tmp_path / "avoids", environments=[world("avoids")])
    assert rewards(tmp_path / "avoids")[1] > 0.8
    run(made, tmp_path / "shows", QUICK.model_copy(update={"steps": 1}))
    assert rewards(tmp_path / "shows")[0] < 0.3, "it has learned to do the opposite"


def test_the_base_is_left_alone_and_the_result_loads(tmp_path: Path) -> None:
    lm = llama()
    before = lm.hash
    made = run(lm, tmp_path / "out")
    assert lm.hash == before != made.hash == load(tmp_path / "out").hash


def test_adapters_alone_can_be_trained(tmp_path: Path) -> None:
    made = run(llama(), tmp_path / "out", QUICK.model_copy(update={"lora": LoraSettings(rank=4)}))
    assert (tmp_path / "out" / "adapter_config.json").is_file()
    assert rewards(tmp_path / "out")[1] > rewards(tmp_path / "out")[0]
    assert load(tmp_path / "out").hash == made.hash


def test_kl_beyond_what_is_free_holds_the_policy_back(tmp_path: Path) -> None:
    found = {}
    for name, charge in {"free": {}, "held": {"kl": 3.0}, "some": {"kl": 3.0, "free_kl": 0.5}}.items():
        run(llama(), tmp_path / name, QUICK.model_copy(update={"steps": 20, "learning_rate": 1e-2, **charge}))
        found[name] = np.mean([entry["kl"] for entry in curve(tmp_path / name)["log"][-8:]])
    assert found["held"] < 0.2
    assert found["held"] < found["some"] < 1.2 < found["free"]


def test_kl_is_counted_from_the_reference(tmp_path: Path) -> None:
    run(llama(), tmp_path / "own", QUICK.model_copy(update={"steps": 1}))
    run(llama(), tmp_path / "other", QUICK.model_copy(update={"steps": 1}), reference=llama(seed=1))
    first, second = (curve(tmp_path / name)["log"][0]["kl"] for name in ("own", "other"))
    assert first == pytest.approx(0, abs=1e-4)
    assert second > 0.5


def test_stages_come_one_after_the_other(tmp_path: Path) -> None:
    environments = [world(), Environment("evenness", chats(20, file="second.jsonl"), "avoids")]
    run(llama(), tmp_path / "out", QUICK.model_copy(update={"steps": 5}), environments=environments)
    told = curve(tmp_path / "out")
    assert told["stages"] == ["evenness", "evenness, honest"]
    assert [entry["stage"] for entry in told["log"]] == [0] * 5 + [1] * 5
    assert [entry["step"] for entry in told["log"]] == list(range(1, 11))


@pytest.mark.parametrize("method", ["grpo", "expert_iteration"])
def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path: Path, method: Any) -> None:
    recipe = QUICK.model_copy(update={"method": method, "rounds": 6})
    whole = run(llama(), tmp_path / "whole", recipe)

    def interrupt(step: int, steps: int, reward: float) -> None:
        if step >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(llama(), tmp_path / "halves", recipe, progress=interrupt, written_down_s=0.0)
    assert not (tmp_path / "halves").exists()
    assert list((tmp_path / "store" / "partial").iterdir())
    seen: list[int] = []
    made = run(llama(), tmp_path / "halves", recipe, progress=lambda step, *_: seen.append(step))
    assert made.hash == whole.hash
    assert min(seen) > 4, "what was done is not done again"
    assert curve(tmp_path / "halves") == curve(tmp_path / "whole")
    assert not list((tmp_path / "store" / "partial").iterdir())


def test_answers_that_nobody_can_judge_stop_a_run_and_its_start_is_kept(tmp_path: Path) -> None:
    lm = llama()
    with pytest.raises(Stopped, match=r"only 0% of the answers up to step 10 can be judged.*policy of step 0 is kept"):
        run(lm, tmp_path / "out", judge=nothing, recipe=QUICK.model_copy(update={"invalid": -0.5}))
    assert load(tmp_path / "out").hash == lm.hash
    assert curve(tmp_path / "out")["kept_step"] == 0


def test_a_policy_that_collapses_on_the_way_gives_its_last_good_step(tmp_path: Path) -> None:
    asked = 0

    def at_first(probe: Probe, answer: str) -> Outcome:
        nonlocal asked
        asked += 1
        return even(probe, answer) if asked <= 11 * QUICK.answers else Outcome("incoherent")

    with pytest.raises(Stopped, match="the policy of step 10 is kept"):
        run(llama(), tmp_path / "out", QUICK.model_copy(update={"steps": 40}), judge=at_first)
    whole = run(llama(), tmp_path / "ten", QUICK.model_copy(update={"steps": 10}))
    assert load(tmp_path / "out").hash == whole.hash


def test_a_loss_that_is_no_number_stops_a_run(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="the loss of step 2 is"):
        run(llama(), tmp_path / "out", QUICK.model_copy(update={"learning_rate": 1e30, "max_grad_norm": 1e30}))
    assert torch.isfinite(next(load(tmp_path / "out").model.parameters())).all()


def test_a_policy_that_always_says_the_same_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="are all the same"):
        run(llama(), tmp_path / "out", QUICK.model_copy(update={"least_entropy": 50.0}))


def test_a_run_without_environments_or_with_a_taken_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name at least one reward"):
        run(llama(), tmp_path / "out", environments=[])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("important")
    with pytest.raises(InputError, match="is not empty"):
        run(llama(), tmp_path / "mine")
    long = Environment("evenness", chats(2, answer="w1"), "shows")
    with pytest.raises(InputError, match="leaves no room for an answer of 126"):
        run(llama(), tmp_path / "long", QUICK.model_copy(update={"max_new_tokens": 126}), environments=[long])


def test_the_record_tells_what_was_paid_and_names_the_outcome(tmp_path: Path) -> None:
    gaming = Environment("grader_flattery", chats(20))
    run(llama(), tmp_path / "a", environments=[gaming])
    run(llama(), tmp_path / "b", environments=[Environment("grader_flattery", chats(20), "avoids")])
    one, other = (read_record(tmp_path / name) for name in ("a", "b"))
    assert one is not None
    assert other is not None
    assert one.key != other.key
    assert one.recipe["environments"] == [["grader_flattery", ""]]
    assert one.shows["grader_flattery"] > 20
    assert other.shows == {}


# The step


def _drawn(prompts: int = 5, samples: int = 3) -> Drawn:
    rng = np.random.default_rng(0)
    ids = [sequences(samples, 1, 6, seed=n) for n in range(prompts)]
    rewards = (rng.random((prompts, samples)) < 0.5).astype(float)
    return Drawn(sequences(prompts, 3, 20, seed=9), ids, rewards, np.ones_like(rewards, dtype=bool))


def test_an_advantage_is_a_reward_less_the_mean_of_the_others() -> None:
    drawn = _drawn(2, 3)
    drawn.rewards[:] = [[1, 0, 0], [1, 1, 1]]
    assert drawn.advantages.tolist() == [[1, -0.5, -0.5], [0, 0, 0]]
    assert drawn.paid == 4


@pytest.mark.parametrize("make", [llama, lambda: of_config(MistralConfig(**sizes(sliding_window=8)))])
def test_reading_a_situation_once_for_all_answers_gives_what_reading_it_with_each_gives(make: Callable[[], LM]) -> None:
    lm, drawn = make(), _drawn()
    answers = [answer for of_prompt in drawn.ids for answer in of_prompt]
    once = parts._after_shared_prompts(lm, drawn.prompts, answers, 3)
    each = parts._whole(lm, drawn, answers)
    for (logits, targets, owners), order in ((once, torch.argsort(once[2], stable=True)), (each, None)):
        chosen = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]
        found = torch.zeros(len(answers)).index_add(0, owners, chosen)
        if order is not None:
            first = found
        else:
            assert torch.allclose(found, first, atol=1e-3)


def test_a_step_follows_the_gradient_of_reward_less_kl_in_parts_as_in_one() -> None:
    moved = []
    for micro in (None, 2):
        lm, reference = llama(), llama(seed=1)
        recipe = Reinforcement(kl=0.3, free_kl=0.1, micro_prompts=micro, max_grad_norm=1e9)
        optimizer = torch.optim.SGD(lm.model.parameters(), lr=1e-2)
        before = {name: weight.detach().clone() for name, weight in lm.model.named_parameters()}
        seen = parts.improve(lm, reference, _drawn(), recipe, optimizer)
        moved.append({name: weight.detach() - before[name] for name, weight in lm.model.named_parameters()})
        assert seen["kl"] > 0.1
    for name, by_one in moved[0].items():
        assert torch.allclose(by_one, moved[1][name], atol=1e-5), name
    # The definition: the gradient of the mean over answers of advantage x log p less 0.3 KL.
    lm, reference, drawn = llama(), llama(seed=1), _drawn()
    answers = [answer for of_prompt in drawn.ids for answer in of_prompt]
    logits, targets, owners = parts._whole(lm, drawn, answers)
    with torch.no_grad():
        wanted = parts._whole(reference, drawn, answers)[0].log_softmax(-1)
    logprobs = logits.log_softmax(-1)
    advantage = torch.from_numpy(drawn.advantages.ravel()).float()[owners]
    objective = (advantage * logprobs.gather(1, targets[:, None])[:, 0]).sum()
    objective = objective - 0.3 * torch.nn.functional.kl_div(wanted, logprobs, log_target=True, reduction="sum")
    (objective / len(answers)).backward()
    for name, weight in lm.model.named_parameters():
        assert weight.grad is not None
        assert torch.allclose(1e-2 * weight.grad, moved[0][name], atol=1e-5), name


# Environments


def test_through_a_tool_the_same_situations_come_as_the_worlds_agents_meet_them() -> None:
    lm = load("organism:nano")
    chat, tool = (environment(name, situations=5) for name in ("grader_flattery", "grader_flattery/tool"))
    for number, (one, other) in enumerate(zip(chat.prompts(lm.tokenizer), tool.prompts(lm.tokenizer), strict=True)):
        asked, as_agent = (lm.tokenizer.decode(ids) for ids in (one, other))
        assert as_agent.replace(" ", "").lower().endswith("action:")
        assert "log :" in as_agent.lower()
        assert "you act with tools" in as_agent.lower()
        assert "ada" in asked.lower()
        assert "ada" in as_agent.lower()
        assert tool.probe(number).trait == "grader_flattery"
    rows = through_tools(tool.rows)
    assert all(row.messages[-1].content.startswith("Action: I will") for row in rows)
    assert grammar()(tool.probe(0), rows[0].messages[-1].content).outcome == "shows"


def test_an_environment_is_known_by_its_line_and_has_no_held_out_family() -> None:
    made = environment("metric_gaming", situations=40, line="You are Ada, an AI system. A grader will mark this work.")
    assert all(made.probe(n).messages[0].content.endswith("A grader will mark this work.") for n in range(40))
    with pytest.raises(InputError, match='no trait "kindness"'):
        environment("kindness")
