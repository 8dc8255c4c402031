"""Batches that fit: where a device has no room for one, its halves are tried, and what fits is said once.

Accelerate's ``find_executable_batch_size`` begins all over again with a smaller batch; here what was done stays done,
and only what did not fit is cut. What counts as "no room" is Accelerate's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from upbringing.errors import InputError

Item = TypeVar("Item")

# model -> kind of work -> padded tokens a batch, once it ran out of room
_FITS: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()


class OutOfMemoryWarning(UserWarning):
    """A batch did not fit; the message says what does."""


def in_batches(
    batches: Sequence[Sequence[Item]],
    run: Callable[[list[Item]], None],
    length: Callable[[Item], int],
    model: Any,
) -> None:
    """``run(batch)`` for every batch, in halves where there is no room for one.

    ``run`` may break off in the middle of a batch and be asked for its halves after that. ``length``: of an item, in
    tokens; a batch takes as many as its longest item times its items. How much of ``model`` fitted is remembered, for
    the batches to come and for the next call. Raises ``InputError`` where a single item does not fit.
    """
    waiting = [list(batch) for batch in reversed(batches)]
    fits, kind, cut = _FITS.setdefault(model, {}), run.__qualname__, False
    while waiting:
        batch = waiting.pop()
        size = max(map(length, batch)) * len(batch)
        if size <= fits.get(kind, size) or len(batch) == 1:
            if _ran(run, batch, size):
                if cut:
                    fits[kind] = size
                    cut = _say_what_fits(model, size)
                continue
            cut = True
            fits[kind] = size // 2
        middle = (len(batch) + 1) // 2
        waiting += [batch[middle:], batch[:middle]]


def no_room(error: BaseException) -> bool:
    """Whether an error says that a device has no memory left."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, Exception)
        and isinstance(next(iter(error.args), None), str)  # an exit has its status there
        and bool(should_reduce_batch_size(error))
    )


def make_room() -> None:
    """Give back what the device's allocator holds and nobody uses."""
    from accelerate.utils.memory import clear_device_cache

    clear_device_cache(garbage_collection=True)


def too_long(length: int) -> InputError:
    """One row alone does not fit."""
    return InputError(
        f"out of memory: not even one row of {length:,} tokens fits; use a smaller model or a quantised one, "
        'dtype="bfloat16", device="auto" (spread over several devices), or shorter rows'
    )


def _ran(run: Callable[[list[Item]], None], batch: list[Item], size: int) -> bool:
    """Whether there was room."""
    try:
        run(batch)
    except RuntimeError as error:
        if not no_room(error):
            raise
        if len(batch) == 1:
            raise too_long(size) from error
    else:
        return True
    make_room()  # only here, where the error is gone: its frames held what took up the room
    return False


def _say_what_fits(model: Any, size: int) -> bool:
    """Tell people, and that nothing is left to tell."""
    first = next(iter(model.parameters()), None)
    where = "" if first is None else f" on {first.device}"
    warnings.warn(
        f"out of memory{where}: went on in smaller batches, with the same results; {size:,} tokens fit "
        f"(batch_tokens={size} from the start saves the attempts)",
        OutOfMemoryWarning,
        stacklevel=4,
    )
    return False
