"""The sweep job of a run: the part of the study, with names, code, machine, inputs and outputs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from cloudtune.formats import Branches
from cloudtune.provider import (
    CategoricalParameter,
    Facts,
    Json,
    Parameter,
    Study,
    format_value,
    merge_json,
)
from cloudtune_azure.native.names import RUN_FIELDS
from cloudtune_azure.request.rest import to_rest
from cloudtune_azure.request.study_part import kept_native, study_part
from cloudtune_azure.request.training_job import command, job_part, outputs_folder, trial_part
from cloudtune_azure.settings import AzureSettings

_PLAIN_NAME = re.compile(r"\w+")
_PLAIN_TEXT = re.compile(r"[\w.,:/+-]*")


def sweep_job(study: Study, settings: AzureSettings, facts: Facts) -> Json:
    """Return the body of ``PUT jobs/{name}`` for the sweep of a fitted study."""
    if study.strategy.name == "random":
        strategy = study.strategy.model_copy(update={"seed": facts.seed})
        study = study.model_copy(update={"strategy": strategy})
    native = kept_native(study)
    kept = {key: native.rest[key] for key in RUN_FIELDS if key in native.rest}
    native = replace(native, rest=kept)
    document: Json = merge_json(study_part(study, native), native.rest)
    branches = Branches(study)
    tuned = [
        name
        for name, parameter in branches.roots
        if is_plain(name, parameter) and not branches.has_children(name)
    ]
    start = command(settings.python, facts, {}, tuned)
    properties: Json = {
        **to_rest(document),
        "displayName": facts.job_name,
        **job_part(study, settings, facts, outputs=outputs_folder(facts, settings)),
        "trial": trial_part(study, settings, facts, start),
    }
    return {"properties": properties}


def is_plain(name: str, parameter: Parameter) -> bool:
    """Return whether the command can pass a parameter: no shell changes its name or a value.

    The launcher reads the others from the variables that Azure sets.
    """
    values: list[Any] = parameter.values if isinstance(parameter, CategoricalParameter) else []
    return _PLAIN_NAME.fullmatch(name) is not None and all(
        _PLAIN_TEXT.fullmatch(format_value(value)) for value in values
    )
