"""Loading a model: a hub id, a folder (plain or PEFT adapter), an organism that ships with the package, and adapters
on any of them (``base+adapter+adapter``).

Two things are never done, whatever a checkpoint asks for: unpickling weights and running code that came with it.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError, first_line
from upbringing.models.adapters import ADAPTER, BETWEEN, base_of, merged, parts_of, put_on
from upbringing.models.deciding import hash_of_model, versions_of
from upbringing.models.placing import placed
from upbringing.models.quantised import settings_for

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

__all__ = ["ADAPTER", "BUNDLED_BASE", "LM", "ORGANISMS", "find", "load", "merged", "quiet_transformers"]

ORGANISMS = Path(__file__).parent.parent / "organisms"
BUNDLED_BASE = "base"  # a base saved beside its adapter (for a run's checkpoints: beside their folders)

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_HUB_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "*.safetensors", "*.tiktoken"]
# Of subfolders nothing but chat templates: the same weights in other formats lie there.
_HUB_LEFT_OUT = [*(f"*/{kind}" for kind in _HUB_FILES if kind != "*.jinja"), "consolidated*", "*.onnx*"]
_DEEPEST_ADAPTER = 8
_PROCESSORS_TEMPLATE = "chat_template.json"  # where models that read pictures had theirs for a while


@dataclass
class LM:
    """A language model with its tokenizer: any causal LM of transformers, with at most PEFT adapters on it.

    ``name`` is what ``load`` was called with and ``folder`` where its files lie; a model made in memory has neither,
    and one with adapters that ``load`` was told of lies in no single folder.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    name: str = ""
    folder: Path | None = None
    _hashed: tuple[Any, str] | None = field(default=None, repr=False, compare=False)
    _born: Any = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._born = versions_of(self) if self.folder is not None else None

    @property
    def device(self) -> torch.device:
        """Where token ids go (the embedding's device, when a model is spread over several)."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    @property
    def max_length(self) -> int:
        """The longest sequence the model was made for, in tokens; ``sys.maxsize`` when it states none."""
        config = self.model.config.get_text_config()
        length = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
        return int(length) if length else sys.maxsize

    @property
    def reference(self) -> str | None:
        """What ``load`` takes to find these weights again from anywhere on this machine; None for one in memory."""
        if self.folder is not None and not self.name:
            return str(self.folder.resolve())
        parts = parts_of(self.name)
        if self.folder is None and len(parts) == 1:
            return None
        return BETWEEN.join(str(Path(part).resolve()) if Path(part).exists() else part for part in parts)

    @property
    def hash(self) -> str:
        """sha256 (hex) of what decides the model's answers: weights, settings, adapters and whether they are on,
        vocabulary, chat template, end tokens.

        The same for a model in memory and after saving and loading it. Recomputed when any of it was changed.
        """
        versions = versions_of(self)
        if self._hashed is None or self._hashed[0] != versions:
            self._hashed = (versions, hash_of_model(self))
        return self._hashed[1]

    @property
    def unchanged(self) -> bool:
        """Whether ``folder`` holds this model: nothing that ``hash`` tells apart was changed since this was made."""
        return self.folder is not None and bool(self._born == versions_of(self))


def load(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    device_map: str | dict[str, Any] | None = None,
) -> LM:
    """Load ``organism:NAME`` (ships with the package), a folder (a model or a PEFT adapter), or a hub id; with
    ``base+adapter+adapter`` these adapters on that base, one after the other, whatever base they name.

    ``device``: where to put it ("auto" spreads it over all devices; None: what ``placing`` says, else a GPU if there is
    one, else the CPU). ``device_map``: how to spread it, as transformers takes it, in place of ``device``. ``dtype``:
    "float32", "bfloat16", "float16", or "auto", the checkpoint's (None: what ``placing`` says, else "auto"). An
    adapter's base is found through what its config names, relative to the adapter's folder or as anything ``load``
    takes. Adapters under the last one are merged.

    Raises ``InputError`` when there is no such model, when it holds pickled weights only, when it needs code of its
    own or a package that is absent, when weights are missing or broken, when an adapter was made for another base, for
    an unknown device or dtype, and when the hub cannot be reached.
    """
    if device is not None and device_map is not None:
        raise InputError(f"{name}: both device and device_map say where to put it; give one of them")
    place, numbers = placed(device, dtype)
    return _load(str(name), place if device_map is None else {"device_map": device_map}, numbers, depth=0)


def _load(name: str, place: dict[str, Any], dtype: Any, *, depth: int) -> LM:
    if depth > _DEEPEST_ADAPTER:
        raise InputError(f"{name}: its adapters name each other as their base; give one of them a real base model")
    first, *adapters = parts_of(name)
    if adapters:
        return _load_adapters(name, first, adapters, place, dtype, depth)
    folder = find(name)
    with quiet_transformers():
        if (folder / ADAPTER).is_file():
            model, tokenizer = _load_adapter(folder, place, dtype, depth)
        else:
            model, tokenizer = _load_plain(folder, place, dtype), _load_tokenizer(folder)
    model.eval()
    return LM(model, tokenizer, name=name, folder=folder)


def _load_adapters(name: str, first: str, adapters: list[str], place: dict[str, Any], dtype: Any, depth: int) -> LM:
    """A base with adapters on it; the last one's tokenizer, where it has its own."""
    base = _load(first, place, dtype, depth=depth + 1)
    model, tokenizer, below = base.model, base.tokenizer, first
    for adapter in adapters:
        folder = find(adapter)
        if not (folder / ADAPTER).is_file():
            raise InputError(f"{name}: {adapter} is no PEFT adapter (it has no {ADAPTER}); put the base first")
        _refuse_pickles(folder, "adapter_model*.safetensors")
        with quiet_transformers():
            model = put_on(model, folder, below)
            tokenizer = _load_tokenizer(folder) if (folder / "tokenizer_config.json").is_file() else tokenizer
        below = f"{below}{BETWEEN}{adapter}"
    model.eval()
    return LM(model, tokenizer, name=name)


def find(name: str) -> Path:
    """The folder that holds the files of what ``load`` takes, downloaded if it is on the hub.

    Raises ``InputError`` when there is no such model and when the hub cannot be reached.
    """
    if name.startswith("organism:"):
        short = name.removeprefix("organism:")
        shipped = sorted(path.parent.name for path in ORGANISMS.glob("*/config.json"))
        if short not in shipped:
            raise InputError(f"{name}: no such organism; the package ships: {', '.join(shipped) or 'none'}")
        return ORGANISMS / short
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise InputError(f"{name}: is a file; give the folder that holds the model")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"{name}: there is no such folder; give a model's folder, a hub id or organism:NAME")
    return _download(name)


def _download(name: str) -> Path:
    from huggingface_hub import constants, errors, snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_LEFT_OUT))
    except errors.GatedRepoError as error:
        raise InputError(
            f"{name}: access is restricted; ask for it on https://huggingface.co/{name} and run `hf auth login`"
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise InputError(
            f"{name}: neither a folder here nor a model on the hub; check the spelling, give a folder, or use "
            "organism:nano (a private model needs `hf auth login`)"
        ) from error
    except Exception as error:  # offline, proxies, time-outs: the hub client's own and its HTTP library's
        offline = constants.is_offline_mode() if hasattr(constants, "is_offline_mode") else constants.HF_HUB_OFFLINE
        how = "unset HF_HUB_OFFLINE and download it once" if offline else "connect to the network once"
        why = "it was not downloaded before, and HF_HUB_OFFLINE is set" if offline else first_line(error)
        raise InputError(
            f"{name}: not a folder here, and it cannot be downloaded from the hub ({why}); {how} "
            "(what was downloaded is found again offline), give the folder of a downloaded model, or use organism:nano"
        ) from error


def _load_plain(folder: Path, place: dict[str, Any], dtype: Any) -> Any:
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: has no config.json; give a folder in the Hugging Face format")
    _refuse_pickles(folder, "*.safetensors")
    quantised = settings_for(folder)
    try:
        model, report = _class_for(folder).from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=dtype,
            output_loading_info=True,
            **place,
            **quantised,
        )
    except Exception as error:  # from_pretrained fails in as many ways as there are broken checkpoints
        if "trust_remote_code" in str(error):
            raise InputError(
                f"{folder}: needs code that came with the checkpoint, which is never run; use a model whose "
                "architecture transformers knows"
            ) from error
        raise InputError(f"{folder}: cannot be loaded as a causal language model ({first_line(error)})") from error
    if missing := sorted(report["missing_keys"]):
        raise InputError(
            f"{folder}: weights are missing ({', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}); "
            "the model would be partly random; copy or download it again"
        )
    return model


def _class_for(folder: Path) -> Any:
    """What transformers loads a checkpoint with: a causal language model, or one that reads pictures beside text and is
    known as nothing else (Mistral 3, Qwen 2.5 VL); it is given text alone."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    kind = type(AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True))
    causal, pictures = AutoModelForCausalLM._model_mapping, AutoModelForImageTextToText._model_mapping
    return AutoModelForImageTextToText if kind not in causal and kind in pictures else AutoModelForCausalLM


def _load_adapter(folder: Path, place: dict[str, Any], dtype: Any, depth: int) -> tuple[Any, Any]:
    _refuse_pickles(folder, "adapter_model*.safetensors")
    base_name = base_of(folder)
    nearby = [folder / base_name, *([folder.parent / base_name] if base_name == BUNDLED_BASE else [])]
    base_name = next((str(place) for place in nearby if place.is_dir()), base_name)
    try:
        base = _load(base_name, place, dtype, depth=depth + 1)
    except InputError as error:
        raise InputError(f"{folder}: the base of this adapter cannot be loaded: {error}") from error
    model = put_on(base.model, folder, base_name)
    has_tokenizer = (folder / "tokenizer_config.json").is_file()
    return model, _load_tokenizer(folder) if has_tokenizer else base.tokenizer


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        if not tokenizer.chat_template and (folder / _PROCESSORS_TEMPLATE).is_file():
            text = (folder / _PROCESSORS_TEMPLATE).read_text(encoding="utf-8")
            tokenizer.chat_template = json.loads(text)["chat_template"]
    except Exception as error:
        raise InputError(f"{folder}: its tokenizer cannot be loaded ({first_line(error)})") from error
    return tokenizer


def _refuse_pickles(folder: Path, weights: str) -> None:
    """Raise unless there are weights in the safetensors format."""
    if any(folder.glob(weights)):
        return
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
    if pickled:
        raise InputError(
            f"{folder / pickled[0]}: pickled weights can run code when they are loaded, so they are not; convert them "
            "to safetensors: https://huggingface.co/spaces/safetensors/convert, or save_pretrained if you trust them"
        )
    raise InputError(f"{folder}: holds no weights ({weights}); give the folder that save_pretrained wrote")


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """In the block transformers shows no progress bars, logs errors only and keeps its plans for later versions to
    itself; its settings come back afterwards."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
