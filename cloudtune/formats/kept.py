"""Definitions of parameters that an import keeps, because a study cannot give them back."""

from __future__ import annotations

from typing import Any, Protocol

from cloudtune.formats.fields import Fields, Json, Report
from cloudtune.study.schema import Parameter
from cloudtune.study.study import Study
from cloudtune.study.yaml_reader import is_map


class SpaceReader(Protocol):
    """Reads a search space of a format into the parameters of a study."""

    parameters: Json

    def read(self, space: Fields, /) -> None:
        """Read all parameters of a space."""


def read_alone(reader: SpaceReader, kept: Any) -> Json | None:
    """Return the parameter that a kept definition is read as, without the rest of its space."""
    reader.read(Fields({"x": kept}, Report()))
    parameter: Json | None = reader.parameters.get("x")
    return parameter


def take_kept(kept: Any, parameter: Parameter, again: Json | None) -> Json | None:
    """Return a kept definition, or None if the parameter has changed since the import.

    A definition that is out of date is emptied, so that it is not merged into the new one.

    Args:
        kept: The definition in the native block.
        parameter: The parameter of the study.
        again: The parameter that the kept definition is read as, in the form of a study file.
    """
    if not is_map(kept):
        return None
    if again is not None:
        (before,) = Study.model_validate({"parameters": {"x": again}}).parameters["x"]
        if before == parameter.model_copy(update={"when": None}):
            return dict(kept)
    kept.clear()
    return None
