"""Rules of WML Accelerator's search: its parameters, algorithms, limits and results.

The sources are in `cloudtune_watson.capabilities`: fields and defaults in CLIENT, algorithms in
ALGORITHMS, parallel trials in NOTEBOOKS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloudtune.provider import (
    Facts,
    Finding,
    FittedStudy,
    FloatParameter,
    IntParameter,
    Note,
    Parameter,
    Space,
    Study,
    count_values,
    format_value,
    list_nodes,
)
from cloudtune_watson.rules.clusters import metric_rules
from cloudtune_watson.settings import SETTINGS, WatsonSettings
from cloudtune_watson.versions import (
    STANDALONE,
    WMLA_FIRST,
    WMLA_GONE,
    WMLA_LAST,
    parse_version,
)
from cloudtune_watson.wmla.native.names import GRID
from cloudtune_watson.wmla.native_rules import native_rules
from cloudtune_watson.wmla.parameters import (
    BASE,
    MAX_LISTED_VALUES,
    exponent,
    listed_values,
    uses_exponents,
)
from cloudtune_watson.wmla.request import MAX_EXPERIMENTS, algorithm_name, to_minutes

ALGORITHMS = frozenset({"Random", "Bayesian", "Tpe", "Hyperband", GRID})


def tuning_rules(
    fitted: FittedStudy, settings: WatsonSettings, _facts: Facts
) -> Iterator[Finding | Note]:
    """Yield what the search refuses or does differently."""
    study = fitted.study
    yield from metric_rules(study)
    yield from _grid(study) if algorithm_name(study) == GRID else _parameters(fitted)
    yield from _algorithm(study)
    yield from _limits(study)
    yield from native_rules(settings.native, algorithm_name(study))


def _parameters(fitted: FittedStudy) -> Iterator[Finding | Note]:
    log_ranges: dict[str, FloatParameter] = {}
    auto = {
        fitted.names.get(node.key)
        for node in list_nodes(fitted.original)
        if getattr(node.parameter, "scale", None) == "auto"
    }
    for name, variants in fitted.study.parameters.items():
        parameter = variants[0]
        for finding in _listed_range(parameter, fitted.path_of(parameter)):
            is_choice = finding.kind == "approximated" and name in auto
            yield Note(finding.path, finding.reason) if is_choice else finding
        if isinstance(parameter, FloatParameter) and uses_exponents(parameter):
            log_ranges[name] = parameter
    if log_ranges:
        yield Note("parameters", _describe_exponents(log_ranges))


def _describe_exponents(ranges: Mapping[str, FloatParameter]) -> str:
    bounds = ", ".join(
        f"{name} from {exponent(p.min):.6g} to {exponent(p.max):.6g}" for name, p in ranges.items()
    )
    inexact = any(
        BASE ** exponent(bound) != bound for p in ranges.values() for bound in (p.min, p.max)
    )
    rounding = (
        "; if a bound is not a whole power, a value that rounding puts beyond it counts as the "
        "bound"
    )
    return f"log ranges are sent as exponents of {BASE}: {bounds}{rounding if inexact else ''}"


def _listed_range(parameter: Parameter, path: str) -> Iterator[Finding]:
    values = listed_values(parameter)
    if values is None or not isinstance(parameter, FloatParameter | IntParameter):
        return
    if not values:
        reason = (
            "a step on a log scale is sent as a list of values, which has "
            f"{count_values(parameter)} instead of at most {MAX_LISTED_VALUES}: remove the step, "
            "or list values"
        )
        yield Finding("refused", f"{path}.step", reason)
        return
    if isinstance(parameter, IntParameter) and parameter.step in (None, 1):
        reason = (
            "for an int, WML Accelerator has only whole exponents: sent as the list "
            f"{', '.join(map(format_value, values))}, about evenly spaced on the log scale"
        )
    else:
        reason = (
            "WML Accelerator applies a step on a log scale to the exponents: sent as a list of "
            f"{len(values)} values, which are drawn uniformly"
        )
    yield Finding("approximated", f"{path}.scale", reason)


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
    yield Note("strategy", text)


def _algorithm(study: Study) -> Iterator[Finding | Note]:
    algorithm = algorithm_name(study)
    if algorithm == "Bayesian":
        text = (
            "IBM's Bayesian search assumes measurements without noise (Noiseless is true), unless "
            "native sets data.algoDef.algoParams: [{name: Noiseless, value: 'false'}]"
        )
        yield Note("strategy", text)
    if algorithm == "Hyperband":
        yield from _hyperband(study)
    if algorithm not in ALGORITHMS or len(study.objectives) > 1:
        text = "backend: wml supports every strategy and any number of objectives"
        yield Note("strategy", text)


def _hyperband(study: Study) -> Iterator[Finding]:
    strategy = study.strategy
    if strategy.resource is None:
        reason = "WML Accelerator passes the resource to the script: set it, as in resource: epochs"
        yield Finding("refused", "strategy.resource", reason)
    else:
        reason = (
            "each rung is a separate trial in the results and trains from scratch, since the files "
            "of earlier rungs are not available"
        )
        yield Finding("approximated", "strategy.resource", reason)
    if strategy.min not in (None, 1):
        reason = "WML Accelerator's Hyperband has only a maximum; its minimum is 1"
        yield Finding("dropped", "strategy.min", reason)
    if study.limits.max_trials:
        reason = "WML Accelerator counts each rung as a trial"
        yield Finding("approximated", "limits.max_trials", reason)


def _limits(study: Study) -> Iterator[Finding | Note]:
    limits, algorithm = study.limits, algorithm_name(study)
    if limits.timeout and limits.timeout % 60:
        reason = f"WML Accelerator counts whole minutes: sent as {to_minutes(limits.timeout)}"
        yield Finding("approximated", "limits.timeout", reason)
    parallel = limits.parallel_trials or 1
    if parallel > 1 and algorithm == "Bayesian":
        reason = (
            "IBM's Bayesian search runs one trial at a time; method: tpe runs several in parallel"
        )
        yield Finding("approximated", "limits.parallel_trials", reason)
    elif parallel > 1 and algorithm in {"Tpe", "Hyperband"}:
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
