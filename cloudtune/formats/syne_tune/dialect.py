"""How a study is written as an experiment of Syne Tune."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.dialect.model import Dialect
from cloudtune.dialect.native import Native, map_at, map_entries, native_of, take_block
from cloudtune.dialect.ranges import LINEAR_AND_LOG, choose_one
from cloudtune.dialect.words import Words, inverse
from cloudtune.fitting.capabilities import ALL_SCALES, NOTHING, Adjustment
from cloudtune.fitting.fit import FittedStudy
from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.formats.model import compact
from cloudtune.formats.syne_tune.domains import read_domain, write_domain
from cloudtune.formats.syne_tune.names import (
    ETA,
    GRID_VALUES,
    HALVING,
    HOME,
    MEDIAN,
    MODES,
    SCHEDULERS,
    SIMILAR,
    is_domain,
)
from cloudtune.study.schema import (
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import format_value
from cloudtune.study.study import Study

_CODE = "an experiment has no code: Syne Tune starts the script of its backend"


def _adjust(parameter: Parameter) -> Adjustment | None:
    if (
        isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter)
        and parameter.scale == "reverse_log"
    ):
        is_possible = (
            isinstance(parameter, FloatParameter)
            and parameter.step is None
            and 0 <= parameter.min < parameter.max < 1
        )
        reason = "Syne Tune has a reversed log scale only for a float from 0 to below 1"
        linear = parameter.model_copy(update={"scale": "linear"})
        change = Adjustment("approximated", "scale", f"{reason}; it is linear there", linear)
        return None if is_possible else change
    if isinstance(parameter, CategoricalParameter) and len(set(map(type, parameter.values))) > 1:
        values = [*map(format_value, parameter.values)]
        if len(set(values)) < len(values):
            reason = "Syne Tune has only values of one type, and some are equal as text"
            return Adjustment("refused", "values", reason, parameter)
        texts = parameter.model_copy(update={"values": values})
        reason = "Syne Tune has only values of one type, so all are text"
        return Adjustment("approximated", "", reason, texts)
    return choose_one(parameter)


_CAPABILITIES = replace(
    NOTHING,
    parameters={
        "float": ALL_SCALES - {"auto"},
        "int": LINEAR_AND_LOG,
        "discrete": LINEAR_AND_LOG,
        "categorical": frozenset(),
        "bool": frozenset(),
    },
    steps=True,
    log_steps=False,
    adjust=_adjust,
    seeds=True,
    objectives=1_000,
    early_stopping=frozenset({"auto", "median", "halving"}),
    limits=frozenset({"max_trials", "parallel_trials", "timeout", "max_failed_trials"}),
    fields=frozenset(
        [
            *(
                "constants",
                "trial.seed_argument",
                "early_stopping.min_step",
                "early_stopping.median.min_trials",
            ),
            "early_stopping.halving.eta",
        ]
    ),
    reasons={
        "description": "an experiment has no description",
        "initial_trials": "pass them as points_to_evaluate",
        "warm_start": "Syne Tune's transfer of earlier trials is set in code",
        "parameters.when": "Syne Tune has no conditional parameters",
        "objective.target": "set min_metric_value or max_metric_value",
        "objective.select": "a scheduler decides which value of a metric counts",
        "limits.trial_timeout": "Syne Tune has no time limit of a trial",
        "limits.patience": "write a stopping criterion",
        "limits.max_cost": "set max_cost in stop_criterion, in the cost that the script reports",
        "early_stopping.interval": "Syne Tune checks every report",
        "early_stopping.min_trials": "successive halving has no number of trials",
        "trial.source": _CODE,
        "trial.script": _CODE,
        "trial.module": _CODE,
        "trial.command": _CODE,
        "trial.metrics": "Syne Tune reads its Reporter; add it to the script",
        "trial.select": "Syne Tune decides which value of a metric counts",
        "trial.requirements": "install them where Syne Tune starts",
        "trial.args": "put them into the script",
        "trial.arguments": "Syne Tune passes options, such as --lr 0.1",
        "trial.switches": "Syne Tune passes values as they are",
        "trial.env": "set variables where Syne Tune starts",
        "trial.inputs": "put their paths into the script",
        "trial.resources": "set the GPUs of a trial in the backend",
        "trial.retry": "Syne Tune does not start a trial again",
    },
)


def _study_part(fitted: FittedStudy, native: Native) -> Json:
    study = fitted.study
    space = {
        name: native.written(name, variants[0], write_domain(variants[0]))
        for name, variants in study.parameters.items()
    }
    return {
        **compact(tuner_name=study.name),
        "config_space": {**space, **study.constants, **native.extra},
        **_objective(study),
        **_scheduler(study, native.rest, is_chosen=_is_chosen(fitted)),
        **_limits(study),
    }


def _objective(study: Study) -> Json:
    goals = [inverse(MODES, objective.goal) for objective in study.objectives]
    if not goals:
        return {}
    names = [objective.metric for objective in study.objectives]
    return {"metric_names": names, "metric_mode": goals[0] if len(set(goals)) == 1 else goals}


def _is_halving(study: Study) -> bool:
    return study.early_stopping is not None and study.early_stopping.rule == "halving"


def _kept_scheduler(study: Study, rest: Json) -> str | None:
    """Return the imported scheduler if it still fits the study."""
    before: Any = rest.get("scheduler_name")
    if before is None:
        return None
    if before in _words(study).known:
        return str(before) if _words(study).means(before, study.strategy) else None
    return None if before in _PLAIN.known or before in HALVING else str(before)


def _scheduler(study: Study, rest: Json, *, is_chosen: bool) -> Json:
    strategy, stopping = study.strategy, study.early_stopping
    name = _kept_scheduler(study, rest)
    if name is None:
        rest.pop("scheduler_name", None)
    arguments: Json = {} if strategy.seed is None else {"random_seed": strategy.seed}
    if stopping is not None and stopping.rule == "halving":
        eta = None if (stopping.eta or ETA) == ETA else stopping.eta
        eta = None if "reduction_factor" in map_at(rest, "scheduler_kwargs") else eta
        arguments |= {} if stopping.min_step is None else {"grace_period": stopping.min_step}
        arguments |= compact(reduction_factor=eta)
    elif stopping is not None:
        pairs = {"grace_time": stopping.min_step, "min_samples_required": stopping.min_trials}
        arguments |= {key: value for key, value in pairs.items() if value is not None}
    if name is None and not is_chosen:
        return {}
    name = name or _words(study).strategy(strategy)
    return {"scheduler_name": name, **compact(scheduler_kwargs=arguments)}


def _is_chosen(fitted: FittedStudy) -> bool:
    """Return whether the study says how trials are chosen."""
    is_written = "strategy" in fitted.original.model_fields_set
    return is_written or fitted.study.early_stopping is not None


def _limits(study: Study) -> Json:
    limits = study.limits
    criterion = compact(max_wallclock_time=limits.timeout)
    if limits.max_trials is not None:  # it stops when more than this number are started
        criterion["max_num_trials_started"] = limits.max_trials - 1
    found = compact(n_workers=limits.parallel_trials, stop_criterion=criterion)
    if limits.max_failed_trials is not None:
        found["max_failures"] = limits.max_failed_trials
    return found


def _reread(entry: Any) -> Json | None:
    return read_domain(Fields(entry, Report())) if is_domain(entry) else None


def _native(study: Study) -> Native:
    rest = native_of(study, HOME)
    block = take_block(rest, "config_space")
    native = Native(rest, block, map_entries(block), _reread)
    native.extra = native.take(lambda entry: not is_domain(entry))
    return native


def _rules(fitted: FittedStudy, native: Native) -> Iterator[Finding | Note]:
    study = fitted.study
    kept = _kept_scheduler(study, native.rest)
    if kept is None:
        yield from _words(study).findings(study.strategy, "Syne Tune")
    if study.early_stopping and not _is_halving(study) and kept != MEDIAN:
        reason = f"Syne Tune has no rule {study.early_stopping.rule} next to another scheduler"
        yield Finding("dropped", "early_stopping", reason)
    if _is_halving(study) and _words(study).strategy(study.strategy) is None:
        reason = f"Syne Tune has no {study.strategy.name} search with successive halving"
        yield Finding("refused", "strategy.name", reason)
    if study.strategy.name == "grid" and kept is None:
        text = f"{GRID_VALUES}, and Syne Tune 0.16 no longer has it"
        yield Finding("approximated", "strategy.name", text)
    if not _is_chosen(fitted):
        yield Note("strategy", "absent, so the document has no scheduler")


def _words(study: Study) -> Words:
    return _HALVING if _is_halving(study) else _PLAIN


_PLAIN = Words(strategies=SCHEDULERS, similar=SIMILAR, plain={"random": "uniform"})
_HALVING = Words(strategies=HALVING, plain={"random": "uniform"})
SYNE_TUNE = Dialect(
    name=HOME,
    title="Syne Tune",
    capabilities=replace(_CAPABILITIES, strategies=_PLAIN.names),
    words=Words(strategies={}, automatic="median"),
    study_part=_study_part,
    native=_native,
    rules=_rules,
)
