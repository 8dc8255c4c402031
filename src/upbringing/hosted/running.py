"""Running an Inspect eval from here: quietly, with its logs where our runs are, and its result as a profile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upbringing.errors import InputError
from upbringing.hosted.logs import profile_of_log
from upbringing.measure.profile import Profile
from upbringing.models.hosted import CHECK, PREFIX, line_of, mock_output

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog
    from inspect_ai.model import Model

    from upbringing.models import LM

OURS = "upbringing"
_MOCKS = ("mockllm/model",)
LOGS = Path("runs") / "inspect"


class StoppedError(KeyboardInterrupt):
    """Inspect was stopped (Ctrl-C); ``log`` is where what was answered lies, for ``inspect eval-retry``."""

    def __init__(self, log: str) -> None:
        super().__init__(f"stopped; go on with: inspect eval-retry {log}")
        self.log = log


def measure_by_inspect(
    task: Any,
    model: str | LM,
    *,
    log_dir: str | Path = LOGS,
    grader: str | None = None,
    task_args: dict[str, Any] | None = None,
    scorer: str = "",
    base: str = "",
    arm: str = "",
    **settings: Any,
) -> Profile:
    """Run an Inspect task on a model and read its log (see :func:`profile_of_log`).

    Args:
        task: what :func:`inspect_ai.eval` takes: ``oversight_sabotage`` or any of our traits, ``all``, the name of a
            registered task, ``file.py@task``, or a Task.
        model: a model of ours, or a name as in :func:`inspect_name`.
        log_dir: where the log goes; open it with ``inspect view --log-dir``.
        grader: the model in the role of grader, by an Inspect name.
        settings: of :func:`inspect_ai.eval` (``epochs=``, ``limit=``, ``max_tokens=`` …).

    Raises:
        InputError: Inspect is not installed, there is no such task or model, or nothing was answered.
    """
    logs = run(task, model, log_dir=log_dir, grader=grader, task_args=task_args, **settings)
    return profile_of_log(logs, scorer=scorer, base=base, arm=arm)


def run(
    task: Any,
    model: str | LM,
    *,
    log_dir: str | Path = LOGS,
    grader: str | None = None,
    task_args: dict[str, Any] | None = None,
    **settings: Any,
) -> list[EvalLog]:
    """Run a task; its logs. What fails in a sample is that sample's, and the others go on.

    Raises:
        InputError: as :func:`measure_by_inspect`.
        StoppedError: by Ctrl-C.
    """
    from upbringing.hosted import need_inspect

    need_inspect("running an Inspect task")
    from inspect_ai import eval as evaluate

    if grader is not None:
        settings["model_roles"] = {**settings.get("model_roles", {}), "grader": inspect_model(grader)}
    settings = {"display": "none", "fail_on_error": False, "log_level": "error", "ctl_server": False, **settings}
    given = inspect_model(model)
    try:
        logs = list(evaluate(_task(task), model=given, task_args=task_args or {}, log_dir=str(log_dir), **settings))
    except InputError:
        raise
    except Exception as error:  # an unknown task or file, a task that cannot be made: each has its own
        raise InputError(f"the Inspect task {_told(task)} cannot be run: {line_of(error)}") from error
    if not logs:
        raise InputError(f"there is no Inspect task {_told(task)}; give one of our traits, all, or file.py@task")
    if stopped := next((log for log in logs if log.status == "cancelled"), None):
        raise StoppedError(str(stopped.location))
    failed = next((log for log in logs if log.error is not None and not log.samples), None)
    if failed is not None and failed.error is not None:
        told = " ".join(failed.error.message.split())[:300]
        raise InputError(f"the Inspect task {_told(task)} failed before any answer: {told}; log: {failed.location}")
    return logs


def inspect_model(model: str | LM) -> Model:
    """A model as Inspect has it: one of ours in memory, or by a name as in :func:`inspect_name`.

    Raises:
        InputError: it cannot be loaded or reached.
    """
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.model import Model as InspectModel

    from upbringing.hosted import registry

    if isinstance(model, InspectModel):
        return model
    if not isinstance(model, str):
        name = model.name or "a model in memory"
        api = registry.upbringing(model_name=name, lm=model)
        made = InspectModel(api, GenerateConfig())
        api.qualified_model_name = str(made)
        return made
    name = inspect_name(model)
    # A mock whose outputs lack counts of tokens would look for a tokenizer on the network.
    mocked = {"custom_outputs": lambda *_: mock_output(f"Default output from {name}")} if name in _MOCKS else {}
    try:
        return get_model(name, **mocked)
    except InputError:
        raise
    except Exception as error:  # an unknown provider, a missing key or client: each provider has its own
        raise InputError(f"{model}: cannot be reached through Inspect: {line_of(error)}; {CHECK}") from error


def inspect_name(model: str) -> str:
    """What Inspect calls a model. ``inspect:PROVIDER/MODEL`` and names that begin with a provider of Inspect's are
    theirs; all else is what ``load`` takes: ``organism:nano``, a folder, a hub id (``upbringing/ID`` where its owner
    has the name of a provider)."""
    if model.startswith(PREFIX):
        return model.removeprefix(PREFIX)
    owner, slash, _ = model.partition("/")
    if slash and owner and not Path(model).is_dir() and owner in _providers():
        return model
    path = Path(model).expanduser()
    return f"{OURS}/{path.resolve() if path.is_dir() else model}"


def _providers() -> set[str]:
    """Names before the slash that Inspect knows."""
    from inspect_ai._util.registry import registry_find, registry_unqualified_name

    return {registry_unqualified_name(api) for api in registry_find(lambda info: info.type == "modelapi")}


def _task(task: Any) -> Any:
    """Our own tasks are found by name though the package may not be installed; what else there is, Inspect finds."""
    from upbringing.hosted.registry import tasks

    if isinstance(task, str):
        return tasks.get(task.removeprefix(f"{OURS}/"), task)
    return [_task(one) for one in task] if isinstance(task, Sequence) else task


def _told(task: Any) -> str:
    return f'"{task}"' if isinstance(task, str) else str(getattr(task, "name", task))


__all__ = ["LOGS", "StoppedError", "inspect_model", "inspect_name", "measure_by_inspect", "run"]
