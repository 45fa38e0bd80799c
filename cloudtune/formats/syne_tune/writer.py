"""Writes a study as an experiment of Syne Tune, with only what the study says."""

from __future__ import annotations

from typing import Any, cast

from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.kept import take_kept
from cloudtune.formats.model import (
    compact,
    native_block,
    report_arguments,
    report_objectives,
    report_unsupported,
)
from cloudtune.formats.syne_tune.domains import read_domain, write_domain
from cloudtune.formats.syne_tune.names import (
    ETA,
    HALVING,
    HOME,
    MEDIAN,
    MODES,
    SCHEDULERS,
    SIMILAR,
    is_domain,
)
from cloudtune.study.merge import merge_json
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_map

_UNSUPPORTED = {
    "description": "an experiment has no description",
    "initial_trials": "pass them as points_to_evaluate",
    "warm_start": "Syne Tune's transfer of earlier trials is set in code",
    "limits.trial_timeout": "Syne Tune has no time limit of a trial",
    "limits.patience": "write a stopping criterion",
    "limits.max_cost": "set max_cost in stop_criterion, in the cost that the script reports",
    "early_stopping.interval": "Syne Tune checks every report",
    "trial.metrics": "Syne Tune reads its Reporter; add it to the script",
    "trial.select": "Syne Tune decides which value of a metric counts",
    "trial.requirements": "install them where Syne Tune starts",
    "trial.args": "put them into the script",
    "trial.env": "set variables where Syne Tune starts",
    "trial.inputs": "put their paths into the script",
    "trial.resources": "set the GPUs of a trial in the backend",
}


def write_experiment(study: Study, report: Report) -> Json:
    """Return the experiment of a study, with its ``providers.syne-tune.native`` merged in."""
    report_unsupported(study, report, _UNSUPPORTED)
    report_arguments(study, report, "Syne Tune")
    native: Json = native_block(study, HOME)
    experiment: Json = {
        **compact(tuner_name=study.name),
        "config_space": _space(study, native, report),
        **_objective(study, report),
        **_scheduler(study, native, report),
        **_limits(study),
    }
    return cast("Json", merge_json(experiment, native))


def _space(study: Study, native: Json, report: Report) -> Json:
    kept: Any = native.get("config_space", {})
    space: Json = {}
    for name, variants in study.parameters.items():
        path = f"parameters.{name}"
        if len(variants) > 1 or variants[0].when:
            report.refuse(path, "Syne Tune has no conditional parameters")
        before = take_kept(kept.get(name), variants[0], _read_again(kept.get(name)))
        space[name] = before or write_domain(path, variants[0], report)
    return {**space, **study.constants}


def _read_again(kept: Any) -> Json | None:
    """Return the parameter that a kept domain is read as."""
    return read_domain(Fields(kept, Report())) if is_domain(kept) else None


def _objective(study: Study, report: Report) -> Json:
    modes = {goal: mode for mode, goal in MODES.items()}
    report_objectives(
        study,
        report,
        target="set min_metric_value or max_metric_value",
        select="a scheduler decides which value of a metric counts",
    )
    goals = [modes[objective.goal] for objective in study.objectives]
    if not goals:
        return {}
    names = [objective.metric for objective in study.objectives]
    return {"metric_names": names, "metric_mode": goals[0] if len(set(goals)) == 1 else goals}


def _scheduler(study: Study, native: Json, report: Report) -> Json:
    strategy, stopping = study.strategy, study.early_stopping
    before: Any = native.get("scheduler_name")
    known = SCHEDULERS | SIMILAR | HALVING
    is_halving = stopping is not None and stopping.rule == "halving"
    if before in known and (before in HALVING) == is_halving:
        is_kept = known[before]["name"] == strategy.name
    else:
        is_kept = before is not None and before not in known
    if not is_kept:
        native.pop("scheduler_name", None)
        before = None
    arguments: Json = {} if strategy.seed is None else {"random_seed": strategy.seed}
    if stopping is not None and is_halving:
        eta = None if (stopping.eta or ETA) == ETA else stopping.eta
        kept: Any = native.get("scheduler_kwargs", {})
        eta = None if is_map(kept) and "reduction_factor" in kept else eta
        arguments |= {} if stopping.min_step is None else {"grace_period": stopping.min_step}
        arguments |= compact(reduction_factor=eta)
    elif stopping is not None and before == MEDIAN:
        pairs = {"grace_time": stopping.min_step, "min_samples_required": stopping.min_trials}
        arguments |= {key: value for key, value in pairs.items() if value is not None}
    elif stopping is not None:
        reason = f"Syne Tune has no rule {stopping.rule} next to another scheduler"
        report.drop("early_stopping", reason)
    if before is None:
        if "strategy" not in study.model_fields_set and stopping is None:
            return {}
        before = _chosen(study, report, is_halving=is_halving)
    return {"scheduler_name": before, **compact(scheduler_kwargs=arguments)}


def _chosen(study: Study, report: Report, *, is_halving: bool) -> str:
    strategy = study.strategy
    choices = HALVING if is_halving else SCHEDULERS | SIMILAR
    alike = [name for name, each in choices.items() if each["name"] == strategy.name]
    exact = (name for name in alike if choices[name].get("method") == strategy.method)
    name = alike[0] if alike and strategy.method is None else next(iter((*exact, *alike)), None)
    if name is not None and strategy.method not in {None, choices[name].get("method")}:
        report.approximate("strategy.method", f"Syne Tune runs {name}, not {strategy.method}")
    if name is None:
        report.refuse("strategy.name", f"Syne Tune has no scheduler for {strategy.name}")
    return name or ""


def _limits(study: Study) -> Json:
    limits = study.limits
    criterion = compact(max_wallclock_time=limits.timeout)
    if limits.max_trials is not None:  # it stops when more than this number are started
        criterion["max_num_trials_started"] = limits.max_trials - 1
    found = compact(n_workers=limits.parallel_trials, stop_criterion=criterion)
    if limits.max_failed_trials is not None:
        found["max_failures"] = limits.max_failed_trials
    return found
