"""Fit a study to a provider's capabilities, and restore raw values to the study's types.

The two are pure, and inverse to each other. The launcher of a script restores values from the same
definitions with the same function, so that script and results always agree.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.blocks import fit_blocks, fit_limits
from cloudtune.fitting.capabilities import DRIVEN, Capabilities, ModeCapabilities
from cloudtune.fitting.conditions import (
    SimplifiedConditions,
    condition_findings,
    find_root,
    rename_condition_values,
    simplify_conditions,
)
from cloudtune.fitting.fields import drop_fields, unsupported_fields
from cloudtune.fitting.parameters import FitContext, fit_parameter
from cloudtune.launcher.restore import restore_values
from cloudtune.study.map_values import plain_values
from cloudtune.study.schema import (
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Mode,
    Parameter,
    When,
)
from cloudtune.study.search_space import (
    Node,
    Space,
    Value,
    count_values,
    definition_path,
    list_nodes,
    value_at,
)
from cloudtune.study.strategies import STRATEGIES
from cloudtune.study.study import Study


@dataclass(frozen=True)
class FittedStudy:
    """A study as a provider supports it in one mode."""

    study: Study
    """The source of the request. Without conditions, each name has one definition."""
    original: Study
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """The name under which each node of the original is sent, by the node's key. Nodes that can
    never be active are omitted."""
    sent: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    """Each parameter as it is sent, by its path in the study file; not what is sent as a constant.
    A rule on what a service does with a parameter reads these, not those of the original."""
    fixed_values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """The values of parameters that are sent as constants, by the name that is sent."""
    stepless_keys: Set[str] = frozenset()
    """The keys of the nodes whose step was dropped: values between the steps can come back."""
    flattened: bool = False
    """Whether inactive parameters are tuned, too, and must be withheld from the script."""
    root: str | None = None
    """The parameter on which all conditions depend, if the request has a part for each value."""
    findings: tuple[Finding, ...] = ()
    notes: tuple[Note, ...] = ()

    def path_of(self, parameter: Parameter) -> str:
        """Return the path in the study file of a definition of `study`.

        There it may have another name and index: a flattened study has no second definitions, and
        definitions with one value are not parameters.
        """
        return next(path for path, sent in self.sent.items() if sent is parameter)


def identity_fit(study: Study) -> FittedStudy:
    """Return the study unchanged, without findings."""
    return FittedStudy(study, study)


def fit(study: Study, capabilities: Capabilities, mode: Mode) -> FittedStudy:
    """Return the study as the provider supports it, with all findings.

    Raises:
        ValueError: If the provider does not support the mode.
    """
    support = capabilities.for_mode(mode)
    if support is None:
        raise ValueError(f"{capabilities.provider} has no {mode} mode")
    support = adjust_support(support, study, mode)
    return fit_to(study, support, capabilities.provider, support.title or capabilities.title)


def fit_to(
    study: Study,
    support: ModeCapabilities,
    provider: str,
    title: str,
    is_exempt: Callable[[str, Parameter], bool] | None = None,
) -> FittedStudy:
    """Return the study as a provider or a tool supports it, with all findings.

    Args:
        study: The study.
        support: The capabilities.
        provider: The block under ``providers`` with limits that override those of the study.
        title: The name of the provider or the tool, for messages.
        is_exempt: Whether a definition of a parameter, by its name, is left as it is.
    """
    conditions = _simplified_conditions(study, support)
    nodes = [node for node in list_nodes(study) if node.key in conditions.when]
    exempt = {node.key for node in nodes if is_exempt and is_exempt(node.name, node.parameter)}
    diagnostics: list[Finding | Note] = [*_never_active_notes(study, conditions)]
    context = FitContext(support, title, diagnostics, exempt)
    conditional = any(conditions.when[node.key] for node in nodes)
    other_fields, other_findings = fit_blocks(study, provider, support, title)
    root, obstacle = None, "does not support conditions"
    if support.conditions == "one_root":
        root, obstacle = find_root(study.model_copy(update=other_fields), nodes, conditions)
    flatten = False
    if support.launcher and support.conditions == "choices":
        obstacles = [
            each.reason for each in condition_findings(study, nodes, conditions, context, "")
        ]
        flatten = bool(obstacles)
        obstacle = obstacles[0].removeprefix(f"{title} ") if flatten else obstacle
    elif support.launcher:
        flatten = conditional and support.conditions != "tree" and root is None
    elif conditional:
        diagnostics += condition_findings(study, nodes, conditions, context, obstacle)
    single_nodes = [] if support.single_values else nodes
    single = {node.key for node in single_nodes if count_values(node.parameter) == 1}
    names = {node.key: node.name for node in nodes}
    if support.launcher:
        names = _names(study, nodes, single, flatten=flatten)
    nodes_as_sent = _FittedNodes(context, study, names, single - exempt)
    for node in nodes:
        nodes_as_sent.add(node, None if flatten else conditions.when[node.key] or None)
        if node.key in conditions.unresolved and not flatten:
            path = definition_path(study, node)
            diagnostics.append(_unresolved_finding(path, conditions.unresolved[node.key], title))
    parameters = nodes_as_sent.parameters
    if flatten:
        first = next(node for node in nodes if conditions.when[node.key])
        reason = (
            f"{title} {obstacle}: all parameters are tuned; inactive ones are withheld from the "
            "script and omitted from the results"
        )
        diagnostics.append(Finding("approximated", f"{definition_path(study, first)}.when", reason))
    if not support.launcher and not nodes and study.strategy.name != "list":
        diagnostics.append(Finding("refused", "parameters", f"{title} needs a parameter to tune"))
    if single and len(single) == len(nodes):
        reason = f"every parameter has only one value, so {title} has nothing to tune"
        diagnostics.append(Finding("refused", "parameters", reason))
    diagnostics += _number_findings(len(parameters), support, title)
    limits, limit_findings = fit_limits(study, provider, support, title)
    diagnostics += limit_findings + other_findings
    if not support.launcher or support.conditions == "choices":
        rename_condition_values(parameters)
    fitted = study.model_copy(update={"parameters": parameters, "limits": limits, **other_fields})
    unsupported = unsupported_fields(fitted, support, title)
    diagnostics += unsupported
    fitted = drop_fields(fitted, unsupported)
    return FittedStudy(
        study=fitted.model_copy(update={"constants": fitted.script_constants}),
        original=study,
        names=names,
        sent=nodes_as_sent.sent,
        fixed_values=nodes_as_sent.fixed_values,
        stepless_keys=nodes_as_sent.stepless_keys,
        flattened=flatten,
        root=root,
        findings=tuple(item for item in diagnostics if isinstance(item, Finding)),
        notes=tuple(item for item in diagnostics if isinstance(item, Note)),
    )


@dataclass
class _FittedNodes:
    """Collects the definitions of parameters as they are sent."""

    context: FitContext
    study: Study
    names: Mapping[str, str]
    single: Set[str]
    """The keys of the nodes that are sent as constants."""
    parameters: dict[str, list[Parameter]] = field(default_factory=dict[str, list[Parameter]])
    sent: dict[str, Parameter] = field(default_factory=dict[str, Parameter])
    fixed_values: dict[str, Value] = field(default_factory=dict[str, Value])
    stepless_keys: set[str] = field(default_factory=set[str])

    def add(self, node: Node, when: When | None) -> None:
        name, path, context = self.names[node.key], definition_path(self.study, node), self.context
        if node.key in self.single:
            self.fixed_values[name] = value_at(node.parameter, 0)
            text = f"has one value and becomes a constant of {context.title}"
            context.diagnostics.append(Note(path, text))
        elif (parameter := self._fit(node, path)) is not None:
            when = when and {parent: plain_values(values) for parent, values in when.items()}
            parameter = parameter.model_copy(update={"when": when})
            self.parameters.setdefault(name, []).append(parameter)
            self.sent[path] = parameter
            if _has_lost_step(node.parameter, parameter):
                self.stepless_keys.add(node.key)
        findings = _name_findings(node, name, path, context.support, context.title)
        context.diagnostics.extend(findings)

    def _fit(self, node: Node, path: str) -> Parameter | None:
        if node.key in self.context.exempt:
            return node.parameter
        in_grid = self.study.strategy.name == "grid"
        return fit_parameter(node.parameter, path, self.context, in_grid=in_grid)


def _number_findings(count: int, support: ModeCapabilities, title: str) -> Iterator[Finding]:
    limit = support.max_parameters
    if limit and count > limit.value:
        reason = f"{count} parameters, but {title} allows at most {limit.value}"
        yield Finding("refused", "parameters", reason)


def restore(fitted: FittedStudy, raw: Mapping[str, Any]) -> dict[str, Value]:
    """Return the active parameters of a trial, in the types of the study.

    `raw` has the service's values, by the names under which they were sent; others are ignored.

    Raises:
        ValueError: If a parameter does not accept its value.
    """
    return restore_values(restore_definitions(fitted), raw)


def restore_definitions(fitted: FittedStudy) -> list[dict[str, Any]]:
    """Return the definitions that `restore` and the launcher need, parents first.

    The format is that of `cloudtune.launcher.restore.restore_values`.
    """
    definitions = [
        _definition(fitted, node)
        for node in Space.from_study(fitted.original).nodes
        if node.key in fitted.names
    ]
    return definitions + _undefined_parameters(fitted.original)


def _undefined_parameters(study: Study) -> list[dict[str, Any]]:
    """Return a definition for each name that only the trials of the strategy list have."""
    if study.strategy.name != "list":
        return []
    values: dict[str, list[Value]] = {}
    for assignment in study.initial_trials:
        for name in assignment.keys() - study.parameters.keys():
            values.setdefault(name, []).append(assignment[name])
    return [
        {"name": name, "sent": name, "type": "categorical", "values": values[name]}
        for name in sorted(values)
    ]


def _definition(fitted: FittedStudy, node: Node) -> dict[str, Any]:
    parameter, sent = node.parameter, fitted.names[node.key]
    definition: dict[str, Any] = {
        "name": node.name,
        "sent": sent,
        "type": parameter.type,
        "when": {name: plain_values(values) for name, values in node.when.items()},
    }
    if isinstance(parameter, CategoricalParameter | DiscreteParameter):
        definition["values"] = plain_values(parameter.values)
    elif isinstance(parameter, FloatParameter | IntParameter):
        definition |= {"min": parameter.min, "max": parameter.max}
        if parameter.step is not None and node.key not in fitted.stepless_keys:
            definition["step"] = parameter.step
    if sent in fitted.fixed_values:
        definition["fixed"] = fitted.fixed_values[sent]
    return definition


def adjust_support(support: ModeCapabilities, study: Study, mode: Mode) -> ModeCapabilities:
    """Return the capabilities of a mode for the strategy of a study."""
    if mode == "driven":  # the engine resolves the scale auto itself
        parameters = {kind: scales - {"auto"} for kind, scales in support.parameters.items()}
        return replace(support, parameters=parameters)
    if STRATEGIES[study.strategy.name].ends_itself and support.grid_of_trials:
        return replace(
            support,
            initial_trials=support.initial_trials or study.strategy.name == "list",
            parameters=DRIVEN.parameters,
            steps=True,
            conditions="tree",
            single_values=True,
            grid_of_values=False,
            fields=support.fields | ({"constraints"} if support.launcher else set()),
            log_steps=True,
            adjust=None,
        )
    return support


def _unresolved_finding(path: str, parent: str, title: str) -> Finding:
    reason = (
        f"{title} receives a definition with one value as a constant, but this condition on "
        f"{parent} also depends on its other definitions; give {parent} a single definition"
    )
    return Finding("refused", f"{path}.when.{parent}", reason)


def _has_lost_step(before: Parameter, after: Parameter) -> bool:
    return (
        isinstance(before, FloatParameter | IntParameter)
        and isinstance(after, FloatParameter | IntParameter)
        and before.step is not None
        and after.step is None
    )


def _simplified_conditions(study: Study, support: ModeCapabilities) -> SimplifiedConditions:
    space = Space.from_study(study)
    is_document = not support.launcher and support.conditions != "one_root"
    if is_document or (support.conditions in {"tree", "choices"} and support.single_values):
        return SimplifiedConditions({node.key: node.when for node in space.nodes}, {})
    return simplify_conditions(space)


def _never_active_notes(study: Study, conditions: SimplifiedConditions) -> Iterator[Note]:
    for node in list_nodes(study):
        if node.key not in conditions.when:
            text = "omitted, since its conditions exclude each other and it can never be active"
            yield Note(definition_path(study, node), text, "warning")


def _names(
    study: Study, nodes: Sequence[Node], single: Set[str], *, flatten: bool
) -> dict[str, str]:
    """Return the name under which each node is sent.

    With conditions, the definitions of a parameter share its name, except with a constant.
    """
    reserved = {*study.parameters, *study.constants}
    names: dict[str, str] = {}
    used: set[str] = set()
    for node in nodes if flatten else sorted(nodes, key=lambda node: node.key in single):
        name = node.name
        if name in used and (flatten or node.key in single):
            name = next(
                candidate
                for number in itertools.count(2)
                if (candidate := f"{node.name}-{number}") not in reserved | used
            )
        used.add(name)
        names[node.key] = name
    return names


def _name_findings(
    node: Node, name: str, path: str, support: ModeCapabilities, title: str
) -> Iterator[Finding]:
    limit = support.max_name_length
    if name != node.name:
        reason = f"{title} supports one definition per name: sent as {name}"
        yield Finding("approximated", path, reason)
    if limit and len(name) > limit.value:
        reason = f"the name has {len(name)} characters, but {title} allows at most {limit.value}"
        yield Finding("refused", path, reason)
