"""Rules of WML Accelerator's search: its parameters, algorithms, limits and results.

The sources are in `cloudtune_watson.capabilities`: fields and defaults in CLIENT, algorithms in
ALGORITHMS, parallel trials in NOTEBOOKS.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloudtune.formats import write_power
from cloudtune.provider import Facts, Finding, FittedStudy, FloatParameter, Note, Space, Study
from cloudtune_watson.rules.clusters import metric_rules
from cloudtune_watson.settings import SETTINGS, WatsonSettings
from cloudtune_watson.versions import (
    STANDALONE,
    WMLA_FIRST,
    WMLA_GONE,
    WMLA_LAST,
    parse_version,
)
from cloudtune_watson.wmla.native.names import ALGORITHMS, BAYESIAN, GRID, HYPERBAND, TPE
from cloudtune_watson.wmla.native_rules import native_rules
from cloudtune_watson.wmla.study_part import MAX_EXPERIMENTS, algorithm_name, to_minutes


def tuning_rules(
    fitted: FittedStudy, settings: WatsonSettings, _facts: Facts
) -> Iterator[Finding | Note]:
    """Yield what the search refuses or does differently."""
    yield from metric_rules(fitted.study)
    yield from study_rules(fitted)
    yield from native_rules(settings.native, algorithm_name(fitted.study))


def study_rules(fitted: FittedStudy) -> Iterator[Finding | Note]:
    """Yield what the search does differently, in a plan and in an export."""
    study = fitted.study
    yield from _grid(study) if algorithm_name(study) == GRID else _exponents(study)
    yield from _algorithm(study)
    yield from _limits(study)


def _exponents(study: Study) -> Iterator[Note]:
    ranges: list[str] = []
    inexact = False
    for name, (parameter, *_) in study.parameters.items():
        if not isinstance(parameter, FloatParameter) or parameter.scale != "log":
            continue
        if (power := write_power(parameter.min, parameter.max)) is not None:
            base, low, high = power
            ranges.append(f"{name} from {low:.6g} to {high:.6g} of {base}")
            inexact |= (base**low, base**high) != (parameter.min, parameter.max)
    rounding = (
        "; if a bound is not a whole power, a value that rounding puts beyond it counts as the "
        "bound"
    )
    if ranges:
        text = f"log ranges are exponents: {', '.join(ranges)}{rounding if inexact else ''}"
        yield Note("parameters", text)


def _grid(study: Study) -> Iterator[Finding | Note]:
    is_list, max_trials = study.strategy.name == "list", study.limits.max_trials
    size = len(study.initial_trials) if is_list else Space.from_study(study).size
    count = min((n for n in (size, max_trials) if n is not None), default=None)
    if count is None or count > MAX_EXPERIMENTS:
        reason = f"the request lists each trial: set max_trials to at most {MAX_EXPERIMENTS:,}"
        yield Finding("refused", "limits.max_trials", reason)
        return
    total = "" if size is None else f" of the {study.strategy.name}'s {size:,}"
    first = "the first " if count != size else ""
    text = f"the request lists {first}{count:,}{total} trials"
    yield Note("parameters", text)
    if size is not None and max_trials is not None and max_trials > size:
        yield Note("limits.max_trials", f"the {study.strategy.name} ends after its {size} trials")
    if study.strategy.seed is not None:
        text = f"a {study.strategy.name} is not random, so no seed is sent"
        yield Note("strategy.seed", text)


def _algorithm(study: Study) -> Iterator[Finding | Note]:
    algorithm = algorithm_name(study)
    if algorithm == BAYESIAN:
        text = (
            "IBM's Bayesian search assumes measurements without noise (Noiseless is true), unless "
            "native sets data.algoDef.algoParams: [{name: Noiseless, value: 'false'}]"
        )
        yield Note("strategy", text)
    if algorithm == HYPERBAND:
        yield from _hyperband(study)
    if algorithm not in ALGORITHMS or len(study.objectives) > 1:
        text = "backend: wml supports every strategy and any number of objectives"
        yield Note("strategy", text)


def _hyperband(study: Study) -> Iterator[Finding]:
    strategy = study.strategy
    if strategy.resource is None or strategy.max is None:
        reason = (
            "WML Accelerator passes the resource to the script: set it and its maximum, as in "
            "resource: epochs, max: 27"
        )
        yield Finding("refused", "strategy.resource", reason)
    else:
        reason = (
            "each rung is a separate trial in the results and trains from scratch, since the files "
            "of earlier rungs are not available"
        )
        yield Finding("approximated", "strategy.resource", reason)
    if study.limits.max_trials:
        reason = "WML Accelerator counts each rung as a trial"
        yield Finding("approximated", "limits.max_trials", reason)


def _limits(study: Study) -> Iterator[Finding | Note]:
    limits, algorithm = study.limits, algorithm_name(study)
    if limits.timeout and limits.timeout % 60:
        reason = f"WML Accelerator counts whole minutes: {to_minutes(limits.timeout)}"
        yield Finding("approximated", "limits.timeout", reason)
    parallel = limits.parallel_trials or 1
    if parallel > 1 and algorithm == BAYESIAN:
        reason = (
            "IBM's Bayesian search runs one trial at a time; method: tpe runs several in parallel"
        )
        yield Finding("approximated", "limits.parallel_trials", reason)
    elif parallel > 1 and algorithm in {TPE, HYPERBAND}:
        text = f"according to IBM, {algorithm} runs trials in parallel only in some phases"
        yield Note("limits.parallel_trials", text)


def version_rules(settings: WatsonSettings, version: str) -> Iterator[Finding | Note]:
    """Yield whether a version has WML Accelerator."""
    if version == STANDALONE:
        return
    if settings.instance_group:
        reason = "only a standalone WML Accelerator uses this"
        yield Finding("dropped", f"{SETTINGS}.instance_group", reason)
    path = f"{SETTINGS}.version"
    numbers = parse_version(version)
    if numbers is None or len(numbers) < 2:
        reason = (
            "must be the version of Cloud Pak for Data or Software Hub, such as '5.1', or "
            f"{STANDALONE}"
        )
        yield Finding("refused", path, reason)
    elif numbers < WMLA_FIRST:
        reason = (
            "Cloud Pak for Data has WML Accelerator since 3.5; for a WML Accelerator without it, "
            f"set {STANDALONE}, whatever its version"
        )
        yield Finding("refused", path, reason)
    elif numbers[:2] >= WMLA_GONE:
        reason = (
            f"Software Hub {version} no longer has WML Accelerator. According to IBM, Watson "
            "Machine Learning's API runs searches there, but IBM has not published that request: "
            "set backend: wml to let cloudtune choose the trials"
        )
        yield Finding("refused", path, reason)
    elif numbers[:2] > WMLA_LAST:
        text = f"unknown whether Software Hub {version} has WML Accelerator"
        yield Note(path, text)
