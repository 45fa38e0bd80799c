"""Rules of a trial on either back end: its code, its words, its inputs and its environment."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.provider import (
    CategoricalParameter,
    Facts,
    Finding,
    FromEnvironment,
    Note,
    Study,
    format_value,
    has_code,
    input_address,
)
from cloudtune_watson.request.layout import archive_name
from cloudtune_watson.rules.settings import HERE
from cloudtune_watson.settings import NAME, WatsonSettings

_NOT_A_METRIC = frozenset({"step", "steps"})
"""What stands beside a metric in val_dict_list.json."""


def trial_rules(study: Study, settings: WatsonSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what is wrong with how a trial is called and measured, or worth knowing of it."""
    yield from _code(study, settings, facts)
    yield from _inputs(study, settings, facts)
    yield from _environment(study, settings)
    yield from _metrics(study)
    yield from _resources(study, settings)
    if settings.backend == "wml":
        yield from _words(study)


def _code(study: Study, settings: WatsonSettings, facts: Facts) -> Iterator[Finding | Note]:
    code = facts.lookup.code_address
    if not has_code(study):
        reason = "there is no image or algorithm that could be the trial: give a script"
        yield Finding("refused", "trial.script", reason)
        return
    if code is not None:
        reason = f"{code} cannot be reached from a trial: give a folder, which is sent"
        yield Finding("refused", "trial.source", reason)
        return
    files = facts.lookup.source
    size = f"{files.count} files, {files.size / 1e6:.1f} MB,"
    where = (
        "are stored once as a model definition"
        if settings.backend == "wml"
        else f"are sent with the request as {archive_name(facts)}"
    )
    yield Note("trial.source", f"{size} {where}")


def _inputs(study: Study, settings: WatsonSettings, facts: Facts) -> Iterator[Finding | Note]:
    inputs, local = facts.lookup.inputs, facts.data["local_inputs"]
    for place, name in enumerate(study.trial.inputs):
        path = f"trial.inputs.{name}"
        said = inputs.addresses[name]
        found = input_address(study, NAME, name, emulated=facts.emulated)
        if place:
            reason = "a trial on IBM Watson has one folder of data: put it beside the first input"
            yield Finding("refused", path, reason)
        elif said is None or name in inputs.absent or name in inputs.uploads:
            pass  # the core has told it
        elif name in local:
            reason = (
                f"{local[name]} is on this machine, and cloudtune brings no data to "
                f"a cluster: put it on the data volume and give its folder there, as {path}.{NAME}"
            )
            yield Finding("refused", path, reason)
        elif facts.emulated:
            reason = f"{said} is not on the emulator: give the input a local address, too"
            yield Finding("refused", path, reason)
        elif "://" in said:
            reason = (
                "a folder of the cluster's data volume, as mnist; other places are for native: "
                "training_data_references"
            )
            yield Finding("refused", path, reason)
        elif settings.backend == "wmla" and ("," in said or not said.isprintable()):
            yield Finding("refused", path, "WML Accelerator takes no commas in a folder's name")
        if found and found.content_type:
            reason = "IBM Watson knows no content types: the files are given as they are"
            yield Finding("dropped", path, reason)


def _environment(study: Study, settings: WatsonSettings) -> Iterator[Finding]:
    for name, value in study.trial.env.items():
        if isinstance(value, FromEnvironment):
            where = (
                "IBM documents no way to give a training a variable"
                if settings.backend == "wml"
                else "what a search tells its trials stands in the open in it"
            )
            reason = (
                f"{where}, and variables that are written out travel in the code that is sent: "
                "neither is a place for a secret. Let the script fetch it"
            )
            yield Finding("refused", f"trial.env.{name}", reason)


def _metrics(study: Study) -> Iterator[Finding]:
    several = len(study.objectives) > 1
    for place, objective in enumerate(study.objectives):
        if objective.metric in _NOT_A_METRIC:
            path = f"objective.{place}.metric" if several else "objective.metric"
            reason = f"{objective.metric} counts the steps in IBM's file of metrics; rename it"
            yield Finding("refused", path, reason)


def _resources(study: Study, settings: WatsonSettings) -> Iterator[Finding]:
    for name in ("cpus", "gpus", "memory"):
        if getattr(study.trial.resources, name):
            if settings.backend == "wml":
                reason = f"{HERE}.hardware_spec decides this: choose one with it"
            elif name == "gpus":
                reason = f"{HERE}.worker_devices decides this"
            else:
                reason = "WML Accelerator's resource plan decides this"
            yield Finding("dropped", f"trial.resources.{name}", reason)


def _words(study: Study) -> Iterator[Finding]:
    """Yield what cannot be a word of a command that is split as a shell does."""
    for name, definitions in study.parameters.items():
        path = f"parameters.{name}"
        if "=" in name or not name.isprintable():
            reason = "values arrive as --name=value in one line: no = and no line break in a name"
            yield Finding("refused", path, reason)
        for definition in definitions:
            if isinstance(definition, CategoricalParameter) and not all(
                format_value(value).isprintable() for value in definition.values
            ):
                reason = "values arrive as words of one line: no line break or tab in one"
                yield Finding("refused", f"{path}.values", reason)
