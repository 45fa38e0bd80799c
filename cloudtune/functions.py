"""Tunes Python functions, also those of a notebook: `tune` and `to_script`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.api import Run, plan
from cloudtune.errors import UsageError

if TYPE_CHECKING:
    from cloudtune.study.study import Study

    Goals = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]

_GOALS = ("maximize", "minimize")
_OPTIONAL = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
_SET_KEYS = {"script", "module", "command", "args", "arguments"}
"""Of `trial`: how to start a function is not for the caller to set."""


def tune(
    function: Callable[..., Any],
    parameters: Mapping[str, Any],
    objective: Goals,
    *,
    max_trials: int | None = None,
    parallel_trials: int | None = None,
    strategy: str | Mapping[str, Any] = "bayesian",
    overrides: Sequence[str] = (),
    on: str | Sequence[str] = "local",
    show: bool = True,
    **blocks: Any,
) -> Run:
    """Tune a function, also one of a notebook, and return when the run has ended.

    Each trial calls the function in a process of its own, in a copy of the working folder.
    Functions and classes of a notebook or of ``__main__`` are copied with the values that they use.

    Args:
        function: Called with the constants and the active parameters as keyword arguments. If it
            has no arguments, it calls `cloudtune.trial.params`. It returns the objective, or a dict
            of metrics; or it returns nothing and calls `cloudtune.trial.report`.
        parameters: By name, from `cloudtune.float`, `cloudtune.int`, `cloudtune.discrete`,
            `cloudtune.categorical` and `cloudtune.bool`, or as in a study file.
        objective: Such as ``maximize accuracy``, or as in a study file; or a list of several.
        max_trials: Trials to start, including failed ones.
        parallel_trials: Trials that run at the same time; 1 by default.
        strategy: Its name, or as in a study file.
        overrides: Fields to replace, such as ``strategy.seed=7``.
        on: ``local``: services run scripts, which `to_script` writes.
        show: Whether to show progress.
        **blocks: Other limits, such as ``timeout="1h"``, and other keys of a study file:
            ``constants``, ``early_stopping``, ``initial_trials``, ``name``, and ``trial`` with
            ``inputs``.

    Raises:
        UsageError: If the function does not have the parameters as arguments or cannot be copied,
            or ``on`` has a service.
        StudyError: If the study has mistakes; all of them at once.
        UnsupportedError: If the study cannot run.
        RunFailedError: If no trial has a result, with the first traceback; not after a stop, or if
            ``max_failed_trials`` tolerates the failures.

    Example:
        >>> def train(lr, layers):
        ...     return 1 - lr / layers
        >>> run = tune(
        ...     train,
        ...     {"lr": cloudtune.float(1e-4, 0.1, scale="log"), "layers": cloudtune.int(1, 4)},
        ...     "maximize accuracy",
        ...     max_trials=20,
        ... )  # doctest: +SKIP
    """
    from cloudtune.bundle.function import CONTEXT_FILE, MODULE, pack_function
    from cloudtune.planning.planner import source_folder
    from cloudtune.runs import lifecycle

    services = [name for name in ([on] if isinstance(on, str) else on) if name != "local"]
    if services:
        raise UsageError(
            f"{services[0]} runs scripts, not functions of this process: write a script and a "
            "study with cloudtune.to_script(FOLDER, function, ...), and run the file that it "
            f"returns: cloudtune.run(file, on={services[0]!r})"
        )
    study = _create_study(
        function,
        {"parameters": parameters, "objective": objective, "strategy": strategy},
        {"max_trials": max_trials, "parallel_trials": parallel_trials},
        blocks,
        {"module": MODULE, "python": sys.executable},
        overrides=overrides,
    )
    source = source_folder(study, "local", Path.cwd())
    if source in {Path.home(), Path("/")}:
        raise UsageError(
            f"trials run in a copy of the working folder, which is {source}: change to a folder "
            'with the files that the function needs, or set trial={"source": FOLDER}'
        )
    metrics = [each.metric for each in study.objective or ()]
    files = pack_function(function, metrics, source or Path.cwd(), study.trial.metrics)
    # Notebooks change when they are saved, and trials do not use them.
    notebooks = [*source.glob("*.ipynb")] if source else []
    run = lifecycle.create(
        plan(study, ["local"], exclude=notebooks),
        without=notebooks,
        generated=files,
        generated_unhashed=[CONTEXT_FILE],
    )
    return Run(*run).execute(show=show)


def to_script(
    folder: str | Path,
    function: Callable[..., Any],
    parameters: Mapping[str, Any],
    objective: Goals,
    *,
    max_trials: int | None = None,
    parallel_trials: int | None = None,
    strategy: str | Mapping[str, Any] = "bayesian",
    **blocks: Any,
) -> Path:
    """Write a function as a script with a study, which services can run; return the study's file.

    The script has the source of the function and of what it uses: imports, functions, classes and
    plain values. The other arguments are those of `tune`.

    Args:
        folder: Where to write; created if it does not exist.
        function: As for `tune`.
        parameters: As for `tune`.
        objective: As for `tune`.
        max_trials: As for `tune`.
        parallel_trials: As for `tune`.
        strategy: As for `tune`.
        **blocks: As for `tune`, and ``providers``.

    Raises:
        UsageError: If the function uses a value that has no source, such as a table of data, or one
            of the files exists.
        StudyError: If the study has mistakes; all of them at once.
    """
    from cloudtune.bundle.function import function_name
    from cloudtune.bundle.function_source import script_text

    name = function_name(function)
    study = _create_study(
        function,
        {"parameters": parameters, "objective": objective, "strategy": strategy},
        {"max_trials": max_trials, "parallel_trials": parallel_trials},
        blocks,
        {"script": f"{name}.py"},
    )
    metrics = [each.metric for each in study.objective or ()]
    texts = {
        f"{name}.py": script_text(function, metrics),
        "study.yaml": "".join(_study_lines(study)),
    }
    target = Path(folder)
    existing = [str(target / file) for file in texts if (target / file).exists()]
    if existing:
        raise UsageError(f"not overwriting existing files: {', '.join(existing)}")
    target.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        (target / file).write_text(text, "utf-8")
    return target / "study.yaml"


def _study_lines(study: Study) -> Iterator[str]:
    """Yield the lines of a study file, with JSON as the values."""
    from cloudtune.study.yaml_reader import is_map

    for key, value in study.to_json().items():
        if is_map(value):
            yield f"{key}:\n"
            yield from (f"  {json.dumps(name)}: {_text(each)}\n" for name, each in value.items())
        else:
            yield f"{key}: {_text(value)}\n"


def _text(value: Any) -> str:
    from cloudtune.study.yaml_reader import is_list, is_map

    if is_list(value) and len(value) == 1 and is_map(value[0]):
        return _text(value[0])  # the short form of a list with one entry
    return json.dumps(value)


def _create_study(
    function: Callable[..., Any],
    content: Mapping[str, Any],
    limits: Mapping[str, int | None],
    blocks: Mapping[str, Any],
    start: Mapping[str, str],
    *,
    overrides: Sequence[str] = (),
) -> Study:
    from cloudtune.bundle.function import function_name
    from cloudtune.study.fields import StudyFields
    from cloudtune.study.hints import FOREIGN_KEYS
    from cloudtune.study.loader import load
    from cloudtune.study.schema import Limits
    from cloudtune.study.suggestions import did_you_mean

    known = [*limits, *Limits.model_fields, *content, *StudyFields.model_fields]
    for key in blocks:
        if key not in known:
            other_name = FOREIGN_KEYS.get(key.replace("_", "").lower())
            hint = f"did you mean {other_name}?" if other_name else did_you_mean(key, known)
            raise UsageError(f"{key} is no argument and no key of a study{hint and f'; {hint}'}")
    trial = blocks.get("trial", {})
    if keys := sorted(_SET_KEYS & trial.keys()):
        raise UsageError(f"trial.{keys[0]}: cannot be set for a function")
    study = load(
        {
            "name": function_name(function),
            **{key: value for key, value in blocks.items() if key not in Limits.model_fields},
            **content,
            "objective": _read_objective(content["objective"]),
            "limits": {
                **{key: value for key, value in limits.items() if value is not None},
                **{key: value for key, value in blocks.items() if key in Limits.model_fields},
                **blocks.get("limits", {}),
            },
            "trial": {**start, **trial, "arguments": "none"},
        },
        overrides=overrides,
    )
    if problems := list(_argument_problems(function, study)):
        raise UsageError("\n".join(problems))
    return study


def _read_objective(objective: Goals) -> Any:
    if isinstance(objective, str):
        goal, _, metric = objective.partition(" ")
        if goal not in _GOALS or not metric.strip():
            raise UsageError(f"objective: expected such as 'maximize accuracy', not {objective!r}")
        return {"metric": metric.strip(), "goal": goal}
    if isinstance(objective, Mapping):
        return objective
    return [_read_objective(each) for each in objective]


def _argument_problems(function: Callable[..., Any], study: Study) -> Iterator[str]:
    """Yield what does not fit between the arguments of a function and a study."""
    name = getattr(function, "__name__", type(function).__name__)
    arguments = inspect.signature(function).parameters
    resource = [study.strategy.resource] if study.strategy.resource else []
    values = [*dict.fromkeys([*study.constants, *resource, *study.parameters])]
    kinds = {argument.kind for argument in arguments.values()}
    if arguments and inspect.Parameter.VAR_KEYWORD not in kinds:
        for key in values:
            if key not in arguments:
                yield f"{name}() has no argument {key}, which is a parameter of the study: add it"
    for key, argument in arguments.items():
        if argument.default is not inspect.Parameter.empty or argument.kind in _OPTIONAL:
            continue
        if argument.kind is inspect.Parameter.POSITIONAL_ONLY:
            yield f"{name}() takes {key} only by position; parameters are passed by name"
        elif key not in values:
            yield (
                f"{name}() needs {key}, which is no parameter. Parameters are passed by name, as "
                f"to def {name}({', '.join(values)}). Give {key} a default value, or a value in "
                "constants"
            )
        elif key in study.parameters and all(each.when for each in study.parameters[key]):
            yield f"{name}() needs a default value for {key}, which is not active in all trials"
