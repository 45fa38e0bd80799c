"""Fit a study to what a provider can hold, and restore its raw values to the study's types.

The two are inverse to each other and stand in one file so that they cannot drift. Both are pure.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cloudtune.capabilities import Capabilities, Finding, Mode, ModeCapabilities, Note
from cloudtune.space import (
    Node,
    Space,
    Value,
    count_of,
    find,
    is_active,
    nodes_of,
    resolved_scale,
    text,
    values_of,
)
from cloudtune.study import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    Study,
)


@dataclass(frozen=True)
class Fitted:
    """A study as one provider can hold it in one mode."""

    study: Study
    """What the request is made from. Without conditions there is one definition a name."""
    original: Study
    names: Mapping[str, str]
    """The name under which each node of the original is sent, by the node's key."""
    fixed: Mapping[str, Value]
    """Parameters with one value that are sent as constants, by the name that is sent."""
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...]

    @property
    def flattened(self) -> bool:
        """Whether inactive parameters are tuned too and must be withheld from the script."""
        return Space.of(self.original).conditional and not Space.of(self.study).conditional


@dataclass(frozen=True)
class _Fit:
    """One parameter after a step: what it has become, and what was found on the way."""

    parameter: Parameter | None
    """None once it is refused."""
    findings: tuple[Finding, ...] = ()
    notes: tuple[Note, ...] = ()

    def then(self, parameter: Parameter | None, *found: Finding | Note) -> _Fit:
        return replace(
            self,
            parameter=parameter,
            findings=self.findings + tuple(item for item in found if isinstance(item, Finding)),
            notes=self.notes + tuple(item for item in found if isinstance(item, Note)),
        )


def fit(study: Study, capabilities: Capabilities, mode: Mode) -> Fitted:
    """Return the study as the provider can hold it, with every finding.

    Raises:
        ValueError: If the provider does not have the mode.
    """
    able = capabilities.of(mode)
    if able is None:
        raise ValueError(f"{capabilities.provider} has no {mode} mode")
    who = capabilities.title
    findings: list[Finding] = []
    notes: list[Note] = []
    nodes = nodes_of(study)
    flatten = any(node.when for node in nodes) and not able.conditions
    names = _names(nodes, flatten)
    parameters: dict[str, list[Parameter]] = {}
    fixed: dict[str, Value] = {}
    for node in nodes:
        fitted = _fit_parameter(node, able, who)
        name = names[node.key]
        path = _path(study, node)
        findings += fitted.findings
        notes += fitted.notes
        findings += _name_findings(node, name, path, able, who)
        parameter = fitted.parameter
        if parameter is None:
            continue
        if flatten:
            parameter = parameter.model_copy(update={"when": None})
        single = _single_value(parameter)
        if single is not None and not able.single_values:
            fixed[name] = single
            notes.append(Note(path, f"has one value and is sent to {who} as a constant"))
        else:
            parameters.setdefault(name, []).append(parameter)
    if flatten:
        first = next(node for node in nodes if node.when)
        findings.append(
            Finding(
                "approximated",
                f"{_path(study, first)}.when",
                f"{who} has no conditions: all parameters are tuned, inactive ones are withheld "
                "from the script and left out of the results",
            )
        )
    if able.max_parameters and len(parameters) > able.max_parameters.value:
        findings.append(
            Finding(
                "refused",
                "parameters",
                f"{len(parameters)} parameters, and {who} takes at most "
                f"{able.max_parameters.value}",
            )
        )
    limits, more = _fit_limits(study, capabilities, able)
    findings += more
    rest, more = _fit_rest(study, able, who)
    findings += more
    return Fitted(
        study=study.model_copy(update={"parameters": parameters, "limits": limits, **rest}),
        original=study,
        names=names,
        fixed=fixed,
        findings=tuple(findings),
        notes=tuple(notes),
    )


def restore(fitted: Fitted, raw: Mapping[str, Any]) -> dict[str, Value]:
    """Return the active parameters of a trial in the study's own types.

    Args:
        fitted: What the request was made from.
        raw: The service's values by the names under which they were sent. Other names do not count.

    Raises:
        ValueError: If a value is none that its parameter can have.
    """
    active: dict[str, Value] = {}
    for node in Space.of(fitted.original).nodes:
        name = fitted.names[node.key]
        if is_active(node, active) and (name in raw or name in fitted.fixed):
            active[node.name] = _decode(node, raw.get(name, fitted.fixed.get(name)))
    return active


def _decode(node: Node, raw: Any) -> Value:
    parameter = node.parameter
    value = _member_with_text(parameter, raw) if isinstance(raw, str) else _near(parameter, raw)
    if value is None:
        raise ValueError(f"{raw!r} is no value of {node.name}")
    return value


def _member_with_text(parameter: Parameter, raw: str) -> Value | None:
    if isinstance(parameter, CategoricalParameter | BoolParameter):
        return next((v for v in values_of(parameter) or () if text(v) == raw), None)
    try:
        return _near(parameter, float(raw))
    except ValueError:
        return None


def _near(parameter: Parameter, raw: Any) -> Value | None:
    """Return the parameter's value that a service means by a number that may have been rounded."""
    exact = find(parameter, raw)
    if exact is not None or isinstance(raw, bool) or not isinstance(raw, int | float):
        return exact
    if isinstance(parameter, DiscreteParameter):
        return next((v for v in parameter.values if math.isclose(v, raw, rel_tol=1e-9)), None)
    if isinstance(parameter, FloatParameter):
        for bound in (parameter.min, parameter.max):
            if math.isclose(raw, bound, rel_tol=1e-9):
                return float(bound)
    return None


def _path(study: Study, node: Node) -> str:
    definitions = study.parameters[node.name]
    if len(definitions) == 1:
        return f"parameters.{node.name}"
    place = next(i for i, item in enumerate(definitions) if item is node.parameter)
    return f"parameters.{node.name}.{place}"


def _names(nodes: list[Node], flatten: bool) -> dict[str, str]:
    if not flatten:
        return {node.key: node.name for node in nodes}
    taken = {node.name for node in nodes}
    names: dict[str, str] = {}
    used: set[str] = set()
    for node in nodes:
        name = node.name
        if name in used:
            name = next(
                candidate
                for number in itertools.count(2)
                if (candidate := f"{node.name}-{number}") not in taken | used
            )
        used.add(name)
        names[node.key] = name
    return names


def _name_findings(
    node: Node, name: str, path: str, able: ModeCapabilities, who: str
) -> Iterator[Finding]:
    if name != node.name:
        yield Finding(
            "approximated", path, f"{who} takes one definition a name: this one is sent as {name}"
        )
    if able.max_name_length and len(name) > able.max_name_length.value:
        yield Finding(
            "refused",
            path,
            f"the name has {len(name)} characters, and {who} takes at most "
            f"{able.max_name_length.value}",
        )


def _single_value(parameter: Parameter) -> Value | None:
    if count_of(parameter) != 1:
        return None
    return next(iter(values_of(parameter) or ()), None)


def _fit_parameter(node: Node, able: ModeCapabilities, who: str) -> _Fit:
    path = f"parameters.{node.name}"
    fitted = _Fit(node.parameter)
    for step in (_fit_step, _fit_type, _fit_scale, _fit_values):
        if fitted.parameter is not None:
            fitted = step(fitted, fitted.parameter, path, able, who)
    return fitted


def _fit_step(
    fitted: _Fit, parameter: Parameter, path: str, able: ModeCapabilities, who: str
) -> _Fit:
    if not isinstance(parameter, FloatParameter | IntParameter):
        return fitted
    if parameter.step is None or (isinstance(parameter, IntParameter) and parameter.step == 1):
        return fitted
    if able.steps:
        return fitted
    count = count_of(parameter) or 0
    if able.max_values and count > able.max_values.value:
        return fitted.then(
            parameter.model_copy(update={"step": None}),
            Finding(
                "dropped",
                f"{path}.step",
                f"{who} has no steps, and {count} values are more than the "
                f"{able.max_values.value} it takes as a list: values between them will occur",
            ),
        )
    return fitted.then(
        DiscreteParameter(
            type="discrete",
            values=[v for v in values_of(parameter) or () if not isinstance(v, str)],
            scale=parameter.scale,
            when=parameter.when,
        ),
        Note(f"{path}.step", f"{who} has no steps: sent as the list of its {count} values"),
    )


def _fit_type(
    fitted: _Fit, parameter: Parameter, path: str, able: ModeCapabilities, who: str
) -> _Fit:
    if parameter.type in able.parameters:
        return fitted
    count = count_of(parameter)
    most = able.max_values.value if able.max_values else 1_000
    if count is None or count > most or "categorical" not in able.parameters:
        listed = f"at most {most} listed values" if able.max_values else "listed values"
        return fitted.then(
            None,
            Finding(
                "refused",
                path,
                f"{who} has no {parameter.type} parameters; give {listed}, or a step that leaves "
                "as few",
            ),
        )
    values = values_of(parameter) or ()
    as_list = CategoricalParameter(type="categorical", values=list(values), when=parameter.when)
    if isinstance(parameter, BoolParameter):
        return fitted.then(
            as_list, Note(path, f"{who} has no bool: sent as the values True and False")
        )
    return fitted.then(
        as_list,
        Finding(
            "approximated",
            path,
            f"{who} has no {parameter.type} parameters: sent as {count} values without an order",
        ),
    )


def _fit_scale(
    fitted: _Fit, parameter: Parameter, path: str, able: ModeCapabilities, who: str
) -> _Fit:
    if not isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter):
        return fitted
    scales = able.parameters[parameter.type]
    if parameter.scale == "auto" and "auto" not in scales:
        scale = resolved_scale(parameter)
        parameter = parameter.model_copy(update={"scale": scale})
        fitted = fitted.then(parameter, Note(f"{path}.scale", f"auto is read as {scale}"))
    if parameter.scale in scales:
        return fitted
    return fitted.then(
        parameter.model_copy(update={"scale": "linear"}),
        Finding(
            "approximated",
            f"{path}.scale",
            f"{who} has no {parameter.scale} scale for {parameter.type} parameters: linear is used",
        ),
    )


def _fit_values(
    fitted: _Fit, parameter: Parameter, path: str, able: ModeCapabilities, who: str
) -> _Fit:
    if not isinstance(parameter, CategoricalParameter | DiscreteParameter):
        return fitted
    found: list[Finding] = []
    if able.max_values and len(parameter.values) > able.max_values.value:
        found.append(
            Finding(
                "refused",
                f"{path}.values",
                f"{len(parameter.values)} values, and {who} takes at most {able.max_values.value}",
            )
        )
    if able.text_only:
        spelled: dict[str, Value] = {}
        for value in parameter.values:
            other = spelled.setdefault(text(value), value)
            if other is not value:
                found.append(
                    Finding(
                        "refused",
                        f"{path}.values",
                        f"{who} speaks text, in which {other!r} and {value!r} are the same",
                    )
                )
    return fitted.then(parameter, *found)


def _fit_limits(
    study: Study, capabilities: Capabilities, able: ModeCapabilities
) -> tuple[Any, list[Finding]]:
    who = capabilities.title
    limits = study.limits_for(capabilities.provider)
    own: dict[str, Any] = study.providers.get(capabilities.provider, {}).get("limits") or {}
    findings: list[Finding] = []

    def path(name: str) -> str:
        return (
            f"providers.{capabilities.provider}.limits.{name}" if name in own else f"limits.{name}"
        )

    dropped = {name: None for name in limits.model_dump_set() if name not in able.limits}
    for name in dropped:
        findings.append(Finding("dropped", path(name), f"{who} does not keep this limit"))
    kept = limits.model_copy(update=dropped)
    for name, most in (
        ("max_trials", able.max_trials),
        ("parallel_trials", able.max_parallel_trials),
    ):
        wanted = getattr(kept, name)
        if most and wanted and wanted > most.value:
            findings.append(
                Finding("refused", path(name), f"{wanted}, and {who} takes at most {most.value}")
            )
    return kept, findings


def _fit_rest(
    study: Study, able: ModeCapabilities, who: str
) -> tuple[dict[str, Any], list[Finding]]:
    findings: list[Finding] = []
    update: dict[str, Any] = {}
    strategy = study.strategy
    if strategy.name not in able.strategies:
        findings.append(Finding("refused", "strategy.name", f"{who} has no {strategy.name} search"))
    if strategy.method and strategy.method not in able.methods:
        strategy = strategy.model_copy(update={"method": None})
        findings.append(Finding("dropped", "strategy.method", f"{who} chooses its own algorithm"))
    if strategy.seed is not None and not able.seeds:
        strategy = strategy.model_copy(update={"seed": None})
        findings.append(Finding("dropped", "strategy.seed", f"{who} takes no seed"))
    update["strategy"] = strategy
    if len(study.objectives) > able.objectives:
        findings.append(
            Finding(
                "refused",
                "objective",
                f"{len(study.objectives)} objectives, and {who} takes {able.objectives}",
            )
        )
    findings += _objective_findings(study, able, who)
    if study.early_stopping and study.early_stopping.rule not in able.early_stopping:
        update["early_stopping"] = None
        findings.append(
            Finding("dropped", "early_stopping", f"{who} has no {study.early_stopping.rule} rule")
        )
    if study.initial_trials and not able.initial_trials:
        update["initial_trials"] = []
        findings.append(Finding("dropped", "initial_trials", f"{who} takes no initial trials"))
    if study.warm_start and study.warm_start.kind not in able.warm_start:
        update["warm_start"] = None
        findings.append(
            Finding(
                "dropped", "warm_start", f"{who} has no warm start of kind {study.warm_start.kind}"
            )
        )
    return update, findings


def _objective_findings(study: Study, able: ModeCapabilities, who: str) -> Iterator[Finding]:
    several = len(study.objectives) > 1
    for place, objective in enumerate(study.objectives):
        path = f"objective.{place}" if several else "objective"
        if objective.target is not None and not able.targets:
            yield Finding("dropped", f"{path}.target", f"{who} does not end at a target")
        if objective.select not in able.select:
            yield Finding(
                "approximated",
                f"{path}.select",
                f"{who} itself goes by another measurement than the {objective.select}; the "
                "results still say the one asked for",
            )
