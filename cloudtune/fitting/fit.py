"""Fit a study to what a provider can hold, and restore its raw values to the study's types.

The two are inverse to each other, and both are pure. A script's launcher restores values too, from
the same definitions and with the same function, so that script and result cannot disagree.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence, Set, Sized
from dataclasses import dataclass, replace
from typing import Any

from cloudtune import trial
from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.capabilities import DRIVEN, Capabilities, ModeCapabilities
from cloudtune.fitting.conditions import SimplifiedConditions, find_root, simplify_conditions
from cloudtune.fitting.parameters import fit_parameter
from cloudtune.study.schema import (
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Mode,
    Parameter,
)
from cloudtune.study.search_space import Node, Space, Value, count_values, list_nodes, value_at
from cloudtune.study.study import Study


@dataclass(frozen=True)
class FittedStudy:
    """A study as one provider can hold it in one mode."""

    study: Study
    """What the request is made from. Without conditions there is one definition a name."""
    original: Study
    names: Mapping[str, str]
    """The name under which each node of the original is sent, by the node's key; those that can
    never be active have none."""
    fixed_values: Mapping[str, Value]
    """Parameters with one value that are sent as constants, by the name that is sent."""
    stepless_keys: Set[str]
    """The keys of the nodes whose step was dropped, so that values between will come back."""
    flattened: bool
    """Whether inactive parameters are tuned too and must be withheld from the script."""
    root: str | None
    """The parameter on which all conditions hang, where the provider takes a definition a value."""
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...]


def identity_fit(study: Study) -> FittedStudy:
    """Return a study as it stands, compared with nothing."""
    return FittedStudy(
        study, study, {}, {}, frozenset(), flattened=False, root=None, findings=(), notes=()
    )


def fit(study: Study, capabilities: Capabilities, mode: Mode) -> FittedStudy:
    """Return the study as the provider can hold it, with every finding.

    Raises:
        ValueError: If the provider does not have the mode.
    """
    able = capabilities.for_mode(mode)
    if able is None:
        raise ValueError(f"{capabilities.provider} has no {mode} mode")
    able = _adjust_support(able, study, mode)
    who = capabilities.title
    findings: list[Finding] = []
    notes: list[Note] = []
    settled = _simplified_conditions(study, able)
    nodes = [node for node in list_nodes(study) if node.key in settled.when]
    notes += _never_active_notes(study, settled)
    conditional = any(settled.when[node.key] for node in nodes)
    rest, lost = _fit_rest(study, able, who)
    root, without_root = None, "has no conditions"
    if able.conditions == "one_root":
        root, without_root = find_root(study.model_copy(update=rest), nodes, settled)
    flatten = conditional and able.conditions != "tree" and root is None
    single = set[str]()
    if not able.single_values:
        single = {node.key for node in nodes if count_values(node.parameter) == 1}
    names = _names(study, nodes, single, flatten=flatten)
    parameters: dict[str, list[Parameter]] = {}
    fixed: dict[str, Value] = {}
    stepless: set[str] = set()
    for node in nodes:
        name, path = names[node.key], _path(study, node)
        if node.key in single:
            fixed[name] = value_at(node.parameter, 0)
            notes.append(Note(path, f"has one value and is sent to {who} as a constant"))
        else:
            in_a_grid = study.strategy.name == "grid"
            fitted = fit_parameter(node.parameter, path, able, who, in_a_grid=in_a_grid)
            findings += fitted.findings
            notes += fitted.notes
            if fitted.parameter is not None:
                when = None if flatten else settled.when[node.key] or None
                parameter = fitted.parameter.model_copy(update={"when": when})
                parameters.setdefault(name, []).append(parameter)
                if _lost_its_step(node.parameter, parameter):
                    stepless.add(node.key)
            if node.key in settled.open and not flatten:
                findings.append(_unresolved_finding(path, settled.open[node.key], who))
        findings += _name_findings(node, name, path, able, who)
    if flatten:
        first = next(node for node in nodes if settled.when[node.key])
        findings.append(_flattening_finding(_path(study, first), f"{who} {without_root}"))
    findings += _too_many(parameters, able, who)
    limits, more = _fit_limits(study, capabilities, able)
    findings += [*more, *lost]
    return FittedStudy(
        study=study.model_copy(update={"parameters": parameters, "limits": limits, **rest}),
        original=study,
        names=names,
        fixed_values=fixed,
        stepless_keys=stepless,
        flattened=flatten,
        root=root,
        findings=tuple(findings),
        notes=tuple(notes),
    )


def restore(fitted: FittedStudy, raw: Mapping[str, Any]) -> dict[str, Value]:
    """Return the active parameters of a trial in the study's own types.

    Args:
        fitted: What the request was made from.
        raw: The service's values by the names under which they were sent. Other names do not count.

    Raises:
        ValueError: If a value is none that its parameter can have.
    """
    return trial.restore(restore_definitions(fitted), raw)


def restore_definitions(fitted: FittedStudy) -> list[dict[str, Any]]:
    """Return what `restore`, and a script's launcher, must know of each parameter, parents first.

    The form is that of `cloudtune.trial.restore`.
    """
    return [
        _definition(fitted, node)
        for node in Space.from_study(fitted.original).nodes
        if node.key in fitted.names
    ]


def _definition(fitted: FittedStudy, node: Node) -> dict[str, Any]:
    parameter, sent = node.parameter, fitted.names[node.key]
    definition: dict[str, Any] = {
        "name": node.name,
        "sent": sent,
        "type": parameter.type,
        "when": {name: list(values) for name, values in node.when.items()},
    }
    if isinstance(parameter, CategoricalParameter | DiscreteParameter):
        definition["values"] = list(parameter.values)
    elif isinstance(parameter, FloatParameter | IntParameter):
        definition |= {"min": parameter.min, "max": parameter.max}
        if parameter.step is not None and node.key not in fitted.stepless_keys:
            definition["step"] = parameter.step
    if sent in fitted.fixed_values:
        definition["fixed"] = fitted.fixed_values[sent]
    return definition


def _adjust_support(able: ModeCapabilities, study: Study, mode: Mode) -> ModeCapabilities:
    """Return what can be done in a mode that is used as a study wants it."""
    if mode == "driven":  # our own engine decides by itself which scale auto is
        known = {kind: scales - {"auto"} for kind, scales in able.parameters.items()}
        return replace(able, parameters=known)
    if study.strategy.name == "grid" and able.grid_of_trials:
        return replace(
            able,
            parameters=DRIVEN.parameters,
            steps=True,
            conditions="tree",
            single_values=True,
            grid_of_values=False,
        )
    return able


def _flattening_finding(path: str, why: str) -> Finding:
    return Finding(
        "approximated",
        f"{path}.when",
        f"{why}: all parameters are tuned, inactive ones are withheld from the script and left out "
        "of the results",
    )


def _unresolved_finding(path: str, parent: str, who: str) -> Finding:
    reason = (
        f"{who} takes a definition of one value as a constant, and this condition on {parent} "
        f"needs it beside others; give {parent} one definition"
    )
    return Finding("refused", f"{path}.when.{parent}", reason)


def _too_many(parameters: Sized, able: ModeCapabilities, who: str) -> Iterator[Finding]:
    most = able.max_parameters
    if most and len(parameters) > most.value:
        reason = f"{len(parameters)} parameters, and {who} takes at most {most.value}"
        yield Finding("refused", "parameters", reason)


def _lost_its_step(before: Parameter, after: Parameter) -> bool:
    return (
        isinstance(before, FloatParameter | IntParameter)
        and before.step is not None
        and isinstance(after, FloatParameter | IntParameter)
        and after.step is None
    )


def _simplified_conditions(study: Study, able: ModeCapabilities) -> SimplifiedConditions:
    space = Space.from_study(study)
    if able.conditions == "tree" and able.single_values:
        return SimplifiedConditions({node.key: node.when for node in space.nodes}, {})
    return simplify_conditions(space)


def _never_active_notes(study: Study, settled: SimplifiedConditions) -> Iterator[Note]:
    for node in list_nodes(study):
        if node.key not in settled.when:
            text = "can never be active, since its conditions never hold together, and is left out"
            yield Note(_path(study, node), text)


def _path(study: Study, node: Node) -> str:
    definitions = study.parameters[node.name]
    if len(definitions) == 1:
        return f"parameters.{node.name}"
    place = next(i for i, item in enumerate(definitions) if item is node.parameter)
    return f"parameters.{node.name}.{place}"


def _names(
    study: Study, nodes: Sequence[Node], single: Set[str], *, flatten: bool
) -> dict[str, str]:
    """Return the name under which each node is sent.

    Where there are conditions, definitions of one name share it, but not with a constant.
    """
    taken = {*study.parameters, *study.constants}
    names: dict[str, str] = {}
    used: set[str] = set()
    for node in nodes if flatten else sorted(nodes, key=lambda node: node.key in single):
        name = node.name
        if name in used and (flatten or node.key in single):
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

    dropped = {name: None for name in limits.as_dict() if name not in able.limits}
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
