"""Mistakes in how a trial is called and measured: code, words, metrics, environment, secrets."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from cloudtune.diagnostics import Problem
from cloudtune.study.fields import StudyFields
from cloudtune.study.schema import FromEnvironment
from cloudtune.study.suggestions import did_you_mean
from cloudtune.study.yaml_reader import is_list, is_map
from cloudtune.trial import input_variable

Hidden = frozenset[str]

_MAX_EXPRESSION_LENGTH = 2_000
_PLACEHOLDER = re.compile(r"\{\{([^{}]+)\}\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_PREFIX = "CLOUDTUNE_"
_SECRET_NAME = re.compile(
    r"(?:.*_)?(?:TOKEN|KEY|APIKEY|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)|.*SECRET.*",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"sk-[\w-]{20}|hf_\w{20}|gh[pousr]_\w{20}|github_pat_\w{20}|glpat-[\w-]{20}|xox[abprs]-[\w-]{10}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30}|eyJ[\w-]{10,200}\.eyJ"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
)
_HARMLESS = re.compile(r"\d{0,9}|true|false|yes|no|none", re.IGNORECASE)


def check_trial(study: StudyFields, hidden: Hidden) -> Iterator[Problem]:
    """Yield what is wrong with the code of a trial, its words, its metrics and its environment."""
    trial = study.trial
    ways = [way for way in ("script", "module", "command") if getattr(trial, way) is not None]
    if len(ways) > 1:
        message = f"{' and '.join(ways)} are given, and a trial is started in one way"
        yield Problem(f"trial.{ways[1]}", message, "keep one of them")
    for way in ("script", "requirements"):
        file = getattr(trial, way)
        if file is not None:
            yield from _check_path(f"trial.{way}", file)
    modules = {f"trial.preload.{n}": name for n, name in enumerate(trial.preload or ())}
    if trial.module is not None:
        modules["trial.module"] = trial.module
    for path, name in modules.items():
        if not all(part.isidentifier() for part in name.split(".")):
            message = f"{name!r} is no name of a Python module"
            yield Problem(path, message, "write it as package.module")
    if trial.preload and trial.command:
        message = "nothing can be preloaded for a command, which is started as it is"
        yield Problem("trial.preload", message, "leave it out, or give a script or a module")
    yield from _check_metrics(study)
    yield from _check_inputs(study)
    yield from _check_arguments(study, hidden)
    yield from _check_environment(study)


def _check_path(path: str, file: str) -> Iterator[Problem]:
    posix, windows = PurePosixPath(file), PureWindowsPath(file)
    if not file.strip():
        yield Problem(path, "must not be empty")
    elif "\0" in file or not file.isprintable():
        yield Problem(path, "a file name must not have control characters in it")
    elif posix.is_absolute() or windows.drive or windows.root:
        message = f"{file} must be relative to trial.source, which is what reaches the trial"
        yield Problem(path, message, f"as in {windows.name or 'train.py'}")
    elif _leaves_source(windows.parts):
        message = f"{file} lies outside trial.source, which is all that reaches the trial"
        yield Problem(path, message, "set trial.source to a folder above it")


def _leaves_source(parts: tuple[str, ...]) -> bool:
    depth = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def _check_metrics(study: StudyFields) -> Iterator[Problem]:
    for name, expressions in study.trial.metrics.items():
        if not name.strip() or not name.isprintable():
            yield Problem(f"trial.metrics.{name}", "a metric needs a name of printable characters")
        several = len(expressions) > 1 or study.is_list(f"trial.metrics.{name}")
        for number, expression in enumerate(expressions):
            path = f"trial.metrics.{name}.{number}" if several else f"trial.metrics.{name}"
            if wrong := _expression_error(expression):
                hint = "the number that is read stands in ( ), as in 'loss: (\\S+)'"
                yield Problem(path, wrong, hint)


def _expression_error(expression: str) -> str:
    if len(expression) > _MAX_EXPRESSION_LENGTH:
        return f"an expression has at most {_MAX_EXPRESSION_LENGTH:,} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            groups = re.compile(expression).groups
    except (re.error, RecursionError, OverflowError):
        # What runs is the regex package, which knows more; it is slow to import.
        import regex

        try:
            groups = regex.compile(expression).groups
        except (regex.error, RecursionError, OverflowError) as error:
            return f"this is no regular expression: {error}"
    return "" if groups else "the expression has no group, so no number is read"


def _check_inputs(study: StudyFields) -> Iterator[Problem]:
    variables: dict[str, str] = {}
    others = {*study.parameters, *study.constants, study.strategy.resource}
    for name in study.trial.inputs:
        path = f"trial.inputs.{name}"
        if not name or name != name.strip() or not name.isprintable():
            yield Problem(
                path, "an input needs a name of printable characters, no space at its ends"
            )
            continue
        other = variables.setdefault(input_variable(name), name)
        if other != name:
            message = f"{name} and {other} are both given as {input_variable(name)}"
            yield Problem(path, message, "rename one of them")
        taken = f"inputs.{name}"
        if taken in others:
            message = f"{{{{{taken}}}}} could be this input or what has the name {taken}"
            yield Problem(path, message, "rename one of them")


def placeholder_names(words: Sequence[str]) -> list[str]:
    """Return the names that stand as placeholders in words, in order."""
    return [name.strip() for word in words for name in _PLACEHOLDER.findall(word)]


def _check_arguments(study: StudyFields, hidden: Hidden) -> Iterator[Problem]:
    trial = study.trial
    known = {*study.parameters, *study.constants}
    if study.strategy.resource:
        known.add(study.strategy.resource)
    known |= {f"inputs.{name}" for name in trial.inputs}
    open_ended = study.strategy.name == "list" and bool(study.initial_trials)
    for block in ("command", "args"):
        for number, word in enumerate(getattr(trial, block) or ()):
            path = f"trial.{block}.{number}"
            if "\0" in word:
                yield Problem(path, "a word must not have a NUL character in it")
            if _SECRET_VALUE.search(word):
                yield _secret_problem(path, "pass it by trial.env, as {from_env: NAME}")
            for name in placeholder_names([word]):
                if name in known or _is_hidden(name, hidden):
                    continue
                if open_ended and any(name in start for start in study.initial_trials):
                    continue
                hint = did_you_mean(name, known) or (
                    "it may name a parameter, a constant or inputs.NAME"
                )
                yield Problem(path, f"{{{{{name}}}}} stands for nothing", hint)


def _is_hidden(name: str, hidden: Hidden) -> bool:
    blocks = {"parameters", "constants", "strategy", "trial", "trial.inputs", "initial_trials"}
    fields = {f"constants.{name}", f"trial.{name}", "strategy.resource"}
    return bool(hidden & (blocks | fields))


def _check_environment(study: StudyFields) -> Iterator[Problem]:
    for name, value in study.trial.env.items():
        path = f"trial.env.{name}"
        if not _VARIABLE.fullmatch(name):
            hint = "letters, digits and _, no digit first"
            yield Problem(path, "this is no name of an environment variable", hint)
        if name.startswith(_RESERVED_PREFIX):
            message = (
                f"cloudtune tells its trials by the variables that begin with {_RESERVED_PREFIX}"
            )
            yield Problem(path, message, "rename it")
        if isinstance(value, FromEnvironment):
            if not _VARIABLE.fullmatch(value.from_env):
                hint = "letters, digits and _, no digit first"
                yield Problem(
                    f"{path}.from_env", "this is no name of an environment variable", hint
                )
        elif "\0" in value:
            yield Problem(path, "a value must not have a NUL character in it")
        elif _SECRET_VALUE.search(value) or (
            _SECRET_NAME.fullmatch(name) and not _HARMLESS.fullmatch(value)
        ):
            yield _secret_problem(
                path, f"write {{from_env: {name}}}, which is read when the study runs"
            )


def check_secrets(study: StudyFields) -> Iterator[Problem]:
    """Yield the constants and settings of providers whose value looks like a secret."""
    for name, constant in study.constants.items():
        if isinstance(constant, str) and _SECRET_VALUE.search(constant):
            yield _secret_problem(f"constants.{name}", "pass it by trial.env, as {from_env: NAME}")
    waiting: list[tuple[str, Any]] = [("providers", study.providers)]
    while waiting:
        path, value = waiting.pop()
        if is_map(value):
            waiting += [(f"{path}.{key}", inner) for key, inner in value.items()]
        elif is_list(value):
            waiting += [(f"{path}.{number}", inner) for number, inner in enumerate(value)]
        elif isinstance(value, str) and _SECRET_VALUE.search(value):
            yield _secret_problem(
                path, "credentials are found by the service's own tools, never in a file"
            )


def _secret_problem(path: str, hint: str) -> Problem:
    return Problem(path, "this looks like a secret, and a study is no place for one", hint)
