"""Parameters that a tool nests in maps: in a study, their names have dots."""

from __future__ import annotations

from typing import Any

from cloudtune.formats.fields import Json
from cloudtune.study.yaml_reader import is_map


class Nesting:
    """How an imported document nests its parameters, so that an export does the same.

    Args:
        kept: What is kept of the parameters, with a map for each level, even if it is empty.
        key: The key of the parameters in a level; None if the level itself has them.
    """

    def __init__(self, kept: Json, key: str | None = None) -> None:
        self._kept = kept
        self._key = key

    def put(self, parameters: Json, name: str, definition: Any) -> None:
        """Put a parameter into the level where the document has it."""
        *outer, last = self._keys(name, self._kept)
        for key in outer:
            parameters = parameters.setdefault(key, {} if self._key is None else {self._key: {}})
            parameters = parameters if self._key is None else parameters[self._key]
        parameters[last] = definition

    def _keys(self, name: str, kept: Json) -> list[str]:
        """Return the keys of a parameter: several if the document nests it."""
        for key, definition in kept.items():
            inner = self._level(definition)
            if inner is not None and name.startswith(f"{key}."):
                return [key, *self._keys(name.removeprefix(f"{key}."), inner)]
        return [name]

    def _level(self, definition: Any) -> Json | None:
        if self._key is not None:
            definition = definition.get(self._key) if is_map(definition) else None
        return definition if is_map(definition) else None
