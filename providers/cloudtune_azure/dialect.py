"""How a study is written as a sweep job of Azure, or as the AutoML job that was imported."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import partial

from cloudtune.formats import (
    Branches,
    Dialect,
    Native,
    map_at,
    other_sources,
    source_address,
)
from cloudtune.provider import (
    Finding,
    FittedStudy,
    Json,
    Note,
    Study,
    without_launcher,
)
from cloudtune_azure.capabilities import MANAGED, STOPPING_FIELDS, adjust_bools
from cloudtune_azure.native.code import read_code
from cloudtune_azure.native.names import WORDS, is_automl
from cloudtune_azure.request.run_part import is_plain
from cloudtune_azure.request.space_writer import option_key
from cloudtune_azure.request.study_part import kept_native, study_part, time_unit
from cloudtune_azure.rules.tuning import rounded, study_rules
from cloudtune_azure.settings import NAME

_PARAMETER = r"(\$\{\{\s*search_space\.([^\s{}]+)\s*\}\})"
"""How a command names a parameter."""
_CAPABILITIES = without_launcher(
    MANAGED,
    text_only=False,
    methods=None,
    adjust=partial(adjust_bools, launched=False),
    fields=[
        *("description", "constants", "trial.source", "trial.script", "trial.module"),
        *("trial.args", "trial.inputs", *STOPPING_FIELDS),
    ],
    reasons={
        "objective.target": "a sweep does not end at a value",
        "objective.select": "Azure decides which value of a metric counts",
        "limits.max_failed_trials": "a sweep has no limit of failed trials",
        "limits.patience": "a sweep does not end without improvement",
        "trial.metrics": "Azure reads metrics from mlflow.log_metric(); add it to the script",
        "trial.select": "Azure decides which value of a metric counts",
        "trial.command": "put it into trial.command of the job",
        "trial.requirements": "put them into the environment of the job",
        "trial.arguments": "the command of the job passes options, such as --lr 0.1",
        "trial.switches": "the command of the job passes values as they are",
        "trial.env": "put them into trial.environment_variables of the job",
        "trial.resources": "put them into resources of the job",
        "trial.retry": "a sweep does not start a trial again",
    },
)


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study = fitted.study
    job = study_part(study, native)
    if not is_automl(native.rest) and "trial" not in native.rest:
        job["trial"] = _trial(study, [*job["search_space"]])
    return job


def _trial(study: Study, names: list[str]) -> Json:
    trial = study.trial
    program = ["python", trial.script] if trial.script else ["python", "-m", str(trial.module)]
    if trial.script is None and trial.module is None:
        return {}
    values = [f'--{name} "${{{{search_space.{name}}}}}"' for name in names]
    values += [f"--{name} {shlex.quote(str(value))}" for name, value in study.constants.items()]
    code = source_address(study, NAME) or "."
    return {"code": code, "command": " ".join([shlex.join(program), *values])}


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, rest = fitted.study, native.rest
    automl = is_automl(rest)
    if not study.objectives:
        yield Finding("refused", "objective", "a sweep has exactly one objective")
    yield from study_rules(fitted, unit=time_unit(rest))
    if not rest:  # else the ranges are those of the imported job
        yield from rounded(fitted)
    yield from _condition_rules(study, native, automl=automl)
    yield from other_sources(study, NAME)
    yield from _dangling_references(study, rest)
    yield from _code_rules(study, rest, automl=automl)


def _dangling_references(study: Study, rest: Json) -> Iterator[Note]:
    """Yield what the command of the imported job passes of parameters that the study lacks."""
    command = str(map_at(rest, "trial").get("command", ""))
    for reference, name in dict.fromkeys(re.findall(_PARAMETER, command)):
        if name not in study.parameters:
            text = f"uses {reference}, of a parameter that is gone: remove it"
            yield Note(f"providers.{NAME}.native.trial.command", text, "warning")


def _condition_rules(study: Study, native: Native, *, automl: bool) -> Iterator[Finding]:
    branches = Branches(study)
    parents = [name for name, _ in branches.roots if branches.has_children(name)]
    if automl and len(parents) > 1:
        reason = "in AutoML, only one choice can have conditional parameters"
        yield Finding("refused", f"parameters.{parents[1]}", reason)
    for name in parents if not automl else ():
        if not native.part(name):
            key = option_key(native, name, study.parameters)
            text = f"a choice of maps: the script is given a map with {key} instead of {name}"
            yield Finding("approximated", f"parameters.{name}", text)


def _code_rules(study: Study, rest: Json, *, automl: bool) -> Iterator[Finding | Note]:
    trial = study.trial
    if not automl and "trial" not in rest:
        command = "" if trial.script or trial.module else "a command and "
        needs = f"{command}an environment in trial and a compute"
        text = f"incomplete: Azure needs {needs}; add them to the file"
        yield Note(f"providers.{NAME}.native", text, "warning")
    if _keeps_code(study, rest):
        return
    for path, value, place in (
        ("trial.args", trial.args, "trial.command"),
        ("trial.inputs", trial.inputs, "inputs"),
    ):
        if value:
            yield Finding("dropped", path, f"put them into {place} of the job")
    if not automl and "trial" not in rest and (trial.script or trial.module):
        for name, parameter in Branches(study).roots:
            if not is_plain(name, parameter):
                variable = f"let the script read the variable AZUREML_SWEEP_{name}"
                reason = f"a shell passes it, which may change its name or values: {variable}"
                yield Finding("approximated", f"parameters.{name}", reason)
        return
    reason = "the code is that of the imported job: change it in the file"
    if not rest:
        reason = "without trial.script, put them into trial.command of the job"
    for path, code in (
        ("constants", study.constants),
        ("trial.source", trial.source),
        ("trial.script", trial.script),
        ("trial.module", trial.module),
    ):
        if code:
            yield Finding("dropped", path, reason)


def _keeps_code(study: Study, rest: Json) -> bool:
    """Return whether the job's own command starts the script of the study as the study does."""
    block, trial = read_code(rest), study.trial
    if block is None:
        return False
    inputs = {name: places.get("*") for name, places in trial.inputs.items()}
    return (
        block.get("script") == trial.script
        and block.get("module") == trial.module
        and tuple(block["args"]) == tuple(trial.args)
        and block.get("inputs", {}) == {n: each and each.uri for n, each in inputs.items()}
    )


AZURE = Dialect(
    name=NAME,
    title="Azure",
    capabilities=_CAPABILITIES,
    words=WORDS,
    study_part=_study_part,
    native=kept_native,
    rules=_rules,
)
