"""How a study is written as a hyperparameter search of WML Accelerator."""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.formats import (
    Dialect,
    Native,
    map_at,
    named_entries,
    native_of,
    other_sources,
    take_block,
)
from cloudtune.provider import Finding, FittedStudy, Json, Note, Study, without_launcher
from cloudtune_watson.capabilities import MANAGED, TITLE
from cloudtune_watson.settings import NAME, WatsonSettings
from cloudtune_watson.wmla.native.names import DATA, WORDS
from cloudtune_watson.wmla.rules import study_rules
from cloudtune_watson.wmla.study_part import input_paths, study_part

_CAPABILITIES = without_launcher(
    MANAGED,
    single_values=True,
    select=frozenset({"last"}),
    fields=[
        *("constants", "strategy.resource", "strategy.max", "strategy.eta"),
        *("trial.source", "trial.script", "trial.args", "trial.select", "trial.inputs"),
    ],
    reasons={
        "description": "a search has no description",
        "objective.target": "a search does not end at a target",
        "objective.select": "which measurement WML Accelerator compares is not documented",
        "parameters.when": "WML Accelerator has no conditional parameters",
        "limits.trial_timeout": "a search limits only its own time",
        "limits.max_failed_trials": "a search has no limit for failures",
        "limits.patience": "a search does not end without improvement",
        "trial.metrics": "WML Accelerator reads no log; the code must report with IBM's monitor",
        "trial.module": "WML Accelerator starts a script",
        "trial.command": "WML Accelerator starts a Python script",
        "trial.requirements": "WML Accelerator installs no packages",
        "trial.env": "a search has no variables",
        "trial.switches": "values are in config.json as they are",
        "trial.arguments": "values are in config.json",
        "trial.resources": "set worker_devices",
        "trial.retry": "a search does not start a trial again",
    },
)


def _settings(study: Study) -> WatsonSettings:
    return WatsonSettings.model_validate(study.providers.get(NAME, {}))


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    return study_part(fitted.study, _settings(fitted.study), native)


def _native(study: Study) -> Native:
    rest = native_of(study, NAME, DATA)
    block = take_block(rest, "hyperParams")
    return Native(rest, block, named_entries(block, "name"))


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study = fitted.study
    if not study.objectives:
        yield Finding("refused", "objective", "a search has exactly one objective")
    if study.strategy.name == "list" and study.parameters:
        yield Note("parameters", "a search of listed trials has only their values, and no ranges")
    yield from study_rules(fitted)
    yield from other_sources(study, NAME)
    yield from _code_rules(study, map_at(native.rest, "modelSpec"))


def _code_rules(study: Study, model: Json) -> Iterator[Finding | Note]:
    trial = study.trial
    if "args" in model or not trial.script:
        reason = f"put them into providers.{NAME}.native.data.modelSpec.args"
        for path, value in (
            ("constants", study.constants),
            ("trial.source", trial.source),
            ("trial.script", trial.script),
            ("trial.args", trial.args),
            ("trial.inputs", trial.inputs),
        ):
            if value:
                yield Finding("dropped", path, reason)
        if "args" not in model:
            text = "absent: a search needs the arguments of a script that is uploaded with it"
            yield Note(f"providers.{NAME}.native.data.modelSpec.args", text, "warning")
        return
    if len(input_paths(study)) > 1:
        reason = "a search has one path of data: the first one is written"
        yield Finding("approximated", "trial.inputs", reason)
    for name, addresses in trial.inputs.items():
        for key, address in addresses.items():
            if address.content_type:
                path = f"trial.inputs.{name}.{key}.content_type"
                yield Finding("dropped", path, "a path of data has no media type")
        others = addresses.keys() - {NAME, "*"}
        if others or not addresses.keys() & {NAME, "*"}:
            where = ", ".join(sorted(others)) or "nowhere"
            yield Note(f"trial.inputs.{name}", f"what is only for {where} is left out")
    if trial.source:
        yield Note("trial.source", "the code is uploaded with the search")
    text = "upload the script with the search, as an archive .modelDir.tar"
    yield Note("trial.script", text, "warning")


WATSON = Dialect(
    name=NAME,
    title=TITLE,
    capabilities=_CAPABILITIES,
    words=WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
