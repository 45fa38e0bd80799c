"""Fit a definition of a parameter: its step, type, scale and values."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from decimal import Decimal

from cloudtune.diagnostics import Finding, Note
from cloudtune.fitting.capabilities import ModeCapabilities
from cloudtune.study.map_values import list_maps, plain_values
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

MAX_LISTED = 1_000
"""The values that are listed in place of a range, at most."""
_MAX_STEPS = 2**53


@dataclass(frozen=True)
class FitContext:
    """What a study is fitted to, and what was found so far."""

    support: ModeCapabilities
    title: str
    """The provider's title."""
    diagnostics: list[Finding | Note]
    exempt: Set[str] = frozenset()
    """The keys of the definitions that are left as they are."""

    @property
    def max_values(self) -> int:
        """The maximum number of values in a list."""
        return self.support.max_values.value if self.support.max_values else MAX_LISTED


def _fit_maps(parameter: Parameter, path: str, context: FitContext) -> Parameter | None:
    """Return the parameter with the texts of maps, which the launcher replaces by their parts."""
    if not isinstance(parameter, CategoricalParameter) or not list_maps(parameter.values):
        return parameter
    if context.support.maps:
        return parameter
    if not context.support.launcher:
        reason = f"{context.title} has no values that are maps; make their parts parameters"
        context.diagnostics.append(Finding("refused", f"{path}.values", reason))
    return parameter.model_copy(update={"values": plain_values(parameter.values)})


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
    note = f"a grid on {title} needs lists: it becomes {format_count(count, 'value')}"
    context.diagnostics.append(Note(path, note))
    return _categorical(parameter)


def _adjust(parameter: Parameter, path: str, context: FitContext) -> Parameter | None:
    adjust = context.support.adjust
    change = adjust(parameter) if adjust else None
    if change is None:
        return parameter
    where = f"{path}.{change.field}" if change.field else path
    if change.kind == "note":
        context.diagnostics.append(Note(where, change.reason))
    else:
        context.diagnostics.append(Finding(change.kind, where, change.reason))
    return None if change.kind == "refused" else change.parameter


def _fit_step(parameter: Parameter, path: str, context: FitContext) -> Parameter | None:
    if not isinstance(parameter, FloatParameter | IntParameter):
        return parameter
    if parameter.step is None or (isinstance(parameter, IntParameter) and parameter.step == 1):
        return parameter
    support, title = context.support, context.title
    if not support.steps:
        obstacle = f"{title} does not support steps"
    elif not support.log_steps and resolve_scale(parameter) == "log":
        obstacle = f"{title} has no step on a log scale"
    elif support.aligned_steps:
        bounds = aligned_bounds(parameter.min, parameter.max, parameter.step)
        if bounds is not None:
            return parameter.model_copy(update={"max": bounds[1]})
        obstacle = f"{title} rounds to multiples of a step"
    else:
        return parameter
    return _list_steps(parameter, path, context, obstacle)


def _list_steps(
    parameter: FloatParameter | IntParameter, path: str, context: FitContext, obstacle: str
) -> Parameter | None:
    support, count = context.support, count_values(parameter) or 0
    path, limit = f"{path}.step", support.max_values
    if not support.launcher and not limit and count > context.max_values:
        reason = f"{obstacle}, and {count:,} values are too many for a list"
        context.diagnostics.append(Finding("refused", path, reason))
        return None
    if limit and count > limit.value:
        reason = (
            f"{obstacle}, and {count} values are more than the "
            f"{limit.value} allowed in a list: values between steps will occur"
        )
        context.diagnostics.append(Finding("dropped", path, reason))
        return parameter.model_copy(update={"step": None})
    note = f"{obstacle}: it becomes a list of {format_count(count, 'value')}"
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
        note = f"{unsupported}: it becomes the values True and False"
        context.diagnostics.append(Note(path, note))
    else:
        reason = f"{unsupported}: it becomes {format_count(count, 'value')} without an order"
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
    is_text = not context.support.launcher and context.support.text_only
    if is_text and isinstance(parameter, CategoricalParameter) and not _are_numbers(parameter):
        return parameter.model_copy(update={"values": list(map(format_value, parameter.values))})
    return parameter


def _are_numbers(parameter: CategoricalParameter) -> bool:
    """Return whether all values are numbers, which can be told from their text."""
    return not any(isinstance(value, bool | str) for value in parameter.values)


def aligned_bounds(low: float, high: float, step: float) -> tuple[float, float] | None:
    """Return the first and the last value of a step; None if they are no multiples of it."""
    bottom, top, unit = (Decimal(repr(number)) for number in (low, high, step))
    if max(abs(bottom), abs(top)) > unit * _MAX_STEPS or bottom % unit:
        return None
    last = bottom + (top - bottom) // unit * unit
    return low, int(last) if last == int(last) else float(last)


_STEPS: tuple[_Step, ...] = (_fit_maps, _adjust, _fit_step, _fit_type, _fit_scale, _fit_values)


def _categorical(parameter: Parameter) -> CategoricalParameter:
    values = list(list_values(parameter) or ())
    return CategoricalParameter(type="categorical", values=values, when=parameter.when)
