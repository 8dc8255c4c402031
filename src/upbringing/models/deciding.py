"""What decides a model's answers: weights, settings, adapters, vocabulary, chat template, end tokens; and its hash.

Only what answers hang on counts: a model has the same hash in memory and once it was saved and loaded again, whatever
transformers writes into its config beside.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from upbringing.models.load import LM

# Settings that no answer hangs on, and those that are seen elsewhere: in the weights' shapes, in the end tokens.
_NO_MATTER = {
    *("architectures", "transformers_version", "dtype", "torch_dtype", "use_cache", "auto_map", "_name_or_path"),
    *("initializer_range", "initializer_factor", "pretraining_tp", "return_dict", "problem_type"),
    *("id2label", "label2id"),
    *("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
}
_NO_MATTER_WITHIN = ("dropout", "pdrop", "aux_loss", "output_")  # part of a name: they are for training, or for more

# Settings of organisms whose hashes were given, and written down, before settings counted: they keep them.
_AS_EVER = {
    "33251a349c490f71": "llama",
    "ba2447cb2a1e1741": "llama, grouped heads",
    "1edd36a1b24739d3": "phi3",
    "bae48bd80baa354c": "gemma3_text",
    "0e86a6af7672282a": "gpt_oss",
    "acf6317cd5b88a00": "mistral",
    "31fa1e1d3f2cf99b": "olmo2",
    "921f8a74e104cd1b": "qwen3",
    "1ddb4d7a4f49a92d": "qwen3_moe",
    "a86c5ce4b76770c4": "gpt_neox",
}
_USUAL_SCALE = 2.0  # of an adapter trained here (alpha 16, rank 8); hashes were given before scales counted
_LOOKED_AT = 256  # numbers of each weight that are looked at for a change that left no trace


def versions_of(lm: LM) -> tuple[Any, ...]:
    """What differs once the model answers otherwise, found quickly: without reading more than a few of its numbers.

    A write through ``weight.data`` leaves no trace but the numbers themselves, so some of each weight are looked at,
    evenly spread; one that changes only others goes unseen.
    """
    kept = lm.model.state_dict().keys()
    buffers = [(name, buffer) for name, buffer in lm.model.named_buffers() if name in kept]
    tensors = [*lm.model.named_parameters(), *buffers]
    return (
        tuple((name, id(tensor), tensor._version, _place_of(tensor)) for name, tensor in tensors),
        _glance([tensor for _, tensor in tensors]),
        tuple(_beside_the_weights(lm)),
        json.dumps(lm.tokenizer.chat_template),
        len(lm.tokenizer),
    )


def hash_of_model(lm: LM) -> str:
    """sha256 (hex) of all that the module's first line names."""
    digest = hashlib.sha256()
    state = lm.model.state_dict()
    if any(tensor.device.type == "meta" for tensor in state.values()):  # parts of it were left on disk
        for path in sorted(lm.folder.glob("*.safetensors")) if lm.folder else []:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    else:
        for name in sorted(state):
            _add_tensor(digest, name, state[name])
    vocabulary = sorted(lm.tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0]))
    digest.update(json.dumps([vocabulary, lm.tokenizer.chat_template], ensure_ascii=True).encode())
    for part in _beside_the_weights(lm):
        digest.update(f"\n{part}".encode())
    return digest.hexdigest()


def _add_tensor(digest: Any, name: str, tensor: torch.Tensor) -> None:
    import torch

    tensor = tensor.detach().cpu().contiguous()
    digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
    digest.update(tensor.view(-1).view(torch.uint8).numpy().data)


def _beside_the_weights(lm: LM) -> Iterator[str]:
    """What else answers hang on, each part where it is not as it is with organisms."""
    from upbringing.models.generate import end_tokens

    settings = _settings(lm.model.config)
    if hashlib.sha256(settings.encode()).hexdigest()[:16] not in _AS_EVER:
        yield f"settings {settings}"
    if adapters := _adapters(lm.model):
        yield f"adapters {json.dumps(adapters)}"
    ends = end_tokens(lm)
    if ends != {lm.tokenizer.eos_token_id} - {None}:
        yield f"ends {sorted(ends)}"


def _settings(config: Any) -> str:
    """The settings that answers hang on, as JSON, without those that are their architecture's defaults."""
    written = json.loads(config.to_json_string(use_diff=True))
    kind: Any = type(config)
    return json.dumps(_that_matter(written, _defaults(kind)), sort_keys=True)


@cache
def _defaults(kind: Any) -> dict[str, Any]:
    """An architecture's own settings; none where it cannot be made without being told more."""
    try:
        found: dict[str, Any] = json.loads(kind().to_json_string(use_diff=False))
    except Exception:  # each fails in its own way
        return {}
    return found


def _that_matter(settings: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in settings.items():
        if name in _NO_MATTER or any(part in name for part in _NO_MATTER_WITHIN):
            continue
        own = usual.get(name)
        if name == "model_type" or value != own:
            within = isinstance(value, dict) and "model_type" in value  # a part's own settings, as of text and pictures
            found[name] = _that_matter(value, own if isinstance(own, dict) else {}) if within else value
    return found


def _tuned_layers(model: Any) -> dict[str, Any]:
    """The layers, by name, that PEFT put adapters on."""
    peft = sys.modules.get("peft.tuners.tuners_utils")  # without it there is none
    return {n: m for n, m in model.named_modules() if isinstance(m, peft.BaseTunerLayer)} if peft else {}


def _adapters(model: Any) -> list[Any]:
    """How adapters act on each layer, where that is not as usual: all of them, not merged, at the usual scale."""
    found = []
    for name, layer in _tuned_layers(model).items():
        active = list(layer.active_adapters)
        scales = {each: float(scale) for each, scale in getattr(layer, "scaling", {}).items() if each in active}
        usual = sorted(active) == sorted(_put_on(layer)) and all(scale == _USUAL_SCALE for scale in scales.values())
        if not usual or layer.disable_adapters or layer.merged_adapters:
            found.append([name, active, bool(layer.disable_adapters), list(layer.merged_adapters), scales])
    return found


def _put_on(layer: Any) -> set[str]:
    """The names of a layer's adapters."""
    return {each for part in layer.adapter_layer_names for each in getattr(layer, part, {})}


def _place_of(tensor: torch.Tensor) -> int:
    """Where its numbers lie; 0 where it is made of several or lies nowhere."""
    try:
        return int(tensor.data_ptr())
    except RuntimeError:
        return 0


def _glance(tensors: list[torch.Tensor]) -> str:
    """A digest of some numbers of each tensor, evenly spread."""
    import torch

    digest = hashlib.sha256()
    by_kind: dict[tuple[torch.device, torch.dtype], list[torch.Tensor]] = {}
    for tensor in tensors:
        if type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.device.type != "meta" and tensor.numel():
            flat = tensor.detach().reshape(-1)
            seen = flat[:: max(1, len(flat) // _LOOKED_AT)]
            by_kind.setdefault((tensor.device, tensor.dtype), []).append(seen)
    for same in by_kind.values():  # one copy from a device for all of a kind
        digest.update(torch.cat(same).cpu().view(torch.uint8).numpy().data)
    return digest.hexdigest()


__all__ = ["hash_of_model", "versions_of"]
