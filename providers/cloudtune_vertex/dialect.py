"""How a study is written as a tuning job of Vertex AI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from cloudtune.provider import (
    Dialect,
    Finding,
    FittedStudy,
    FromEnvironment,
    Json,
    Native,
    Note,
    Study,
    Words,
    adjust_reversed,
    compact,
    format_value,
    inverse,
    is_remote,
    kept_names,
    kept_specs,
    locate_code,
    map_at,
    native_of,
    other_sources,
    parameter_specs,
    parse_duration,
    several_parents,
    source_address,
    take_block,
)
from cloudtune_vertex.capabilities import MANAGED
from cloudtune_vertex.native.names import ALGORITHMS, GOALS, JOB, SELECTIONS
from cloudtune_vertex.settings import NAME

_WORDS = Words(
    strategies={word: {"name": name} for word, name in ALGORITHMS.items()},
    plain={"random": "uniform"},
    goals=GOALS,
    selects=SELECTIONS,
    automatic="median",
)
_CAPABILITIES = replace(
    MANAGED,
    launcher=False,
    enforced_here=frozenset(),
    adjust=partial(adjust_reversed, title="Vertex AI"),
    fields=frozenset(
        ["constants", "trial.source", "trial.script", "trial.module", "trial.args", "trial.env"]
    ),
    reasons={
        "description": "a tuning job has no description; use a label",
        "initial_trials": "a tuning job takes no first trials",
        "warm_start": "a tuning job does not learn from other jobs",
        "early_stopping": "Vertex AI's rule has no such setting",
        "objective.target": "a tuning job does not end at a target",
        "limits.max_cost": "Vertex AI knows no cost",
        "strategy.name": "Vertex AI has bayesian, random and grid search",
        "strategy.seed": "Vertex AI has no seeds",
        "trial.metrics": "Vertex AI reads no log; the code must report with hypertune",
        "trial.select": "Vertex AI keeps the last value of other metrics",
        "trial.requirements": "put them into the image or the package",
        "trial.command": "set containerSpec.command under native",
        "trial.inputs": "Vertex AI has no inputs; name them in trial.args",
        "trial.arguments": "Vertex AI passes options, such as --lr 0.1",
        "trial.switches": "Vertex AI passes values as they are",
        "trial.resources": "set the machine type",
        "trial.retry": "the memory is that of the machine type",
    },
)


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study = fitted.study
    settings: Mapping[str, Any] = study.providers.get(NAME, {})
    limits = study.limits
    job: Json = compact(displayName=study.name)
    job["studySpec"] = _study_spec(study, native)
    job |= compact(maxTrialCount=limits.max_trials, parallelTrialCount=limits.parallel_trials)
    if limits.max_failed_trials is not None:
        job["maxFailedTrialCount"] = limits.max_failed_trials + 1
    return job | compact(
        trialJobSpec=_job_spec(study, settings),
        labels=settings.get("labels"),
        encryptionSpec=compact(kmsKeyName=settings.get("kms_key")),
    )


def _study_spec(study: Study, native: Native) -> Json:
    spec: Json = {
        "metrics": [
            {"metricId": each.metric, "goal": inverse(GOALS, each.goal)}
            for each in study.objectives
        ],
        "parameters": parameter_specs(study, native.block),
    }
    if study.strategy.name != "bayesian":
        spec["algorithm"] = _WORDS.strategy(study.strategy)
    if any(each.select == "best" for each in study.objectives):
        spec["measurementSelectionType"] = "BEST_MEASUREMENT"
    if study.early_stopping:
        spec["medianAutomatedStoppingSpec"] = {}
    ending: Json = {}
    if study.limits.timeout:
        ending["maximumRuntimeConstraint"] = {"maxDuration": _duration(study.limits.timeout)}
    ending |= compact(maxNumTrialsNoProgress=study.limits.patience)
    if ending:
        spec["studyStoppingConfig"] = {"shouldStopAsap": True, **ending}
    return spec


def _job_spec(study: Study, settings: Mapping[str, Any]) -> Json:
    accelerator = settings.get("accelerator_type")
    pool = compact(
        machineSpec=compact(
            machineType=settings.get("machine_type"),
            acceleratorType=accelerator,
            acceleratorCount=settings.get("accelerator_count", 1) if accelerator else None,
        ),
        diskSpec=compact(
            bootDiskType=settings.get("disk_type"), bootDiskSizeGb=settings.get("disk_gb")
        ),
        **_task(study, settings),
    )
    strategy = (
        "SPOT" if settings.get("spot") else "FLEX_START" if settings.get("flex_start") else ""
    )
    timeout, wait = study.limits.trial_timeout, settings.get("max_wait")
    scheduling = compact(
        timeout=_duration(timeout) if timeout else None,
        restartJobOnWorkerRestart=settings.get("restart") or None,
        strategy=strategy,
        maxWaitDuration=_duration(parse_duration(wait)) if wait and strategy else None,
    )
    return compact(
        workerPoolSpecs=[pool] if pool else [],
        scheduling=scheduling,
        serviceAccount=settings.get("service_account"),
        network=settings.get("network"),
        baseOutputDirectory=compact(outputUriPrefix=_output(settings)),
        enableWebAccess=settings.get("web_access") or None,
    )


def _task(study: Study, settings: Mapping[str, Any]) -> Json:
    fixed = [f"--{name}={format_value(value)}" for name, value in study.constants.items()]
    call = compact(args=[*study.trial.args, *fixed], env=_environment(study))
    address = source_address(study, NAME)
    if is_remote(address) and study.trial.module:
        package = compact(executorImageUri=settings.get("image"), packageUris=[address])
        return {"pythonPackageSpec": {**package, "pythonModule": study.trial.module, **call}}
    container = compact(imageUri=settings.get("image"), **call)
    return {"containerSpec": container} if container else {}


def _environment(study: Study) -> list[Json]:
    return [
        {"name": name, "value": value.replace("$(", "$$(")}
        for name, value in study.trial.env.items()
        if not isinstance(value, FromEnvironment)
    ]


def _output(settings: Mapping[str, Any]) -> str | None:
    bucket, prefix = settings.get("bucket"), settings.get("prefix", "cloudtune")
    if not bucket:
        return None
    return f"gs://{bucket}" + ("/" if prefix == "/" else f"/{prefix}" if prefix else "")


def _duration(seconds: float) -> str:
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _native(study: Study) -> Native:
    rest = native_of(study, NAME, JOB)
    kept = kept_specs(take_block(rest, "studySpec", "parameters"))
    return Native(rest, kept, kept_names(kept))


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study = fitted.study
    settings = map_at(study.providers, NAME)
    if not study.objectives:
        yield Finding("refused", "objective", "a tuning job needs a metric")
    if len({each.select for each in study.objectives}) > 1:
        text = "Vertex AI selects the same measurement for all metrics"
        yield Finding("approximated", "objective", text)
    yield from several_parents(study, "Vertex AI")
    yield from other_sources(study, NAME)
    for name, value in study.trial.env.items():
        if isinstance(value, FromEnvironment):
            text = "only `cloudtune run` reads variables of this shell"
            yield Finding("dropped", f"trial.env.{name}", text)
    yield from _code_rules(study)
    job = map_at(native.rest, "trialJobSpec")
    for key, field in (("image", "an image"), ("machine_type", "a machine type")):
        if settings.get(key) is None and not job:
            text = f"absent: a tuning job needs {field}; set it"
            yield Note(f"providers.{NAME}.{key}", text, "warning")
    if study.limits.max_trials is None:
        yield Note("limits.max_trials", "absent: a tuning job needs maxTrialCount", "warning")


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
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
