"""Why a script failed, and what to change in the study or the script."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cloudtune.bundle.missing_modules import explain_missing_module
from cloudtune.diagnostics import Check
from cloudtune.doctor.probe import Start
from cloudtune.doctor.source import defined_options, read_sources, shown_path, unset_variables
from cloudtune.provider import registry
from cloudtune.provider.plan import Plan
from cloudtune.results.failure import error_line
from cloudtune.study.suggestions import did_you_mean

_FRAME = re.compile(r'^\s*File "([^"]+)", line (\d+)', re.MULTILINE)
_MAX_TEXT = 200
_MAX_FIX = 300
_NO_PATH = r"(?:No such file or directory|Permission denied|Read-only file system)[^\n]*?({})\b"
_MAX_VARIABLES = 4


@dataclass(frozen=True)
class _Case:
    """A kind of failure that an output shows."""

    id: str
    pattern: re.Pattern[str]
    fix: Callable[[Plan, str], tuple[str, str]]
    """Returns the field and what to change, from the plan and what the first group matches."""


def _unknown_option(plan: Plan, text: str) -> tuple[str, str]:
    study = plan.study
    names = [word.lstrip("-").partition("=")[0] for word in text.split() if word.startswith("-")]
    parameter = next((name for name in names if _known(plan, name)), "")
    path = _field(plan, parameter) if parameter else "trial.args"
    if not parameter and study.trial.arguments == "flags" and not names:
        bools = [n for n, p in study.parameters.items() if any(each.type == "bool" for each in p)]
        if bools:
            switch = "a switch without a value: set its words in trial.switches"
            return f"parameters.{bools[0]}", switch
    if _imports(plan, "hydra"):
        return "trial.arguments", "Hydra takes name=value: set trial.arguments: assign"
    hint = did_you_mean(parameter or text, defined_options(plan))
    more = f"; {hint}" if hint else ""
    return path, (
        f"the script has no option for it: rename the parameter, or add the option{more}"
        if parameter
        else f"the script does not accept {text.strip()}: correct trial.args or trial.arguments"
    )


def _invalid_value(plan: Plan, text: str) -> tuple[str, str]:
    name = text.lstrip("-").replace("-", "_")
    return _field(plan, name), (
        "the option and the parameter have different types: use the same type for both"
    )


def _missing_key(plan: Plan, text: str) -> tuple[str, str]:
    providers = registry.importable()
    inputs = [prefix for each in providers.values() for prefix in each.input_variables]
    if text.startswith(("CLOUDTUNE_INPUT_", *inputs)):
        return "trial.inputs", f"the script reads ${text}: give the data as an input"
    if _known(plan, text):
        if plan.study.trial.arguments != "env":
            return _field(plan, text), "the script reads a variable: set trial.arguments: env"
        return _field(plan, text), "the script reads it although it is not active in this trial"
    owners = (n for n, each in providers.items() if text.startswith(tuple(each.script_variables)))
    owner = next(owners, "")
    only = f"only {owner} sets it: " if owner and owner != plan.provider else ""
    return "", f"{only}set it in trial.env, or give it a default in the script"


def _missing_option(plan: Plan, text: str) -> tuple[str, str]:
    options = defined_options(plan)
    unread = [name for name in plan.study.argument_names if options and name not in options]
    if unread and plan.study.trial.arguments in {"flags", "equals"}:
        hint = did_you_mean(unread[0], options)
        return _field(plan, unread[0]), (
            f"the script has no option {unread[0]}: rename the parameter, or add the option"
            f"{f'; {hint}' if hint else ''}"
        )
    return "trial.args", f"the script requires {text.strip()}: set it in trial.args"


def _reads_input(_plan: Plan, _text: str) -> tuple[str, str]:
    return "", "no service has a terminal: take the value from an argument"


def _no_display(_plan: Plan, _text: str) -> tuple[str, str]:
    return "trial.env", "no service has a screen: set trial.env: {MPLBACKEND: Agg}"


_CASES: Sequence[_Case] = (
    _Case(
        "option-unknown",
        re.compile(r"error: unrecognized arguments: (.+)|No such option:? '?(--?[\w-]+)"),
        _unknown_option,
    ),
    _Case(
        "option-unknown",
        re.compile(r"Could not override '([\w.]+)'|Got unexpected extra arguments? \((.+)\)"),
        _unknown_option,
    ),
    _Case(
        "option-type",
        re.compile(
            r"error: argument (?:[^:\n]*?)--([\w-]+)(?:/[^:\n]*)?: (?:invalid|ignored)"
            r"|Invalid value for '(?:-\w' / ')?--([\w-]+)'"
        ),
        _invalid_value,
    ),
    _Case(
        "option-missing",
        re.compile(
            r"error: the following arguments are required: (.+)"
            r"|Missing (?:option|argument) '([^']+)'|[Ff]lag (--[\w-]+) must have a value"
        ),
        _missing_option,
    ),
    _Case("reads-terminal", re.compile(r"^(EOFError): ", re.MULTILINE), _reads_input),
    _Case("no-display", re.compile(r"(no display name|cannot connect to X)"), _no_display),
    _Case(
        "variable-missing",
        re.compile(r'^ *File "[^"]*\bos(?:\.py|>)", .*\n(?: .*\n){0,3}KeyError: \'(\w+)\'', re.M),
        _missing_key,
    ),
)


def check_failure(plan: Plan, start: Start, missing_file: str) -> Check:
    """Return why a start failed, and what to change.

    Args:
        plan: The plan.
        start: The start.
        missing_file: Why the script does not find a file, if that is known.
    """
    assert start.ended is not None
    reason = start.ended.reason.strip()
    output = start.output or start.ended.log_tail
    line = error_line(output)
    text = reason.splitlines()[0] if reason else "failed"
    message = text if not line or line in text else f"{text}: {line}"
    file, number = _location(plan, output)
    if missing_file:
        return Check(
            severity="error", area="script", id="file-missing", message=message[:_MAX_TEXT],
            path="trial.inputs", fix=missing_file,
        )  # fmt: skip
    if check := _container_path(plan, output, message[:_MAX_TEXT]):
        return replace(check, file=file, line=number)
    source, trial = plan.facts.source, plan.study.trial
    if source and (
        module := explain_missing_module(output, trial, source, plan.facts.base, plan.local_python)
    ):
        return Check(
            severity="error", area="script", id="module-missing", message=message[:_MAX_TEXT],
            path=module.path, fix=module.text, command="\n".join(module.lines),
        )  # fmt: skip
    for case in _CASES:
        if match := case.pattern.search(output):
            detail = next((group for group in match.groups() if group), "")
            path, fix = case.fix(plan, detail)
            return Check(
                severity="error", area="script", id=case.id, message=message[:_MAX_TEXT],
                path=path, fix=fix, file=None if path else file, line=None if path else number,
            )  # fmt: skip
    unset = unset_variables(plan) if "NoneType" in message else []
    if unset:
        names = ", ".join(f"${name}" for name in unset[:_MAX_VARIABLES])
        return Check(
            severity="error", area="script", id="variable-missing", message=message[:_MAX_TEXT],
            file=file, line=number, fix=f"the script reads {names}, which is not set here: set it "
            "in trial.env, or pass an input by trial.args, as in --train={{inputs.train}}",
        )  # fmt: skip
    values = " ".join(f"{name}={value}" for name, value in start.parameters.items())
    fix = f"correct it, or the values of the trial: {values}"
    if _reads_words(plan):
        style = plan.study.trial.arguments
        fix = (
            "the script reads sys.argv itself: check that it accepts trial.arguments: "
            f"{style}, or {fix}"
        )
    return Check(
        severity="error", area="script", id="script-fails", message=message[:_MAX_TEXT],
        file=file, line=number, fix=fix[:_MAX_FIX],
    )  # fmt: skip


def _container_path(plan: Plan, output: str, message: str) -> Check | None:
    """Return what it means that a folder of a provider's containers is not on this machine."""
    owners = {
        folder: name
        for name, provider in registry.importable().items()
        for folder in provider.container_folders
    }
    match = re.search(_NO_PATH.format("|".join(map(re.escape, owners)) or "(?!)"), output)
    if match is None:
        return None
    folder, owner = match[1], owners[match[1]]
    fix = "take paths from variables or cloudtune.trial, with output_dir() and inputs()"
    if owner == plan.provider:
        return Check(
            severity="unknown", area="script", id="script-not-run",
            message=f"{folder} is only in {owner}'s containers, so the script cannot run here: "
            f"{message}",
            fix=f"{fix}; or rehearse in the image, with providers.{owner}.rehearse.images: true",
        )  # fmt: skip
    return Check(
        severity="error", area="script", id="file-missing",
        message=f"only {owner} has {folder}: {message}", fix=fix,
    )  # fmt: skip


def _reads_words(plan: Plan) -> bool:
    """Return whether the script reads the words of its arguments without a parser of options."""
    has_words = plan.study.trial.arguments in {"flags", "equals", "assign"}
    return has_words and "sys.argv" in _text(plan) and not defined_options(plan)


def _location(plan: Plan, output: str) -> tuple[str | None, int | None]:
    """Return the user's file and line in the innermost frame of a traceback."""
    files = plan.facts.files or ()
    for path, number in reversed(_FRAME.findall(output)):
        name = next((each for each in files if path == each or path.endswith(f"/{each}")), None)
        if name is not None:
            return shown_path(plan, name), int(number)
    return None, None


def _known(plan: Plan, name: str) -> bool:
    return name in plan.study.argument_names or name in plan.study.constants


def _field(plan: Plan, name: str) -> str:
    for known in (name, name.replace("-", "_"), name.replace("_", "-")):
        if known in plan.study.argument_names:
            owner = next((p for p in plan.study.maps if known.startswith(f"{p}.")), known)
            return f"parameters.{owner}"
        if known in plan.study.constants:
            return f"constants.{known}"
    return "trial.args"


def _imports(plan: Plan, module: str) -> bool:
    return bool(re.search(rf"^\s*(import|from) {module}\b", _text(plan), re.MULTILINE))


def _text(plan: Plan) -> str:
    return "\n".join(read_sources(plan).values())
