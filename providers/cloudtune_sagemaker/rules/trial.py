"""Rules of a trial: its code, metrics, inputs and environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cloudtune.provider import (
    CategoricalParameter,
    DiscreteParameter,
    Facts,
    Finding,
    FittedStudy,
    FromEnvironment,
    Mode,
    Note,
    Study,
    Value,
    format_value,
    list_nodes,
    looks_like_option,
)
from cloudtune.provider.lookup import has_code, input_address, uses_launcher
from cloudtune_sagemaker.request.layout import CHANNELS, CODE_CHANNEL
from cloudtune_sagemaker.request.metric_regex import (
    MAX_LENGTH,
    MAX_METRICS,
    SAMPLE,
    CannotJoinError,
    join_regexes,
    read_part,
)
from cloudtune_sagemaker.request.parameters import definition_names
from cloudtune_sagemaker.request.run_part import metric_definitions
from cloudtune_sagemaker.rules.settings import MAX_URI_LENGTH, SETTINGS, refuse
from cloudtune_sagemaker.settings import NAME, SageMakerSettings

SAFE_METRICS = 20
MAX_METRIC_LENGTH = 255
MAX_CHANNELS = 20
MAX_VARIABLES = {"managed": 48, "driven": 100}
MAX_VARIABLE_LENGTH = 512
_CHANNEL = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
_URI = re.compile(r"(https|s3)://([^/]+)/?(.*)")


def trial_rules(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    """Yield the findings and notes on a trial."""
    study = fitted.study
    if uses_launcher(study, facts):
        yield from _uploaded_code(fitted, settings, facts)
    elif has_code(study):
        yield from _code_in_s3(fitted, facts)
    else:
        yield from _no_code(study)
    if has_code(study) and settings.algorithm:
        reason = (
            "an algorithm includes its code: remove this field, or set image instead of algorithm"
        )
        yield Finding("refused", _call_path(study), reason)
    if fitted.flattened and not uses_launcher(study, facts):
        reason = "only cloudtune's launcher withholds inactive parameters: the code gets them all"
        yield Finding("approximated", "parameters", reason)
    yield from _metrics(study, settings, facts)
    yield from _inputs(study, settings, facts)
    yield from _environment(fitted, mode, settings)
    if facts.emulated:
        yield from _emulator(study, settings, facts)


def _call_path(study: Study) -> str:
    fields = ("script", "module", "command")
    return f"trial.{next(field for field in fields if getattr(study.trial, field))}"


def _uploaded_code(
    fitted: FittedStudy, settings: SageMakerSettings, facts: Facts
) -> Iterator[Finding | Note]:
    study = fitted.study
    if settings.image and not facts.emulated:
        text = "the image must have SageMaker's training toolkit, as the framework images do"
        yield Note(f"{SETTINGS}.image", text)
    if study.trial.requirements and settings.network_isolation:
        text = "without a network pip cannot install them: the image must have them"
        yield Note("trial.requirements", text)


def _code_in_s3(fitted: FittedStudy, facts: Facts) -> Iterator[Finding]:
    """Yield what changes when SageMaker's toolkit starts the code instead of the launcher."""
    trial = fitted.study.trial
    code = str(facts.lookup.code_address)
    if not code.startswith("s3://") or not code.endswith(".tar.gz") or len(code) > MAX_URI_LENGTH:
        yield Finding("refused", "trial.source", "code in S3 must be s3://….tar.gz")
    if not trial.script:
        reason = "SageMaker's toolkit starts code in S3, and only as a script: set script"
        yield Finding("refused", _call_path(fitted.study), reason)
    why = "SageMaker's toolkit starts code in S3, not cloudtune's launcher"
    if trial.args:
        yield Finding("dropped", "trial.args", why)
    if trial.arguments != "flags":
        yield Finding("dropped", "trial.arguments", f"{why}: parameters are passed as flags")
    if trial.requirements and trial.requirements != "requirements.txt":
        yield Finding("dropped", "trial.requirements", f"{why}: it installs only requirements.txt")
    for node in list_nodes(fitted.original):
        if isinstance(node.parameter, CategoricalParameter | DiscreteParameter):
            yield from _options(f"parameters.{node.name}", node.parameter.values)
    for name, value in fitted.study.constants.items():
        yield from _options(f"constants.{name}", [value])


def _options(path: str, values: Sequence[Value]) -> Iterator[Finding]:
    for text in filter(looks_like_option, map(format_value, values)):
        reason = f"SageMaker's toolkit passes --NAME {text}, which argparse does not accept"
        yield Finding("refused", path, reason)


def _no_code(study: Study) -> Iterator[Finding]:
    trial = study.trial
    why = "the image is the trial, and SageMaker passes it only hyperparameters"
    why_nothing_installed = "the image is the trial, and nothing is installed in it"
    for field, is_set, reason in (
        ("args", trial.args, why),
        ("arguments", trial.arguments != "flags", why),
        ("switches", trial.switches, f"{why}, booleans as the texts True and False"),
        ("requirements", trial.requirements, why_nothing_installed),
        ("source", trial.source, "without script, module or command, no code is uploaded"),
    ):
        if is_set:
            yield Finding("dropped", f"trial.{field}", reason)


def _metrics(study: Study, settings: SageMakerSettings, facts: Facts) -> Iterator[Finding | Note]:
    definitions = metric_definitions(study, settings, facts)
    count = len(definitions)
    if count > MAX_METRICS:
        reason = f"{count} metrics: SageMaker accepts at most {MAX_METRICS}"
        yield Finding("refused", "trial.metrics", reason)
    elif count > SAFE_METRICS:
        text = f"{count} metrics: one AWS page allows {SAFE_METRICS}, another 40"
        yield Note("trial.metrics", text)
    too_long = f"a metric's name must have at most {MAX_METRIC_LENGTH} characters"
    for objective in study.objectives:
        path = "objective" if len(study.objectives) == 1 else "objective.0"
        if len(objective.metric) > MAX_METRIC_LENGTH:
            yield Finding("refused", f"{path}.metric", too_long)
    for name, regex in definitions.items():
        path = f"trial.metrics.{name}" if name in study.trial.metrics else "objective"
        if len(name) > MAX_METRIC_LENGTH and path != "objective":
            yield Finding("refused", path, too_long)
        elif len(regex) > MAX_LENGTH:
            reason = (
                f"the regex has {len(regex)} characters: SageMaker accepts at most {MAX_LENGTH}"
            )
            yield Finding("refused", path, reason)
    if not uses_launcher(study, facts):
        yield from _metrics_without_launcher(study, settings, definitions)


def _metrics_without_launcher(
    study: Study, settings: SageMakerSettings, definitions: dict[str, str]
) -> Iterator[Finding | Note]:
    for name, regexes in study.trial.metrics.items():
        path = f"trial.metrics.{name}"
        if not regexes:
            continue
        if settings.algorithm:
            yield Finding("dropped", path, "an algorithm includes the regexes of its metrics")
            continue
        parts = [part for regex in regexes if (part := read_part(regex))]
        if parts:
            text = (
                f"SageMaker applies the regex itself, and of {SAMPLE} it reads at most "
                f"{parts[0]}: capture the whole number, for example with ([-+0-9.e]+)"
            )
            yield Note(path, text, "warning")
        try:
            join_regexes(regexes)
        except CannotJoinError as error:
            if len(regexes) > 1:
                yield Finding("dropped", path, f"{error}: only the first one is sent")
            else:
                yield Finding("refused", path, str(error))
    if definitions:
        text = (
            "SageMaker searches the log itself, where numbers in a progress bar can count after "
            "lines that are printed later: let no regex match them"
        )
        yield Note("trial.metrics", text)
    text = (
        "SageMaker drops values that are not finite, and without cloudtune's launcher nothing ends "
        "such a trial: it counts with its last finite value"
    )
    yield Note("objective", text)
    for number, objective in enumerate(study.objectives):
        path = study.objective_path(number)
        if objective.metric in definitions:
            continue
        if has_code(study):
            setting = f"trial.metrics.{objective.metric}"
            reason = f"SageMaker reads a metric from the log by a regex: set {setting}"
            yield Finding("refused", f"{path}.metric", reason)
        else:
            text = f"{objective.metric} must be a built-in metric of the image or algorithm"
            yield Note(f"{path}.metric", text)


def _inputs(study: Study, settings: SageMakerSettings, facts: Facts) -> Iterator[Finding | Note]:
    isolated = settings.network_isolation and has_code(study)
    count = len(study.trial.inputs) + isolated
    if count > MAX_CHANNELS:
        including = ", including the code" if isolated else ""
        reason = f"{count} inputs{including}: SageMaker accepts at most {MAX_CHANNELS}"
        yield Finding("refused", "trial.inputs", reason)
    for name in study.trial.inputs:
        path = f"trial.inputs.{name}"
        if not settings.algorithm and not uses_launcher(study, facts):
            text = f"without cloudtune's launcher, the code finds it only in {CHANNELS}/{name}"
            yield Note(path, f"{text}: $CLOUDTUNE_INPUT variables and inputs() are missing")
        uri = facts.lookup.inputs.addresses[name]
        if not _CHANNEL.fullmatch(name):
            reason = "an input's name must have 1 to 64 letters, digits, dots, hyphens and _"
            yield Finding("refused", path, reason)
        elif isolated and name == CODE_CHANNEL:
            reason = "without a network the code is the input of this name: rename it"
            yield Finding("refused", path, reason)
        if (
            uri
            and name not in facts.lookup.inputs.uploads
            and not (_URI.fullmatch(uri) and len(uri) <= MAX_URI_LENGTH)
        ):
            reason = f"SageMaker reads s3://BUCKET/… of at most {MAX_URI_LENGTH} characters"
            yield Finding("refused", path, reason)
        yield from _prefix_matches(name, facts)
        address = input_address(study, NAME, name, emulated=facts.emulated)
        if address and len(address.content_type or "") > 256:
            yield Finding("refused", path, "a content type must have at most 256 characters")


def _prefix_matches(name: str, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what S3 adds to an input whose address is not that of a whole folder or file.

    "SageMaker uses all objects that match the specified key name prefix" (API reference,
    S3DataSource, read 2026-11-27).
    """
    inputs = facts.lookup.inputs
    uri = inputs.addresses[name] or ""
    if name in inputs.uploads or uri.endswith("/"):
        return
    path, advice = f"trial.inputs.{name}", "end the address of a folder with /"
    is_file = "." in uri.rpartition("/")[2]
    others = [
        other
        for other, address in inputs.addresses.items()
        if (address or "").startswith(uri) and (address or "")[len(uri) :][:1] not in {"", "/"}
    ]
    if others:
        reason = (
            f"S3 selects by prefix, so this input also contains {' and '.join(others)}: {advice}"
        )
        yield Finding("approximated" if is_file else "refused", path, reason)
    elif uri and not is_file:
        yield Note(path, f"S3 selects by prefix, so {uri}... matches longer names, too: {advice}")


def _environment(
    fitted: FittedStudy, mode: Mode, settings: SageMakerSettings
) -> Iterator[Finding | Note]:
    variables = fitted.study.trial.env
    definitions = max(1, len(definition_names(fitted, settings.definition_names)))
    if len(variables) * definitions > MAX_VARIABLES[mode]:
        times = f", once per definition ({definitions})" if definitions > 1 else ""
        reason = f"{len(variables)} variables{times}: a job has at most {MAX_VARIABLES[mode]}"
        yield Finding("refused", "trial.env", reason)
    for name, value in variables.items():
        path = f"trial.env.{name}"
        if len(name) > MAX_VARIABLE_LENGTH or (
            isinstance(value, str) and len(value) > MAX_VARIABLE_LENGTH
        ):
            reason = f"a variable and its value must have at most {MAX_VARIABLE_LENGTH} characters"
            yield Finding("refused", path, reason)
        if isinstance(value, FromEnvironment):
            text = "its value is visible to everyone in the account who may describe the job"
            yield Note(path, text)


def _emulator(study: Study, settings: SageMakerSettings, facts: Facts) -> Iterator[Finding]:
    starts_empty = facts.emulator is None  # what the user put into another one is not known here
    code = facts.lookup.code_address if starts_empty else None
    if not has_code(study) and not settings.rehearse.images:
        reason = (
            "the emulator runs only code, no images: set script, module or command, or run with "
            "--with-images"
        )
        yield Finding("refused", "trial", reason)
    elif code is not None:
        reason = f"{code} is not on the emulator: use a folder, such as trial.source.sagemaker=."
        yield Finding("refused", "trial.source", reason)
    inputs = facts.lookup.inputs
    for name, uri in inputs.addresses.items() if starts_empty else ():
        if uri and name not in inputs.uploads:
            reason = f"{uri} is not on the emulator: add a local address for the input"
            yield Finding("refused", f"trial.inputs.{name}", reason)
    if inputs.addresses and settings.input_mode == "Pipe":
        yield refuse("input_mode", "the emulator does not support Pipe: use File or FastFile")
