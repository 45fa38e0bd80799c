"""Writes a study as a study configuration of Vizier, with only what the study says."""

from __future__ import annotations

from typing import Any, cast

from cloudtune.formats.fields import Json, Report
from cloudtune.formats.model import (
    compact,
    native_block,
    report_objectives,
    report_stopping,
    report_unsupported,
)
from cloudtune.formats.vizier.names import ALGORITHMS, GOALS, HOME, SELECTIONS, SPEC
from cloudtune.formats.vizier.tree import write_parameter_specs
from cloudtune.study.merge import merge_json
from cloudtune.study.study import Study

_CODE = "Vizier knows no code: your program asks it for trials"
_UNSUPPORTED = {
    "description": "a study of Vizier has no description; use metadata",
    "constants": _CODE,
    "initial_trials": "add them to Vizier as requested trials, or set defaultValue",
    "warm_start": "Vizier's transfer of earlier trials is set in code",
    "limits.parallel_trials": "your program decides how many trials it asks for",
    "limits.trial_timeout": _CODE,
    "limits.max_failed_trials": "Vizier has no limit for failures",
    "limits.max_cost": "Vizier knows no cost",
    "strategy.seed": "a study of Vizier has no seed",
    "trial": _CODE,
}
_COUNTS = {"max_trials": "maxNumTrials", "patience": "maxNumTrialsNoProgress"}


def write_study(study: Study, report: Report) -> Json:
    """Return a Study with a name, or a StudySpec, with ``providers.vizier.native`` merged in."""
    native = native_block(study, HOME)
    kept: Json = native.get(SPEC, {})
    report_unsupported(study, report, _UNSUPPORTED)
    spec: Json = {
        "metrics": [
            {
                "metricId": each.metric,
                "goal": next(theirs for theirs, ours in GOALS.items() if ours == each.goal),
            }
            for each in study.objectives
        ],
        "parameters": write_parameter_specs(study, report, "Vizier", external=True),
    }
    _algorithm(study, spec, kept, report)
    report_objectives(study, report, target="a study of Vizier does not end at a target")
    if any(each.select == "best" for each in study.objectives):
        spec["measurementSelectionType"] = SELECTIONS[2]
    if stopping := study.early_stopping:
        if stopping.rule in {"auto", "median"}:
            key = (
                "defaultStoppingSpec" if stopping.rule == "auto" else "medianAutomatedStoppingSpec"
            )
            spec[key] = {}
            report_stopping(study, report, "Vizier")
        else:
            report.drop("early_stopping", f"Vizier has no rule {stopping.rule}")
    _limits(study, spec, kept, report)
    document = {**compact(displayName=study.name), SPEC: spec}
    merged = cast("Json", merge_json(document, native))
    return merged if len(merged) > 1 else merged[SPEC]


def _algorithm(study: Study, spec: Json, kept: Json, report: Report) -> None:
    strategy = {**compact(name=study.strategy.name, method=study.strategy.method)}
    if ALGORITHMS.get(str(kept.get("algorithm"))) != strategy:
        kept.pop("algorithm", None)
    name = next((name for name, each in ALGORITHMS.items() if each == strategy), None)
    if name is None:
        plain = {"name": study.strategy.name}
        name = next((name for name, each in ALGORITHMS.items() if each == plain), None)
        if name is None and study.strategy.name == "genetic":
            name = "NSGA2"
        if name is None:
            report.refuse("strategy.name", f"Vizier has no algorithm for {study.strategy.name}")
        elif study.strategy.method not in {None, "uniform"}:
            text = f"Vizier runs {name}, not {study.strategy.method}"
            report.approximate("strategy.method", text)
    if name and name != "ALGORITHM_UNSPECIFIED":
        spec["algorithm"] = name


def _limits(study: Study, spec: Json, kept: Json, report: Report) -> None:
    """Write limits where the study has a stopping configuration, as in Vertex AI Vizier."""
    config: Any = kept.get("studyStoppingConfig")
    reason = "the open source Vizier has no limits: your program ends the study"
    for field, key in _COUNTS.items():
        value = getattr(study.limits, field)
        if config is not None:
            config.pop(key, None)
            if value is not None:
                spec.setdefault("studyStoppingConfig", {})[key] = value
        elif value is not None:
            report.drop(f"limits.{field}", reason)
    if config is not None and study.limits.timeout is not None:
        duration = {"maxDuration": f"{study.limits.timeout:g}s"}
        config.get("maximumRuntimeConstraint", {}).pop("maxDuration", None)
        spec.setdefault("studyStoppingConfig", {})["maximumRuntimeConstraint"] = duration
    elif study.limits.timeout is not None:
        report.drop("limits.timeout", reason)
