"""Fit the blocks of a study other than its parameters: limits, strategy, objectives and others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.capabilities import ModeCapabilities
from cloudtune.fitting.fields import drop_fields
from cloudtune.study.limits import LIMITS
from cloudtune.study.own_metrics import own_metrics
from cloudtune.study.schema import Limits
from cloudtune.study.study import Study

_ENFORCED_HERE = (
    "{} does not know this limit: while cloudtune is running, it cancels the job when the limit is "
    "reached"
)


def fit_limits(
    study: Study, provider: str, support: ModeCapabilities, title: str
) -> tuple[Limits, list[Finding | Note]]:
    """Return the limits that are supported, with those that override the study's, and findings."""
    limits = study.limits_for(provider)
    overrides: dict[str, Any] = study.providers.get(provider, {}).get("limits") or {}
    findings: list[Finding | Note] = []

    def path(name: str) -> str:
        return f"providers.{provider}.limits.{name}" if name in overrides else f"limits.{name}"

    supported = support.limits | support.enforced_here
    unsupported = {name: None for name in limits.as_dict() if name not in supported}
    for name in unsupported:
        otherwise = "knows no cost" if LIMITS[name].needs_price else "does not support this limit"
        reason = support.reason(f"limits.{name}", f"{title} {otherwise}")
        findings.append(Finding("dropped", path(name), reason))
    enforced_here = support.enforced_here - support.limits
    for name in limits.as_dict():
        if name in enforced_here and not LIMITS[name].needs_price:  # the price decides
            findings.append(Note(path(name), _ENFORCED_HERE.format(title)))
    fitted = limits.model_copy(update=unsupported)
    for name, limit in (
        ("max_trials", support.max_trials),
        ("parallel_trials", support.max_parallel_trials),
    ):
        value = getattr(fitted, name)
        if limit and value and value > limit.value:
            reason = f"{value}, but {title} allows at most {limit.value}"
            findings.append(Finding("refused", path(name), reason))
    return fitted, findings


def fit_blocks(
    study: Study, provider: str, support: ModeCapabilities, title: str
) -> tuple[dict[str, Any], list[Finding | Note]]:
    """Return the blocks that change, by name, and findings: of all but parameters and limits."""
    findings: list[Finding | Note] = []
    strategy, stopping, warm_start = study.strategy, study.early_stopping, study.warm_start
    update: dict[str, Any] = {}
    strategy_update: dict[str, None] = {}

    def drop(path: str, reason: str) -> None:
        reason = support.reason(path, f"{title} {reason}")
        findings.append(Finding("dropped", path, reason))

    if strategy.name not in support.strategies:
        reason = support.reason("strategy.name", f"{title} does not support {strategy.name}")
        findings.append(Finding("refused", "strategy.name", reason))
    methods = support.methods
    if strategy.method and methods is not None and strategy.method not in methods:
        strategy_update["method"] = None
        drop("strategy.method", "chooses its own algorithm")
    if strategy.seed is not None and not support.seeds:
        strategy_update["seed"] = None
        drop("strategy.seed", "does not support seeds")
    update["strategy"] = strategy.model_copy(update=strategy_update)
    if len(study.objectives) > support.objectives:
        reason = f"{len(study.objectives)} objectives, but {title} allows {support.objectives}"
        reason = support.reason("objective", reason)
        findings.append(Finding("refused", "objective", reason))
    objective_findings = [
        *_objective_findings(study, support, title),
        *_own_metric_findings(study, support, title),
    ]
    findings += objective_findings
    if not support.launcher:
        dropped = [each for each in objective_findings if isinstance(each, Finding)]
        update["objective"] = drop_fields(study, dropped).objective
    if stopping and stopping.rule not in support.early_stopping:
        update["early_stopping"] = None
        drop("early_stopping", f"does not support the rule {stopping.rule}")
    if study.initial_trials and not support.initial_trials:
        update["initial_trials"] = []
        drop("initial_trials", "does not support initial trials")
    if warm_start and warm_start.kind not in support.warm_start:
        update["warm_start"] = None
        drop("warm_start", f"does not support a warm start of kind {warm_start.kind}")
    if not support.launcher:
        return update, findings
    if study.constraints:
        findings += _constraint_findings(study, provider, support, title)
        update |= _fit_constraints(study, support)
        study = study.model_copy(update=update)
    if study.trial.retry and support.memory == "machine":
        update["trial"] = study.trial.model_copy(update={"retry": None})
        drop("trial.retry", "runs each trial on the same machine, which the settings choose")
    elif study.trial.retry and support.memory == "shared":
        reason = "trials share the memory of this machine: one that starts again gets no more of it"
        findings.append(Finding("approximated", "trial.retry", reason))
        resources = [r.model_copy(update={"memory": None}) for r in study.trial.resources]
        update["trial"] = study.trial.model_copy(update={"resources": resources})
    return update, findings


def _own_metric_findings(study: Study, support: ModeCapabilities, title: str) -> Iterator[Finding]:
    """Yield the objectives that are the run time or the cost, which only our search knows."""
    for index, objective in enumerate(study.objectives):
        if objective.metric in own_metrics(study) and "strategy" not in support.fields:
            reason = (
                f"{title} does not measure {objective.metric} itself; if the script reports it, "
                f"add {objective.metric}: {{}} to trial.metrics"
            )
            path = f"{study.objective_path(index)}.metric"
            yield Finding("refused" if support.launcher else "approximated", path, reason)


def _fit_constraints(study: Study, support: ModeCapabilities) -> dict[str, Any]:
    """Return the blocks that change: a service returns only the metrics that it is told of."""
    from cloudtune.study.constraints import outcome_constraints

    objectives = {each.metric for each in study.objectives}
    names = {name for each in outcome_constraints(study) for name in each.metrics - objectives}
    names -= {*own_metrics(study)}
    known: dict[str, list[str]] = {name: [] for name in sorted(names)}
    metrics = {**known, **study.trial.metrics}
    update: dict[str, Any] = {"trial": study.trial.model_copy(update={"metrics": metrics})}
    return update if "constraints" in support.fields else {**update, "constraints": []}


def _constraint_findings(
    study: Study, provider: str, support: ModeCapabilities, title: str
) -> Iterator[Finding]:
    if "constraints" in support.fields:
        return
    from cloudtune.study.constraints import (
        constraint_path,
        outcome_constraints,
        parameter_constraints,
    )

    driven = f"with providers.{provider}.mode: driven, cloudtune chooses the trials"
    for each in parameter_constraints(study):
        reason = f"{title} does not know constraints between parameters; {driven} and keeps them"
        yield Finding("refused", constraint_path(study, each.index), reason)
    for each in outcome_constraints(study):
        reason = (
            f"{title} does not know it and may prefer trials that break it; the best trial is one "
            f"that keeps it; {driven} and learns where it holds"
        )
        yield Finding("approximated", constraint_path(study, each.index), reason)


def _objective_findings(
    study: Study, support: ModeCapabilities, title: str
) -> Iterator[Finding | Note]:
    for index, objective in enumerate(study.objectives):
        path = study.objective_path(index)
        if objective.target is not None and "target" in support.enforced_here:
            yield Note(f"{path}.target", _ENFORCED_HERE.format(title))
        elif objective.target is not None and not support.targets:
            reason = support.reason("objective.target", f"{title} does not stop at a target")
            yield Finding("dropped", f"{path}.target", reason)
        if objective.select not in support.select and not support.launcher:
            reason = f"{title} does not optimize the {objective.select} measurement of a trial"
            reason = support.reason("objective.select", reason)
            yield Finding("dropped", f"{path}.select", reason)
        elif objective.select not in support.select:
            reason = (
                f"{title} does not optimize the {objective.select} measurement of a trial; the "
                "results still report it"
            )
            yield Finding("approximated", f"{path}.select", reason)
