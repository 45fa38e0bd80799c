"""How a study is written as a tuning job of Vertex AI."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.formats import (
    Dialect,
    Native,
    is_remote,
    kept_names,
    kept_specs,
    locate_code,
    map_at,
    native_of,
    other_sources,
    several_parents,
    source_address,
    take_block,
    unread_variables,
)
from cloudtune.provider import Finding, FittedStudy, Json, Note, Study, without_launcher
from cloudtune_vertex.capabilities import MANAGED
from cloudtune_vertex.native.names import JOB, WORDS
from cloudtune_vertex.request.study_part import max_trials, study_part
from cloudtune_vertex.rules.trial import ARGUMENTS, placed_parameters
from cloudtune_vertex.rules.tuning import study_rules
from cloudtune_vertex.settings import NAME, VertexSettings

_CAPABILITIES = without_launcher(
    MANAGED,
    fields=[
        *(
            "constants",
            "trial.seed_argument",
            "trial.source",
            "trial.script",
            "trial.module",
            "trial.args",
        ),
        *("trial.env", "trial.inputs"),
    ],
    reasons={
        "description": "a tuning job has no description; use a label",
        "objective.target": "a tuning job does not end at a target",
        "trial.metrics": "Vertex AI reads no log; the code must report with hypertune",
        "trial.select": "Vertex AI keeps the last value of other metrics",
        "trial.requirements": "put them into the image or the package",
        "trial.command": "set containerSpec.command under native",
        "trial.arguments": ARGUMENTS,
        "trial.switches": "Vertex AI passes values as they are",
        "trial.resources": "set the machine type",
        "trial.retry": "the memory is that of the machine type",
    },
)


def _settings(study: Study) -> VertexSettings:
    return VertexSettings.model_validate(study.providers.get(NAME, {}))


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    return study_part(fitted.study, _settings(fitted.study), native)


def _native(study: Study) -> Native:
    rest = native_of(study, NAME, JOB)
    kept = kept_specs(take_block(rest, "studySpec", "parameters"))
    return Native(rest, kept, kept_names(kept))


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, settings = fitted.study, _settings(fitted.study)
    if not study.objectives:
        yield Finding("refused", "objective", "a tuning job needs a metric")
    yield from study_rules(study, launched=False)
    yield from several_parents(study, "Vertex AI")
    yield from other_sources(study, NAME)
    yield from unread_variables(study)
    yield from _code_rules(study)
    yield from placed_parameters(study)
    yield from _input_rules(study)
    job = map_at(native.rest, "trialJobSpec")
    for key, field in (("image", "an image"), ("machine_type", "a machine type")):
        if getattr(settings, key) is None and not job:
            text = f"absent: a tuning job needs {field}; set it"
            yield Note(f"providers.{NAME}.{key}", text, "warning")
    if max_trials(study) is None:
        yield Note("limits.max_trials", "absent: a tuning job needs maxTrialCount", "warning")


def _input_rules(study: Study) -> Iterator[Finding | Note]:
    for name, addresses in study.trial.inputs.items():
        path, address = f"trial.inputs.{name}", addresses.get(NAME) or addresses.get("*")
        if address is None or not is_remote(address.uri):
            reason = f"it has no address in Cloud Storage: set {path}.{NAME}"
            yield Finding("dropped", path, reason)
            continue
        for key, each in addresses.items():
            if each.content_type:
                reason = "Vertex AI does not support content types"
                yield Finding("dropped", f"{path}.{key}.content_type", reason)
        for other in addresses.keys() - {NAME, "*"}:
            yield Note(f"{path}.{other}", f"is only for {other}, so it is left out")


def _code_rules(study: Study) -> Iterator[Finding]:
    trial = study.trial
    if trial.module and is_remote(source_address(study, NAME)):
        return
    for field in ("script", "module", "source"):
        if getattr(trial, field):
            reason = (
                f"{locate_code(study, NAME)}: build a package or an image, and set "
                f"trial.source.{NAME} with trial.module, or the image"
            )
            yield Finding("dropped", f"trial.{field}", reason)


VERTEX = Dialect(
    name=NAME,
    title="Vertex AI",
    capabilities=_CAPABILITIES,
    words=WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
