"""Short forms of fields: a name instead of a map with a name, one item instead of a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class ShortForm:
    """Expands the short form of a field into its long form; the JSON Schema accepts both."""

    expand: Callable[[Any], Any]
    schema: Callable[[Any], Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        full = handler(schema)
        return {"anyOf": [self.schema(full), full]}


def text_or_map(key: str, schema: dict[str, Any]) -> ShortForm:
    """Return a short form that stands for a map with a single key."""
    return ShortForm(
        lambda value: {key: value} if isinstance(value, str) else value, lambda _: schema
    )


def _as_list(value: Any) -> Any:
    return cast("Any", value) if isinstance(value, list | tuple) else [value]


one_or_many = ShortForm(_as_list, lambda full: full.get("items", {}))
"""Accepts one item instead of a list."""
