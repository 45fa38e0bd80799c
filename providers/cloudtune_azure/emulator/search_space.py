"""The search space of a sweep as a study that cloudtune's search can run.

Each choice is one of the numbers of its options, so that options can be of any kind, also maps with
parameters of their own. What is quantized is drawn from the whole range, and rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any

from cloudtune.emulator_kit import Json, Study, is_list, is_map
from cloudtune_azure.emulator.errors import bad_argument

METRIC = "metric"
"""The name of the primary metric in the study."""
_ALGORITHMS = {"random": "random", "grid": "grid", "bayesian": "bayesian"}
_RULES = {"bandit": "bandit", "medianstopping": "median"}
_BAYESIAN = frozenset({"choice", "uniform", "quniform"})
"""What Bayesian sampling supports (azuremlsdk, bayesian_parameter_sampling, read 2026-11-30)."""
_NORMAL = frozenset({"normal", "lognormal", "qnormal", "qlognormal"})
_ARGUMENTS = {
    "randint": 1,
    **dict.fromkeys(("uniform", "loguniform", "normal", "lognormal"), 2),
    **dict.fromkeys(("quniform", "qloguniform", "qnormal", "qlognormal"), 3),
}
"""How many numbers each expression but choice has."""
_TAIL = 1e-6
"""Chosen: the probability beyond which no value of a normal distribution is drawn, on each side."""


def study_of(request: Json) -> Study:
    """Return the study of a sweep, without its limits of time.

    Raises:
        ServiceError: If the request is invalid, or has what the emulator does not draw.
        StudyError: If a range is invalid.
    """
    algorithm: Json = request.get("samplingAlgorithm") or {}
    kind = str(algorithm.get("samplingAlgorithmType", "")).lower()
    space: Any = request.get("searchSpace")
    if kind not in _ALGORITHMS or not is_map(space) or not space:
        raise bad_argument("The sampling algorithm or the search space is invalid.")
    logbase: Any = algorithm.get("logbase")
    base = math.e if logbase in {None, "e"} else float(logbase)
    parameters: dict[str, list[Json]] = {}
    for name, expression in space.items():
        for key, definition in _definitions(name, expression, kind, base):
            parameters.setdefault(key, []).append(definition)
    objective: Json = request.get("objective") or {}
    goal = str(objective.get("goal", "")).lower()
    if goal not in {"minimize", "maximize"} or not objective.get("primaryMetric"):
        raise bad_argument("The objective is invalid.")
    strategy: Json = {"name": _ALGORITHMS[kind]}
    if kind == "random" and str(algorithm.get("rule") or "").lower() == "sobol":
        strategy["method"] = "sobol"
    limits: Json = request.get("limits") or {}
    total = limits.get("maxTotalTrials") or 1000
    data: Json = {
        "objective": {"metric": METRIC, "goal": goal},
        "parameters": parameters,
        "strategy": strategy,
        "limits": {
            "max_trials": total,
            "parallel_trials": limits.get("maxConcurrentTrials") or total,
        },
    }
    if stopping := _early_stopping(request.get("earlyTermination")):
        data["early_stopping"] = stopping
    return Study.model_validate(data)


def values_of(space: Json, assignment: Mapping[str, Any]) -> Json:
    """Return the values of a trial, as its tag and its command have them."""
    return {name: _value(name, expression, assignment) for name, expression in space.items()}


def is_finite(space: Json) -> bool:
    """Return whether a search space has only choices."""
    return all(expression[0] == "choice" for expression in space.values())


def _definitions(
    name: str, expression: Any, algorithm: str, base: float
) -> Iterator[tuple[str, Json]]:
    kind, arguments = _parts(name, expression)
    if algorithm == "bayesian" and kind not in _BAYESIAN:
        raise bad_argument(f"Bayesian sampling does not support {kind} of {name}.")
    if algorithm == "grid" and kind != "choice":
        raise bad_argument(f"Grid sampling supports only choice, not {kind} of {name}.")
    if kind == "choice":
        options: list[Any] = arguments[0]
        yield name, {"type": "categorical", "values": [*range(len(options))]}
        for index, option in enumerate(options):
            for child, inner in option.items() if is_map(option) else ():
                if is_list(inner):
                    path = f"{name}.{index}.{child}"
                    for key, each in _definitions(path, inner, algorithm, base):
                        yield key, {"when": {name: [index]}, **each}
    elif kind == "randint":
        yield name, {"type": "int", "min": 0, "max": arguments[0] - 1}
    elif kind in _NORMAL:  # the probability of a lower value is drawn
        yield name, {"type": "float", "min": _TAIL, "max": 1 - _TAIL}
    else:
        low, high = arguments[:2]
        is_log = "log" in kind
        bounds = (base**low, base**high) if is_log else (low, high)
        scale = {"scale": "log"} if is_log else {}
        yield name, {"type": "float", "min": bounds[0], "max": bounds[1], **scale}


def _value(name: str, expression: list[Any], assignment: Mapping[str, Any]) -> Any:
    kind, arguments = _parts(name, expression)
    drawn = assignment[name]
    if kind == "choice":
        option = arguments[0][drawn]
        if not is_map(option):
            return option
        return {
            key: _value(f"{name}.{drawn}.{key}", inner, assignment) if is_list(inner) else inner
            for key, inner in option.items()
        }
    if kind in _NORMAL:
        drawn = NormalDist(arguments[0], arguments[1]).inv_cdf(drawn)
        drawn = math.exp(drawn) if "log" in kind else drawn
    return round(drawn / arguments[2]) * arguments[2] if kind.startswith("q") else drawn


def _parts(name: str, expression: Any) -> tuple[str, list[Any]]:
    """Return the kind and the arguments of an expression: ``["uniform", [0, 1]]``."""
    if not is_list(expression) or len(expression) != 2 or not is_list(expression[1]):
        raise bad_argument(f"The expression of the parameter {name} is invalid.")
    kind, arguments = str(expression[0]), expression[1]
    if kind == "choice":
        is_valid = bool(arguments and is_list(arguments[0]) and arguments[0])
    elif kind not in _ARGUMENTS:
        raise bad_argument(f"The emulator draws no values of {kind}, the expression of {name}.")
    else:
        is_valid = len(arguments) == _ARGUMENTS[kind] and all(
            type(each) in {int, float} for each in arguments
        )
        is_valid = is_valid and (not kind.startswith("q") or arguments[2] > 0)
        is_valid = is_valid and (kind not in _NORMAL or arguments[1] > 0)
    if not is_valid:
        raise bad_argument(f"The arguments of {kind}, the expression of {name}, are invalid.")
    return kind, arguments


def _early_stopping(policy: Any) -> Json | None:
    """Return the rule of a policy that a study has; truncation is the tuner's own."""
    if not is_map(policy):
        return None
    rule = _RULES.get(str(policy.get("policyType", "")).lower())
    if rule is None:
        return None
    found: Json = {"rule": rule, "min_trials": 1}
    if rule == "bandit":
        amount = policy.get("slackAmount")
        found |= {"slack_amount": amount} if amount else {"slack": policy.get("slackFactor") or 0.1}
    if delay := policy.get("delayEvaluation"):
        found["min_step"] = delay
    return found | {"interval": policy.get("evaluationInterval") or 1}
