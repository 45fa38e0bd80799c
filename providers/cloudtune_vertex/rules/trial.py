"""Rules of a trial: its code, its words, its inputs and its environment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudtune.provider import (
    Facts,
    Finding,
    FittedStudy,
    FromEnvironment,
    Mode,
    Note,
    Study,
    has_code,
    input_address,
    uses_launcher,
)
from cloudtune_vertex.request import words
from cloudtune_vertex.request.layout import source
from cloudtune_vertex.rules.settings import HERE
from cloudtune_vertex.settings import NAME

MOST_VARIABLES = 100
LONGEST_ARGS = 100_000
"""Characters of all words together, in TUNING."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_URI = re.compile(r"gs://[^/\s]+/\S.*")
_PLACEHOLDER = re.compile(r"\{\{([^{}]+)\}\}")
_PREDICTION = re.compile(r"(vertex-ai|cloud-aiplatform)/prediction/")
_OWN_VARIABLES = ("AIP_", "CLOUD_ML_")


def trial_rules(fitted: FittedStudy, mode: Mode, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what is wrong with how a trial is called and measured, or worth knowing of it."""
    study = fitted.study
    if uses_launcher(study, facts):
        yield from _code(study, facts)
    else:
        yield from _code_elsewhere(study, facts) if has_code(study) else _no_code(study, facts)
        yield from _without_launcher(study, mode, facts)
    yield from _names(fitted)
    yield from _inputs(study, facts)
    yield from _environment(study, mode, facts)
    yield from _resources(study)


def _code(study: Study, facts: Facts) -> Iterator[Finding | Note]:
    data = facts.data
    files = facts.lookup.source
    size = f"{files.count} files, {files.size / 1e6:.1f} MB,"
    yield Note("trial.source", f"{size} are uploaded to {source(facts, study)}")
    if not data["prebuilt"] and not facts.emulated:
        text = "an image of your own must have python3, in version 3.7 or later"
        if _PREDICTION.search(data["image"]):
            text = (
                "Google made this image for predictions, so it is taken for one of your own, which "
                "must have python3: those for training are below vertex-ai/training"
            )
        yield Note(f"{HERE}.image", text)


def _code_elsewhere(study: Study, facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong where a package of the user's lies in Cloud Storage already."""
    trial, code = study.trial, str(facts.lookup.code_address)
    path = "trial.source"
    if not _URI.fullmatch(code):
        yield Finding("refused", path, "a Python package that lies elsewhere is gs://BUCKET/…")
    elif facts.emulated:
        yield Finding("refused", path, f"{code} is not on the emulator: give a folder")
    if not facts.data["prebuilt"]:
        reason = (
            "only Google's prebuilt images install a package that lies elsewhere: name one of them "
            f"as {HERE}.image, or give a folder"
        )
        yield Finding("refused", path, reason)
    if not trial.module:
        way = "script" if trial.script else "command"
        reason = "of a package that lies elsewhere a module is started: give module instead"
        yield Finding("refused", f"trial.{way}", reason)
    if trial.requirements:
        reason = "the package itself says what it needs"
        yield Finding("dropped", "trial.requirements", reason)


def _no_code(study: Study, facts: Facts) -> Iterator[Finding]:
    trial = study.trial
    if trial.requirements:
        yield Finding("dropped", "trial.requirements", "the image is the trial, with what it has")
    if trial.source:
        reason = "no script, module or command is named, so no code is sent"
        yield Finding("dropped", "trial.source", reason)
    if facts.emulated:
        reason = "the emulator runs no images: give a script, module or command"
        yield Finding("refused", f"{HERE}.image", reason)


def _without_launcher(study: Study, mode: Mode, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what is lost where the service starts code that is not begun by our launcher."""
    trial = study.trial
    if mode == "driven":
        reason = (
            "a custom job returns no metrics, and what it measures is written by cloudtune's "
            "launcher alone: give a script, or use managed mode"
        )
        yield Finding("refused", f"{HERE}.mode", reason)
        return
    if trial.arguments not in {"flags", "equals"}:
        reason = "Vertex AI appends parameters as --name=value, and no launcher changes that"
        yield Finding("dropped", "trial.arguments", reason)
    for name, expressions in trial.metrics.items():
        if expressions:
            reason = (
                "nothing reads what this code prints: it must report its metrics by "
                "cloudml-hypertune itself"
            )
            yield Finding("dropped", f"trial.metrics.{name}", reason)
    for place, word in enumerate(trial.args):
        named = {name.strip() for name in _PLACEHOLDER.findall(word)} & set(study.parameters)
        if named:
            reason = (
                f"Vertex AI appends parameters itself, so {', '.join(sorted(named))} cannot stand "
                "here without cloudtune's launcher"
            )
            yield Finding("refused", f"trial.args.{place}", reason)
    size = sum(map(len, words(study, facts.data)))
    if size > LONGEST_ARGS:
        reason = f"all words have {size:,} characters, and a container takes {LONGEST_ARGS:,}"
        yield Finding("refused", "trial.args", reason)
    text = "the code must report its objective by cloudml-hypertune, under the metric's name"
    yield Note("objective", text)
    text = "the code is given values as Vertex AI writes them: a whole number may come as 4.0"
    yield Note("parameters", text)


def _names(fitted: FittedStudy) -> Iterator[Finding]:
    """Yield the names that cannot be told from their values where both are one word."""
    for name in fitted.study.parameters:
        if "=" in name:
            reason = "values arrive as --name=value, so a name has no = in it; rename it"
            yield Finding("refused", f"parameters.{name}", reason)


def _inputs(study: Study, facts: Facts) -> Iterator[Finding | Note]:
    inputs = facts.lookup.inputs
    for name in study.trial.inputs:
        path = f"trial.inputs.{name}"
        uri = inputs.addresses[name]
        found = input_address(study, NAME, name, emulated=facts.emulated)
        if uri is not None and name not in inputs.uploads:
            if facts.emulated:
                reason = f"{uri} is not on the emulator: give the input a local address, too"
                yield Finding("refused", path, reason)
            elif not _URI.fullmatch(uri):
                yield Finding("refused", path, "Vertex AI mounts gs://BUCKET/… alone")
        if found and found.content_type:
            reason = "Vertex AI knows no content types: the files are given as they are"
            yield Finding("dropped", path, reason)


def _environment(study: Study, mode: Mode, facts: Facts) -> Iterator[Finding | Note]:
    variables, empty = study.trial.env, facts.lookup.variables.empty
    ours = 1 if mode == "driven" else 0
    ours += 0 if uses_launcher(study, facts) else len(study.trial.inputs)
    if len(variables) + ours > MOST_VARIABLES:
        also = f", {ours} of them cloudtune's" if ours else ""
        reason = f"{len(variables) + ours} variables{also}, and a job has at most {MOST_VARIABLES}"
        yield Finding("refused", "trial.env", reason)
    for name, value in variables.items():
        path = f"trial.env.{name}"
        if not _VARIABLE.fullmatch(name):
            reason = "a variable is named by letters, digits and _, with no digit first"
            yield Finding("refused", path, reason)
        if name.startswith(_OWN_VARIABLES):
            reason = "Vertex AI tells the trial by this where it is; rename it"
            yield Finding("refused", path, reason)
        if value == "" or (isinstance(value, FromEnvironment) and value.from_env in empty):
            reason = "Vertex AI takes no variable without a value: give it one, or leave it out"
            yield Finding("refused", path, reason)
        if isinstance(value, FromEnvironment):
            yield Note(path, "whoever may read the job in the project sees its value")


def _resources(study: Study) -> Iterator[Finding]:
    for name in ("cpus", "gpus", "memory"):
        if getattr(study.trial.resources, name):
            reason = f"the machine decides this: choose {HERE}.machine_type and accelerators for it"
            yield Finding("dropped", f"trial.resources.{name}", reason)
