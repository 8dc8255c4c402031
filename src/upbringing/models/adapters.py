"""PEFT adapters on a base: the ones a name lists, and whether each was made for what it is put on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from upbringing.errors import InputError, first_line

ADAPTER = "adapter_config.json"
BETWEEN = "+"  # base+adapter+adapter: no hub id has one

_MISMATCH = re.compile(r"size mismatch for (\S+?):.*?Size\(\[?([\d, ]*)\]?\).*?Size\(\[?([\d, ]*)\]?\)", re.DOTALL)
_OF_THE_BASE = ("embed_tokens.weight", "lm_head.weight", "wte.weight", "embed_in.weight", "embed_out.weight")


def parts_of(name: str) -> list[str]:
    """A base and the adapters put on it, one after the other; a folder whose own name has the sign in it is one."""
    if BETWEEN not in name or Path(name).expanduser().exists():
        return [name]
    return name.split(BETWEEN)


def base_of(folder: Path) -> str:
    """What an adapter names as its base. Raises ``InputError`` where it names none or cannot be read."""
    config = folder / ADAPTER
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
        name = settings.get("base_model_name_or_path") if isinstance(settings, dict) else None
    except (ValueError, OSError) as error:
        raise InputError(f"{config}: cannot be read ({type(error).__name__}: {error})") from error
    if not name:
        raise InputError(f"{config}: does not name its base model; set base_model_name_or_path")
    return str(name)


def merged(model: Any) -> Any:
    """``model`` with its adapters' changes in its weights (it is changed); a plain one as it is.

    They are new weights: the old ones may be those of another model, as a student's are its base's.
    """
    return model.merge_and_unload(safe_merge=True) if hasattr(model, "merge_and_unload") else model


def beneath(model: Any) -> Any:
    """The model that adapters were put on, they among its layers; a plain one as it is."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def put_on(model: Any, folder: Path, name: str) -> Any:
    """``model`` (called ``name``), with what is on it already merged into it, and the adapter of ``folder`` on top.

    Raises ``InputError`` naming the base the adapter wants and the one it got where the two do not fit.
    """
    from peft import PeftModel

    wanted = base_of(folder)
    remedy = f"load it on {wanted}, or name another adapter"
    try:
        adapted = PeftModel.from_pretrained(merged(model), folder, use_safetensors=True, local_files_only=True)
    except Exception as error:
        found = _MISMATCH.search(str(error))
        why = f"{found[1]} is [{found[2]}] in one and [{found[3]}] in the other" if found else first_line(error)
        raise InputError(
            f"{folder}: the adapter was trained on {wanted} and does not fit {name} ({why}); {remedy}"
        ) from error
    if left_over := _left_over(adapted, folder):
        raise InputError(
            f"{folder}: the adapter was trained on {wanted} and does not fit {name}, which has no place for "
            f"{len(left_over)} of its matrices ({left_over[0]}); {remedy}"
        )
    return adapted


def _left_over(model: Any, folder: Path) -> list[str]:
    """Matrices in the adapter's file that went nowhere: PEFT reads on without them."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    own = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    saved: set[str] = set()
    for file in folder.glob("adapter_model*.safetensors"):
        with safe_open(file, framework="pt") as weights:
            saved.update(weights.keys())
    return sorted(name for name in saved - own if not name.endswith(_OF_THE_BASE))
