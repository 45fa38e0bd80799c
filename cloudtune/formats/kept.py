"""Definitions of parameters that an import keeps, because a study cannot give them back."""

from __future__ import annotations

from typing import Any, Protocol

from cloudtune.formats.fields import Fields, Json, Report


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
