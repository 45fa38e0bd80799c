"""Rules of SageMaker's tuner: its strategies, limits, early stopping and warm start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod

from cloudtune.provider import (
    Facts,
    Finding,
    FittedStudy,
    FloatParameter,
    Note,
    Space,
    Study,
    count_values,
)
from cloudtune_sagemaker.request.parameters import max_trials
from cloudtune_sagemaker.request.study_part import MIN_PATIENCE, MIN_TIMEOUT

DEFAULT_MAX_TRIALS = 750
DEFAULT_MAX_PARALLEL = 10
MAX_TIMEOUT = 30 * 24 * 3600
MAX_RESOURCE = 20_000
MAX_SEED = 2**31 - 1
MAX_PARENTS = 5
_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


def tuning_rules(fitted: FittedStudy) -> Iterator[Finding | Note]:
    """Yield the findings and notes on the tuner, in a plan and in an export."""
    study = fitted.study
    yield from _scales(fitted)
    yield from _hyperband(study)
    yield from _seed(study)
    yield from _trial_count(fitted)
    yield from _other_limits(study)
    if study.early_stopping:
        text = "SageMaker's median rule, which checks each report of the objective"
        yield Note("early_stopping", text)
    if fitted.root:
        text = (
            "one training definition for each of its values; not verified live that the service "
            "accepts them as cloudtune sends them"
        )
        yield Note(f"parameters.{fitted.root}", text)


def _scales(fitted: FittedStudy) -> Iterator[Finding]:
    for path, parameter in fitted.sent.items():
        if isinstance(parameter, FloatParameter) and parameter.scale == "reverse_log":
            reason = "SageMaker uses the logarithm of 1 - x, others mirror the log range"
            yield Finding("approximated", f"{path}.scale", reason)


def _hyperband(study: Study) -> Iterator[Finding | Note]:
    strategy = study.strategy
    if strategy.name != "hyperband":
        return
    if strategy.resource:
        yield Finding(
            "approximated",
            "strategy.resource",
            f"each trial gets the maximum, {strategy.resource}={strategy.max}, and SageMaker "
            "stops trials earlier, by the number of reports of the objective",
        )
    else:
        text = "SageMaker counts the reports of the objective: report it once per step"
        yield Note("strategy.name", text)
    times = "as often as max says" if strategy.max is None else f"{strategy.max} times"
    text = (
        f"SageMaker stops a trial once it has reported its objective {times}: save the model "
        "before the last report"
    )
    yield Note("strategy.max", text)
    if strategy.max and strategy.max > MAX_RESOURCE:
        yield Finding("refused", "strategy.max", f"SageMaker accepts at most {MAX_RESOURCE}")


def _seed(study: Study) -> Iterator[Finding | Note]:
    strategy = study.strategy
    if strategy.seed is None:
        return
    if strategy.seed > MAX_SEED:
        yield Finding("refused", "strategy.seed", f"SageMaker accepts at most {MAX_SEED}")
    if strategy.name == "bayesian":
        text = "makes runs of SageMaker's bayesian search more alike, but not the same"
        yield Note("strategy.seed", text)
    elif strategy.name == "grid":
        yield Note("strategy.seed", "a grid is not random, so no seed is sent")


def _trial_count(fitted: FittedStudy) -> Iterator[Finding | Note]:
    study, path = fitted.study, "limits.max_trials"
    requested = study.limits.max_trials
    if study.strategy.name == "grid":
        yield from _grid(fitted)
        return
    count = max_trials(study)
    if count is not None and requested is not None and count < requested:
        reason = f"reduced to {count}, the number of combinations: SageMaker refuses more trials"
        yield Finding("approximated", path, reason)
    if count is not None and count > DEFAULT_MAX_TRIALS:
        if study.strategy.name == "random":
            text = f"more than {DEFAULT_MAX_TRIALS} require a raised quota of the account"
            yield Note(path, text)
        else:
            reason = f"SageMaker runs at most {DEFAULT_MAX_TRIALS} trials of {study.strategy.name}"
            yield Finding("refused", path, reason)


def _grid(fitted: FittedStudy) -> Iterator[Finding | Note]:
    counts = [count_values(variants[0]) or 0 for variants in fitted.study.parameters.values()]
    size, requested = prod(counts), fitted.study.limits.max_trials
    if size > DEFAULT_MAX_TRIALS:
        reason = f"the grid has {size} trials: SageMaker runs at most {DEFAULT_MAX_TRIALS}"
        yield Finding("refused", "strategy.name", reason)
    if requested is not None and requested < size:
        reason = f"SageMaker runs only complete grids, and this one has {size} trials"
        yield Finding("refused", "limits.max_trials", reason)
    elif requested is not None and requested > size:
        yield Note("limits.max_trials", f"the grid ends after its {size} trials")
    original_size = Space.from_study(fitted.original).size
    if fitted.flattened and original_size is not None and original_size < size:
        reason = f"flattened, the grid has {size} trials instead of {original_size}: some are equal"
        yield Finding("approximated", "strategy.name", reason)


def _other_limits(study: Study) -> Iterator[Finding | Note]:
    limits = study.limits
    if limits.parallel_trials and limits.parallel_trials > DEFAULT_MAX_PARALLEL:
        text = f"more than {DEFAULT_MAX_PARALLEL} require a raised quota of the account"
        yield Note("limits.parallel_trials", text)
    if limits.timeout and limits.timeout < MIN_TIMEOUT:
        reason = f"raised to {MIN_TIMEOUT}s, SageMaker's minimum"
        yield Finding("approximated", "limits.timeout", reason)
    elif limits.timeout and limits.timeout > MAX_TIMEOUT:
        yield Finding("refused", "limits.timeout", "a tuning job runs for at most 30 days")
    if limits.patience:
        reason = "SageMaker counts only improvements of the objective by at least 1 %"
        if limits.patience < MIN_PATIENCE:
            reason = f"{reason}; raised to {MIN_PATIENCE}, SageMaker's minimum"
        yield Finding("approximated", "limits.patience", reason)


def limit_rules(study: Study) -> Iterator[Finding]:
    """Yield a finding if a tuning job has no end."""
    limits = study.limits
    if study.strategy.name != "grid" and limits.max_trials is None and limits.timeout is None:
        reason = "SageMaker requires a limit: set max_trials or timeout"
        yield Finding("refused", "limits.max_trials", reason)


def warm_start_rules(study: Study, facts: Facts) -> Iterator[Finding | Note]:
    """Yield the findings and notes on a warm start from the tuning jobs that were found."""
    if study.warm_start is None:
        return
    path = "warm_start.from"
    if not facts.parent_jobs:
        yield Finding(
            "refused",
            path,
            "SageMaker's tuner learns only from its own tuning jobs, and none of these still "
            "exists (an emulated one ends with its emulator)",
        )
    if len(facts.parent_jobs) > MAX_PARENTS:
        reason = f"{len(facts.parent_jobs)} jobs: SageMaker accepts at most {MAX_PARENTS}"
        yield Finding("refused", path, reason)
    for name in facts.parent_jobs:
        if len(name) > 32 or not _JOB_NAME.fullmatch(name):
            yield Finding("refused", path, f"{name} is not a valid name of a tuning job")
    if study.strategy.name not in {"bayesian", "random"}:
        reason = f"SageMaker's {study.strategy.name} search does not support warm start"
        yield Finding("refused", "warm_start", reason)
    yield Note(
        "warm_start",
        "the parent jobs must have ended, with the same objective and the same names of "
        "parameters and constants; at most ten of these may change, which includes uploaded code, "
        "and the environment must not change",
    )
