"""How a study is written as a study configuration of Vizier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, map_at, native_of, take_block
from cloudtune.dialect.words import Words, inverse
from cloudtune.fitting.capabilities import ALL_SCALES, NOTHING, Limit
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.fields import Json
from cloudtune.formats.model import compact
from cloudtune.formats.vizier.names import (
    ALGORITHMS,
    GOALS,
    HOME,
    RULES,
    SCALES,
    SELECTIONS,
    SPEC,
    UNSPECIFIED,
)
from cloudtune.formats.vizier.tree import (
    adjust_reversed,
    kept_names,
    kept_specs,
    parameter_specs,
    several_parents,
)
from cloudtune.study.constraints import (
    Constraint,
    constraint_path,
    metric_bound,
    outcome_constraints,
)
from cloudtune.study.merge import merge_json
from cloudtune.study.study import Study

_CODE = "Vizier knows no code: your program asks it for trials"
_LIMIT = "the open source Vizier has no limits: your program ends the study"
_SELECTION = "measurementSelectionType"
_COUNTS = {"max_trials": "maxNumTrials", "patience": "maxNumTrialsNoProgress"}
_WORDS = Words(
    strategies=ALGORITHMS,
    plain={"random": "uniform"},
    goals=GOALS,
    scales=SCALES,
    rules=RULES,
)
_CAPABILITIES = replace(
    NOTHING,
    parameters={
        "float": ALL_SCALES,
        "int": ALL_SCALES,
        "discrete": ALL_SCALES,
        "categorical": frozenset(),
        "bool": frozenset(),
    },
    conditions="tree",
    text_only=True,
    adjust=partial(adjust_reversed, title="Vizier"),
    max_values=Limit(1_000, "study.proto of google/vizier, read 2026-11-27"),
    strategies=_WORDS.names,
    objectives=1_000,
    select=frozenset({"last", "best"}),
    early_stopping=frozenset({"auto", "median"}),
    limits=frozenset({"max_trials", "patience", "timeout"}),
    fields=frozenset({"constraints"}),
    reasons={
        "description": "a study of Vizier has no description; use metadata",
        "constants": _CODE,
        "initial_trials": "add them to Vizier as requested trials, or set defaultValue",
        "warm_start": "Vizier's transfer of earlier trials is set in code",
        "early_stopping": "the rule of Vizier has no such setting",
        "objective.target": "a study of Vizier does not end at a target",
        "limits.parallel_trials": "your program decides how many trials it asks for",
        "limits.trial_timeout": _CODE,
        "limits.max_failed_trials": "Vizier has no limit for failures",
        "strategy.seed": "a study of Vizier has no seed",
        "trial": _CODE,
    },
)


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study, kept = fitted.study, map_at(native.rest, SPEC)
    spec: Json = {
        "metrics": [
            {"metricId": each.metric, "goal": inverse(GOALS, each.goal)}
            for each in study.objectives
        ]
        + [
            {
                "metricId": metric,
                "goal": inverse(GOALS, "minimize" if sign in {"<", "<="} else "maximize"),
                "safetyConfig": {"safetyThreshold": limit},
            }
            for _, (metric, sign, limit) in _safety_metrics(study)
        ],
        "parameters": parameter_specs(study, native.block, external=True),
    }
    if "metrics" in kept:  # of a safety metric, what the study still has as a constraint
        names = {metric["metricId"] for metric in spec["metrics"]}
        kept["metrics"] = [m for m in kept["metrics"] if m.get("metricId") in names]
    algorithm = _WORDS.strategy(study.strategy)
    if ALGORITHMS.get(str(kept.get("algorithm"))) != ALGORITHMS[str(algorithm)]:
        kept.pop("algorithm", None)
    if algorithm != UNSPECIFIED:
        spec["algorithm"] = algorithm
    kept.pop(_SELECTION, None)
    if any(each.select == "best" for each in study.objectives):
        spec[_SELECTION] = SELECTIONS[2]
    if stopping := study.early_stopping:
        spec[inverse(RULES, stopping.rule)] = {}
    if (ending := _ending(study, kept)) is not None:
        spec["studyStoppingConfig"] = ending
    document = {**compact(displayName=study.name), SPEC: spec}
    if len(document) > 1 or native.rest.keys() - {SPEC}:
        return document
    whole: Json = merge_json(spec, native.rest.pop(SPEC, {}))
    return whole


def _safety_metrics(study: Study) -> Iterator[tuple[Constraint, tuple[str, str, float]]]:
    """Yield the constraints that Vizier has as safety metrics."""
    used = {each.metric for each in study.objectives}
    for each in outcome_constraints(study):
        bound = metric_bound(each)
        if bound and bound[0] not in used:
            used.add(bound[0])
            yield each, bound


def _ending(study: Study, kept: Json) -> Json | None:
    """Return the limits where the study has a stopping configuration, as in Vertex AI Vizier."""
    if "studyStoppingConfig" not in kept:
        return None
    config, ending = map_at(kept, "studyStoppingConfig"), dict[str, Any]()
    for field, key in _COUNTS.items():
        config.pop(key, None)
        ending |= compact(**{key: getattr(study.limits, field)})
    if study.limits.timeout is not None:
        take_block(config, "maximumRuntimeConstraint", "maxDuration")
        ending["maximumRuntimeConstraint"] = {"maxDuration": f"{study.limits.timeout:g}s"}
    return ending


def _native(study: Study) -> Native:
    rest = native_of(study, HOME)
    kept = kept_specs(take_block(rest, SPEC, "parameters"))
    return Native(rest, kept, kept_names(kept))


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study, kept = fitted.study, map_at(native.rest, SPEC)
    safety = {each.index for each, _ in _safety_metrics(study)}
    for index in range(len(study.constraints)):
        if index not in safety:
            reason = (
                "Vizier knows a limit of a metric that is no objective, but no other constraint"
            )
            yield Finding("dropped", constraint_path(study, index), reason)
    if not study.objectives:
        yield Finding("refused", "objective", "a study of Vizier needs a metric")
    if "studyStoppingConfig" not in kept:
        for name in study.limits.as_dict():
            yield Finding("dropped", f"limits.{name}", _LIMIT)
    if _SELECTION not in kept:
        for number, objective in enumerate(study.objectives):
            if objective.select == "best":
                path = f"{study.objective_path(number)}.select"
                reason = "the open source Vizier has no choice of a measurement; Vertex AI has it"
                yield Finding("dropped", path, reason)
    yield from several_parents(study, "Vizier")


VIZIER = Dialect(
    name=HOME,
    title="Vizier",
    capabilities=_CAPABILITIES,
    words=_WORDS,
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
