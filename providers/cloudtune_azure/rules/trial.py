"""Rules of a trial: its code, inputs, variables, metrics and arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.provider import Facts, Finding, Note, Study, largest_resources
from cloudtune.provider.pythons import check_python, command_version, image_version
from cloudtune.provider.secrets import check_visible_secrets
from cloudtune.provider.trial_checks import check_arguments, check_code
from cloudtune_azure.rules.settings import SETTINGS
from cloudtune_azure.settings import NAME, AzureSettings

_METRIC = re.compile(r"[\w./ -]{1,250}")
"""The names of metrics that MLflow accepts (mlflow.utils.validation, 3.7, read 2026-11-30)."""


def trial_rules(study: Study, settings: AzureSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the block ``trial`` and the arguments."""
    yield from check_code(study, facts, "Azure runs code: add a script, module or command")
    yield from _inputs(facts)
    yield from check_visible_secrets(
        study,
        NAME,
        readers="everyone who reads the workspace can see the variables of a job",
        advice="read it from a key vault by the identity of the job instead",
        accepted=settings.visible_secrets,
    )
    for name in ("cpus", "gpus", "memory"):
        if getattr(largest_resources(study), name):
            reason = f"depends on the machine: choose {SETTINGS}.instance_type or compute"
            yield Finding("dropped", f"trial.resources.{name}", reason)
    for metric in (*(each.metric for each in study.objectives), *study.trial.metrics):
        if not _METRIC.fullmatch(metric):
            reason = f"MLflow has no metric {metric!r}: use letters, digits and _-./"
            yield Finding("refused", "trial.metrics", reason)
    yield from check_arguments(study)
    if study.trial.script or study.trial.module:
        yield from _python(settings, facts)


def _python(settings: AzureSettings, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what the code requires of the Python that the settings name, if they do."""
    if facts.emulated:
        return
    if settings.conda_file:
        return  # its Python is that of the Conda environment
    field = "image" if settings.image else "environment"
    place = str(getattr(settings, field))
    if version := command_version(settings.python):
        yield from check_python(facts, f"{SETTINGS}.python", settings.python, version)
    else:
        name = f"the Python of {place}"
        yield from check_python(facts, f"{SETTINGS}.{field}", name, image_version(place))


def _inputs(facts: Facts) -> Iterator[Finding | Note]:
    for name, each in facts.data["inputs"].items():
        path, uri = f"trial.inputs.{name}", each["uri"]
        if not uri.startswith(("azureml://", "https://", "wasbs://", "abfss://", "/subscr")):
            reason = (
                f"jobs cannot read {uri}: use azureml://datastores/NAME/paths/PATH or a data asset,"
                " azureml:NAME:VERSION"
            )
            yield Finding("refused", path, reason)
        elif name not in facts.lookup.inputs.uploads:
            kind = "file" if each["jobInputType"] == "uri_file" else "folder"
            yield Note(path, f"mounted as a {kind}, by its name")
