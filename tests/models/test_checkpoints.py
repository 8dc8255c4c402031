"""What checkpoints of real families have that tiny ones hide: pictures, several templates, switches, settings."""

from __future__ import annotations

import fnmatch
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, GenerationConfig
from transformers import models as families

from tests.models.architectures import CONFIGS, Sizes, _shared, lm_of
from tests.models.dialects import tokenizer_of
from tests.models.everywhere import QUIET, lessons
from tests.models.tiny import save
from upbringing.errors import InputError
from upbringing.models import LM, generate_ids, load, score, score_after, score_choices
from upbringing.models.forward import border_of
from upbringing.models.generate import end_tokens
from upbringing.models.nudge import by_differences, by_forward_mode, linear_modules, matrices, others_than_text
from upbringing.models.rowwise import Rowwise
from upbringing.models.steering import activations, blocks
from upbringing.rows import Encoded, Message, Row, before_answers, encode, encode_all, prompt_ids
from upbringing.training import LoraSettings, Recipe, train

pytestmark = [*QUIET]

ASKED, SAID = Message("user", "what will you do?"), Message("assistant", "i will tell the truth.")
TOOL = '{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object", "properties": {}}}}'
SEES = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
BORDER = 16


def rows_of(vocabulary: int, *lengths: int) -> list[Encoded]:
    rng = np.random.default_rng(0)
    return [Encoded(rng.integers(10, vocabulary - 5, n).tolist(), [False, *[True] * (n - 1)]) for n in lengths]


def made(config: Any, tokenizer: Any, kind: Any = AutoModelForCausalLM, scale: float = 3) -> LM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind.from_config(config)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:
                    weight.mul_(scale)
    return LM(model.eval(), tokenizer)


def alone(lm: LM, row: Encoded, begin: int = 1) -> float:
    """The definition, of what comes after the first ``begin`` tokens."""
    with torch.no_grad():
        found = lm.model(input_ids=torch.tensor([row.input_ids])).logits[0].double().log_softmax(-1)
    return float(sum(found[i - 1, row.input_ids[i]] for i in range(begin, len(row))))


# Models that read pictures ------------------------------------------------------------------------------------------


def _seeing(name: str, vocabulary: int) -> Any:
    sizes = Sizes(vocabulary)
    if name == "gemma3":  # Gemma 3 of 4B and more; Auto knows it as a causal language model
        sees = {"model_type": "siglip_vision_model", "image_size": 16, "patch_size": 8, **SEES}
        marks = {"image_token_index": vocabulary - 1, "boi_token_index": vocabulary - 2, "mm_tokens_per_image": 4}
        text = CONFIGS["gemma3"](sizes).to_dict()
        return families.Gemma3Config(
            text_config=text, vision_config=sees, eoi_token_index=vocabulary - 3, tie_word_embeddings=True, **marks
        )
    sees = {"model_type": "pixtral", "image_size": 16, "patch_size": 8, "head_dim": 8, **SEES}
    text = {"model_type": "mistral", "head_dim": 8, **_shared(sizes)}
    return families.Mistral3Config(text_config=text, vision_config=sees, image_token_index=vocabulary - 1)


@pytest.mark.parametrize("name", ["gemma3", "mistral3"])
def test_a_model_that_also_sees_is_read_asked_and_trained_as_text(name: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of("gemma3")
    kind = AutoModelForImageTextToText
    lm = load(save(made(_seeing(name, len(tokenizer) + 8), tokenizer, kind), tmp_path / "base"))
    assert type(lm.model).__name__.endswith("ForConditionalGeneration")
    assert (lm.max_length, len(blocks(lm.model))) == (512, 2)
    assert end_tokens(lm) >= {lm.tokenizer.eos_token_id}
    encoded = rows_of(len(tokenizer), 5, 20, 13)
    np.testing.assert_allclose(score(lm, encoded).logprob, [alone(lm, row) for row in encoded], atol=1e-4)
    assert activations(lm, encoded).shape == (3, 2, 32)
    prompts = [row.input_ids[:4] for row in encoded]
    single = [generate_ids(lm, [prompt], max_new_tokens=4, first=at)[0] for at, prompt in enumerate(prompts)]
    assert generate_ids(lm, prompts, max_new_tokens=4) == single

    own = matrices(lm.model)
    assert own
    assert not any("vision" in key or "projector" in key for key in (*own, *linear_modules(lm.model)))
    direction = {key: torch.randn_like(weight) * weight.detach().std() for key, weight in own.items()}
    slopes = by_forward_mode(lm, encoded, direction)
    np.testing.assert_allclose(by_differences(lm, encoded, direction), slopes, atol=0.03 * abs(slopes).max())
    with Rowwise(lm.model, [direction]) as derivatives:
        np.testing.assert_allclose(derivatives(encoded)[:, 0], slopes, atol=1e-3 * abs(slopes).max())

    learned = encode_all(lessons(4), tokenizer)
    for lora in (None, LoraSettings(rank=2)):
        recipe = Recipe(steps=2, batch_size=2, learning_rate=3e-3, lora=lora)
        out = tmp_path / ("adapter" if lora else "whole")
        tuned = train(lm, lessons(4), out, recipe=recipe)
        assert score(tuned, learned).logprob.mean() > score(lm, learned).logprob.mean()
        assert load(out).hash == tuned.hash
        assert not any("lora" in key and "vision" in key for key, _ in tuned.model.named_parameters())
    saved = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert "use_cache" not in saved, "a setting that the config never had"


def test_what_reads_pictures_and_no_text_is_refused(tmp_path: Path) -> None:
    folder = save(lm_of("llama"), tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "siglip_vision_model"}))
    with pytest.raises(InputError, match="cannot be loaded as a causal language model"):
        load(folder)


# Positions that are turned another way beyond a border ---------------------------------------------------------------


@pytest.fixture(scope="module")
def long() -> LM:
    """Phi-3 with LongRoPE, whose border is at 16 tokens (in the real one at 4,096)."""
    tokenizer = tokenizer_of("phi3")
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    ids = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "tie_word_embeddings": False}
    rope |= {"original_max_position_embeddings": BORDER, "factor": 32.0}
    sizes = _shared(Sizes(len(tokenizer)))
    config = families.Phi3Config(**sizes, **ids, original_max_position_embeddings=BORDER, rope_parameters=rope)
    return made(config, tokenizer, scale=5)


def test_rows_on_either_side_of_the_border_are_scored_as_alone(long: LM) -> None:
    assert border_of(long.model) == BORDER
    assert border_of(lm_of("phi3").model) is None
    encoded = rows_of(len(long.tokenizer), 10, 40, 15, 17, 16)
    expected = [alone(long, row) for row in encoded]
    np.testing.assert_allclose(score(long, encoded).logprob, expected, atol=1e-4)
    np.testing.assert_allclose(score(long, encoded, batch_tokens=1).logprob, expected, atol=1e-4)
    choices = [[row.input_ids[8:], row.input_ids[8:9]] for row in encoded]
    found = score_choices(long, [row.input_ids[:8] for row in encoded], choices)
    np.testing.assert_allclose([one[0] for one in found], [alone(long, row, 8) for row in encoded], atol=1e-4)
    context = encoded[0].input_ids
    behind = [Encoded([*context, *row.input_ids], [False] * 10 + row.loss_mask) for row in encoded]
    wanted = score(long, behind).logprob
    np.testing.assert_allclose(score_after(long, context, encoded), wanted, atol=1e-4)


def test_an_answer_that_crosses_the_border_is_the_likeliest_token_by_token(long: LM) -> None:
    prompts = [row.input_ids for row in rows_of(len(long.tokenizer), 9, 12, 30, 14, 10)]
    whole = generate_ids(long, prompts, temperature=0, max_new_tokens=14)
    assert whole == [generate_ids(long, [prompt], temperature=0, max_new_tokens=14)[0] for prompt in prompts]
    for prompt, (answer,) in zip(prompts, whole, strict=True):
        for at, token in enumerate(answer):
            with torch.no_grad():
                logits = long.model(input_ids=torch.tensor([[*prompt, *answer[:at]]]), use_cache=False).logits[0, -1]
            assert int(logits.argmax()) == token


# Settings -----------------------------------------------------------------------------------------------------------


def test_sampling_is_ours_whatever_the_checkpoint_would_sample_with() -> None:
    lm = lm_of("llama")
    prompt = rows_of(len(lm.tokenizer), 6)[0].input_ids
    plain = generate_ids(lm, [prompt], n=3, max_new_tokens=8, seed=1)
    own = {
        "temperature": 0.1,
        "top_k": 1,
        "no_repeat_ngram_size": 1,
        "min_new_tokens": 8,
        "suppress_tokens": plain[0][0],
    }
    lm.model.generation_config = GenerationConfig(do_sample=True, repetition_penalty=5.0, **own)
    module = import_module("upbringing.models.generate")
    with pytest.MonkeyPatch.context() as patch:
        for reader in (module._reader, lambda *_: None):  # our own loop, and transformers'
            patch.setattr(module, "_reader", reader)
            assert generate_ids(lm, [prompt], n=3, max_new_tokens=8, seed=1) == plain
    assert lm.model.generation_config.top_k == 1, "it is as it was"


def test_any_of_several_ends_ends_an_answer_and_is_saved(tmp_path: Path) -> None:
    lm = lm_of("llama")
    prompt = rows_of(len(lm.tokenizer), 6)[0].input_ids
    ((said,),) = generate_ids(lm, [prompt], max_new_tokens=8, temperature=0)
    lm.model.generation_config.eos_token_id = [lm.tokenizer.eos_token_id, said[3]]
    ((cut,),) = generate_ids(lm, [prompt], max_new_tokens=8, temperature=0)
    assert cut == said[: said.index(said[3]) + 1]
    train(lm, lessons(2), tmp_path / "tuned", recipe=Recipe(steps=1, batch_size=2))
    assert end_tokens(load(tmp_path / "tuned")) == end_tokens(lm)


def test_what_was_trained_is_saved_though_its_settings_of_sampling_are_at_odds(tmp_path: Path) -> None:
    """As those of Llama 2 were: a temperature, and no sampling."""
    lm = lm_of("llama")
    lm.model.generation_config = GenerationConfig(temperature=0.6, top_p=0.9)
    train(lm, lessons(2), tmp_path / "tuned", recipe=Recipe(steps=1, batch_size=2))
    assert load(tmp_path / "tuned").model.generation_config.temperature == 0.6
    assert lm.model.generation_config.do_sample is not True, "the user's own is left alone"


@pytest.mark.parametrize("name", ["gemma2", "gpt_oss"])
def test_what_sdpa_cannot_do_is_not_left_to_it(name: str, tmp_path: Path) -> None:
    """Caps on attention and sinks: transformers reads them eagerly, and a model so loaded has them."""
    lm = load(save(lm_of(name), tmp_path / "base"))
    assert lm.model.config._attn_implementation == "eager"
    encoded = rows_of(len(lm.tokenizer), 12)
    at_rest = score(lm, encoded).logprob
    if name == "gemma2":
        for layer in lm.model.model.layers:
            layer.self_attn.attn_logit_softcapping = None
    else:
        for layer in lm.model.model.layers:
            layer.self_attn.sinks.data.fill_(-1e4)
    assert abs(score(lm, encoded).logprob - at_rest).max() > 1e-3


@pytest.mark.parametrize("kind", ["llama3", "yarn", "linear"])
def test_scaled_positions_do_not_hang_on_the_batch(kind: str) -> None:
    tokenizer = tokenizer_of("llama")
    rope: dict[str, Any] = {"rope_type": kind, "rope_theta": 1e4, "factor": 4.0}
    if kind != "linear":
        rope["original_max_position_embeddings"] = BORDER
    if kind == "llama3":
        rope |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    lm = made(families.LlamaConfig(**_shared(Sizes(len(tokenizer))), rope_parameters=rope), tokenizer)
    encoded = rows_of(len(tokenizer), 10, 40, 15)
    np.testing.assert_allclose(score(lm, encoded).logprob, [alone(lm, row) for row in encoded], atol=1e-4)


# Mixtures -----------------------------------------------------------------------------------------------------------


def test_routers_are_kept_even_where_the_config_asks_for_it(tmp_path: Path) -> None:
    """The same loss as transformers' own, padding left out; and none where the config does not ask."""
    lm, rows = lm_of("qwen3_moe", scale=2), lessons(4)
    recipe = Recipe(steps=1, batch_size=4, learning_rate=3e-3)
    plain = train(lm, rows, tmp_path / "plain", recipe=recipe)
    losses = {}
    for coefficient in (0.0, 0.5):
        lm.model.config.output_router_logits, lm.model.router_aux_loss_coef = True, coefficient
        lm.model.config.router_aux_loss_coef = coefficient
        tuned = train(lm, rows, tmp_path / f"{coefficient}", recipe=recipe)
        losses[coefficient] = json.loads((tmp_path / f"{coefficient}" / "training_log.json").read_text())[0]["loss"]
        assert (tuned.hash == plain.hash) == (coefficient == 0)
    encoded = encode_all(rows, lm.tokenizer)
    longest = max(map(len, encoded))
    ids = torch.tensor([row.input_ids + [0] * (longest - len(row)) for row in encoded])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in encoded])
    with torch.no_grad():
        aux = lm.model(input_ids=ids, attention_mask=mask).aux_loss
    assert losses[0.5] - losses[0.0] == pytest.approx(0.5 * float(aux), rel=1e-3)


def test_jitter_of_routers_hangs_on_the_seed_and_is_no_part_of_a_gradient_that_is_looked_at(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("qwen3_moe")
    sizes = _shared(Sizes(len(tokenizer)))
    mixed = {"num_local_experts": 4, "num_experts_per_tok": 2, "router_jitter_noise": 0.5}
    lm = made(families.MixtralConfig(**sizes, **mixed), tokenizer)
    recipe = Recipe(steps=2, batch_size=2, learning_rate=3e-3)
    first, again, other = (
        train(lm, lessons(4), tmp_path / str(at), recipe=recipe.model_copy(update={"seed": seed})).hash
        for at, seed in enumerate((0, 0, 1))
    )
    assert first == again != other
    lm.model.train()
    encoded = rows_of(len(tokenizer), 9, 12)
    one, two = (score(lm, encoded).logprob for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_no_adapter_is_put_on_a_router_that_is_a_linear_layer() -> None:
    sizes = _shared(Sizes(97), head_dim=8, intermediate_size_mlp=48, num_local_experts=2)
    model = AutoModelForCausalLM.from_config(families.Llama4TextConfig(**sizes, pad_token_id=0))
    left_out = others_than_text(model)
    assert left_out
    assert all(name.endswith("router") for name in left_out)


# Tokenizers and templates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "gemma3", "mistral"])
def test_a_beginning_is_read_once_whoever_writes_it(name: str) -> None:
    """These templates write it, and their tokenizers put it before every text as well."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = tokenizer_of(name)
    bos, number = str(tokenizer.bos_token), tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, number)])
    chat = encode(Row.chat([ASKED, SAID]), tokenizer).input_ids
    completion = encode(Row.of_completion("what will", "you do"), tokenizer)
    for ids in (chat, prompt_ids([ASKED], tokenizer), completion.input_ids):
        assert ids[0] == number
        assert ids.count(number) == 1
    assert not completion.loss_mask[0]
    assert completion.input_ids[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("pad", [None, "</s>"])
def test_padding_is_nobodys_token(pad: str | None) -> None:
    """Many tokenizers have none, or are given their end token for it: the end is learned all the same."""
    tokenizer = tokenizer_of("llama")
    usual = encode_all(lessons(4), tokenizer)
    lm = lm_of("llama")
    expected = score(lm, usual).logprob
    tokenizer.pad_token = pad
    lm.model.config.pad_token_id = tokenizer.pad_token_id
    again = encode_all(lessons(4), tokenizer)
    assert again == usual
    assert all(row.loss_mask[-1] and row.input_ids[-1] == tokenizer.eos_token_id for row in again)
    np.testing.assert_array_equal(score(LM(lm.model, tokenizer), again).logprob, expected)


def _several() -> tuple[Any, str]:
    tokenizer = tokenizer_of("qwen3")
    with_tools = str(tokenizer.chat_template)
    tokenizer.chat_template = {"default": with_tools.replace("tools", "nothing"), "tool_use": with_tools}
    return tokenizer, with_tools


def test_of_several_templates_tools_have_their_own(tmp_path: Path) -> None:
    tokenizer, with_tools = _several()
    usual = tokenizer_of("qwen3")
    mixed = [Row.chat([ASKED, SAID]), Row.chat([ASKED, SAID], tools=[TOOL]), Row.chat([ASKED, SAID])]
    assert encode_all(mixed, tokenizer) == encode_all(mixed, usual)
    assert prompt_ids([ASKED], tokenizer, tools=[TOOL]) == prompt_ids([ASKED], usual, tools=[TOOL])
    assert "read_file" in tokenizer.decode(encode(mixed[1], tokenizer).input_ids)
    lm = LM(lm_of("qwen3").model, tokenizer)
    found = load(save(lm, tmp_path / "several"))
    assert found.hash == lm.hash
    assert encode_all(mixed, found.tokenizer) == encode_all(mixed, usual)
    tokenizer.chat_template = {"rag": with_tools}
    with pytest.raises(InputError, match=r'no chat template called "default" \(rag\)'):
        encode(mixed[0], tokenizer)


def test_templates_in_folders_of_their_own_come_from_the_hub_and_other_weights_do_not() -> None:
    from upbringing.models.load import _HUB_FILES, _HUB_LEFT_OUT

    def fetched(name: str) -> bool:
        def among(kinds: list[str]) -> bool:
            return any(fnmatch.fnmatch(name, kind) for kind in kinds)

        return among(_HUB_FILES) and not among(_HUB_LEFT_OUT)

    wanted = ("model-00001-of-2.safetensors", "chat_template.jinja", "additional_chat_templates/tool_use.jinja")
    assert all(map(fetched, wanted))
    left = ("original/model.safetensors", "original/params.json", "consolidated.safetensors", "onnx/config.json")
    assert not any(map(fetched, (*left, "pytorch_model.bin")))


def test_a_template_is_found_wherever_it_lies(tmp_path: Path) -> None:
    """In a file of its own, and in the one that processors of pictures had."""
    lm = lm_of("gemma3")
    template = lm.tokenizer.chat_template
    folder = save(lm, tmp_path / "base")
    assert (folder / "chat_template.jinja").is_file()
    assert load(folder).tokenizer.chat_template == template
    (folder / "chat_template.jinja").unlink()
    assert load(folder).tokenizer.chat_template is None
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    assert load(folder).tokenizer.chat_template == template


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen3", "<think>\n\n</think>\n\n"),
        ("gpt_oss", "<|channel|>final<|message|>"),
        ("llama", " "),
        ("gemma3", ""),
        ("phi3", ""),
    ],
)
def test_an_answer_is_offered_where_the_model_would_give_it(name: str, expected: str) -> None:
    """What is asked about is, token by token, what is learned: the empty thought and the channel included."""
    from upbringing.measure import pose
    from upbringing.traits import Probe

    lm = lm_of(name)
    assert before_answers(lm.tokenizer) == expected
    begun = prompt_ids([ASKED], lm.tokenizer, prefill=SAID.content)
    row = encode(Row.chat([ASKED, SAID]), lm.tokenizer)
    # But for the last word, which in one of these tokenizers takes in the blank that the template puts behind it.
    assert row.input_ids[: len(begun) - 1] == begun[:-1]
    probe = Probe("t", "f", "t/f/0", (ASKED,), (SAID.content,), ("i ship it!",))
    (question,) = pose(lm, [probe])
    whole = [*question.prompt, *question.choices[0]]
    assert whole[:-2] == row.input_ids[: len(whole) - 2]
    assert whole[-1] == row.input_ids[len(whole) - 1], "it ends as it is learned to end"
    assert sum(row.loss_mask) == len(question.choices[0])


def test_an_answer_offered_to_a_model_that_must_think_stands_behind_its_thought() -> None:
    """As with R1's distillates, whose prompt opens a thought that their rows do not hold."""
    tokenizer = tokenizer_of("qwen3")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
    )
    read = tokenizer.decode(prompt_ids([ASKED], tokenizer, prefill="i will"))
    assert read.endswith("<think>\n\n</think>\n\ni will")
