"""Fit a definition of a parameter: its step, type, scale and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
class FitContext:
    """What a study is fitted to, and what was found so far."""

    support: ModeCapabilities
    title: str
    """The provider's title."""
    diagnostics: list[Finding | Note]

    @property
    def max_values(self) -> int:
        """The maximum number of values in a list."""
        return self.support.max_values.value if self.support.max_values else 1_000


_Step = Callable[[Parameter, str, FitContext], Parameter | None]


def fit_parameter(
    parameter: Parameter, path: str, context: FitContext, *, in_grid: bool
) -> Parameter | None:
    """Return a definition as the provider supports it, or None if it is refused.

    The context receives all findings and notes. `in_grid` is whether the strategy is grid.
    """
    result: Parameter | None = parameter
    for step in (_fit_grid, *_STEPS) if in_grid and context.support.grid_of_values else _STEPS:
        if result is not None:
            result = step(result, path, context)
    return result


def _fit_grid(parameter: Parameter, path: str, context: FitContext) -> Parameter | None:
    if isinstance(parameter, CategoricalParameter):
        return parameter
    count, limit = count_values(parameter), context.max_values
    title = context.title
    if count is None or count > limit:
        reason = f"a grid on {title} needs lists of at most {limit} values; add a step or values"
        context.diagnostics.append(Finding("refused", path, reason))
        return None
    note = f"a grid on {title} needs lists: sent as {format_count(count, 'value')}"
    context.diagnostics.append(Note(path, note))
    return _categorical(parameter)


def _fit_step(parameter: Parameter, path: str, context: FitContext) -> Parameter | None:
    if not isinstance(parameter, FloatParameter | IntParameter) or context.support.steps:
        return parameter
    if parameter.step is None or (isinstance(parameter, IntParameter) and parameter.step == 1):
        return parameter
    path, count, limit = f"{path}.step", count_values(parameter) or 0, context.support.max_values
    if limit and count > limit.value:
        reason = (
            f"{context.title} does not support steps, and {count} values are more than the "
            f"{limit.value} allowed in a list: values between steps will occur"
        )
        context.diagnostics.append(Finding("dropped", path, reason))
        return parameter.model_copy(update={"step": None})
    values = format_count(count, "value")
    note = f"{context.title} does not support steps: sent as a list of {values}"
    context.diagnostics.append(Note(path, note))
    return DiscreteParameter(
        type="discrete",
        values=[v for v in list_values(parameter) or () if not isinstance(v, str)],
        scale=parameter.scale,
        when=parameter.when,
    )


def _fit_type(parameter: Parameter, path: str, context: FitContext) -> Parameter | None:
    support, kind = context.support, parameter.type
    if kind in support.parameters:
        return parameter
    count, limit = count_values(parameter), context.max_values
    unsupported = f"{context.title} does not support {kind}"
    if count is None or count > limit or "categorical" not in support.parameters:
        values = f"at most {limit} values" if support.max_values else "values"
        reason = f"{unsupported}; list {values}, or add a step for as few"
        context.diagnostics.append(Finding("refused", path, reason))
        return None
    if isinstance(parameter, BoolParameter):
        context.diagnostics.append(Note(path, f"{unsupported}: sent as the values True and False"))
    else:
        reason = f"{unsupported}: sent as {format_count(count, 'value')} without an order"
        context.diagnostics.append(Finding("approximated", path, reason))
    return _categorical(parameter)


def _fit_scale(parameter: Parameter, path: str, context: FitContext) -> Parameter | None:
    if not isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter):
        return parameter
    path, scales = f"{path}.scale", context.support.parameters[parameter.type]
    if parameter.scale == "auto" and "auto" not in scales:
        best = resolve_scale(parameter)
        scale = best if best in scales else "linear"
        parameter = parameter.model_copy(update={"scale": scale})
        context.diagnostics.append(Note(path, f"auto is read as {scale}"))
    if parameter.scale in scales:
        return parameter
    unsupported = f"{context.title} does not support the scale {parameter.scale}"
    reason = f"{unsupported} for {parameter.type}: linear is used"
    context.diagnostics.append(Finding("approximated", path, reason))
    return parameter.model_copy(update={"scale": "linear"})


def _fit_values(parameter: Parameter, path: str, context: FitContext) -> Parameter | None:
    if not isinstance(parameter, CategoricalParameter | DiscreteParameter):
        return parameter
    count, limit, title = len(parameter.values), context.support.max_values, context.title
    reasons: list[str] = []
    if limit and count > limit.value:
        reasons.append(f"{count} values, but {title} allows at most {limit.value}")
    if context.support.text_only:
        texts: dict[str, Value] = {}
        for value in parameter.values:
            other = texts.setdefault(format_value(value), value)
            if other is not value:
                equal = f"{other!r} and {value!r} are equal"
                reasons.append(f"{title} sends values as text, in which {equal}")
    context.diagnostics.extend(Finding("refused", f"{path}.values", each) for each in reasons)
    return parameter


_STEPS: tuple[_Step, ...] = (_fit_step, _fit_type, _fit_scale, _fit_values)


def _categorical(parameter: Parameter) -> CategoricalParameter:
    values = list(list_values(parameter) or ())
    return CategoricalParameter(type="categorical", values=values, when=parameter.when)
