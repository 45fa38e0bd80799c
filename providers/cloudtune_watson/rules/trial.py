"""Rules of a trial on either back end: its code, parameters, inputs, variables and metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cloudtune.provider import (
    CategoricalParameter,
    Facts,
    Finding,
    Note,
    Study,
    format_value,
    has_code,
    input_address,
    largest_resources,
    secret_variables,
)
from cloudtune_watson.rules.settings import SETTINGS
from cloudtune_watson.settings import NAME, WatsonSettings
from cloudtune_watson.versions import Backend

_STEP_KEYS = frozenset({"step", "steps"})
"""Keys of val_dict_list.json that are not metrics."""
_ASSET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_NO_VARIABLES: Mapping[Backend, str] = {
    "wml": "IBM documents no variables for a training",
    "wmla": "a search stores its variables in plain text",
}
"""Why a secret cannot be a variable."""


def trial_rules(study: Study, settings: WatsonSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the block ``trial``, the metrics and the arguments."""
    yield from _code(study, facts)
    yield from _inputs(study, settings, facts)
    yield from _secrets(study, settings)
    yield from _metrics(study, settings)
    yield from _resources(study, settings)
    if settings.service == "wml":
        yield from _arguments(study)


def _code(study: Study, facts: Facts) -> Iterator[Finding]:
    address = facts.lookup.code_address
    if not has_code(study):
        reason = "IBM Watson has no image or algorithm that replaces the code: add a script"
        yield Finding("refused", "trial.script", reason)
    elif address is not None:
        reason = f"trials cannot read {address}: set a folder, which is sent"
        yield Finding("refused", "trial.source", reason)


def _inputs(study: Study, settings: WatsonSettings, facts: Facts) -> Iterator[Finding]:
    for index, name in enumerate(study.trial.inputs):
        path = f"trial.inputs.{name}"
        if index:
            reason = "a trial has one data folder: add the files to the first input"
            yield Finding("refused", path, reason)
        elif reason := _input_problem(name, settings, facts):
            yield Finding("refused", path, reason)
        source = input_address(study, NAME, name, emulated=facts.emulated)
        if source and source.content_type:
            reason = "IBM Watson has no content types: files are passed unchanged"
            yield Finding("dropped", path, reason)


def _input_problem(name: str, settings: WatsonSettings, facts: Facts) -> str:
    """Return why an input cannot be used; empty if it can, or if the core reports the reason."""
    inputs, local = facts.lookup.inputs, facts.data["local_inputs"]
    address = inputs.addresses[name]
    if address is None or name in inputs.absent or name in inputs.uploads:
        return ""
    if settings.service == "jobs":
        return _asset_problem(name, address, local, emulated=facts.emulated)
    if name in local:
        return (
            f"cloudtune does not upload {local[name]} to a cluster: copy it to the data volume and "
            f"set its folder there as trial.inputs.{name}.{NAME}"
        )
    if facts.emulated:
        return f"the emulator does not have {address}: add a local address"
    if "://" in address:
        return (
            "must be a folder of the cluster's data volume, such as mnist; other sources need "
            "native: training_data_references"
        )
    if settings.service == "wmla" and ("," in address or not address.isprintable()):
        return "WML Accelerator accepts no comma or control character in the name of a folder"
    return ""


def _asset_problem(name: str, address: str, local: Mapping[str, str], *, emulated: bool) -> str:
    if name in local and emulated:
        return (
            f"cloudtune does not upload {local[name]} to the emulator as a data asset: rehearse a "
            "study with inputs with backend: wml"
        )
    if name in local:
        return (
            f"cloudtune does not upload {local[name]} to a space: create a data asset there and "
            f"set its id as trial.inputs.{name}.{NAME}"
        )
    if not _ASSET_ID.fullmatch(address):
        return (
            "must be the id of a data asset of the space, which IBM copies to the trial; let the "
            "script read other sources itself"
        )
    return ""


def _secrets(study: Study, settings: WatsonSettings) -> Iterator[Finding]:
    problem = _NO_VARIABLES.get(settings.service or "wml")
    if problem is None:
        return
    reason = f"{problem}, and literal values are sent with the code: let the script fetch secrets"
    for name in secret_variables(study):
        yield Finding("refused", f"trial.env.{name}", reason)


def _metrics(study: Study, settings: WatsonSettings) -> Iterator[Finding]:
    if settings.service == "jobs":  # which has a file of its own
        return
    for index, objective in enumerate(study.objectives):
        if objective.metric in _STEP_KEYS:
            reason = f"{objective.metric} counts the steps in IBM's metrics file: rename the metric"
            yield Finding("refused", f"{study.objective_path(index)}.metric", reason)


def _resources(study: Study, settings: WatsonSettings) -> Iterator[Finding]:
    for name in ("cpus", "gpus", "memory"):
        if getattr(largest_resources(study), name):
            if settings.service != "wmla":
                reason = f"depends on the hardware: choose {SETTINGS}.hardware_spec"
            elif name == "gpus":
                reason = f"set {SETTINGS}.worker_devices instead"
            else:
                reason = "depends on WML Accelerator's resource plan"
            yield Finding("dropped", f"trial.resources.{name}", reason)


def _arguments(study: Study) -> Iterator[Finding]:
    """Yield the names and values that cannot be part of a command line."""
    for name, variants in study.parameters.items():
        path = f"parameters.{name}"
        if "=" in name or not name.isprintable():
            reason = "passed as --name=value, so the name must not contain = or a line break"
            yield Finding("refused", path, reason)
        for parameter in variants:
            if isinstance(parameter, CategoricalParameter) and not all(
                format_value(value).isprintable() for value in parameter.values
            ):
                reason = "passed on one line, so values must not contain a line break or a tab"
                yield Finding("refused", f"{path}.values", reason)
