"""What the launcher must know of a study: made here, read by trial.py beside the script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.fit import Fitted
from cloudtune.space import Space
from cloudtune.study import CategoricalParameter, DiscreteParameter
from cloudtune.trial import launch_file

Json = dict[str, Any]


def launch_data(fitted: Fitted, run: str, paths: Mapping[str, str]) -> Json:
    """Return the content of ``cloudtune_study.json`` for a fitted study.

    Args:
        fitted: What the request is made from.
        run: The id of the run.
        paths: The inputs by name, as they lie where the launcher runs.
    """
    study = fitted.original
    call = study.trial.model_dump(
        mode="json",
        include={"script", "module", "command", "args", "arguments", "metrics", "env"},
        exclude_none=True,
    )
    call["parameters"] = list(study.parameters)
    return launch_file(call, list(_definitions(fitted)), study.constants, paths, run)


def _definitions(fitted: Fitted) -> Iterator[Json]:
    for node in Space.of(fitted.original).nodes:
        parameter = node.parameter
        definition: Json = {
            "name": node.name,
            "sent": fitted.names[node.key],
            "type": parameter.type,
            "when": {name: list(values) for name, values in node.when.items()},
        }
        if isinstance(parameter, CategoricalParameter | DiscreteParameter):
            definition["values"] = list(parameter.values)
        if definition["sent"] in fitted.fixed:
            definition["fixed"] = fitted.fixed[definition["sent"]]
        yield definition
