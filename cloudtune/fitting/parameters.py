"""Fit one definition of a parameter: its step, its type, its scale, its values."""

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
    """One parameter after a step: what it has become, and what was found on the way."""

    parameter: Parameter | None
    """None once it is refused."""
    findings: tuple[Finding, ...] = ()
    notes: tuple[Note, ...] = ()

    def then(self, parameter: Parameter | None, *found: Finding | Note) -> ParameterFit:
        """Return what follows on another step."""
        return replace(
            self,
            parameter=parameter,
            findings=self.findings + tuple(item for item in found if isinstance(item, Finding)),
            notes=self.notes + tuple(item for item in found if isinstance(item, Note)),
        )


def fit_parameter(
    parameter: Parameter, path: str, able: ModeCapabilities, who: str, *, in_a_grid: bool = False
) -> ParameterFit:
    """Return what a provider can hold of a parameter, with every finding.

    Args:
        parameter: One definition.
        path: Where it stands in the study.
        able: What the provider can do.
        who: The provider's title.
        in_a_grid: Whether it is searched by a grid.
    """
    fitted = ParameterFit(parameter)
    if in_a_grid and able.grid_of_values:
        fitted = _fit_grid_values(fitted, parameter, path, able, who)
    for step in (_fit_step, _fit_type, _fit_scale, _fit_values):
        if fitted.parameter is not None:
            fitted = step(fitted, fitted.parameter, path, able, who)
    return fitted


def _fit_grid_values(
    fitted: ParameterFit, parameter: Parameter, path: str, able: ModeCapabilities, who: str
) -> ParameterFit:
    if isinstance(parameter, CategoricalParameter):
        return fitted
    count = count_values(parameter)
    most = able.max_values.value if able.max_values else 1_000
    if count is None or count > most:
        reason = f"a grid of {who} takes lists of at most {most} values; give a step, or values"
        return fitted.then(None, Finding("refused", path, reason))
    return fitted.then(
        CategoricalParameter(
            type="categorical", values=list(list_values(parameter) or ()), when=parameter.when
        ),
        Note(path, f"a grid of {who} takes lists: sent as its {format_count(count, 'value')}"),
    )


def _fit_step(
    fitted: ParameterFit, parameter: Parameter, path: str, able: ModeCapabilities, who: str
) -> ParameterFit:
    if not isinstance(parameter, FloatParameter | IntParameter):
        return fitted
    if parameter.step is None or (isinstance(parameter, IntParameter) and parameter.step == 1):
        return fitted
    if able.steps:
        return fitted
    count = count_values(parameter) or 0
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
            values=[v for v in list_values(parameter) or () if not isinstance(v, str)],
            scale=parameter.scale,
            when=parameter.when,
        ),
        Note(
            f"{path}.step",
            f"{who} has no steps: sent as the list of its {format_count(count, 'value')}",
        ),
    )


def _fit_type(
    fitted: ParameterFit, parameter: Parameter, path: str, able: ModeCapabilities, who: str
) -> ParameterFit:
    if parameter.type in able.parameters:
        return fitted
    count = count_values(parameter)
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
    values = list_values(parameter) or ()
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
            f"{who} has no {parameter.type} parameters: sent as {format_count(count, 'value')} "
            "without an order",
        ),
    )


def _fit_scale(
    fitted: ParameterFit, parameter: Parameter, path: str, able: ModeCapabilities, who: str
) -> ParameterFit:
    if not isinstance(parameter, FloatParameter | IntParameter | DiscreteParameter):
        return fitted
    scales = able.parameters[parameter.type]
    if parameter.scale == "auto" and "auto" not in scales:
        scale = resolve_scale(parameter)
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
    fitted: ParameterFit, parameter: Parameter, path: str, able: ModeCapabilities, who: str
) -> ParameterFit:
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
            other = spelled.setdefault(format_value(value), value)
            if other is not value:
                found.append(
                    Finding(
                        "refused",
                        f"{path}.values",
                        f"{who} speaks text, in which {other!r} and {value!r} are the same",
                    )
                )
    return fitted.then(parameter, *found)
