"""How a study is written as the request of a SageMaker tuning job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cloudtune.formats import (
    Dialect,
    Native,
    is_remote,
    locate_code,
    map_at,
    named_entries,
    native_of,
    other_sources,
    source_address,
    take_block,
    unread_variables,
)
from cloudtune.provider import Finding, FittedStudy, Json, Note, Study, without_launcher
from cloudtune_sagemaker.capabilities import MANAGED
from cloudtune_sagemaker.native.names import WORDS
from cloudtune_sagemaker.request.study_part import JOB_PREFIX, study_part
from cloudtune_sagemaker.rules.tuning import limit_rules, tuning_rules
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

_IMAGE = "the image must contain the code, or a script must be in S3"
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}")
"""A name of a tuning job (HyperParameterTuningJobName, botocore 1.44.8)."""
_REQUIRED = {
    "role_arn": "RoleArn",
    "bucket": "OutputDataConfig",
    "instance_type": "ResourceConfig",
}
"""By setting, the required field of a training definition."""


_CAPABILITIES = without_launcher(
    MANAGED,
    fields=[
        *("constants", "trial.seed_argument", "strategy.resource", "strategy.min", "strategy.max"),
        *("trial.source", "trial.script", "trial.metrics", "trial.inputs", "trial.env"),
    ],
    reasons={
        "description": "a tuning job has no description; use a tag",
        "objective.select": "SageMaker takes the last value of a trial",
        "limits.max_failed_trials": "a tuning job tolerates any number of failures",
        "trial.args": "an image gets only hyperparameters",
        "trial.arguments": "SageMaker passes options, such as --lr 0.1",
        "trial.module": _IMAGE,
        "trial.command": _IMAGE,
        "trial.requirements": "put requirements.txt into the archive in S3",
        "trial.switches": "SageMaker passes values as they are",
        "trial.resources": "set the instance type",
        "trial.retry": "the memory is that of the instance type",
        "trial.select": "SageMaker keeps the last value of each metric",
    },
)


def _settings(study: Study) -> SageMakerSettings:
    return SageMakerSettings.model_validate(study.providers.get(NAME, {}))


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    return study_part(fitted, _settings(fitted.study), native)


_RANGES = ("HyperParameterTuningJobConfig", "ParameterRanges")


def _native(study: Study) -> Native:
    rest = native_of(study, NAME)
    entries: dict[str, list[Any]] = {}
    ranges = map_at(rest, *_RANGES)
    for kind in [key for key in ranges if key != "AutoParameters"]:
        entries |= named_entries(take_block(rest, *_RANGES, kind), "Name")
    return Native(rest, None, entries)


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, settings = fitted.study, _settings(fitted.study)
    yield from tuning_rules(fitted)
    if settings.framework:
        text = "only `cloudtune plan` looks up the image; set image"
        yield Note(f"providers.{NAME}.framework", text, "warning")
    if study.name and not _NAME.fullmatch(study.name):
        text = "SageMaker takes at most 32 letters, digits and hyphens as a name: change it"
        yield Note("name", text, "warning")
    yield from other_sources(study, NAME)
    yield from _input_rules(study)
    yield from unread_variables(study)
    if study.trial.script and not is_remote(source_address(study, NAME)):
        for key in ("script", "source") if study.trial.source else ("script",):
            text = f"{locate_code(study, NAME)}: put an archive into S3 and set trial.source.{NAME}"
            yield Finding("dropped", f"trial.{key}", text)
    elif study.trial.source and not study.trial.script:
        yield Finding("dropped", "trial.source", "without trial.script, the image has the code")
    for parent in study.warm_start.from_ if study.warm_start else ():
        if not parent.startswith(JOB_PREFIX):
            text = f"{parent} is not a tuning job of SageMaker"
            yield Finding("approximated", "warm_start.from", text)
    if not native.rest.keys() & {"TrainingJobDefinition", "TrainingJobDefinitions"}:
        yield from _required(study, settings)


def _input_rules(study: Study) -> Iterator[Finding | Note]:
    for name, addresses in study.trial.inputs.items():
        address = addresses.get(NAME) or addresses.get("*")
        if address is None or not is_remote(address.uri):
            reason = f"it has no address in S3: set trial.inputs.{name}.{NAME}"
            yield Finding("dropped", f"trial.inputs.{name}", reason)
        for other in addresses.keys() - {NAME, "*"}:
            yield Note(f"trial.inputs.{name}.{other}", f"is only for {other}, so it is left out")


def _required(study: Study, settings: SageMakerSettings) -> Iterator[Note]:
    """Yield a warning for each field that SageMaker needs and the study does not have."""
    for key, required in _REQUIRED.items():
        if getattr(settings, key) is None:
            text = f"absent: SageMaker needs {required}; set it"
            yield Note(f"providers.{NAME}.{key}", text, "warning")
    if settings.image is None and settings.algorithm is None:
        text = "absent: SageMaker needs an image or an algorithm; set it"
        yield Note(f"providers.{NAME}.image", text, "warning")
    for finding in limit_rules(study):
        yield Note(finding.path, f"absent: {finding.reason}", "warning")
    if study.limits.trial_timeout is None:
        text = "absent: SageMaker needs StoppingCondition; set it"
        yield Note("limits.trial_timeout", text, "warning")


SAGEMAKER = Dialect(
    name=NAME,
    title="SageMaker",
    capabilities=_CAPABILITIES,
    words=WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
