"""Rules of a trial: its code, arguments, inputs and environment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.provider import (
    BoolParameter,
    Facts,
    Finding,
    FromEnvironment,
    Mode,
    Note,
    Study,
    find_lost_values,
    largest_resources,
)
from cloudtune.provider.lookup import has_code, input_address, uses_launcher
from cloudtune_vertex.request.study_part import fixed_args
from cloudtune_vertex.rules.settings import SETTINGS, refuse
from cloudtune_vertex.settings import NAME, VertexSettings

MAX_VARIABLES = 100
MAX_ARGS_LENGTH = 100_000
"""Characters of all arguments together, in TUNING."""
ARGUMENTS = "without cloudtune's launcher, Vertex AI passes parameters as --name=value"
"""Why a study cannot choose how code gets its parameters."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_URI = re.compile(r"gs://[^/\s]+/\S.*")
_PLACEHOLDER = re.compile(r"\{\{([^{}]+)\}\}")
_PREDICTION_IMAGE = re.compile(r"(vertex-ai|cloud-aiplatform)/prediction/")
_RESERVED_VARIABLES = ("AIP_", "CLOUD_ML_")


def trial_rules(
    study: Study, mode: Mode, settings: VertexSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield the findings and notes on a trial."""
    if uses_launcher(study, facts):
        yield from _uploaded_code(facts)
    else:
        if has_code(study):
            yield from _code_in_storage(study, facts)
        else:
            yield from _no_code(study, settings, facts)
        yield from _without_launcher(study, mode, facts)
    for name in study.parameters:
        if "=" in name:
            reason = "a parameter's name must have no =, since values are passed as --name=value"
            yield Finding("refused", f"parameters.{name}", reason)
    yield from _inputs(study, facts)
    yield from _environment(study, mode, facts)
    for name in ("cpus", "gpus", "memory"):
        if getattr(largest_resources(study), name):
            reason = f"set {SETTINGS}.machine_type and accelerators instead"
            yield Finding("dropped", f"trial.resources.{name}", reason)


def image_switches(study: Study) -> Iterator[Finding | Note]:
    """Yield the booleans, which an image gets as --name=True: a switch does not accept a value.

    The study is the one as written, with its booleans.
    """
    if has_code(study):
        return
    why = "the image is the trial, and Vertex AI passes"
    for name, words in (study.trial.switches or {}).items():
        reason = (
            f"{why} --{name}=True, which the switch {words} does not accept: set a script, or let "
            "the image's program accept a value, and remove this"
        )
        yield Finding("refused", f"trial.switches.{name}", reason)
    for name, definitions in study.parameters.items():
        is_bool = any(isinstance(each, BoolParameter) for each in definitions)
        if is_bool and name not in (study.trial.switches or {}):
            text = f"{why} --{name}=True or --{name}=False: a switch without a value fails"
            yield Note(f"parameters.{name}", text, "warning")


def _uploaded_code(facts: Facts) -> Iterator[Note]:
    if facts.data["prebuilt"] or facts.emulated:
        return
    text = "your own image must have python3, version 3.7 or later"
    if _PREDICTION_IMAGE.search(facts.data["image"]):
        text = (
            "Google's image for predictions is treated as your own image, which must have python3: "
            "the training images are below vertex-ai/training"
        )
    yield Note(f"{SETTINGS}.image", text)


def _code_in_storage(study: Study, facts: Facts) -> Iterator[Finding]:
    trial, code = study.trial, str(facts.lookup.code_address)
    if not _URI.fullmatch(code):
        yield Finding("refused", "trial.source", "a package in Cloud Storage must be gs://BUCKET/…")
    elif facts.emulated:
        yield Finding("refused", "trial.source", f"{code} is not on the emulator: set a folder")
    if not facts.data["prebuilt"]:
        reason = (
            "only Google's prebuilt images install a package from Cloud Storage: set one of them "
            f"as {SETTINGS}.image, or set a folder"
        )
        yield Finding("refused", "trial.source", reason)
    if not trial.module:
        field = "script" if trial.script else "command"
        reason = "Vertex AI starts a package in Cloud Storage only as a module: set module"
        yield Finding("refused", f"trial.{field}", reason)
    if trial.requirements:
        yield Finding("dropped", "trial.requirements", "the package declares its requirements")


def _no_code(study: Study, settings: VertexSettings, facts: Facts) -> Iterator[Finding]:
    if study.trial.requirements:
        reason = "the image is the trial, and nothing is installed in it"
        yield Finding("dropped", "trial.requirements", reason)
    if study.trial.source:
        reason = "without script, module or command, no code is uploaded"
        yield Finding("dropped", "trial.source", reason)
    if facts.emulated and not settings.rehearse.images:
        reason = (
            "the emulator runs no images: set script, module or command, or run with --with-images"
        )
        yield refuse("image", reason)


def _without_launcher(study: Study, mode: Mode, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what changes when Vertex AI starts the code instead of the launcher."""
    trial = study.trial
    if mode == "driven":
        yield refuse(
            "mode",
            "a custom job returns no metrics, and only cloudtune's launcher saves them: set a "
            "script, or use managed mode",
        )
        return
    if trial.arguments not in {"flags", "equals"}:
        reason = ARGUMENTS
        yield Finding("dropped", "trial.arguments", reason)
        for path in find_lost_values(study, is_option=True):
            yield Finding("refused", path, f"{reason}, and argparse drops '--'")
    for name, regexes in trial.metrics.items():
        if regexes:
            reason = "this code's output is not read: it must report metrics by cloudml-hypertune"
            yield Finding("dropped", f"trial.metrics.{name}", reason)
    yield from placed_parameters(study)
    length = sum(map(len, fixed_args(study, facts.data["paths"])))
    if length > MAX_ARGS_LENGTH:
        reason = f"{length:,} characters in all: Vertex AI allows at most {MAX_ARGS_LENGTH:,}"
        yield Finding("refused", "trial.args", reason)
    text = (
        "the code must report its objective by cloudml-hypertune, under the metric's name; without "
        "cloudtune's launcher nothing ends a trial whose last value is not finite, and Vertex AI "
        "may count its last finite one (not verified)"
    )
    yield Note("objective", text)
    text = "Vertex AI formats the values that the code gets: an integer may arrive as 4.0"
    yield Note("parameters", text)


def placed_parameters(study: Study) -> Iterator[Finding]:
    """Yield a finding for each argument with a parameter's value."""
    for index, arg in enumerate(study.trial.args):
        used = {name.strip() for name in _PLACEHOLDER.findall(arg)} & set(study.parameters)
        if used:
            reason = (
                f"{', '.join(sorted(used))} cannot be used here without cloudtune's launcher, "
                "since Vertex AI appends parameters to the arguments"
            )
            yield Finding("refused", f"trial.args.{index}", reason)


def _inputs(study: Study, facts: Facts) -> Iterator[Finding]:
    inputs = facts.lookup.inputs
    for name in study.trial.inputs:
        path, uri = f"trial.inputs.{name}", inputs.addresses[name]
        if uri is not None and name not in inputs.uploads:
            if facts.emulated:
                reason = f"{uri} is not on the emulator: also set a local address"
                yield Finding("refused", path, reason)
            elif not _URI.fullmatch(uri):
                yield Finding("refused", path, "Vertex AI mounts only gs://BUCKET/…")
        address = input_address(study, NAME, name, emulated=facts.emulated)
        if address and address.content_type:
            yield Finding("dropped", path, "Vertex AI does not support content types")


def _environment(study: Study, mode: Mode, facts: Facts) -> Iterator[Finding | Note]:
    variables, empty = study.trial.env, facts.lookup.variables.empty
    added = 1 if mode == "driven" else 0
    added += 0 if uses_launcher(study, facts) else len(study.trial.inputs)
    if len(variables) + added > MAX_VARIABLES:
        including = f", including {added} that cloudtune adds" if added else ""
        count = len(variables) + added
        reason = f"{count} variables{including}: a job has at most {MAX_VARIABLES}"
        yield Finding("refused", "trial.env", reason)
    for name, value in variables.items():
        path = f"trial.env.{name}"
        if not _VARIABLE.fullmatch(name):
            reason = "a variable's name must have only letters, digits and _, and no digit first"
            yield Finding("refused", path, reason)
        if name.startswith(_RESERVED_VARIABLES):
            yield Finding("refused", path, "Vertex AI sets variables of this prefix: rename it")
        if value == "" or (isinstance(value, FromEnvironment) and value.from_env in empty):
            reason = "Vertex AI does not accept an empty variable: set a value, or remove it"
            yield Finding("refused", path, reason)
        if isinstance(value, FromEnvironment):
            text = "its value is visible to everyone who may read the job in the project"
            yield Note(path, text)
