"""Parts of a study, values, and times in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudtune.reporting.sanitize import sanitize_line
from cloudtune.study.quantities import format_count
from cloudtune.study.schema import Parameter
from cloudtune.study.search_space import Space, Value, format_value
from cloudtune.study.study import Study

if TYPE_CHECKING:
    from cloudtune.results.model import Trial
    from cloudtune.search.model_choice import ModelChoice


def describe_space(study: Study) -> str:
    """Return the size of the search space and the objectives in one sentence."""
    space = Space.from_study(study)
    count = len({node.name for node in space.nodes})
    size = f", {format_count(space.size, 'combination')}" if space.nodes and space.size else ""
    goals = " and ".join(f"{o.goal} {o.metric}" for o in study.objectives) or "no objective yet"
    return sanitize_line(f"{format_count(count, 'parameter')}{size}; {goals}.")


def describe_parameter(parameter: Parameter) -> dict[str, str]:
    """Return the type, the values, and the conditions of a parameter in words."""
    fields: dict[str, Any] = {key: value for key, value in parameter if value is not None}
    values = ", ".join(map(format_short, fields.get("values", ())))
    if "min" in fields:
        details = [f"{key} {fields[key]}" for key in ("scale", "step") if key in fields]
        bounds = f"{format_short(fields['min'])} to {format_short(fields['max'])}"
        values = ", ".join([bounds, *details])
    when = " and ".join(f"{name}: {value}" for name, value in fields.get("when", {}).items())
    return {"type": parameter.type, "values": values, "when": when}


def describe_strategy(study: Study, seed: int | None) -> str:
    """Return the strategy in words, with the seed if there is one."""
    strategy = study.strategy
    method = f" ({strategy.method})" if strategy.method else ""
    suffix = "" if seed is None else f", seed {seed}"
    return sanitize_line(f"{strategy.name}{method}{suffix}")


def format_limits(study: Study) -> str:
    """Return the limits as in the study file."""
    limits = study.limits.model_dump(mode="json", exclude_none=True)
    return sanitize_line(", ".join(f"{name} {value}" for name, value in limits.items())) or "none"


def format_parameters(parameters: Mapping[str, Value]) -> str:
    """Return parameters on one line, with floats shortened."""
    return sanitize_line(
        " ".join(f"{name}={format_short(value)}" for name, value in parameters.items())
    )


def visible_value(value: Value) -> str:
    """Return a value as text, in quotes if it would be invisible."""
    text = format_value(value)
    return text if text.strip() else repr(text)


def format_short(value: Value) -> str:
    """Return a value as text, a float with four significant digits and those before the point."""
    if not isinstance(value, float):
        return sanitize_line(visible_value(value))
    return f"{value:.0f}" if 9999.5 <= abs(value) < 1e9 else f"{value:.4g}"


def format_objectives(study: Study, trial: Trial) -> str:
    """Return the names and values of a trial's objectives."""
    values = zip(study.objectives, trial.objective or (), strict=False)
    text = ", ".join(f"{o.metric} {value:.6g}" for o, value in values)
    return sanitize_line(text) or "not measured"


def format_best(study: Study, trial: Trial) -> str:
    """Return the objectives and the number of the best trial, and whether it was stopped early.

    A trial that was stopped early is the best one only if none has completed.
    """
    stopped = ", which was stopped early" if trial.state == "stopped_early" else ""
    return f"{format_objectives(study, trial)} in trial {trial.number}{stopped}"


def describe_choice(metric: str, choice: ModelChoice) -> str:
    """Return which trial the model would take instead of the best one."""
    return sanitize_line(
        f"the model would take trial {choice.number} ({metric} {choice.value:.6g}): by all trials "
        "together, its setting looks better than the best trial's"
    )


def format_objective_values(trial: Trial) -> str:
    """Return the values of a trial's objectives."""
    return ", ".join(f"{value:.6g}" for value in trial.objective or ())


def format_seconds(seconds: float) -> str:
    """Return a duration, rounded for reading."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def location_prefix(study: Study, path: str) -> str:
    """Return ``file:line: `` for a field of a study file; empty if the study is not from a file."""
    file, line = study.location(path)
    return f"{file}:{line}: " if file and line else ""
