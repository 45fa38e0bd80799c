"""Rules of SageMaker's own tuner: its strategies, limits, early stopping and warm start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.fit import FittedStudy
from cloudtune.provider.facts import Facts
from cloudtune.study.schema import FloatParameter
from cloudtune.study.search_space import Space, count_values, list_nodes
from cloudtune.study.study import Study
from cloudtune_sagemaker.request import (
    SHORTEST_PATIENCE,
    SHORTEST_TIMEOUT,
    most_trials,
    scaling,
)

DEFAULT_TRIALS = 750
DEFAULT_PARALLEL = 10
LONGEST_TIMEOUT = 30 * 24 * 3600
LARGEST_RESOURCE = 20_000
LARGEST_SEED = 2**31 - 1
MOST_PARENTS = 5
_JOB = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


def tuning_rules(fitted: FittedStudy, facts: Facts) -> Iterator[Finding | Note]:
    """Yield what the tuner refuses or does otherwise, or what is worth knowing of it."""
    study = fitted.study
    if not study.parameters and fitted.original.parameters:
        reason = "every parameter has one value, so there is nothing to tune"
        yield Finding("refused", "parameters", reason)
    yield from _scales(fitted)
    yield from _hyperband(study)
    yield from _seed(study)
    yield from _number_of_trials(fitted)
    yield from _other_limits(study)
    yield from _early_stopping(study)
    yield from _warm_start(study, facts)
    if fitted.root:
        text = (
            "one training definition for each of its values; that cloudtune's way of sending "
            "them is what the service expects was not verified live"
        )
        yield Note(f"parameters.{fitted.root}", text)


def _scales(fitted: FittedStudy) -> Iterator[Finding]:
    by_name: dict[str, int] = {}
    for node in list_nodes(fitted.original):
        place = by_name.setdefault(node.name, 0)
        by_name[node.name] += 1
        parameter = node.parameter
        if not isinstance(parameter, FloatParameter) or parameter.scale != "reverse_log":
            continue
        if count_values(parameter) is not None:
            continue
        several = len(fitted.original.parameters[node.name]) > 1
        path = f"parameters.{node.name}{f'.{place}' if several else ''}.scale"
        if scaling(parameter) == "Linear":
            reason = "SageMaker has reverse_log from 0 to below 1 alone: linear is used"
        else:
            reason = "SageMaker takes the logarithm of 1 - x, where others mirror the log range"
        yield Finding("approximated", path, reason)


def _hyperband(study: Study) -> Iterator[Finding | Note]:
    strategy = study.strategy
    if strategy.name != "hyperband":
        return
    if strategy.resource:
        yield Finding(
            "approximated",
            "strategy.resource",
            f"each trial is told the whole, {strategy.resource}={strategy.max}, and SageMaker "
            "stops trials on the way: it counts how often the objective is reported",
        )
    else:
        text = "SageMaker counts how often the objective is reported: report it once a step"
        yield Note("strategy.name", text)
    if strategy.eta:
        yield Finding("dropped", "strategy.eta", "SageMaker decides how many trials go on")
    if strategy.max and strategy.max > LARGEST_RESOURCE:
        reason = f"SageMaker takes at most {LARGEST_RESOURCE}"
        yield Finding("refused", "strategy.max", reason)


def _seed(study: Study) -> Iterator[Finding | Note]:
    strategy = study.strategy
    if strategy.seed is None:
        return
    if strategy.seed > LARGEST_SEED:
        reason = f"SageMaker's seeds go to {LARGEST_SEED}"
        yield Finding("refused", "strategy.seed", reason)
    if strategy.name == "bayesian":
        text = "makes SageMaker's bayesian search more alike from run to run, not the same"
        yield Note("strategy.seed", text)
    elif strategy.name == "grid":
        yield Note("strategy.seed", "a grid knows no chance, so no seed is sent")


def _number_of_trials(fitted: FittedStudy) -> Iterator[Finding | Note]:
    study, path = fitted.study, "limits.max_trials"
    wanted = study.limits.max_trials
    if study.strategy.name == "grid":
        yield from _grid(fitted)
        return
    most = most_trials(study)
    if most is None and study.limits.timeout is None:
        reason = "SageMaker needs to know how many trials, or how long: give max_trials or timeout"
        yield Finding("refused", path, reason)
    if most is not None and wanted is not None and most < wanted:
        reason = (
            f"there are {most} combinations, and SageMaker refuses more trials than that: "
            f"{most} will run"
        )
        yield Finding("approximated", path, reason)
    if most is not None and most > DEFAULT_TRIALS:
        if study.strategy.name == "random":
            text = f"above {DEFAULT_TRIALS}, the account's quota must have been raised"
            yield Note(path, text)
        else:
            reason = f"SageMaker runs at most {DEFAULT_TRIALS} trials of {study.strategy.name}"
            yield Finding("refused", path, reason)


def _grid(fitted: FittedStudy) -> Iterator[Finding | Note]:
    counts = [count_values(found[0]) or 0 for found in fitted.study.parameters.values()]
    size, wanted = prod(counts), fitted.study.limits.max_trials
    if size > DEFAULT_TRIALS:
        reason = f"a grid of {size} trials, and SageMaker runs at most {DEFAULT_TRIALS}"
        yield Finding("refused", "strategy.name", reason)
    if wanted is not None and wanted < size:
        reason = f"SageMaker runs a grid as a whole, and this one has {size} trials"
        yield Finding("refused", "limits.max_trials", reason)
    elif wanted is not None and wanted > size:
        text = f"the grid has {size} trials, and ends with them"
        yield Note("limits.max_trials", text)
    own = Space.from_study(fitted.original).size
    if fitted.flattened and own is not None and own < size:
        reason = f"flattened, the grid has {size} trials instead of {own}: some are alike"
        yield Finding("approximated", "strategy.name", reason)


def _other_limits(study: Study) -> Iterator[Finding | Note]:
    limits = study.limits
    if limits.parallel_trials and limits.parallel_trials > DEFAULT_PARALLEL:
        text = f"above {DEFAULT_PARALLEL}, the account's quota must have been raised"
        yield Note("limits.parallel_trials", text)
    if limits.timeout and limits.timeout < SHORTEST_TIMEOUT:
        reason = f"SageMaker's shortest is {SHORTEST_TIMEOUT}s, which is sent"
        yield Finding("approximated", "limits.timeout", reason)
    elif limits.timeout and limits.timeout > LONGEST_TIMEOUT:
        yield Finding("refused", "limits.timeout", "a tuning job takes at most 30 days")
    if limits.patience:
        few = limits.patience < SHORTEST_PATIENCE
        also = f"; its smallest number is {SHORTEST_PATIENCE}, which is sent" if few else ""
        reason = f"an objective that is better by less than 1 % does not count as better{also}"
        yield Finding("approximated", "limits.patience", reason)


def _early_stopping(study: Study) -> Iterator[Finding | Note]:
    stopping = study.early_stopping
    if stopping is None:
        return
    for name in ("min_step", "interval", "min_trials"):
        if getattr(stopping, name) is not None:
            reason = "SageMaker's median rule decides this itself"
            yield Finding("dropped", f"early_stopping.{name}", reason)
    text = "SageMaker's own median rule, which looks at each report of the objective"
    yield Note("early_stopping", text)


def _warm_start(study: Study, facts: Facts) -> Iterator[Finding | Note]:
    if study.warm_start is None:
        return
    path = "warm_start.from"
    if not facts.parent_jobs:
        reason = (
            "SageMaker's tuner learns from its own tuning jobs, and none that it still has is "
            "named (an emulated one is gone with its emulator)"
        )
        yield Finding("refused", path, reason)
    if len(facts.parent_jobs) > MOST_PARENTS:
        reason = f"{len(facts.parent_jobs)} jobs, and SageMaker takes at most {MOST_PARENTS}"
        yield Finding("refused", path, reason)
    for name in facts.parent_jobs:
        if len(name) > 32 or not _JOB.fullmatch(name):
            yield Finding("refused", path, f"{name} cannot be the name of a tuning job")
    if study.strategy.name not in {"bayesian", "random"}:
        reason = f"a {study.strategy.name} search of SageMaker has no warm start"
        yield Finding("refused", "warm_start", reason)
    yield Note(
        "warm_start",
        "the earlier jobs must have ended, and have had the same objective and the same names of "
        "parameters and constants; of these at most ten may change, code that is sent anew among "
        "them, and the environment not at all",
    )
