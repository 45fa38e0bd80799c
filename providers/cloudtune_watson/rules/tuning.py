"""Rules of WML Accelerator's own search: its space, its algorithms, its limits and its results.

Where they are from stands in `cloudtune_watson.capabilities`: fields and defaults in CLIENT,
algorithms in ALGORITHMS, what runs at once in NOTEBOOKS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloudtune.provider import (
    Finding,
    FloatParameter,
    IntParameter,
    Note,
    Parameter,
    Space,
    Study,
    count_values,
    format_value,
)
from cloudtune_watson.request.tuning_job import (
    BASE,
    GRID,
    MOST_EXPERIMENTS,
    MOST_LISTED,
    algorithm_of,
    exponent,
    in_place_of_a_range,
    is_raised,
    minutes,
)

ALGORITHMS = frozenset({"Random", "Bayesian", "Tpe", "Hyperband", GRID})


def search_rules(study: Study) -> Iterator[Finding | Note]:
    """Yield what the search refuses or does otherwise, or what is worth knowing of it."""
    if algorithm_of(study) == GRID:
        yield from _grid(study)
    else:
        yield from _space(study)
    yield from _algorithm(study)
    yield from _limits(study)
    yield from _objective(study)


def _space(study: Study) -> Iterator[Finding | Note]:
    raised: dict[str, FloatParameter] = {}
    for name, definitions in study.parameters.items():
        path, parameter = f"parameters.{name}", definitions[0]
        yield from _listed(parameter, path)
        if isinstance(parameter, FloatParameter) and is_raised(parameter):
            raised[name] = parameter
    if raised:
        yield Note("parameters", _exponents(raised))


def _exponents(raised: Mapping[str, FloatParameter]) -> str:
    said = ", ".join(
        f"{name} from {exponent(p.min):.6g} to {exponent(p.max):.6g}" for name, p in raised.items()
    )
    inexact = any(BASE ** exponent(end) != end for p in raised.values() for end in (p.min, p.max))
    rounded = (
        "; where a bound is no whole power, a value that comes back beyond it by rounding is taken "
        "for the bound"
    )
    return f"log ranges are sent as exponents of {BASE}: {said}{rounded if inexact else ''}"


def _listed(parameter: Parameter, path: str) -> Iterator[Finding]:
    listed = in_place_of_a_range(parameter)
    if listed is None or not isinstance(parameter, FloatParameter | IntParameter):
        return
    if not listed:
        count = count_values(parameter)
        reason = (
            f"a step on a log scale is sent as a list of values, and {count} are more than "
            f"{MOST_LISTED}: leave out the step, or give values"
        )
        yield Finding("refused", f"{path}.step", reason)
    elif isinstance(parameter, IntParameter) and parameter.step in (None, 1):
        reason = (
            "WML Accelerator raises whole exponents alone to an int: sent as the list "
            f"{', '.join(map(format_value, listed))}, about evenly spread on the log scale"
        )
        yield Finding("approximated", f"{path}.scale", reason)
    else:
        reason = (
            "WML Accelerator takes a step on a log scale for one of exponents: sent as the list of "
            f"its {len(listed)} values, which are drawn evenly"
        )
        yield Finding("approximated", f"{path}.scale", reason)


def _grid(study: Study) -> Iterator[Finding | Note]:
    size, wanted = Space.from_study(study).size, study.limits.max_trials
    most = min((n for n in (size, wanted) if n is not None), default=None)
    if most is None or most > MOST_EXPERIMENTS:
        reason = (
            "each of the grid's trials is listed in the request: give max_trials of at most "
            f"{MOST_EXPERIMENTS:,}"
        )
        yield Finding("refused", "limits.max_trials", reason)
        return
    of = "" if size is None else f" of the grid's {size:,}"
    first = "the first " if most != size else ""
    text = f"{first}{most:,}{of} trials are listed in the request, each with what is active in it"
    yield Note("strategy", text)


def _algorithm(study: Study) -> Iterator[Finding | Note]:
    algorithm = algorithm_of(study)
    if algorithm == "Bayesian":
        text = (
            "IBM's Bayesian search takes trials for free of noise (Noiseless is true), unless "
            "native says otherwise: data.algoDef.algoParams: [{name: Noiseless, value: 'false'}]"
        )
        yield Note("strategy", text)
    if algorithm == "Hyperband":
        yield from _hyperband(study)
    if algorithm not in ALGORITHMS or len(study.objectives) > 1:
        text = "backend: wml runs every strategy and any number of objectives"
        yield Note("strategy", text)


def _hyperband(study: Study) -> Iterator[Finding]:
    strategy = study.strategy
    if strategy.resource is None:
        reason = "WML Accelerator hands the resource to the script: name it, as resource: epochs"
        yield Finding("refused", "strategy.resource", reason)
    else:
        reason = (
            "each rung is a trial of its own in the results, and trains from the start, since what "
            "an earlier one saved is not there"
        )
        yield Finding("approximated", "strategy.resource", reason)
    if strategy.min not in (None, 1):
        reason = "WML Accelerator's Hyperband takes a largest amount alone, and goes down to 1"
        yield Finding("dropped", "strategy.min", reason)
    if study.limits.max_trials:
        reason = "WML Accelerator counts each rung of a trial as one of them"
        yield Finding("approximated", "limits.max_trials", reason)


def _limits(study: Study) -> Iterator[Finding | Note]:
    limits, algorithm = study.limits, algorithm_of(study)
    if limits.timeout and limits.timeout % 60:
        reason = f"WML Accelerator counts minutes: {minutes(limits.timeout)} of them are sent"
        yield Finding("approximated", "limits.timeout", reason)
    parallel = limits.parallel_trials or 1
    if parallel > 1 and algorithm == "Bayesian":
        reason = (
            "IBM's Bayesian search runs one trial after the other; method: tpe runs some at once"
        )
        yield Finding("approximated", "limits.parallel_trials", reason)
    elif parallel > 1 and algorithm in {"Tpe", "Hyperband"}:
        text = f"{algorithm} runs several trials at once in some of its phases alone, IBM says"
        yield Note("limits.parallel_trials", text)


def _objective(study: Study) -> Iterator[Finding]:
    if study.objectives and study.objectives[0].select == "last":
        reason = (
            "IBM does not say by which of a trial's measurements its search goes, and its API "
            "suggests the best: if a script measures more than once, the results still say the last"
        )
        yield Finding("approximated", "objective.select", reason)
