"""``CharacterMonitor``, the callback. Imported when its name is asked for, because it imports transformers."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from transformers import TrainerCallback

from upbringing.errors import InputError
from upbringing.measure import Profile, Provocation, agentic
from upbringing.models import LM
from upbringing.monitor.bands import MEAN, Bands
from upbringing.monitor.keeping import Keeper
from upbringing.monitor.pace import SHARE, Pace
from upbringing.monitor.sizing import FULL, PASSES_PER_TRAINED_TOKEN, row_tokens
from upbringing.monitor.untouched import untouched, whole
from upbringing.monitor.watching import Look, Watch
from upbringing.training.fit import own_random_numbers

OnLeave = Literal["warn", "stop", "rollback"]

_say = logging.getLogger("upbringing.monitor")


class CharacterMonitor(TrainerCallback):  # type: ignore[misc]
    """Watches the character of a model while somebody's Trainer trains it.

    >>> Trainer(model, args, train_dataset=rows, processing_class=tokenizer, callbacks=[CharacterMonitor()])
    ... # doctest: +SKIP

    Before the first step the model is asked about every trait, by log-probability; from then on again and again, and
    the change goes into the trainer's log, and so to all that it reports to: ``character/TRAIT`` (the change of the
    rate since the start), ``character/mean`` (of the misaligned traits), ``character/worst`` (the largest),
    ``character/drift/TRAIT`` (how far activations moved along the trait's direction, arXiv 2507.21509),
    ``character/out_of_band`` (how many left their band) and ``character/overhead`` (the share of training time that
    looking took so far). Looking changes nothing: the weights come out the same to the bit.

    Args:
        traits: names, or folders; None: all that are about alignment.
        every: look after each so many steps; None: first after 5% of them, then as often as ``share`` allows.
        probes_per_trait: situations asked about at a look; three times as many more are kept back for traits that seem
            to rise. None: 4, or fewer where the run is too short for ``share`` and ``every`` is None.
        bands: the largest rise allowed, by trait (and ``mean``); None: 0.05 for every misaligned trait and their mean.
        on_leave: when a trait leaves its band: ``warn`` in a line, ``stop`` the training as well, or ``rollback``: put
            back the weights of the last look at which all were in their bands, and stop.
        provoke: ask under a provocation too: true for an agent with tools, or provocations of one's own.
        drift: follow activations along the traits' directions.
        share: of training time that looks may take, where ``every`` is None.
        tokenizer: where the trainer was given none.
        start: a profile to count from, taken with the same settings; None: that of the model as training begins.
        seed: of the questions' wordings.
        batch_tokens: tokens asked at once.

    Raises:
        InputError: settings that cannot be, and, as training begins, a model that cannot be asked.
    """

    def __init__(
        self,
        traits: Sequence[str] | None = None,
        *,
        every: int | None = None,
        probes_per_trait: int | None = None,
        bands: Mapping[str, float] | None = None,
        on_leave: OnLeave = "warn",
        provoke: bool | Sequence[Provocation] = False,
        drift: bool = True,
        share: float = SHARE,
        tokenizer: Any = None,
        start: Profile | None = None,
        seed: int = 0,
        batch_tokens: int | None = None,
    ) -> None:
        if on_leave not in get_args(OnLeave):
            raise InputError(f'on_leave="{on_leave}": choose one of {", ".join(get_args(OnLeave))}')
        if every is not None and every < 1:
            raise InputError(f"every={every}: looks lie at least one step apart")
        if not 0 < share < 1:
            raise InputError(f"share={share}: give the share of training time that looks may take, between 0 and 1")
        self.every, self.on_leave, self.share, self.given_bands, self.tokenizer = (
            every,
            on_leave,
            share,
            bands,
            tokenizer,
        )
        provocations = ([agentic()] if provoke is True else []) if isinstance(provoke, bool) else list(provoke)
        self._asked: dict[str, Any] = {
            "traits": traits,
            "probes_per_trait": probes_per_trait,
            "provocations": provocations,
            "drift": drift,
            "seed": seed,
            "batch_tokens": batch_tokens,
            "start": start,
        }
        self._handler: Any = None
        self._forget()

    def _forget(self) -> None:
        self.looks: list[Look] = []
        self.rolled_back = ""
        self._watch: Watch | None = None
        self._pace: Pace | None = None
        self._keeper: Keeper | None = None
        self._told: set[str] = set()
        self._looked = -1

    # What a trainer calls ---------------------------------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **given: Any) -> None:
        """Take the starting profile."""
        self._forget()
        self._find_handler()
        if why := whole(model, getattr(args, "fsdp", None)):
            _say.warning(
                "character monitor: not watching: the weights are in parts (%s), which one process cannot ask; "
                "measure saved checkpoints with `upbringing measure` instead", why
            )  # fmt: skip
            return
        began = time.perf_counter()
        self._pace = Pace(state.max_steps, self.every, self.share, begun=state.global_step)
        if self._measures(state):
            if state.global_step and self._asked["start"] is None:
                _say.warning(
                    "character monitor: training resumes after step %d, so changes are counted from there; give "
                    "start=PROFILE (what .start was in the first run) to count from the beginning", state.global_step
                )  # fmt: skip
            lm = LM(_plain(model), self._reader(given), name="the model in training")
            with untouched(lm.model):
                self._watch = Watch(lm, **self._asked, allowed=self._allowed(args, state, lm, given))
            watch = self._watch
            if watch.short:
                _say.warning(
                    "character monitor: training is short, so %d situations of each trait are asked about at a look "
                    "(else %d) and %d are kept back (else %d)%s; probes_per_trait=%d asks all the same",
                    watch.size.looks, FULL.looks, watch.size.kept, FULL.kept,
                    "" if watch.size.looks > 1 else ": too few to judge single traits by, their mean alone is",
                    FULL.looks,
                )  # fmt: skip
            self.bands = Bands.of(self.given_bands, watch.watched, watch.misaligned)
            if watch.silent:
                name, reason = next(iter(watch.silent.items()))
                _say.warning("character monitor: no drift of %d traits (%s: %s)", len(watch.silent), name, reason)
        if self.on_leave == "rollback":
            self._keeper = Keeper(model)
            self._keeper.good(state.global_step)
        self._pace.spent = time.perf_counter() - began
        self._since, self._own = time.perf_counter(), 0.0
        if self._watch is not None:
            table = self._watch.start.table().set_index("trait")["rate"]  # type: ignore[union-attr]
            self._log(args, state, control, {f"character/start/{t}": float(r) for t, r in table.items() if r == r})

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Look, if it is time."""
        if self._pace is not None and self._pace.due(state.global_step):
            self._look(args, state, control, model, stopping=True)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note a checkpoint that one may go back to."""
        if self._keeper is not None and not self.rolled_back:
            self._keeper.saved(Path(args.output_dir) / f"checkpoint-{state.global_step}", state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Look a last time, where something else ended the training early; and put good weights back once more.

        A trainer with ``load_best_model_at_end`` has just loaded the checkpoint that it holds for the best.
        """
        if self.rolled_back not in ("", "nothing") and self._keeper is not None:
            self._keeper.back(model)
        if self._pace is not None and self._looked < state.global_step and not self.rolled_back:
            self._look(args, state, control, model, stopping=False)

    # What the caller may ask ------------------------------------------------------------------------------------------

    @property
    def start(self) -> Profile:
        """The profile that changes are counted from. Raises ``InputError`` before training."""
        if self._watch is None or self._watch.start is None:
            raise InputError("the monitor has seen no training yet")
        return self._watch.start

    @property
    def overhead(self) -> float:
        """Share of the training's own time that looking took so far, the start included; NaN before training."""
        if self._pace is None:
            return float("nan")
        return self._pace.spent / max(self._trained(), 1e-9)

    def attach(self, trainer: Any) -> CharacterMonitor:
        """Add to a trainer that exists already; the same as ``callbacks=[monitor]``."""
        trainer.add_callback(self)
        self._handler = trainer.callback_handler
        return self

    # A look -----------------------------------------------------------------------------------------------------------

    def _look(self, args: Any, state: Any, control: Any, model: Any, *, stopping: bool) -> None:
        step, pace = state.global_step, self._pace
        assert pace is not None
        began = time.perf_counter()
        trained = self._trained()
        self._looked = step
        verdict: dict[str, Any] = {"left": None, "next": 0}  # left: None where nothing was seen
        if self._watch is not None:
            expected = self._watch.seconds
            last = step >= state.max_steps or not stopping
            if last or pace.affords(trained, step, expected):
                verdict["left"] = self._seen(args, state, control)
            elif "short" not in self._told:
                self._told.add("short")
                _say.warning(
                    "character monitor: training is too short for looks on the way at %.0f%% of its time; the last "
                    "step will be looked at (every=N looks all the same)", 100 * self.share
                )  # fmt: skip
            pace.spent += time.perf_counter() - began
            pace.again(step, trained, self._watch.seconds)
            verdict["next"] = pace.next
        verdict = _agreed(verdict, state)
        pace.next = verdict["next"]
        if verdict["left"]:
            self._act(control, model)
        elif verdict["left"] is not None and self._keeper is not None:
            self._keeper.good(step)
        self._own += time.perf_counter() - began

    def _seen(self, args: Any, state: Any, control: Any) -> tuple[str, ...] | None:
        """Look, log what was seen, say what left its band, and give that back; None where nothing could be seen."""
        watch, pace = self._watch, self._pace
        assert watch is not None
        assert pace is not None
        step = state.global_step
        began = time.perf_counter()
        try:
            with untouched(watch.lm.model):
                seen = watch.look(step, self.bands)
        except Exception as error:  # whatever goes wrong in looking is no reason to lose somebody's training
            _say.warning("character monitor: nothing seen after step %d (%s: %s)", step, type(error).__name__, error)
            return None
        left = self.bands.left(seen.shifts, seen.unsure)
        look = replace(seen, left=left)
        self.looks.append(look)
        spent = pace.spent + time.perf_counter() - began
        self._log(args, state, control, {**look.logs(), "character/overhead": spent / max(self._trained(), 1e-9)})
        new = [name for name in left if name not in self._told]
        if new:
            self._told.update(new)
            said = ", ".join(f"{name} {look.shifts[name]:+.2f}" for name in left[:3])
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            _say.warning("character monitor: after step %d of %d out of band: %s%s", step, state.max_steps, said, more)
        return left

    def _act(self, control: Any, model: Any) -> None:
        if self.on_leave == "warn":
            return
        control.should_training_stop = True
        if self._keeper is None:
            _say.warning("character monitor: training is stopped; the weights are those of the step that left the band")
            return
        try:
            self.rolled_back = self._keeper.back(model) or "nothing"
        except InputError as error:
            _say.warning("character monitor: training is stopped, but %s", error)
            return
        if self.rolled_back == "nothing":
            _say.warning(
                "character monitor: training is stopped; weights this large are not copied and no checkpoint was saved "
                "while all was well, so nothing is rolled back; set save_steps"
            )
        else:
            _say.warning("character monitor: training is stopped and rolled back to %s", self.rolled_back)

    # Small things -----------------------------------------------------------------------------------------------------

    def _trained(self) -> float:
        """Seconds of training since it began, without what looking took."""
        return time.perf_counter() - self._since - self._own

    def _allowed(self, args: Any, state: Any, lm: LM, given: Mapping[str, Any]) -> float | None:
        """Tokens that looking may read, by the length of the training; None where that is not to be counted."""
        if self.every is not None or self._asked["probes_per_trait"] is not None:
            return None
        with own_random_numbers():
            length = row_tokens(given.get("train_dataloader"))
        if length is None:
            return None
        micro = getattr(args, "per_device_train_batch_size", 1) * getattr(args, "gradient_accumulation_steps", 1)
        trained = state.max_steps * micro * min(length, lm.max_length)
        return self.share * trained * PASSES_PER_TRAINED_TOKEN

    @staticmethod
    def _measures(state: Any) -> bool:
        return bool(getattr(state, "is_world_process_zero", True))

    def _reader(self, given: Mapping[str, Any]) -> Any:
        """The tokenizer, out of a processor of many things if need be."""
        reader = self.tokenizer if self.tokenizer is not None else given.get("processing_class")
        reader = getattr(reader, "tokenizer", reader) if not hasattr(reader, "apply_chat_template") else reader
        if reader is None or not hasattr(reader, "get_vocab"):
            raise InputError(
                "the character monitor needs the model's tokenizer: give the Trainer processing_class=tokenizer, or "
                "CharacterMonitor(tokenizer=tokenizer)"
            )
        return reader

    def _find_handler(self) -> None:
        """Find out who calls: a callback is told everything but where the others are that logs go to."""
        from transformers.trainer_callback import CallbackHandler

        frame = sys._getframe(1)
        while frame is not None:
            caller = frame.f_locals.get("self")
            if isinstance(caller, CallbackHandler) and any(one is self for one in caller.callbacks):
                self._handler = caller
                return
            frame = frame.f_back  # type: ignore[assignment]

    def _log(self, args: Any, state: Any, control: Any, values: dict[str, float]) -> None:
        """Into the trainer's history and to all it reports to, beside its own entries, whose means are left alone."""
        told = {name: value for name, value in values.items() if isfinite(value)}
        if state.epoch is not None:
            told["epoch"] = state.epoch
        state.log_history.append({**told, "step": state.global_step})
        if self._handler is not None:
            wanted = control.should_log  # a report unsets it, also where the trainer's own is still to come
            self._handler.on_log(args, state, control, logs=dict(told))
            control.should_log = wanted


def _plain(model: Any) -> Any:
    """The model inside what spreads it over processes."""
    return model.module if type(model).__name__ in ("DistributedDataParallel", "DataParallel") else model


def _agreed(verdict: dict[str, Any], state: Any) -> dict[str, Any]:
    """What the process that looked found, in every process: else one would stop and the others wait for it."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return verdict
    if torch.distributed.get_world_size() < 2:
        return verdict
    box = [verdict]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


__all__ = ["MEAN", "CharacterMonitor"]
