"""Rules of a trial: its code, its metrics, its inputs and its environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.fit import FittedStudy
from cloudtune.provider.facts import Facts
from cloudtune.provider.lookup import has_code, input_address, uses_launcher
from cloudtune.study.schema import CategoricalParameter, DiscreteParameter, FromEnvironment, Mode
from cloudtune.study.search_space import format_value, list_nodes
from cloudtune.study.study import Study
from cloudtune_sagemaker.contract import toolkit
from cloudtune_sagemaker.request import metric_definitions
from cloudtune_sagemaker.request.metric_regex import LONGEST, CannotJoinError, joined
from cloudtune_sagemaker.request.parameters import CODE_CHANNEL, archive, definition_names
from cloudtune_sagemaker.rules.settings import HERE, LONGEST_URI
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

MOST_METRICS = 40
SAFE_METRICS = 20
LONGEST_METRIC = 255
MOST_CHANNELS = 20
MOST_VARIABLES = {"managed": 48, "driven": 100}
LONGEST_VARIABLE = 512
_CHANNEL = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
_URI = re.compile(r"(https|s3)://([^/]+)/?(.*)")


def trial_rules(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield what is wrong with how a trial is called and measured, or worth knowing of it."""
    study = fitted.study
    if uses_launcher(study, facts):
        yield from _code(study, settings, facts)
    elif has_code(study):
        yield from _code_elsewhere(fitted, facts)
    else:
        yield from _no_code(study)
    if has_code(study) and settings.algorithm:
        reason = "an algorithm is code of its own: leave this out, or give an image"
        yield Finding("refused", _call(study), reason)
    if fitted.flattened and not uses_launcher(study, facts):
        reason = "without cloudtune's launcher nothing withholds inactive parameters from the code"
        yield Finding("approximated", "parameters", reason)
    yield from _metrics(study, settings, facts)
    yield from _inputs(study, settings, facts)
    yield from _environment(fitted, mode)


def _call(study: Study) -> str:
    """Return the path of what starts the code."""
    way = next(way for way in ("script", "module", "command") if getattr(study.trial, way))
    return f"trial.{way}"


def _code(study: Study, settings: SageMakerSettings, facts: Facts) -> Iterator[Finding | Note]:
    trial = study.trial
    files = facts.own["files"]
    size = files["bytes"] / 1e6
    yield Note(
        "trial.source", f"{files['count']} files, {size:.1f} MB, are uploaded to {archive(facts)}"
    )
    if settings.image and not facts.emulated:
        text = "the image must have SageMaker's training toolkit, as the framework images do"
        yield Note(f"{HERE}.image", text)
    if trial.requirements and settings.network_isolation:
        text = "without a network nothing can be installed: the image must have what is listed"
        yield Note("trial.requirements", text)


def _code_elsewhere(fitted: FittedStudy, facts: Facts) -> Iterator[Finding]:
    """Yield what is lost where SageMaker's toolkit starts the code by itself."""
    trial = fitted.study.trial
    code: str = facts.own["code"]
    if not code.startswith("s3://") or not code.endswith(".tar.gz") or len(code) > LONGEST_URI:
        yield Finding("refused", "trial.source", "code that lies elsewhere is s3://….tar.gz")
    if not trial.script:
        reason = "of code that lies elsewhere SageMaker starts a script alone: give script"
        yield Finding("refused", _call(fitted.study), reason)
    why = "the code lies elsewhere, so SageMaker's toolkit starts it and not cloudtune's launcher"
    if trial.args:
        yield Finding("dropped", "trial.args", why)
    if trial.arguments != "flags":
        yield Finding("dropped", "trial.arguments", f"{why}: parameters come as flags")
    if trial.requirements and trial.requirements != "requirements.txt":
        yield Finding("dropped", "trial.requirements", f"{why}: it knows requirements.txt alone")
    for node in list_nodes(fitted.original):
        if isinstance(node.parameter, CategoricalParameter | DiscreteParameter):
            yield from _changed(f"parameters.{node.name}", node.parameter.values)
    for name, value in fitted.study.constants.items():
        yield from _changed(f"constants.{name}", [value])


def _changed(path: str, values: Sequence[Any]) -> Iterator[Finding]:
    changed = [
        (format_value(v), seen)
        for v in values
        if (seen := _as_the_toolkit_has_it(format_value(v))) != format_value(v)
    ]
    if changed:
        told = ", ".join(f"{sent!r} arrives as {seen!r}" for sent, seen in changed[:3])
        reason = f"SageMaker's toolkit reads JSON in values, and no launcher undoes it: {told}"
        yield Finding("approximated", path, reason)


def _as_the_toolkit_has_it(sent: str) -> str:
    """Return the word that a script is given by SageMaker's toolkit for what was sent."""
    return toolkit.words(toolkit.decode({"name": sent}).user)[-1]


def _no_code(study: Study) -> Iterator[Finding]:
    trial = study.trial
    why = "the image is the trial, and SageMaker gives it hyperparameters alone"
    if trial.args:
        yield Finding("dropped", "trial.args", why)
    if trial.arguments != "flags":
        yield Finding("dropped", "trial.arguments", why)
    if trial.requirements:
        yield Finding("dropped", "trial.requirements", "the image is the trial, with what it has")
    if trial.source:
        reason = "no script, module or command is named, so no code is sent"
        yield Finding("dropped", "trial.source", reason)


def _metrics(study: Study, settings: SageMakerSettings, facts: Facts) -> Iterator[Finding | Note]:
    sent = metric_definitions(study, settings, facts)
    if len(sent) > MOST_METRICS:
        reason = f"{len(sent)} metrics, and SageMaker takes at most {MOST_METRICS}"
        yield Finding("refused", "trial.metrics", reason)
    elif len(sent) > SAFE_METRICS:
        text = f"{len(sent)} metrics: one of AWS's pages allows {SAFE_METRICS}, another 40"
        yield Note("trial.metrics", text)
    for objective in study.objectives:
        path = "objective" if len(study.objectives) == 1 else "objective.0"
        if len(objective.metric) > LONGEST_METRIC:
            reason = f"a metric's name has at most {LONGEST_METRIC} characters"
            yield Finding("refused", f"{path}.metric", reason)
    for name, regex in sent.items():
        path = f"trial.metrics.{name}" if name in study.trial.metrics else "objective"
        if len(name) > LONGEST_METRIC and path != "objective":
            reason = f"a metric's name has at most {LONGEST_METRIC} characters"
            yield Finding("refused", path, reason)
        elif len(regex) > LONGEST:
            reason = f"the expression has {len(regex)} characters, and SageMaker takes {LONGEST}"
            yield Finding("refused", path, reason)
    if not uses_launcher(study, facts):
        yield from _read_by_the_service(study, settings, sent)


def _read_by_the_service(
    study: Study, settings: SageMakerSettings, sent: dict[str, str]
) -> Iterator[Finding | Note]:
    for name, expressions in study.trial.metrics.items():
        path = f"trial.metrics.{name}"
        if settings.algorithm and expressions:
            yield Finding("dropped", path, "an algorithm brings the expressions of its own metrics")
        elif expressions:
            try:
                joined(expressions)
            except CannotJoinError as error:
                if len(expressions) > 1:
                    yield Finding("dropped", path, f"{error}: the first one alone is sent")
                else:
                    yield Finding("refused", path, str(error))
    for place, objective in enumerate(study.objectives):
        path = "objective" if len(study.objectives) == 1 else f"objective.{place}"
        if objective.metric in sent:
            continue
        if has_code(study):
            reason = (
                "SageMaker finds a metric by an expression in what the code prints: give "
                f"trial.metrics.{objective.metric}"
            )
            yield Finding("refused", f"{path}.metric", reason)
        else:
            text = f"{objective.metric} must be a metric that is built into the image or algorithm"
            yield Note(f"{path}.metric", text)


def _inputs(study: Study, settings: SageMakerSettings, facts: Facts) -> Iterator[Finding | Note]:
    own = facts.own
    isolated = settings.network_isolation and has_code(study)
    count = len(study.trial.inputs) + isolated
    if count > MOST_CHANNELS:
        also = ", the code's among them" if isolated else ""
        reason = f"{count} inputs{also}, and SageMaker takes at most {MOST_CHANNELS}"
        yield Finding("refused", "trial.inputs", reason)
    for name in study.trial.inputs:
        path = f"trial.inputs.{name}"
        uri = own["inputs"][name]
        found = input_address(study, NAME, name, emulated=facts.emulated)
        if not _CHANNEL.fullmatch(name):
            reason = "SageMaker's inputs are named by 1 to 64 letters, digits, dots, hyphens and _"
            yield Finding("refused", path, reason)
        elif isolated and name == CODE_CHANNEL:
            reason = "without a network the code itself comes as the input of this name; rename it"
            yield Finding("refused", path, reason)
        theirs = uri if uri and name not in own["uploads"] else None
        if theirs and not (_URI.fullmatch(theirs) and len(theirs) <= LONGEST_URI):
            reason = f"SageMaker reads s3://BUCKET/… of at most {LONGEST_URI} characters"
            yield Finding("refused", path, reason)
        if found and len(found.content_type or "") > 256:
            yield Finding("refused", path, "a content type has at most 256 characters")


def _environment(fitted: FittedStudy, mode: Mode) -> Iterator[Finding | Note]:
    variables = fitted.study.trial.env
    parts = max(1, len(definition_names(fitted)))
    if len(variables) * parts > MOST_VARIABLES[mode]:
        times = f", once for each of {parts} definitions" if parts > 1 else ""
        reason = f"{len(variables)} variables{times}, and a job has at most {MOST_VARIABLES[mode]}"
        yield Finding("refused", "trial.env", reason)
    for name, value in variables.items():
        path = f"trial.env.{name}"
        if len(name) > LONGEST_VARIABLE or (
            isinstance(value, str) and len(value) > LONGEST_VARIABLE
        ):
            reason = f"a variable and its value have at most {LONGEST_VARIABLE} characters"
            yield Finding("refused", path, reason)
        if isinstance(value, FromEnvironment):
            text = "whoever may describe the job in the account sees its value"
            yield Note(path, text)
