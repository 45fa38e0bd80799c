"""Check how a trial is started and measured: code, arguments, metrics, environment, secrets."""

from __future__ import annotations

import posixpath
import re
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, cast

from cloudtune.diagnostics import Problem
from cloudtune.launcher.call import input_variable, placeholder_names
from cloudtune.launcher.metrics import value_group
from cloudtune.study.fields import StudyFields
from cloudtune.study.schema import FromEnvironment
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.yaml_reader import is_list, is_map

_MAX_EXPRESSION_LENGTH = 2_000
_SWITCH = re.compile(r"-[^\s/]+(/(-[^\s/]+)?)?|/-[^\s/]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INVALID_VARIABLE = "is not the name of an environment variable"
_VARIABLE_HINT = "use letters, digits and _, and do not start with a digit"
_RESERVED_PREFIX = "CLOUDTUNE_"
SECRET_NAME = re.compile(
    r"(?:.*_)?(?:TOKEN|KEY|APIKEY|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)|.*SECRET.*",
    re.IGNORECASE,
)
"""Names of variables that usually have secrets."""
_SECRET_VALUE = re.compile(
    r"sk-[\w-]{20}|hf_\w{20}|gh[pousr]_\w{20}|github_pat_\w{20}|glpat-[\w-]{20}|xox[abprs]-[\w-]{10}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30}|eyJ[\w-]{10,200}\.eyJ"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
    r"|://[^\s:/@]{0,99}:(?!\d{1,5}/)[^\s@${}<>*]{1,200}@"
    r"|^(?!mailto:|azureml:)[^\s:/@]{1,99}:[^\s:/@${}<>*]{1,200}@(?!sha\d+:)"
    r"(?:localhost\b|(?:[\w-]+\.)+[a-zA-Z]|\d+(?:\.\d+){3}|[\w-]+(?::\d|/))"
)
_HARMLESS = re.compile(r"\d{0,9}|true|false|yes|no|none", re.IGNORECASE)


def looks_like_secret(name: str, value: str) -> bool:
    """Return whether the value of a variable looks like a secret, by its name or by itself."""
    if _SECRET_VALUE.search(value):
        return True
    return SECRET_NAME.fullmatch(name) is not None and not _HARMLESS.fullmatch(value)


def check_trial(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    """Yield the problems of a trial's code, arguments, metrics, inputs and environment."""
    trial = study.trial
    keys = [key for key in ("script", "module", "command") if getattr(trial, key) is not None]
    if len(keys) > 1:
        message = f"only one of {' and '.join(keys)} can be set"
        yield Problem(f"trial.{keys[1]}", message, "keep one of them")
    for key in ("script", "requirements"):
        file = getattr(trial, key)
        if file is not None:
            yield from _check_path(f"trial.{key}", file)
    modules = {f"trial.preload.{n}": name for n, name in enumerate(trial.preload or ())}
    if trial.module is not None:
        modules["trial.module"] = trial.module
    for path, name in modules.items():
        if not all(part.isidentifier() for part in name.split(".")):
            message = f"{name!r} is not the name of a Python module"
            yield Problem(path, message, "write package.module")
    if trial.preload and trial.command:
        message = "a command cannot have preloaded modules"
        yield Problem("trial.preload", message, "remove it, or use script or module")
    yield from _check_metrics(study)
    yield from _check_select(study)
    yield from _check_inputs(study)
    yield from _check_arguments(study, invalid_fields)
    yield from _check_switches(study, invalid_fields)
    yield from _check_environment(study)


def _check_path(path: str, file: str) -> Iterator[Problem]:
    posix, windows = PurePosixPath(file), PureWindowsPath(file)
    if not file.strip():
        yield Problem(path, "must not be empty")
    elif "\0" in file or not file.isprintable():
        yield Problem(path, "must not contain control characters")
    elif posix.is_absolute() or windows.drive or windows.root:
        message = f"{file} must be relative to trial.source"
        yield Problem(path, message, f"for example {windows.name or 'train.py'}")
    elif posixpath.normpath("/".join(windows.parts)).split("/")[0] == "..":
        message = f"{file} is outside trial.source"
        yield Problem(path, message, "set trial.source to a folder that contains it")


def _check_metrics(study: StudyFields) -> Iterator[Problem]:
    for name, expressions in study.trial.metrics.items():
        if not name.strip() or not name.isprintable():
            yield Problem(f"trial.metrics.{name}", "a name must have printable characters only")
        for number, expression in enumerate(expressions):
            if error := _expression_error(expression):
                path = study.item_path(f"trial.metrics.{name}", number, len(expressions))
                hint = "enclose the number in ( ), for example 'loss: (\\S+)'"
                yield Problem(path, error, hint)


def _check_select(study: StudyFields) -> Iterator[Problem]:
    for number, objective in enumerate(study.objectives):
        if objective.metric in study.trial.select:
            path = f"trial.select.{objective.metric}"
            hint = f"set {study.objective_path(number)}.select to last or best"
            yield Problem(path, f"{objective.metric} is an objective", hint)


def is_metric_expression(expression: str) -> bool:
    """Return whether a study accepts a regular expression: it has a group around the value."""
    return not _expression_error(expression)


def is_variable_name(name: str) -> bool:
    """Return whether a study accepts the name of an environment variable."""
    return _VARIABLE.fullmatch(name) is not None and not name.startswith(_RESERVED_PREFIX)


def _expression_error(expression: str) -> str:
    if len(expression) > _MAX_EXPRESSION_LENGTH:
        return f"must not have more than {_MAX_EXPRESSION_LENGTH:,} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            has_value = value_group(re.compile(expression)) > 0
    except (re.error, RecursionError, OverflowError):
        # Trials use the regex package, which supports more; it is slow to import.
        import regex

        try:
            has_value = value_group(cast("re.Pattern[str]", regex.compile(expression))) > 0
        except (regex.error, RecursionError, OverflowError) as error:
            return f"invalid regular expression: {error}"
    return "" if has_value else "the regular expression has no group around the value"


def _check_inputs(study: StudyFields) -> Iterator[Problem]:
    variables: dict[str, str] = {}
    others = {*study.argument_names, *study.constants, study.strategy.resource}
    for name in study.trial.inputs:
        path = f"trial.inputs.{name}"
        if not name or name != name.strip() or not name.isprintable():
            message = "a name must have printable characters only, with no space at either end"
            yield Problem(path, message)
            continue
        other = variables.setdefault(input_variable(name), name)
        if other != name:
            message = f"{name} and {other} both set the variable {input_variable(name)}"
            yield Problem(path, message, "rename one of them")
        placeholder = f"inputs.{name}"
        if placeholder in others:
            message = f"{placeholder} is also a parameter or constant"
            yield Problem(path, message, "rename one of them")


def _check_arguments(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    trial = study.trial
    known = {*study.argument_names, *study.constants}
    known |= {name for name in (study.strategy.resource, trial.seed_argument) if name}
    known |= {f"inputs.{name}" for name in trial.inputs}
    free_form = study.strategy.name == "list" and bool(study.initial_trials)
    for block in ("command", "args"):
        for number, argument in enumerate(getattr(trial, block) or ()):
            path = f"trial.{block}.{number}"
            if "\0" in argument:
                yield Problem(path, "must not contain a NUL character")
            if _SECRET_VALUE.search(argument):
                yield _secret_problem(path, "pass it in trial.env as {from_env: NAME}")
            for name in placeholder_names([argument]):
                if name in known or _is_invalid(name, invalid_fields):
                    continue
                if free_form and any(name in start for start in study.initial_trials):
                    continue
                hint = did_you_mean(name, known) or "use a parameter, a constant or inputs.NAME"
                if name in study.maps:
                    first = next(each for each in known if each.startswith(f"{name}."))
                    hint = f"its values are maps: use their parts, such as {{{{{first}}}}}"
                yield Problem(path, f"unknown placeholder {{{{{name}}}}}", hint)


def _check_switches(study: StudyFields, invalid_fields: frozenset[str]) -> Iterator[Problem]:
    trial = study.trial
    if trial.switches and trial.arguments not in {"flags", "equals"}:
        message = f"with arguments: {trial.arguments}, there are no switches"
        yield Problem("trial.switches", message, "remove it, or use arguments: flags")
    known = [*study.argument_names, *study.script_constants]
    for name, words in (trial.switches or {}).items():
        path = f"trial.switches.{name}"
        if not _SWITCH.fullmatch(words):
            message = f"{words!r} is not a word for true, for false, or both"
            yield Problem(path, message, "write --yes, --yes/--no, or /--no")
        if name not in known and not _is_invalid(name, invalid_fields):
            hint = did_you_mean(name, known) or "use the name of a bool parameter"
            yield Problem(path, "is not a parameter or a constant", hint)


def _is_invalid(name: str, invalid_fields: frozenset[str]) -> bool:
    blocks = {"parameters", "constants", "strategy", "trial", "trial.inputs", "initial_trials"}
    fields = {f"constants.{name}", f"trial.{name}", "strategy.resource"}
    return bool(invalid_fields & (blocks | fields))


def _check_environment(study: StudyFields) -> Iterator[Problem]:
    for name, value in study.trial.env.items():
        path = f"trial.env.{name}"
        if not _VARIABLE.fullmatch(name):
            yield Problem(path, _INVALID_VARIABLE, _VARIABLE_HINT)
        if name.startswith(_RESERVED_PREFIX):
            message = f"names that start with {_RESERVED_PREFIX} are reserved"
            yield Problem(path, message, "rename it")
        if isinstance(value, FromEnvironment):
            if not _VARIABLE.fullmatch(value.from_env):
                yield Problem(f"{path}.from_env", _INVALID_VARIABLE, _VARIABLE_HINT)
        elif "\0" in value:
            yield Problem(path, "must not contain a NUL character")
        elif looks_like_secret(name, value):
            yield _secret_problem(
                path, f"write {{from_env: {name}}} to read it when the study runs"
            )


def check_secrets(study: StudyFields) -> Iterator[Problem]:
    """Yield a problem for each constant and provider setting that looks like a secret."""
    for name, constant in study.constants.items():
        if isinstance(constant, str) and _SECRET_VALUE.search(constant):
            yield _secret_problem(f"constants.{name}", "pass it in trial.env as {from_env: NAME}")
    pending: list[tuple[str, Any]] = [("providers", study.providers)]
    while pending:
        path, value = pending.pop()
        if is_map(value):
            pending += [(f"{path}.{key}", inner) for key, inner in value.items()]
        elif is_list(value):
            pending += [(f"{path}.{number}", inner) for number, inner in enumerate(value)]
        elif isinstance(value, str) and _SECRET_VALUE.search(value):
            yield _secret_problem(path, "sign in with the service's own tools instead")


def _secret_problem(path: str, hint: str) -> Problem:
    return Problem(path, "looks like a secret, which a study must not contain", hint)
