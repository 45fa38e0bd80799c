"""Fit a definition of a parameter: its step, type, scale and values."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.capabilities import ModeCapabilities
from cloudtune.study.quantities import format_count
from cloudtune.study.schema import (
    BoolParameter,
    CategoricalParameter,
    DiscreteParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from cloudtune.study.search_space import (
    Value,
    count_values,
    format_value,
    list_values,
    resolve_scale,
)


@dataclass(frozen=True)
class ParameterFit:
    """A parameter after one or more steps of fitting, with their findings."""

    parameter: Parameter | None
    """None if it was refused."""
    findings: tuple[Finding, ...] = ()
    notes: tuple[Note, ...] = ()

    def then(self, parameter: Parameter | None, *findings: Finding | Note) -> ParameterFit:
        """Return the result of another step, with its findings added."""
        return replace(
            self,
            parameter=parameter,
            findings=self.findings + tuple(item for item in findings if isinstance(item, Finding)),
            notes=self.notes + tuple(item for item in findings if isinstance(item, Note)),
        )


def fit_parameter(
    parameter: Parameter, path: str, support: ModeCapabilities, title: str, *, in_grid: bool = False
) -> ParameterFit:
    """Return a definition as the provider supports it, with all findings.

    Args:
        parameter: The definition.
        path: Its path in the study.
        support: The provider's capabilities.
        title: The provider's title.
        in_grid: Whether the strategy is grid.
    """
    fitted = ParameterFit(parameter)
    if in_grid and support.grid_of_values:
        fitted = _fit_grid_values(fitted, parameter, path, support, title)
    for step in (_fit_step, _fit_type, _fit_scale, _fit_values):
        if fitted.parameter is not None:
            fitted = step(fitted, fitted.parameter, path, support, title)
    return fitted


def _fit_grid_values(
    fitted: ParameterFit, parameter: Parameter, path: str, support: ModeCapabilities, title: str
) -> ParameterFit:
    if isinstance(parameter, CategoricalParameter):
        return fitted
    count = count_values(parameter)
    limit = _max_values(support)
    if count is None or count > limit:
        reason = f"a grid on {title} needs lists of at most {limit} values; add a step or values"
        return fitted.then(None, Finding("refused", path, reason))
    note = f"a grid on {title} needs lists: sent as {format_count(count, 'value')}"
    return fitted.then(_categorical(parameter), Note(path, note))


def _fit_step(
    fitted: ParameterFit, parameter: Parameter, path: str, support: ModeCapabilities, title: str
) -> ParameterFit:
    if not isinstance(parameter, FloatParameter | IntParameter):
        return fitted
    if parameter.step is None or (isinstance(parameter, IntParameter) and parameter.step == 1):
        return fitted
    if support.steps:
        return fitted
    count = count_values(parameter) or 0
    if support.max_values and count > support.max_values.value:
        reason = (
            f"{title} does not support steps, and {count} values are more than the "
            f"{support.max_values.value} allowed in a list: values between steps will occur"
        )
        continuous = parameter.model_copy(update={"step": None})
        return fitted.then(continuous, Finding("dropped", f"{path}.step", reason))
    values = DiscreteParameter(
        type="discrete",
        values=[v for v in list_values(parameter) or () if not isinstance(v, str)],
        scale=parameter.scale,
        when=parameter.when,
    )
    note = f"{title} does not support steps: sent as a list of {format_count(count, 'value')}"
    return fitted.then(values, Note(f"{path}.step", note))


def _fit_type(
    fitted: ParameterFit, parameter: Parameter, path: str, support: ModeCapabilities, title: str
) -> ParameterFit:
    kind = parameter.type
    if kind in support.parameters:
        return fitted
    count = count_values(parameter)
    limit = _max_values(support)
    if count is None or count > limit or "categorical" not in support.parameters:
        values = f"at most {limit} values" if support.max_values else "values"
        reason = f"{title} does not support {kind}; list {values}, or add a step for as few"
        return fitted.then(None, Finding("refused", path, reason))
    if isinstance(parameter, BoolParameter):
        note = f"{title} does not support bool: sent as the values True and False"
        return fitted.then(_categorical(parameter), Note(path, note))
    values = format_count(count, "value")
    reason = f"{title} does not support {kind}: sent as {values} without an order"
    return fitted.then(_categorical(parameter), Finding("approximated", path, reason))


def _fit_scale(
    fitted: ParameterFit, parameter: Parameter, path: str, support: ModeCapabilities, title: str
) -> ParameterFit:
    if not isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter):
        return fitted
    scales = support.parameters[parameter.type]
    if parameter.scale == "auto" and "auto" not in scales:
        scale = resolve_scale(parameter)
        parameter = parameter.model_copy(update={"scale": scale})
        fitted = fitted.then(parameter, Note(f"{path}.scale", f"auto is read as {scale}"))
    if parameter.scale in scales:
        return fitted
    reason = (
        f"{title} does not support the scale {parameter.scale} for {parameter.type}: linear is used"
    )
    linear = parameter.model_copy(update={"scale": "linear"})
    return fitted.then(linear, Finding("approximated", f"{path}.scale", reason))


def _fit_values(
    fitted: ParameterFit, parameter: Parameter, path: str, support: ModeCapabilities, title: str
) -> ParameterFit:
    if not isinstance(parameter, CategoricalParameter | DiscreteParameter):
        return fitted
    path, count, limit = f"{path}.values", len(parameter.values), support.max_values
    findings: list[Finding] = []
    if limit and count > limit.value:
        reason = f"{count} values, but {title} allows at most {limit.value}"
        findings.append(Finding("refused", path, reason))
    if support.text_only:
        texts: dict[str, Value] = {}
        for value in parameter.values:
            other = texts.setdefault(format_value(value), value)
            if other is not value:
                reason = f"{title} sends values as text, in which {other!r} and {value!r} are equal"
                findings.append(Finding("refused", path, reason))
    return fitted.then(parameter, *findings)


def _max_values(support: ModeCapabilities) -> int:
    return support.max_values.value if support.max_values else 1_000


def _categorical(parameter: Parameter) -> CategoricalParameter:
    values = list(list_values(parameter) or ())
    return CategoricalParameter(type="categorical", values=values, when=parameter.when)
