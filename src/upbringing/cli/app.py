"""The verbs, and what happens when one of them cannot go on.

The exit status is 0, or 2 for what the user gave, 130 for Ctrl-C, and 1 for the rest. What went wrong is one line on
stderr; ``UPBRINGING_DEBUG=1`` shows where in the program.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, NoReturn

import typer

from upbringing import __version__
from upbringing.cli import show
from upbringing.cli.atmosphere import atmosphere
from upbringing.cli.bench import bench
from upbringing.cli.calibrate import calibrate
from upbringing.cli.demo import demo
from upbringing.cli.distil import distil
from upbringing.cli.explain import explain
from upbringing.cli.forecast import forecast
from upbringing.cli.grow import grow
from upbringing.cli.lineage import lineage
from upbringing.cli.measure import measure
from upbringing.cli.placing import placed
from upbringing.cli.reinforce import reinforce
from upbringing.cli.repair import repair
from upbringing.cli.study import study
from upbringing.cli.train import train
from upbringing.cli.traits import traits
from upbringing.cli.write import write
from upbringing.errors import DiskFullError, InputError, is_disk_full

app = typer.Typer(
    name="upbringing",
    help="What character a training set will give a language model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_NOTHING = "nothing was written"
_ON = "run the same again to go on"
_KEPT = {  # what a verb that was stopped leaves, for those that leave anything
    "forecast": f"what was looked at and judged is kept: {_ON}",
    "explain": "nothing was written; what a judge has said is kept for the next run",
    "measure": "nothing was written; what hosted models and judges have answered is kept for the next run",
    "reinforce": f"the policy is kept as it was when it was last written down: {_ON}",
    "repair": f"remedies that were tried to the end are kept: {_ON}",
    "write": f"what a model has written is kept: {_ON}",
    "distil": f"what was sampled is kept: {_ON}",
    "study": f"finished steps are kept: {_ON}",
    "bench": f"data sets that are finished are kept: {_ON}",
    "calibrate": f"data sets that are finished are kept: {_ON}",
    "demo": "nothing was written; remedies that were tried to the end are kept for the next run",
}


def _guarded(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb, with errors of the user's or of the machine as one line; errors of ours keep their traceback."""

    @wraps(verb)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            verb(*args, **kwargs)
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise _leave(f"stopped; {_KEPT.get(verb.__name__, _NOTHING)}", 130) from None
        except BrokenPipeError:  # `| head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (InputError, OSError, RuntimeError, MemoryError) as error:
            known = _explained(error)
            if known is None or os.environ.get("UPBRINGING_DEBUG"):
                raise
            raise _leave(*known) from None

    return guarded


def _explained(error: Exception) -> tuple[str, int] | None:
    """What to tell about an error and the exit status, if it is one that the program is not to blame for."""
    if isinstance(error, InputError):
        return str(error), error.exit_status
    place = getattr(error, "filename", None)
    if is_disk_full(error):
        return str(DiskFullError.writing(place or "writing the results")), DiskFullError.exit_status
    if _no_room(error):
        return (
            f"out of memory ({str(error).strip().partition(chr(10))[0][:200] or type(error).__name__}); use a smaller "
            "model or a quantised one, --dtype bfloat16, --device auto (spread over several devices), or shorter rows; "
            "what was finished is kept",
            1,
        )
    if isinstance(error, OSError) and place:
        return f"{place}: {error.strerror or error}; check the path and its permissions", 1
    return None


def _no_room(error: Exception) -> bool:
    """Whether memory ran out; torch has its own errors for that, and is there if one of them is."""
    if isinstance(error, MemoryError) or "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from upbringing.models.memory import no_room

    return no_room(error)


def _leave(message: str, status: int) -> typer.Exit:
    show.note(f"upbringing: {' '.join(message.split())}")
    return typer.Exit(status)


def _paragraphs(docstring: str) -> str:
    """A docstring as help text, with its lines joined so that they break where the terminal's do."""
    return "\n\n".join(" ".join(part.split()) for part in docstring.split("\n\n"))


for _verb in (
    placed(forecast),
    placed(explain),
    placed(measure),
    placed(train),
    placed(reinforce),
    placed(repair),
    placed(write),
    placed(distil),
    study,
    bench,
    placed(calibrate),
    placed(atmosphere),
    lineage,
    grow,
    traits,
    demo,
):
    app.command(help=_paragraphs(_verb.__doc__ or ""))(_guarded(_verb))


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"upbringing {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and leave with its exit status. Being terminated is taken like Ctrl-C: nothing half-made is left."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one verb; the exit status."""
    show.remember(arguments)
    try:
        app(list(arguments), prog_name="upbringing")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0
